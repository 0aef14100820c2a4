"""Code tables: theirs to ours, in the map or in a CSV file of two columns, checked to be readable both ways."""

import csv
from collections.abc import Callable
from pathlib import Path

from hub.mapping.loader import Branch, Item, Text
from hub.mapping.model import Report, Table

Code = tuple[str, str, int]


def read(item: Item, folder: Path, report: Report, is_todo: Callable[[str], bool]) -> tuple[Table, dict[int, str]]:
    """The table that *item* of ``tables:`` holds or names; files lie below *folder*.

    Beside it, by line, the codes of a draft whose meaning nobody has decided on yet.
    """
    codes, file, partial = _inline(item, report)
    undecided = {
        line: f"table '{item.key}': what '{theirs}' means is still to do"
        for theirs, ours, line in codes
        if is_todo(ours)
    }
    codes = [code for code in codes if not is_todo(code[1])]
    if file is not None:
        codes = _file(item, file, folder, report)
    elif not codes and not undecided:
        report(item.line, f"table '{item.key}' has no codes")
    reading: dict[str, str] = {}
    writing: dict[str, str] = {}
    lines: dict[str, int] = {}
    for theirs, ours, line in codes:
        if theirs not in reading:
            reading[theirs], lines[theirs] = ours, line
            writing.setdefault(ours, theirs)
        elif reading[theirs] == ours:
            report(line, f"table '{item.key}': '{theirs}' is given twice (first on line {lines[theirs]})")
        else:
            both = f"both '{reading[theirs]}' and '{ours}'"
            report(line, f"table '{item.key}': '{theirs}' stands for {both}, so it cannot be read back")
    return Table(item.key, item.line, reading, writing, lines, partial), undecided


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
            codes.append((code.key, code.node.value, code.line))
    return codes, said.get("file"), said.get("partial")


def _file(item: Item, name: str, folder: Path, report: Report) -> list[Code]:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        report(item.line, f"table '{item.key}': there is no file '{name}' below mappings/tables")
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if rows[:1] == [["theirs", "ours"]]:
        rows = rows[1:]
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != 2), None)
    if wrong:
        report(item.line, f"table '{item.key}': row {wrong} of '{name}' has not two columns")
    return [(row[0].strip(), row[1].strip(), item.line) for row in rows if len(row) == 2]
