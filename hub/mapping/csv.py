"""Delimited files and spreadsheets: columns by name, in whatever order the file has them, or cells by their number."""

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from hub.canonical.names import fold
from hub.mapping import workbook
from hub.mapping.cells import FORMULA, guard
from hub.mapping.errors import Bad
from hub.mapping.files import BATCH, Bytes, Locate, encoded, pieces
from hub.mapping.forms import Bind
from hub.mapping.model import MISSING, Always, Blank, Pair, Record, Rule, Spec, Todo, rules_for
from hub.mapping.source import Lines, Ours, Source

_DELIMITERS = (",", ";", "\t", "|")
#: More than any row and its continuations have.
_CELLS = 10_000


def spellings(place: str) -> list[str]:
    """The names that a column may go by; the first is the one written."""
    return [name.strip() for name in place.split(" / ")]


class Csv:
    """The layout of one map's file, and of one file while it is read: its columns are found by its heading."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.delimiter = spec, spec.delimiter
        self.record: Record = spec.kinds[0]
        self.read_rules = rules_for(self.record.rules, "read")
        self.columns = {
            fold(name): place for place, rule in enumerate(self.read_rules) for name in spellings(rule.place)
        }

    # --- lines --------------------------------------------------------------------------------------------------------

    def table(self, data: Bytes, fail: Locate) -> Iterator[tuple[int, list[Any]]]:
        """Every row that is not blank with its number, heading included, as its sender wrote it."""
        return self._rows(data, fail)

    def lines(self, data: Bytes, fail: Locate) -> Iterator[tuple[int, Any]]:
        rows = self._rows(data, fail)
        pick, early = None, self.spec.skip
        for number, row in rows:
            if pick is not None:
                yield number, pick(row)
            elif not self._missing(row) or early == 0:
                pick = self._heading(row, number, fail)
            else:
                early -= 1
        if pick is None:
            raise fail("file_truncated", text="there is no heading")

    def _rows(self, data: Bytes, fail: Locate) -> Iterator[tuple[int, list[Any]]]:
        """The rows that are not blank, with their numbers, without those at the end that are no rows of ours."""
        file = _opened(data)
        start = file.peek(4)[:4]
        rows = workbook.rows(file.read(), fail) if start == b"PK\x03\x04" else self._text(file, start, fail)
        filled = ((number, row) for number, row in rows if any(row))
        if not self.spec.footer:
            yield from filled
            return
        held = deque[tuple[int, list[Any]]](islice(filled, self.spec.footer))
        for row in filled:
            held.append(row)
            yield held.popleft()

    def _text(self, file: io.BufferedReader, start: bytes, fail: Locate) -> Iterator[tuple[int, list[Any]]]:
        encoding = "utf-8" if start[:3] == b"\xef\xbb\xbf" else self.spec.encoding
        number = 0
        try:
            text = io.TextIOWrapper(file, encoding, newline="")
            first, filled = list[str](), 0
            while (line := text.readline()) and filled < self.spec.skip + 1:
                first.append(line)
                filled += bool(line.strip())
            first += [line] if line else []
            if first:
                first[0] = first[0].removeprefix("\ufeff")
            self.delimiter = self._delimiter(first)
            given: dict[str, Any] = {"delimiter": self.delimiter, "strict": True}
            given |= {"quotechar": self.spec.quote} if self.spec.quote else {"quoting": csv.QUOTE_NONE}
            strip = str.strip
            for number, row in enumerate(csv.reader(chain(first, text), **given), 1):
                yield number, list(map(strip, row))
            return
        except UnicodeDecodeError:
            bad = fail("encoding_cannot_hold", text=f"the file is not in {encoding}")
        except csv.Error:
            bad = fail("file_truncated", text=f"the quotes of row {number + 1} do not close", row=number + 1)
        raise bad

    def _delimiter(self, lines: list[str]) -> str:
        """The one under which a heading has most of our columns; the map's own where they are equal."""

        def known(delimiter: str) -> int:
            return max(
                (
                    sum(fold(name.strip(' \r\n"')) in self.columns for name in line.split(delimiter, _CELLS))
                    for line in lines
                ),
                default=0,
            )

        return max((self.spec.delimiter, *_DELIMITERS), key=known)

    # --- the heading --------------------------------------------------------------------------------------------------

    def reads(self, name: Any, field: str) -> bool:
        """Whether a heading's cell *name* stands over the cells of *field*."""
        place = self.columns.get(fold(str(name)))
        rule = None if place is None else self.read_rules[place]
        return isinstance(rule, Pair) and str(rule.field) == field

    def _missing(self, row: list[Any]) -> list[Rule]:
        names = {fold(str(name)) for name in row}
        found = {place for name, place in self.columns.items() if name in names}
        return [rule for place, rule in enumerate(self.read_rules) if place not in found and not _spare(rule)]

    def _heading(self, row: list[Any], number: int, fail: Locate) -> Callable[[list[Any]], tuple[Any, ...]]:
        if len(row) > _CELLS:
            raise fail("map_header", text="the heading has far too many columns", row=number)
        found: dict[int, int] = {}
        for index, name in enumerate(row):
            place = self.columns.get(fold(str(name)))
            if place is None:
                if self.spec.unknown != "ignore" and name != "":
                    self._unknown(str(name), number, fail)
                continue
            if place in found:
                rule = self.read_rules[place]
                raise fail("map_header", line=rule.line, place=rule.place, text="the heading has it twice", row=number)
            found[place] = index
        if missing := self._missing(row):
            names = ", ".join(spellings(rule.place)[0] for rule in missing)
            raise fail(
                "map_header",
                line=missing[0].line,
                place=missing[0].place,
                text=f"the heading lacks {names}",
                row=number,
            )
        width = len(row)
        order = [found.get(place, width) for place in range(len(self.read_rules))]
        return _picker(order, width)

    def _unknown(self, name: str, number: int, fail: Locate) -> None:
        if self.spec.unknown == "refuse":
            raise fail("map_unknown", text="the heading has a column that the map does not know", row=number)
        self.spec.notice(name)

    # --- reading ------------------------------------------------------------------------------------------------------

    def guard(self, source: Source, record: Record) -> Lines:
        return [(f"if type(m) is not tuple: raise {source.bind(_too_wide)}(m)", None)]

    def strange(self, raw: Any) -> Bad:
        return Bad("map_record", "is none of the map's records")

    def tell(self, raw: Any) -> int | tuple[int, ...] | None:
        return 0

    def raw(self, rule: Pair | Always, place: int) -> tuple[str, str]:
        return f"m[{place}]", f"not (x := m[{place}])"

    def cells(self, raw: Any) -> dict[str, str]:
        return {
            str(rule.field): str(cell)
            for rule, cell in zip(self.read_rules, raw, strict=True)
            if isinstance(rule, Pair)
        }

    # --- writing ------------------------------------------------------------------------------------------------------

    def written(self, rule: Pair, ours: Ours) -> str:
        plain = rule.field.shape.kind != "text" or (rule.form is not None and rule.form.name in ("table", "digits"))
        return ours.written(rule, "''", lambda v: v if plain else self.safe(ours.source.bind, v))

    def safe(self, bind: Bind, value: str) -> str:
        """The source of *value* as a cell that no spreadsheet takes for a formula."""
        return f"(y if (y := ({value}).strip())[:1] not in {bind(_SUSPECT)} else {bind(guard)}(y))"

    def constant(self, rule: Always) -> str:
        return repr(guard(rule.text or "") if self.spec.heading else rule.text or "")

    def blank(self, rule: Pair | Todo | Blank) -> str | None:
        return None

    def made(self, record: Record, cells: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return [("return (", None), *((f" {text},", rule) for text, rule in cells), (")", None)]

    first = 1

    def heading(self) -> list[str]:
        return [guard(spellings(rule.place)[0]) for rule in rules_for(self.record.rules, "write")]

    def encoded(self, rows: Iterator[Any], cannot: Callable[..., Exception]) -> Iterator[bytes]:
        spec, out = self.spec, io.StringIO()
        given: dict[str, Any] = {"delimiter": spec.delimiter, "lineterminator": spec.terminator + spec.newline}
        given |= {"quotechar": spec.quote} if spec.quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}
        if spec.quote_all:
            given["quoting"] = csv.QUOTE_ALL
        write = csv.writer(out, **given).writerow
        number = self.first
        if heading := self.heading():
            write(heading)
        while batch := list(islice(rows, BATCH)):
            for row in batch:
                number += 1
                try:
                    write(row)
                except csv.Error:
                    break
            else:
                data = encoded(out.getvalue(), spec.encoding)
                if data is None:
                    raise self._unencodable(batch, number - len(batch) + 1, cannot)
                yield data
                out.seek(0)
                out.truncate()
                continue
            raise cannot(None, "map_delimiter", "a cell holds the delimiter, and cells are not quoted", number)
        yield out.getvalue().encode(spec.encoding)

    def _unencodable(self, batch: list[Any], number: int, cannot: Callable[..., Exception]) -> Exception:
        for at, row in enumerate(batch, number):
            for place, cell in enumerate(row):
                if encoded(cell, self.spec.encoding) is None:
                    text = f"a character is not in {self.spec.encoding}"
                    return cannot(self._cell_rule(row, place), "encoding_cannot_hold", text, at)
        raise AssertionError("a batch cannot be encoded though each of its cells can")

    def _cell_rule(self, row: Any, place: int) -> Rule | None:
        return rules_for(self.record.rules, "write")[place]


class Delimited(Csv):
    """A file without a heading: cells go by their number, and rows are told apart by a constant of their own."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.delimiter = spec, spec.delimiter
        self.width = max((int(rule.place) for record in spec.kinds for rule in record.rules if rule.place), default=1)
        found = cell_tags(spec) if len(spec.kinds) > 1 else (0, {})
        self.at, self.told = found if found is not None else (0, {})

    def lines(self, data: Bytes, fail: Locate) -> Iterator[tuple[int, Any]]:
        pick = _picker(list(range(self.width)), self.width, self.spec.unknown == "ignore")
        for number, row in self._continued(self._rows(data, fail)):
            yield number, pick(row)

    def _continued(self, rows: Iterator[tuple[int, list[Any]]]) -> Iterator[tuple[int, list[Any]]]:
        """Rows without their terminator, each with the cells of the rows that continue it."""
        end, tag = self.spec.terminator, self.spec.continuation
        at, whole = 0, list[Any]()
        for number, row in rows:
            if number <= self.spec.skip:
                continue
            if end and str(row[-1]).endswith(end):
                row[-1] = row[-1][: -len(end)].rstrip()
            if tag and at and row[0] == tag and len(whole) < _CELLS:
                whole += row[1:]
                continue
            if at:
                yield at, whole
            at, whole = number, row
        if at:
            yield at, whole

    def _delimiter(self, lines: list[str]) -> str:
        return self.spec.delimiter

    def safe(self, bind: Bind, value: str) -> str:
        return f"({value}).strip()"

    def tell(self, raw: Any) -> int | tuple[int, ...] | None:
        return self.told.get(raw[self.at]) if self.told else 0

    def raw(self, rule: Pair | Always, place: int) -> tuple[str, str]:
        return super().raw(rule, int(rule.place) - 1)

    def cells(self, raw: Any) -> dict[str, str]:
        told = self.tell(raw)
        kind = told if isinstance(told, int) else told[0] if told else 0
        rules = rules_for(self.spec.kinds[kind].rules, "read")
        return {str(rule.field): str(raw[int(rule.place) - 1]) for rule in rules if isinstance(rule, Pair)}

    def made(self, record: Record, cells: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        by_place = {int(rule.place): (text, rule) for text, rule in cells}
        filled = [by_place.get(place, ("''", None)) for place in range(1, max(by_place, default=0) + 1)]
        return super().made(record, filled)

    first = 0

    def heading(self) -> list[str]:
        return []

    def _cell_rule(self, row: Any, place: int) -> Rule | None:
        told = self.tell(row)
        kind = told if isinstance(told, int) else told[0] if told else 0
        rules = rules_for(self.spec.kinds[kind].rules, "write")
        return next((rule for rule in rules if rule.place == str(place + 1)), None)


def cell_tags(spec: Spec) -> tuple[int, dict[str, int | tuple[int, ...]]] | None:
    """The cell in which every record has a text of its own, and the record by that text.  None: there is none."""
    constants = [
        {int(rule.place) - 1: rule.text for rule in record.rules if isinstance(rule, Always) and rule.text}
        for record in spec.kinds
    ]
    for at in constants[0] if constants else ():
        told: dict[str, tuple[int, ...]] = {}
        for kind, found in enumerate(constants):
            if at not in found:
                break
            beside = told.get(found[at], ())
            if any(spec.kinds[other].parent == spec.kinds[kind].parent for other in beside):
                break
            told[found[at]] = (*beside, kind)
        else:
            return at, {text: kinds[0] if len(kinds) == 1 else kinds for text, kinds in told.items()}
    return None


def _picker(order: list[int], width: int, longer: bool = False) -> Callable[[list[Any]], tuple[Any, ...]]:
    """Takes the cells of *order* out of a row of *width* cells; cells that are missing are blank.

    A row that has more becomes a :class:`_Wide`, unless it may be *longer*.
    """
    get = itemgetter(*order) if len(order) > 1 else lambda row: (row[order[0]],)
    whole = width not in order

    def pick(row: list[Any]) -> tuple[Any, ...]:
        size = len(row)
        if size == width and whole:
            return get(row)
        if size > width:
            cut = get([*row[:width], ""])
            return cut if longer else _Wide(cut, size, width)
        return get([*row, *[""] * (width + 1 - size)])

    return pick


class _Wide(tuple[Any, ...]):
    """The cells of a row that has more of them than the heading has names."""

    size: int
    wanted: int

    def __new__(cls, cells: Any, size: int, wanted: int) -> "_Wide":
        made = super().__new__(cls, cells)
        made.size, made.wanted = size, wanted
        return made


def _too_wide(raw: _Wide) -> Bad:
    return Bad("map_length", f"has {raw.size} cells under a heading of {raw.wanted}")


_SUSPECT = FORMULA | {"'"}


def _spare(rule: Rule) -> bool:
    """Whether a file may do without the column."""
    return isinstance(rule, Blank) or (isinstance(rule, Pair) and (rule.field.optional or rule.default is not MISSING))


class _Pieces(io.RawIOBase):
    """A file that arrives in pieces."""

    def __init__(self, data: Bytes) -> None:
        self.pieces, self.rest = pieces(data), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.rest:
            piece = next(self.pieces, None)
            if piece is None:
                return 0
            self.rest = piece
        taken, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _opened(data: Bytes) -> io.BufferedReader:
    raw = io.BytesIO(data) if isinstance(data, bytes) else _Pieces(data)
    return io.BufferedReader(raw, 1 << 16)
