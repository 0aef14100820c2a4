"""What stands beside a row that goes back, in each kind of layout."""

from hub.mapping.given_back import behind, beside, columns, read_said

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
