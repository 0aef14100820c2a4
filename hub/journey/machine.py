"""``apply`` and ``evolve``: what an event means for a case, and the case moved on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hub.canonical.case import Case, Member
from hub.canonical.events import Event
from hub.journey import group, request, travel, voucher
from hub.journey.graph import AHEAD, ANSWERS, ENDS, HELD, INSIDE, NEW
from hub.journey.results import AlreadyTrue, Applied, Conflict, Refusal, Result, TooEarly
from hub.journey.rules import Rules
from hub.journey.steps import Steps, booked, end_of, merged, revised

OfGroup = Callable[[Steps], Refusal | None]
OfRequest = Callable[[Steps, Member], Refusal | None]

_GROUP: Mapping[str, OfGroup] = {
    "group.opened": group.opened,
    "housing.confirmed": group.confirmed,
    "housing.refused": group.refused,
    "transport.confirmed": group.confirmed,
    "transport.refused": group.refused,
    "transport.started": group.travelled,
    "transport.ended": group.travelled,
    "voucher.billed": voucher.billed,
    "voucher.issued": voucher.reissued,
    "payment.received": voucher.received,
    "payment.reversed": voucher.reversed_,
    "payment.settled": voucher.settled,
    "payment.refunded": voucher.refunded,
}
_REQUEST: Mapping[str, OfRequest] = {
    "request.drafted": request.drafted,
    "request.submitted": request.submitted,
    "request.accepted": request.accepted,
    "request.returned": request.returned,
    "request.refused": request.refused,
    "request.corrected": request.corrected,
    "request.cancelled": request.cancelled,
    "reference.issued": request.reference_issued,
    "reference.refused": request.reference_refused,
    "reference.needs_data": request.reference_needs_data,
    "mission.received": request.mission_received,
    "visa.issued": request.visa_issued,
    "visa.refused": request.visa_refused,
    "pilgrim.expected": travel.expected,
    "pilgrim.no_show": travel.no_show,
    "pilgrim.entered": travel.entered,
    "pilgrim.turned_back": travel.turned_back,
    "pilgrim.checked_in": travel.stayed,
    "pilgrim.checked_out": travel.stayed,
    "pilgrim.exited": travel.exited,
    "pilgrim.deported": travel.deported,
    "pilgrim.reported": travel.reported,
    "pilgrim.hospitalised": travel.hospitalised,
    "pilgrim.deceased": travel.deceased,
}
# A fact whose step was taken before is known by the mark that the step, or a later one, left …
_KNOWN_BY: Mapping[str, tuple[str, ...]] = {
    "request.submitted": ("submitted_at",),
    "request.accepted": ("accepted_at",),
    "reference.issued": ("reference_at",),
    "mission.received": ("mission_at", "visa_issued_on"),
    "visa.issued": ("visa_issued_on",),
    "pilgrim.expected": ("expected_at", "entered_at"),
    "pilgrim.no_show": ("entered_at",),
    "pilgrim.entered": ("entered_at",),
    "pilgrim.exited": ("exited_at",),
    "pilgrim.reported": ("reported_at",),
}
# … and where it carries a value of its own, that is compared.
_COMPARED: Mapping[str, Callable[[Steps, Member], Refusal]] = {
    "reference.issued": request.same_reference,
    "visa.issued": request.same_visa,
    "pilgrim.entered": travel.same_entry,
    "pilgrim.exited": travel.same_exit,
}
# A fact that is what its state says.
_MEANT_BY: Mapping[str, tuple[str, ...]] = {
    "request.returned": ("RETURNED",),
    "request.refused": ("REFUSED_BY_COMPANY",),
    "request.cancelled": ("CANCEL_REQUESTED", "CANCELLED"),
    "reference.refused": ("REFERENCE_REFUSED",),
    "reference.needs_data": ("NEEDS_DATA",),
    "visa.refused": ("VISA_REFUSED",),
    "pilgrim.turned_back": ("ENTRY_REFUSED",),
    "pilgrim.deported": ("DEPORTED",),
    "pilgrim.deceased": ("DECEASED",),
}
# Where the clock leads a request whose due time has come, and why it ends there.
_CLOCK: Mapping[str, tuple[str, str | None]] = {
    "RETURNED": ("CANCELLED", "not_corrected"),
    "NEEDS_DATA": ("CANCELLED", "not_corrected"),
    "WAITING_COMPANION": ("CANCELLED", "companion_not_replaced"),
    "CANCEL_REQUESTED": ("CANCELLED", "cancelled_by_agent"),
    "REFERENCE_ISSUED": ("REFERENCE_LAPSED", "not_printed"),
    "AT_MISSION": ("REFERENCE_LAPSED", "not_printed"),
    "VISA_ISSUED": ("VISA_LAPSED", "not_entered"),
    "EXPECTED": ("VISA_LAPSED", "not_entered"),
    "INSIDE": ("LEAVING_SOON", None),
    "LEAVING_SOON": ("OVERSTAYED", None),
}


#: How far a partner's clock may be ahead of ours, its calendar a day ahead of our own included.
AHEAD_OF_US = timedelta(days=1)


def apply(case: Case, event: Event, rules: Rules, now: datetime) -> Result:
    """What *event* means for *case* at business time *now*.  The case is not changed: :func:`evolve` does that.

    For ``request.submitted`` and ``request.corrected`` the case holds the pilgrim as filed; for an event with
    ``facts`` it holds the pilgrim as known before.
    """
    if event.happened > now + AHEAD_OF_US:
        return Conflict("fact_future", "it is told as having happened, and its time has not come")
    steps = Steps(case, event, rules, now)
    try:
        refusal = _decided(steps, event)
        if refusal is not None:
            return refusal
        group.follow(steps)
    except OverflowError:
        # Dates are told from outside, and a rule's days after the last of them leave the calendar.
        return Conflict("date_impossible", "what follows from a date lies beyond the calendar")
    return Applied(tuple(steps.transitions), tuple(steps.events))


def _decided(steps: Steps, event: Event) -> Refusal | None:
    if event.name in _REQUEST:
        return _of_request(steps, event)
    if event.name in _GROUP:
        return _GROUP[event.name](steps)
    if event.name == "clock.due":
        return _clock(steps, event)
    return Conflict("conclusion_only", "only the journey itself concludes this")


def _of_request(steps: Steps, event: Event) -> Refusal | None:
    member = None if event.request is None else steps.case.members.get(event.request)
    if member is None:
        return Conflict("unknown_request", "the group has no such request")
    name, state = event.name, member.state
    if _known(event, member):
        return _COMPARED[name](steps, member) if name in _COMPARED else AlreadyTrue()
    legal = (state, name) in ANSWERS
    if state in HELD and not name.startswith("request."):
        # A fact is judged by where the request stands for the partners, whatever holds it up here.
        state = member.marks["resume"]
        legal = legal and (state, name) in ANSWERS
    if legal:
        return _REQUEST[name](steps, member)
    if state in _MEANT_BY.get(name, ()):
        return AlreadyTrue()
    if name in AHEAD[state]:
        return TooEarly("fact_too_early")
    if state in ENDS:
        return Conflict("request_ended", "the request had ended")
    if name == "request.cancelled" and state in INSIDE:
        return Conflict("inside_kingdom", "the pilgrim is in the Kingdom")
    return Conflict("fact_contradicts", "what is known of the request stands against it")


def _known(event: Event, member: Member) -> bool:
    """Whether the step for this fact was taken before."""
    if event.name == "request.drafted":
        return member.state != NEW
    marks = member.marks
    if any(mark in marks for mark in _KNOWN_BY.get(event.name, ())) or marks.get("answered") == event.name:
        return True
    missed = marks.get("no_show_at")
    return event.name == "pilgrim.no_show" and missed is not None and event.happened <= missed


def _clock(steps: Steps, event: Event) -> Refusal | None:
    case, now = steps.case, steps.now
    if event.request is not None:
        members = [case.members[event.request]] if event.request in case.members else []
    else:
        members = list(case.members.values())
        if case.voucher is not None and case.voucher.due is not None and case.voucher.due <= now:
            voucher.due(steps)
        elif case.state == "OPEN" and case.due is not None and case.due <= now:
            group.lapse(steps)
    for member in members:
        if member.due is not None and member.due <= now and steps.state(member) in _CLOCK:
            _lapse(steps, member, member.due)
    return None if steps.transitions else AlreadyTrue()


def _lapse(steps: Steps, member: Member, happened: datetime) -> None:
    to, reason = _CLOCK[steps.state(member)]
    due: datetime | None = None
    marks: dict[str, Any] = {}
    if to == "LEAVING_SOON":
        due = end_of(member.marks["stay_until"])
    elif to == "OVERSTAYED":
        marks = {"overstayed_at": happened}
    steps.request(member, to, happened=happened, reason=reason, due=due, marks=marks)


def evolve(case: Case, applied: Applied) -> None:
    """Move *case* on by what :func:`apply` found."""
    for step in applied.transitions:
        marks = step.marks
        if step.machine == "request":
            member = case.members[step.id]
            member.state, member.due = step.now, step.due
            if marks:
                rest = {}
                for name, value in marks.items():
                    if name in ("minor", "ended_at", "end_reason"):
                        setattr(member, name, value)
                    elif name == "agent":
                        case.agent.quota_left = value["quota_left"]
                    else:
                        rest[name] = value
                member.marks = merged(member.marks, rest)
        elif step.machine == "voucher":
            assert case.voucher is not None
            case.voucher = revised(case.voucher, step.now, step.due, marks)
        else:
            case.state, case.due = step.now, step.due
            rest = dict(marks)
            for line, change in rest.pop("bookings", {}).items():
                case.bookings[line] = booked(line, change, case.bookings.get(line))
            if "voucher" in rest:
                case.voucher = replace(rest.pop("voucher"))
            if rest:
                case.marks = merged(case.marks, rest)
