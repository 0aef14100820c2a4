"""Comma-separated files and spreadsheets: columns by name, in whatever order the file has them."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from operator import itemgetter
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from hub.canonical.names import fold
from hub.mapping.cells import guard
from hub.mapping.errors import Bad
from hub.mapping.files import Locate
from hub.mapping.model import MISSING, Always, Pair, Record, Rule, Spec, rules_for
from hub.mapping.source import Ours

_DELIMITERS = (",", ";", "\t", "|")
_XLSX_ENTRIES, _XLSX_BYTES, _XLSX_RATIO = 500, 100_000_000, 100


def spellings(place: str) -> list[str]:
    """The names that a column may go by; the first is the one written."""
    return [name.strip() for name in place.split(" / ")]


class Csv:
    """The layout of one map's file, and of one file while it is read: its columns are found by its heading."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.record: Record = spec.records[0]
        self.read_rules = rules_for(self.record.rules, "read")
        self.columns = {
            fold(name): place for place, rule in enumerate(self.read_rules) for name in spellings(rule.place)
        }

    # --- reading --------------------------------------------------------------------------------------------------

    def lines(self, data: bytes, fail: Locate) -> Iterator[tuple[int, Any]]:
        rows = _sheet(data, fail) if data[:4] == b"PK\x03\x04" else self._text(data, fail)
        pick = None
        for number, row in rows:
            if not any(row):
                continue
            if pick is None:
                pick = self._heading(row, number, fail)
            else:
                yield number, _Picked(pick(row), len(row))
        if pick is None:
            raise fail("file_truncated", text="there is no heading")

    def _text(self, data: bytes, fail: Locate) -> Iterator[tuple[int, list[Any]]]:
        encoding = "utf-8" if data[:3] == b"\xef\xbb\xbf" else self.spec.encoding
        try:
            text = data.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            raise fail("encoding_cannot_hold", text=f"the file is not in {encoding}") from None
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter(text), strict=True)
        number = 0
        try:
            for number, row in enumerate(rows, 1):
                yield number, [cell.strip() for cell in row]
        except csv.Error:
            raise fail("file_truncated", text=f"the quotes of row {number + 1} do not close", row=number + 1) from None

    def _delimiter(self, text: str) -> str:
        """The one under which the heading has most of our columns; the map's own where they are equal."""
        heading = text.lstrip("\r\n").partition("\n")[0]

        def known(delimiter: str) -> int:
            return sum(fold(name.strip(' \r"')) in self.columns for name in heading.split(delimiter))

        return max((self.spec.delimiter, *_DELIMITERS), key=known)

    def _heading(self, row: list[Any], number: int, fail: Locate) -> Any:
        found: dict[int, int] = {}
        for index, name in enumerate(row):
            place = self.columns.get(fold(str(name)))
            if place is None:
                continue
            if place in found:
                rule = self.read_rules[place]
                raise fail("map_header", line=rule.line, place=rule.place, text="the heading has it twice", row=number)
            found[place] = index
        missing = [rule for place, rule in enumerate(self.read_rules) if place not in found and not _spare(rule)]
        if missing:
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
        get = itemgetter(*order) if len(order) > 1 else lambda row: (row[order[0]],)

        def pick(row: list[Any]) -> Any:
            return get([*row[:width], *[""] * (width + 1 - len(row))] if len(row) <= width else [*row[:width], ""])

        pick.width = width  # type: ignore[attr-defined]
        self.width = width
        return pick

    def faulty(self, raw: Any) -> Bad | None:
        if raw.width > self.width:
            return Bad("map_length", f"has {raw.width} cells under a heading of {self.width}")
        return None

    def tell(self, raw: Any) -> int | None:
        return 0

    def raw(self, rule: Pair | Always, place: int) -> tuple[str, str]:
        return f"m[{place}]", f"not (x := m[{place}])"

    def cells(self, raw: Any) -> dict[str, str]:
        return {
            str(rule.field): str(cell)
            for rule, cell in zip(self.read_rules, raw, strict=True)
            if isinstance(rule, Pair)
        }

    # --- writing --------------------------------------------------------------------------------------------------

    def written(self, rule: Pair, ours: Ours) -> str:
        text = rule.field.shape.kind == "text" and not (rule.form and rule.form.name in ("table", "digits"))
        guard = ours.source.bind(_guarded)
        return ours.written(rule, "''", lambda v: f"{guard}({v})" if text else v)

    def constant(self, rule: Always) -> str:
        return repr(guard(rule.text or ""))

    def made(self, cells: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return [("return (", None), *((f" {text},", rule) for text, rule in cells), (")", None)]

    def heading(self) -> list[str]:
        return [guard(spellings(rule.place)[0]) for rule in rules_for(self.record.rules, "write")]


def _guarded(text: str) -> str:
    return guard(text.strip())


class _Picked(tuple[Any, ...]):
    """A row's cells in the order of the map, knowing how many cells the file's row had."""

    width: int

    def __new__(cls, cells: Any, width: int) -> "_Picked":
        made = super().__new__(cls, cells)
        made.width = width
        return made


def _spare(rule: Rule) -> bool:
    """Whether a file may do without the column."""
    return isinstance(rule, Pair) and (rule.field.optional or rule.default is not MISSING)


# --- spreadsheets -------------------------------------------------------------------------------------------------


def _sheet(data: bytes, fail: Locate) -> Iterator[tuple[int, list[Any]]]:
    """The rows of a workbook's first sheet.  Its dates stay dates; numbers are written out."""
    _check_zip(data, fail)
    try:
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0)
        rows = sheet.to_python(skip_empty_area=False)
    except (CalamineError, ValueError, IndexError, OSError):
        raise fail("map_spreadsheet", text="the spreadsheet cannot be read") from None
    for number, row in enumerate(rows, 1):
        yield number, [_cell(value) for value in row]


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, date | datetime):
        return value
    return str(value)


def _check_zip(data: bytes, fail: Locate) -> None:
    """Refuse an archive that unpacks to far more than it is."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            if len(entries) > _XLSX_ENTRIES or total > min(_XLSX_BYTES, max(len(data), 10_000) * _XLSX_RATIO):
                raise fail("map_spreadsheet", text="the spreadsheet unpacks to far more than it is")
            left = _XLSX_BYTES
            for entry in entries:
                with archive.open(entry) as file:
                    while chunk := file.read(1 << 20):
                        left -= len(chunk)
                        if left < 0:
                            raise fail("map_spreadsheet", text="the spreadsheet unpacks to far more than it says")
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError):
        raise fail("map_spreadsheet", text="the spreadsheet cannot be read") from None
