"""Roster files as agents save them: CSV or XLSX, English or Arabic headers, western or Arabic-Indic digits, and rows
that were wrong the first time; and the outcome files that come back for them."""

import csv
import hashlib
import io
import os
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from python_calamine import CalamineWorkbook

from hub.demo.season import START, Group, Traveller

_INDIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_EXPIRED = START.date() - timedelta(days=30)

#: Column of our own -> header as an agent's office writes it, in English and in Arabic.
HEADERS: Mapping[str, tuple[str, str]] = {
    "group_no": ("Group No", "رقم المجموعة"),
    "given_name": ("First Name", "الاسم الأول"),
    "father_name": ("Father Name", "اسم الأب"),
    "grandfather_name": ("Grandfather Name", "اسم الجد"),
    "family_name": ("Family Name", "اسم العائلة"),
    "full_name_ar": ("Mutamer Name", "اسم المعتمر"),
    "sex": ("Gender", "الجنس"),
    "birth_date": ("Date of Birth", "تاريخ الميلاد"),
    "nationality": ("Nationality", "الجنسية"),
    "residence": ("Country of Residence", "دولة الإقامة"),
    "document_no": ("Passport No", "رقم الجواز"),
    "issuing_state": ("Issuing State", "دولة إصدار الجواز"),
    "issued_on": ("Issue Date", "تاريخ إصدار الجواز"),
    "expires_on": ("Expiry Date", "تاريخ انتهاء الجواز"),
    "mobile": ("Mobile", "رقم الجوال"),
    "companion_no": ("Companion Passport No", "رقم جواز المحرم"),
    "companion_relation": ("Relation", "صلة القرابة"),
}
_SEX = {"male": ("M", "ذكر"), "female": ("F", "أنثى"), "unspecified": ("X", "غير محدد")}
_RELATION = {"father": ("Father", "أب"), "mother": ("Mother", "أم")}
#: How offices write a state: its name in English or Arabic; where it is none of these, its code.
_STATES = {
    "IDN": ("Indonesia", "إندونيسيا"), "PAK": ("Pakistan", "باكستان"), "EGY": ("Egypt", "مصر"),
    "NGA": ("Nigeria", "نيجيريا"), "TUR": ("Turkey", "تركيا"), "MAR": ("Morocco", "المغرب"),
    "BGD": ("Bangladesh", "بنغلادش"), "GBR": ("United Kingdom", "المملكة المتحدة"), "IND": ("India", "الهند"),
    "MYS": ("Malaysia", "ماليزيا"), "DZA": ("Algeria", "الجزائر"), "YEM": ("Yemen", "اليمن"),
}  # fmt: skip
_SHEET = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>"""
_PARTS = {
    "[Content_Types].xml": """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>""",
    "_rels/.rels": """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
 Target="xl/workbook.xml"/></Relationships>""",
    "xl/workbook.xml": """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>
<sheet name="Roster" sheetId="1" r:id="rId1"/></sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
 Target="worksheets/sheet1.xml"/></Relationships>""",
}


class Style(NamedTuple):
    """How one office saves its rosters."""

    xlsx: bool
    arabic: bool

    @classmethod
    def of(cls, group: Group) -> "Style":
        """All four ways occur, each group in its own."""
        number = int(group.ref.rpartition("-")[2]) + len(group.travellers)
        return cls(xlsx=number % 2 == 0, arabic=number // 2 % 2 == 0 or group.office.country in ("EGY", "MAR"))


def write(group: Group, style: Style, *, first: bool) -> bytes:
    """The roster of *group* as a file.  The *first* has the faults of :attr:`Group.row_faults` in it; the next one is
    cumulative: every row again, those put right."""
    table = [[headers[style.arabic] for headers in HEADERS.values()]]
    for index, who in enumerate(group.travellers):
        row = _row(group, who, style)
        if first and (fault := group.row_faults.get(index)):
            _spoil(row, fault)
        cells = [row.get(column, "") for column in HEADERS]
        table.append([cell.translate(_INDIC) if style.arabic and _is_figure(cell) else cell for cell in cells])
    return _xlsx(table) if style.xlsx else _csv(table, style)


def _is_figure(cell: str) -> bool:
    return cell != "" and all(c in "0123456789/-" for c in cell)


def _row(group: Group, who: Traveller, style: Style) -> dict[str, str]:
    person, document, companion = who.filing.person, who.filing.document, who.filing.companion
    ar = person.name_ar
    full_ar = " ".join(part for part in (ar.given, ar.father, ar.grandfather, ar.family) if part) if ar else ""

    def day(value: date) -> str:
        return value.strftime("%d/%m/%Y") if group.office.date_order == "DMY" else value.isoformat()

    return {
        "group_no": group.ref,
        "given_name": person.name.given or "",
        "father_name": person.name.father or "",
        "grandfather_name": person.name.grandfather or "",
        "family_name": person.name.family,
        "full_name_ar": full_ar,
        "sex": _SEX[person.sex][style.arabic],
        "birth_date": day(person.birth_date),
        "nationality": _state(person.nationality, style),
        "residence": _state(person.residence, style),
        "document_no": document.number,
        "issuing_state": _state(document.issuing_state, style),
        "issued_on": day(document.issued_on),
        "expires_on": day(document.expires_on),
        "mobile": person.mobile or "",
        "companion_no": companion.number if companion else "",
        "companion_relation": _RELATION[companion.relation][style.arabic] if companion else "",
    }


def _state(code: str, style: Style) -> str:
    return _STATES[code][style.arabic] if code in _STATES else code


def _spoil(row: dict[str, str], fault: str) -> None:
    if fault == "date_order_undeclared":
        row["birth_date"] = "02/03/1980"
    elif fault == "document_expired":
        row["expires_on"] = _EXPIRED.strftime("%d/%m/%Y") if "/" in row["expires_on"] else _EXPIRED.isoformat()
    else:
        row["family_name"] = ""


def _csv(table: Sequence[Sequence[str]], style: Style) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(table)
    # Spreadsheets put a byte order mark in front of what they call "CSV UTF-8".
    return out.getvalue().encode("utf-8-sig" if style.arabic else "utf-8")


def _xlsx(table: Sequence[Sequence[str]]) -> bytes:
    rows = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{escape(cell)}</t></is></c>' for cell in row) + "</row>"
        for row in table
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in {**_PARTS, "xl/worksheets/sheet1.xml": _SHEET % rows}.items():
            # The same bytes for the same roster, whenever it is written.
            book.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
    return out.getvalue()


def drop(folder: Path, name: str, data: bytes) -> None:
    """Put a file into *folder* whole: nobody sees it before it is."""
    part = folder / (name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / name)


class Rejected(NamedTuple):
    """One row given back: the place of its traveller in the group, and the code of the reason."""

    at: int
    code: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one roster: how many rows were accepted (or known already), those rejected, and the request
    number of each traveller of the group, by place."""

    accepted: int
    rejected: tuple[Rejected, ...]
    request_nos: Mapping[int, str]


class NoOutcome(Exception):
    """A roster was not given back in time."""


def _table(path: Path) -> list[list[str]]:
    if path.suffix == ".xlsx":
        return [
            [str(cell) for cell in row] for row in CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
        ]
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def pass_on(folder: Path, name: str, data: bytes, patience: float) -> Outcome:
    """Drop roster *name* into the agent's *folder* and wait for its outcome file.

    Raises :class:`NoOutcome` when there is none after *patience* seconds, or it is not one row a row.
    """
    stem, _, ending = name.rpartition(".")
    answer = folder / "to_partner" / f"{stem}.{hashlib.sha256(data).hexdigest()[:8]}.outcome.{ending}"
    if not answer.exists():
        drop(folder / "from_partner", name, data)
    until = time.monotonic() + patience
    while not answer.exists():
        if time.monotonic() > until:
            raise NoOutcome(f"{name}: nothing came back")
        time.sleep(0.05)
    heading, *cells = _table(answer)
    rows = [dict(zip(heading, row, strict=True)) for row in cells]
    taken = {at: row["Request No"] for at, row in enumerate(rows) if row["Outcome"] in ("accepted", "unchanged")}
    rejected = tuple(Rejected(at, row["Code"]) for at, row in enumerate(rows) if row["Outcome"] == "rejected")
    return Outcome(len(taken), rejected, taken)
