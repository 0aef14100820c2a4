"""A map as its file says it: pairs of places and fields, groups, lists and what always stands somewhere."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from lxml import etree

from hub import adapter
from hub.canonical.declare import Shape

log = logging.getLogger(__name__)
#: So many unknown names are kept, and only such as no value of a person's would look like.
_NOTICED = 100
_PLAIN_NAME = re.compile(r"@?[^\W\d][\w .:/@-]{0,79}")

Format = Literal["xml", "json", "fixed", "csv", "edifact", "mt940", "mt942", "delimited"]
Direction = Literal["write", "read"]
Unknown = Literal["refuse", "ignore", "warn"]
#: What a count or a sum is of: the list, and the summed field or None for a count.
Total = tuple[str, str | None]
#: Where a rule says nothing, which is not the same as none.
MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Field:
    """A canonical field seen from its scope: ``passport.number`` with the shapes on the way to it."""

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]

    @property
    def shape(self) -> Shape:
        return self.shapes[-1]

    @property
    def optional(self) -> bool:
        return any(shape.optional for shape in self.shapes)

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Form:
    """``past``: a year of two digits is the latest that lies not after today.  ``brought`` is what the adapter's own
    code does with a value, where it says so."""

    name: str
    argument: str = ""
    zone: ZoneInfo | None = None
    past: bool = False
    brought: adapter.Form | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.argument}{' past' if self.past else ''}".strip()

    @property
    def places(self) -> int:
        """Of ``decimal N``: how many."""
        return int(self.argument[0])

    @property
    def point(self) -> str:
        """Of ``decimal N ,``: the sign between whole and decimals, '' where none is said."""
        return self.argument[2:]


@dataclass(frozen=True, slots=True)
class When:
    field: Field
    value: Any
    negated: bool


@dataclass(frozen=True, slots=True)
class Code:
    """One row of a code table; *since* and *until* are the first and the last day on which it holds."""

    theirs: str
    ours: str
    line: int
    since: date = date.min
    until: date = date.max


@dataclass(frozen=True, slots=True)
class Table:
    """A code table.

    ``read`` maps theirs to ours, ``write`` ours to the first of theirs, ``lines`` theirs to its line in the map.
    """

    name: str
    line: int
    read: Mapping[str, str]
    write: Mapping[str, str]
    lines: Mapping[str, int]
    partial: str | None
    #: The days on which something of it begins or ends; ``read`` and ``write`` are those of one day then.
    days: tuple[date, ...] = ()
    codes: tuple[Code, ...] = ()


@dataclass(slots=True, kw_only=True)
class Rule:
    """One line of a map.  ``place`` is relative to its scope, ``full`` is the whole way, for people."""

    place: str
    full: str
    line: int
    columns: tuple[int, int] | None = None

    @property
    def width(self) -> int | None:
        return self.columns and self.columns[1] - self.columns[0] + 1


@dataclass(slots=True, kw_only=True)
class Todo(Rule):
    """A place of a draft that nobody has decided on yet."""


@dataclass(slots=True, kw_only=True)
class Blank(Rule):
    """A place that is known and nothing to us: passed over when read, and nothing is written to it."""


@dataclass(slots=True, kw_only=True)
class Pair(Rule):
    field: Field
    #: Other places where it may stand when read.
    others: tuple[str, ...] = ()
    form: Form | None = None
    default: Any = MISSING
    otherwise: tuple[Field, Form | None] | None = None
    only: Direction | None = None
    lossy: str | None = None

    @property
    def may_be_empty(self) -> bool:
        """Whether there may be nothing to write."""
        return self.field.optional and (self.otherwise is None or self.otherwise[0].optional)


@dataclass(slots=True, kw_only=True)
class Always(Rule):
    """``= 'TEXT'``, ``= count(LIST)`` or ``= sum(LIST.FIELD)``: written, and compared when read."""

    text: str | None = None
    each: Field | None = None
    summed: Shape | None = None
    form: Form | None = None

    @property
    def total(self) -> Total:
        return str(self.each), None if self.summed is None else self.summed.name


@dataclass(slots=True, kw_only=True)
class Group(Rule):
    field: Field
    rules: list[Rule]
    when: When | None = None


@dataclass(slots=True, kw_only=True)
class Each(Rule):
    field: Field
    rules: list[Rule]
    #: Whether what holds the items may itself stand many times: read, they are taken together; written, it stands once.
    gathered: bool = False
    #: So many there must be.
    least: int = 0


@dataclass(slots=True, kw_only=True)
class Record:
    """One kind of line of a file.

    ``each`` is the list that it repeats for, ``group`` the part that it is where it may be missing; a line with neither
    stands once.  ``part`` is the class whose fields its rules name, ``parent`` the place among the map's kinds of the
    record that it belongs to (-1: the message itself), ``records`` what belongs to it and follows it.
    """

    name: str
    line: int
    part: type
    parent: int = -1
    each: Field | None = None
    group: Field | None = None
    rules: list[Rule] = field(default_factory=list)
    records: list["Record"] = field(default_factory=list)
    length: int = 0

    @property
    def whole(self) -> bool:
        """Whether a line of it is an object by itself."""
        return not self.records and (self.each is not None or self.group is not None)


@dataclass(slots=True, kw_only=True)
class Spec:
    """A whole map, read and checked."""

    path: Path
    shown: str
    name: str
    version: int
    message: type
    message_line: int
    format: Format
    namespace: str | None = None
    #: The namespaces of prefixed names, and those whose elements are taken for ours when read.
    namespaces: dict[str, str] = field(default_factory=dict)
    accepts: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    #: Other ways to the root, for reading.
    roots: tuple[tuple[str, ...], ...] = ()
    schema: Path | None = None
    validator: etree.XMLSchema | None = None
    encoding: str = "utf-8"
    newline: str = "\n"
    delimiter: str = ","
    length: int = 0
    fields_line: int = 1
    #: On which line each key of the file's head stands.
    lines: dict[str, int] = field(default_factory=dict)
    #: Edifact: the service characters that are written, with ``UNA``; None for the standard's, without.
    una: str | None = None
    #: Edifact, mt940, mt942: what becomes of a file whose own counts and sums are not true.
    counts: Literal["strict", "warn"] = "strict"
    tables: dict[str, Table] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    #: Rules of the same message whose places lie in the header of a SOAP envelope of version ``soap``.
    header: list[Rule] = field(default_factory=list)
    soap: str = "1.1"
    records: list[Record] = field(default_factory=list)
    #: All records, each before those that belong to it, and what the totals of each of them start from.
    kinds: list[Record] = field(default_factory=list)
    totals: dict[int, dict[Total, Any]] = field(default_factory=dict)
    #: Fixed and csv: what one file may do differently from another.
    any_order: bool = False
    continuation: str = ""
    filler: str = ""
    block: int = 0
    heading: bool = True
    quote: str = '"'
    quote_all: bool = False
    skip: int = 0
    footer: int = 0
    terminator: str = ""
    #: What becomes of elements, members and columns that the map does not know.
    unknown: Unknown = "ignore"
    #: What the map was drafted from, while it is a draft: what is still to do only warns, and it is never used.
    draft: str | None = None
    #: Why a draft cannot be tried yet.
    unready: str | None = None
    #: Codes of tables that are still to do: their lines and what is said of them.
    todo: dict[int, str] = field(default_factory=dict)
    #: False where a record could not be read: what the file lacks as a whole cannot be told then.
    understood: bool = True
    #: What the partner's schema asks beyond ours, by the rule's line: never empty, no longer than.
    needed: set[int] = field(default_factory=set)
    longest: dict[int, int] = field(default_factory=dict)

    #: What the partner sent that the map does not know, and how often, where ``unknown`` is ``warn``.
    noticed: dict[str, int] = field(default_factory=dict)

    def notice(self, name: str) -> None:
        if name in self.noticed:
            self.noticed[name] += 1
        elif len(self.noticed) < _NOTICED and _PLAIN_NAME.fullmatch(name):
            self.noticed[name] = 1
            log.warning("%s: the partner sent %s, which the map does not know", self.shown, name)

    @property
    def cells(self) -> Format:
        """The format as far as single values go: what only machines write has none of a spreadsheet's perils."""
        return self.format if self.heading else "delimited"

    def tag(self, name: str) -> str:
        """An element's *name* as lxml writes it."""
        prefix, _, local = name.rpartition(":")
        namespace = self.namespaces.get(prefix) if prefix else self.namespace
        return f"{{{namespace}}}{local}" if namespace else local

    def attribute(self, name: str) -> str:
        """An attribute's *name* as lxml writes it: without a prefix it is in no namespace."""
        return self.tag(name) if ":" in name else name


def rules_for(rules: list[Rule], direction: Direction) -> list[Rule]:
    """The rules of one scope that take part in one direction."""
    other = "read" if direction == "write" else "write"
    return [
        rule
        for rule in rules
        if not (isinstance(rule, Pair) and rule.only == other) and not (isinstance(rule, Blank) and other == "read")
    ]


def decided(rules: list[Rule]) -> list[Rule]:
    """*rules* without what is still to do, and without the groups and lists that hold nothing else."""
    found: list[Rule] = []
    for rule in rules:
        if isinstance(rule, Group | Each):
            rule.rules = decided(rule.rules)
            if not rule.rules:
                continue
        if not isinstance(rule, Todo):
            found.append(rule)
    return found


def every_rule(spec: Spec) -> Iterator[Rule]:
    """All rules, nested ones after the one that holds them."""
    yield from _below(spec.rules)
    yield from _below(spec.header)
    for record in spec.kinds:
        yield from _below(record.rules)


def _below(rules: list[Rule]) -> Iterator[Rule]:
    for rule in rules:
        yield rule
        if isinstance(rule, Group | Each):
            yield from _below(rule.rules)


Report = Callable[[int, str], None]
