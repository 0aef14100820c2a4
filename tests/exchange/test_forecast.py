"""A backlog and what becomes of it: how long it takes, and that urgent travellers go first, also after an outage."""

import copy
import dataclasses
from datetime import timedelta

import pytest

from hub.chaos.faults import FaultyPartner
from hub.exchange.forecast import drained_in, rate
from hub.store.ledger import Moment
from tests.exchange.exchanging import MINISTRY, filing

GROUPS = 15


def travelling(number, days):
    """A group of two with passports of its own, so many days later than the README's; days may be negative."""
    given = copy.deepcopy(filing(f"U-{number:03}"))
    plan, by = given.programme, timedelta(days)
    plan.arrival.on, plan.departure.on = plan.arrival.on + by, plan.departure.on + by
    for house in plan.housing:
        house.check_in, house.check_out = house.check_in + by, house.check_out + by
    for leg in plan.transport:
        leg.departs_on += by
    plan.insurance.starts_on, plan.insurance.ends_on = plan.insurance.starts_on + by, plan.insurance.ends_on + by
    for place, member in enumerate(given.members):
        member.document.number, member.document.mrz = f"Z{number:05}{place}1", None
        if member.companion is not None:
            member.companion.number = given.members[0].document.number
    return given


def paid(hub, number, days):
    opened = hub.open(travelling(number, days))
    assert opened.status == "taken", opened.problems
    for request in opened.body["requests"]:
        hub.decide(request["id"], "accept")
    ((bill, amount),) = hub.rows(
        "SELECT bill_no, amount FROM voucher JOIN umrah_group g ON g.id = group_id WHERE group_no = ?",
        opened.body["group_no"],
    )
    assert hub.pay(f"{amount / 100:.2f}", ref=f"PAY-{number}", bill=bill).status == "taken"


def down(hub):
    """Whether the Ministry is left alone: from the third failure on."""
    return bool(hub.rows("SELECT 1 FROM flow WHERE partner = ? AND failures >= 3", MINISTRY))


def test_urgent_travellers_go_first_also_after_an_outage(make, ministry):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        for number in range(GROUPS):
            paid(hub, number, (7 * number) % GROUPS - 5)
        line.fault = "refuse"
        while not down(hub):
            hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        # While it is away somebody files who travels sooner than all others.
        paid(hub, GROUPS, -30)
        line.fault = None
        hub.drain(seconds=20)
    assert set(hub.states()) == {"REFERENCE_ISSUED"}
    rows = hub.rows("SELECT key, urgency FROM exchange_subject WHERE operation = 'request_reference'")
    urgency, soonest = dict(rows), sorted(urgent for _, urgent in rows)
    asked = [[urgency[key] for key in ids] for name, ids in ministry.asked if name == "SubmitApplications"]
    assert sum(map(len, asked)) == 2 * GROUPS + 2
    assert asked[0] == soonest[:2], "what was frozen before does not go before who travels sooner"
    held = max(asked[1:], key=len)
    assert sorted(held) == soonest[2:27], "a call holds those who travel next"


def test_a_backlog_is_told_with_what_is_late_and_when_it_will_be_gone(make, ministry):
    hub = make(MOFA_URL="http://127.0.0.1:1/visa")
    hub.paid()
    told = hub.engine.forecast.standing()[MINISTRY]
    assert (told["backlog"], told["late"], told["late_share"]) == (2, 0, 0.0)
    assert told["drained_in_s"] > 0 and told["per_second"] > 0
    now = hub.engine.now
    hub.engine.forecast._now = lambda: Moment(now().wall + 400_000_000, now().business)
    told = hub.engine.forecast.standing()[MINISTRY]
    assert (told["late"], told["late_share"]) == (2, 1.0)
    hub.settings.addresses["MOFA_URL"] = ministry.url
    hub.drain()
    assert MINISTRY not in hub.engine.forecast.standing()


def test_a_partner_that_is_left_alone_is_said_to_be_away(make):
    hub = make(MOFA_URL="http://127.0.0.1:1/visa")
    hub.paid()
    while not down(hub):
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    told = hub.engine.forecast.standing()[MINISTRY]
    assert told["away"] and told["asked_again_in_s"] >= 0
    assert told["drained_in_s"] is not None, "told as if it came back now"


@pytest.mark.parametrize(
    ("concurrency", "per_second", "latency", "wanted"),
    [(4, 50, 0.05, 50.0), (4, 50, 0.4, 10.0), (1, 50, 60.0, 1 / 60), (4, 2, None, 2.0), (1, 50, None, 1.0)],
)
def test_a_rate_is_slots_at_their_latency_within_the_limit(hub, concurrency, per_second, latency, wanted):
    partner = hub.engine.register.partners[MINISTRY]
    limits = dataclasses.replace(partner.limits, concurrency=concurrency, per_second=per_second)
    assert rate(dataclasses.replace(partner, limits=limits), latency) == pytest.approx(wanted)


def test_more_that_comes_than_goes_is_never_drained():
    assert drained_in(100, 0, 10) == 10
    assert drained_in(100, 5, 10) == 20
    assert drained_in(100, 10, 10) is None
