"""UN/EDIFACT (ISO 9735): interchanges read as they really come and written as the standard has them.

Reading takes UNA or none and whatever separators; lines broken anywhere, in the middle of a word too; a byte order
mark; the header and footer of an e-mail or a telex; UNG and UNE, or none.  Counts and references that are not true are
refused under the policy ``strict`` and only told to the log under ``warn``: many senders count wrongly and list
rightly.
Writing gives the service segments their counts and references, and keeps to the characters of the syntax level.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import structlog

from hub.mapping.errors import MapError
from hub.mapping.model import Always, Each, Group, Pair, Report, Rule, Spec, every_rule, rules_for

SIZE_LIMIT = 20_000_000
Fail = Callable[..., MapError]
log = structlog.get_logger(__name__)

#: Where a segment's data stand: element, its repetition, component (0: the whole element), all from 1.
Address = tuple[int, int, int]
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}(?:\+(?:\?.|[^/?])*)?")
_DATUM = re.compile(
    rf"(?P<way>(?:{_SEGMENT.pattern}/)*)"
    r"(?P<element>[1-9][0-9]?)(?:\*(?P<repeat>[1-9]))?(?:\.(?P<component>[1-9][0-9]?|\*))?"
)
_PART = re.compile(rf"{_SEGMENT.pattern}(?:/{_SEGMENT.pattern})*")
#: A place of a map: a segment that begins a group or a list, or one datum.
PLACE = re.compile(rf"{_PART.pattern}|{_DATUM.pattern}")
_TAG = re.compile(r"[A-Z][A-Z0-9]{2}")
_SERVICE_ENDS = {"UNT": "UNH", "UNE": "UNG", "UNZ": "UNB"}
_SERVICE = frozenset(_SERVICE_ENDS.values())
_LEVEL_A = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-()/=!\"%&*;<>'+:?")
_LEVELS = {"UNOA": _LEVEL_A, "UNOB": _LEVEL_A | frozenset("abcdefghijklmnopqrstuvwxyz")}
_CODECS = {
    "UNOC": "iso8859-1", "UNOD": "iso8859-2", "UNOE": "iso8859-5", "UNOF": "iso8859-7", "UNOG": "iso8859-3",
    "UNOH": "iso8859-4", "UNOI": "iso8859-6", "UNOJ": "iso8859-8", "UNOK": "iso8859-9", "UNOW": "utf-8",
    "UNOY": "utf-8",
}  # fmt: skip


@dataclass(slots=True)
class Segment:
    """A segment: ``elements[e][r][c]`` is component *c* of repetition *r* of element *e*, all from 0."""

    tag: str
    elements: list[list[list[str]]]

    def get(self, address: Address) -> str:
        element, repeat, component = address
        try:
            components = self.elements[element - 1][repeat - 1]
            return ":".join(components) if not component else components[component - 1]
        except IndexError:
            return ""

    def put(self, address: Address, text: str) -> None:
        element, repeat, component = address
        while len(self.elements) < element:
            self.elements.append([[]])
        repeats = self.elements[element - 1]
        while len(repeats) < repeat:
            repeats.append([])
        if not component:
            repeats[repeat - 1] = text.split(":")
            return
        components = repeats[repeat - 1]
        components += [""] * (component - len(components))
        components[component - 1] = text


@dataclass(frozen=True, slots=True)
class Signs:
    """The service characters: what ``UNA`` says, or what the standard has where there is none."""

    component: str = ":"
    element: str = "+"
    release: str = "?"
    repeat: str = ""
    end: str = "'"


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
        if rule.place.partition("/")[0].partition("+")[0] in _SERVICE_ENDS:
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
    segments = list(parse(data, fail))
    _true(segments, counts, fail)
    root = scope(spec.rules, "read")
    values: dict[str, Any] = {}
    _walk(root, values, segments, fail)
    _complete(root, values)
    if counts == "warn":
        _recount(root, values)
    return values


def parse(data: bytes, fail: Fail) -> Iterator[Segment]:
    """The segments of the interchange that stands somewhere in *data*."""
    if len(data) > SIZE_LIMIT:
        raise fail("file_too_large", text=f"there are more than {SIZE_LIMIT} bytes")
    signs, body = _found(_text(data), fail)
    if signs.release:
        # A released character is kept out of the way while separators are looked for.
        body = re.sub(re.escape(signs.release) + "([\0-\uffff])", lambda m: chr(0xF0000 + ord(m[1])), body)
    opened, seen, ended = 0, False, False
    for number, raw in enumerate(body.split(signs.end), 1):
        name, *rest = raw.strip().split(signs.element)
        tag = name.partition(signs.component)[0].rstrip()
        if ended and tag == "UNB" and rest:
            raise fail("edifact_unreadable", place="UNB", text="a second interchange follows the first")
        if ended or not name:
            continue
        if _TAG.fullmatch(tag):
            yield Segment(tag, [_element(text, signs) for text in rest])
            opened += {"UNH": 1, "UNT": -1}.get(tag, 0)
            seen, ended = seen or tag == "UNH", tag == "UNZ"
        elif seen and not opened:
            ended = True  # what stands below the last message is nobody's: an e-mail's footer, a page's end
        else:
            raise fail("edifact_unreadable", text=f"segment {number} has no tag")


def _element(text: str, signs: Signs) -> list[list[str]]:
    repeats = text.split(signs.repeat) if signs.repeat else [text]
    return [[_RELEASED.sub(_plain, part) for part in repeat.split(signs.component)] for repeat in repeats]


_RELEASED = re.compile("[\U000f0000-\U000fffff]")


def _plain(match: re.Match[str]) -> str:
    return chr(ord(match[0]) - 0xF0000)


def _text(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        codec = "utf-16"
    elif data.startswith(codecs.BOM_UTF8):
        codec = "utf-8"
    else:
        level = re.search(rb"UNB[^A-Za-z0-9](UNO[A-Z])", data.replace(b"\r", b"").replace(b"\n", b""))
        codec = _CODECS.get(level[1].decode(), "") if level else ""
    for attempt in (codec, "utf-8", "iso8859-1"):
        try:
            if attempt:
                return _RELEASED.sub("", data.decode(attempt).removeprefix("\ufeff"))
        except UnicodeDecodeError:
            continue  # many say one character set and send another
    raise AssertionError("every byte is a character of ISO 8859-1")


_SIGN = r"[^\w \t\n]"  # a control character is one too
#: UNA's fifth sign is kept for later in most versions, and lost on the way where it was a blank.
_UNA = re.compile(rf"UNA({_SIGN})({_SIGN})(.)(\W)(\W?)({_SIGN})[ \t]*(?=UNB\2)")
_UNA_LINES = re.compile(rf"UNA({_SIGN})({_SIGN})(.)([^\w\n])([ *])\n(?=UNB\2)")
_UNB = re.compile(rf"UNB({_SIGN})(?:UNO[A-Z]|IAT[A-Z]|KECA)(?:(?!\1)({_SIGN})([0-9]))?")


def _found(text: str, fail: Fail) -> tuple[Signs, str]:
    """The service characters and everything from ``UNB`` on, in one line."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = _UNA_LINES.search(text)
    if lines is None:
        text = text.replace("\n", "")
    una = lines or _UNA.search(text)
    unb = _UNB.search(text, una.end() if una else 0)
    if unb is None or (una is not None and unb.start() != una.end()):
        raise fail("edifact_unreadable", place="UNB", text="no interchange begins anywhere in it")
    version = int(unb[3] or 0)
    if una is not None:
        end = "\n" if lines else una[6]
        repeat = una[5].strip() if version >= 4 else ""
        signs = Signs(una[1], una[2], "" if una[4] in (" ", una[1], una[2]) else una[4], repeat, end)
    else:
        component = unb[2] or ":"
        first = re.compile(rf"(\W)\s*(?:UNG|UNH){re.escape(unb[1])}").search(text, unb.end())
        end = first[1] if first and first[1] not in (unb[1], component, " ") else "'"
        taken = {unb[1], component, end}
        repeat = "*" if version >= 4 and "*" not in taken else ""
        signs = Signs(component, unb[1], "" if "?" in taken else "?", repeat, end)
    kept = {signs.component, signs.element, signs.end, signs.release}
    # Telex and e-mail leave control characters behind.
    body = "".join(c for c in text[unb.start() :] if (c >= " " and c != "\x7f") or c in kept)
    return signs, body


def _true(segments: list[Segment], counts: str, fail: Fail) -> None:
    """Hold the counts and references of the service segments against what they close."""
    if not any(segment.tag == "UNH" for segment in segments):
        raise fail("file_truncated", place="UNH", text="the interchange holds no message")
    since: dict[str, tuple[Segment, int]] = {}
    held = {"UNT": 0, "UNE": 0, "UNZ": 0}
    for number, segment in enumerate(segments):
        tag = segment.tag
        if tag in ("UNH", "UNE", "UNZ") and since.pop("UNH", None) is not None:
            _policy(counts, fail, "UNT", "is missing", "file_truncated")
        if tag in _SERVICE_ENDS.values():
            since[tag] = segment, number
            if tag != "UNB":
                held["UNE" if tag == "UNH" and "UNG" in since else "UNZ"] += 1
            if tag == "UNG":
                held["UNE"] = 0
        elif tag in _SERVICE_ENDS:
            begun = since.pop(_SERVICE_ENDS[tag], None)
            if begun is None:
                raise fail("file_truncated", place=tag, text=f"{tag} stands where nothing is to be ended")
            true = number - begun[1] + 1 if tag == "UNT" else held[tag]
            said = segment.get((1, 1, 1)).strip()
            if not said.isdigit() or int(said) != true:
                _untrue(counts, fail, f"{tag}/1", said if said.isdigit() else "nothing", true)
            reference = (5, 1, 1) if tag != "UNT" else (1, 1, 1)
            if segment.get((2, 1, 1)).strip() != begun[0].get(reference).strip():
                _policy(counts, fail, f"{tag}/2", f"is not the reference of its {_SERVICE_ENDS[tag]}")
    if "UNH" in since:
        raise fail("file_truncated", place="UNT", text="a message ends without its UNT")
    for tag in ("UNG", "UNB"):
        if tag in since:
            end = next(end for end, begin in _SERVICE_ENDS.items() if begin == tag)
            _policy(counts, fail, end, "is missing", "file_truncated")


def _untrue(counts: str, fail: Fail, place: str, said: Any, true: Any) -> None:
    if counts == "strict":
        raise fail("file_totals", place=place, text=f"must be {true}, is {said}", expected=said, found=true)
    log.warning("edifact_counts", place=place, expected=said, found=true)


def _policy(counts: str, fail: Fail, place: str, text: str, code: str = "edifact_reference") -> None:
    if counts == "strict":
        raise fail(code, place=place, text=text)
    log.warning("edifact_counts", place=place, code=code)


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
        if segment.tag in _SERVICE_ENDS:
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
        if isinstance(rule, Always) and segment.tag in _SERVICE and (segment.tag, where) != ("UNH", (2, 1, 1)):
            values[rule.place] = rule.text  # versions and character sets of theirs are their own affair
        elif text := segment.get(where).strip():
            values[rule.place] = text


def _complete(scope: Scope, values: dict[str, Any]) -> None:
    """What always stands in a segment that may be absent is not missed where the segment is."""
    for kind in scope.kinds.values():
        if kind.rule is None and kind.way not in values and (kind.may_be_absent or kind.segment[:3] in _SERVICE):
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
    una = spec.una or ":+.? '"
    signs = Signs(una[0], una[1], una[3], una[4].strip(), una[5])
    fits = _fitting(spec)
    parts = [f"UNA{una}{spec.newline}"] if spec.una else []
    for segment in _closed(_segments(scope(spec.rules, "write"), values, fits, fail)):
        parts.append(_rendered(segment, signs) + signs.end + spec.newline)
    return "".join(parts).encode(codec(spec))


def syntax_level(spec: Spec) -> str:
    """The syntax identifier that the map writes into ``UNB``: what characters there may be."""
    for rule in every_rule(spec):
        if isinstance(rule, Always) and rule.text and re.fullmatch(r"UNB(\+.*)?/1(\.1|\.\*)?", rule.place):
            return rule.text.partition(":")[0]
        if rule.place.startswith("UNB+"):
            return rule.place[4:].partition("/")[0].partition(":")[0]
    return "UNOB"


def codec(spec: Spec) -> str:
    """The encoding of the map's syntax level."""
    return _CODECS.get(syntax_level(spec), "ascii")


def letters(spec: Spec) -> str | None:
    """The characters of the map's syntax level, None where all of its encoding are."""
    allowed = _LEVELS.get(syntax_level(spec))
    return "".join(sorted(allowed)) if allowed is not None else None


def _fitting(spec: Spec) -> Callable[[str], bool]:
    """Whether a text can be written at the map's syntax level."""
    allowed, encoding = letters(spec), codec(spec)

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


def _closed(segments: Iterable[Segment]) -> Iterator[Segment]:
    """*segments* with the ends of messages, groups and the interchange, counted."""
    opened: list[tuple[str, str, int]] = []  # what was begun: its end, its reference, how many it holds so far

    def close(until: str) -> Iterator[Segment]:
        while opened and (not until or opened[-1][0] in until):
            end, reference, holds = opened.pop()
            yield Segment(end, [[[str(holds + (end == "UNT"))]], [[reference]]])

    for segment in segments:
        tag = segment.tag
        if tag in ("UNH", "UNG"):
            yield from close("UNT" if tag == "UNH" else "UNT UNE")
            if opened:
                opened[-1] = (*opened[-1][:2], opened[-1][2] + 1)
        if tag in ("UNB", "UNG", "UNH"):
            end = next(end for end, begin in _SERVICE_ENDS.items() if begin == tag)
            opened.append((end, segment.get((1, 1, 1) if tag == "UNH" else (5, 1, 1)), 0))
        if opened and opened[-1][0] == "UNT":
            opened[-1] = (*opened[-1][:2], opened[-1][2] + 1)
        yield segment
    yield from close("")


def _rendered(segment: Segment, signs: Signs) -> str:
    special = {sign for sign in (signs.component, signs.element, signs.repeat, signs.end, signs.release) if sign}

    def safe(text: str) -> str:
        return "".join(signs.release + c if c in special else c for c in text)

    def joined(repeat: list[str]) -> str:
        last = max((number for number, part in enumerate(repeat, 1) if part), default=0)
        return signs.component.join(safe(part) for part in repeat[:last])

    elements = [signs.repeat.join(joined(repeat) for repeat in element) for element in segment.elements]
    while elements and not elements[-1]:
        elements.pop()
    return signs.element.join([segment.tag, *elements])


def same(one: bytes, other: bytes) -> bool:
    """Whether two interchanges say the same, wherever their lines break."""
    return list(parse(one, _unreadable)) == list(parse(other, _unreadable))


def _unreadable(code: str, **where: Any) -> MapError:
    return MapError(code, path="", **where)
