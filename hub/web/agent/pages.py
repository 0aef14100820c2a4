"""The page on which an agent files pilgrims without writing a program.

It is served to anybody and knows nobody: the agent's key stays in the browser's tab, and everything is done through the
API's own doors, under the agent's own name.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from flask import Blueprint, Response, abort, render_template, request
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation

from hub.canonical.errors import HubError
from hub.mapping import Map
from hub.mapping.model import Pair
from hub.security.pictures import LONGEST
from hub.web.access import hub, public

_TEXTS: Mapping[str, Mapping[str, str]] = yaml.safe_load(Path(__file__).with_name("texts.yaml").read_text("utf-8"))
_ROSTER = ("agents/roster", "receive_roster")
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: What a person chooses from a list, in the words that the rosters' map reads.
_CHOICES = {
    "sex": {"en": ("Male", "Female", "X"), "ar": ("ذكر", "أنثى", "غير محدد")},
}
#: Rows of the template that carry the lists of choices.
_ROWS = 500
#: What must stand in every row.
_NEEDED = frozenset(
    {"group_no", "family_name", "sex", "birth_date", "nationality", "document_no", "issued_on", "expires_on"}
)
#: What the page says without asking the hub: in the catalogue's words, and where that has none in its own.
_REFUSED = ("file_too_large", "photo_too_large", "photo_unreadable", "photo_name_wrong")
_OWN = ("lost", "wrong_key", "other_file", "zip_wrong")

blueprint = Blueprint(
    "agent",
    __name__,
    url_prefix="/agent",
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)


@blueprint.get("/")
@public
def page() -> str:
    lang = "ar" if request.args.get("lang") == "ar" else "en"
    texts = {key: told[lang] for key, told in _TEXTS.items()}
    return render_template(
        "agent.html", lang=lang, direction="rtl" if lang == "ar" else "ltr", say=texts.__getitem__, texts=texts,
        refusals=_refusals(),
    )  # fmt: skip


def _refusals() -> dict[str, Mapping[str, str]]:
    """What the page refuses by itself, before anything is sent, in the words in which the hub would."""
    errors = [HubError(code, limit=LONGEST // 1_000_000) for code in _REFUSED]
    return {error.code: {"en": error.en, "ar": error.ar} for error in errors} | {name: _TEXTS[name] for name in _OWN}


@blueprint.get("/roster-<lang>.xlsx")
@public
def template(lang: str) -> Response:
    """An empty roster with the columns that the map reads, in one language."""
    if lang not in ("en", "ar"):
        abort(404)
    told = Response(_book(hub().register.map(*_ROSTER, "request"), lang), mimetype=_XLSX)
    told.headers.set("Content-Disposition", "attachment", filename=f"roster-{lang}.xlsx")
    return told


def columns(map_: Map, lang: str) -> dict[str, str]:
    """The headers of a roster by field: the first name in the script of *lang* that the map knows for it."""
    (record,) = map_.spec.records
    found: dict[str, str] = {}
    for rule in record.rules:
        if not isinstance(rule, Pair):
            continue
        (name,) = rule.field.names
        names = [one.strip() for one in rule.place.split(" / ")]
        found[name] = next((one for one in names if one.isascii() == (lang == "en")), names[0])
    return found


def _book(map_: Map, lang: str) -> bytes:
    book = Workbook()
    sheet: Any = book.active
    sheet.title = _TEXTS["sheet"][lang]
    sheet.sheet_view.rightToLeft = lang == "ar"
    sheet.freeze_panes = "A2"
    for place, (field, header) in enumerate(columns(map_, lang).items(), 1):
        cell = sheet.cell(1, place, header)
        cell.font = Font(bold=True, color="FFFFFF")
        cell.fill = PatternFill("solid", fgColor="0B6B53" if field in _NEEDED else "5B6A64")
        cell.alignment = Alignment(horizontal="center", wrap_text=True)
        column = cell.column_letter
        sheet.column_dimensions[column].width = max(14, len(header) + 4)
        # As text: a spreadsheet takes the zeros off a passport's number, and turns dates over.
        for row in range(2, _ROWS + 2):
            sheet.cell(row, place).number_format = "@"
        if field in _CHOICES:
            listed = DataValidation(type="list", formula1=f'"{",".join(_CHOICES[field][lang])}"', allow_blank=True)
            sheet.add_data_validation(listed)
            listed.add(f"{column}2:{column}{_ROWS + 1}")
    notes: Any = book.create_sheet(_TEXTS["notes"][lang])
    notes.sheet_view.rightToLeft = lang == "ar"
    notes.column_dimensions["A"].width = 100
    for place, line in enumerate(_TEXTS["notes_text"][lang].strip().split("\n"), 1):
        notes.cell(place, 1, line).alignment = Alignment(wrap_text=True)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
