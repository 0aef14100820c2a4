import csv
import hashlib
import io
import threading
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from hub.demo import rosters
from hub.demo.rosters import HEADERS, NoOutcome, Style
from hub.demo.season import Group, Season

Make = Callable[..., Season]


@pytest.fixture
def group(season: Make) -> Group:
    return next(g for g in season(600).groups if "date_order_undeclared" in g.row_faults.values())


def table(data: bytes, style: Style) -> list[list[str]]:
    """The file as a spreadsheet program sees it."""
    if not style.xlsx:
        return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    assert sheet is not None
    return [[str(cell or "") for cell in row] for row in sheet.iter_rows(values_only=True)]


STYLES = [Style(xlsx, arabic) for xlsx in (False, True) for arabic in (False, True)]


@pytest.mark.parametrize("style", STYLES)
def test_a_roster_is_one_row_a_pilgrim_under_headers_of_one_language(group: Group, style: Style) -> None:
    head, *rows = table(rosters.write(group, style, first=False), style)
    assert head == [headers[style.arabic] for headers in HEADERS.values()]
    assert len(rows) == len(group.travellers)
    numbers = [row[list(HEADERS).index("document_no")] for row in rows]
    western = [number.translate(str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789")) for number in numbers]
    assert western == [who.filing.document.number for who in group.travellers]


@pytest.mark.parametrize("style", STYLES)
def test_the_first_file_is_wrong_in_the_planned_rows_and_the_second_in_none(group: Group, style: Style) -> None:
    first = table(rosters.write(group, style, first=True), style)[1:]
    second = table(rosters.write(group, style, first=False), style)[1:]
    assert [at for at, row in enumerate(first) if row != second[at]] == sorted(group.row_faults)


def test_arabic_offices_write_their_dates_in_arabic_indic_digits(group: Group) -> None:
    text = rosters.write(group, Style(xlsx=False, arabic=True), first=False).decode()
    assert "١٩" in text


def test_the_same_roster_is_the_same_file(group: Group) -> None:
    for style in STYLES:
        assert rosters.write(group, style, first=True) == rosters.write(group, style, first=True)


def test_an_outcome_is_read_row_by_row_in_the_order_of_the_file(tmp_path: Path, group: Group) -> None:
    data = b"rows"
    for box in ("to_partner", "from_partner"):
        (tmp_path / box).mkdir()

    def answer() -> None:
        # What SHA-256 of the dropped bytes begins with stands in the answer's name.
        text = "Row,Group No,Passport No,Outcome,Request No,Code\n1,G,P1,accepted,0001,\n2,G,,rejected,,required\n"
        text += "3,G,P3,unchanged,0003,\n"
        rosters.drop(tmp_path / "to_partner", f"ABC-1.{digest}.outcome.csv", text.encode())

    digest = hashlib.sha256(data).hexdigest()[:8]
    timer = threading.Timer(0.1, answer)
    timer.start()
    outcome = rosters.pass_on(tmp_path, "ABC-1.csv", data, patience=10)
    timer.join()
    assert (tmp_path / "from_partner" / "ABC-1.csv").read_bytes() == data
    assert outcome.accepted == 2
    assert outcome.rejected == ((1, "required"),)
    assert outcome.request_nos == {0: "0001", 2: "0003"}


def test_a_roster_that_never_comes_back_is_an_error(tmp_path: Path) -> None:
    for box in ("to_partner", "from_partner"):
        (tmp_path / box).mkdir()
    with pytest.raises(NoOutcome):
        rosters.pass_on(tmp_path, "ABC-1.csv", b"rows", patience=0.05)
