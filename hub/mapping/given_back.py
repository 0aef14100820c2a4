"""Outcome files: the partner's own table, in its own columns and order, with what became of each row beside it.

Whoever gets one filters the rejected rows, mends their cells and sends those rows as they are: the columns that were
added are none that a map reads.  In a file of fixed columns what is said stands behind the last of them.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from hub.mapping.cells import FORMULA

T = TypeVar("T")

#: What stands in front of a spreadsheet.
_ZIP = b"PK\x03\x04"


def is_workbook(body: bytes) -> bool:
    """Whether *body* is a spreadsheet: its rows go back in one."""
    return body.startswith(_ZIP)


#: What is said beside each row that was taken or rejected, by its number in the file; None of one to leave out.
Said = Mapping[int, Sequence[str] | None]


def read_said(told: bytes) -> tuple[list[str], dict[int, list[str]]]:
    """What a delimited file says of another's rows: its heading, and its rows by the number in their first column.

    That column is left out of both.
    """
    heading, *rows = list(csv.reader(io.StringIO(told.decode("utf-8-sig"), newline="")))
    return heading[1:], {int(row[0]): row[1:] for row in rows}


def beside(
    table: Iterator[tuple[int, list[Any]]], heading: Sequence[str], said: Said, *, workbook: bool, delimiter: str
) -> bytes:
    """The rows of *table*, a file's rows with their numbers, each with what is *said* of it under *heading*."""
    added = _joined(table, heading, said)
    return _workbook(added) if workbook else _text(added, delimiter)


def behind(table: Iterator[tuple[int, list[Any]]], said: Said, *, delimiter: str) -> bytes:
    """As :func:`beside`, of a table without a heading: what is said stands behind each row."""
    return _text(([*row, *told] for row, told in _each(table, said)), delimiter)


def columns(lines: Iterator[tuple[int, str]], said: Said, width: int) -> bytes:
    """As :func:`beside`, of *lines* of *width* fixed columns: what is said stands behind the last of them."""
    given = (
        line.ljust(width) + " " + " | ".join(filter(None, told)) if told else line for line, told in _each(lines, said)
    )
    return "".join("".join(c if c.isprintable() else " " for c in line) + "\r\n" for line in given).encode("utf-8-sig")


def _each(table: Iterator[tuple[int, T]], said: Said) -> Iterator[tuple[T, Sequence[str]]]:
    """The rows of *table* that are not left out; of those that nothing is said of, nothing."""
    for number, row in table:
        told = said.get(number, ())
        if told is not None:
            yield row, told


def _joined(table: Iterator[tuple[int, list[Any]]], heading: Sequence[str], said: Said) -> Iterator[list[Any]]:
    before: list[list[Any]] = []
    width, ours = 0, set[int]()
    for row, told in _each(table, said):
        if not told:
            before.append(row)  # the heading, and whatever stands above it
            continue
        if before:
            # Sent back as it was, it has these columns already.
            ours = {place for place, name in enumerate(before[-1]) if name in heading}
            width = len(before[-1])
            yield from before[:-1]
            yield [*_without(before[-1], ours), *heading]
            before = []
        # A row that is too long stays too long: cut, it could be read as something else when it is sent again.
        own, surplus = [*row[:width], *[""] * (width - len(row))], row[width:]
        yield [*_without(own, ours), *told, *surplus]
    yield from before


def rejected(body: bytes) -> bytes:
    """Of an outcome file its heading and the rows that were not taken, in the same columns: what is left to mend."""
    if is_workbook(body):
        from python_calamine import CalamineWorkbook

        table = CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0).to_python()
        return _workbook(_rejected(table))
    text = body.decode("utf-8-sig")
    tables = {mark: list(csv.reader(io.StringIO(text, newline=""), delimiter=mark)) for mark in ",;\t|"}
    mark = max(tables, key=lambda one: max((len(row) for row in tables[one]), default=0))
    return _text(_rejected(tables[mark]), mark)


def _rejected(table: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    for row in table:
        said = {cell for cell in row if cell in ("accepted", "unchanged")}
        if "rejected" in row or not said:
            yield list(row)


def _without(row: Sequence[Any], places: set[int]) -> list[Any]:
    return [cell for place, cell in enumerate(row) if place not in places]


def _text(rows: Iterator[list[Any]], delimiter: str) -> bytes:
    out = io.StringIO()
    write = csv.writer(out, delimiter=delimiter).writerow
    for row in rows:
        write([_safe(cell.isoformat(" ")[:19] if isinstance(cell, datetime) else str(cell)) for cell in row])
    # Spreadsheets take Arabic for something else where no mark says that it is UTF-8.
    return out.getvalue().encode("utf-8-sig")


def _safe(cell: str) -> str:
    """*cell* so that no spreadsheet takes it for a formula; what its sender guarded is as it was."""
    cell = "".join(c for c in cell if c.isprintable() or c in "\r\n")
    return "'" + cell if cell[:1] in FORMULA else cell


def _workbook(rows: Iterator[list[Any]]) -> bytes:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in rows:
        cells = []
        for value in row:
            kept = value if isinstance(value, date) else _safe(str(value))[:32_767]
            cell = WriteOnlyCell(sheet, kept)
            if isinstance(kept, str):
                cell.data_type = "s"  # a text is a text, whatever it begins with
            cells.append(cell)
        sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
