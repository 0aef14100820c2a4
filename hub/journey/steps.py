"""What one event does to a case while it is worked out: the steps so far, and the case as they leave it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from hub.canonical.case import Booking, Case, Member, Voucher
from hub.canonical.entities import VoucherLine
from hub.canonical.events import Event
from hub.journey.graph import CORRECTIONS, ENDS, LEGAL, NEW
from hub.journey.results import NOTHING, Machine, Transition
from hub.journey.rules import Rules, Season

#: The Kingdom's days begin and end by this clock; it has no summer time.
RIYADH = timezone(timedelta(hours=3))
_DAY = timedelta(days=1)

# What a transition's marks may hold that is an attribute of the object itself.
_VOUCHER_FIELDS = frozenset({"amount", "paid", "payments", "expires_at"})


def day_of(moment: datetime) -> date:
    """The day in the Kingdom on which *moment* falls."""
    return moment.astimezone(RIYADH).date()


def start_of(day: date) -> datetime:
    """The first moment of *day* in the Kingdom."""
    return datetime(day.year, day.month, day.day, tzinfo=RIYADH)


def end_of(day: date) -> datetime:
    """The moment at which *day* is over in the Kingdom."""
    return start_of(day) + _DAY


def as_date(value: Any) -> date | None:
    """A date of an event's data, which may have been kept as text."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def as_amount(value: Any) -> Decimal:
    """An amount of an event's data, which may have been kept as text."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


class Steps:
    """Collects transitions and further events; answers how the case stands after them.  The case is not touched."""

    __slots__ = (
        "_lines", "_states", "case", "ended", "event", "events", "group", "group_due", "now", "rules", "transitions",
        "voucher",
    )  # fmt: skip

    def __init__(self, case: Case, event: Event, rules: Rules, now: datetime) -> None:
        self.case, self.event, self.rules, self.now = case, event, rules, now
        self.transitions: list[Transition] = []
        self.events: list[Event] = []
        self.group, self.group_due = case.state, case.due
        self.voucher = case.voucher
        self.ended = False
        self._states: dict[UUID, str] = {}
        self._lines: dict[str, str] = {}

    # -- how the case stands -------------------------------------------------------------------------------------------

    def season(self, moment: datetime) -> Season:
        """The rules in force at *moment* for the case's season."""
        return self.rules.at(moment, self.case.season)

    def state(self, member: Member) -> str:
        return self._states.get(member.id, member.state)

    def booking(self, line: str) -> str:
        """How the booking of programme line *line* stands."""
        known = self.case.bookings.get(line)
        return self._lines.get(line) or (known.state if known else "open")

    # -- steps ---------------------------------------------------------------------------------------------------------

    def request(
        self,
        member: Member,
        to: str,
        event: str | None = None,
        *,
        happened: datetime | None = None,
        reason: str | None = None,
        due: datetime | None = None,
        marks: Mapping[str, Any] = NOTHING,
    ) -> None:
        """Move *member* on; a step into an end says when and why, one out of an end takes that back."""
        was = self.state(member)
        happened = happened or self.event.happened
        if to in ENDS and was != to:
            marks = {**marks, "ended_at": happened, "end_reason": reason or to.lower()}
            self.ended = True
        elif was in ENDS and was != to:
            marks = {**marks, "ended_at": None, "end_reason": None}
        self._step("request", member.id, was, to, event, happened, reason, due, marks)
        self._states[member.id] = to

    def note(self, member: Member, marks: Mapping[str, Any], event: str | None = None) -> None:
        """Change attributes of *member*, whose state and due time stay."""
        state = self.state(member)
        self._step("request", member.id, state, state, event, self.event.happened, None, member.due, marks)

    def move_group(
        self,
        to: str,
        event: str | None = None,
        *,
        happened: datetime | None = None,
        reason: str | None = None,
        due: datetime | None = None,
        marks: Mapping[str, Any] = NOTHING,
    ) -> None:
        self._step("group", self.case.id, self.group, to, event, happened or self.event.happened, reason, due, marks)
        self.group, self.group_due = to, due
        for line, change in marks.get("bookings", NOTHING).items():
            self._lines[line] = change["state"]

    def note_group(self, event: str | None = None, *, happened: datetime | None = None, **marks: Any) -> None:
        """Change attributes of the group, whose state and due time stay."""
        self.move_group(self.group, event, happened=happened, due=self.group_due, marks=marks)

    def bill(
        self,
        to: str,
        event: str | None = None,
        *,
        happened: datetime | None = None,
        reason: str | None = None,
        due: datetime | None = None,
        **marks: Any,
    ) -> None:
        """Move the voucher on, from now on seen with *marks*."""
        voucher = self.voucher
        assert voucher is not None
        self._step("voucher", voucher.id, voucher.state, to, event, happened or self.event.happened, reason, due, marks)
        self.voucher = revised(voucher, to, due, marks)

    def issue(self, voucher: Voucher) -> None:
        """A voucher comes into being: the group gets it, and it takes its first step."""
        self.note_group("voucher.issued", happened=self.now, voucher=voucher)
        self._step("voucher", voucher.id, NEW, voucher.state, "voucher.issued", self.now, None, voucher.due, NOTHING)
        self.voucher = voucher

    def emit(
        self,
        name: str,
        request: UUID | None = None,
        *,
        line: str | None = None,
        happened: datetime | None = None,
        **data: Any,
    ) -> None:
        """A further event, to be routed."""
        self.events.append(
            Event(name=name, group=self.case.id, request=request, line=line, happened=happened or self.now, data=data)
        )

    def _step(
        self,
        machine: Machine,
        id: UUID,
        was: str,
        to: str,
        event: str | None,
        happened: datetime,
        reason: str | None,
        due: datetime | None,
        marks: Mapping[str, Any],
    ) -> None:
        edge = (machine, was, to, event or self.event.name)
        if edge not in LEGAL:
            raise AssertionError(f"no such step: {edge}")
        self.transitions.append(
            Transition(
                machine=machine, id=id, was=was, now=to, event=edge[3], happened=happened, reason=reason, due=due,
                marks=marks, corrects=edge in CORRECTIONS,
            )
        )  # fmt: skip


def revised(voucher: Voucher, state: str, due: datetime | None, marks: Mapping[str, Any]) -> Voucher:
    """*voucher* after a transition to *state* with *marks*."""
    fields: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in marks.items():
        if name == "lines":
            fields["lines"] = [VoucherLine(kind=kind, amount=amount) for kind, amount in value.items()]
        else:
            (fields if name in _VOUCHER_FIELDS else rest)[name] = value
    return replace(voucher, state=state, due=due, marks=merged(voucher.marks, rest), **fields)


def merged(marks: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """*marks* with *more* put in; what is None in *more* is taken away."""
    return {name: value for name, value in {**marks, **more}.items() if value is not None}


def booked(line: str, change: Mapping[str, Any], known: Booking | None) -> Booking:
    """The booking of *line* after *change*."""
    return Booking(line=line, state=change["state"], brn=change.get("brn") or (known.brn if known else None))
