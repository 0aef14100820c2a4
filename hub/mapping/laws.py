"""The laws that every map keeps, with no test code a partner, and its example pairs.

1. ``read(write(c)) == c`` for every message *c* of the map's domain (fields marked ``lossy`` or ``only`` left out).
2. ``write(read(w)) == w`` for every *w* that was written.
3. ``write(c)`` is valid by the partner's schema.
4. A damaged wire gives a located error or a message that obeys its declaration, never a stray exception.

The domain is what the canonical declaration allows and the map can carry: widths, encoding, codes, Hijri range,
``when``.  The laws cannot see an invertible misunderstanding (day and month swapped): that is what example pairs are
for, the partner's own sample beside our canonical form of it.  hypothesis is needed here and nowhere else in the hub.
"""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lxml import etree

from hub.canonical.declare import Shape, faults, wrong_value
from hub.canonical.errors import HubError
from hub.canonical.names import western_digits
from hub.canonical.schema import undump
from hub.mapping import edifact, interchange, mt, shown
from hub.mapping.cells import unguard
from hub.mapping.compiled import Map
from hub.mapping.files import assembled
from hub.mapping.model import MISSING, Each, Form, Group, Pair, Rule, Spec, every_rule
from hub.security import xml

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_HIJRI = date(1924, 8, 1), date(2077, 11, 16)
_DATES = date(1900, 1, 1), date(2199, 12, 31)
_WHERE_THE_SCHEMA_IS = {
    f"{{http://www.w3.org/2001/XMLSchema-instance}}{name}" for name in ("schemaLocation", "noNamespaceSchemaLocation")
}
_MT_DATES = date(2000, 1, 1), date(2099, 12, 31)


def hold(map_: Map, examples: int = 100) -> None:
    """Try all four laws on *map_* with so many messages.

    Raises what a law raises (AssertionError, MapError …), with the smallest message that breaks it as a note.
    """
    from hypothesis import HealthCheck, assume, given, settings
    from hypothesis import strategies as st

    setting = settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    edits = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4)
    map_ = map_.at()
    two_ways = not _only_inbound(map_.spec)

    @setting
    @given(messages(map_), edits)
    def laws(message: Any, damage: list[tuple[int, int, int]]) -> None:
        try:
            wire = map_.write(message)
        except HubError as error:
            # What the schema restricts beyond our reach is refused when written: that is its place, and not our domain.
            # A map of which nearly every message were refused fails hypothesis's own health check.
            assume(error.code not in ("map_schema", "map_delimiter", "map_form"))
            raise
        if two_ways:
            round_trip(map_, message, wire)
        unharmed(map_, damaged(wire, damage))

    laws()


def round_trip(map_: Map, message: Any, wire: bytes) -> None:
    """Laws 1 and 2 for one message and its wire."""
    again = map_.read(wire)
    assert not list(faults(again)), f"{map_.name}: what was read breaks its declaration"
    assert _same_scope(_scope(map_.spec), message, again), f"{map_.name}: read(write(c)) is not c"
    assert map_.write(again) == wire, f"{map_.name}: write(read(w)) is not w"


def unharmed(map_: Map, wire: bytes) -> None:
    """Law 4 for one damaged wire."""
    try:
        message = map_.read(wire)
    except HubError:
        return
    broken = [f"{wrong.where} {wrong.rule}" for wrong in faults(message)]
    assert not broken, f"{map_.name}: a damaged wire was read as {broken}"


def damaged(wire: bytes, edits: Iterable[tuple[int, int, int]]) -> bytes:
    """*wire* with each edit (what, where, byte) done to it: changed, cut out, put in, cut off, doubled."""
    data = bytearray(wire)
    for what, where, byte in edits:
        at = where % (len(data) or 1)
        if what == 0 and data:
            data[at] = byte
        elif what == 1:
            del data[at : at + 1 + byte % 16]
        elif what == 2:
            data[at:at] = bytes([byte])
        elif what == 3:
            del data[at:]
        else:
            data[at:at] = data[at : at + 1 + byte]
    return bytes(data)


# --- example pairs ------------------------------------------------------------------------------------------------


def example(map_: Map, sample: Path) -> None:
    """Hold *map_* to the pair of *sample* and the ``.canonical.json`` beside it, both ways.

    The canonical form is that of ``hub.canonical.schema.dump``; ``"date_order"`` beside its fields is what the partner
    declares, ``"only": "read"`` marks a sample that we would not write so (a synonym of a code, half a second).
    A csv file under another heading than ours, and a spreadsheet, are not written either.  What is not compared as it
    stands is still written and read back.  Raises AssertionError, or what reading and writing raise.
    """
    canonical = sample.with_name(sample.name.removesuffix(sample.suffix) + ".canonical.json")
    given = json.loads(canonical.read_text("utf-8"))
    order, only = given.pop("date_order", None), given.pop("only", None)
    wanted: Any = undump(map_.message, {"schema": 1, **given})
    data = sample.read_bytes()
    assert map_.read(data, date_order=order) == wanted, f"{sample.name} is not read as {canonical.name} says"
    written = map_.write(wanted)
    if only == "read" or (map_.format == "csv" and not _same_heading(written, data)):
        again = map_.read(written, date_order=order)
        assert again == wanted, f"{canonical.name} is not read back as it was written"
    else:
        assert _same_wire(map_, written, data), (
            f"{canonical.name} is not written as {sample.name} stands{_where(map_, written, data)}; where the partner "
            f'writes what we would not, "only": "read" in {canonical.name} says so'
        )


def _where(map_: Map, written: bytes, sample: bytes) -> str:
    """The first places in which the two differ, without what stands there."""
    ours, theirs = shown.wire(map_, written, plain=True), shown.wire(map_, sample, plain=True)
    places = list(
        dict.fromkeys(
            place for place, value in theirs + ours if (place, value) not in ours or (place, value) not in theirs
        )
    )
    return f": {', '.join(repr(place) for place in places[:5])}{' …' if places[5:] else ''}" if places else ""


def _same_heading(one: bytes, other: bytes) -> bool:
    return one.split(b"\n")[0].strip() == other.removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].strip()


def _same_wire(map_: Map, one: bytes, other: bytes) -> bool:
    if map_.format == "xml":
        return bool(_plain_xml(one) == _plain_xml(other))
    if map_.format == "json":
        return bool(
            _plain_json(json.loads(one, parse_float=Decimal)) == _plain_json(json.loads(other, parse_float=Decimal))
        )
    if map_.format == "edifact":
        return interchange.same(one, other)
    texts = [data.decode(map_.spec.encoding).removeprefix("\ufeff").replace("\r\n", "\n") for data in (one, other)]
    if map_.format == "csv":
        rows = [csv.reader(io.StringIO(text, newline=""), delimiter=map_.spec.delimiter) for text in texts]
        # Not everybody guards what looks like a formula.
        plain = [[[unguard(cell) for cell in row] for row in file] for file in rows]
        return plain[0] == plain[1]
    return texts[0].rstrip("\n") == texts[1].rstrip("\n")


def _plain_json(value: Any) -> Any:
    """*value* without the members that say nothing: none, blank, or a wrapper around nothing."""
    if isinstance(value, list):
        return [_plain_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    members = {name: _plain_json(inner) for name, inner in value.items()}
    return {name: inner for name, inner in members.items() if inner not in (None, "", {}, [])}


def _plain_xml(data: bytes) -> Any:
    root = xml.parse(data)
    if etree.QName(root).localname == "Envelope":
        root = root[-1][0]
    return _plain_element(root)


def _plain_element(element: Any) -> Any:
    """What an element says, by whatever prefixes: its name, attributes, text, and children that say something.  Where
    somebody keeps the schema is no part of it."""
    attributes = {name: value for name, value in element.attrib.items() if name not in _WHERE_THE_SCHEMA_IS}
    children = [_plain_element(child) for child in element if isinstance(child.tag, str)]
    return element.tag, attributes, (element.text or "").strip(), [child for child in children if any(child[1:])]


# --- what is compared ---------------------------------------------------------------------------------------------


def _scope(spec: Spec) -> list[Rule]:
    """The rules of the message itself; a file's records as lists and parts of it."""
    return spec.rules + spec.header + _records(spec, -1)


def _records(spec: Spec, parent: int) -> list[Rule]:
    rules: list[Rule] = []
    for kind, record in enumerate(spec.kinds):
        if record.parent != parent:
            continue
        below = record.rules + _records(spec, kind)
        where: dict[str, Any] = {"place": record.name, "full": record.name, "line": record.line, "rules": below}
        if record.each is not None:
            rules.append(Each(field=record.each, **where))
        elif record.group is not None:
            rules.append(Group(field=record.group, **where))
        else:
            rules += below
    return rules


def _same_scope(rules: list[Rule], one: Any, other: Any) -> bool:
    for rule in rules:
        if not isinstance(rule, Pair | Group | Each) or (isinstance(rule, Pair) and (rule.lossy or rule.only)):
            continue
        ours, theirs = _value(one, rule), _value(other, rule)
        if isinstance(rule, Pair) or ours is None or theirs is None:
            if ours != theirs:
                return False
        elif isinstance(rule, Group):
            if not _same_scope(rule.rules, ours, theirs):
                return False
        elif len(ours) != len(theirs) or not all(
            _same_scope(rule.rules, a, b) for a, b in zip(ours, theirs, strict=True)
        ):
            return False
    return True


def _value(message: Any, rule: Pair | Group | Each) -> Any:
    for name in rule.field.names:
        message = None if message is None else getattr(message, name)
    return message


def _only_inbound(spec: Spec) -> bool:
    """Whether something that a message must have is read and never written: such a map makes no wire of its own."""
    rules = [rule for rule in every_rule(spec) if isinstance(rule, Pair)]
    written = {rule.field for rule in rules if rule.only != "read"}
    return any(
        rule.only == "read" and not rule.field.optional and rule.default is MISSING and rule.field not in written
        for rule in rules
    )


# --- the domain ---------------------------------------------------------------------------------------------------


def messages(map_: Map) -> "SearchStrategy[Any]":
    """Messages that *map_* can carry."""
    return _objects(map_.spec, map_.message, _scope(map_.spec)).map(map_.settled)


def _objects(spec: Spec, cls: type, rules: list[Rule]) -> "SearchStrategy[Any]":
    from hypothesis import strategies as st

    uses: dict[tuple[str, ...], list[Pair]] = {}
    drawn: dict[str, Any] = {}
    for rule in rules:
        if isinstance(rule, Pair):
            uses.setdefault(rule.field.names, []).append(rule)
        elif isinstance(rule, Group | Each):
            assert rule.field.shape.part is not None
            inner = _objects(spec, rule.field.shape.part, rule.rules)
            if isinstance(rule, Each):
                drawn[str(rule.field)] = st.lists(inner, min_size=int(rule.line in spec.needed), max_size=3)
            elif rule.field.optional and rule.line not in spec.needed:
                drawn[str(rule.field)] = st.none() | inner
            else:
                drawn[str(rule.field)] = inner
    for names, pairs in uses.items():
        drawn[".".join(names)] = _leaf(spec, pairs)
    conditions = [rule for rule in rules if isinstance(rule, Group) and rule.when is not None]

    def build(flat: dict[str, Any]) -> Any:
        for group in conditions:
            if not _allowed(group, flat):
                flat = flat | {str(group.field): None}
        return assembled(cls, flat)

    return st.fixed_dictionaries(drawn).map(build)


def _allowed(group: Group, flat: dict[str, Any]) -> bool:
    assert group.when is not None
    return bool((flat.get(str(group.when.field)) == group.when.value) != group.when.negated)


def _leaf(spec: Spec, pairs: list[Pair]) -> "SearchStrategy[Any]":
    from hypothesis import strategies as st

    shape, uses = pairs[0].field.shape, [(pair.form, pair.width) for pair in pairs]
    limits = [spec.longest[pair.line] for pair in pairs if pair.line in spec.longest]
    values = _values(spec, shape, uses, limits)
    sure = any(pair.otherwise or pair.default is not MISSING or pair.line in spec.needed for pair in pairs)
    return st.none() | values if shape.optional and not sure else values


def _values(
    spec: Spec, shape: Shape, uses: list[tuple[Form | None, int | None]], limits: list[int]
) -> "SearchStrategy[Any]":
    from hypothesis import strategies as st

    names = {form.name for form, _ in uses if form is not None}
    widths = [width for _, width in uses if width is not None]
    match shape.kind:
        case "text":
            tables = [spec.tables[form.argument] for form, _ in uses if form is not None and form.name == "table"]
            if tables or shape.one_of:
                allowed = set(shape.one_of or tables[0].write)
                for table in tables:
                    allowed &= set(table.write)
                return st.sampled_from(sorted(allowed))
            return _texts(spec, shape, min([*widths, *limits, shape.longest or 200]))
        case "integer":
            room = [10**width - 1 for width in widths]
            return st.integers(shape.low or 0, min([*room, shape.high if shape.high is not None else 10**9]))
        case "decimal":
            places = min([form.places for form, _ in uses if form and form.name == "decimal"] + [shape.places or 0])
            spare = 1 + bool(shape.signed)  # a point and a sign take room too
            pointed = any(form is not None and form.name == "decimal" and form.point for form, _ in uses)
            room = [width - (0 if "decimal" in names and not pointed else spare) for width in widths] + [
                limit - 1 for limit in limits
            ]
            digits = min([*room, shape.digits or 18]) - (shape.places or 0)
            top = 10 ** (digits + places) - 1
            low = -top if shape.signed and (pointed or not ("decimal" in names and widths)) else 0
            step = Decimal(1).scaleb(-(shape.places or 0))
            return st.integers(low, top).map(lambda n: Decimal(n).scaleb(-places).quantize(step))
        case "date":
            return st.dates(*(_HIJRI if "hijri" in names else _MT_DATES if spec.format in mt.FORMATS else _DATES))
        case "datetime":
            return _moments(spec, uses)
        case _:
            return st.booleans()


def _moments(spec: Spec, uses: list[tuple[Form | None, int | None]]) -> "SearchStrategy[Any]":
    from hypothesis import strategies as st

    zones = [form.zone for form, _ in uses if form is not None and form.zone is not None]
    start = datetime(1970, 1, 1, tzinfo=UTC)
    first = 946_684_800 if spec.format in mt.FORMATS else 0
    moments = st.integers(first, 4_102_444_799).map(lambda s: start + timedelta(seconds=s))
    # The hour that a clock shows twice in autumn cannot be told apart on the wire.
    return moments.filter(lambda m: all(not m.astimezone(zone).fold for zone in zones))


def _texts(spec: Spec, shape: Shape, longest: int) -> "SearchStrategy[str]":
    from hypothesis import strategies as st

    codec = spec.encoding if spec.format in ("fixed", "csv") else "utf-8"
    if spec.format == "edifact":
        codec = interchange.encoding(edifact.syntax_level(spec))
    signs = mt.LETTERS if spec.format in mt.FORMATS else None
    if spec.format == "edifact":
        signs = interchange.letters(edifact.syntax_level(spec))
    alphabet = signs or st.characters(codec=codec, exclude_categories=("Cc", "Cs", "Co", "Cn"))
    numeric = spec.format == "csv" and shape.pattern is not None

    def fits(text: str) -> bool:
        return (
            len(text) <= longest
            and text == text.strip()
            and not any(wrong_value(shape, text, ""))
            and not (numeric and western_digits(text) != text)
        )

    made: SearchStrategy[str]
    if shape.pattern is not None:
        # A pattern may name a control character (the line feed between the lines of an MRZ): `fits` decides.
        letters = signs or st.characters(codec=codec, exclude_categories=("Cs", "Co", "Cn"))
        made = st.from_regex(shape.pattern, fullmatch=True, alphabet=letters)
    else:
        made = st.text(alphabet, min_size=shape.shortest, max_size=longest)
        made = made.map(lambda text: unicodedata.normalize("NFC", text).strip())
    return made.filter(fits)
