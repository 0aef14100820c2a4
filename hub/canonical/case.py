"""The case: all that a guard may read, and all that a message may be projected from.

One group with its agent's standing, programme, bookings, voucher and members' states; and the request in
focus, opened, when an event is about one pilgrim.  The store builds a case inside a unit of work, the
journey decides on it and ``journey.evolve`` moves it on; nothing else changes it.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from hub.canonical.entities import Companion, Document, Person, Programme, Visa, VoucherLine


@dataclass(slots=True, kw_only=True)
class Agent:
    """An agent's standing.  Suspension stops new requests only, and may have an end.

    ``test`` says that the case was filed to try things out: simulated bodies act on it, and no others.
    """

    id: str
    country: str
    mission: str
    company: str
    agreement: bool = True
    suspended_from: datetime | None = None
    suspended_until: datetime | None = None
    quota_left: int | None = None
    test: bool = False


@dataclass(slots=True, kw_only=True)
class Booking:
    """Where one programme line (``H1``, ``T2``) stands: requested, confirmed (with its BRN), refused, and, for a leg,
    started or ended."""

    line: str
    state: str = "open"
    brn: str | None = None


@dataclass(slots=True, kw_only=True)
class Voucher:
    """The group's invoice.  Amounts are decimals in ``currency``; ``paid`` sums what the banks took less reversals.

    ``payments`` maps a bank reference to its amount, so that a notice told twice counts once.
    """

    id: UUID
    bill_no: str
    state: str
    currency: str
    amount: Decimal
    paid: Decimal = Decimal(0)
    lines: list[VoucherLine] = field(default_factory=list)
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    due: datetime | None = None
    payments: dict[str, Decimal] = field(default_factory=dict)
    marks: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Member:
    """One pilgrim's request as the others of the group see it: its state and its dates, nothing that identifies.

    ``marks`` holds plain values that later guards need, by name: moments and dates (``submitted_at``, ``paid_at``,
    ``reference_at``, ``visa_issued_on``, ``enter_by``, ``entered_at``, ``stay_until``, ``exited_at`` …), where the
    pilgrim is (``place``), ``hospitalised``, ``attempt`` (counts corrections, from 1), ``reason`` of the last refusal.
    """

    id: UUID
    request_no: str
    state: str
    companion: UUID | None = None
    minor: bool = False
    due: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None
    marks: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Pilgrim:
    """The opened, personal part of a request: only units that need it have it."""

    person: Person
    document: Document
    companion: Companion | None = None
    reference_no: str | None = None
    visa: Visa | None = None
    border_no: str | None = None


@dataclass(slots=True, kw_only=True)
class Case:
    """One group and, in ``focus``, the request that the event at hand is about."""

    id: UUID
    group_no: str
    agent_ref: str
    season: int
    state: str
    agent: Agent
    heads: int
    programme: Programme
    opened_at: datetime
    due: datetime | None = None
    bookings: dict[str, Booking] = field(default_factory=dict)
    voucher: Voucher | None = None
    members: dict[UUID, Member] = field(default_factory=dict)
    pilgrims: dict[UUID, Pilgrim] = field(default_factory=dict)
    focus: UUID | None = None
    marks: dict[str, Any] = field(default_factory=dict)

    @property
    def arrives_on(self) -> date:
        return self.programme.arrival.on

    @property
    def member(self) -> Member | None:
        """The request in focus."""
        return None if self.focus is None else self.members[self.focus]

    @property
    def pilgrim(self) -> Pilgrim | None:
        """The personal part of the request in focus, when it was opened."""
        return None if self.focus is None else self.pilgrims.get(self.focus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What one line of an outgoing message is about.

    ``kind`` is request, group, voucher, booking or trip; ``id`` the request's or voucher's id or the programme line
    (``H1``); ``key`` our key to the partner, the same at every resend.
    """

    kind: str
    id: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What the exchange, not the case, gives to a message of several lines: its number in the partner's sequence."""

    partner: str
    sequence: int
    at: datetime
