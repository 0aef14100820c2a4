"""Files of records, row by row: what fixed-width and delimited files have in common.

A file is read and written as a stream: nothing but the row at hand (with the rows that belong to it) is kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Any, BinaryIO, Protocol

from hub.canonical.declare import shapes
from hub.mapping import forms
from hub.mapping.cells import unguard
from hub.mapping.errors import Bad, MapError
from hub.mapping.model import Always, Blank, Pair, Record, Spec, Todo, Total, rules_for
from hub.mapping.source import Lines, Module, Ours, Source, Theirs, agree, same, sum_start

Locate = Callable[..., MapError]
#: A file as it may be given: whole, open, or in whatever pieces it arrives.
Bytes = bytes | BinaryIO | Iterable[bytes]
#: A row that was gone through: number, raw, record, value, fault.
_Read = tuple[int, Any, int, Any, MapError | None]
_PIECE = 1 << 18
#: So many rows are encoded at once.
BATCH = 512


def pieces(data: Bytes) -> Iterator[bytes]:
    if isinstance(data, bytes | bytearray | memoryview):
        yield bytes(data)
    elif hasattr(data, "read"):
        while piece := data.read(_PIECE):
            yield piece
    else:
        yield from data


def encoded(text: str, encoding: str) -> bytes | None:
    """The bytes of *text*, None where *encoding* has none for some of it."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return None


@dataclass(slots=True)
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
    """What fixed and delimited files do differently."""

    def lines(self, data: Bytes, fail: Locate) -> Iterator[tuple[int, Any]]:
        """The rows with their numbers; raises what *fail* makes where the bytes are no such file."""

    def raw(self, rule: Pair | Always, place: int) -> tuple[str, str]:
        """The raw expression over ``m``, and the one that binds it to ``x`` and is true where nothing stands."""

    def guard(self, source: Source, record: Record) -> Lines:
        """The statements that refuse a row that cannot be looked into at all."""

    def written(self, rule: Pair, ours: Ours) -> str: ...

    def constant(self, rule: Always) -> str: ...

    def blank(self, rule: Pair | Todo | Blank) -> str | None:
        """What stands where nothing is written; None where nothing need stand."""

    def made(self, record: Record, cells: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """The expression that joins the *cells* of a record, as lines."""

    def tell(self, raw: Any) -> int | tuple[int, ...] | None:
        """Which record a row is, by its place in ``spec.kinds``: several where parents decide, None for none."""

    def strange(self, raw: Any) -> Bad:
        """Why a row is none of the map's records."""

    def cells(self, raw: Any) -> dict[str, str]:
        """The raw cells by our field's name."""

    #: The number of the row before the first that is written.
    first: int

    def encoded(self, rows: Iterator[Any], cannot: Callable[..., MapError]) -> Iterator[bytes]:
        """The bytes of *rows*, some at a time; raises what *cannot* makes of the rule that there are no bytes for."""


# --- generated code -----------------------------------------------------------------------------------------------


def write_source(spec: Spec, layout: Layout, escape: Callable[[str], str]) -> Source:
    """A module with ``w0(m, t)``, ``w1(m, t)`` … for the records; *t* holds the totals."""
    source = Source(spec)
    codes = source.codes("write", escape)
    for number, record in enumerate(spec.kinds):
        ours = Ours(source, codes)
        cells: list[tuple[str, Any]] = []
        for rule in record.rules:
            if isinstance(rule, Todo | Blank) or (isinstance(rule, Pair) and rule.only == "read"):
                blank = layout.blank(rule)
                cells += [(blank, rule)] if blank is not None else []
            elif isinstance(rule, Pair):
                cells.append((layout.written(rule, ours), rule))
            elif isinstance(rule, Always):
                cells.append((layout.constant(rule) if rule.text is not None else _written(source, rule, codes), rule))
        lines = layout.made(record, cells)
        source.add(f"def w{number}(m, t):")
        source.extend(ours.prelude, 1)
        source.extend(lines, 1)
    return source


def _written(source: Source, rule: Always, codes: Callable[[Any], str]) -> str:
    shape = sum_start(rule.summed)[1]
    write = forms.writer(source.bind, shape, rule.form, source.spec.cells, rule.width, codes)
    return write(f"t[{rule.total!r}]")


def read_source(spec: Spec, layout: Layout) -> Source:
    """A module with, for each record, ``r0(m, o)`` that reads it, ``t0(m, t)`` that holds its totals against *t*, and
    ``s0(m)`` that gives the numbers which totals are made of.

    ``r0`` gives an object for a record that is one by itself, and its fields by name for what is a part of another.
    """
    source = Source(spec)
    codes = source.codes("read", str)
    wanted = {total for scope in spec.totals.values() for total in scope}
    for number, record in enumerate(spec.kinds):
        theirs = Theirs(source, record.part, codes=codes)
        checks: Lines = []
        summands: Lines = []
        for place, rule in enumerate(rules_for(record.rules, "read")):
            if isinstance(rule, Todo | Blank):
                continue
            assert isinstance(rule, Pair | Always)
            required, absent = layout.raw(rule, place)
            if isinstance(rule, Always):
                if rule.text is not None:
                    if spec.cells == "csv":
                        required = f"{source.bind(unguard)}({required})"
                    constant = f"{required}.rstrip() == {rule.text.rstrip()!r} or {source.bind(same)}"
                    theirs.after.append((f"{constant}({required}, {rule.text!r})", rule))
                else:
                    shape = sum_start(rule.summed)[1]
                    read = forms.reader(source.bind, shape, rule.form, spec.cells, rule.width, codes)
                    checks.append((f"{source.bind(agree)}({read(required)}, t[{rule.total!r}])", rule))
                continue
            theirs.pair(rule, required, absent)
            key = record.each is not None and (str(record.each), str(rule.field))
            if key in wanted:
                summands.append((f"{key!r}: {theirs.leaves[-1].plain},", rule))
        source.add(f"def r{number}(m, o):")
        source.extend(layout.guard(source, record), 1)
        if record.whole:
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
        source.extend(layout.guard(source, record), 1)
        source.add(" return {")
        source.extend(summands, 2)
        source.add(" }")
    return source


# --- reading ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A record whose own records are being read: what is known of it so far."""

    kind: int
    number: int
    raw: Any
    flat: dict[str, Any]
    lists: dict[str, list[Any]]
    fault: MapError | None = None
    at: int = -1
    once: dict[int, tuple[int, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Rows:
    """A file being read: its head, then its rows one by one.

    ``head`` holds the message's own fields that stand before the rows, by name, and all of them once the rows have been
    gone through.  Iterating gives a :class:`Row` for every row, good or bad; a record that others belong to comes with
    them, as one row.  What is wrong with the file as a whole (a missing trailer, totals that do not agree) raises
    :class:`MapError`, at the end at the latest: nothing of the rows counts before the iteration has ended by itself.
    """

    spec: Spec
    layout: Layout
    module: Module
    locate: Locate
    lines: Iterator[tuple[int, Any]]
    order: str | None
    head: dict[str, Any] = field(default_factory=dict)
    _totals: dict[Total, Any] = field(default_factory=dict)
    _sums: dict[int, list[tuple[Total, Callable[[Any], Any]]]] = field(default_factory=dict)
    _unknown: set[Total] = field(default_factory=set)
    _counts: list[int] = field(default_factory=list)
    _stack: list[_Open] = field(default_factory=list)
    #: The plain list of the message itself that the row at hand is the next of, until it is read; -1 for none.
    _plain: int = -1
    _values: Iterator[_Read] = field(init=False)
    _ahead: _Read | None = None

    def open(self) -> "Rows":
        """Read up to the first row of a list."""
        self._totals = dict(self.spec.totals.get(-1, {}))
        self._counts = [0] * len(self.spec.kinds)
        self._sums = {
            kind: [(key, attrgetter(key[1])) for key in self._totals if key[0] == str(record.each) and key[1]]
            for kind, record in enumerate(self.spec.kinds)
            if record.parent == -1
        }
        self._stack = [_Open(-1, 0, None, self.head, {})]
        self._values = self._read()
        self._ahead = next(self._values, None)
        return self

    def __iter__(self) -> Iterator[Row]:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            cells = self.layout.cells
            for number, raw, _, value, fault in chain((ahead,), self._values):
                yield Row(number, value, fault, raw, cells)

    def around(self) -> Any:
        """The message with its lists left empty, once the rows have been gone through."""
        lists: dict[str, list[Any]] = {str(r.each): [] for r in self.spec.records if r.each is not None}
        return assembled(self.spec.message, self.head | lists)

    def message(self) -> Any:
        """The whole message.  Raises the first row's fault where there is one."""
        lists: dict[str, list[Any]] = {str(r.each): [] for r in self.spec.records if r.each is not None}
        take = [lists[str(r.each)].append if r.each is not None else None for r in self.spec.kinds if r.parent == -1]
        places = {kind: n for n, kind in enumerate(k for k, r in enumerate(self.spec.kinds) if r.parent == -1)}
        ahead, self._ahead = self._ahead, None
        for _, _, kind, value, fault in chain((ahead,) if ahead is not None else (), self._values):
            if fault is not None:
                raise fault
            keep = take[places[kind]]
            assert keep is not None
            keep(value)
        return assembled(self.spec.message, self.head | lists)

    def _read(self) -> Iterator[_Read]:
        """The rows of lists; what stands once is read on the way, and the whole is judged at the end."""
        read: Callable[[Any, str | None], Any] = self.module.names["r0"]
        tell, order, counts = self.layout.tell, self.order, self._counts
        here, sums = -1, list[Any]()  # the list whose plain rows are coming in
        for number, raw in self.lines:
            kind = tell(raw)
            if kind != here:
                here = self._plain = -1
                yield from self._enter(kind, number, raw)
                if (here := self._plain) < 0:
                    continue
                read, sums = self.module.names[f"r{here}"], self._sums[here]
            counts[here] += 1
            try:
                value = read(raw, order)
                for key, get in sums:
                    self._totals[key] += get(value)
            except Exception as error:  # whatever a damaged row does, it is that row's fault
                caught = error
            else:
                yield number, raw, here, value, None
                continue
            self._add(here, raw)
            yield number, raw, here, None, self.locate(caught, self.module, row=number)
        yield from self._close(0)
        self._end()

    # --- which record a row is ----------------------------------------------------------------------------------------

    def _enter(self, told: int | tuple[int, ...] | None, number: int, raw: Any) -> Iterator[_Read]:
        """Take in a row that is not simply the next of its list; gives the rows that end with it."""
        kinds = () if told is None else (told,) if isinstance(told, int) else told
        for depth in range(len(self._stack) - 1, -1, -1):
            frame = self._stack[depth]
            for kind in kinds:
                if self.spec.kinds[kind].parent == frame.kind and self._may_follow(frame, kind):
                    yield from self._close(depth)
                    self._take(frame, kind, number, raw)
                    return
        if kinds or (rows := self._rows()) is None:
            raise self._fault("map_record", f"line {number} does not belong there", row=number)
        # A row that is none of the map's records is taken for a damaged row of its list.
        bad = self.locate(self.layout.strange(raw), self.module, row=number)
        if len(self._stack) > 1:
            self._stack[1].fault = self._stack[1].fault or bad
            return
        self._counts[rows] += 1
        self._add(rows, raw)
        yield number, raw, rows, None, bad

    def _rows(self) -> int | None:
        return next((k for k, record in enumerate(self.spec.kinds) if record.each is not None), None)

    def _may_follow(self, frame: _Open, kind: int) -> bool:
        if kind == frame.at:
            return self.spec.kinds[kind].each is not None
        return kind not in frame.once and (kind > frame.at or self.spec.any_order)

    def _take(self, frame: _Open, kind: int, number: int, raw: Any) -> None:
        record = self.spec.kinds[kind]
        frame.at = kind
        if frame.kind == -1 and record.each is not None and not record.records:
            self._plain = kind
            return
        flat, fault = self._fields(kind, number, raw)
        if record.records:
            lists: dict[str, list[Any]] = {str(inner.each): [] for inner in record.records if inner.each is not None}
            self._stack.append(_Open(kind, number, raw, flat, lists, fault))
            if record.each is None and record.group is None:
                frame.once[kind] = number, raw
            return
        if fault is not None and frame.kind == -1:
            raise fault
        frame.fault = frame.fault or fault
        if record.each is not None:
            frame.lists[str(record.each)].append(flat)
            return
        frame.once[kind] = number, raw
        if record.group is not None:
            frame.flat[str(record.group)] = flat
        elif fault is None:
            frame.flat |= flat

    def _fields(self, kind: int, number: int, raw: Any) -> tuple[Any, MapError | None]:
        try:
            return self.module.names[f"r{kind}"](raw, self.order), None
        except Exception as error:
            caught = error
        return {}, self.locate(caught, self.module, row=number)

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _close(self, depth: int) -> Iterator[_Read]:
        """End the records that are open below *depth*; gives the row that ends with them, if any."""
        while len(self._stack) > depth + 1:
            done = self._stack.pop()
            holder, record = self._stack[-1], self.spec.kinds[done.kind]
            value, fault = self._whole(done, record)
            if holder.kind != -1:
                holder.fault = holder.fault or fault
                if record.each is not None:
                    holder.lists[str(record.each)].append(value)
                elif record.group is not None:
                    holder.flat[str(record.group)] = value
                else:
                    holder.flat |= value
            elif record.each is None:
                if fault is not None:
                    raise fault
                self.head |= value if record.group is None else {str(record.group): value}
            else:
                self._counts[done.kind] += 1
                if fault is None:
                    for key, get in self._sums[done.kind]:
                        self._totals[key] += get(value)
                else:
                    self._unknown |= {key for key, _ in self._sums[done.kind]}
                yield done.number, done.raw, done.kind, value, fault

    def _whole(self, done: _Open, record: Record) -> tuple[Any, MapError | None]:
        """The object of a record with all that belongs to it, its totals held against what was read."""
        if done.fault is None:
            done.fault = self._missing(done.kind, done)
        if done.fault is not None:
            return None, done.fault
        known = summed(self.spec.totals.get(done.kind, {}), lambda name: done.lists[name])
        number = done.number
        try:
            self.module.names[f"t{done.kind}"](done.raw, known)
            for kind, (line, raw) in done.once.items():
                number = line
                self.module.names[f"t{kind}"](raw, known)
            if record.each is None and record.group is None:
                return done.flat | done.lists, None
            return assembled(record.part, done.flat | done.lists), None
        except Exception as error:
            caught = error
        return None, self.locate(caught, self.module, row=number)

    def _missing(self, kind: int, frame: _Open) -> MapError | None:
        for inner, record in enumerate(self.spec.kinds):
            if record.parent == kind and record.each is None and record.group is None and inner not in frame.once:
                return self._fault("file_truncated", f"there is no {record.name}", line=record.line)
        return None

    def _add(self, kind: int, raw: Any) -> None:
        """The amounts of a row that is faulty elsewhere still count in the file's totals, where they can be read."""
        try:
            for key, amount in self.module.names[f"s{kind}"](raw).items():
                if key in self._totals:
                    self._totals[key] += amount
        except Exception:
            self._unknown |= {key for key, _ in self._sums[kind]}

    def _end(self) -> None:
        top = self._stack[0]
        if (fault := self._missing(-1, top)) is not None:
            raise fault
        for kind, record in enumerate(self.spec.kinds):
            if record.parent == -1 and (str(record.each), None) in self._totals:
                self._totals[str(record.each), None] += self._counts[kind]
        known = _Known(self._totals, self._unknown)
        for kind, (number, raw) in top.once.items():
            try:
                self.module.names[f"t{kind}"](raw, known)
                continue
            except Exception as error:
                caught = error
            raise self.locate(caught, self.module, row=number)

    def _fault(self, code: str, text: str, *, line: int | None = None, row: int | None = None) -> MapError:
        return MapError(code, path=self.spec.shown, line=line or self.spec.fields_line, row=row, text=text)


# --- writing ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Writing:
    """A file being written: its rows one by one, in the order of the map."""

    spec: Spec
    module: Module
    locate: Locate
    row: int

    def rows(self, message: Any, lists: Mapping[str, Iterable[Any]] | None = None) -> Iterator[Any]:
        """The rows of *message*; those of *lists*, where given, take the place of its own and may be endless.

        Raises what *locate* makes, and ``map_total_ahead`` where a total of *lists* stands before them.
        """
        wanted = self.spec.totals.get(-1, {})
        if lists is None:
            yield from self._below(-1, message, summed(wanted, lambda name: reach(message, name)), None)
        else:
            yield from self._below(-1, message, dict(wanted), lists)

    def _below(
        self, owner: int, message: Any, totals: dict[Total, Any], lists: Mapping[str, Iterable[Any]] | None
    ) -> Iterator[Any]:
        ahead = (
            {str(record.each) for record in self.spec.kinds if record.parent == owner} if lists is not None else set()
        )
        for kind, record in enumerate(self.spec.kinds):
            if record.parent != owner:
                continue
            if record.each is None:
                item = message if record.group is None else reach(message, str(record.group))
                if item is None:
                    continue
                for rule in record.rules:
                    if isinstance(rule, Always) and rule.each is not None and str(rule.each) in ahead:
                        raise self.locate(
                            Bad("map_total_ahead", "stands before what it counts"),
                            self.module,
                            doing="write",
                            rule=rule,
                        )
                yield from self._item(kind, record, item, totals)
                continue
            name = str(record.each)
            given = lists.get(name, ()) if lists is not None else reach(message, name)
            sums = (
                [(key, attrgetter(key[1])) for key in totals if key[0] == name and key[1]] if lists is not None else []
            )
            if record.records:
                for item in given:
                    for key, get in sums:
                        totals[key] += get(item)
                    if lists is not None and (name, None) in totals:
                        totals[name, None] += 1
                    yield from self._item(kind, record, item, totals)
            else:
                before = self.row
                yield from self._plain(kind, given, totals, sums)
                if lists is not None and (name, None) in totals:
                    totals[name, None] += self.row - before
            if lists is not None:
                ahead.discard(name)

    def _plain(self, kind: int, items: Iterable[Any], totals: dict[Total, Any], sums: Any) -> Iterator[Any]:
        write = self.module.names[f"w{kind}"]
        try:
            for item in items:
                self.row += 1
                for key, get in sums:
                    totals[key] += get(item)
                yield write(item, totals)
            return
        except MapError:
            raise
        except Exception as error:
            caught = error
        raise self.locate(caught, self.module, doing="write", row=self.row)

    def _item(self, kind: int, record: Record, item: Any, totals: dict[Total, Any]) -> Iterator[Any]:
        if record.records:
            totals = summed(self.spec.totals.get(kind, {}), lambda name: reach(item, name))
        yield from self._plain(kind, (item,), totals, ())
        if record.records:
            yield from self._below(kind, item, totals, None)


def reach(message: Any, names: str) -> Any:
    return attrgetter(names)(message)


def totals(spec: Spec) -> dict[int, dict[Total, Any]]:
    """What the totals of each record's scope are made of and start from; the scope of the message itself is -1."""
    found: dict[int, dict[Total, Any]] = {}
    for kind, record in enumerate(spec.kinds):
        scope = found.setdefault(kind if record.records else record.parent, {})
        for rule in record.rules:
            if isinstance(rule, Always) and rule.each is not None:
                scope[rule.total] = sum_start(rule.summed)[0]
    return found


class _Unchecked:
    """Equal to any total: one of its amounts could not be read, which is its row's fault and told there."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class _Known(dict[Total, Any]):
    def __init__(self, found: Mapping[Total, Any], unknown: set[Total]) -> None:
        super().__init__(found)
        self.update(dict.fromkeys(unknown, _Unchecked()))


def summed(totals: Mapping[Total, Any], items: Callable[[str], Any]) -> dict[Total, Any]:
    """The *totals* of one scope, from what each starts from, over the lists that *items* names."""
    return {
        (name, of): start + sum(map(attrgetter(of), items(name)), start) if of else start + len(items(name))
        for (name, of), start in totals.items()
    }


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
