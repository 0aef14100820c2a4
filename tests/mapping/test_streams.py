"""Large files as streams, dialects of csv, records of several lengths, code tables that change with time."""

import io
import resource
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from hub.bench.messages import MESSAGES as BENCH
from hub.bench.messages import PilgrimFile, line
from hub.canonical.declare import canonical, decimal, integer, plain, text
from hub.mapping import Map, MapError, check, laws, load


@canonical
class Item:
    code: str = text(10)
    amount: Decimal = decimal(10, 2, signed=True)
    count: int | None = integer(0, 999, default=None)
    note: str | None = text(40, default=None)


@canonical
class Address:
    street: str = text(20)


@canonical
class Goods:
    owner: str | None = text(10, default=None)
    address: Address | None = plain(default=None)
    items: list[Item] = plain()
    others: list[Item] = plain(default=[])


MESSAGES: dict[str, type] = {"Goods": Goods}


def made(tmp_path: Path, text: str) -> Map:
    path = tmp_path / "goods.yaml"
    path.write_text(text, "utf-8")
    return load(path, messages=MESSAGES)


def faults(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "goods.yaml"
    path.write_text(text, "utf-8")
    return [f"{fault.line}: {fault.text}" for fault in check([path], messages=MESSAGES)]


def item(number: int) -> Item:
    return Item(code=f"C{number}", amount=Decimal(number).scaleb(-2), count=number % 1000, note=None)


# --- streams ------------------------------------------------------------------------------------------------------

TOTALS = """
message: Goods
format: fixed
length: 40
records:
  head:
    fields:
      1-1: = 'H'
      2-11: owner
      12-40: = ''
  item:
    each: items
    fields:
      1-1: = 'D'
      2-11: code
      12-24: {field: amount, form: "decimal 2 ."}
      25-40: note
  tail:
    fields:
      1-1: = 'T'
      2-11: = count(items) | digits
      12-30: = sum(items.amount) | decimal 2
      31-40: = ''
"""


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_file_may_arrive_in_pieces(tmp_path, size):
    map_ = made(tmp_path, TOTALS)
    message = Goods(owner="me", items=[item(n) for n in range(300)])
    for one in message.items:
        one.count = None
    whole = map_.write(message)
    cut = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert map_.open_rows(cut).message() == map_.open_rows(io.BytesIO(whole)).message() == message
    out = io.BytesIO()
    assert map_.write_rows(Goods(owner="me", items=[]), iter(message.items), out) == 302
    assert out.getvalue() == whole


def test_what_is_streamed_is_checked_as_what_is_whole(tmp_path):
    map_ = made(tmp_path, TOTALS)
    whole = map_.write(Goods(owner="me", items=[item(n) for n in range(5)]))
    bad = whole.replace(b"T0000000005", b"T0000000006")
    rows = iter(map_.open_rows(iter([bad[:50], bad[50:]])))
    with pytest.raises(MapError) as caught:
        list(rows)
    assert (caught.value.code, caught.value.row) == ("file_totals", 7)
    with pytest.raises(MapError) as caught:
        list(map_.rows(iter([b"x" * 600_000, b"x" * 600_000])))
    assert caught.value.code == "map_length"


def test_a_total_ahead_of_its_rows_cannot_be_streamed(tmp_path):
    text = TOTALS.replace("12-40: = ''\n  item", "12-20: = count(items) | digits\n      21-40: = ''\n  item")
    map_, message = made(tmp_path, text), Goods(owner="me", items=[item(1)])
    assert map_.read(map_.write(message)).items[0].code == "C1"
    with pytest.raises(MapError) as caught:
        map_.write_rows(message, message.items, io.BytesIO())
    assert (caught.value.code, caught.value.line) == ("map_total_ahead", 10)


def _resident() -> int:
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("name", ["fixed", "csv"])
def test_a_stream_takes_no_more_memory_for_being_long(name):
    """Sixteen megabytes go through, written and read at once; what the process holds grows by a fraction of that."""
    import random

    chance, records = random.Random(1), 40_000
    map_ = load(Path(__file__).parents[2] / f"hub/bench/maps/{name}.yaml", messages=BENCH)
    one = line(1, chance)

    class Pipe:
        """Reads what is written to it, in batches of rows, and forgets it."""

        def __init__(self) -> None:
            self.total = 0
            self.parts: list[bytes] = []

        def write(self, data: bytes) -> None:
            self.total += len(data)
            self.parts.append(data)

    def rows() -> Iterator[bytes]:
        pipe = Pipe()
        map_.write_rows(PilgrimFile(lines=[]), [one] * 500, pipe)
        batch = b"".join(pipe.parts)
        heading, body = (
            (batch[: batch.index(b"\n") + 1], batch[batch.index(b"\n") + 1 :]) if name == "csv" else (b"", batch)
        )
        yield heading
        for _ in range(records // 500):
            yield body

    list(map_.rows(map_.write(PilgrimFile(lines=[one] * 500))))  # what is made once is made now
    before = _resident()
    assert sum(row.fault is None for row in map_.rows(rows())) == records
    assert _resident() - before < 6_000_000


# --- dialects -----------------------------------------------------------------------------------------------------

CSV = """
message: Goods
format: csv
records:
  item:
    each: items
    fields:
      Code / Référence / Código: code
      Amount / Montant: amount | decimal 2 ,
      Count / Nombre: count | number
      Note: note
"""


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1.234,56", "1234.56"), ("1 234,56", "1234.56"), ("1\u202f234,5", "1234.50"), ("-4,5", "-4.50"),
     ("4,50-", "-4.50"), ("+7", "7.00"), ("1'000,00", "1000.00")],
)  # fmt: skip
def test_decimals_with_a_comma(tmp_path, text, amount):
    (one,) = made(tmp_path, CSV).read(f'Référence;Montant;Nombre\nA;"{text}";7\n'.encode()).items
    assert (one.amount, one.count) == (Decimal(amount), 7)


@pytest.mark.parametrize("text", ["1.23,4", "1,234.56", "--1", "-1-", "1.2345,00", "", "1,234"])
def test_what_is_no_such_decimal(tmp_path, text):
    (row,) = made(tmp_path, CSV).rows(f'Code;Amount;Note\nA;"{text}";x\n'.encode())
    assert row.fault is not None and row.fault.field == "amount"


def test_rows_before_and_after(tmp_path):
    map_ = made(tmp_path, CSV.replace("format: csv", "format: csv\nskip: 3\nfooter: 1"))
    rows = list(map_.rows(b"Bank of Somewhere\nfrom;2026-01-01\n\nCode;Amount\nA;1,00\nB;2,00\nTotal;3,00\n"))
    assert [(row.number, row.value.code) for row in rows] == [(5, "A"), (6, "B")]
    with pytest.raises(MapError) as caught:
        list(map_.rows(b"one\ntwo\nthree\nfour\nCode;Amount\n"))
    assert caught.value.code == "map_header"


def test_quotes_of_other_kinds(tmp_path):
    message = Goods(items=[Item(code="A;B", amount=Decimal("1.00"), note="it's")])
    for quote, wanted in (('"\'"', b"A;B,'1,00',,'it''s'"), ("all", b'"A;B","1,00","","it\'s"')):
        map_ = made(tmp_path, CSV.replace("format: csv", f"format: csv\nquote: {quote}"))
        assert wanted in map_.write(message)
        assert map_.read(map_.write(message)) == message
    none = made(tmp_path, CSV.replace("format: csv", "format: csv\ndelimiter: ;\nquote: none"))
    with pytest.raises(MapError) as caught:
        none.write(message)
    assert (caught.value.code, caught.value.row) == ("map_delimiter", 2)
    assert none.read(b'Code;Amount\n"A;1,00\n').items[0].code == '"A'


def test_unknown_columns_are_a_policy(tmp_path):
    wire = b"Code;Amount;Secret\nA;1,00;x\n"
    assert made(tmp_path, CSV).read(wire).items[0].code == "A"
    with pytest.raises(MapError) as caught:
        made(tmp_path, CSV.replace("format: csv", "format: csv\nunknown: refuse")).read(wire)
    assert caught.value.code == "map_unknown"
    warned = made(tmp_path, CSV.replace("format: csv", "format: csv\nunknown: warn"))
    warned.read(wire)
    assert warned.spec.noticed == {"Secret": 1}


def test_unknown_members_are_a_policy(tmp_path):
    text = "message: Goods\nformat: json\nunknown: refuse\nfields:\n  items:\n    each: items\n    fields:\n"
    text += "      code: code\n      amount: amount | text\n      known: '~'\n"
    map_ = made(tmp_path, text)
    assert map_.read(b'{"items":[{"code":"A","amount":"1.00","known":[1]}]}').items[0].code == "A"
    with pytest.raises(MapError) as caught:
        map_.read(b'{"items":[{"code":"A","amount":"1.00"},{"code":"A","amount":"1.00","other":1}]}')
    assert (caught.value.code, caught.value.item) == ("map_unknown", " of items 2")


# --- records ------------------------------------------------------------------------------------------------------

MIXED = """
message: Goods
format: fixed
length: 20
order: any
continuation: "88"
newline: crlf
records:
  owner:
    fields:
      1-2: = 'OW'
      3-12: owner
      13-20: = ''
  address:
    group: address
    fields:
      1-2: = 'AD'
      3-20: street
  item:
    each: items
    length: 56
    fields:
      1-2: = 'IT'
      3-12: code
      13-16: {field: amount, form: "decimal 2"}
      17-56: note
  other:
    each: others
    fields:
      1-2: = 'OT'
      3-12: code
      13-20: {field: amount, form: "decimal 2"}
"""


def test_records_in_any_order_and_in_several_lines(tmp_path):
    text = MIXED.replace("3-12: code", "3-12: code", 1)
    assert faults(tmp_path, text) == [
        "18: 'street' may have 20 characters, columns 3-20 hold 18: longer values are refused when written",
        "25: 'amount' may have 11 characters, columns 13-16 hold 4: longer values are refused when written",
        "32: 'amount' may have 11 characters, columns 13-20 hold 8: longer values are refused when written",
    ]
    map_ = made(tmp_path, text)
    wire = b"OTX         00000200\r\nITA         0100a no\r\n88te that goes on fo\r\n88r long            \r\n"
    wire += b"OWme                \r\nOTY         00000300\r\nITB         0200    \r\n"
    message = map_.read(wire)
    assert (message.owner, message.address) == ("me", None)
    assert [(one.code, one.note) for one in message.items] == [("A", "a note that goes on for long"), ("B", None)]
    assert [(one.code, one.amount) for one in message.others] == [("X", Decimal("2.00")), ("Y", Decimal("3.00"))]
    written = map_.write(message)
    assert set(map(len, written.decode().split("\r\n")[:-1])) == {20}
    assert map_.read(written) == message
    assert map_.read(wire + b"ADHill Street       \r\n").address == Address(street="Hill Street")
    with pytest.raises(MapError) as caught:
        map_.read(wire + b"OWyou               \r\n")
    assert caught.value.code == "map_record"
    laws.hold(map_, examples=40)


def test_records_without_line_ends(tmp_path):
    map_ = made(tmp_path, TOTALS.replace("length: 40", "length: 40\nnewline: none"))
    message = Goods(owner="me", items=[Item(code="A", amount=Decimal("1.00")), Item(code="B", amount=Decimal("2.00"))])
    assert len(map_.write(message)) == 160
    assert map_.read(map_.write(message)) == message


# --- tables that change with time ---------------------------------------------------------------------------------

DATED = "message: Goods\nformat: json\ntables:\n  code: codes.csv\nfields:\n  items:\n    each: items\n    fields:\n"
DATED += "      code: code | table code\n      amount: amount | text\n"
CODES = "theirs,ours,from,to\nA,alpha,,\nB,beta,,2026-05-31\nB,gamma,2026-06-01,\nC,gamma,2026-06-01,2026-12-31\n"


def dated(tmp_path: Path, codes: str) -> Path:
    (tmp_path / "tables").mkdir(exist_ok=True)
    (tmp_path / "tables" / "codes.csv").write_text(codes, "utf-8")
    path = tmp_path / "goods.yaml"
    path.write_text(DATED, "utf-8")
    return path


def test_codes_hold_for_a_time(tmp_path):
    map_ = load(dated(tmp_path, CODES), messages=MESSAGES)
    wire = b'{"items":[{"code":"B","amount":"1.00"}]}'
    assert map_.read(wire, on=date(2026, 5, 31)).items[0].code == "beta"
    assert map_.read(wire, on=date(2026, 6, 1)).items[0].code == "gamma"
    new = wire.replace(b"B", b"C")
    assert map_.read(new, on=date(2026, 12, 31)).items[0].code == "gamma"
    for day in (date(2026, 5, 31), date(2027, 1, 1)):
        with pytest.raises(MapError) as caught:
            map_.read(new, on=day)
        assert (caught.value.code, caught.value.line) == ("map_code_unknown", 9)
    message = Goods(items=[Item(code="beta", amount=Decimal("1.00"))])
    assert map_.write(message, on=date(2026, 1, 1)) == wire
    with pytest.raises(MapError) as caught:
        map_.write(message, on=date(2026, 7, 1))
    assert caught.value.code == "map_code_unknown"
    assert map_.at(date(2026, 7, 1)).hash == map_.hash
    other = load(dated(tmp_path, CODES.replace("05-31", "05-30").replace("06-01", "05-31")), messages=MESSAGES)
    assert other.hash != map_.hash


def test_codes_that_overlap_are_no_code(tmp_path):
    (fault,) = check([dated(tmp_path, CODES.replace("2026-05-31", "2026-06-30"))], messages=MESSAGES)
    assert str(fault).endswith(
        "goods.yaml:4: table 'code': 'B' stands for both 'beta' and 'gamma', so it cannot be read back"
    )


@pytest.mark.parametrize("row", ["D,delta,2026-06-01,2026-01-01", "D,delta,tomorrow,", "D,delta"])
def test_days_of_a_table_are_days(tmp_path, row):
    (fault,) = check([dated(tmp_path, CODES + row + "\n")], messages=MESSAGES)
    assert "row 6 of 'codes.csv' has not four columns" in str(fault)
