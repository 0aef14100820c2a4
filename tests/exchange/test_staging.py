"""Lines of files before the cases hear of them: stored once, typed and sealed, whatever is killed, and all or none."""

import json
import signal
import subprocess
import sys
from datetime import date
from decimal import Decimal
from itertools import count

import pytest

from hub.bench.settlement import settlement_file, settlement_lines
from hub.canonical.errors import HubError
from hub.canonical.messages.banks import SettlementFile, SettlementLine
from hub.canonical.schema import dump, dumps, undump
from hub.exchange.engine import Engine
from hub.exchange.receive import Said
from hub.store.database import as_uuid
from hub.store.encoding import to_json
from tests.exchange.exchanging import AGENT, BANK, COMPANY, ROOT, filing
from tests.exchange.test_roster import GOOD, HEAD, SECOND

SETTLEMENT = "receive_settlement"


@pytest.fixture
def small(monkeypatch):
    """Chunks and pieces so small that a short file takes many."""
    monkeypatch.setattr("hub.exchange.files.STAGED", 10)
    monkeypatch.setattr("hub.exchange.files.CHUNK", 10)
    monkeypatch.setattr("hub.exchange.files.PIECE", 1000)
    monkeypatch.setattr("hub.store.ledger.PIECE", 1000)


@pytest.fixture
def bank(small, hub):
    """A hub whose bank may send a settlement."""
    return hub


def body(hub, lines: int, number: int = 1) -> bytes:
    return settlement_file(hub.engine.register.map("banks/payments", SETTLEMENT, "request"), lines, number)


def settle(hub, data: bytes, **said):
    return hub.tell(BANK, SETTLEMENT, data, name="SETTLE-1.txt", said=Said(**said))


def incidents(hub) -> list[tuple[str, int]]:
    return hub.rows("SELECT code, line FROM incident WHERE resolved_at IS NULL ORDER BY line")


def stops(monkeypatch, owner: str, name: str, after: int) -> None:
    """Whatever is told this way breaks once, when it has been done *after* times."""
    target, calls = f"{owner}.{name}", count(1)
    module, cls = owner.rsplit(".", 1)
    original = getattr(getattr(sys.modules[module], cls), name)

    def breaking(*given, **named):
        if next(calls) == after:
            raise MemoryError
        return original(*given, **named)

    monkeypatch.setattr(target, breaking)


def test_lines_that_belong_to_nobody_stay_typed_and_sealed_and_the_others_go(bank):
    for request in bank.open().body["requests"]:
        bank.decide(request["id"], "accept")
    data = body(bank, 25)
    assert settle(bank, data).status == "taken"
    assert bank.rows("SELECT state, records, subjects, done FROM exchange WHERE name IS NOT NULL") == [
        ("settled", 25, 25, 25)
    ]
    assert bank.rows("SELECT number FROM line ORDER BY number") == [(n,) for n in (0, *range(2, 26))], "1 has a bill"
    exchange = as_uuid(bank.rows("SELECT DISTINCT exchange_id FROM line")[0][0])
    staging = bank.engine.exchange.files.staging

    def read(tx):
        staged = staging.resume(tx, exchange)
        return staging.head(tx, staged, SettlementFile), staging.next(tx, staged, 1, 3, SettlementLine)

    head, lines = bank.engine.database.unit(read)
    assert (head.file_no, head.currency, head.lines) == (1, "SAR", [])
    assert lines == list(enumerate(settlement_lines(25), 1))[1:4]
    for (sealed,) in bank.rows("SELECT sealed FROM line"):
        assert b"HRM2026" not in sealed and b"bank_ref" not in sealed
    assert bank.engine.database.unit(lambda tx: bank.engine._ledger.bytes_of(tx, exchange)) == data, "kept in pieces"
    assert bank.rows("SELECT count(*) FROM payload WHERE exchange_id = ? AND kind = 'request'", exchange.hex) == [
        (-(-len(data) // 1000),)
    ]


def test_no_line_passes_for_another(bank):
    settle(bank, body(bank, 3))
    exchange = as_uuid(bank.rows("SELECT DISTINCT exchange_id FROM line")[0][0])
    swap = "UPDATE line SET sealed = (SELECT sealed FROM line WHERE number = 2) WHERE number = 3"
    bank.engine.database.unit(lambda tx: tx._connection.execute(swap))
    staging = bank.engine.exchange.files.staging
    with pytest.raises(HubError, match="seal"):
        bank.engine.database.unit(lambda tx: staging.next(tx, staging.resume(tx, exchange), 2, 1, SettlementLine))


@pytest.mark.parametrize(
    ("change", "said", "code"),
    [
        (lambda data: data, {"count": 34}, "file_totals"),
        (lambda data: data, {"control": "1.00"}, "file_totals"),
        (lambda data: data, {"sequence": 2}, "file_sequence_differs"),
        (lambda data: data.replace(b"T000000035", b"T000000034"), {}, "file_totals"),
        (lambda data: data[: data.rindex(b"T0000")], {}, "file_truncated"),
        (lambda data: data.replace(b"HRM20260203-000033", b"                  "), {}, None),
    ],
)
def test_a_file_that_turns_out_wrong_when_most_of_it_is_stored_is_refused_with_all_of_it(bank, change, said, code):
    wrong = change(body(bank, 35))
    receipt = settle(bank, wrong, **said)
    assert receipt.status == "refused" and code in (None, receipt.fault.code)
    assert bank.rows("SELECT state, owner IS NOT NULL FROM exchange") == [("dead", 1)]
    assert bank.rows("SELECT count(*) FROM line") == [(0,)]
    assert len(bank.incidents()) == 1 and bank.rows("SELECT value FROM sequence WHERE name LIKE 'in/%'") == []
    assert settle(bank, wrong, **said).status == "refused" and len(bank.incidents()) == 1, "told once"
    right = body(bank, 35)
    assert settle(bank, right, control=str(total(right))).status == "taken", "the number is still free"


def total(data: bytes) -> Decimal:
    return sum((Decimal(row[39:54].decode()) / 100 for row in data.splitlines() if row[:1] == b"D"), Decimal(0))


def test_files_come_in_the_order_of_their_numbers_and_each_once(bank):
    assert settle(bank, body(bank, 12, 2)).status == "gap"
    assert bank.rows("SELECT count(*) FROM exchange") == [(0,)], "nothing is stored of what must wait"
    assert settle(bank, body(bank, 12, 1)).status == "taken"
    assert settle(bank, body(bank, 13, 1)).fault.code == "file_sequence_repeated"
    assert settle(bank, body(bank, 12, 1)).status == "repeated"
    before = len(incidents(bank))
    assert settle(bank, body(bank, 12, 2)).status == "taken"
    assert len(incidents(bank)) == before - 1, "of lines told before, nobody is told again, and the gap is closed"


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        ("hub.store.staging.Staging", "keep", 4),
        ("hub.store.staging.Staging", "put", 1),
        ("hub.store.staging.Staging", "put", 3),
        ("hub.store.staging.Staging", "whole", 1),
        ("hub.store.staging.Staging", "told", 2),
        ("hub.store.staging.Staging", "finished", 1),
    ],
)
def test_what_is_killed_goes_on_where_it_stopped_and_tells_each_line_once(bank, tmp_path, owner, name, after):
    data = body(bank, 35)
    (tmp_path / "settlement.txt").write_bytes(data)
    bank.engine.stop()
    code = f"""
import os, signal, sys
from itertools import count
from pathlib import Path
import {owner.rsplit(".", 1)[0]} as module
from hub.exchange import files
from hub.exchange.engine import Engine
from hub.exchange.receive import Said
from hub.settings import load
from hub.store import ledger
files.STAGED = files.CHUNK = 10
files.PIECE = ledger.PIECE = 1000
original, calls = module.{owner.rsplit(".", 1)[1]}.{name}, count(1)
def dies(*given, **named):
    made = original(*given, **named)
    if next(calls) == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    return made
module.{owner.rsplit(".", 1)[1]}.{name} = dies
engine = Engine(load(None, {{"HUB_VAR": sys.argv[1], "HUB_CLOCK": sys.argv[2]}}))
body = Path(sys.argv[3]).read_bytes()
engine.exchange.receive("{BANK}", "{SETTLEMENT}", body, name="SETTLE-1.txt", said=Said())
"""
    var = bank.settings.var
    command = [sys.executable, "-c", code, str(var), str(var / "clock.json"), str(tmp_path / "settlement.txt")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    bank.engine = Engine(bank.settings)
    ((state, stored),) = bank.rows("SELECT state, (SELECT count(*) FROM line) FROM exchange")
    assert state == "leased" and stored > 0
    assert settle(bank, data).status == "taken"
    assert incidents(bank) == [("payment_unknown_bill", n) for n in range(1, 36)], "each line once"
    assert bank.rows("SELECT state, records, done FROM exchange") == [("settled", 35, 35)]
    exchange = as_uuid(bank.rows("SELECT id FROM exchange")[0][0])
    assert bank.engine.database.unit(lambda tx: bank.engine._ledger.bytes_of(tx, exchange)) == data


def test_a_line_stored_by_another_version_of_the_map_is_read_again(bank, monkeypatch):
    data = body(bank, 35)
    stops(monkeypatch, "hub.store.staging.Staging", "put", 3)
    with pytest.raises(MemoryError):
        settle(bank, data)
    bank.engine.database.unit(lambda tx: tx._connection.execute("UPDATE exchange SET map_hash = 'older'"))
    assert settle(bank, data).status == "taken"
    assert len(incidents(bank)) == 35
    map_ = bank.engine.register.map("banks/payments", SETTLEMENT, "request")
    assert bank.rows("SELECT map_hash FROM exchange") == [(map_.hash,)]


def test_rows_of_a_list_that_cannot_be_read_are_put_before_a_person_and_the_others_are_staged(bank):
    head = "Mutamer No,Agent No,Group No,Mutamer Name,Nationality,Passport No,Visa No,MOFA No,Border No,Entry Date,"
    head += "Exit Date,Stay Days,Status"
    good = "1,A,G,x,إندونيسيا,X{n:07},,,,,,10,خرج"
    rows = [good.format(n=n) if n % 4 else good.format(n=n).replace("خرج", "???") for n in range(1, 30)]
    data = "\r\n".join((head, *rows)).encode()
    reporter = next(
        p for p in bank.engine.register.partners.values()
        if any(op.adapter == "agents/daily_report" for op in p.operations.values())
    )  # fmt: skip
    (operation,) = [op.name for op in reporter.operations.values() if op.adapter == "agents/daily_report"]
    receipt = bank.tell(reporter.id, operation, data, name="report.csv", said=Said())
    assert (receipt.status, receipt.lines) == ("taken", 22)
    bad = bank.rows("SELECT line FROM incident WHERE kind = 'file' ORDER BY line")
    assert bad == [(n + 1,) for n in range(4, 30, 4)], "by the line in the file, its heading counted"
    only_bad = "\r\n".join((head, rows[3], rows[7])).encode()
    assert bank.tell(reporter.id, operation, only_bad, name="report2.csv", said=Said()).status == "refused"


class _Undone(Exception):
    pass


def twice(engine: Engine) -> None:
    """Every unit of work is run, rolled back, and run again, as after a deadlock."""
    submit = engine.database.submit

    def again(unit, ahead=None):
        def undone(tx):
            unit(tx)
            raise _Undone

        submit(undone).exception()
        return submit(unit, ahead)

    engine.database.submit = again


def story(hub) -> dict[str, list]:
    """A group filed, corrected, accepted and paid, a roster, and files right and wrong; and all that came of it."""
    requests = hub.open().body["requests"]
    hub.decide(requests[0]["id"], "return", reason="photo")
    hub.decide(requests[0]["id"], "correct", by=AGENT, correction=filing().members[0])
    for request in requests:
        hub.decide(request["id"], "accept")
    hub.pay("100.00")
    hub.pay("100.00", "PAY-2", bill="9" * 13)
    settle(hub, body(hub, 25))
    settle(hub, body(hub, 25))
    settle(hub, body(hub, 30, 3))
    settle(hub, body(hub, 30, 2).replace(b"T000000030", b"T000000029"))
    settle(hub, body(hub, 30, 2))
    hub.open(filing("G-2", members=[], heads=2))
    rows = "\r\n".join((HEAD, GOOD.replace("G-1001", "G-2"), SECOND.replace("G-1001", "G-9"))).encode()
    hub.tell(AGENT, "receive_roster", rows, name="roster.csv")
    assert hub.decide(requests[1]["id"], "accept", by=COMPANY).status == "repeated"
    wanted = {
        "exchange": "partner, operation, direction, state, code, name, sequence, records, subjects, done",
        "exchange_subject": "partner, operation, kind, state", "history": "machine, event, was, now",
        "incident": "kind, code, line, resolved_at IS NULL", "request": "request_no, state, member",
        "voucher": "bill_no, state, paid", "sequence": "name, value", "seen": "partner", "line": "number",
        "payload": "kind", "audit": "actor, action", "lookup": "kind", "fact": "event",
        "umrah_group": "group_no, state",
    }  # fmt: skip
    return {table: sorted(map(repr, hub.rows(f"SELECT {what} FROM {table}"))) for table, what in wanted.items()}


def test_a_unit_that_is_run_again_after_a_rollback_leaves_the_rows_of_one_run(bank):
    once = story(bank)
    bank.engine.stop()
    for file in bank.settings.var.glob("hub.db*"):
        file.unlink()
    bank.engine = Engine(bank.settings)
    twice(bank.engine)
    assert story(bank) == once
    assert len(once["incident"]) > 30


def test_the_text_that_is_sealed_is_what_json_makes_of_the_plain_form():
    group = filing()
    for value in (*settlement_lines(3), group, *group.members):
        assert dumps(value) == to_json(dump(value)).encode()
        assert undump(type(value), json.loads(dumps(value))) == value
    odd = SettlementLine(
        bank_ref='"\\\u2028\n\x7f€', bill_no="1" * 13, booked_on=date(2026, 2, 3), amount=Decimal("0.10"),
        fee=Decimal("0.00"), outcome="settled",
    )  # fmt: skip
    assert dumps(odd) == to_json(dump(odd)).encode() and undump(SettlementLine, json.loads(dumps(odd))) == odd
