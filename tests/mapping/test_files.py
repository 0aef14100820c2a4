"""Files of records: each row stands or falls by itself, the file as a whole by its head, trailer and totals."""

import dataclasses
import io
import json
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal

import openpyxl
import pytest

from hub.canonical.schema import undump
from hub.mapping import MapError
from tests.mapping.conftest import MAPS, design
from tests.mapping.messages import Driver, Drivers, Licence


def bank():
    return (MAPS / "examples" / "bank-settlement.txt").read_bytes()


def drivers():
    plain = json.loads((MAPS / "examples" / "drivers.canonical.json").read_text("utf-8"))
    return undump(Drivers, plain)


def code(act, *given, **named):
    with pytest.raises(MapError) as caught:
        act(*given, **named)
    return caught.value.code


# --- fixed width --------------------------------------------------------------------------------------------------


def test_rows_stand_alone():
    wire = bank().replace(b"RF", b"??")
    rows = design("bank-settlement").open_rows(wire)
    assert rows.head == {
        "created_on": date(2026, 2, 18), "hijri_value_date": date(2026, 2, 18), "file_no": 42, "currency": "SAR",
    }  # fmt: skip
    good, bad = rows
    assert good.value.txn_id == "TX0000000000001" and good.fault is None and good.number == 2
    assert good.theirs["amount"] == "000000000612050"
    assert bad.value is None and bad.fault.code == "map_code_unknown" and bad.number == bad.fault.row == 3
    assert bad.theirs == {
        "txn_id": "TX0000000000002", "booked_on": "20260217", "amount": "000000000000100", "fee": "00000000000",
        "bill_no": "", "status": "??", "payer_name": "",
    }  # fmt: skip
    assert code(design("bank-settlement").read, wire) == "map_code_unknown"


def test_a_bad_row_still_counts_in_the_totals():
    map_ = design("bank-settlement")
    wire = bank().replace(b"RF", b"??")
    assert len(list(map_.rows(wire))) == 2
    assert code(list, map_.rows(wire.replace(b"000000000000100", b"000000000000200"))) == "file_totals"
    # The amount itself cannot be read: the sums that need it are not held against anything, the rest is.
    unreadable = bank().replace(b"000000000000100", b"00000000000010x")
    assert [row.fault and row.fault.code for row in map_.rows(unreadable)] == [None, "invalid_value"]
    assert code(list, map_.rows(unreadable.replace(b"T000000002", b"T000000003"))) == "file_totals"


def lines(*order):
    given = bank().splitlines(keepends=True)
    return b"".join(given[n] for n in order)


@pytest.mark.parametrize(
    ("wire", "wanted"),
    [
        (lines(0, 1, 2), "file_truncated"),
        (lines(1, 2, 3), "file_truncated"),
        (lines(0, 1, 3, 2), "map_record"),
        (lines(0, 0, 1, 2, 3), "map_record"),
        (lines(0, 1, 2, 3, 3), "map_record"),
        (lines(0, 1, 3), "file_totals"),
        (lines(0, 1, 2, 3)[:-30], "map_length"),
        (b"", "file_truncated"),
        (bank()[:20], "map_length"),
        (bank().replace(b"SAR", b"SA\x81", 1), None),
    ],
)
def test_the_file_as_a_whole(wire, wanted):
    map_ = design("bank-settlement")
    with pytest.raises(MapError) as caught:
        list(map_.rows(wire))
    if wanted:
        assert caught.value.code == wanted
    assert str(caught.value).startswith("maps/bank-settlement.yaml:")


def test_bytes_outside_the_encoding(loaded):
    map_ = loaded((MAPS / "bank-settlement.yaml").read_text("utf-8").replace("cp1256", "ascii"))
    with pytest.raises(MapError) as caught:
        map_.read(bank())
    assert (caught.value.code, caught.value.row) == ("encoding_cannot_hold", 2)


def test_a_stray_line_is_a_bad_row():
    wire = bank().replace(b"\nDTX0000000000002", b"\nXTX0000000000002")
    rows = list(design("bank-settlement").rows(wire))
    assert [row.fault and row.fault.code for row in rows] == [None, "map_record"]
    assert rows[1].theirs["txn_id"] == "TX0000000000002"
    short = bank().replace(b"\nDTX0000000000002 ", b"\nDTX0000000000002")
    assert [row.fault and row.fault.code for row in design("bank-settlement").rows(short)] == [None, "map_length"]


def test_line_ends():
    map_ = design("bank-settlement")
    message = map_.read(bank())
    for wire in (bank().replace(b"\n", b"\r\n"), bank().rstrip(b"\n"), bank() + b"\n\r\n", bank() + b"\x1a"):
        assert map_.read(wire) == message


def test_newline_key(loaded):
    text = (MAPS / "bank-settlement.yaml").read_text("utf-8")
    map_ = loaded(text.replace("length: 160", "length: 160\nnewline: crlf"))
    assert map_.write(map_.read(bank())) == bank().replace(b"\n", b"\r\n")


def test_what_does_not_fit():
    map_ = design("bank-settlement")
    message = map_.read(bank())

    def write(**changes):
        first = dataclasses.replace(message.lines[0], **changes)
        return code(map_.write, dataclasses.replace(message, lines=[first]))

    assert write(amount=Decimal("1.005")) == "invalid_value"
    assert write(amount=Decimal(10) ** 14) == "invalid_length"
    assert write(payer_name="a\nb") == "invalid_characters"
    assert code(map_.write, dataclasses.replace(message, file_no=10**9)) == "invalid_length"


def test_edge_blanks_carry_no_meaning():
    map_ = design("bank-settlement")
    message = map_.read(bank())
    message.lines[0].payer_name = " Noor "
    assert map_.read(map_.write(message)).lines[0].payer_name == "Noor"


ODD = """
message: SettlementFile
format: fixed
length: 60
tables: {st: {S: settled, F: refunded, R: rejected}}
records:
  line:
    each: lines
    fields:
      1-16:  txn_id
      17-19: {field: bill_no, only: read}
      20-27: booked_on | date DD.MM.YY
      28-35: amount | text
      36-40: fee | number
      41-42: status | table st
      43-60: payer_name
"""


def test_faults_of_an_odd_map(faults):
    found = faults(ODD)
    assert "21: form 'date DD.MM.YY' loses YYYY of date 'booked_on'; " not in found
    assert any("loses YYYY" in fault for fault in found)
    assert "2: 'created_on' of SettlementFile is required, but nothing is read into it" in found


def test_columns_that_are_only_read_are_blank(loaded):
    text = ODD.replace("booked_on | date DD.MM.YY", "{field: booked_on, form: date DD.MM.YY, lossy: two digits}")
    text = text.replace("records:", "records:\n  head:\n    fields:\n" + "".join(
        f"      {place}: {rule}\n"
        for place, rule in (
            ("1-1", "= '#'"), ("2-11", "created_on | date YYYY-MM-DD"), ("12-21", "hijri_value_date | text"),
            ("22-31", "file_no | number"), ("32-34", "currency"), ("35-60", "= ''"),
        )
    ))  # fmt: skip
    text = text.replace("      1-16:  txn_id", "      1-1: = '-'\n      2-16:  txn_id")
    map_ = loaded(text)
    message = design("bank-settlement").read(bank())
    wire = map_.write(message)
    assert b"-TX0000000000001   17.02.26" in wire
    again = map_.read(wire)
    assert again.lines[0].booked_on == date(2026, 2, 17)
    assert again.lines[0].amount == Decimal("6120.50") and again.lines[0].bill_no is None
    old = wire.replace(b"17.02.26", b"17.02.84")
    assert map_.read(old).lines[0].booked_on == date(1984, 2, 17)


# --- csv ----------------------------------------------------------------------------------------------------------


def test_the_order_of_columns_does_not_matter():
    wire = (
        "Birth  date,NAME,Kind,expires,trips,score,ACTIVE,اسم آخر\r\n1980-02-03,Omar,+D,,٧,٣.٥,True,ignored\r\n"
    ).replace("True", "true")
    assert design("drivers").read(wire.encode()).rows == [
        Driver(name="Omar", born=date(1980, 2, 3), trips=7, score=Decimal("3.50"), active=True)
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_delimiters_and_marks(delimiter, mark):
    wire = 'kind;name;تاريخ الميلاد;trips;score;active\n+D;"A;B";03/04/1980;1;1;true\n'.replace(";", delimiter)
    (row,) = design("drivers").rows(mark + wire.encode(), date_order="DMY")
    if delimiter == "\t":
        assert row.fault.code == "invalid_characters"  # no name holds a tab, however it is quoted
    else:
        assert row.value.name == f"A{delimiter}B"
        assert row.value.born == date(1980, 4, 3)


@pytest.mark.parametrize(
    ("text", "order", "wanted"),
    [
        ("2000-04-03", None, date(2000, 4, 3)),
        ("2000/4/3", "MDY", date(2000, 4, 3)),
        ("٢٠٠٠-٠٤-٠٣", None, date(2000, 4, 3)),
        ("03/04/2000", "DMY", date(2000, 4, 3)),
        ("03.04.2000", "MDY", date(2000, 3, 4)),
        ("03/04/2000", None, "date_order_undeclared"),
        ("04/04/2000", None, date(2000, 4, 4)),
        ("23/04/2000", None, date(2000, 4, 23)),
        ("04-23-2000", None, date(2000, 4, 23)),
        ("23/04/2000", "MDY", "invalid_value"),
        ("03/04/00", "DMY", "invalid_value"),
        ("23/04/2000", "YMD", "invalid_value"),
        ("2000/04/23", "YMD", date(2000, 4, 23)),
        ("2000-13-01", None, "invalid_value"),
        ("soon", None, "invalid_value"),
        ("", None, "invalid_value"),
    ],
)
def test_dates_in_a_declared_order(text, order, wanted):
    (row,) = design("drivers").rows(
        f"kind,name,Birth Date,trips,score,active\n+D,A,{text},1,1,true\n".encode(), date_order=order
    )
    if isinstance(wanted, str):
        assert row.fault.code == wanted
        assert row.theirs["born"] == text
    else:
        assert row.value.born == wanted


@pytest.mark.parametrize(
    ("note", "wanted"),
    [
        ("=1+2", "map_formula"), ("@x", "map_formula"), ("-x", "map_formula"), ("+x", "map_formula"),
        ("'=1+2", "=1+2"), ("''=1+2", "'=1+2"), ("'quoted", "'quoted"), ("a=b", "a=b"),
    ],
)  # fmt: skip
def test_formulas(note, wanted):
    (row,) = design("drivers").rows(
        f"kind,name,Birth Date,trips,score,active,note\n+D,A,2000-01-01,1,-1,true,{note}\n".encode()
    )
    if row.fault:
        assert row.fault.code == wanted
    else:
        assert row.value.note == wanted
        assert b";" + note.encode() + b"\r\n" in design("drivers").write(Drivers(rows=[row.value]))


def test_a_phone_number_is_no_formula():
    (row,) = design("drivers").rows(
        "kind,name,Birth Date,trips,score,active,Phone\n+D,A,2000-01-01,1,1,true,+٩٦٦٥٠٠٠٠٠٠٠١\n".encode()
    )
    assert row.value.phone == "+966500000001"


def test_codes_as_people_type_them():
    head = "kind,name,Birth Date,trips,score,active,grade\n+D,A,2000-01-01,1,1,true,"
    for typed, grade in (("g", "gold"), ("ذَهَبِي / GOLD", "gold"), ("فضى", "silver"), ("", "silver")):
        (row,) = design("drivers").rows((head + typed + "\n").encode())
        assert row.value.grade == grade
    (row,) = design("drivers").rows((head + "bronze\n").encode())
    assert row.fault.code == "map_code_unknown" and "bronze" not in str(row.fault)


def test_headings():
    read = design("drivers").open_rows
    assert code(read, b"name,trips\nA,1\n") == "map_header"
    assert code(read, b"kind,name,Driver name,Birth Date,trips,score,active\n") == "map_header"
    assert code(read, b"") == "file_truncated"
    assert code(read, b"\n\n") == "file_truncated"
    assert code(read, b"\xff\xfe") == "encoding_cannot_hold"


def test_rows_of_a_csv_file():
    wire = b"\nkind,name,Birth Date,trips,score,active\n\n+D,A,2000-01-01,1,1,true,\n+D,B\n"
    wire += b",,,,,\n+D,C,2000-01-01,1,1,true,9\nX,D,2000-01-01,1,1,true\n"
    rows = list(design("drivers").rows(wire))
    assert [(row.number, row.fault and row.fault.code) for row in rows] == [
        (4, "map_length"), (5, "invalid_value"), (7, "map_length"), (8, "map_constant"),
    ]  # fmt: skip


def test_quotes_that_do_not_close():
    assert (
        code(design("drivers").read, b'kind,name,Birth Date,trips,score,active\n+D,"A,2000-01-01,1,1,true\n')
        == "file_truncated"
    )


def test_other_encodings(loaded):
    text = (MAPS / "drivers.yaml").read_text("utf-8").replace("format: csv", "format: csv\nencoding: cp1256")
    map_, message = loaded(text), drivers()
    assert map_.read(map_.write(message)) == message
    message.rows[1].note = "日"
    with pytest.raises(MapError) as caught:
        map_.write(message)
    assert (caught.value.code, caught.value.row, caught.value.field) == ("encoding_cannot_hold", 3, "note")


def test_a_part_half_there():
    (row,) = design("drivers").rows(
        b"kind,name,Birth Date,trips,score,active,expires\n+D,A,2000-01-01,1,1,true,2030-01-01\n"
    )
    assert (row.fault.code, row.fault.field) == ("required", "licence.number")


# --- spreadsheets -------------------------------------------------------------------------------------------------


def workbook(*rows):
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


HEAD = ("kind", "Driver Name", "Birth Date", "Licence", "expires", "trips", "score", "active", "seen", "note")


def test_a_spreadsheet():
    wire = workbook(
        HEAD,
        (
            "+D",
            " Omar ",
            date(1980, 2, 3),
            1234567,
            datetime(2030, 1, 1),
            7,
            2.5,
            True,
            datetime(2026, 2, 1, 12, 0, 5),
            12,
        ),
        (),
        ("+D", "Ali", "٠٣/٠٢/١٩٨٠", None, None, "٧", -1, False, None, "x"),
        ("+D", "Ali", datetime(1980, 2, 3, 4, 5), None, None, 1, 1, True, None, "x"),
        ("+D", "Ali", 29254, None, None, 1, 1, True, 5.5, "x"),
        ("+D", date(1980, 2, 3), date(1980, 2, 3), None, None, 1, 1, True, None, "x"),
        ("+D", "Ali", date(1980, 2, 3), None, None, 1.5, 1, True, None, "x"),
    )
    rows = list(design("drivers").rows(wire, date_order="DMY"))
    assert rows[0].value == Driver(
        name="Omar", born=date(1980, 2, 3), licence=Licence(number="1234567", expires_on=date(2030, 1, 1)), trips=7,
        score=Decimal("2.50"), active=True, seen_at=datetime(2026, 2, 1, 9, 0, 5, tzinfo=UTC), note="12",
    )  # fmt: skip
    assert rows[1].value == Driver(
        name="Ali", born=date(1980, 2, 3), trips=7, score=Decimal("-1.00"), active=False, note="x"
    )
    assert rows[1].number == 4
    assert [row.fault.code for row in rows[2:]] == ["invalid_type", "invalid_value", "invalid_type", "invalid_type"]
    assert rows[2].theirs["born"].startswith("1980-02-03")


def test_a_number_is_no_moment():
    row = ("+D", "A", date(2000, 1, 1), None, None, 1, 1, True, date(2026, 1, 1), None)
    (day,) = design("drivers").rows(workbook(HEAD, row))
    assert day.value.seen_at == datetime(2025, 12, 31, 21, tzinfo=UTC)
    (number,) = design("drivers").rows(workbook(HEAD, (*row[:8], 5.5, None)))
    assert number.fault.code == "invalid_value"


def test_spreadsheets_that_are_none():
    read = design("drivers").read
    assert code(read, b"PK\x03\x04 and no more") == "map_spreadsheet"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x.xml", "x")
    assert code(read, out.getvalue()) == "map_spreadsheet"
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 20_000_000)
    assert code(read, bomb.getvalue()) == "map_spreadsheet"


def test_a_spreadsheet_that_unpacks_to_more_than_it_says(monkeypatch):
    from hub.mapping import workbook as book

    monkeypatch.setattr(book, "_BYTES", 1_000)
    monkeypatch.setattr(book, "sum", lambda sizes: 0, raising=False)
    assert code(design("drivers").read, workbook(HEAD)) == "map_spreadsheet"
