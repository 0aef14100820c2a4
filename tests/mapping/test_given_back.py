"""What stands beside a row that goes back, in each kind of layout."""

import io
from datetime import date, datetime

from openpyxl import load_workbook

from hub.mapping.given_back import behind, beside, columns, is_workbook, read_said, rejected

SAID = {2: ("accepted", ""), 3: ("rejected", "required")}


def test_rows_without_a_heading_have_it_behind_them():
    table = [(1, ["01", "head"]), (2, ["02", "a"]), (3, ["02", "=b"]), (4, ["99"])]
    assert behind(iter(table), SAID, delimiter=";").decode("utf-8-sig").splitlines() == [
        "01;head", "02;a;accepted;", "02;'=b;rejected;required", "99",
    ]  # fmt: skip
    left = behind(iter(table), SAID | {2: None}, delimiter=";").decode("utf-8-sig").splitlines()
    assert left == ["01;head", "02;'=b;rejected;required", "99"]


def test_fixed_columns_have_it_behind_the_last_of_them_however_short_the_line_came():
    lines = [(1, "H"), (2, "D12345"), (3, "D\x0012"), (4, "T2")]
    found = columns(iter(lines), SAID, 6).decode("utf-8-sig").splitlines()
    assert found == ["H", "D12345 accepted", "D 12   rejected | required", "T2"]


def test_what_a_file_says_of_another_is_told_by_its_first_column():
    heading, said = read_said("Row,Outcome\r\n2,accepted\r\n".encode("utf-8-sig"))
    assert (heading, said) == (["Outcome"], {2: ["accepted"]})
    table = [(1, ["Name"]), (2, ["x"])]
    assert beside(iter(table), heading, said, workbook=False, delimiter=",").decode("utf-8-sig").splitlines() == [
        "Name,Outcome", "x,accepted",
    ]  # fmt: skip


def cells(body):
    return [[cell.value for cell in row] for row in load_workbook(io.BytesIO(body)).active.iter_rows()]


def test_a_workbook_comes_back_as_one_and_no_cell_is_a_formula():
    table = [(1, ["Name", "Born"]), (2, ["x", date(1980, 2, 3)]), (3, ["=1+1", datetime(1980, 2, 3, 4, 5)])]
    made = beside(iter(table), ["Outcome", "Code"], SAID, workbook=True, delimiter=",")
    assert is_workbook(made)
    found = cells(made)
    assert found[0] == ["Name", "Born", "Outcome", "Code"]
    assert [row[0] for row in found[1:]] == ["x", "'=1+1"]
    assert [row[2:] for row in found[1:]] == [["accepted", None], ["rejected", "required"]]
    left = cells(rejected(made))
    assert [row[0] for row in left] == ["Name", "'=1+1"] or [row[0] for row in left] == ["Name", "''=1+1"]


def test_of_a_table_sent_back_the_columns_are_there_once_and_a_row_too_long_stays_so():
    table = [(1, ["Title"]), (2, ["Outcome", "Name"]), (3, ["rejected", "x", "surplus"]), (4, ["rejected"])]
    said = {3: ("accepted",), 4: ("rejected",)}
    found = beside(iter(table), ["Outcome"], said, workbook=False, delimiter=";").decode("utf-8-sig").splitlines()
    assert found == ["Title", "Name;Outcome", "x;accepted;surplus", ";rejected"]


def test_what_is_left_to_mend_is_in_the_marks_of_the_file():
    for mark in ",;\t|":
        body = (
            "\r\n".join(mark.join(row) for row in (["Name", "Outcome"], ["a", "accepted"], ["b", "rejected"])) + "\r\n"
        )
        assert rejected(body.encode("utf-8-sig")).decode("utf-8-sig").splitlines() == [
            f"Name{mark}Outcome", f"b{mark}rejected",
        ]  # fmt: skip


def test_dates_are_written_as_they_are_read():
    found = beside(
        iter([(1, ["Born"]), (2, [datetime(1980, 2, 3, 4, 5, 6)])]), ["Outcome"], {2: ("accepted",)},
        workbook=False, delimiter=",",
    )  # fmt: skip
    assert found.decode("utf-8-sig").splitlines()[1] == "1980-02-03 04:05:06,accepted"
