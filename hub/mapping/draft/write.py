"""A draft as YAML that a person goes on with: rules for what is known, ``todo`` with what is known for the rest."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from hub.canonical.declare import Shape
from hub.mapping import forms
from hub.mapping.draft import guess as guessing
from hub.mapping.draft import page
from hub.mapping.draft.guess import Guess
from hub.mapping.draft.wire import Place, Refused, Wire
from hub.mapping.model import Form

_NAMES = {"xml": re.compile(r"\.|@?[A-Za-z_][\w.-]*"), "json": re.compile(r"[^/\s](?:[^/]*[^/\s])?")}
_COUNTING = {"count", "number", "total", "nb", "nof", "num", "of", "quantity", "qty", "عدد"}
_ITEMS = ("transactions", "records", "lines", "rows", "items", "entries", "details")
_ISO = "YYYY-MM-DDThh:mm:ssZ"


def speakable(name: str, format: str) -> bool:
    """Whether a place of a map in *format* can be called *name*."""
    return format not in _NAMES or (_NAMES[format].fullmatch(name) is not None and name.isprintable())


@dataclass(slots=True)
class _Draft:
    wire: Wire
    cls: type
    tables: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    default: str | None = None
    lines: list[page.Line] = field(default_factory=list)

    # --- scopes ---------------------------------------------------------------------------------------------------

    def scope(self, places: list[Place], guess: Guess | None, depth: int, way: str = "", known: bool = True) -> None:
        """The rules of *places*, then one comment that names the optional ones left out."""
        left: list[str] = []
        self.level(places, guess, depth, way, left)
        if left and known:
            said = ", ".join(left[:40]) + (f" and {len(left) - 40} more" if len(left) > 40 else "")
            self.lines.append(page.Line(depth, "", comment=f"optional, left out: {said}"))

    def level(self, places: list[Place], guess: Guess | None, depth: int, way: str, left: list[str]) -> None:
        seen: set[str] = set()
        for place in places:
            if place.name in seen:
                self.lines.append(
                    page.Line(depth, "", comment=f"{way}{place.name} stands again here: one map names it once")
                )
                continue
            seen.add(place.name)
            forced = self.forced(place, places, guess)
            if not self.wanted(place, guess) and not forced:
                left.append(way + place.name)
                continue
            self.place(place, guess, depth, way, left)

    def forced(self, place: Place, beside: list[Place], guess: Guess | None) -> bool:
        """Whether *place* is the first of several of which one must stand there, and none is known."""
        if not place.either or place.either[0] != place.name:
            return False
        return not any(self.wanted(other, guess) for other in beside if other.either == place.either)

    def wanted(self, place: Place, guess: Guess | None) -> bool:
        return place.required or self.known(place, guess)

    def known(self, place: Place, guess: Guess | None) -> bool:
        if guess is None or place.blocked:
            return False
        if id(place) in guess.leaves or id(place) in guess.lists:
            return True
        return not place.many and any(self.known(child, guess) for child in place.children)

    def place(self, place: Place, guess: Guess | None, depth: int, way: str, left: list[str]) -> None:
        full = way + self.named(place) if speakable(place.name, self.wire.format) else way + place.name
        if not speakable(place.name, self.wire.format):
            # It is not asked again whether it is required: no rule could name it.
            self.lines.append(page.Line(depth, "", comment=f"{full}: a name that no place can spell"))
            return
        either = f"one of {', '.join(dict.fromkeys(place.either))}" if len(place.either) > 1 else ""
        if place.blocked:
            self.add(depth, full, "todo", _said(place.blocked, either))
        elif place.many:
            self.many(place, guess, depth, full, either)
        else:
            before = len(self.lines)
            inner = [child for child in place.children if child.name.startswith("@") or place.kind is None]
            if place.note and place.kind is None:
                self.lines.append(page.Line(depth, "", comment=f"{full}: {place.note}"))
            if place.kind is not None:
                self.leaf(place, guess, depth, full, either)
            elif not inner:
                self.add(depth, full, "todo", _said(_about(place), either))
            self.level(inner, guess, depth, full + "/", left)
            if not any(line.key for line in self.lines[before:]) and self.wire.format == "xml":
                # The schema asks for the element although nothing inside it is asked for.
                self.add(depth, full, "todo", _said(f"holds {_names(inner)}", either))

    def many(self, place: Place, guess: Guess | None, depth: int, full: str, either: str) -> None:
        name, inner = guess.lists.get(id(place), (None, None)) if guess is not None else (None, None)
        wanted = place.kind is not None or any(child.required or child.either for child in place.children)
        if name is None and not wanted:
            self.add(depth, full, "todo", _said(f"stands many times; holds {_names(place.children)}", either))
            return
        self.add(depth, full, "", _said(place.note, either))
        self.add(depth + 1, "each", name or "todo", "" if name else "a list of ours, if there is one")
        self.add(depth + 1, "fields", "")
        before = len(self.lines)
        if place.kind is not None:
            self.leaf(place, inner, depth + 2, ".", "")
        self.scope(place.children, inner, depth + 2, known=name is not None)
        if not any(line.key for line in self.lines[before:]):
            del self.lines[before - 3 :]
            self.add(depth, full, "todo", _said(f"stands many times; holds {_names(place.children)}", either))

    def named(self, place: Place) -> str:
        """The place's name with the prefix of its namespace."""
        mark, name = ("@", place.name[1:]) if place.name.startswith("@") else ("", place.name)
        if self.wire.format != "xml" or place.name == "." or place.namespace == (None if mark else self.default):
            return place.name
        return f"{mark}{self.prefix(place.namespace)}:{name}"

    def prefix(self, namespace: str | None) -> str:
        assert namespace is not None
        if namespace not in self.prefixes:
            words = [word for word in re.findall(r"[a-z][a-z0-9]*", namespace.lower()) if len(word) > 1]
            called = next((word for word in reversed(words) if not word.startswith("xml")), "ns")[:12]
            taken = set(self.prefixes.values())
            number = 1
            while f"{called}{number if number > 1 else ''}" in taken:
                number += 1
            self.prefixes[namespace] = f"{called}{number if number > 1 else ''}"
        return self.prefixes[namespace]

    def root(self) -> str:
        """The way to the body, and with it the namespace that names without a prefix are in."""
        if _unqualified(self.wire.places):
            # No prefix can stand for no namespace: then it is what a name without a prefix means.
            self.default = None
        else:
            self.default = self.wire.namespace
        steps = [Place(name=step, namespace=self.wire.namespace) for step in self.wire.root.split("/")]
        return "/".join(self.named(step) for step in steps)

    # --- leaves ---------------------------------------------------------------------------------------------------

    def leaf(self, place: Place, guess: Guess | None, depth: int, full: str, either: str) -> None:
        if place.always is not None:
            quoted = place.always.replace("'", "''")
            self.add(depth, full, f"= '{quoted}'", _said(place.note, either))
            return
        found = guess.leaves.get(id(place)) if guess is not None else None
        rule = self.pair(place, *found) if found is not None else self.counted(place, guess)
        if rule is None:
            self.add(depth, full, "todo", _said(_about(place), either))
        else:
            self.add(depth, full, rule[0], _said(rule[1], place.note, either))

    def counted(self, place: Place, guess: Guess | None) -> tuple[str, str] | None:
        """``= count(LIST)`` where the scope has one list and *place* is called the number of something."""
        if (
            guess is None
            or len(guess.lists) != 1
            or place.values
            or self.wire.lines
            or (place.kind or "") not in ("integer", "text")
        ):
            return None
        said = set(guessing.words(place.name.replace("Nb", "Number").replace("Tx", "Transaction")))
        if not said & _COUNTING or said & {"id", "code", "type", "reference", "ref", "phone"}:
            return None
        ((name, _),) = guess.lists.values()
        if not said - _COUNTING or any(
            word[:4] == other[:4] for word in said - _COUNTING for other in [*guessing.words(name), *_ITEMS]
        ):
            text = self.wire.format == "json" and not place.number
            return f"= count({name}){' | text' if text else ''}", "as its name says"
        return None

    def pair(self, place: Place, name: str, shape: Shape) -> tuple[str, str] | None:
        """The rule for *place* as our field *name*, and what is to be said of it; None where no form carries it."""
        if place.values and shape.one_of:
            return f"{name} | table {self.table(place, name, shape)}", ""
        width = None
        if self.wire.format == "fixed":
            first, _, last = place.name.partition("-")
            width = int(last) - int(first) + 1
        for form, remark in _forms(place, shape, self.wire.format):
            if forms.misfit(form, name, shape, self.wire.format, width) or forms.loses(form, name, shape):
                continue
            return (f"{name} | {form}" if form is not None else name), _said(remark, self.remark(place, shape))
        return None

    def remark(self, place: Place, shape: Shape) -> str:
        if shape.one_of:
            return f"ours: {_few(shape.one_of)}; where theirs are codes, a table"
        if place.values and not place.seen:
            return f"theirs: {_few(place.values)}"
        if shape.kind == "text" and shape.pattern == "[A-Z]{1,3}" and (place.longest or 3) < 3:
            return "two letters: ours are alpha-3, so a table (states_alpha2.csv)"
        if not shape.optional and not place.required:
            return "theirs may leave it out, ours is required"
        return ""

    def table(self, place: Place, name: str, shape: Shape) -> str:
        """The name of the code table of *place*, made where there is none like it."""
        assert shape.one_of is not None
        codes = [
            (value, guessing.code(value, shape.one_of) or "todo")
            for value in dict.fromkeys(place.values)
            if value.strip()
        ]
        missing = [one for one in shape.one_of if one not in {ours for _, ours in codes}]
        if missing and all(ours != "todo" for _, ours in codes):
            codes.append(("partial", f"todo: they have no code for {', '.join(missing)}"))
        called = name.rpartition(".")[2].replace("_", " ")
        number = 1
        while self.tables.setdefault(called, codes) != codes:
            number += 1
            called = f"{called.rstrip(' 0123456789')} {number}"
        self.comments[called] = _said(
            f"ours: {_few(shape.one_of, 24)}", "theirs as seen in the sample: there may be more" if place.seen else ""
        )
        return called

    def add(self, depth: int, key: str, value: str, comment: str = "") -> None:
        self.lines.append(page.Line(depth, page.scalar(key), value and page.value(value), comment))

    # --- the whole ------------------------------------------------------------------------------------------------

    def records(self, guesses: list[Guess | None]) -> None:
        for line, guess in zip(self.wire.lines, guesses, strict=True):
            self.add(1, line.name, "")
            inner = guess
            if line.many:
                name, inner = guess.lists[id(line)] if guess is not None else ("todo", None)
                self.add(2, "each", name)
            self.add(2, "fields", "")
            for place in line.places:
                if place.blocked:
                    self.add(3, place.name, "todo", place.blocked)
                else:
                    self.leaf(place, inner, 3, place.name, "")


def written(
    wire: Wire, cls: type, *, near: list[str], guessed: bool, schema: str | None, unusable: str, lacking: list[str],
    fields: list[Guess | None],
) -> str:  # fmt: skip
    """The draft as YAML.  *lacking* are our required fields that have no place; *fields* the guess of each scope."""
    if not all(speakable(step, "xml") for step in wire.root.split("/") if step):
        raise Refused(f"element '{wire.root}'", "a name that no place can spell")
    draft = _Draft(wire, cls)
    root = draft.root()
    if wire.lines:
        draft.records(fields)
    else:
        draft.scope(wire.places, fields[0], 1)
    if not any(line.key for line in draft.lines):
        # A contract that requires nothing of a message says nothing by it: then all that it names is to be decided on.
        draft.lines.clear()
        _insist(wire.places)
        draft.scope(wire.places, fields[0], 1)
    if not any(line.key for line in draft.lines):
        raise Refused(wire.said, "it holds no place that a map could name")
    out = [
        "# A draft. Decide every `todo`, delete the line `draft:`, put an example pair into examples/, and let",
        "# `hub map check` and `hub map try` say what is still wrong.",
        *page.wrapped([f"note: {note}" for note in dict.fromkeys(wire.notes)]),
    ]
    if unusable:
        out += page.wrapped([f"note: no schema: line, {unusable}"])
    if lacking:
        out += page.wrapped([f"of ours still without a place: {', '.join(lacking)}"])
    remark = ""
    if guessed:
        alike = any(one is not None and one.score for one in fields)
        remark = "guessed from names" if alike else "nothing tells which of ours this is: name it with --message"
        remark += f"; near to it: {', '.join(near)}" if near and alike else ""
    out.append(page.commented(f"message: {cls.__name__}", remark))
    out.append(f"format: {wire.format}")
    out.append(f"draft: {page.quoted(wire.said)}")
    if wire.format == "xml":
        out += [f"namespace: {draft.default}"] if draft.default else []
        spaces = ", ".join(f"{prefix}: {page.quoted(uri)}" for uri, prefix in draft.prefixes.items())
        out += [f"namespaces: {{{spaces}}}"] if spaces else []
        out.append(f"root: {root}")
        out += [f"schema: {schema}"] if schema else []
    if wire.format in ("fixed", "csv"):
        out += [f"encoding: {wire.encoding}"] if wire.encoding != "utf-8" else []
        out += ["newline: crlf"] if wire.crlf else []
    if wire.format == "csv" and wire.delimiter != ",":
        out.append("delimiter: tab" if wire.delimiter == "\t" else f'delimiter: "{wire.delimiter}"')
    if wire.format == "fixed":
        out.append(f"length: {wire.length}")
    if draft.tables:
        out += ["", "tables:                         # theirs: ours"]
        for name, codes in draft.tables.items():
            out += page.table(name, codes, draft.comments.get(name, ""))
    out += [
        "",
        "records:" if wire.lines else "fields:                         # theirs: ours | form, in the order of the wire",
    ]
    out += page.aligned(draft.lines)
    return "\n".join(out) + "\n"


def _unqualified(places: list[Place]) -> bool:
    return any(
        not place.name.startswith("@") and (place.namespace is None or _unqualified(place.children)) for place in places
    )


def _insist(places: list[Place]) -> None:
    for place in places:
        place.required, place.note = True, _said("optional" if not place.required else "", place.note)
        if not any(child.required for child in place.children):
            _insist(place.children)


def _forms(place: Place, shape: Shape, format: str) -> Iterator[tuple[Form | None, str]]:
    """The forms in which *place* may hold a value of *shape*, the likeliest first, each with what is to be said."""
    kind = shape.kind
    said, _, pattern = (place.pattern or "").partition(" ")
    if kind == "date":
        if said in ("date", "hijri"):
            sure = "" if pattern.startswith("YYYY") else "day and month as they seem"
            if not (format in ("xml", "json") and place.pattern == "date YYYY-MM-DD"):
                yield Form(said, pattern), sure
        unsure = "" if place.kind == "date" else "how do they write dates?"
        if format in ("xml", "json"):
            yield None, unsure
        yield Form("date", "YYYYMMDD" if format == "fixed" else "YYYY-MM-DD"), unsure
    elif kind == "datetime":
        if said == "datetime":
            zone = "" if pattern.endswith("Z") else "taken for UTC: name their zone behind the pattern"
            yield Form(said, pattern), zone
        yield Form("datetime", _ISO), "" if place.kind == "datetime" else "how do they write moments?"
    elif kind == "decimal":
        if format == "json":
            yield Form("number" if place.number else "text"), ""
            yield Form("text"), "they send a number, which carries 15 digits exactly"
        if format == "fixed":
            yield Form("decimal", str(shape.places or 0)), "is the point implied?"
        yield None, ""
        yield Form("text"), ""
    elif kind == "integer":
        if format == "json":
            yield (None if place.number else Form("text")), ""
        if format == "fixed":
            yield Form("digits"), ""
        yield None, ""
        yield Form("number"), ""
    else:
        yield None, ""
        yield Form("text"), ""


def _about(place: Place) -> str:
    """What is known of a place that nobody has decided on."""
    kind = {None: "", "text": "text"}.get(place.kind, str(place.kind))
    if place.pattern:
        kind = place.pattern
    if place.longest:
        kind += f", at most {place.longest}"
    return _said(
        kind if place.required else f"{kind}, optional" if kind else "optional",
        # What stood in a sample may be somebody's.
        _few(place.values) if place.values and not place.seen else "",
        place.note,
    )


def _names(places: list[Place]) -> str:
    return _few(tuple(place.name for place in places))


def _few(values: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(values[:most]) + (f" and {len(values) - most} more" if len(values) > most else "")


def _said(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
