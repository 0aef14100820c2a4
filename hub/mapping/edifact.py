"""Maps of UN/EDIFACT: the tree of an interchange, of which the map's places are the members.

How segments are told from others, which belongs to which, and what is written where; the syntax is
:mod:`hub.mapping.interchange`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hub.mapping import interchange
from hub.mapping.interchange import BEGINNINGS, ENDS, Address, Fail, Segment, log
from hub.mapping.model import Always, Each, Group, Pair, Report, Rule, Spec, every_rule, rules_for

_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}(?:\+(?:\?.|[^/?])*)?")
_DATUM = re.compile(
    rf"(?P<way>(?:{_SEGMENT.pattern}/)*)"
    r"(?P<element>[1-9][0-9]?)(?:\*(?P<repeat>[1-9]))?(?:\.(?P<component>[1-9][0-9]?|\*))?"
)
_PART = re.compile(rf"{_SEGMENT.pattern}(?:/{_SEGMENT.pattern})*")
#: A place of a map: a segment that begins a group or a list, or one datum.
PLACE = re.compile(rf"{_PART.pattern}|{_DATUM.pattern}")


# --- places -------------------------------------------------------------------------------------------------------


@cache
def address(place: str) -> tuple[tuple[str, ...], Address]:
    """The segments on the way to *place* (none: that which begins the group) and where in the last of them."""
    match = _DATUM.fullmatch(place)
    assert match is not None
    component = match["component"]
    where = int(match["element"]), int(match["repeat"] or 1), 0 if component == "*" else int(component or 1)
    return tuple(match["way"].split("/")[:-1]), where


@cache
def _pattern(segment: str) -> tuple[str, tuple[tuple[Address, str], ...]]:
    """The tag of a place's segment and the values that tell it from others of its tag."""
    tag, _, rest = segment.partition("+")
    pinned = []
    for element, text in enumerate(_split(rest, "+"), 1) if rest else ():
        for component, value in enumerate(_split(text, ":"), 1):
            if value:
                pinned.append(((element, 1, component), re.sub(r"\?(.)", r"\1", value)))
    return tag, tuple(pinned)


def _split(text: str, sign: str) -> list[str]:
    parts = re.findall(rf"((?:\?.|[^?{re.escape(sign)}])*)(?:{re.escape(sign)}|$)", text)
    return parts[:-1] if text and not text.endswith(sign) else parts


@dataclass(slots=True)
class _Kind:
    """A kind of segment of one scope: its data, and the segments that belong to it.

    With a *rule* it begins a part of ours, which ``inner`` is the scope of; without one, what belongs to it is told
    from others of its kind by following it, and is the same object's as itself.
    """

    way: str
    segment: str
    data: list[tuple[Rule, Address]] = field(default_factory=list)
    inner: "Scope | None" = None
    rule: Group | Each | None = None

    def matches(self, segment: Segment) -> bool:
        tag, pinned = _pattern(self.segment)
        return segment.tag == tag and all(segment.get(where) == value for where, value in pinned)

    def items(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        """The parts that begin with it, of those in *values*."""
        inside = values.get(self.rule.place) if self.rule is not None else None
        return inside if isinstance(inside, list) else [inside] if inside is not None else []

    def all_data(self) -> Iterator[tuple[Rule, Address]]:
        """Its data and those of what belongs to it and is no part by itself."""
        yield from self.data
        if self.rule is None and self.inner is not None:
            for kind in self.inner.kinds.values():
                yield from kind.all_data()

    @property
    def may_be_absent(self) -> bool:
        pairs = [rule for rule, _ in self.all_data() if isinstance(rule, Pair)]
        return bool(pairs) and all(pair.may_be_empty for pair in pairs)

    def there(self, values: dict[str, Any]) -> bool:
        """Whether something of it is to be written."""
        if any(isinstance(rule, Pair) and rule.place in values for rule, _ in self.data):
            return True
        return self.inner is not None and any(k.items(values) or k.there(values) for k in self.inner.kinds.values())


@dataclass(slots=True)
class Scope:
    """The segments that a map's rules name between one beginning of a group and its end."""

    kinds: dict[str, _Kind] = field(default_factory=dict)
    own: list[tuple[Rule, Address]] = field(default_factory=list)
    always: list[Always] = field(default_factory=list)

    def kind(self, segment: Segment) -> "_Kind | None":
        found = [kind for kind in self.kinds.values() if kind.matches(segment)]
        return max(found, key=lambda kind: len(_pattern(kind.segment)[1]), default=None)

    def at(self, way: tuple[str, ...]) -> "_Kind":
        """The kind of segment at the end of *way*, made where it is not there yet."""
        first, *rest = way
        kind = self.kinds.setdefault(first, _Kind(first, first))
        for depth, segment in enumerate(rest, 2):
            kind.inner = kind.inner or Scope()
            kind = kind.inner.kinds.setdefault(segment, _Kind("/".join(way[:depth]), segment))
        return kind


def scope(rules: Iterable[Rule], direction: Any) -> Scope:
    """The segments of *rules*, in the order in which they are written."""
    made = Scope()
    for rule in rules_for(list(rules), direction):
        if isinstance(rule, Group | Each):
            kind = made.at(tuple(rule.place.split("/")))
            kind.inner, kind.rule = scope(rule.rules, direction), rule
        elif isinstance(rule, Pair | Always):
            way, where = address(rule.place)
            (made.at(way).data if way else made.own).append((rule, where))
            if isinstance(rule, Always) and rule.each is not None and rule.summed is None:
                made.always.append(rule)
    return made


def check(spec: Spec, report: Report) -> None:
    """Report what of *spec* no interchange could hold."""
    _check(spec.rules, spec.fields_line, report, outermost=True)
    written = {rule.place.partition("/")[0].partition("+")[0] for rule in every_rule(spec) if rule.place}
    for tag in ("UNB", "UNH"):
        if spec.draft is None and tag not in written:
            report(spec.fields_line, f"nothing is written to '{tag}', which every interchange has")
    for rule in every_rule(spec):
        if rule.place.partition("/")[0].partition("+")[0] in ENDS:
            report(rule.line, f"'{rule.place}' is written and held against the segments by itself")


def _check(rules: list[Rule], line: int, report: Report, *, outermost: bool = False) -> None:
    parts: set[tuple[str, ...]] = set()
    where: dict[tuple[tuple[str, ...], Address], int] = {}
    for rule in rules:
        if isinstance(rule, Group | Each):
            if _PART.fullmatch(rule.place) is None:
                report(rule.line, f"'{rule.place}': a group or a list begins with a segment, such as NAD+FL")
            parts.add(tuple(rule.place.split("/")))
            _check(rule.rules, rule.line, report)
        elif isinstance(rule, Pair | Always):
            if _DATUM.fullmatch(rule.place) is None:
                report(rule.line, f"'{rule.place}' is a segment: say which of its data, such as {rule.place}/1.1")
                continue
            way, at = address(rule.place)
            if not way and outermost:
                report(rule.line, f"'{rule.place}' names no segment, and no group begins here")
            if way and at in dict(_pattern(way[-1])[1]):
                report(rule.line, f"'{rule.place}' is what tells the segment from others: it is no place besides")
            if (way, at) in where:
                report(rule.line, f"'{rule.place}' is the place of line {where[way, at]}")
            where[way, at] = rule.line
    for (way, _), at_line in where.items():
        for depth in range(1, len(way) + 1):
            if way[:depth] in parts:
                report(at_line, f"'{'/'.join(way[:depth])}' begins a group or a list: name its data inside")


# --- reading ------------------------------------------------------------------------------------------------------


def read(spec: Spec, data: bytes, counts: str, fail: Fail) -> dict[str, Any]:
    """The tree of *data* by the places of *spec*.  Raises what *fail* makes."""
    segments = list(interchange.parse(data, fail))
    interchange.hold(segments, counts, fail)
    root = scope(spec.rules, "read")
    values: dict[str, Any] = {}
    _walk(root, values, segments, fail)
    _complete(root, values)
    if counts == "warn":
        _recount(root, values)
    return values


@dataclass(slots=True)
class _Open:
    scope: Scope
    values: dict[str, Any]
    tag: str | None
    full: str


def _walk(root: Scope, values: dict[str, Any], segments: list[Segment], fail: Fail) -> None:
    """Give every segment to the innermost open group that names it; what no group names is passed over.

    A group ends where one around it names the segment, or with the next segment of the tag that began it.
    """
    opened = [_Open(root, values, None, "")]
    for segment in segments:
        if segment.tag in ENDS:
            continue
        depth, kind = len(opened), None
        while depth:
            depth -= 1
            kind = opened[depth].scope.kind(segment)
            if kind is not None:
                del opened[depth + 1 :]
                _take(opened, kind, segment, fail)
                break
            if segment.tag == opened[depth].tag:
                del opened[depth:]
        else:
            if segment.tag == "UNH" and kind is None:
                raise fail("map_root", place="UNH", text="a message is of a kind that the map does not know")


def _take(opened: list[_Open], kind: _Kind, segment: Segment, fail: Fail) -> None:
    at, rule = opened[-1], kind.rule
    if rule is None:
        if kind.way in at.values:
            place = kind.data[0][0].place if kind.data else kind.way
            raise fail("map_repeated", place=at.full + place, text="its segment stands there twice")
        at.values[kind.way] = True  # no place is a bare segment, so this is in nobody's way
        _fill(at.values, kind.data, segment)
        if kind.inner is not None:
            opened.append(_Open(kind.inner, at.values, segment.tag, at.full))
        return
    values: dict[str, Any] = {}
    assert kind.inner is not None
    _fill(values, kind.inner.own, segment)
    if isinstance(rule, Each):
        at.values.setdefault(rule.place, []).append(values)
    elif rule.place in at.values:
        raise fail("map_repeated", place=at.full + rule.place, text="it stands there twice")
    else:
        at.values[rule.place] = values
    opened.append(_Open(kind.inner, values, segment.tag, rule.full + "/"))


def _fill(values: dict[str, Any], data: list[tuple[Rule, Address]], segment: Segment) -> None:
    for rule, where in data:
        if isinstance(rule, Always) and segment.tag in BEGINNINGS and (segment.tag, where) != ("UNH", (2, 1, 1)):
            values[rule.place] = rule.text  # versions and character sets of theirs are their own affair
        elif text := segment.get(where).strip():
            values[rule.place] = text


def _complete(scope: Scope, values: dict[str, Any]) -> None:
    """What always stands in a segment that may be absent is not missed where the segment is."""
    for kind in scope.kinds.values():
        if kind.rule is None and kind.way not in values and (kind.may_be_absent or kind.segment[:3] in BEGINNINGS):
            values |= {r.place: r.text for r, _ in kind.all_data() if isinstance(r, Always) and r.text is not None}
        elif kind.inner is not None:
            for item in [values] if kind.rule is None else kind.items(values):
                _complete(kind.inner, item)


def _recount(scope: Scope, values: dict[str, Any]) -> None:
    """Put the true number where a count of the message's own is not true, and say so in the log."""
    lists = {r.field.names: r.place for r in _parts(scope) if isinstance(r, Each)}
    for rule in scope.always:
        assert rule.each is not None
        true, said = len(values.get(lists.get(rule.each.names, ""), ())), values.get(rule.place)
        if said is None or not said.isdigit() or int(said) != true:
            expected = said if (said or "").isdigit() else None
            log.warning("edifact_counts", place=rule.full, expected=expected, found=true)
            values[rule.place] = str(true)
    for kind in scope.kinds.values():
        if kind.inner is not None:
            for item in [values] if kind.rule is None else kind.items(values):
                _recount(kind.inner, item)


def _parts(scope: Scope) -> Iterator[Group | Each]:
    for kind in scope.kinds.values():
        if kind.rule is not None:
            yield kind.rule
        elif kind.inner is not None:
            yield from _parts(kind.inner)


# --- writing ------------------------------------------------------------------------------------------------------


def write(spec: Spec, values: dict[str, Any], fail: Fail) -> bytes:
    """The interchange of a tree.  Raises what *fail* makes where a character cannot be written at its syntax level."""
    segments = _segments(scope(spec.rules, "write"), values, _fitting(spec), fail)
    return interchange.written(segments, spec.una, spec.newline, syntax_level(spec))


def syntax_level(spec: Spec) -> str:
    """The syntax identifier that the map writes into ``UNB``: what characters there may be."""
    for rule in every_rule(spec):
        if isinstance(rule, Always) and rule.text and re.fullmatch(r"UNB(\+.*)?/1(\.1|\.\*)?", rule.place):
            return rule.text.partition(":")[0]
        if rule.place.startswith("UNB+"):
            return rule.place[4:].partition("/")[0].partition(":")[0]
    return "UNOB"


def _fitting(spec: Spec) -> Callable[[str], bool]:
    """Whether a text can be written at the map's syntax level."""
    level = syntax_level(spec)
    allowed, encoding = interchange.letters(level), interchange.encoding(level)

    def fits(text: str) -> bool:
        if allowed is not None:
            return set(text) <= set(allowed)
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return False
        return not any(c < " " or c == "\x7f" for c in text)

    return fits


def _segments(scope: Scope, values: dict[str, Any], fits: Callable[[str], bool], fail: Fail) -> Iterator[Segment]:
    for kind in scope.kinds.values():
        if kind.rule is not None and kind.inner is not None:
            for item in kind.items(values):
                yield _made(kind.segment, kind.inner.own, item, fits, fail)
                yield from _segments(kind.inner, item, fits, fail)
        elif kind.there(values) or not kind.may_be_absent:
            yield _made(kind.segment, kind.data, values, fits, fail)
            if kind.inner is not None:
                yield from _segments(kind.inner, values, fits, fail)


def _made(segment: str, data: list[tuple[Rule, Address]], values: dict[str, Any], fits: Any, fail: Fail) -> Segment:
    tag, pinned = _pattern(segment)
    made = Segment(tag, [])
    for where, value in pinned:
        made.put(where, value)
    for rule, where in data:
        if rule.place in values:
            if not fits(values[rule.place]):
                raise fail("encoding_cannot_hold", place=rule.full, text="a character is not of the map's syntax level")
            made.put(where, values[rule.place])
    return made
