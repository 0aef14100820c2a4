"""The group: its programme and bookings, and what follows for it when its requests or its voucher moved."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from hub.canonical.case import Member
from hub.canonical.entities import HousingLine, TransportLine
from hub.canonical.errors import HubError
from hub.journey import voucher
from hub.journey.graph import ENDS, NEW
from hub.journey.programme import check_programme
from hub.journey.results import AlreadyTrue, Conflict, Fault, Refusal, TooEarly
from hub.journey.steps import Steps, day_of, end_of, start_of

# A dependant in one of these loses its place with its companion; one that holds a visa already keeps it.
_DEPENDENT = frozenset({
    "SUBMITTED", "RETURNED", "ACCEPTED", "SENT_FOR_REFERENCE", "NEEDS_DATA", "REFERENCE_ISSUED", "AT_MISSION",
})  # fmt: skip
# Ends of a paid request that leave something to give back.
_REFUNDED = frozenset({"CANCELLED", "REFERENCE_REFUSED", "REFERENCE_LAPSED", "VISA_REFUSED"})


def opened(steps: Steps) -> Refusal | None:
    """The group begins, with a programme that lacks nothing and lies ahead, in the season that it is filed for.  A line
    that came with its BRN is confirmed."""
    case = steps.case
    if case.state != NEW:
        return AlreadyTrue()
    missing = [
        *check_programme(case.programme, case.heads, steps.season(steps.event.happened)),
        *((code, None) for code in _arrival(steps)),
    ]
    if missing:
        faults = tuple(Fault(code, {} if line is None else {"line": line}) for code, line in missing)
        return Conflict(faults[0].code, "the programme is not complete", faults)
    lines: list[HousingLine | TransportLine] = [*case.programme.housing, *case.programme.transport]
    bookings = {line.line: {"state": "confirmed" if line.brn else "open", "brn": line.brn} for line in lines}
    # A group that is not ready when it should arrive never will be.
    steps.move_group("OPEN", due=end_of(case.arrives_on), marks={"bookings": bookings})
    return None


def _arrival(steps: Steps) -> Iterator[str]:
    """What stands against the day of arrival, in codes of the catalogue."""
    day = steps.case.arrives_on
    if end_of(day) <= steps.event.happened:
        yield "arrival_past"
    try:
        falls_in = steps.rules.at(start_of(day)).number
    except HubError as error:
        yield error.code
    else:
        # The season's last days bind every visa, so its number is not for the agent to choose.
        if falls_in != steps.case.season:
            yield "season_wrong"


# -- bookings ----------------------------------------------------------------------------------------------------------


def confirmed(steps: Steps) -> Refusal | None:
    line, brn = _line(steps), steps.event.data.get("brn")
    if isinstance(line, Conflict):
        return line
    known, state = steps.case.bookings.get(line), steps.booking(line)
    if state in ("confirmed", "started", "ended"):
        if known is None or brn is None or known.brn == brn:
            return AlreadyTrue()
        return Conflict("brn_differs", "the line has another BRN")
    if state == "refused":
        return Conflict("booking_refused", "the line was refused before")
    if steps.group == "CANCELLED":
        return Conflict("group_cancelled", "the booking is for a group that does not travel")
    steps.note_group(bookings={line: {"state": "confirmed", "brn": brn}})
    return None


def refused(steps: Steps) -> Refusal | None:
    line = _line(steps)
    if isinstance(line, Conflict):
        return line
    state = steps.booking(line)
    if state == "refused" or steps.group == "CANCELLED":
        return AlreadyTrue()
    if state in ("confirmed", "started", "ended"):
        return Conflict("booking_confirmed", "the line was confirmed before")
    # It stands here until the agent gives the requests up or the day of arrival passes.
    kind = steps.event.name.replace(".", "_")
    steps.note_group(blocked=kind, bookings={line: {"state": "refused", "reason": steps.event.data.get("reason")}})
    return None


def travelled(steps: Steps) -> Refusal | None:
    """A vehicle has left or arrived.  Where the pilgrims are, houses and borders tell."""
    line, to = _line(steps), steps.event.name.partition(".")[2]
    if isinstance(line, Conflict):
        return line
    state = steps.booking(line)
    if state in ("ended", to):
        return AlreadyTrue()
    if state == "refused" or steps.group == "CANCELLED":
        return Conflict("booking_refused", "the leg was never to be driven")
    if state == "open" or state == "requested" or steps.group != "PROGRAMME_READY":
        return TooEarly("fact_too_early")
    steps.note_group(bookings={line: {"state": to}})
    return None


def _line(steps: Steps) -> str | Conflict:
    line, programme = steps.event.line, steps.case.programme
    housing = steps.event.name.startswith("housing")
    lines = {h.line for h in programme.housing} if housing else {t.line for t in programme.transport}
    if line is None or line not in lines:
        return Conflict("unknown_line", "the programme has no such line")
    return line


# -- what follows ------------------------------------------------------------------------------------------------------


def follow(steps: Steps) -> None:
    """Whatever the steps so far mean for the others: dependants, bookings, voucher, refunds, the group's end."""
    if steps.ended:
        _orphans(steps)
        _refunds(steps)
    if steps.group == "OPEN":
        _arrange(steps)
    if steps.ended:
        _dwindle(steps)
    if steps.ended or steps.voucher is not steps.case.voucher:
        _close(steps)
    elif steps.case.marks.get("closed_on") and any(t.corrects for t in steps.transitions):
        steps.note_group(closed_on=None)


def lapse(steps: Steps) -> None:
    """The day of arrival is over and the group is not ready: nobody travels."""
    happened = steps.case.due
    for member in list(_live(steps)):
        steps.request(member, "CANCELLED", happened=happened, reason="group_lapsed")
    _cancel(steps)


def _live(steps: Steps) -> Iterator[Member]:
    return (member for member in steps.case.members.values() if steps.state(member) not in ENDS)


def _all_ended(steps: Steps) -> bool:
    return next(_live(steps), None) is None


def _orphans(steps: Steps) -> None:
    members = steps.case.members
    for member in members.values():
        if not member.minor or member.companion not in members or steps.state(members[member.companion]) not in ENDS:
            continue
        if (state := steps.state(member)) in _DEPENDENT:
            until = steps.now + timedelta(days=steps.season(steps.now).companion_days)
            steps.request(member, "WAITING_COMPANION", "request.companion_lost", due=until, marks={"resume": state})
            steps.emit("request.companion_lost", member.id)


def _refunds(steps: Steps) -> None:
    if steps.voucher is None or steps.voucher.state != "PAID":
        return
    members = steps.case.members
    for step in list(steps.transitions):
        if step.machine != "request" or step.now not in _REFUNDED or step.was == step.now:
            continue
        marks = {**members[step.id].marks, **step.marks}
        if "paid_at" in marks:
            stage = "visa" if "visa_issued_on" in marks else "sent" if "sent_at" in marks else "paid"
            voucher.give_back(steps, step.id, stage)


def _arrange(steps: Steps) -> None:
    """Book what is not booked and make the voucher, once every one of the heads is accepted or ended."""
    case, accepted = steps.case, 0
    if len(case.members) < case.heads:
        return
    for member in case.members.values():
        state = steps.state(member)
        if state == "ACCEPTED":
            accepted += 1
        elif state not in ENDS:
            return
    if not accepted:
        return
    lines = [house.line for house in case.programme.housing] + [leg.line for leg in case.programme.transport]
    wanted = [line for line in lines if steps.booking(line) == "open"]
    if wanted:
        _book(steps, wanted)
    if all(steps.booking(line) == "confirmed" for line in lines):
        steps.move_group("PROGRAMME_READY", "programme.ready", happened=steps.now)
        steps.emit("programme.ready")
        voucher.issue(steps)


def _book(steps: Steps, lines: list[str]) -> None:
    names = ["housing.requested" if line.startswith("H") else "transport.requested" for line in lines]
    bookings: dict[str, Any] = {line: {"state": "requested"} for line in lines}
    steps.note_group(names[0], happened=steps.now, bookings=bookings)
    for name, line in zip(names, lines, strict=True):
        steps.emit(name, line=line)


def _dwindle(steps: Steps) -> None:
    """Somebody ended before the voucher was paid: it covers fewer, or nobody."""
    bill = steps.voucher
    if bill is not None and bill.state == "PAID":
        return
    if steps.group in ("OPEN", "PROGRAMME_READY") and _all_ended(steps) and len(steps.case.members) >= steps.case.heads:
        _cancel(steps)
    elif bill is not None and steps.case.voucher is not None and bill.state in voucher.UNPAID:
        voucher.amend(steps)


def _cancel(steps: Steps) -> None:
    if steps.voucher is not None:
        voucher.withdraw(steps)
    steps.move_group("CANCELLED", "group.cancelled", happened=steps.now)
    steps.emit("group.cancelled")


def _close(steps: Steps) -> None:
    """Every request has ended and the money is settled: the day is noted on which the group was closed."""
    done = steps.group == "CANCELLED" or (steps.voucher is not None and _all_ended(steps))
    if done and not steps.case.marks.get("closed_on") and voucher.money_settled(steps.voucher):
        steps.note_group("group.closed", happened=steps.now, closed_on=day_of(steps.now))
        steps.emit("group.closed")
