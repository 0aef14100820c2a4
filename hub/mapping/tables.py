"""Code tables: theirs to ours, in the map or in a CSV file, checked to be readable both ways.

A file has two columns, or four under the heading ``theirs,ours,from,to``: then a code holds from a day to a day, both
included, and a blank is always.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

from hub.mapping.loader import Branch, Item, Text
from hub.mapping.model import Code, Report, Table

_DAY = timedelta(days=1)
_HEADINGS = (["theirs", "ours"], ["theirs", "ours", "from", "to"])


def read(item: Item, folder: Path, report: Report, is_todo: Callable[[str], bool]) -> tuple[Table, dict[int, str]]:
    """The table that *item* of ``tables:`` holds or names; files lie below *folder*.

    Beside it, by line, the codes of a draft whose meaning nobody has decided on yet.
    """
    codes, file, partial = _inline(item, report)
    undecided = {
        code.line: f"table '{item.key}': what '{code.theirs}' means is still to do"
        for code in codes
        if is_todo(code.ours)
    }
    codes = [code for code in codes if not is_todo(code.ours)]
    if file is not None:
        codes = _file(item, file, folder, report)
    elif not codes and not undecided:
        report(item.line, f"table '{item.key}' has no codes")
    begins = {code.since for code in codes} | {code.until + _DAY for code in codes if code.until < date.max}
    days = tuple(sorted(begins - {date.min}))
    for day in days or (date.min,):
        _agree(item.key, [code for code in codes if code.since <= day <= code.until], report)
    return _table(item.key, item.line, codes, partial, days), undecided


def tables_at(tables: Mapping[str, Table], day: date) -> dict[str, Table]:
    """*tables* as they are on *day*."""
    return {
        name: _table(
            name, table.line, [code for code in table.codes if code.since <= day <= code.until], table.partial, ()
        )
        for name, table in tables.items()
    }


def periods(table: Table) -> Iterator[tuple[date | None, Table]]:
    """*table* from each day on which something of it begins or ends; alone where it never changes."""
    if not table.days:
        yield None, table
    for day in table.days:
        yield day, tables_at({table.name: table}, day)[table.name]


def _table(name: str, line: int, codes: Sequence[Code], partial: str | None, days: tuple[date, ...]) -> Table:
    reading: dict[str, str] = {}
    writing: dict[str, str] = {}
    for code in codes:
        if code.theirs not in reading:
            reading[code.theirs] = code.ours
            writing.setdefault(code.ours, code.theirs)
    lines = {code.theirs: code.line for code in reversed(codes)}
    return Table(name, line, reading, writing, lines, partial, days, tuple(codes))


def _agree(name: str, codes: Sequence[Code], report: Report) -> None:
    """Report codes that cannot be read back."""
    known: dict[str, Code] = {}
    for code in codes:
        other = known.setdefault(code.theirs, code)
        if other is code:
            continue
        if other.ours == code.ours:
            report(code.line, f"table '{name}': '{code.theirs}' is given twice (first on line {other.line})")
        else:
            both = f"both '{other.ours}' and '{code.ours}'"
            report(code.line, f"table '{name}': '{code.theirs}' stands for {both}, so it cannot be read back")


def _inline(item: Item, report: Report) -> tuple[list[Code], str | None, str | None]:
    """The codes that stand in the map itself, the file that is named instead, and why the table is partial."""
    if isinstance(item.node, Text):
        return [], item.node.value, None
    codes: list[Code] = []
    said: dict[str, str] = {}
    for code in item.node.items:
        if isinstance(code.node, Branch):
            report(code.line, "a text is wanted here, not a table")
        elif code.key in ("partial", "file"):
            said[code.key] = code.node.value
            if not code.node.value:
                report(code.line, "'partial:' says why" if code.key == "partial" else "'file:' names a file")
        else:
            codes.append(Code(code.key, code.node.value, code.line))
    return codes, said.get("file"), said.get("partial")


def _file(item: Item, name: str, folder: Path, report: Report) -> list[Code]:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        report(item.line, f"table '{item.key}': there is no file '{name}' below mappings/tables")
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    dated = rows[:1] == [_HEADINGS[1]]
    if rows[:1] in ([_HEADINGS[0]], [_HEADINGS[1]]):
        rows = rows[1:]
    columns = 4 if dated else 2
    codes = []
    for number, row in enumerate(rows, 1 + bool(dated)):
        try:
            if len(row) != columns:
                raise ValueError
            since, until = (row[2], row[3]) if dated else ("", "")
            first = date.fromisoformat(since) if since else date.min
            last = date.fromisoformat(until) if until else date.max
            if first > last:
                raise ValueError
            codes.append(Code(row[0], row[1], item.line, first, last))
        except ValueError:
            wanted = "four columns, the last two days such as 2026-01-31, in order" if dated else "two columns"
            report(item.line, f"table '{item.key}': row {number} of '{name}' has not {wanted}")
            break
    return codes
