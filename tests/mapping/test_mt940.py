"""Statements in MT940 and MT942: what banks really send, what is wrong with it, and what we write."""

import re
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import mt940
import pytest

from hub.canonical.errors import HubError
from hub.canonical.messages import Statement
from hub.mapping import MapError, laws, load
from hub.mapping.mt_writing import wrapped
from tests.mapping.conftest import MAPS, design

EXAMPLE = (MAPS / "examples" / "statements.sta").read_bytes()
INTERIM = (MAPS / "examples" / "interim.sta").read_bytes()
SWIFT = Path(__file__).parents[2] / "mappings/banks/swift_statements"
MAP = (MAPS / "statements.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def statements():
    return design("statements")


@pytest.fixture(scope="module")
def wanted(statements) -> Statement:
    return statements.read(EXAMPLE)


def refused(act, *given, **named) -> MapError:
    with pytest.raises(MapError) as caught:
        act(*given, **named)
    return caught.value


def one(*lines: str) -> bytes:
    """A statement with *lines* between its opening balance of 100 and its closing balance of 90."""
    head = (":20:R", ":25:A", ":28C:1", ":60F:C260101SAR100,")
    return "\n".join([*head, *lines, ":62F:C260102SAR90,", "-", ""]).encode()


def note(statements, *lines: str) -> str | None:
    read = statements.read(one(":61:260102D10,NTRFNONREF", *lines))
    return read.accounts[0].entries[0].note


# --- tolerant reading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_marks(statements, wanted, end, mark):
    assert statements.read(mark + EXAMPLE.replace(b"\r\n", end)) == wanted


def test_swift_blocks_and_bank_headers_around_it(statements, wanted):
    first, second = EXAMPLE.split(b"-\r\n:20:", 1)
    second = b":20:" + second
    blocks = b"{1:F01BANKSARIAXXX0000000000}{2:I940BANKSARIXXXXN}{4:\r\n%s-}{5:{CHK:0}}\r\n"
    assert statements.read(blocks % first + blocks % second[:-3]) == wanted
    header = b"\x01\r\nBANKSARI\r\n940\r\nBANKSARI\r\n"
    assert statements.read(header + first + b"-XXX\r\n" + header + second[:-3] + b"-\x03\r\n") == wanted


@pytest.mark.parametrize("encoding", ["utf-8", "cp852", "iso8859-1", "cp1256"])
def test_letters_of_any_encoding(loaded, encoding):
    word = {"cp852": "Łódź žluťoučký", "cp1256": "سداد فاتورة"}.get(encoding, "Größe ÄÖ")
    map_ = loaded(MAP.replace("format: mt940", f"format: mt940\nencoding: {encoding}"))
    wire = one(":61:260102D10,NTRFNONREF", f":86:{word}").decode().encode(encoding)
    read = map_.read(wire)
    assert read.accounts[0].entries[0].note == word
    if encoding != "utf-8":
        assert word.encode(encoding) in map_.write(read)


@pytest.mark.parametrize("encoding", ["iso8859-1", "cp852"])
def test_what_is_not_utf_8_and_has_no_encoding(statements, encoding):
    wire = one(":61:260102D10,NTRFNONREF", ":86:Größe für Müller").decode().encode(encoding)
    assert statements.read(wire).accounts[0].entries[0].note == "Größe für Müller"


def test_lines_of_a_text(statements):
    assert note(statements, ":86:ONE", "TWO") == "ONE TWO"
    assert note(statements, ":86:" + "A" * 61, "BC") == "A" * 61 + "BC"
    assert note(statements, ":86:051?00UEBERWEISUNG?20Okto", "ber?21Firma") == "051?00UEBERWEISUNG?20Oktober?21Firma"
    assert note(statements, ":86:A\tB", ":86:C") == "A B C"
    assert note(statements) is None


def test_text_after_the_closing_balance_is_the_statement_s(wanted):
    assert wanted.accounts[0].note == "END OF DAY"
    assert [entry.note for entry in wanted.accounts[0].entries][-1] is None


def test_reversals(statements):
    read = statements.read(one(":61:260102RC15,5NTRFNONREF", ":61:260102RD5,5NTRFNONREF"))
    found = [(e.direction, e.reversal, e.amount) for e in read.accounts[0].entries]
    assert found == [("debit", True, Decimal("15.5")), ("credit", True, Decimal("5.5"))]
    assert b":61:260102RC15,50NTRF" in statements.write(read) and b":61:260102RD5,50NTRF" in statements.write(read)


def test_the_year_of_an_entry_date(statements):
    wire = one(":61:2601021231D10,NTRFNONREF")
    assert statements.read(wire).accounts[0].entries[0].booked_on == date(2025, 12, 31)
    wire = one(":61:2512310102D10,NTRFNONREF")
    assert statements.read(wire).accounts[0].entries[0].booked_on == date(2026, 1, 2)


def test_the_thirtieth_of_february_is_its_last_day(statements):
    read = statements.read(one(":61:2602300301D10,NTRFNONREF"))
    assert read.accounts[0].entries[0].value_on == date(2026, 2, 28)


def test_pages_of_one_statement(statements):
    page = (
        one(":61:260102D10,NTRFNONREF").replace(b":28C:1", b":28C:1/2").replace(b"60F", b"60M").replace(b"62F", b"62M")
    )
    read = statements.read(page)
    assert read.accounts[0].last_page is False and read.accounts[0].difference == 0
    assert b":60M:" in statements.write(read) and b":62M:" in statements.write(read)


# --- does it add up? ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        (b"62F:C260214SAR15985,00", b"62F:C260214SAR15985,01", "file_totals", "62"),
        (b":62F:C260214SAR15985,00\r\n", b"", "file_truncated", "62"),
        (b":60F:C260213SAR10000,00\r\n", b"", "file_truncated", "60"),
        (b":61:2602140213C", b":61:2602140213D", "file_totals", "62"),
    ],
)
def test_a_statement_that_does_not_add_up_is_a_policy(statements, loaded, old, new, code, place):
    assert old in EXAMPLE
    wire = EXAMPLE.replace(old, new)
    error = refused(statements.read, wire)
    assert (error.code, error.place, error.row) == (code, place, 1)
    lax = loaded(MAP.replace("format: mt940", "format: mt940\ncounts: warn"))
    assert lax.read(wire) == statements.read(wire, counts="warn")
    assert len(lax.read(wire).accounts[0].entries) == 3


def test_totals_of_the_interim_report():
    map_ = design("interim")
    for old, new in (
        (b"90C:2SAR6135,75", b"90C:2SAR6135,76"),
        (b"90C:2", b"90C:3"),
        (b"90D:0SAR0,00", b"90D:1SAR1,00"),
    ):
        error = refused(map_.read, INTERIM.replace(old, new))
        assert error.code == "file_totals" and error.place == "90" + old[2:3].decode()
        assert map_.read(INTERIM.replace(old, new), counts="warn") == map_.read(INTERIM)


def test_the_moment_of_an_interim_report():
    map_ = design("interim")
    for wrong in (b"2602142530+0300", b"2602141230+9900", b"260214"):
        assert refused(map_.read, INTERIM.replace(b"2602141230+0300", wrong)).place == "13D"
    # Without its offset it is no moment, and nobody is told one.
    assert map_.read(INTERIM.replace(b"+0300", b"")).accounts[0].created_at is None


def test_what_does_not_add_up_is_told_to_the_log(statements, logged):
    statements.read(EXAMPLE.replace(b"10000,00", b"10000,01"), counts="warn")
    told = str(logged)
    assert "mt_totals" in told and "PILGRIMS" not in told and "SA038" not in told


# --- what is wrong is located -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "code", "place"),
    [
        (b"", "mt_unreadable", "20"),
        (b"1\n2\n3\n", "mt_unreadable", "20"),
        (bytes(range(256)) * 4, "mt_unreadable", "20"),
        (EXAMPLE.replace(b"260214D15,00", b"26O214D15,00"), "mt_unreadable", "61"),
        (EXAMPLE.replace(b":61:260214D15", b":61:261314D15"), "mt_unreadable", "61"),
        (EXAMPLE.replace(b"62F:C260214", b"62F:C260231"), "mt_unreadable", "62"),
        (EXAMPLE.replace(b"60F:C260213", b"60F:X260213"), "mt_unreadable", "60"),
        (EXAMPLE.replace(b"SAR10000,00", b"SAR,,"), "mt_unreadable", "60"),
        (EXAMPLE.replace(b":28C:45/1", b":28C:no"), "mt_unreadable", "28C/number"),
        (EXAMPLE.replace(b":28C:45/1", b":28C:45/1\r\n:60F:C260213SAR1,"), "map_repeated", "60"),
        (EXAMPLE.replace(b":25:SA0380000000608010167519\r\n", b""), "required", "statement/25"),
        (one(":61:260102D10,NTRFNONREF", ":86:" + "X" * 2001), "invalid_length", "statement/61/86"),
        (one(":61:260102D10,12345678NTRFNONREF"), "file_totals", "62"),
    ],
)
def test_what_is_wrong_has_a_place(statements, wire, code, place, caplog, capsys):
    error = refused(statements.read, wire)
    assert (error.code, error.place) == (code, place)
    assert str(error).startswith("maps/statements.yaml:") and "SA038" not in str(error)
    assert error.__cause__ is None and error.__context__ is None
    told = caplog.text + "".join(capsys.readouterr())
    assert "SA038" not in told and "no" not in told.split()


def test_nothing_but_an_error_comes_of_a_damaged_file(statements):
    for at in range(0, len(EXAMPLE), 3):
        for damage in (b"", b"\xff", b":", b"\r\n", b"-"):
            wire = EXAMPLE[:at] + damage + EXAMPLE[at + 1 :]
            laws.unharmed(statements, wire)


def test_without_the_library_a_map_loads_and_writes_and_says_what_is_missing(statements, wanted, monkeypatch):
    monkeypatch.setitem(sys.modules, "mt940", None)
    assert design("statements").write(wanted) == EXAMPLE
    assert refused(statements.read, EXAMPLE).code == "mt_library"


# --- writing ------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_by_the_library(statements, wanted):
    text = statements.write(wanted).decode()
    assert re.fullmatch(r"(?:[^\r\n]{1,69}\r\n)+", text)
    first, second = mt940.parse_statements(text, options=mt940.Options.all())
    assert first.data["final_opening_balance"].amount.amount == Decimal("10000.00")
    assert [t.data["amount"].amount for t in first.transactions] == [
        Decimal("6120.50"),
        Decimal("-120.50"),
        Decimal(-15),
    ]
    assert second.data["final_closing_balance"].amount.amount == Decimal("-15.00")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reference": "A reference of more than sixteen"}, "invalid_pattern"),
        ({"reference": "TWO//SLASHES"}, "invalid_pattern"),
        ({"number": "123456"}, "invalid_pattern"),
        ({"account": "حساب"}, "invalid_pattern"),
        ({"note": "WORD " * 80}, "invalid_length"),
        ({"balances": []}, "map_condition"),
    ],
)
def test_what_the_standard_has_no_room_for_is_refused(statements, change, code):
    message = statements.read(EXAMPLE)
    for name, value in change.items():
        setattr(message.accounts[0], name, value)
    error = refused(statements.write, message)
    assert error.code == code and error.doing == "write" and "SLASHES" not in str(error)


def test_a_text_is_wrapped_as_it_is_read(statements):
    for text in ("PAID BY " + "B" * 150, "A WORD " * 30 + "END", "051?00X?20" + "LONG " * 40 + "END"):
        message = statements.read(one(":61:260102D10,NTRFNONREF"))
        message.accounts[0].entries[0].note = text
        wire = statements.write(message)
        assert max(map(len, wire.split(b"\r\n"))) <= 65
        assert statements.read(wire).accounts[0].entries[0].note == text
    assert wrapped("A" * 61 + " :61:260102C1,") is None


# --- maps ---------------------------------------------------------------------------------------------------------


LEDGER = """\
message: Ledger
format: mt940
tables:
  direction: {C: credit, D: debit}
fields:
  "20": reference
  "25": account
  28C/number: number
  "60":
    group: opening
    fields: {mark: direction | table direction, date: on, currency: currency, amount: amount}
  "62":
    group: closing
    fields: {mark: direction | table direction, date: on, currency: currency, amount: amount}
"""


def test_a_map_of_one_statement_and_its_balances_as_parts(loaded):
    map_ = loaded(LEDGER)
    read = map_.read(one().replace(b"SAR90,", b"SAR100,"))
    assert (read.opening.amount, read.closing.on) == (Decimal(100), date(2026, 1, 2))
    assert refused(map_.read, EXAMPLE).code == "map_repeated"
    laws.hold(map_, 40)


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('      "20":       reference', '      "200":       reference', "'200' has no place there"),
        ("          value:          value_on", "          valeu:          value_on", "did you mean 'value'?"),
        ('      "61":\n        each: entries', '      "86":\n        each: entries', "'86' is one value"),
        ("format: mt940", "format: mt940\ndelimiter: ;", "is no key of a map in mt940"),
        ("format: mt940", "format: mt94", "did you mean 'mt942'?"),
    ],
)
def test_mistakes_of_a_map(faults, old, new, wanted):
    assert old in MAP
    found = faults(MAP.replace(old, new, 1))
    assert any(wanted in fault for fault in found), found


# --- published samples --------------------------------------------------------------------------------------------


def blocks(file: Path) -> list[bytes]:
    """The statements of a file, each by itself with what stands around it."""
    return re.split(rb"(?m)^(?=:20:)", file.read_bytes().replace(b"\r\n", b"\n"))[1:]


def by_the_library(data: bytes) -> "mt940.models.Transactions | None":
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("iso8859-1")
    try:
        return mt940.parse_statements(text, options=mt940.Options.all())[0]
    except Exception:  # it has no error of its own for what it cannot read
        return None


@pytest.mark.needs("specimens")
@pytest.mark.parametrize("name", ["statements", "interim", "receive_statement", "receive_interim"])
def test_every_published_statement_that_adds_up_is_read(name, specimens: Path):
    """… with every entry of it; one that does not add up is refused with both numbers, and read where that is told."""
    map_ = load(SWIFT / name / "request.v1.yaml") if name.startswith("receive") else design(name)
    read, untrue, broken = 0, 0, 0
    for block in (block for file in sorted(specimens.glob(f"{map_.format}/*")) for block in blocks(file)):
        theirs = by_the_library(block)
        if theirs is None:
            assert refused(map_.read, block).code == "mt_unreadable"
            broken += 1
            continue
        (account,) = map_.read(block, counts="warn").accounts
        amounts = [t.data["amount"].amount for t in theirs.transactions]
        assert [entry.signed for entry in account.entries] == amounts
        assert [entry.value_on for entry in account.entries] == [t.data["date"] for t in theirs.transactions]
        assert account.account == theirs.data["account_identification"]
        if account.difference:
            error = refused(map_.read, block)
            assert error.code == "file_totals" and error.line > 1
            untrue += 1
            continue
        assert map_.read(block) == map_.read(block, counts="warn")
        read += 1
    print(f"{name}: {read} read, {untrue} do not add up, {broken} the library cannot read")
    assert read


@pytest.mark.needs("specimens")
def test_every_published_file_is_a_value_or_a_located_error(specimens: Path):
    files = [*specimens.glob("mt940/*"), *specimens.glob("mt942/*")]
    assert files
    for file in files:
        for name in ("statements", "interim"):
            try:
                message = design(name).read(file.read_bytes())
            except HubError as error:
                assert isinstance(error, MapError) and error.line > 1
            else:
                assert message.accounts
