"""Cells of csv files and spreadsheets, and code words as people type them."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

from hub.canonical import names
from hub.canonical.declare import Shape
from hub.mapping.errors import Bad
from hub.mapping.model import Format, Table

#: What a spreadsheet takes for the beginning of a formula.
FORMULA = frozenset("=+-@\t\r\0")
_GUARDED = re.compile(r"'+[=+\-@\t\r\0]")


def guard(text: str) -> str:
    """*text* so that no spreadsheet takes it for a formula: a ``'`` before what begins like one."""
    if text[:1] in FORMULA or (text[:1] == "'" and _GUARDED.match(text)):
        return "'" + text
    return text


def unguard(text: str) -> str:
    """What :func:`guard` was given."""
    return text[1:] if _GUARDED.match(text) else text


def date_cell(function: Callable[..., Any]) -> Callable[..., Any]:
    """A spreadsheet's own dates are taken as they are; digits of any script are digits."""

    def read(cell: Any, *order: str | None) -> Any:
        if isinstance(cell, str):
            return function(cell if cell.isascii() else names.western_digits(cell), *order)
        if type(cell) is datetime and cell.time() == time():
            return cell.date()
        if type(cell) is date:
            return cell
        raise Bad("invalid_type", "{} is no date", cell)

    return read


def moment_cell(function: Callable[[str], datetime], zone: tzinfo | None) -> Callable[[Any], datetime]:
    """A spreadsheet's own moments are those of its zone."""

    def read(cell: Any) -> datetime:
        if isinstance(cell, str):
            return function(cell if cell.isascii() else names.western_digits(cell))
        if isinstance(cell, date):
            # A day alone is its first moment.
            at = cell if isinstance(cell, datetime) else datetime.combine(cell, time())
            return at.replace(tzinfo=zone or UTC).astimezone(UTC)
        raise Bad("invalid_type", "{} is no moment", cell)

    return read


def cell(shape: Shape, function: Callable[[str], Any]) -> Callable[[str], Any]:
    """Free text that looks like a formula is refused; where a pattern or a number is wanted, that decides."""
    free = shape.kind == "text" and shape.pattern is None and shape.one_of is None

    def read(cell: str) -> Any:
        if cell[:1] in FORMULA and free:
            raise Bad("map_formula", "{} looks like a formula", cell)
        if cell[:1] == "'":
            cell = unguard(cell)
        return function(cell if free or cell.isascii() else names.western_digits(cell))

    return read


# --- code tables --------------------------------------------------------------------------------------------------


class Codes(dict[str, str]):
    """One side of a code table in use.  What it does not know is refused, never guessed."""

    def __missing__(self, key: str) -> str:
        raise Bad("map_code_unknown", "no code for {}", key)


class FoldedCodes(Codes):
    """Theirs to ours as people type it into a table: alif, ya, digits and case do not matter."""

    def __init__(self, codes: Mapping[str, str]) -> None:
        super().__init__(codes)
        folded: dict[str, set[str]] = {}
        for theirs, ours in codes.items():
            folded.setdefault(names.fold(theirs), set()).add(ours)
        self.folded = {theirs: ours.pop() for theirs, ours in folded.items() if len(ours) == 1}

    def __missing__(self, key: str) -> str:
        ours = self.folded.get(names.fold(unguard(key)))
        return super().__missing__(key) if ours is None else ours


def code_sides(table: Table, format: Format, escape: Callable[[str], str]) -> tuple[Codes, Codes]:
    """The writing and the reading side of *table*; ``escape`` is what the format does to text that it writes."""
    writing = Codes({ours: escape(theirs) for ours, theirs in table.write.items()})
    return writing, (FoldedCodes if format == "csv" else Codes)(table.read)
