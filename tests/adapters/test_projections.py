"""What each operation sends, made from a case as the store gives it: written by its map, or not sent at all."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from hub import partners, settings
from hub.canonical.case import Agent, Booking, Case, Envelope, Member, Pilgrim, Subject, Voucher
from hub.canonical.entities import (
    Document,
    HousingLine,
    Insurance,
    Name,
    Passage,
    Person,
    Programme,
    Room,
    Service,
    TransportLine,
    Visa,
)

NOW = datetime(2026, 2, 20, 20, 30, tzinfo=UTC)
WHO, LATER = UUID(int=7), UUID(int=8)
KEY = "0197f3a0c1d27b4e8a11f0e2d3c4b5a6"


@pytest.fixture(scope="module")
def register() -> partners.Register:
    return partners.load(settings.load(env={}))


def pilgrim(number: str, given: str | None, mobile: str | None) -> Pilgrim:
    return Pilgrim(
        person=Person(
            name=Name(given=given, family="RAHMAWATI"), sex="female", birth_date=date(1961, 4, 9), nationality="IDN",
            residence="IDN", mobile=mobile,
        ),
        document=Document(number=number, issuing_state="IDN", issued_on=date(2023, 1, 1), expires_on=date(2033, 1, 1)),
        visa=Visa(number="6012345678", issued_on=date(2026, 2, 10), enter_by=date(2026, 3, 12), stay_days=90),
        border_no="4412345678",
    )  # fmt: skip


@pytest.fixture
def case() -> Case:
    """A group in Madinah that came by sea, with everything a programme may have; its second member has ended."""
    inside: dict[str, Any] = {
        "place": "madinah", "place_at": NOW, "entered_at": NOW, "stay_until": date(2026, 5, 21), "port": "YNB",
    }  # fmt: skip
    passage = Passage(mode="sea", carrier="RSF", number="214", port="YNB", on=date(2026, 2, 20))
    return Case(
        id=UUID(int=1), group_no="G-20017", agent_ref="A-17", season=1447, state="PROGRAMME_READY",
        agent=Agent(id="agent_idn_2", country="IDN", mission="JKT", company="company_2"), heads=2,
        programme=Programme(
            arrival=passage,
            departure=replace(passage, on=date(2026, 3, 4)),
            housing=[
                HousingLine(
                    line="H1", hotel_code="MKH-IBR-01", licence="L-1", city="makkah", check_in=date(2026, 2, 20),
                    check_out=date(2026, 2, 25), heads=2, price=Decimal("4100.00"),
                    rooms=[Room(kind="double", board="breakfast", beds=2, rate=Decimal("410.00"))],
                )
            ],
            transport=[
                TransportLine(
                    line="T1", company_code="RAIL-HHR", mode="rail", vehicle="train", origin="makkah",
                    destination="madinah", departs_on=date(2026, 2, 25), seats=2, price=Decimal("300.00"),
                )
            ],
            insurance=Insurance(
                policy="UMP-1", insurer="POOL-1", starts_on=date(2026, 2, 20), ends_on=date(2026, 5, 21),
                price=Decimal("376.00"),
            ),
            services=[Service(kind="guide", code="GUIDE-1", price=Decimal("1250.50"))],
        ),
        opened_at=NOW,
        bookings={"H1": Booking(line="H1", state="requested"), "T1": Booking(line="T1", state="requested")},
        voucher=Voucher(
            id=UUID(int=3), bill_no="1000000000173", state="INVOICED", currency="SAR", amount=Decimal("48210.75"),
            expires_at=NOW, marks={"refund_due": Decimal("188.75")},
        ),
        members={
            WHO: Member(id=WHO, request_no="0000000020174", state="INSIDE", marks=inside),
            LATER: Member(id=LATER, request_no="0000000020182", state="CANCELLED", ended_at=NOW),
        },
        pilgrims={WHO: pilgrim("C7654321", "SITI", "+6281200000123"), LATER: pilgrim("XX99881", None, None)},
        focus=WHO,
    )  # fmt: skip


#: Each new operation: the subject it is about, and something that must stand in what is written.
SENT = {
    "health/vaccination check_certificate": ("request", "09.04.1961"),
    "tourism/hotel_licences check_licence": ("H1", "1447/09/03"),
    "tourism/guides book_guide": ("group", "GUIDE-1"),
    "insurance/policies register_policy": ("group", "UMP-1"),
    "permits/rawdah request_permit": ("request", "2026-02-20T23:30:00"),
    "notices/sms tell_visa": ("request", "+6281200000123"),
    "housing/guest_register report_guest": ("request", "202602202330"),
    "agents/arrival_notice tell_arrivals": ("request", "agent_idn_2"),
    "transport/haramain_rail reserve_seats": ("T1", "20260225"),
    "transport/ferry book_passage": ("group", 'souls="1"'),
    "border/visa_notice tell_visas": ("request", "19610409"),
    "housing/ota notify_reservation": ("H1", 'MealPlanCodes="19"'),
    "banks/refunds send_refunds": ("voucher", "<CtrlSum>188.75</CtrlSum>"),
    "banks/sadad send_bill_file": ("voucher", "000000004821075SAR"),
}


def sent(register: partners.Register, name: str, about: str, case: Case) -> str | None:
    """What *name* writes of *case* for the partner; None where the case does not want it."""
    adapter, operation = name.split()
    one = register.map(adapter, operation, "request")
    line = getattr(one.message, "line", one.message)
    found = line.project(case, Subject(kind="any", id=about, key=KEY))
    if found is None:
        return None
    if hasattr(one.message, "of"):
        found = one.message.of([found], Envelope(partner="somebody", sequence=7, at=NOW))
    written: bytes = one.write(found)
    assert one.read(written) is not None
    return written.decode()


@pytest.mark.parametrize("name", SENT)
def test_what_is_sent_is_what_the_case_says(register: partners.Register, case: Case, name: str) -> None:
    about, shows = SENT[name]
    written = sent(register, name, about, case)
    assert written is not None and shows in written
    assert "XX99881" not in written, "who has ended is not named"


def test_a_coach_is_booked_with_its_riders(register: partners.Register, case: Case) -> None:
    case.programme.transport[0] = replace(case.programme.transport[0], vehicle="bus", company_code="BUS-RIMAL")
    written = sent(register, "transport/bus_rest book_trip", "T1", case)
    assert json.loads(written or "")["party"]["seats"] == 1


def test_what_the_case_no_longer_wants_is_not_sent(register: partners.Register, case: Case) -> None:
    case.programme.arrival = replace(case.programme.arrival, mode="air")
    case.programme.services, case.programme.insurance = [], None
    case.bookings["H1"].state = case.bookings["T1"].state = "confirmed"
    member = case.members[WHO]
    member.marks["place"], member.state = "road", "EXITED"
    case.pilgrims[WHO].person.mobile, case.pilgrims[WHO].visa = None, None
    assert case.voucher is not None
    case.voucher.state, case.voucher.marks = "PAID", {}
    checks = {"health/vaccination check_certificate", "tourism/hotel_licences check_licence"}
    assert {n for n in SENT if sent(register, n, SENT[n][0], case) is not None} == checks


def test_who_has_left_a_house_is_told_to_the_register(register: partners.Register, case: Case) -> None:
    name = "housing/guest_register report_departure"
    assert sent(register, name, "request", case) is None, "still in Madinah"
    case.members[WHO].marks["place"] = "road"
    assert "202602202330" in (sent(register, name, "request", case) or "")


def test_a_leg_that_a_railway_cannot_run_is_refused_when_written(register: partners.Register, case: Case) -> None:
    case.programme.transport[0] = replace(case.programme.transport[0], destination="taif")
    with pytest.raises(Exception, match="no code for"):
        sent(register, "transport/haramain_rail reserve_seats", "T1", case)
