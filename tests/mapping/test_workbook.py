"""What is no workbook, or does more than hold cells, is refused before anybody reads it."""

import io
import zipfile

import pytest

from hub.mapping.errors import MapError
from hub.mapping.workbook import rows

SHEET = "xl/worksheets/sheet1.xml"


def packed(**parts: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def sheet(inside: str) -> dict[str, str]:
    return {SHEET: f"<worksheet><sheetData>{inside}</sheetData></worksheet>"}


def refused(code: str, **where: str) -> MapError:
    return MapError(code, path="a map", **where)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({**sheet(""), SHEET.upper(): "<a/>"}, "two parts of one name"),
        ({"../a.xml": "<a/>"}, "outside"),
        ({"xl/vbaProject.bin": "x"}, "macros"),
        ({"readme.txt": "x"}, "more than cells"),
        (sheet('<row r="1"><c r="A1"><f>1+1</f></c></row>'), "a formula"),
        (sheet('<row r="1"><c r="nowhere"/></row>'), "nowhere"),
        (sheet('<row r="1"><c r="ZZZ9999999"/></row>'), "too far apart"),
        ({"xl/sharedStrings.xml": '<sst uniqueCount="999999999"/>'}, "says that it has more"),
        (sheet("<row></nothing>"), "cannot be read"),
        ({SHEET: " " * 3_000_000}, "far more than it is"),
        ({"xl/empty.xml": "<a/>"}, "cannot be read"),
    ],
)
def test_it_is_refused(parts, why):
    with pytest.raises(MapError, match=why):
        list(rows(packed(**parts), refused))


def test_what_is_no_archive_is_refused_too():
    with pytest.raises(MapError, match="cannot be read"):
        list(rows(b"PK\x03\x04 and nothing", refused))
