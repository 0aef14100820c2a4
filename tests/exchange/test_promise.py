"""The five-minute clock over real rows: what is counted, what is late, who is told, and that the counts are true."""

from datetime import timedelta
from uuid import UUID

import pytest

from hub.exchange.promise import Promise
from hub.store import tally
from hub.store.ledger import Moment
from tests.exchange.exchanging import AGENT, MINISTRY


@pytest.fixture
def at():
    """Seconds by which the wall clock of whoever looks after the promise is ahead."""
    return {"later": 0}


@pytest.fixture
def promise(at):
    def of(hub) -> Promise:
        now, found = hub.engine.now, hub.engine.promise
        found._now = lambda: Moment(now().wall + at["later"] * 1_000_000, now().business)
        return found

    return of


def counted_whole(hub):
    return {
        machine: dict(hub.rows(f"SELECT state, count(*) FROM {table} GROUP BY state"))
        for machine, table in (("request", "request"), ("group", "umrah_group"), ("voucher", "voucher"))
    }


def test_counts_are_those_of_the_whole_tables_before_and_after_they_are_kept(make, ministry, promise, at):
    hub = make(MOFA_URL=ministry.url)
    first, _ = hub.paid()
    hub.drain()
    before = hub.engine.reading.now()
    assert {"request": before["states"], "group": before["groups"], "voucher": before["vouchers"]} == counted_whole(hub)
    assert before["exchanges"][MINISTRY]["settled"] == 1
    assert before["exchanges"][MINISTRY]["sent"] == 2
    at["later"] = 60
    promise(hub).look()
    assert hub.rows("SELECT value FROM sequence WHERE name = 'tally/history'") == hub.rows(
        "SELECT max(id) FROM history"
    )
    after = hub.engine.reading.now()
    for name in ("states", "groups", "vouchers", "exchanges"):
        assert after[name] == before[name], name
    hub.decide(first, "cancel", by=AGENT)
    assert hub.engine.reading.now()["states"] == counted_whole(hub)["request"]


def test_what_was_counted_is_not_counted_again(make, ministry, promise, at):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    hub.drain()
    at["later"] = 60
    for _ in range(3):
        promise(hub).look()
    figures = promise(hub).standing()["figures"]
    assert {name: figures[name]["n"] for name in figures} == {"promise": 2, "own": 2, "machine": 2, "wall": 2}


def test_whoever_counts_from_an_old_watermark_adds_nothing(hub):
    kept = tally.Tally(hub.engine.database)
    piece = tally.Piece("tally/x", 0, 5, {"x": {("a", "b"): (3, 7)}})
    assert [kept.add(piece), kept.add(piece)] == [True, False]
    with hub.engine.database.reading() as tx:
        assert tally.counted(tx, "x") == {("a", "b"): (3, 7)}


def test_the_share_is_of_all_that_are_paid(make, ministry, promise, at):
    hub = make(MOFA_URL=ministry.url)
    requests = hub.paid()
    hub.drain()
    at["later"] = 60
    promise(hub).look()
    standing = promise(hub).standing()
    assert (standing["seconds"], standing["share"], standing["open_broken"]) == (300, 1.0, 0)
    kept = standing["figures"]["promise"]
    assert (kept["kept"], kept["within"]["300"], kept["within"]["inf"], kept["today"]["n"]) == (2, 2, 2, 2)
    clock = hub.engine.reading.timeline(UUID(requests[0]))["clock"]
    assert clock["stopped"] and clock["waits_for"] is None
    assert [s["stage"] for s in clock["stages"]][-1] == "reference"
    assert 0 <= clock["promise_s"] <= clock["machine_s"] <= clock["wall_s"]


def test_what_waits_too_long_is_told_once_at_60_and_at_100_percent_and_taken_back(make, ministry, promise, at):
    hub = make(MOFA_URL="http://127.0.0.1:1/visa")
    hub.paid()
    look = promise(hub).look

    def told():
        look()
        return hub.rows(
            "SELECT code, owner, partner, operation FROM incident WHERE kind = 'clock' AND resolved_at IS NULL"
        )

    assert told() == []
    at["later"] = 200
    assert told() == told() == [("promise_near", "operator", MINISTRY, "request_reference")]
    assert promise(hub).standing()["share"] is None
    at["later"] = 310
    assert told() == [("promise_broken", "operator", MINISTRY, "request_reference")]
    standing = promise(hub).standing()
    assert (standing["open_broken"], standing["share"]) == (2, 0.0), "what still waits is broken already"
    (found,) = [one for one in standing["late"] if one["partner"] == MINISTRY]
    assert (found["stage"], found["percent"], found["n"]) == ("reference", 100, 2)
    hub.settings.addresses["MOFA_URL"] = ministry.url
    hub.drain()
    assert hub.states() == ["REFERENCE_ISSUED"] * 2
    assert told() == []


def test_a_jump_of_the_business_clock_is_no_time_spent(make, ministry, promise, at):
    hub = make(MOFA_URL=ministry.url)
    (first, _) = hub.paid()
    hub.clock.set(hub.clock.now() + timedelta(days=3))
    hub.drain()
    clock = hub.engine.reading.timeline(UUID(first))["clock"]
    assert clock["promise_s"] < 3600
    assert clock["wall_s"] < 3600
