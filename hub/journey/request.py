"""The request: one pilgrim's filing, its decisions, and the answers of ministry and mission."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from hub.canonical.case import Member
from hub.canonical.mrz import MrzError, visa_disagreements
from hub.journey import voucher
from hub.journey.graph import ENDS
from hub.journey.guards import agent_faults, is_minor, person_faults, programme_faults
from hub.journey.results import AlreadyTrue, Conflict, Fault, Refusal
from hub.journey.steps import Steps, as_date, day_of, end_of, start_of

# -- filing and decisions ----------------------------------------------------------------------------------------------


def drafted(steps: Steps, member: Member) -> Refusal | None:
    case = steps.case
    if steps.group != "OPEN" or any(booking.state == "requested" for booking in case.bookings.values()):
        return Conflict("group_closed", "the group takes nobody any more")
    if sum(steps.state(other) not in ENDS for other in case.members.values()) > case.heads:
        return Conflict("group_full", "the group has as many as it was opened for")
    steps.request(member, "DRAFT", marks={"drafted_at": steps.event.happened})
    return None


def submitted(steps: Steps, member: Member) -> Refusal | None:
    case, season = steps.case, steps.season(steps.event.happened)
    faults = [*agent_faults(case.agent, steps.event.happened, season), *programme_faults(case, season)]
    return _file(steps, member, faults)


def corrected(steps: Steps, member: Member) -> Refusal | None:
    """The pilgrim of the case is as corrected.  A correction is no new request: the agent's standing is not asked."""
    return _file(steps, member, [])


def _file(steps: Steps, member: Member, faults: Iterable[Fault]) -> Refusal | None:
    case, event = steps.case, steps.event
    pilgrim, season = case.pilgrims[member.id], steps.season(event.happened)
    found = (*faults, *person_faults(case, member, pilgrim, season))
    if found:
        return Conflict(found[0].code, "the request cannot be filed as it is", found)
    marks: dict[str, Any] = {"minor": is_minor(pilgrim.person, case.arrives_on, season), "reason": None}
    if event.name == "request.submitted":
        if case.agent.quota_left is not None:
            marks["agent"] = {"quota_left": case.agent.quota_left - 1}
        _submit(steps, member, marks, 1)
        return None
    state = steps.state(member)
    attempt = member.marks.get("attempt", 1)
    if state == "DRAFT":
        steps.request(member, "DRAFT", marks=marks)
    elif state == "SUBMITTED":
        _submit(steps, member, marks, attempt)
    elif state == "RETURNED":
        _submit(steps, member, marks, attempt + 1)
    elif state == "NEEDS_DATA" or "paid_at" in member.marks:
        voucher.send(steps, member, "request.corrected", marks)
    elif member.marks["resume"] == "ACCEPTED":
        steps.request(member, "ACCEPTED", marks={**marks, "resume": None})
    else:
        _submit(steps, member, {**marks, "resume": None}, attempt)
    return None


def _submit(steps: Steps, member: Member, marks: Mapping[str, Any], attempt: int) -> None:
    steps.request(member, "SUBMITTED", marks={**marks, "submitted_at": steps.event.happened, "attempt": attempt})


def accepted(steps: Steps, member: Member) -> Refusal | None:
    steps.request(member, "ACCEPTED", marks={"accepted_at": steps.event.happened})
    return None


def returned(steps: Steps, member: Member) -> Refusal | None:
    _wait_for_correction(steps, member, "RETURNED")
    return None


def refused(steps: Steps, member: Member) -> Refusal | None:
    _refuse(steps, member, "REFUSED_BY_COMPANY")
    return None


def cancelled(steps: Steps, member: Member) -> Refusal | None:
    """Before it was sent a request is cancelled at once; after, when nothing that is under way stands against it."""
    if "sent_at" not in member.marks:
        steps.request(member, "CANCELLED", reason=_reason(steps) or "cancelled_by_agent")
        return None
    happened = steps.event.happened
    until = happened + timedelta(days=steps.season(happened).cancel_days)
    marks = {"cancel_requested_at": happened, "resume": member.marks.get("resume", steps.state(member))}
    steps.request(member, "CANCEL_REQUESTED", reason=_reason(steps), due=until, marks=marks)
    return None


# -- the Ministry of Foreign Affairs and the mission -------------------------------------------------------------------


def reference_issued(steps: Steps, member: Member) -> Refusal | None:
    happened, state = steps.event.happened, steps.state(member)
    until = happened + timedelta(days=steps.season(happened).reference_days)
    if state == "CANCEL_REQUESTED":
        _give_up(steps, member, reference_at=happened)
    elif state == "WAITING_COMPANION":
        steps.note(member, {"reference_at": happened, "resume": "REFERENCE_ISSUED"})
    else:
        steps.request(member, "REFERENCE_ISSUED", due=until, marks={"reference_at": happened})
    return None


def same_reference(steps: Steps, member: Member) -> Refusal:
    return _same(steps, "reference_no", "reference_differs", steps.case.pilgrims[member.id].reference_no)


def reference_refused(steps: Steps, member: Member) -> Refusal | None:
    if steps.state(member) == "CANCEL_REQUESTED":
        _give_up(steps, member)
        return None
    _refuse(steps, member, "REFERENCE_REFUSED")
    return None


def reference_needs_data(steps: Steps, member: Member) -> Refusal | None:
    state = steps.state(member)
    if state == "CANCEL_REQUESTED":
        _give_up(steps, member)
        return None
    if state == "WAITING_COMPANION":
        # The new companion has to be told anyway; what else is wanted stands in the reason.
        steps.note(member, {"reason": _reason(steps), "resume": "NEEDS_DATA"})
        return None
    _wait_for_correction(steps, member, "NEEDS_DATA")
    return None


def mission_received(steps: Steps, member: Member) -> Refusal | None:
    marks = {"mission_at": steps.event.happened}
    if steps.state(member) == "REFERENCE_ISSUED":
        steps.request(member, "AT_MISSION", due=member.due, marks=marks)
    else:
        steps.note(member, {**marks, "resume": "AT_MISSION"})
    return None


def visa_issued(steps: Steps, member: Member) -> Refusal | None:
    """The season's rules at the visa's issue say how long it may be used, within what the mission printed."""
    data = steps.event.data
    issued_on = as_date(data.get("issued_on")) or day_of(steps.event.happened)
    season = steps.season(start_of(issued_on))
    printed = as_date(data.get("enter_by"))
    if not _zone_agrees(steps, member, printed):
        return Conflict("visa_mrz_wrong", "the zone printed on the visa is another person's, or wrong")
    limits = [issued_on + timedelta(days=season.enter_within_days), season.last_entry]
    enter_by = min([*limits, printed] if printed else limits)
    marks: dict[str, Any] = {
        "visa_issued_on": issued_on,
        "enter_by": enter_by,
        "stay_days": min(data.get("stay_days") or season.stay_days, season.stay_days),
        "resume": None,
    }
    if steps.state(member) == "CANCEL_REQUESTED":
        _give_up(steps, member, **marks)
    else:
        steps.request(member, "VISA_ISSUED", due=end_of(enter_by), marks=marks)
    return None


def _zone_agrees(steps: Steps, member: Member, printed: date | None) -> bool:
    """Whether the visa's machine readable zone (ICAO 9303-7) is this pilgrim's; what was not told cannot disagree."""
    facts, pilgrim = steps.event.facts, steps.case.pilgrims[member.id]
    zone = facts.get("visa_mrz")
    if zone is None or printed is None:
        return True
    numbers = pilgrim.document.number, facts.get("visa_no", "")
    try:
        return not visa_disagreements(zone, pilgrim.person, numbers, printed)
    except MrzError:
        return False


def same_visa(steps: Steps, member: Member) -> Refusal:
    visa = steps.case.pilgrims[member.id].visa
    return _same(steps, "visa_no", "visa_differs", visa.number if visa else None)


def visa_refused(steps: Steps, member: Member) -> Refusal | None:
    if steps.state(member) == "CANCEL_REQUESTED":
        _give_up(steps, member)
        return None
    _refuse(steps, member, "VISA_REFUSED")
    return None


# -- in common ---------------------------------------------------------------------------------------------------------


def _reason(steps: Steps) -> str | None:
    return steps.event.data.get("reason")


def _same(steps: Steps, fact: str, code: str, known: str | None) -> Refusal:
    """A number told again is the same number, or somebody must look."""
    told = steps.event.facts.get(fact)
    if told is None or known is None or told == known:
        return AlreadyTrue()
    return Conflict(code, "another number was told before")


def _refuse(steps: Steps, member: Member, to: str) -> None:
    reason = _reason(steps)
    steps.request(member, to, reason=reason, marks={"reason": reason})


def _give_up(steps: Steps, member: Member, **marks: Any) -> None:
    steps.request(member, "CANCELLED", reason="cancelled_by_agent", marks={**marks, "answered": steps.event.name})


def _wait_for_correction(steps: Steps, member: Member, to: str) -> None:
    happened: datetime = steps.event.happened
    until = happened + timedelta(days=steps.season(happened).correction_days)
    steps.request(member, to, reason=_reason(steps), due=until, marks={"reason": _reason(steps)})
