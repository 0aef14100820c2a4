"""Spreadsheets: what one may be before a reader sees it, and the rows of its first sheet.

A workbook is an archive of XML, and its reader believes both.  So the archive is looked through first (names, sizes,
what it unpacks to), then each part, once, for what no roster needs: document types, formulas, macros, links to other
files, and cells so far apart that the empty ones between them fill the memory.
"""

import io
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from python_calamine import CalamineWorkbook

from hub.mapping.errors import MapError
from hub.security.xml import XmlRefused, starts

_ENTRIES, _BYTES, _RATIO = 500, 100_000_000, 100
#: Cells between the first and the last, the empty ones included.
_CELLS = 10_000_000
#: Whatever else an archive holds is none of a workbook's.
_PARTS = (".xml", ".rels", ".vml", ".bin", ".png", ".jpg", ".jpeg", ".gif", ".emf", ".wmf", ".tiff", ".svg")
_NEVER = ("vbaproject", "externallinks/", "embeddings/", "macrosheets/", "activex/", "oleobject", "querytables/",
          "connections.xml")  # fmt: skip
_CELL = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")


def rows(data: bytes, fail: Any) -> Iterator[tuple[int, list[Any]]]:
    """The rows of a workbook's first sheet.  Its dates stay dates; numbers are written out.

    Raises what *fail* makes of a workbook that cannot be read, or that does more than hold cells.
    """
    _check(data, fail)
    try:
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0)
        found = sheet.to_python(skip_empty_area=False)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a reader in another language that gives up does so in its own way
        found = None
    if found is None:
        raise fail("map_spreadsheet", text="the spreadsheet cannot be read")
    for number, row in enumerate(found, 1):
        yield number, [_value(value) for value in row]


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, date | datetime):
        return value
    return str(value)


def _check(data: bytes, fail: Any) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            if len(entries) > _ENTRIES or total > min(_BYTES, max(len(data), 10_000) * _RATIO):
                raise fail("map_spreadsheet", text="the spreadsheet unpacks to far more than it is")
            strange = _strange(entries)
            if strange:
                raise fail("map_spreadsheet", text=f"the spreadsheet {strange}")
            left = _BYTES
            for entry in entries:
                found = bytearray()
                with archive.open(entry) as file:
                    while chunk := file.read(1 << 20):
                        left -= len(chunk)
                        if left < 0:
                            raise fail("map_spreadsheet", text="the spreadsheet unpacks to far more than it says")
                        found += chunk
                if entry.filename.lower().endswith((".xml", ".rels", ".vml")):
                    _look(entry.filename.lower(), bytes(found), fail)
        return
    except MapError:
        raise
    except XmlRefused as refused:
        bad = fail("map_spreadsheet", text=f"the spreadsheet cannot be read ({refused.code})")
    except Exception:  # what a damaged archive makes of its reader is not to be foretold
        bad = fail("map_spreadsheet", text="the spreadsheet cannot be read")
    raise bad


def _strange(entries: list[zipfile.ZipInfo]) -> str | None:
    """What no workbook does that a program wrote to be read."""
    names = set[str]()
    end = 0
    for entry in sorted(entries, key=lambda one: one.header_offset):
        name, mode = entry.filename, entry.external_attr >> 16
        known = unicodedata.normalize("NFKC", name).casefold()
        if known in names:
            return "has two parts of one name"
        names.add(known)
        if name != entry.orig_filename or name.startswith("/") or ".." in name or set(name) & set("\\:\0"):
            return "has a part that lies outside"
        if entry.header_offset < end:
            return "has parts that overlap"
        end = entry.header_offset + 30 + len(name.encode()) + entry.compress_size
        if entry.flag_bits & 0x1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return "is packed in a way that is not taken"
        if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or not stat.S_IFMT(mode)):
            return "has a part that is no plain file"
        if not entry.is_dir() and (not known.endswith(_PARTS) or any(word in known for word in _NEVER)):
            return "holds more than cells: macros, links or files"
    return None


def _look(name: str, part: bytes, fail: Any) -> None:
    """Go through one part of a workbook."""
    sheet = name.startswith("xl/worksheets/") and name.endswith(".xml")
    wide = high = 1
    at = ""
    for tag, attributes in starts(part, _BYTES):
        for counted in ("count", "uniqueCount"):
            # Room is made for as many as are said to come: a lie ends the process.
            if len(attributes.get(counted, "")) > 9 or int(attributes.get(counted, "0")) > len(part):
                raise fail("map_spreadsheet", text="the spreadsheet says that it has more than it holds")
        if not sheet:
            continue
        where = attributes.get("r")
        if tag == "f":
            raise fail("map_formula", text="the spreadsheet holds a formula", place=f"cell {at}")
        if tag == "row" and where is not None:
            high = max(high, int(where))
        elif tag == "c" and where is not None:
            cell = _CELL.fullmatch(where)
            if cell is None:
                raise fail("map_spreadsheet", text="the spreadsheet has a cell that is nowhere")
            at, wide, high = where, max(wide, _number(cell[1])), max(high, int(cell[2]))
        if wide * high > _CELLS:
            raise fail("map_spreadsheet", text="the spreadsheet has cells too far apart")


def _number(column: str) -> int:
    found = 0
    for letter in column.upper():
        found = found * 26 + ord(letter) - 64
    return found
