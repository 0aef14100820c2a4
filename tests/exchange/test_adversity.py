"""What a partner that means no good, a full disk or a mistake of ours does to delivery: nothing is lost or doubled, and
nobody else waits for it."""

import copy
import json
import re
import time
from datetime import date, timedelta
from functools import cached_property

import pytest

from hub.canonical.entities import Companion
from hub.canonical.mrz import td3
from hub.channels import OutcomeUnknown
from hub.chaos.faults import FaultyPartner
from hub.exchange import delivery, dispatch, mood
from hub.exchange.engine import Engine
from hub.partners import load
from hub.partners.partner import Partner
from hub.store import workers
from hub.timetable import Timetable
from tests.exchange.exchanging import AGENT, MINISTRY, START, filing

pytestmark = pytest.mark.both_stores

VISA = "http://mofa.example/visa-reference/v1"


def says(outcome: str):
    """A Ministry that gives *outcome* to every enquiry and answers no submission in words that we know."""

    def answer(request):
        if b"EnquireApplication" not in request.body:
            return b"<html/>"
        keys = re.findall(r"CorrelationId>([^<]+)<", request.body.decode())
        results = "".join(
            f"<Result><CorrelationId>{key}</CorrelationId><Outcome>{outcome}</Outcome></Result>" for key in keys
        )
        return (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
            f'<EnquireApplicationResponse xmlns="{VISA}">{results}</EnquireApplicationResponse></s:Body></s:Envelope>'
        ).encode()

    return answer


def until(true, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def rested(hub) -> None:
    """The Ministry's rest is over."""
    hub.engine.database.unit(lambda tx: workers.set_flow(tx, MINISTRY, 3, 0, 0))


def family(hub) -> tuple[str, str, str]:
    """A child with its father and its mother, paid for."""
    given = filing()
    father, child = given.members
    mother = copy.deepcopy(child)
    mother.document.number, mother.companion = "X5555555", None
    child.person.birth_date = date(2015, 1, 1)
    child.companion = Companion(number=father.document.number, issuing_state="IDN", relation="father")
    for one in (child, mother):
        one.document.mrz = td3(one.document, one.person)
    given.members, given.heads = [father, child, mother], 3
    for house in given.programme.housing:
        house.heads = 3
        for room in house.rooms:
            room.beds = 3
    for leg in given.programme.transport:
        leg.seats = 3
    ids = [r["id"] for r in hub.open(given).body["requests"]]
    for request in ids:
        hub.decide(request, "accept")
    hub.pay()
    return tuple(ids)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_request_corrected_before_it_was_sent_is_sent_once(make, ministry, frozen):
    hub = make()
    father, child, _ = family(hub)
    if frozen:
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    hub.decide(father, "cancel", AGENT)
    timetable = Timetable(hub.engine)
    timetable.tick(START)
    hub.clock.set(START + timedelta(days=4))
    timetable.tick(START + timedelta(days=4))
    assert hub.states() == ["CANCELLED", "WAITING_COMPANION", "SENT_FOR_REFERENCE"]
    corrected = copy.deepcopy(filing().members[1])
    corrected.person.birth_date = date(2015, 1, 1)
    corrected.document.mrz = td3(corrected.document, corrected.person)
    corrected.companion = Companion(number="X5555555", issuing_state="IDN", relation="mother")
    assert hub.decide(child, "correct", AGENT, correction=corrected).status == "taken"
    hub.engine.stop()
    hub = make(MOFA_URL=ministry.url)
    hub.later(100)
    hub.drain()
    sent = [key for name, keys in ministry.asked if name == "SubmitApplications" for key in keys]
    of = dict(hub.rows("SELECT key, subject_id FROM exchange_subject WHERE operation = 'request_reference'"))
    assert len({of[key] for key in sent}) == len(sent), "nobody has two applications at the Ministry"
    assert hub.states() == ["CANCELLED", "REFERENCE_ISSUED", "REFERENCE_ISSUED"]


def test_a_partner_that_puts_us_off_for_years_is_asked_again_within_the_hour(make):
    with FaultyPartner(lambda request: (429, {"Retry-After": "999999999"}, b"")) as partner:
        hub = make(MOFA_URL=partner.url)
        hub.paid()
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    ((due,),) = hub.rows("SELECT next_at FROM exchange WHERE operation = 'request_reference'")
    assert due - hub.engine.now().wall < 3_700 * 1_000_000


def test_a_partner_that_is_for_ever_at_it_is_asked_ever_more_seldom_and_then_a_person_decides(make, monkeypatch):
    waits = []
    monkeypatch.setattr(delivery, "backoff", lambda attempts, *_: waits.append(attempts) or 0.0)
    with FaultyPartner(says("PENDING")) as partner:
        hub = make(MOFA_URL=partner.url)
        hub.paid()
        for _ in range(9):
            hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        assert max(waits) >= 4, "each enquiry waits longer than the one before"
        hub.later(delivery.GIVE_UP + 1)
        hub.drain()
    assert hub.rows("SELECT state, owner FROM exchange WHERE operation = 'request_reference'") == [
        ("parked", "operator")
    ]
    assert hub.rows("SELECT count(*) FROM exchange_subject WHERE enquires IS NOT NULL AND state = 'open'") == [(0,)]


def test_what_can_be_asked_of_nobody_any_more_is_a_persons_to_decide(make):
    with FaultyPartner(says("PENDING")) as partner:
        hub = make(MOFA_URL=partner.url)
        hub.paid()
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        partner.fault = "status_503"
        hub.later(10)
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        hub.later(delivery.GIVE_UP + 60)
        rested(hub)
        hub.drain()
    assert set(hub.exchanges("enquire_reference")) == {"dead"}
    assert hub.rows("SELECT state, owner FROM exchange WHERE operation = 'request_reference'") == [
        ("parked", "operator")
    ]


@pytest.mark.sqlite_only
def test_an_answer_that_comes_while_the_disk_is_full_is_written_when_there_is_space(make, ministry, monkeypatch):
    monkeypatch.setattr(dispatch, "STORE_WAIT", 0.05)
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    dispatcher, connection = hub.engine.dispatcher, hub.engine.database._writer
    sends, at_fault, failed = dispatcher._send, dispatch.store_at_fault, []

    def fills_up(work):
        answer = sends(work)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return answer

    def full(error):
        failed.append(at_fault(error))
        return failed[-1]

    monkeypatch.setattr(dispatcher, "_send", fills_up)
    monkeypatch.setattr(dispatch, "store_at_fault", full)
    hub.engine._claims.start("test", "")
    until(lambda: len(failed) > 1)
    assert hub.exchanges("request_reference") == ["sending"]
    monkeypatch.setattr(dispatcher, "_send", sends)
    hub.engine.database.unit(lambda tx: tx._connection.execute("PRAGMA max_page_count = 1000000"))
    until(lambda: hub.states() == ["REFERENCE_ISSUED"] * 2)
    assert [name for name, _ in ministry.asked] == ["SubmitApplications"], "nothing was asked or sent again"


def test_what_breaks_while_it_is_sent_or_read_is_put_before_an_engineer(make, ministry, monkeypatch):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()

    def breaks(*_):
        raise RuntimeError

    monkeypatch.setattr(hub.engine.dispatcher, "_send", breaks)
    hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    assert hub.rows("SELECT state, owner FROM exchange WHERE operation = 'request_reference'") == [
        ("parked", "engineer")
    ]
    assert ("exchange", "internal") in hub.incidents()


def test_a_partner_that_lets_us_wait_in_vain_is_left_alone_like_one_that_is_away(hub, monkeypatch):
    hub.paid()
    late = OutcomeUnknown("reply_late", "no whole answer before the deadline")
    monkeypatch.setattr(hub.engine.dispatcher, "_send", lambda work: late)
    monkeypatch.setattr(delivery, "backoff", lambda *_: 0.0)
    partner = hub.engine.register.partners[MINISTRY]
    for _ in range(mood.TRIPPED):
        hub.engine.dispatcher.drain(partner)
    ((failures, rests),) = hub.rows("SELECT failures, rests_until FROM flow WHERE partner = 'mofa_visa'")
    assert failures == mood.TRIPPED
    assert rests > hub.engine.now().wall


def test_slow_partners_take_no_sender_from_the_others(hub):
    slots = sum(p.limits.concurrency for p in hub.engine.register.partners.values())
    assert hub.engine.dispatcher._pool._max_workers == min(slots, dispatch.SENDERS)


def test_waking_a_resting_partner_heaps_up_no_timers(make):
    hub = make()
    dispatcher = hub.engine.dispatcher
    hub.paid()
    resting = hub.engine.now().wall + 60_000_000

    def rests(tx):
        workers.start_flow(tx, MINISTRY)
        workers.set_flow(tx, MINISTRY, 3, resting, 0)

    hub.engine.database.unit(rests)
    hub.engine._claims.start("test", "")
    until(lambda: dispatcher.idle and dispatcher._timers)
    for _ in range(100):
        dispatcher.wake(MINISTRY)
        until(lambda: dispatcher.idle)
    # One, and a few where the store's clock told of a moment that was a little sooner.
    assert len([name for _, name in dispatcher._timers if name == MINISTRY]) < 10


def test_an_answer_that_contradicts_itself_about_somebody_is_asked_about(make):
    def answer(request):
        sent = re.findall(r"CorrelationId>([^<]+)<", request.body.decode())
        first, second = sent
        one = f"<Result><CorrelationId>{first}</CorrelationId><Outcome>REFUSED</Outcome></Result>"
        lines = one + one.replace("REFUSED", "ISSUED") + one.replace(first, second)
        return (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
            f'<SubmitApplicationsResponse xmlns="{VISA}">{lines}</SubmitApplicationsResponse></s:Body></s:Envelope>'
        ).encode()

    with FaultyPartner(answer) as partner:
        hub = make(MOFA_URL=partner.url)
        hub.paid()
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    assert sorted(hub.states()) == ["REFERENCE_REFUSED", "SENT_FOR_REFERENCE"]
    asked = hub.rows("SELECT subject_id FROM exchange_subject WHERE enquires IS NOT NULL AND state = 'open'")
    assert asked == hub.rows("SELECT id FROM request WHERE state = 'SENT_FOR_REFERENCE'")


def booked(*said):
    """A hotel whose answers to bookings and to questions about them say *said*, the last of them for ever."""
    paths = []

    def answer(request):
        paths.append(request.path)
        status = said[min(len(paths), len(said)) - 1]
        brn = {"brn": "7648298522"} if status == "CONFIRMED" else {}
        return json.dumps({"reference": json.loads(request.body)["reference"], "status": status, **brn}).encode()

    return paths, answer


def asks_for_a_booking(make, partner):
    """A hub with one stay that its hotel has not confirmed yet; answers it, and the hotel."""
    hub = make(HOUSING_URL=partner.url)
    given = filing()
    given.programme.housing[0].brn = None
    for request in hub.open(given).body["requests"]:
        hub.decide(request["id"], "accept")
    ((hotel,),) = hub.rows("SELECT partner FROM exchange_subject WHERE operation = 'confirm_booking'")
    hub.settings.secrets[f"{hotel.upper()}_SECRET"] = "h" * 64
    return hub, hotel


@pytest.mark.parametrize("status", ["NOT_FOUND", "IN_PROGRESS"])
def test_an_answer_that_decides_nothing_is_asked_about(make, status):
    """The answer to another question about the same booking, or "we are at it": both leave open what was done."""
    paths, answer = booked(status, "CONFIRMED")
    with FaultyPartner(answer) as partner:
        hub, hotel = asks_for_a_booking(make, partner)
        hub.engine.dispatcher.drain(hub.engine.register.partners[hotel])
        assert hub.rows("SELECT state, code FROM exchange WHERE operation = 'confirm_booking'") == [
            ("in_doubt", "reply_undecided")
        ]
        assert hub.incidents() == []
        hub.drain(hotel)
    assert [path.rpartition("/")[2] for path in paths] == ["bookings", "find"], "asked, and not booked again"
    assert hub.rows("SELECT state, outcome FROM exchange_subject WHERE operation = 'confirm_booking'") == [
        ("done", "confirmed")
    ]
    assert hub.exchanges("confirm_booking") == ["settled"]


def test_a_partner_that_never_knows_what_it_was_just_asked_is_asked_ever_more_seldom(make, monkeypatch):
    waits = []
    monkeypatch.setattr(delivery, "backoff", lambda attempts, *_: waits.append(attempts) or 0.0)
    _, answer = booked("NOT_FOUND")
    with FaultyPartner(answer) as partner:
        hub, hotel = asks_for_a_booking(make, partner)
        for _ in range(12):
            hub.engine.dispatcher.drain(hub.engine.register.partners[hotel])
        assert max(waits) >= 4
        hub.later(delivery.GIVE_UP + 60)
        hub.drain(hotel)
    assert hub.rows(
        "SELECT state, owner, code FROM exchange WHERE operation = 'confirm_booking' AND state <> 'settled'"
    ) == [("parked", "operator", "outcome_unknown")]


def test_what_waited_for_days_before_it_was_first_sent_is_sent_again_all_the_same(make):
    paths, answer = booked("NOT_FOUND", "NOT_FOUND", "CONFIRMED")
    with FaultyPartner(answer) as partner:
        hub, hotel = asks_for_a_booking(make, partner)
        hub.later(delivery.GIVE_UP + 60)
        hub.drain(hotel)
    assert [path.rpartition("/")[2] for path in paths] == ["bookings", "find", "bookings"]
    assert hub.rows("SELECT state, outcome FROM exchange_subject WHERE operation = 'confirm_booking'") == [
        ("done", "confirmed")
    ]


def without(hub, monkeypatch, partner, operation=None):
    """The hub started anew with a register that no longer knows a partner, or one operation of it."""
    hub.engine.stop()
    if operation is None:

        def less(settings):
            register = load(settings)
            register.partners = {name: p for name, p in register.partners.items() if name != partner}
            return register

        monkeypatch.setattr("hub.exchange.engine.load", less)
    else:
        every = Partner.operations.func
        less = cached_property(lambda self: {name: op for name, op in every(self).items() if name != operation})
        less.__set_name__(Partner, "operations")
        monkeypatch.setattr(Partner, "operations", less)
    hub.engine = Engine(hub.settings)


def test_an_operation_that_is_gone_holds_up_nothing_else_of_its_partner(make, ministry, monkeypatch):
    hub = make()
    hub.paid()
    hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    with monkeypatch.context() as patch:
        without(hub, patch, MINISTRY, "request_reference")
        hub.later(60)
        assert hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY]) is None
    assert hub.rows("SELECT state, code FROM exchange WHERE operation = 'request_reference'") == [
        ("parked", "operation_gone")
    ]


def test_a_hub_starts_without_a_partner_that_has_open_work_and_says_so(make, ministry, monkeypatch):
    hub = make()
    hub.paid()
    hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    for _ in range(2):
        with monkeypatch.context() as patch:
            without(hub, patch, MINISTRY)
            hub.engine._claims.start("test", "")
    assert hub.incidents() == [("exchange", "operation_gone")], "told once"
    hub.engine.stop()
    hub = make(MOFA_URL=ministry.url)
    hub.later(60)
    hub.drain()
    assert hub.states() == ["REFERENCE_ISSUED"] * 2, "and goes on when the partner is back"


def test_a_wait_that_was_written_while_the_clock_was_ahead_is_over_when_it_is_right_again(make, ministry):
    hub = make()
    hub.paid()
    now = hub.engine.now
    hub.later(2 * 86_400)
    hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    ((due,),) = hub.rows("SELECT next_at FROM exchange WHERE operation = 'request_reference'")
    assert due > now().wall + 86_400_000_000
    hub.engine.stop()
    hub = make(MOFA_URL=ministry.url)
    hub.drain()
    assert hub.states() == ["REFERENCE_ISSUED"] * 2
