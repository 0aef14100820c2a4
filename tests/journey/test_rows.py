"""Every row of the state table of the domain (1 to 28), each test named by its row."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from hub.canonical.events import EVENTS
from hub.canonical.mrz import mrv_a
from hub.journey import AlreadyTrue, Applied, Conflict, TooEarly
from tests.journey.world import DAY, HOUR, START, World, arrival, pilgrim

CHILD = {"born": date(2015, 1, 1), "companion": 1}


def last(world: World, who: int = 1) -> str:
    return world.member(who).end_reason or ""


def test_row_01_a_draft_begins():
    world = World()
    world.done("group.opened")
    world.add(1)
    assert world.state() == "NEW"
    world.done("request.drafted", 1)
    assert world.state() == "DRAFT"
    assert isinstance(world.tell("request.drafted", 1), AlreadyTrue)


def test_row_02_a_complete_request_is_submitted():
    world = World().open()
    world.case.agent.quota_left = 3
    world.done("request.submitted", 1)
    assert world.state() == "SUBMITTED"
    assert world.member().marks["submitted_at"] == world.now
    assert world.member().marks["attempt"] == 1
    assert not world.member().minor
    assert world.case.agent.quota_left == 2


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("request.accepted", "ACCEPTED"),
        ("request.returned", "RETURNED"),
        ("request.refused", "REFUSED_BY_COMPANY"),
    ],
)
def test_row_03_the_company_decides(name, state):
    world = World().to("SUBMITTED")
    result = world.done(name, 1, reason="no_room")
    assert world.state() == state
    assert isinstance(world.tell(name, 1), AlreadyTrue)
    if state != "ACCEPTED":
        assert result.transitions[0].reason == "no_room"
        assert world.member().marks["reason"] == "no_room"
    assert world.conflict("request.refused" if state != "REFUSED_BY_COMPANY" else "request.accepted", 1)


def test_row_04_the_programme_is_ready_when_every_line_has_its_brn():
    world = World(heads=2).open()
    world.done("request.submitted", 1)
    world.done("request.submitted", 2)
    world.done("request.accepted", 1)
    assert not world.events, "one of two is not decided yet"
    world.done("request.accepted", 2)
    assert [(e.name, e.line) for e in world.events] == [
        ("housing.requested", "H1"), ("housing.requested", "H2"), ("transport.requested", "T1"),
        ("transport.requested", "T2"),
    ]  # fmt: skip
    assert {b.state for b in world.case.bookings.values()} == {"requested"}
    world.done("housing.confirmed", line="H1", brn="1")
    world.done("housing.confirmed", line="H2", brn="2")
    world.done("transport.confirmed", line="T1", brn="3")
    assert world.case.state == "OPEN"
    world.done("transport.confirmed", line="T2", brn="4")
    assert world.case.state == "PROGRAMME_READY"
    assert world.case.due is None
    assert {line: b.brn for line, b in world.case.bookings.items()} == {"H1": "1", "H2": "2", "T1": "3", "T2": "4"}
    assert isinstance(world.tell("housing.confirmed", line="H1", brn="1"), AlreadyTrue)
    assert world.conflict("housing.confirmed", line="H1", brn="9") == "brn_differs"
    assert world.conflict("housing.refused", line="H1") == "booking_confirmed"


def test_row_04_lines_that_came_with_a_brn_are_not_booked_again():
    world = World()
    for number, line in enumerate([*world.case.programme.housing, *world.case.programme.transport]):
        line.brn = f"B{number}"
    world.to("ACCEPTED")
    assert world.case.state == "PROGRAMME_READY"
    assert not world.told("housing.requested")
    assert len(world.told("voucher.issued")) == 1


def test_row_04_a_refused_line_blocks_the_group_until_the_agent_gives_up():
    world = World().to("ACCEPTED")
    world.done("housing.refused", line="H2", reason="full")
    assert (world.case.state, world.case.marks["blocked"]) == ("OPEN", "housing_refused")
    assert isinstance(world.tell("housing.refused", line="H2"), AlreadyTrue)
    assert world.conflict("housing.confirmed", line="H2", brn="1") == "booking_refused"
    for line in ("T1", "T2"):
        world.done("transport.confirmed", line=line, brn=line)
    world.done("housing.confirmed", line="H1", brn="H1")
    assert world.case.state == "OPEN"
    world.done("request.cancelled", 1)
    assert world.case.state == "CANCELLED"
    assert world.conflict("housing.confirmed", line="H2", brn="1") == "booking_refused"


def test_row_04_a_leg_may_be_refused_and_houses_may_have_their_brn():
    world = World()
    for line in world.case.programme.housing:
        line.brn = f"B{line.line}"
    world.to("ACCEPTED")
    assert [e.name for e in world.events] == ["transport.requested", "transport.requested"]
    world.done("transport.refused", line="T1")
    assert world.case.marks["blocked"] == "transport_refused"
    assert world.conflict("transport.started", line="T1") == "booking_refused"
    assert isinstance(world.tell("transport.ended", line="T2"), TooEarly)


def test_row_04_a_group_that_is_not_ready_on_its_day_of_arrival_is_given_up():
    world = World(heads=3).open({}, {})
    world.done("request.submitted", 1)
    world.tick(arrival() + 2 * DAY)
    assert [m.state for m in world.case.members.values()] == ["CANCELLED", "CANCELLED"]
    assert last(world) == "group_lapsed"
    assert world.case.state == "CANCELLED"
    assert isinstance(world.tell("transport.refused", line="T1"), AlreadyTrue)
    assert world.conflict("transport.confirmed", line="T1", brn="1") == "group_cancelled"


def test_row_05_the_voucher_adds_up():
    world = World(heads=2).to("INVOICED")
    voucher = world.case.voucher
    lines = {line.kind: line.amount for line in voucher.lines}
    assert lines == {
        "visa_fee": Decimal("377.50"), "e_fee": Decimal("240.00"), "insurance": Decimal("126.50"),
        "ground": Decimal("50.00"), "transport": Decimal(140), "housing": Decimal(1400), "vat": Decimal("293.48"),
    }  # fmt: skip
    assert voucher.amount == sum(lines.values())
    assert (voucher.state, voucher.bill_no, voucher.currency) == ("INVOICED", "1234567890123", "SAR")
    assert voucher.due == voucher.expires_at == voucher.issued_at + 10 * DAY
    assert [e.name for e in world.events][-2:] == ["programme.ready", "voucher.issued"]
    world.done("voucher.billed")
    assert isinstance(world.tell("voucher.billed"), AlreadyTrue)
    assert isinstance(world.tell("voucher.issued"), AlreadyTrue)


def test_row_05_the_voucher_covers_the_accepted_only():
    world = World(heads=2).to("SUBMITTED")
    world.done("request.accepted", 1)
    world.done("request.refused", 2)
    for line in ("H1", "H2"):
        world.done("housing.confirmed", line=line, brn=line)
    for line in ("T1", "T2"):
        world.done("transport.confirmed", line=line, brn=line)
    lines = {line.kind: line.amount for line in world.case.voucher.lines}
    assert lines["visa_fee"] == Decimal("188.75")
    assert lines["insurance"] == Decimal("63.25")
    assert lines["housing"] == Decimal(1400), "the house is booked for both"


def test_row_06_full_payment_pays():
    world = World().to("INVOICED")
    world.pay()
    assert world.case.voucher.state == "PAID"
    assert world.case.voucher.due is None
    assert world.case.voucher.paid == world.case.voucher.amount
    assert world.member().marks["paid_at"] == world.now


def test_row_06_part_payment_sends_nothing():
    world = World().to("INVOICED")
    world.pay(Decimal(10))
    assert world.case.voucher.state == "PART_PAID"
    assert world.state() == "ACCEPTED"
    assert [e.name for e in world.events][-1] == "voucher.part_paid"


def test_row_06_an_unpaid_voucher_runs_out():
    world = World().to("INVOICED")
    world.tick(world.case.voucher.expires_at)
    assert world.case.voucher.state == "INVOICE_EXPIRED"
    assert world.state() == "ACCEPTED", "news of a payment made in time may still come"
    world.tick(world.case.voucher.due)
    assert world.state() == "INVOICE_EXPIRED"
    assert last(world) == "voucher_expired"
    assert (world.case.voucher.state, world.case.state) == ("CANCELLED", "CANCELLED")
    names = [e.name for e in world.events]
    assert names[-5:] == [
        "voucher.expired", "request.invoice_expired", "voucher.cancelled", "group.cancelled", "group.closed",
    ]  # fmt: skip


def test_row_06_the_voucher_is_cancelled_with_the_last_request():
    world = World(heads=2).to("INVOICED")
    before = world.case.voucher.amount
    world.done("request.cancelled", 1)
    assert world.case.voucher.state == "INVOICED"
    assert before > world.case.voucher.amount == sum(line.amount for line in world.case.voucher.lines)
    world.done("request.cancelled", 2)
    assert (world.case.voucher.state, world.case.state) == ("CANCELLED", "CANCELLED")


def test_row_07_payment_sends_each_pilgrim_once():
    world = World(heads=3).to("INVOICED")
    world.pay()
    assert [(e.request, e.data["attempt"]) for e in world.told("reference.requested")] == [
        (world.member(who).id, 1) for who in (1, 2, 3)
    ]
    steps = [(t.was, t.now, t.event) for t in world.history if t.id == world.member().id][-2:]
    assert steps == [
        ("ACCEPTED", "PAID", "request.paid"),
        ("PAID", "SENT_FOR_REFERENCE", "reference.requested"),
    ]
    assert isinstance(world.pay(world.case.voucher.amount), AlreadyTrue)
    assert len(world.told("reference.requested")) == 3


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("reference.issued", "REFERENCE_ISSUED"),
        ("reference.refused", "REFERENCE_REFUSED"),
        ("reference.needs_data", "NEEDS_DATA"),
    ],
)
def test_row_08_the_ministry_answers(name, state):
    world = World(heads=2).to("SENT_FOR_REFERENCE")
    world.done(name, 1, reason="data", facts={"reference_no": "1"} if state == "REFERENCE_ISSUED" else None)
    assert world.state() == state
    assert world.state(2) == "SENT_FOR_REFERENCE", "one refusal never stops the others"
    assert isinstance(world.tell(name, 1), AlreadyTrue)
    others = {"reference.issued", "reference.refused", "reference.needs_data"} - {name}
    for other in others:
        assert isinstance(world.tell(other, 1), Conflict), other


def test_row_08_a_second_different_reference_is_a_persons_case():
    world = World().to("REFERENCE_ISSUED")
    assert isinstance(world.tell("reference.issued", 1, facts={"reference_no": f"{1:010}"}), AlreadyTrue)
    assert world.conflict("reference.issued", 1, facts={"reference_no": "77"}) == "reference_differs"


def test_row_09_the_mission_has_the_reference():
    world = World().to("AT_MISSION")
    assert world.member().marks["mission_at"] == world.now
    assert world.member().due is not None
    assert isinstance(world.tell("mission.received", 1), AlreadyTrue)


@pytest.mark.parametrize("stage", ["REFERENCE_ISSUED", "AT_MISSION"])
@pytest.mark.parametrize("name", ["visa.issued", "visa.refused"])
def test_row_10_the_mission_prints_or_refuses(stage, name):
    world = World().to(stage)
    world.done(name, 1, reason="photo")
    state = "VISA_ISSUED" if name == "visa.issued" else "VISA_REFUSED"
    assert world.state() == state
    assert isinstance(world.tell(name, 1), AlreadyTrue)
    assert isinstance(world.tell({"visa.issued": "visa.refused"}.get(name, "visa.issued"), 1), Conflict)
    if state == "VISA_ISSUED":
        assert isinstance(world.tell("mission.received", 1), AlreadyTrue)


def test_row_10_a_second_different_visa_is_a_persons_case():
    world = World().to("VISA_ISSUED")
    assert isinstance(world.tell("visa.issued", 1, facts={"visa_no": "V1"}), AlreadyTrue)
    assert world.conflict("visa.issued", 1, facts={"visa_no": "V2"}) == "visa_differs"


def test_row_11_a_visa_lapses():
    world = World().to("AT_MISSION")
    issued = date(2026, 1, 6)
    world.done("visa.issued", 1, issued_on=issued)
    marks = world.member().marks
    assert (marks["visa_issued_on"], marks["enter_by"], marks["stay_days"]) == (issued, issued + 30 * DAY, 90)
    world.tick(world.member().due - HOUR)
    assert world.state() == "VISA_ISSUED"
    world.tick(world.now + HOUR)
    assert world.state() == "VISA_LAPSED"
    assert last(world) == "not_entered"
    assert world.member().ended_at.isoformat() == "2026-02-06T00:00:00+03:00"


def test_row_11_the_seasons_last_day_and_the_missions_own_count_too():
    world = World().to("AT_MISSION")
    world.done("visa.issued", 1, issued_on=date(2026, 3, 20), enter_by=date(2026, 4, 20), stay_days=120)
    assert world.member().marks["enter_by"] == date(2026, 4, 3), "15 Shawwal 1447"
    assert world.member().marks["stay_days"] == 90
    world = World().to("AT_MISSION")
    world.done("visa.issued", 1, issued_on="2026-01-06", enter_by="2026-01-10", stay_days=14)
    assert world.member().marks["enter_by"] == date(2026, 1, 10)
    assert world.member().marks["stay_days"] == 14


def test_row_12_a_carrier_announces_the_pilgrim():
    world = World().to("EXPECTED")
    assert world.member().marks["port"] == "JED"
    assert world.member().due is not None, "the visa may still lapse"
    assert isinstance(world.tell("pilgrim.expected", 1), AlreadyTrue)


@pytest.mark.parametrize("stage", ["VISA_ISSUED", "EXPECTED"])
def test_row_13_the_border_records_the_entry(stage):
    world = World().to(stage)
    world.done("pilgrim.entered", 1, at=arrival(), port="JED", facts={"border_no": "1"})
    marks = world.member().marks
    assert (world.state(), marks["entered_at"], marks["place"]) == ("INSIDE", arrival(), "road")
    assert marks["stay_until"] == arrival().date() + 90 * DAY
    assert isinstance(world.tell("pilgrim.expected", 1), AlreadyTrue)
    assert isinstance(world.tell("pilgrim.no_show", 1), AlreadyTrue)
    assert isinstance(world.tell("pilgrim.entered", 1, facts={"border_no": "1"}), AlreadyTrue)
    assert world.conflict("pilgrim.entered", 1, facts={"border_no": "2"}) == "border_no_differs"


def test_row_13_nobody_enters_after_the_visa_has_lapsed():
    for spoken in (False, True):
        world = World().to("VISA_ISSUED")
        late = world.member().due + HOUR
        if spoken:
            world.tick(late)
        assert world.conflict("pilgrim.entered", 1, at=late) == "entered_after_lapse"


def test_row_14_where_the_pilgrim_is():
    world = World().to("INSIDE")
    world.done("pilgrim.checked_in", 1, at=arrival() + 6 * HOUR, city="makkah")
    assert world.member().marks["place"] == "makkah"
    world.done("pilgrim.checked_out", 1, at=arrival() + 4 * DAY, city="makkah")
    assert world.member().marks["place"] == "road"
    assert isinstance(world.tell("pilgrim.checked_out", 1, at=arrival() + 4 * DAY, city="makkah"), AlreadyTrue)
    world.done("pilgrim.checked_in", 1, at=arrival() + 5 * HOUR, city="jeddah")
    assert world.member().marks["place"] == "road", "told late, it changes the history only"
    for line in ("T1", "T2"):
        world.done("transport.started", line=line)
        assert world.case.bookings[line].state == "started"
        world.done("transport.ended", line=line)
        assert isinstance(world.tell("transport.started", line=line), AlreadyTrue)
    assert world.case.bookings["T1"].state == "ended"
    assert world.case.bookings["T1"].brn == "BT1"


def test_row_14_a_stay_told_after_the_exit_goes_into_the_history():
    world = World().to("EXITED")
    result = world.done("pilgrim.checked_in", 1, at=arrival() + HOUR, city="makkah")
    assert result.transitions[0].now == "EXITED"
    assert "place" not in world.member().marks
    assert world.member().ended_at == arrival() + 7 * DAY
    assert world.conflict("pilgrim.checked_in", 1, at=arrival() + 9 * DAY, city="makkah") == "stay_after_end"


def test_row_15_the_stay_comes_to_its_end():
    world = World().to("INSIDE")
    world.tick(arrival() + 84 * DAY - 11 * HOUR)
    assert world.state() == "INSIDE"
    world.tick(arrival() + 85 * DAY)
    assert world.state() == "LEAVING_SOON"


@pytest.mark.parametrize("wait", [7, 86])
def test_row_16_the_border_records_the_exit(wait):
    world = World().to("INSIDE")
    world.tick(arrival() + wait * DAY)
    world.done("pilgrim.exited", 1, port="MED")
    assert world.state() == "EXITED"
    assert world.member().marks["stayed_days"] == wait
    assert world.member().marks["exit_port"] == "MED"
    assert "place" not in world.member().marks
    assert isinstance(world.tell("pilgrim.exited", 1), AlreadyTrue)
    assert world.conflict("pilgrim.exited", 1, at=world.now - HOUR) == "exit_differs"


def test_row_16_an_exit_told_before_the_entry_is_kept():
    world = World().to("VISA_ISSUED")
    assert isinstance(world.tell("pilgrim.exited", 1, at=arrival() + DAY), TooEarly)
    world.done("pilgrim.entered", 1, at=arrival())
    assert world.state() == "EXITED"
    world = World().to("INSIDE")
    assert world.conflict("pilgrim.exited", 1, at=arrival() - HOUR) == "exit_before_entry"


def test_row_17_an_overstay():
    world = World().to("INSIDE")
    world.tick(arrival() + 91 * DAY)
    assert world.state() == "OVERSTAYED"
    assert world.member().due is None
    overstayed = world.history[-1]
    assert overstayed.happened.date() == date(2026, 4, 26)
    assert world.member().marks["overstayed_at"] == overstayed.happened


def test_row_17_the_season_ends_a_stay_before_its_days_are_over():
    world = World().to("VISA_ISSUED")
    world.done("pilgrim.entered", 1, at=world.member().due - HOUR)
    assert world.member().marks["stay_until"] == date(2026, 5, 2), "15 Dhul-Qa'dah 1447"


def test_row_18_the_company_reports_the_absent():
    world = World().to("INSIDE")
    assert isinstance(world.tell("pilgrim.reported", 1), TooEarly)
    world.kept.clear()
    world.tick(arrival() + 91 * DAY)
    world.done("pilgrim.reported", 1, reason="absent")
    assert world.state() == "REPORTED_ABSENT"
    assert isinstance(world.tell("pilgrim.reported", 1), AlreadyTrue)


@pytest.mark.parametrize("reported", [False, True])
@pytest.mark.parametrize(("name", "state"), [("pilgrim.exited", "EXITED_LATE"), ("pilgrim.deported", "DEPORTED")])
def test_row_19_out_at_last(reported, name, state):
    world = World().to("INSIDE")
    world.tick(arrival() + 95 * DAY)
    if reported:
        world.done("pilgrim.reported", 1)
    world.done(name, 1)
    assert world.state() == state
    assert not world.history[-1].corrects


@pytest.mark.parametrize(("name", "state"), [("pilgrim.exited", "EXITED_LATE"), ("pilgrim.deported", "DEPORTED")])
def test_row_19_the_clock_need_not_have_spoken(name, state):
    world = World().to("INSIDE")
    world.now = arrival() + 95 * DAY
    world.done(name, 1)
    assert [t.now for t in world.history if t.id == world.member().id][-2:] == ["OVERSTAYED", state]


@pytest.mark.parametrize("wait", [1, 86, 95])
def test_row_20_deceased(wait):
    world = World().to("INSIDE")
    world.tick(arrival() + wait * DAY)
    world.done("pilgrim.deceased", 1)
    assert (world.state(), world.member().due) == ("DECEASED", None)
    assert isinstance(world.tell("pilgrim.deceased", 1), AlreadyTrue)


def test_row_20_hospital_is_a_flag():
    world = World().to("INSIDE")
    world.done("pilgrim.hospitalised", 1)
    assert (world.state(), world.member().marks["hospitalised"]) == ("INSIDE", True)
    assert world.member().due is not None
    assert isinstance(world.tell("pilgrim.hospitalised", 1), AlreadyTrue)


def test_row_21_a_group_is_closed_when_all_have_ended_and_the_money_is_settled():
    world = World(heads=2).to("INSIDE")
    world.pay(Decimal(1), ref="P2")
    for who in (1, 2):
        world.done("pilgrim.exited", who, at=arrival() + 7 * DAY)
    assert "closed_on" not in world.case.marks, "one riyal is owed"
    world.done("payment.refunded", bank_ref="R1", amount=Decimal(1), currency="SAR")
    assert world.case.marks["closed_on"] == world.now.date()
    assert len(world.told("group.closed")) == 1


@pytest.mark.parametrize("stage", ["DRAFT", "SUBMITTED", "ACCEPTED", "INVOICED"])
def test_row_22_cancelled_before_it_is_sent(stage):
    world = World().to(stage)
    world.done("request.cancelled", 1)
    assert (world.state(), last(world)) == ("CANCELLED", "cancelled_by_agent")
    assert world.case.state == "CANCELLED"
    assert isinstance(world.tell("request.cancelled", 1), AlreadyTrue)


@pytest.mark.parametrize(
    ("stage", "back"),
    [
        ("SENT_FOR_REFERENCE", Decimal("101.49")),  # (63.25 + 25) and 15 % tax
        ("REFERENCE_ISSUED", Decimal("101.49")),
        ("AT_MISSION", Decimal("101.49")),
        ("VISA_ISSUED", Decimal("28.75")),
        ("EXPECTED", Decimal("28.75")),
    ],
)
def test_row_22_cancelled_after_it_was_sent(stage, back):
    world = World().to(stage)
    world.done("request.cancelled", 1)
    assert world.state() == "CANCEL_REQUESTED"
    assert isinstance(world.tell("request.cancelled", 1), AlreadyTrue)
    world.tick(world.member().due)
    assert (world.state(), last(world)) == ("CANCELLED", "cancelled_by_agent")
    assert world.case.voucher.marks["refund_due"] == back
    refund = world.told("voucher.refund_due")[-1]
    assert (refund.request, refund.data["amount"]) == (world.member().id, back)
    assert "closed_on" not in world.case.marks
    world.done("payment.refunded", bank_ref="R1", amount=back, currency="SAR")
    assert world.case.marks["closed_on"]


@pytest.mark.parametrize("name", ["reference.issued", "reference.refused", "reference.needs_data"])
def test_row_22_the_ministrys_answer_settles_a_cancellation(name):
    world = World().to("SENT_FOR_REFERENCE")
    world.done("request.cancelled", 1)
    world.done(name, 1)
    assert world.state() == "CANCELLED"
    assert isinstance(world.tell(name, 1), AlreadyTrue)


@pytest.mark.parametrize("name", ["visa.issued", "visa.refused"])
def test_row_22_the_missions_answer_settles_a_cancellation(name):
    world = World().to("AT_MISSION")
    world.done("request.cancelled", 1)
    assert isinstance(world.tell("reference.issued", 1), AlreadyTrue)
    world.done(name, 1)
    assert world.state() == "CANCELLED"


def test_row_22_who_travels_after_all_is_inside():
    world = World().to("VISA_ISSUED")
    world.done("request.cancelled", 1)
    world.done("pilgrim.expected", 1)
    world.done("pilgrim.no_show", 1)
    world.done("pilgrim.entered", 1, at=arrival())
    assert world.state() == "INSIDE"
    assert world.conflict("request.cancelled", 1) == "inside_kingdom"
    world = World().to("VISA_ISSUED")
    world.done("request.cancelled", 1)
    world.done("pilgrim.turned_back", 1)
    assert world.state() == "ENTRY_REFUSED"
    assert world.conflict("request.cancelled", 1) == "request_ended"
    world = World().to("REFERENCE_ISSUED")
    world.done("request.cancelled", 1)
    world.done("mission.received", 1)
    assert world.state() == "CANCEL_REQUESTED"
    assert isinstance(world.tell("reference.issued", 1), AlreadyTrue)
    assert isinstance(world.tell("pilgrim.entered", 1), TooEarly), "there is no visa to enter on"


def test_row_23_a_returned_request_is_corrected():
    world = World().to("SUBMITTED")
    world.done("request.returned", 1, reason="photo")
    world.now += HOUR
    world.done("request.corrected", 1)
    assert (world.state(), world.member().marks["attempt"]) == ("SUBMITTED", 2)
    assert "reason" not in world.member().marks
    assert world.member().due is None
    world.done("request.corrected", 1)
    assert world.member().marks["attempt"] == 2, "before the decision the agent may mend"
    world.done("request.accepted", 1)
    assert world.conflict("request.corrected", 1) == "fact_contradicts"


def test_row_23_data_that_the_ministry_wants_is_corrected():
    world = World().to("SENT_FOR_REFERENCE")
    world.done("reference.needs_data", 1, reason="name")
    world.done("request.corrected", 1)
    assert world.state() == "SENT_FOR_REFERENCE"
    assert [e.data["attempt"] for e in world.told("reference.requested")] == [1, 2]
    world.done("reference.issued", 1, facts={"reference_no": "5"})
    assert world.state() == "REFERENCE_ISSUED"


@pytest.mark.parametrize("stage", ["SUBMITTED", "SENT_FOR_REFERENCE"])
def test_row_23_a_correction_that_does_not_come_lapses(stage):
    world = World().to(stage)
    world.done("request.returned" if stage == "SUBMITTED" else "reference.needs_data", 1)
    world.tick(world.now + 7 * DAY)
    assert (world.state(), last(world)) == ("CANCELLED", "not_corrected")


def test_row_23_a_draft_may_be_corrected():
    world = World().open()
    world.done("request.corrected", 1)
    assert world.state() == "DRAFT"


def test_row_24_the_rest_is_paid():
    world = World().to("INVOICED")
    world.pay(Decimal(10))
    world.pay(Decimal(20), ref="P2")
    assert world.case.voucher.state == "PART_PAID"
    world.pay(ref="P3")
    assert (world.case.voucher.state, world.state()) == ("PAID", "SENT_FOR_REFERENCE")
    assert sum(world.case.voucher.payments.values()) == world.case.voucher.amount


def test_row_24_a_payment_made_in_time_and_told_late_pays():
    world = World().to("INVOICED")
    made = world.now + HOUR
    world.tick(world.case.voucher.expires_at)
    world.pay(Decimal(1), ref="P0", at=made)
    assert world.case.voucher.state == "INVOICE_EXPIRED"
    world.pay(at=made)
    assert (world.case.voucher.state, world.state()) == ("PAID", "SENT_FOR_REFERENCE")
    assert next(t for t in world.history if t.now == "PAID" and t.machine == "voucher").corrects


@pytest.mark.parametrize("paid", [Decimal(0), Decimal(5)])
def test_row_24_a_voucher_is_issued_again(paid):
    world = World().to("INVOICED")
    if paid:
        world.pay(paid)
    world.tick(world.case.voucher.expires_at)
    world.done("voucher.issued")
    assert world.case.voucher.state == ("PART_PAID" if paid else "INVOICED")
    assert world.case.voucher.due == world.case.voucher.expires_at == world.now + 10 * DAY
    world.pay(ref="P9")
    assert world.case.voucher.state == "PAID"


def test_row_24_part_of_it_paid_and_never_the_rest():
    world = World().to("INVOICED")
    world.pay(Decimal(10))
    world.tick(world.case.voucher.expires_at + 4 * DAY)
    voucher = world.case.voucher
    assert (voucher.state, voucher.marks["refund_due"], world.state()) == ("REFUND_DUE", Decimal(10), "INVOICE_EXPIRED")
    assert world.conflict("voucher.issued") == "voucher_ended"
    world.done("payment.refunded", bank_ref="R1", amount=Decimal(10), currency="SAR")
    assert world.case.voucher.state == "REFUNDED"
    assert world.case.marks["closed_on"]


@pytest.mark.parametrize("stage", ["REFERENCE_ISSUED", "AT_MISSION"])
def test_row_25_a_reference_lapses(stage):
    world = World().to(stage)
    world.tick(world.member().marks["reference_at"] + 30 * DAY)
    assert (world.state(), last(world)) == ("REFERENCE_LAPSED", "not_printed")
    assert isinstance(world.tell("visa.issued", 1), Conflict)


@pytest.mark.parametrize("stage", ["VISA_ISSUED", "EXPECTED"])
def test_row_26_turned_back(stage):
    world = World().to(stage)
    world.done("pilgrim.turned_back", 1, port="JED", reason="ban")
    assert (world.state(), last(world)) == ("ENTRY_REFUSED", "ban")
    assert isinstance(world.tell("pilgrim.turned_back", 1), AlreadyTrue)


def test_row_26_turned_back_because_the_visa_had_lapsed():
    for spoken in (False, True):
        world = World().to("EXPECTED")
        late = world.member().due + HOUR
        if spoken:
            world.tick(late)
        assert isinstance(world.tell("pilgrim.turned_back", 1, at=late), AlreadyTrue if spoken else Applied)
        assert world.state() == "VISA_LAPSED"


def test_row_27_a_no_show_waits_for_the_next_flight_or_lapses():
    world = World().to("EXPECTED")
    announced = world.now
    world.now += DAY
    world.done("pilgrim.no_show", 1)
    assert world.state() == "VISA_ISSUED"
    assert isinstance(world.tell("pilgrim.no_show", 1), AlreadyTrue)
    assert isinstance(world.tell("pilgrim.expected", 1, at=announced), AlreadyTrue), "the old flight"
    world.done("pilgrim.expected", 1, at=world.now + HOUR)
    world.done("pilgrim.no_show", 1, at=world.now + DAY)
    world.tick(world.member().due)
    assert world.state() == "VISA_LAPSED"


def test_row_27_a_no_show_told_before_the_announcement_is_kept():
    world = World().to("VISA_ISSUED")
    assert isinstance(world.tell("pilgrim.no_show", 1), TooEarly)
    world.done("pilgrim.expected", 1, at=world.now - HOUR)
    assert world.state() == "VISA_ISSUED"
    assert world.member().marks["no_show_at"] == world.now


def test_row_28_a_late_entry_takes_a_lapse_back():
    world = World().to("VISA_ISSUED")
    world.tick(world.member().due + DAY)
    lapsed_at = world.member().ended_at
    world.done("pilgrim.expected", 1, at=arrival() - DAY)
    world.done("pilgrim.no_show", 1, at=arrival() - HOUR)
    world.done("pilgrim.entered", 1, at=arrival())
    step = world.history[-1] if world.history[-1].machine == "request" else world.history[-2]
    assert (step.was, step.now, step.corrects) == ("VISA_LAPSED", "INSIDE", True)
    assert world.member().ended_at is None
    assert world.member().end_reason is None
    assert "closed_on" not in world.case.marks
    assert lapsed_at in [t.happened for t in world.history], "both times are kept"


def test_row_28_an_exit_told_before_the_late_entry_is_kept():
    world = World().to("VISA_ISSUED")
    world.tick(world.member().due + DAY)
    assert isinstance(world.tell("pilgrim.exited", 1, at=arrival() + DAY), TooEarly)
    world.done("pilgrim.entered", 1, at=arrival())
    assert world.state() == "EXITED"


def test_row_28_a_late_refusal_takes_a_lapse_back():
    world = World().to("VISA_ISSUED")
    world.tick(world.member().due + DAY)
    world.done("pilgrim.turned_back", 1, at=arrival())
    assert (world.state(), world.history[-1].corrects) == ("ENTRY_REFUSED", True)


@pytest.mark.parametrize("reported", [False, True])
def test_row_28_a_late_exit_takes_an_overstay_and_its_report_back(reported):
    world = World().to("INSIDE")
    world.tick(arrival() + 92 * DAY)
    if reported:
        world.done("pilgrim.reported", 1)
    world.done("pilgrim.exited", 1, at=arrival() + 89 * DAY)
    step = next(t for t in reversed(world.history) if t.machine == "request")
    assert (step.now, step.corrects, step.happened) == ("EXITED", True, arrival() + 89 * DAY)
    assert world.member().marks.get("report_withdrawn_at") == (world.now if reported else None)
    assert world.member().marks["overstayed_at"] < world.now


def test_a_dependant_waits_for_another_companion():
    world = World(heads=3).to("SENT_FOR_REFERENCE", {}, CHILD, {})
    assert world.member(2).minor
    world.done("reference.refused", 1)
    assert world.state(2) == "WAITING_COMPANION"
    assert world.state(3) == "SENT_FOR_REFERENCE"
    assert [e.request for e in world.told("request.companion_lost")] == [world.member(2).id]
    assert world.conflict("request.corrected", 2) == "minor_without_companion"
    world.member(2).companion = world.member(3).id
    world.done("request.corrected", 2)
    assert (world.state(2), world.member(2).marks["attempt"]) == ("SENT_FOR_REFERENCE", 2)


def test_a_dependant_whose_companion_is_not_replaced_is_cancelled():
    world = World(heads=2).to("SUBMITTED", {}, CHILD)
    world.done("request.refused", 1)
    assert world.state(2) == "WAITING_COMPANION"
    world.tick(world.now + 7 * DAY)
    assert (world.state(2), last(world, 2)) == ("CANCELLED", "companion_not_replaced")
    assert world.case.state == "CANCELLED"


@pytest.mark.parametrize("stage", ["SUBMITTED", "ACCEPTED", "INVOICED"])
def test_a_dependant_goes_on_where_it_was(stage):
    world = World(heads=3).to(stage, {}, CHILD, {})
    world.done("request.cancelled", 1)
    assert world.state(2) == "WAITING_COMPANION"
    world.member(2).companion = world.member(3).id
    world.done("request.corrected", 2)
    assert world.state(2) == ("SUBMITTED" if stage == "SUBMITTED" else "ACCEPTED")
    assert "resume" not in world.member(2).marks


def test_a_waiting_dependant_is_paid_for_and_sent_when_its_companion_is_replaced():
    world = World(heads=3).to("INVOICED", {}, CHILD, {})
    world.done("request.cancelled", 1)
    world.pay()
    assert [world.state(who) for who in (1, 2, 3)] == ["CANCELLED", "WAITING_COMPANION", "SENT_FOR_REFERENCE"]
    assert world.member(2).due is not None
    world.member(2).companion = world.member(3).id
    world.done("request.corrected", 2)
    assert (world.state(2), world.member(2).marks["attempt"]) == ("SENT_FOR_REFERENCE", 1)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("reference.issued", "WAITING_COMPANION"),
        ("reference.needs_data", "WAITING_COMPANION"),
        ("reference.refused", "REFERENCE_REFUSED"),
    ],
)
def test_an_answer_may_reach_a_waiting_dependant(name, state):
    world = World(heads=2).to("SENT_FOR_REFERENCE", {}, CHILD)
    world.done("reference.refused", 1)
    world.done(name, 2)
    assert world.state(2) == state


@pytest.mark.parametrize(("name", "state"), [("visa.issued", "VISA_ISSUED"), ("visa.refused", "VISA_REFUSED")])
def test_a_visa_may_reach_a_waiting_dependant(name, state):
    world = World(heads=2).to("REFERENCE_ISSUED", {}, CHILD)
    world.done("visa.refused", 1)
    assert world.state(2) == "WAITING_COMPANION"
    world.done("mission.received", 2)
    world.done(name, 2)
    assert world.state(2) == state


def test_a_dependant_with_a_visa_keeps_it():
    world = World(heads=2).to("AT_MISSION", {}, CHILD)
    world.done("visa.issued", 2)
    world.done("visa.refused", 1)
    assert world.state(2) == "VISA_ISSUED"


def test_what_only_the_journey_concludes_nobody_may_tell():
    world = World().to("INVOICED")
    taken = {
        "group.opened", "housing.confirmed", "housing.refused", "transport.confirmed", "transport.refused",
        "transport.started", "transport.ended", "voucher.billed", "voucher.issued", "payment.received",
        "payment.reversed", "payment.settled", "payment.refunded", "clock.due",
    }  # fmt: skip
    concluded = [name for name in EVENTS if name not in taken]
    told = {name: world.tell(name, 1) for name in concluded}
    refused = {n for n, r in told.items() if isinstance(r, Conflict) and r.code == "conclusion_only"}
    assert refused == {
        "request.paid", "request.invoice_expired", "request.companion_lost", "reference.requested",
        "housing.requested", "transport.requested", "programme.ready", "group.cancelled", "group.closed",
        "voucher.part_paid", "voucher.paid", "voucher.expired", "voucher.cancelled", "voucher.refund_due",
    }  # fmt: skip


def test_nothing_is_said_of_what_is_not_there():
    world = World().open()
    assert world.conflict("request.accepted", 9) == "unknown_request"
    assert world.conflict("request.accepted") == "unknown_request"
    assert world.conflict("housing.confirmed", line="H9") == "unknown_line"
    assert world.conflict("housing.refused", line="T1") == "unknown_line"
    assert world.conflict("transport.started") == "unknown_line"
    assert isinstance(world.tell("clock.due"), AlreadyTrue)
    assert isinstance(world.tell("clock.due", 9), AlreadyTrue)
    assert isinstance(world.tell("transport.started", line="T1"), TooEarly)
    assert isinstance(world.tell("group.opened"), AlreadyTrue)


def test_a_due_time_may_be_told_of_one_request():
    world = World(heads=2).to("SUBMITTED")
    for who in (1, 2):
        world.done("request.returned", who)
    world.now += timedelta(days=8)
    world.done("clock.due", 1)
    assert [world.state(who) for who in (1, 2)] == ["CANCELLED", "RETURNED"]


def test_row_10_the_zone_printed_on_the_visa_is_the_pilgrims_own():
    until = START.date() + 20 * DAY

    def told(zone):
        world = World().to("AT_MISSION")
        facts = {"visa_no": "6000000001", "visa_mrz": zone}
        return world.tell("visa.issued", 1, facts=facts, issued_on=START.date(), enter_by=until)

    own, other = (pilgrim(number) for number in (1, 2))
    zone = mrv_a(own.document.number, until, own.person)
    assert isinstance(told(zone), Applied)
    for wrong in (
        mrv_a(other.document.number, until, own.person),
        mrv_a(own.document.number, until, other.person),
        mrv_a(own.document.number, until + DAY, own.person),
        zone.replace("IDN", "PAK"),
        "not a zone",
    ):
        result = told(wrong)
        assert isinstance(result, Conflict) and result.code == "visa_mrz_wrong"
