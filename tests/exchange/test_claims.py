"""Two processes on one PostgreSQL: whoever claims, an exchange is sent once, within the limits of all together.

The exchanges are print lists with nobody in them: their sending is the test's own function, and settling them moves no
case.
"""

import dataclasses
import threading
import time
from collections import Counter

import pytest

from hub.channels import Answered, Unavailable
from hub.exchange import dispatch, mood
from hub.partners.partner import Limits
from hub.store import workers
from hub.store.workers import Claim
from tests.exchange.exchanging import MINISTRY, MISSION

OTHER = "mission_cairo"


@pytest.fixture
def two(make, migrated):
    """Two engines on one ledger that do not deliver yet."""
    return make(store=migrated), make(store=migrated)


def until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


class Sent:
    """What the partner has seen of several processes: when each call began and ended, and whose it was."""

    def __init__(self, lasts=0.0):
        self.lasts, self.calls, self.most = lasts, [], 0
        self.at_once = Counter()
        self._lock = threading.Lock()

    def by(self, who):
        def send(work):
            with self._lock:
                self.calls.append((who, work.exchange, work.attempt, time.monotonic(), work.partner.id))
                self.at_once[who] += 1
                self.most = max(self.most, self.at_once.total())
            time.sleep(self.lasts)
            with self._lock:
                self.at_once[who] -= 1
            return Answered(b"", 201, 0.0)

        return send


def limited(hub, partner=MISSION, **limits):
    known = hub.engine.register.partners
    known[partner] = dataclasses.replace(known[partner], limits=Limits(**limits))


def put(hub, count, partner=MISSION):
    """*count* exchanges that wait at *partner*; answers their ids in the order in which they are due."""
    engine, at = hub.engine, hub.engine.now()

    def unit(tx):
        tx.wake(partner)
        return [
            engine._ledger.open(
                tx, at, partner=partner, operation="send_print_list", direction="out", state="waiting", body=b"x",
                name=f"{n}.xml", sequence=n, records=0, urgency=n,
            )
            for n in range(count)
        ]  # fmt: skip

    return engine.database.unit(unit)


def starts(hubs, sent):
    for number, hub in enumerate(hubs):
        hub.engine.dispatcher._send = sent.by(number)
        hub.engine._claims.start("test", "")


def states(hub):
    return Counter(state for (state,) in hub.rows("SELECT state FROM exchange"))


@pytest.mark.parametrize("per_worker", [False, True])
def test_no_exchange_is_claimed_twice_and_no_more_are_sent_at_once_than_the_partner_takes(two, per_worker):
    sent = Sent(lasts=0.005)
    for hub in two:
        limited(hub, concurrency=3, per_second=10_000, per_worker=per_worker)
    ids = put(two[0], 300)
    starts(two, sent)
    until(lambda: states(two[0]) == {"settled": 300})
    assert Counter(call[1] for call in sent.calls) == dict.fromkeys(ids, 1)
    assert {call[2] for call in sent.calls} == {1}, "each by its first claim"
    if per_worker:
        assert {call[0] for call in sent.calls} == {0, 1}, "both are at it"
    assert sent.most <= (6 if per_worker else 3)


def test_what_is_more_urgent_goes_first_whoever_sends_it(two):
    sent = Sent()
    for hub in two:
        limited(hub, concurrency=1, per_second=10_000)
    ids = put(two[0], 60)
    starts(two, sent)
    until(lambda: states(two[0]) == {"settled": 60})
    assert [call[1] for call in sent.calls] == ids


def test_in_no_second_more_are_sent_than_the_partner_takes(two):
    sent = Sent()
    for hub in two:
        limited(hub, concurrency=20, per_second=40)
    put(two[0], 100)
    starts(two, sent)
    until(lambda: states(two[0]) == {"settled": 100})
    times = sorted(call[3] for call in sent.calls)
    # A call may be noted later than it was claimed: that alone takes nothing over the rate but a call or two.
    assert max(sum(at <= t < at + 1 for t in times) for at in times) <= 42


def test_a_partner_that_one_process_finds_away_is_left_alone_by_the_others(two, monkeypatch):
    monkeypatch.setattr(mood, "REST", (60.0, 60.0))
    for hub in two:
        limited(hub, concurrency=1, per_second=10_000)
    put(two[0], 50)
    calls = []

    def away(work):
        calls.append(work)
        return Unavailable("connect_refused", "nobody is there")

    for hub in two:
        hub.engine.dispatcher._send = away
        hub.engine._claims.start("test", "")
    until(lambda: len(calls) >= mood.TRIPPED and all(hub.engine.dispatcher.idle for hub in two))
    for hub in two:
        hub.engine.dispatcher.wake(MISSION)
    until(lambda: all(hub.engine.dispatcher.idle for hub in two))
    # One more may be on its way when the rest begins.
    assert mood.TRIPPED <= len(calls) <= mood.TRIPPED + 1
    assert two[0].rows("SELECT failures FROM flow WHERE partner = ?", MISSION) == [(len(calls),)]


def test_failures_that_are_counted_beside_another_process_bring_their_rest_when_the_next_looks(two, monkeypatch):
    monkeypatch.setattr(mood, "REST", (60.0, 60.0))
    failing, looking = two
    for hub in two:
        limited(hub, concurrency=10, per_second=10_000)
    put(failing, 20)
    _, works = claimed(failing, MISSION)
    looking.engine.database.unit(lambda tx: workers.start_flow(tx, MISSION))
    has_it, counted = threading.Event(), threading.Event()

    def looks(tx):
        workers.look(tx, [MISSION], [], [])
        has_it.set()
        assert counted.wait(20)

    held = looking.engine.database.submit(looks)
    assert has_it.wait(20)
    count = workers.count_failures

    def counts(tx, *about):
        counted.set()
        count(tx, *about)

    monkeypatch.setattr(workers, "count_failures", counts)
    away = Unavailable("connect_refused", "nobody is there")
    done = [dispatch.Done(work, away, dispatch.Reply()) for work in works[: mood.TRIPPED]]
    failing.engine.database.unit(lambda tx: failing.engine.dispatcher._unit(tx, done, {}))
    held.result(20)
    partner = looking.engine.register.partners[MISSION]
    found = looking.engine.database.unit(lambda tx: looking.engine.dispatcher._unit(tx, [], {MISSION: (partner, 0)}))
    assert found.works == [] and found.again[MISSION] > time.monotonic() + 20
    ((failures, rests),) = looking.rows("SELECT failures, rests_until FROM flow WHERE partner = ?", MISSION)
    assert failures == mood.TRIPPED and rests > looking.engine.database.unit(workers.clock)


def test_a_partner_of_another_zone_is_served_from_there_alone(two):
    for hub, zone in zip(two, ("riyadh", "jeddah"), strict=True):
        hub.engine.zones = frozenset({zone})
    known = two[1].engine.register.partners
    for hub in two:
        known = hub.engine.register.partners
        known[OTHER] = dataclasses.replace(known[OTHER], zone="jeddah")
    sent = Sent()
    starts(two, sent)
    put(two[0], 3)
    put(two[0], 3, OTHER)
    until(lambda: states(two[0]) == {"settled": 6})
    assert Counter((who, partner) for who, _, _, _, partner in sent.calls) == {(0, MISSION): 3, (1, OTHER): 3}


def test_work_that_another_process_serves_is_told_to_it(two, monkeypatch):
    """NOTIFY alone: nobody looks by himself here."""
    monkeypatch.setattr("hub.exchange.claims.EVERY", 3_600.0)
    two[0].engine.delivers = False
    starts(two[1:], sent := Sent())
    put(two[0], 1)
    until(lambda: states(two[0]) == {"settled": 1})
    assert len(sent.calls) == 1


def test_work_that_nobody_was_told_of_is_found(two, monkeypatch):
    monkeypatch.setattr("hub.exchange.claims.EVERY", 0.1)
    two[0].engine.delivers = False
    starts(two[1:], Sent())
    monkeypatch.setattr(two[0].engine.database, "_wake", lambda partner: None)
    monkeypatch.setattr("hub.store.postgres.PostgresConnection.tell", lambda self, partners: None)
    put(two[0], 1)
    until(lambda: states(two[0]) == {"settled": 1})


# ------------------------------------------------------------------------------------------- processes that die or hang


def claimed(hub, partner, lease=2**62):
    """Claim for *partner* as a process of its own, known by its number; answers its works."""
    number = hub.engine.worker or hub.engine._claims.enlist("test", "")
    known = hub.engine.register.partners[partner]
    found = hub.engine.database.unit(
        lambda tx: hub.engine.dispatcher._outbox.claim(
            tx, {partner: (known, 10)}, hub.engine.now(), Claim(number, workers.clock(tx) + lease)
        )
    )
    return number, found[partner].works


def dies(hub):
    """Its connections end, and with them its lock; nothing is tidied up."""
    hub.engine._claims.worker = None
    hub.engine.database.close()


def test_the_claims_of_a_process_that_died_are_taken_over_and_only_what_was_never_sent_is_sent(two, ministry):
    dying, living = two
    put(dying, 3)
    requests = dying.paid()
    number, works = claimed(dying, MISSION)
    _, (in_flight,) = claimed(dying, MINISTRY)
    assert dying.exchanges("request_reference") == ["sending"]
    living.engine._claims.enlist("test", "")
    living.engine.database.unit(living.engine._claims._sweep)
    assert living.rows("SELECT worker FROM exchange WHERE state = 'leased'") == [(number,)] * 3, "it lives"
    dies(dying)
    until(lambda: living.engine.database.unit(living.engine._claims._sweep) or not worker_rows(living, number))
    found = dict(living.rows("SELECT id, state FROM exchange WHERE direction = 'out' AND open"))
    assert {found[work.exchange.hex] for work in works} == {"waiting"}
    assert found[in_flight.exchange.hex] == "in_doubt"
    assert len(requests) == living.rows("SELECT count(*) FROM exchange_subject WHERE enquires IS NOT NULL")[0][0]


def worker_rows(hub, number):
    return hub.rows("SELECT id FROM worker WHERE id = ?", number)


def test_what_a_process_writes_after_its_lease_ran_out_is_refused(two):
    hanging, living = two
    (exchange,) = put(hanging, 1)
    _, (late,) = claimed(hanging, MISSION, lease=-1)
    living.engine._claims.enlist("test", "")
    living.engine.database.unit(living.engine._claims._sweep)
    assert living.exchanges("send_print_list") == ["waiting"]
    _, (again,) = claimed(living, MISSION)
    assert (again.exchange, again.attempt) == (exchange, late.attempt + 1)

    def settled(hub, work):
        done = dispatch.Done(work, Answered(b"", 201, 0.0), dispatch.Reply())
        hub.engine.database.unit(lambda tx: hub.engine.dispatcher._unit(tx, [done], {}))
        return living.rows("SELECT state, outcome FROM exchange WHERE operation = 'send_print_list'")

    assert settled(hanging, late) == [("leased", None)], "the claim is another's now"
    assert settled(living, again) == [("settled", "delivered")]
    assert settled(hanging, late) == [("settled", "delivered")]


# ------------------------------------------------------------------------------------------- one case in two processes


def test_a_case_that_two_processes_move_at_once_has_each_effect_once(two):
    requests = [r["id"] for r in two[0].open().body["requests"]]
    gate = threading.Barrier(2)
    told = []

    def decides(hub):
        gate.wait()
        for request in requests:
            told.append(hub.decide(request, "accept").status)

    threads = [threading.Thread(target=decides, args=(hub,)) for hub in two]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    events = Counter(two[0].rows("SELECT entity_id, event, now FROM history"))
    assert set(events.values()) == {1}, "nothing happened twice"
    assert len(told) == 4 and told.count("taken") >= 2
    assert two[0].rows("SELECT count(*) FROM voucher") == [(1,)]
    assert two[0].rows("SELECT count(*) FROM exchange_subject WHERE operation = 'send_bill'") == [(1,)]
