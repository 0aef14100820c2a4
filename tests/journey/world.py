"""A small world to put the journey to work in: a group, its programme, and a store that keeps what it is told."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import hub.journey
from hub.canonical.case import Agent, Case, Member, Pilgrim
from hub.canonical.entities import (
    Companion,
    Document,
    HousingLine,
    Insurance,
    Name,
    Passage,
    Person,
    Programme,
    Service,
    TransportLine,
    Visa,
)  # fmt: skip
from hub.canonical.events import Event
from hub.canonical.mrz import td3
from hub.journey import NEW, Applied, Conflict, Result, Rules, TooEarly, apply, evolve

RULES_FILE = Path(hub.journey.__file__).with_name("rules.yaml")
RULES = Rules.load(RULES_FILE)
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
ARRIVES = date(2026, 1, 25)
LEAVES = date(2026, 2, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GROUP, VOUCHER = UUID(int=1), UUID(int=2)


def programme(heads: int = 1, arrives: date = ARRIVES) -> Programme:
    turns, leaves = arrives + 4 * DAY, arrives + 7 * DAY
    return Programme(
        arrival=Passage(carrier="SV", number="123", port="JED", on=arrives, ticket="0651"),
        departure=Passage(carrier="SV", number="124", port="MED", on=leaves, ticket="0652"),
        housing=[
            HousingLine(
                line="H1", hotel_code="MK-1", licence="MKH-10001", city="makkah", check_in=arrives, check_out=turns,
                heads=heads, price=Decimal(400) * heads,
            ),
            HousingLine(
                line="H2", hotel_code="MD-1", licence="MDH-20001", city="madinah", check_in=turns, check_out=leaves,
                heads=heads, price=Decimal(300) * heads,
            ),
        ],
        transport=[
            TransportLine(
                line="T1", company_code="BUS", origin="jeddah", destination="makkah", departs_on=arrives, seats=heads,
                price=Decimal(35) * heads,
            ),
            TransportLine(
                line="T2", company_code="BUS", origin="makkah", destination="madinah", departs_on=turns, seats=heads,
                price=Decimal(35) * heads,
            ),
        ],
        insurance=Insurance(
            policy="P1", insurer="POOL", starts_on=arrives, ends_on=arrives + 90 * DAY, price=Decimal("63.25") * heads
        ),
        services=[Service(kind="reception", code="REC", price=Decimal(25) * heads)],
    )  # fmt: skip


def pilgrim(
    number: int, *, born: date = date(1980, 3, 2), companion: int | None = None, mrz: bool = True, **changes: Any
) -> Pilgrim:
    """An invented pilgrim whose passport's zone agrees with what is typed, unless *changes* spoil it."""
    person = Person(
        name=Name(given="Test", family=f"Pilgrim{'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[number % 26]}"), sex="female",
        birth_date=born, nationality="IDN", residence="IDN",
    )  # fmt: skip
    document = Document(
        number=f"A{number:07}", issuing_state="IDN", issued_on=date(2022, 1, 1), expires_on=date(2031, 12, 31)
    )
    if mrz:
        document.mrz = td3(document, person)
    for name, value in changes.items():
        setattr(person if hasattr(person, name) else document, name, value)
    kin = None
    if companion is not None:
        kin = Companion(number=f"A{companion:07}", issuing_state="IDN", relation="mother")
    return Pilgrim(person=person, document=document, companion=kin)


class World:
    """One case, moved on by events as a store would: facts are learned, what is too early is kept and tried again."""

    def __init__(self, heads: int = 1, *, rules: Rules = RULES, now: datetime = START, plan: Programme | None = None):
        self.rules, self.now = rules, now
        self.case = Case(
            id=GROUP, group_no="G-1", agent_ref="A-1", season=1447, state=NEW,
            agent=Agent(id="EA-1", country="IDN", mission="JKT", company="UO-1"), heads=heads,
            programme=plan or programme(heads), opened_at=now,
            marks={"bill_no": "1234567890123", "voucher_id": VOUCHER},
        )  # fmt: skip
        self.history: list[hub.journey.Transition] = []
        self.events: list[Event] = []
        self.kept: list[Event] = []

    def tell(
        self,
        name: str,
        who: int | None = None,
        *,
        line: str | None = None,
        at: datetime | None = None,
        facts: dict[str, Any] | None = None,
        **data: Any,
    ) -> Result:
        """Tell an event that happened *at* (now, if not said) about member *who* (counted from 1) or the group."""
        request = None if who is None else UUID(int=100 + who)
        event = Event(
            name=name, group=GROUP, request=request, line=line, happened=at or self.now, data=data, facts=facts or {}
        )
        return self.take(event)

    def take(self, event: Event) -> Result:
        self.case.focus = event.request if event.request in self.case.members else None
        # Nobody tells what has not happened yet: now is at least the time of what is told.
        result = apply(self.case, event, self.rules, max(self.now, event.happened))
        if isinstance(result, Applied):
            evolve(self.case, result)
            self.history += result.transitions
            self.events += result.events
            self._learn(event)
            kept, self.kept = self.kept, []
            for early in kept:
                self.take(early)
        elif isinstance(result, TooEarly):
            self.kept.append(event)
        return result

    def _learn(self, event: Event) -> None:
        if event.facts and event.request is not None:
            known = self.case.pilgrims[event.request]
            known.reference_no = event.facts.get("reference_no", known.reference_no)
            known.border_no = event.facts.get("border_no", known.border_no)
            if "visa_no" in event.facts:
                known.visa = Visa(number=event.facts["visa_no"], issued_on=event.happened.date(), stay_days=90)

    # -- short ways ----------------------------------------------------------------------------------------------------

    def member(self, who: int = 1) -> Member:
        return self.case.members[UUID(int=100 + who)]

    def state(self, who: int = 1) -> str:
        return self.member(who).state

    def add(self, who: int, **details: Any) -> None:
        """Put a pilgrim into the case, as a store does before it tells of the draft."""
        companion = UUID(int=100 + details.get("companion", -100))
        self.case.pilgrims[UUID(int=100 + who)] = pilgrim(who, **details)
        self.case.members[UUID(int=100 + who)] = Member(
            id=UUID(int=100 + who), request_no=f"{who:013}", state=NEW,
            companion=companion if companion in self.case.members else None,
        )  # fmt: skip

    def done(self, name: str, who: int | None = None, **more: Any) -> Applied:
        """Tell an event that has to be applied."""
        result = self.tell(name, who, **more)
        assert isinstance(result, Applied), (name, who, result)
        return result

    def conflict(self, name: str, who: int | None = None, **more: Any) -> str:
        """Tell an event that has to be refused, changing nothing; its code."""
        result = self.tell(name, who, **more)
        assert isinstance(result, Conflict), (name, who, result)
        return result.code

    def tick(self, until: datetime) -> None:
        """Let time pass; the clock speaks wherever a due time has come."""
        self.now = until
        while True:
            dues = [m.due for m in self.case.members.values()] + [self.case.due]
            dues.append(self.case.voucher.due if self.case.voucher else None)
            if not any(due is not None and due <= until for due in dues):
                return
            self.done("clock.due")

    def open(self, *details: dict[str, Any]) -> "World":
        """Open the group and draft its members, one for each of *details*."""
        self.done("group.opened")
        for who, more in enumerate(details or ({},) * self.case.heads, 1):
            self.add(who, **more)
            self.done("request.drafted", who)
        return self

    def to(self, stage: str, *details: dict[str, Any]) -> "World":
        """Bring every member to *stage*."""
        self.open(*details)
        stages = ("DRAFT", "SUBMITTED", "ACCEPTED", "INVOICED", "SENT_FOR_REFERENCE", "REFERENCE_ISSUED", "AT_MISSION",
                  "VISA_ISSUED", "EXPECTED", "INSIDE", "EXITED")  # fmt: skip
        for step in stages[1 : stages.index(stage) + 1]:
            self._step(step)
        return self

    def _step(self, stage: str) -> None:
        everyone = range(1, len(self.case.members) + 1)
        self.now += HOUR
        if stage == "INVOICED":
            for line in ("H1", "H2"):
                self.done("housing.confirmed", line=line, brn=f"B{line}")
            for line in ("T1", "T2"):
                self.done("transport.confirmed", line=line, brn=f"B{line}")
        elif stage == "SENT_FOR_REFERENCE":
            self.pay()
        else:
            for who in everyone:
                self._move(stage, who)

    def _move(self, stage: str, who: int) -> None:
        if stage == "SUBMITTED":
            self.done("request.submitted", who)
        elif stage == "ACCEPTED":
            self.done("request.accepted", who)
        elif stage == "REFERENCE_ISSUED":
            self.done("reference.issued", who, facts={"reference_no": f"{who:010}"})
        elif stage == "AT_MISSION":
            self.done("mission.received", who)
        elif stage == "VISA_ISSUED":
            self.done("visa.issued", who, facts={"visa_no": f"V{who}"})
        elif stage == "EXPECTED":
            self.done("pilgrim.expected", who, port="JED", carrier="SV123")
        elif stage == "INSIDE":
            self.done("pilgrim.entered", who, at=arrival(), port="JED", facts={"border_no": f"{who:010}"})
            self.now = max(self.now, arrival())
        elif stage == "EXITED":
            self.done("pilgrim.exited", who, at=arrival() + 7 * DAY, port="MED")
            self.now = max(self.now, arrival() + 7 * DAY)

    def pay(self, amount: Decimal | None = None, ref: str = "P1", **more: Any) -> Result:
        assert self.case.voucher is not None
        left = self.case.voucher.amount - self.case.voucher.paid
        more = {"currency": "SAR", **more}
        return self.tell("payment.received", bank_ref=ref, amount=left if amount is None else amount, **more)

    def told(self, name: str) -> list[Event]:
        """The further events of that name so far."""
        return [event for event in self.events if event.name == name]


def arrival() -> datetime:
    return datetime(ARRIVES.year, ARRIVES.month, ARRIVES.day, 10, tzinfo=UTC)
