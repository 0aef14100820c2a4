"""Cases one event short of the ministry, and the decisions that take them there.

A case is driven by the journey itself, in memory, through everything that comes before (opened, filed, accepted, paid,
asked for a reference, and told that data are wanted), then written as often as is wanted under other names.  So each
stands in its rows as the hub would have left it; only the messages and the history of how it came there are missing.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from hub.bench.load import post
from hub.canonical.case import Agent, Case, Member, Pilgrim
from hub.canonical.entities import (
    ArabicName,
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
)
from hub.canonical.events import Event
from hub.canonical.ids import bill_no, new_id, request_no
from hub.canonical.mrz import td3
from hub.journey import Applied, Rules, apply, evolve
from hub.store.cases import Cases, Changes
from hub.store.database import Database, Transaction

#: Business time at which every measurement begins; whoever travels does so two months later.
START = datetime(2026, 12, 1, 9, tzinfo=UTC)
ARRIVES = date(2027, 2, 1)
#: Cases that share a commit while they are written.
TOGETHER = 200
_GIVEN = (("AHMAD", "أحمد"), ("FATIMA ZAHRA", "فاطمة الزهراء"), ("YUSUF", "يوسف"), ("AISHA", "عائشة"), ("OMAR", "عمر"))
_FAMILY = (("BENALI", "بن علي"), ("RAHMAN", "رحمن"), ("KHAN", "خان"), ("AL HASSAN", "الحسن"), ("OTHMAN", "عثمان"))


def pilgrim(number: int, *, corrected: bool) -> Pilgrim:
    """Invented pilgrim *number*: as the ministry would not take it, with another person's number and an empty place of
    birth, and as it is *corrected*."""
    (given, given_ar), (family, family_ar) = _GIVEN[number % 5], _FAMILY[number // 5 % 5]
    person = Person(
        name=Name(given=given, father="IBRAHIM", grandfather="MUSA", family=family),
        name_ar=ArabicName(given=given_ar, father="إبراهيم", grandfather="موسى", family=family_ar),
        sex="female" if number % 5 in (1, 3) else "male",
        birth_date=date(1960, 1, 1) + timedelta(days=number % 14_000),
        birth_place="CASABLANCA" if corrected else None,
        nationality="MAR",
        residence="MAR",
        marital_status="married",
        profession="teacher",
        mobile="+212000000001",
        email="pilgrim@agent.example",
    )
    document = Document(
        number=f"{'A' if corrected else 'Z'}{number:08d}",
        issuing_state="MAR",
        issued_on=date(2022, 3, 14),
        expires_on=date(2032, 3, 13),
        issue_place="CASABLANCA",
    )
    document.mrz = td3(document, person)
    return Pilgrim(person=person, document=document)


def decision(number: int) -> bytes:
    """The body of the decision that corrects pilgrim *number*: twenty-five JSON fields."""
    return json.dumps(
        {"outcome": "correct", "correction": _correction(pilgrim(number, corrected=True))}, ensure_ascii=False
    ).encode()


def _correction(one: Pilgrim) -> dict[str, Any]:
    person, document = one.person, one.document
    assert person.name_ar is not None
    return {
        "person": {
            "name": _parts(person.name), "name_ar": _parts(person.name_ar), "sex": person.sex,
            "birth_date": person.birth_date.isoformat(), "birth_place": person.birth_place,
            "nationality": person.nationality, "residence": person.residence,
            "marital_status": person.marital_status, "profession": person.profession, "mobile": person.mobile,
            "email": person.email,
        },
        "document": {
            "kind": document.kind, "number": document.number, "issuing_state": document.issuing_state,
            "issued_on": document.issued_on.isoformat(), "expires_on": document.expires_on.isoformat(),
            "issue_place": document.issue_place, "mrz": document.mrz,
        },
    }  # fmt: skip


def _parts(name: Name | ArabicName) -> dict[str, str | None]:
    return {"given": name.given, "father": name.father, "grandfather": name.grandfather, "family": name.family}


def requests(
    made: Sequence[tuple[UUID, str]], keys: Mapping[str, str], *, wait: bool, first: int = 0
) -> Iterator[bytes]:
    """The HTTP request that decides each of *made* (request and agent, in the order of their numbers from *first*).

    *keys* are the agents' API keys.  With *wait* the answer is waited for until it holds the reference number.
    """
    prefer = [("Prefer", "wait=10")] if wait else []
    for number, (request, agent) in enumerate(made, first):
        yield post(f"/v1/requests/{request}/decisions", decision(number), [
            ("Authorization", f"Bearer {keys[agent]}"), ("Content-Type", "application/json"),
            ("Idempotency-Key", request.hex), *prefer,
        ])  # fmt: skip


class Maker:
    """Makes groups of one, of *agents* in turn: in which the pilgrim's data are wanted or, where it is *due*, whose
    reference number is to be asked for.  *also* writes what belongs to a case in the same commit."""

    def __init__(
        self, rules: Rules, agents: list[Agent], *, due: bool = False,
        also: Callable[[Transaction, Case], None] = lambda tx, case: None,
    ) -> None:  # fmt: skip
        self._also = also
        self._models = [_model(rules, agent, due) for agent in agents]

    def write(self, database: Database, cases: Cases, count: int, first: int = 0) -> list[tuple[UUID, str]]:
        """Write cases number *first* and the following *count*; their requests and whose they are, in order."""
        made: list[tuple[UUID, str]] = []
        for start in range(first, first + count, TOGETHER):
            some = [self._case(number) for number in range(start, min(start + TOGETHER, first + count))]
            database.unit(partial(self._put, cases, some))
            made += [(next(iter(case.members)), case.agent.id) for case in some]
        return made

    def _case(self, number: int) -> Case:
        model = self._models[number % len(self._models)]
        (member,), voucher = model.members.values(), model.voucher
        assert voucher is not None
        request = new_id()
        return replace(
            model,
            id=new_id(),
            group_no=f"G{number:09}",
            agent_ref=f"B-{number}",
            # The bank's and the voucher's own numbers are unique in the store.
            voucher=replace(voucher, id=new_id(), bill_no=bill_no(number)),
            members={request: replace(member, id=request, request_no=request_no(number), marks=dict(member.marks))},
            pilgrims={request: pilgrim(number, corrected=member.state != "NEEDS_DATA")},
            bookings=copy.deepcopy(model.bookings),
            marks=dict(model.marks),
        )

    def _put(self, cases: Cases, some: list[Case], tx: Transaction) -> None:
        for case in some:
            ((member, one),) = zip(case.members.values(), case.pilgrims.values(), strict=True)
            bare = replace(case, members={}, pilgrims={})
            kept = cases.create(tx, bare)
            cases.add(tx, kept, member, one)
            cases.save(tx, kept, Changes(group=True, voucher=True, members={member.id}))
            self._also(tx, case)


def _model(rules: Rules, agent: Agent, due: bool) -> Case:
    """A group of one that *agent* has filed, that was accepted and paid, and of which the ministry wants data; or that
    is *due* at the ministry."""
    season = rules.at(datetime(ARRIVES.year, ARRIVES.month, ARRIVES.day, tzinfo=UTC)).number
    request, happened = new_id(), START - timedelta(hours=1)
    case = Case(
        id=new_id(), group_no="", agent_ref="", season=season, state="NEW", agent=agent, heads=1,
        programme=_programme(), opened_at=happened, marks={"voucher_id": new_id(), "bill_no": bill_no(0)},
        members={request: Member(id=request, request_no="", state="NEW")},
        pilgrims={request: pilgrim(0, corrected=False)},
    )  # fmt: skip

    def happen(name: str, about: UUID | None = request, **data: Any) -> None:
        event = Event(name=name, group=case.id, request=about, happened=happened, data=data)
        case.focus = about
        result = apply(case, event, rules, happened)
        if not isinstance(result, Applied):
            raise RuntimeError(f"the journey does not take {name}: {result}")
        evolve(case, result)

    happen("group.opened", None)
    for name in ("request.drafted", "request.submitted", "request.accepted"):
        happen(name)
    assert case.voucher is not None
    amount, currency = case.voucher.amount, case.voucher.currency
    happen("payment.received", None, bank_ref="PAY-1", amount=amount, currency=currency)
    if not due:
        happen("reference.needs_data", reason="birth_place")
    case.focus = None
    return case


def _programme() -> Programme:
    """Six nights for one, everything booked."""
    leaves = ARRIVES + timedelta(days=6)
    turns = ARRIVES + timedelta(days=3)
    price = Decimal("780.00")
    houses = [
        HousingLine(
            line=f"H{number}", hotel_code=hotel, licence=licence, city=city, check_in=come, check_out=go, heads=1,
            rooms=[Room(kind="single", board="breakfast", beds=1, rate=Decimal(260))], price=price, brn=f"BRN-{number}",
        )
        for number, (hotel, licence, city, come, go) in enumerate(
            (("MKH-ZAM-01", "L-10411", "makkah", ARRIVES, turns), ("MDN-RAW-01", "L-20511", "madinah", turns, leaves)),
            1,
        )
    ]  # fmt: skip
    legs = [
        TransportLine(
            line=f"T{number}", company_code="BUS-BADR", vehicle="car", origin=origin, destination=to, departs_on=day,
            seats=4, price=Decimal(35), brn=f"BRN-T{number}",
        )
        for number, (origin, to, day) in enumerate((("jeddah", "makkah", ARRIVES), ("makkah", "madinah", turns)), 1)
    ]  # fmt: skip
    return Programme(
        arrival=Passage(mode="air", carrier="SV", number="817", port="JED", on=ARRIVES, ticket="0650000000001"),
        departure=Passage(mode="air", carrier="SV", number="818", port="MED", on=leaves, ticket="0650000000002"),
        housing=houses,
        transport=legs,
        insurance=Insurance(
            policy="UMR-1", insurer="POOL", starts_on=ARRIVES, ends_on=ARRIVES + timedelta(days=90),
            price=Decimal("63.25"),
        ),
        services=[Service(kind="reception", code="REC-01", price=Decimal("25.00"))],
    )  # fmt: skip
