"""Files handed in by the API lie in the store until they are read, on either store."""

import hashlib
from uuid import UUID

import pytest

from hub.exchange.receive import Once, Said
from tests.attacks.files_made import GOOD, example
from tests.exchange.exchanging import AGENT, BANK, filing

pytestmark = pytest.mark.both_stores


def give(hub, partner, operation, body, name, **said):
    known = hub.engine.register.partners[partner]
    once = Once(partner, f"upload-{name}", hashlib.sha256(body).hexdigest())
    receipt = hub.engine.uploads.accept(known, known.operations[operation], body, name, Said(**said), once)
    return receipt.body["id"]


def states(hub, partner):
    return [(one["state"], one["code"]) for one in hub.engine.uploads.page(partner, None, 9)][::-1]


def test_what_was_kept_is_read_by_the_next_process(hub):
    assert hub.open(filing(members=[], heads=2)).status == "taken"
    give(hub, AGENT, "receive_roster", GOOD, "r" * 116 + ".csv")
    hub.restart()
    assert states(hub, AGENT) == [("waiting", None)]
    hub.engine.take_uploads()
    (one,) = hub.engine.uploads.page(AGENT, None, 9)
    assert one["state"] == "taken" and one["rows"] == {"read": 1, "accepted": 1, "rejected": 0}
    assert hub.rows("SELECT count(*) FROM payload WHERE kind = 'upload'") == [(0,)], "the exchange has the bytes"


def test_a_file_behind_a_gap_is_held_until_its_forerunner_comes(hub):
    body = example("banks/payments/receive_settlement", "txt")
    give(hub, BANK, "receive_settlement", body, f"SETTLE-{BANK}-000012.txt")
    hub.engine.take_uploads()
    assert states(hub, BANK) == [("held", "file_sequence_gap")]
    assert hub.engine.uploads.partners() == [], "nobody looks at it all the time"
    hub.engine.database.unit(lambda tx: hub.engine._ledger.set_number(tx, f"in/{BANK}/receive_settlement", 11))
    give(hub, BANK, "receive_settlement", body + b"\n", f"SETTLE-{BANK}-000013.txt")
    hub.engine.take_uploads()
    # The later one is what was missing; the one that waited for it was looked at then, and its number is used.
    assert states(hub, BANK) == [("refused", "file_sequence_repeated"), ("taken", None)]


def test_totals_said_beside_it_that_are_not_true_refuse_the_file(hub):
    body = example("banks/payments/receive_settlement", "txt")
    hub.engine.database.unit(lambda tx: hub.engine._ledger.set_number(tx, f"in/{BANK}/receive_settlement", 11))
    give(hub, BANK, "receive_settlement", body, f"SETTLE-{BANK}-000012.txt", count=77)
    hub.engine.take_uploads()
    assert states(hub, BANK) == [("refused", "file_totals")]


def test_a_roster_that_was_cut_off_and_read_anew_tells_each_row_once(hub, monkeypatch):
    class Killed(BaseException):
        """The process ends."""

    nobodys = GOOD.replace(b"G-1001", b"G-9").strip().split(b"\r\n")
    body = b"\r\n".join([nobodys[0], *(nobodys[1].replace(b"C7654321", b"C%07d" % n) for n in range(60))])
    file = UUID(give(hub, AGENT, "receive_roster", body, "roster.csv"))
    unit = hub.engine.database.unit

    def killed(work):
        done = unit(work)
        if hub.engine.uploads.one(AGENT, file)["rows"]["read"]:
            raise Killed
        return done

    monkeypatch.setattr(hub.engine.database, "unit", killed)
    with pytest.raises(Killed):
        hub.engine.take_uploads()
    monkeypatch.undo()
    assert len(hub.engine.uploads.rejected(AGENT, file, 0, 500)) == 50
    hub.restart()
    hub.engine.take_uploads()
    told = hub.engine.uploads.rejected(AGENT, file, 0, 500)
    assert [one["row"] for one in told] == list(range(2, 62)) and {one["code"] for one in told} == {"unknown_group"}
