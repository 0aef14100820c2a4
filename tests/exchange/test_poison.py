"""A file or a case that breaks us stops nobody behind it, is told to somebody, and is not lost."""

import re
import time
from datetime import date, timedelta
from uuid import UUID

import pytest

from hub.chaos.faults import FaultyPartner
from hub.exchange import advance, collect
from hub.timetable import Timetable
from tests.exchange.exchanging import AGENT, MINISTRY, POST, START, filing
from tests.exchange.test_files import drop, movement_file
from tests.exchange.test_roster import GOOD, HEAD


@pytest.fixture
def breaks(hub, monkeypatch):
    """Receiving anything from the border post breaks us."""
    receive = hub.engine._collector._receive

    def broken(partner, *args, **more):
        if partner == POST:
            raise RuntimeError
        return receive(partner, *args, **more)

    monkeypatch.setattr(hub.engine._collector, "_receive", broken)
    return lambda: monkeypatch.setattr(hub.engine._collector, "_receive", receive)


def test_a_file_that_breaks_us_is_told_once_kept_and_taken_when_we_are_mended(hub, tmp_path, breaks, monkeypatch):
    folder = tmp_path / "files" / POST / "from_partner"
    partner = hub.engine.register.partners[POST]
    drop(folder, f"MOVE-{POST}-000001.txt", movement_file(), 1)
    for _ in range(3):
        assert hub.engine.collect(partner).code == "internal"
    assert hub.incidents() == [("file", "internal")]
    breaks()
    assert hub.engine.collect(partner).files == 0, "not at once: it would be tried ten times a second"
    later = time.monotonic() + collect.AGAIN + 1
    monkeypatch.setattr(collect.time, "monotonic", lambda: later)
    assert hub.engine.collect(partner).files == 1


def test_the_clocks_and_the_other_posts_go_on_while_a_file_breaks_us(hub, tmp_path, breaks):
    for post in (POST, "post_med"):
        folder = tmp_path / "files" / post / "from_partner"
        body = movement_file().replace(b"HDRJED", b"HDRMED" if post == "post_med" else b"HDRJED")
        drop(folder, f"MOVE-{post}-000001.txt", body, 1)
    timetable = Timetable(hub.engine)
    timetable.tick(START)
    timetable.tick(START + timedelta(hours=7))
    assert hub.rows("SELECT state FROM run WHERE schedule = 'movements_jeddah' ORDER BY due_at DESC LIMIT 1") == [
        ("failed",)
    ]
    assert hub.rows("SELECT count(*) FROM exchange WHERE partner = 'post_med' AND state = 'settled'") == [(1,)]


def test_an_agents_next_roster_does_not_wait_for_one_that_breaks_us(hub, tmp_path, monkeypatch):
    hub.open(filing(members=[]))
    folder = tmp_path / "files" / AGENT / "from_partner"
    receive = hub.engine._collector._receive

    def broken(partner, operation, body, **more):
        if more["name"].startswith("a"):
            raise RuntimeError
        return receive(partner, operation, body, **more)

    monkeypatch.setattr(hub.engine._collector, "_receive", broken)
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text("\r\n".join((HEAD, GOOD)))
    assert hub.engine.collect(hub.engine.register.partners[AGENT]).files == 1
    assert hub.states() == ["SUBMITTED"]


def test_a_file_that_is_not_what_its_manifest_says_is_told_to_the_operators_too(hub, tmp_path):
    drop(tmp_path / "files" / POST / "from_partner", f"MOVE-{POST}-000001.txt", movement_file(), 1, sha256="0" * 64)
    found = hub.engine.collect(hub.engine.register.partners[POST])
    assert found.code == "file_hash_wrong", "the run has failed, and says why"
    assert hub.incidents() == [("file", "file_hash_wrong")]
    assert hub.engine.collect(hub.engine.register.partners[POST]).code is None


def test_one_case_that_breaks_us_does_not_stop_the_clocks_of_the_others(hub, monkeypatch):
    for number in ("G-1", "G-2"):
        given = filing(number)
        for index, member in enumerate(given.members):
            member.document.mrz, member.companion = None, None
            member.document.number = f"X{number[-1]}{index}00000"
        for request in hub.open(given).body["requests"]:
            hub.decide(request["id"], "accept")
    ((broken,),) = hub.rows("SELECT id FROM umrah_group ORDER BY id LIMIT 1")
    applies = advance.apply

    def breaks(case, event, rules, now):
        if event.name == "clock.due" and case.id == UUID(hex=broken):
            raise RuntimeError
        return applies(case, event, rules, now)

    monkeypatch.setattr(advance, "apply", breaks)
    timetable = Timetable(hub.engine)
    timetable.tick(START)
    hub.clock.set(START + timedelta(days=60))
    for _ in range(2):
        timetable.tick(START + timedelta(days=60))
    assert sorted(hub.rows("SELECT state FROM voucher")) == [("CANCELLED",), ("INVOICED",)]
    assert hub.incidents() == [("case", "internal")]
    monkeypatch.setattr(advance, "apply", applies)
    Timetable(hub.engine).tick(START + timedelta(days=60))
    assert hub.rows("SELECT DISTINCT state FROM voucher") == [("CANCELLED",)]


@pytest.mark.parametrize("field", ["birth_date", "expires_on"])
def test_a_pilgrim_with_a_date_at_the_end_of_the_calendar_is_answered(hub, field):
    given = filing()
    for member in given.members:
        member.document.mrz = None
    one = given.members[0]
    setattr(one.person if field == "birth_date" else one.document, field, date(9999, 12, 31))
    receipt = hub.open(given)
    assert receipt.status == ("taken" if field == "expires_on" else "refused")
    assert all(problem["en"] and problem["ar"] for problem in receipt.problems)


def test_a_roster_row_with_a_date_at_the_end_of_the_calendar_comes_back_with_its_reason(hub):
    hub.open(filing(members=[]))
    body = "\r\n".join((HEAD, GOOD.replace("1984-11-03", "9999-12-31"))).encode()
    assert hub.tell(AGENT, "receive_roster", body, name="r.csv").status == "taken"
    assert hub.states() == []


def test_one_answer_with_a_date_at_the_end_of_the_calendar_does_not_hold_up_the_others(make):
    def answer(request):
        keys = re.findall(r"CorrelationId>([^<]+)<", request.body.decode())
        results = "".join(
            f"<Result><CorrelationId>{key}</CorrelationId><Outcome>ISSUED</Outcome><ReferenceNo>700000000{n}"
            f"</ReferenceNo><DecidedAt>{at}</DecidedAt></Result>"
            for n, (key, at) in enumerate(zip(keys, ("9999-12-31T23:59:59Z", "2026-12-01T09:00:00Z"), strict=True))
        )
        return (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><SubmitApplicationsResponse '
            f'xmlns="http://mofa.example/visa-reference/v1">{results}</SubmitApplicationsResponse></s:Body></s:Envelope>'
        ).encode()

    with FaultyPartner(answer) as partner:
        hub = make(MOFA_URL=partner.url)
        hub.paid()
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    assert sorted(hub.states()) == ["REFERENCE_ISSUED", "SENT_FOR_REFERENCE"]
    assert hub.incidents() == [("conflict", "fact_future")]


def test_a_name_that_turns_the_direction_of_what_follows_comes_back_and_one_with_a_joiner_is_taken(hub):
    hub.open(filing(members=[]))
    rows = (GOOD.replace("SITI", "\u202eITIS"), GOOD.replace("SITI", "می\u200cنا").replace("C7654321", "C7654322"))
    hub.tell(AGENT, "receive_roster", "\r\n".join((HEAD, *rows)).encode(), name="r.csv")
    assert hub.states() == ["SUBMITTED"]
