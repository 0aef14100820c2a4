"""Files of records: what fixed-width and comma-separated files have in common, row by row."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Any, Protocol

from hub.canonical.declare import shapes
from hub.mapping import forms
from hub.mapping.cells import unguard
from hub.mapping.errors import Bad, MapError
from hub.mapping.model import Always, Form, Pair, Spec, Todo, rules_for
from hub.mapping.source import Lines, Module, Ours, Source, Theirs, agree, same, sum_start

Locate = Callable[..., MapError]
#: The lists and fields that totals are made of: (list, summed field or None for a count).
Total = tuple[str, str | None]
#: A row that was gone through: number, raw, record, value, fault.
_Read = tuple[int, Any, int, Any, MapError | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file on its own: its value, or why it has none.

    ``number`` is the row's line in the file, as a person who opens it counts, from 1, a heading included.
    """

    number: int
    value: Any
    fault: MapError | None
    raw: Any
    _cells: Callable[[Any], dict[str, str]]

    @property
    def theirs(self) -> dict[str, str]:
        """The raw cells by our field's name, for giving a row back to whoever sent it.  Personal data."""
        return self._cells(self.raw)


class Layout(Protocol):
    """What fixed and csv do differently."""

    def lines(self, data: bytes, fail: Locate) -> Iterator[tuple[int, Any]]:
        """The rows with their numbers; raises what *fail* makes where the bytes are no such file."""

    def raw(self, rule: Pair | Always, place: int) -> tuple[str, str]:
        """The raw expression over ``m``, and the one that binds it to ``x`` and is true where nothing stands."""

    def written(self, rule: Pair, ours: Ours) -> str: ...

    def constant(self, rule: Always) -> str: ...

    def made(self, cells: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """The expression that joins the *cells* of a record, as lines."""

    def faulty(self, raw: Any) -> Bad | None:
        """Why a row cannot be looked into at all."""

    def tell(self, raw: Any) -> int | None:
        """Which record a row is, by its place among the map's; None for none."""


def write_source(spec: Spec, layout: Layout, escape: Callable[[str], str]) -> Source:
    """A module with ``w0(m)``, ``w1(m)`` … for the records."""
    source = Source(spec)
    codes = source.codes("write", escape)
    for number, record in enumerate(spec.records):
        ours = Ours(source, codes)
        cells: list[tuple[str, Any]] = []
        for rule in record.rules:
            if isinstance(rule, Todo) or (isinstance(rule, Pair) and rule.only == "read"):
                # Columns that nothing is written to are blank; a csv file does without.
                cells += [(repr(" " * rule.width), rule)] if rule.width else []
            elif isinstance(rule, Pair):
                cells.append((layout.written(rule, ours), rule))
            elif isinstance(rule, Always):
                cells.append((layout.constant(rule) if rule.text is not None else ours.always(rule)[0], rule))
        lines = layout.made(cells)
        source.add(f"def w{number}(m):")
        source.extend(ours.prelude, 1)
        source.extend(lines, 1)
    return source


def read_source(spec: Spec, layout: Layout) -> Source:
    """A module with, for each record, ``r0(m, o)`` that reads it, ``t0(m, t)`` that holds its totals against *t*, and
    ``s0(m)`` that gives the numbers which totals are made of."""
    source = Source(spec)
    codes = source.codes("read", str)
    wanted = totals(spec)
    for number, record in enumerate(spec.records):
        theirs = Theirs(source, spec.part(record), codes=codes)
        checks: Lines = []
        summands: Lines = []
        for place, rule in enumerate(rules_for(record.rules, "read")):
            if isinstance(rule, Todo):
                continue
            assert isinstance(rule, Pair | Always)
            required, absent = layout.raw(rule, place)
            if isinstance(rule, Always):
                if rule.text is not None:
                    if spec.format == "csv":
                        required = f"{source.bind(unguard)}({required})"
                    theirs.after.append((f"{source.bind(same)}({required}, {rule.text!r})", rule))
                else:
                    checks.append((_check(source, rule, required, codes), rule))
                continue
            theirs.pair(rule, required, absent)
            key = record.each is not None and (str(record.each), str(rule.field))
            if key in wanted:
                summands.append((f"{key!r}: {theirs.leaves[-1].plain},", rule))
        source.add(f"def r{number}(m, o):")
        if record.each is not None:
            source.extend(theirs.build(), 1)
        else:
            source.extend(theirs.after, 1)
            source.add(" return {")
            for leaf in theirs.leaves:
                source.add(f"  {str(leaf.field)!r}: {leaf.tolerant if leaf.field.optional else leaf.plain},", leaf.rule)
            source.add(" }")
        source.add(f"def t{number}(m, t):")
        source.extend([*checks, ("pass", None)], 1)
        source.add(f"def s{number}(m, o=None):")
        source.add(" return {")
        source.extend(summands, 2)
        source.add(" }")
    return source


def _check(source: Source, rule: Always, raw: str, codes: Callable[[Form], str]) -> str:
    assert rule.each is not None
    shape = sum_start(rule.summed)[1]
    read = forms.reader(source.bind, shape, rule.form, source.spec.format, rule.width, codes)
    return f"{source.bind(agree)}({read(raw)}, t[{_total(rule)!r}])"


def _total(rule: Always) -> Total:
    return str(rule.each), None if rule.summed is None else rule.summed.name


def totals(spec: Spec) -> dict[Total, Any]:
    """What the file's totals are made of, each with what it starts from."""
    found: dict[Total, Any] = {}
    for record in spec.records:
        for rule in record.rules:
            if isinstance(rule, Always) and rule.each is not None:
                found[_total(rule)] = sum_start(rule.summed)[0]
    return found


@dataclass(slots=True)
class Rows:
    """A file being read: its head, then its rows one by one.

    ``head`` holds the message's own fields that stand before the rows, by name, and all of them once the rows have been
    gone through.  Iterating gives a :class:`Row` for every row, good or bad.  What is wrong with the file as a whole
    (a missing trailer, totals that do not agree) raises :class:`MapError`, at the end at the latest: nothing of the
    rows counts before the iteration has ended by itself.
    """

    spec: Spec
    layout: Layout
    module: Module
    locate: Locate
    lines: Iterator[tuple[int, Any]]
    order: str | None
    cells: Callable[[Any], dict[str, str]]
    head: dict[str, Any] = field(default_factory=dict)
    _totals: dict[Total, Any] = field(default_factory=dict)
    _sums: dict[int, list[tuple[Total, Callable[[Any], Any]]]] = field(default_factory=dict)
    _unknown: set[Total] = field(default_factory=set)
    _once: dict[int, tuple[int, Any]] = field(default_factory=dict)
    _values: Iterator[_Read] = field(init=False)
    _ahead: _Read | None = None
    _at: int = 0

    def open(self) -> "Rows":
        """Read up to the first row of a list."""
        self._totals = totals(self.spec)
        self._sums = {
            kind: [(key, attrgetter(key[1])) for key in self._totals if key[0] == str(record.each) and key[1]]
            for kind, record in enumerate(self.spec.records)
        }
        self._values = self._read()
        self._ahead = next(self._values, None)
        return self

    def __iter__(self) -> Iterator[Row]:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            for number, raw, _, value, fault in chain((ahead,), self._values):
                yield Row(number, value, fault, raw, self.cells)

    def message(self) -> Any:
        """The whole message.  Raises the first row's fault where there is one."""
        lists: dict[str, list[Any]] = {str(r.each): [] for r in self.spec.records if r.each is not None}
        take = [lists[str(r.each)].append if r.each is not None else None for r in self.spec.records]
        ahead, self._ahead = self._ahead, None
        for _, _, kind, value, fault in chain((ahead,) if ahead is not None else (), self._values):
            if fault is not None:
                raise fault
            keep = take[kind]
            assert keep is not None
            keep(value)
        return assembled(self.spec.message, self.head | lists)

    def _read(self) -> Iterator[_Read]:
        """The rows of lists; what stands once is read on the way, and the whole is judged at the end."""
        tell, faulty, order = self.layout.tell, self.layout.faulty, self.order
        readers = [self.module.names[f"r{kind}"] for kind in range(len(self.spec.records))]
        counts = [0] * len(readers)
        rows = next((kind for kind, record in enumerate(self.spec.records) if record.each is not None), None)
        for number, raw in self.lines:
            kind = tell(raw)
            if kind is None or self.spec.records[kind].each is None or kind != self._at:
                if kind is None and rows is not None:
                    counts[rows] += 1
                    yield number, raw, rows, None, self._stray(number, raw, rows)
                    continue
                self._move(kind, number, raw)
                if kind is None or self.spec.records[kind].each is None:
                    continue
            counts[kind] += 1
            try:
                if (bad := faulty(raw)) is not None:
                    raise bad
                value = readers[kind](raw, order)
                for key, get in self._sums[kind]:
                    self._totals[key] += get(value)
            except Exception as error:  # whatever a damaged row does, it is that row's fault
                caught = error
            else:
                yield number, raw, kind, value, None
                continue
            self._add(kind, raw)
            yield number, raw, kind, None, self.locate(caught, self.module, row=number)
        self._end(counts)

    def _stray(self, number: int, raw: Any, rows: int) -> MapError:
        """A row that is none of the map's records is taken for a damaged row of its list."""
        self._add(rows, raw)
        bad = self.layout.faulty(raw) or Bad("map_record", "is none of the map's records")
        return self.locate(bad, self.module, row=number)

    def _add(self, kind: int, raw: Any) -> None:
        """The amounts of a row that is faulty elsewhere still count in the file's totals, where they can be read."""
        try:
            if (bad := self.layout.faulty(raw)) is not None:
                raise bad
            for key, amount in self.module.names[f"s{kind}"](raw).items():
                self._totals[key] += amount
        except Exception:
            self._unknown |= {key for key, _ in self._sums[kind]}

    def _move(self, kind: int | None, number: int, raw: Any) -> None:
        """Go on to the next record; read it where it stands once."""
        if kind is None or kind < self._at or kind in self._once:
            raise self._fault("map_record", f"line {number} does not belong there", row=number)
        self._at = kind
        if self.spec.records[kind].each is None:
            self._once[kind] = number, raw
            self.head |= self._guarded(number, lambda: self._head(raw, kind))

    def _head(self, raw: Any, kind: int) -> Any:
        if (bad := self.layout.faulty(raw)) is not None:
            raise bad
        return self.module.names[f"r{kind}"](raw, self.order)

    def _guarded(self, number: int, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except Exception as error:
            caught = error
        raise self.locate(caught, self.module, row=number)

    def _end(self, counts: list[int]) -> None:
        for kind, record in enumerate(self.spec.records):
            if record.each is None and kind not in self._once:
                raise self._fault("file_truncated", f"there is no {record.name}", line=record.line)
            if (str(record.each), None) in self._totals:
                self._totals[str(record.each), None] += counts[kind]
        known = _Known(self._totals, self._unknown)
        for kind, (number, raw) in self._once.items():
            self._guarded(number, lambda r=raw, k=kind: self.module.names[f"t{k}"](r, known))  # type: ignore[misc]

    def _fault(self, code: str, text: str, *, line: int | None = None, row: int | None = None) -> MapError:
        return MapError(code, path=self.spec.shown, line=line or self.spec.fields_line, row=row, text=text)


class _Unchecked:
    """Equal to any total: one of its amounts could not be read, which is its row's fault and told there."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class _Known(dict[Total, Any]):
    def __init__(self, found: Mapping[Total, Any], unknown: set[Total]) -> None:
        super().__init__(found)
        self.update(dict.fromkeys(unknown, _Unchecked()))


def assembled(cls: type, flat: Mapping[str, Any], prefix: str = "") -> Any:
    """The object of *cls* whose leaves are in *flat* by dotted name."""
    given: dict[str, Any] = {}
    for name, shape in shapes(cls).items():
        where = prefix + name
        if where in flat:
            given[name] = flat[where]
        elif shape.part is not None and not shape.many:
            below = {key: value for key, value in flat.items() if key.startswith(where + ".")}
            if below and not (shape.optional and all(value is None for value in below.values())):
                given[name] = assembled(shape.part, below, where + ".")
    return cls(**given)
