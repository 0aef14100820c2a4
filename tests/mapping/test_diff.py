"""What a map's successor changes is told, each thing once, and nothing else is."""

from pathlib import Path

import pytest

from hub.mapping import Map, load
from hub.mapping.diff import Change, diff

OLD = """message: BookingOrder
format: json
tables:
  room: {SGL: single, DBL: double, TPL: triple, QUAD: quad, QNT: quint}
  board: {RO: none, BB: breakfast, HB: half, FB: full}
  sex: {M: male, F: female, X: unspecified}
fields:
  version:     = '3'
  ref:         key
  group:       group_no
  hotel:       hotel_code
  from:        check_in | date DD/MM/YYYY
  to:          check_out | date DD/MM/YYYY
  total:       total | text
  currency:    currency
  heads:       heads
  count:       = count(rooms)
  rooms:
    each: rooms
    fields:
      type:    kind | table room
      meal:    {field: board, form: table board, default: none}
      rate:    rate | text
      guests:
        each: guests
        fields:
          no:      document_no
          state:   issuing_state
          family:  family_name
          given:   given_name
          sex:     sex | table sex
"""


@pytest.fixture
def old(tmp_path: Path) -> Map:
    return _map(tmp_path / "old.yaml", OLD)


def _map(path: Path, text: str) -> Map:
    path.write_text(text, "utf-8")
    return load(path)


def changed(old: Map, tmp_path: Path, *changes: tuple[str, str]) -> list[Change]:
    text = OLD
    for was, now in changes:
        assert was in text
        text = text.replace(was, now, 1)
    return diff(old, _map(tmp_path / "new.yaml", text))


def test_a_map_and_itself_differ_in_nothing(old: Map) -> None:
    assert diff(old, old) == []


def test_comments_and_the_names_of_tables_are_not_on_the_wire(old: Map, tmp_path: Path) -> None:
    renamed = OLD.replace("board: {RO", "meals: {RO").replace("table board", "table meals")
    assert diff(old, _map(tmp_path / "new.yaml", "# said otherwise\n" + renamed)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("= '3'", "= '4'"), [Change("place", "version", "changes", "= '3'", "= '4'")]),
        (("      meal:    {field: board, form: table board, default: none}\n", "      meal:    board | table board\n"),
         [Change("place", "rooms/meal", "changes", "board | table (default none)", "board | table")]),
        (("          given:   given_name\n", ""),
         [Change("place", "rooms/guests/given", "loses", "given_name"),
          Change("field", "rooms.guests.given_name", "loses", "rooms/guests/given")]),
        (("  heads:       heads\n", "  heads:       heads\n  note:        = 'x'\n"),
         [Change("place", "note", "gains", "", "= 'x'")]),
        (("check_in | date DD/MM/YYYY", "check_in | date YYYY-MM-DD"),
         [Change("place", "from", "changes", "check_in | date DD/MM/YYYY", "check_in | date YYYY-MM-DD")]),
        (("QUAD: quad", "QUAD: quad, Q4: quad"), [Change("code", "rooms/type 'Q4'", "gains", "", "quad")]),
        (("DBL: double, TPL: triple", "DBL: triple, TPL: double"),
         [Change("code", "rooms/type 'DBL'", "changes", "double", "triple"),
          Change("code", "rooms/type 'TPL'", "changes", "triple", "double"),
          Change("code", "rooms/type for double", "changes", "writes 'DBL'", "writes 'TPL'"),
          Change("code", "rooms/type for triple", "changes", "writes 'TPL'", "writes 'DBL'")]),
        (("SGL: single", "SG: single"),
         [Change("code", "rooms/type 'SGL'", "loses", "single"),
          Change("code", "rooms/type 'SG'", "gains", "", "single")]),
        (("= count(rooms)", "= count(rooms) | text"),
         [Change("place", "count", "changes", "= count(rooms)", "= count(rooms) | text")]),
    ],
)  # fmt: skip
def test_each_change_is_told(old: Map, tmp_path: Path, change: tuple[str, str], expected: list[Change]) -> None:
    assert changed(old, tmp_path, change) == expected


def test_the_order_of_json_members_is_no_change(old: Map, tmp_path: Path) -> None:
    moved = ("  ref:         key\n", ""), ("  heads:       heads\n", "  heads:       heads\n  ref:         key\n")
    assert changed(old, tmp_path, *moved) == []


FIXED = """message: SettlementFile
format: fixed
length: 40
records:
  head:
    fields:
      1-1: = 'H'
      2-9: created_on | date YYYYMMDD
      10-17: value_on | date YYYYMMDD
      18-26: file_no | digits
      27-29: currency
      30-40: = ''
  line:
    each: lines
    fields:
      1-1: = 'D'
      2-40: = ''
"""


def test_columns_that_move_and_the_file_around_them_are_told(tmp_path: Path) -> None:
    one = _map(tmp_path / "one.yaml", "draft: x\n" + FIXED)
    text = FIXED.replace("2-9: created_on", "2-9: value_on").replace("10-17: value_on", "10-17: created_on")
    two = _map(tmp_path / "two.yaml", "draft: x\nnewline: crlf\n" + text)
    found = diff(one, two)
    assert {(c.what, c.where, c.kind) for c in found} == {
        ("file", "newline", "changes"), ("place", "head 2-9", "changes"), ("place", "head 10-17", "changes"),
    }  # fmt: skip


def test_the_order_of_elements_is_a_change(tmp_path: Path) -> None:
    text = "message: BillEnquiry\nformat: xml\nroot: Ask\nfields:\n  A: = 'x'\n  Bill: bill_no\n"
    one, two = (
        _map(tmp_path / "one.yaml", text),
        _map(tmp_path / "two.yaml", text.replace("  A: = 'x'\n", "") + "  A: = 'x'\n"),
    )
    (found,) = diff(one, two)
    assert (found.what, found.where) == ("order", "Bill")


def test_another_namespace_root_and_message_are_told(tmp_path: Path) -> None:
    text = "message: BillEnquiry\nformat: xml\nroot: Ask\nfields:\n  Bill: bill_no\n"
    other = text.replace("root: Ask", "root: Asked\nnamespace: urn:x")
    found = diff(_map(tmp_path / "one.yaml", text), _map(tmp_path / "two.yaml", other))
    assert {(c.where, c.kind, c.was, c.now) for c in found} == {
        ("root", "changes", "Ask", "Asked"), ("namespace", "gains", "", "urn:x"),
    }  # fmt: skip


def test_a_prefix_is_a_name_for_us_and_its_namespace_is_on_the_wire(tmp_path: Path) -> None:
    text = (
        "message: BillEnquiry\nformat: xml\nnamespaces: {a: 'urn:a', b: 'urn:b'}\nroot: a:Ask\nfields:\n"
        "  b:Kind: = 'x'\n  a:Bill: bill_no\n"
    )
    one = _map(tmp_path / "one.yaml", text)
    assert (
        diff(one, _map(tmp_path / "two.yaml", text.replace("b: 'urn:b'", "c: 'urn:b'").replace("b:Kind", "c:Kind")))
        == []
    )
    moved = diff(one, _map(tmp_path / "three.yaml", text.replace("b: 'urn:b'", "b: 'urn:c'")))
    assert [(c.kind, c.where) for c in moved] == [("loses", "b:Kind"), ("gains", "urn:c:Kind")]
