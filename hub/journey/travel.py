"""The pilgrim on the way: announced, at the border, inside, and out again, by the time at which things happened.

What the clock concludes here is provisional: a border file may be late.  So every movement is judged by its own
time against the last day allowed, never by whether the clock has spoken yet; the order of arrival makes no difference.
"""

from datetime import datetime, timedelta
from typing import Any

from hub.canonical.case import Member
from hub.journey.graph import ENDS, INSIDE
from hub.journey.results import AlreadyTrue, Conflict, Refusal
from hub.journey.steps import Steps, day_of, end_of, start_of


def expected(steps: Steps, member: Member) -> Refusal | None:
    happened, missed = steps.event.happened, member.marks.get("no_show_at")
    if missed is not None and happened <= missed:
        return AlreadyTrue()
    marks = {"expected_at": happened, **_told(steps, "port", "carrier")}
    _move(steps, member, "EXPECTED", marks)
    return None


def no_show(steps: Steps, member: Member) -> Refusal | None:
    marks = {"no_show_at": steps.event.happened, "expected_at": None}
    _move(steps, member, "VISA_ISSUED", marks)
    return None


def _move(steps: Steps, member: Member, to: str, marks: dict[str, Any]) -> None:
    """On to *to* within the visa's time; a request that is to be cancelled, or has lapsed, only notes it."""
    state = steps.state(member)
    if state == "CANCEL_REQUESTED":
        steps.note(member, {**marks, "resume": to})
    elif state == "VISA_LAPSED":
        steps.note(member, marks)
    else:
        steps.request(member, to, due=member.due, marks=marks)


def entered(steps: Steps, member: Member) -> Refusal | None:
    happened, marks = steps.event.happened, member.marks
    if happened > end_of(marks["enter_by"]):
        return Conflict("entered_after_lapse", "the visa had lapsed")
    season = steps.season(happened)
    stay_until = min(day_of(happened) + timedelta(days=marks["stay_days"]), season.last_exit)
    warn = start_of(stay_until - timedelta(days=season.leaving_soon_days))
    steps.request(
        member, "INSIDE", due=warn,
        marks={
            "entered_at": happened, "stay_until": stay_until, "place": "road", "place_at": happened,
            "cancel_requested_at": None, "resume": None, **_told(steps, "port"),
        },
    )  # fmt: skip
    return None


def same_entry(steps: Steps, member: Member) -> Refusal:
    known, told = steps.case.pilgrims[member.id].border_no, steps.event.facts.get("border_no")
    if known is None or told is None or known == told:
        return AlreadyTrue()
    return Conflict("border_no_differs", "the entry was told with another border number")


def turned_back(steps: Steps, member: Member) -> Refusal | None:
    happened, state = steps.event.happened, steps.state(member)
    enter_by = member.marks["enter_by"]
    if happened > end_of(enter_by) and state != "CANCEL_REQUESTED":
        if state == "VISA_LAPSED":
            return AlreadyTrue()
        steps.request(member, "VISA_LAPSED", "clock.due", happened=end_of(enter_by), reason="not_entered")
        return None
    reason = steps.event.data.get("reason")
    marks = {"reason": reason, "turned_back_at": happened, **_told(steps, "port")}
    steps.request(member, "ENTRY_REFUSED", reason=reason, marks=marks)
    return None


def stayed(steps: Steps, member: Member) -> Refusal | None:
    """A house tells who moved in or out.  Told late it goes into the history; where the pilgrim is stays as it is."""
    event, state = steps.event, steps.state(member)
    if state in ENDS and member.ended_at is not None and event.happened > member.ended_at:
        return Conflict("stay_after_end", "the pilgrim had left before")
    movement = f"{event.name} {event.data.get('city')} {event.happened.isoformat()}"
    known = member.marks.get("stays", [])
    if movement in known:
        return AlreadyTrue()
    marks: dict[str, Any] = {"stays": [*known, movement]}
    if state in INSIDE and event.happened >= member.marks["place_at"]:
        place = event.data.get("city") if event.name == "pilgrim.checked_in" else "road"
        marks |= {"place": place, "place_at": event.happened}
    steps.note(member, marks)
    return None


def hospitalised(steps: Steps, member: Member) -> Refusal | None:
    if member.marks.get("hospitalised"):
        return AlreadyTrue()
    steps.note(member, {"hospitalised": True})
    return None


def exited(steps: Steps, member: Member) -> Refusal | None:
    happened, marks = steps.event.happened, member.marks
    if happened < marks["entered_at"]:
        return Conflict("exit_before_entry", "the exit was before the entry")
    told: dict[str, Any] = {"exited_at": happened, "stayed_days": (day_of(happened) - day_of(marks["entered_at"])).days}
    if "port" in steps.event.data:
        told["exit_port"] = steps.event.data["port"]
    if happened <= end_of(marks["stay_until"]):
        if steps.state(member) == "REPORTED_ABSENT":
            told["report_withdrawn_at"] = steps.now
        steps.request(member, "EXITED", marks={**told, **_GONE})
    else:
        _overstay(steps, member)
        steps.request(member, "EXITED_LATE", marks={**told, **_GONE})
    return None


def same_exit(steps: Steps, member: Member) -> Refusal:
    if member.marks["exited_at"] == steps.event.happened:
        return AlreadyTrue()
    return Conflict("exit_differs", "the exit was told with another time")


def reported(steps: Steps, member: Member) -> Refusal | None:
    steps.request(
        member, "REPORTED_ABSENT", reason=steps.event.data.get("reason"), marks={"reported_at": steps.event.happened}
    )
    return None


def deported(steps: Steps, member: Member) -> Refusal | None:
    happened = steps.event.happened
    if happened > end_of(member.marks["stay_until"]):
        _overstay(steps, member)
    steps.request(member, "DEPORTED", reason=steps.event.data.get("reason"), marks={"deported_at": happened, **_GONE})
    return None


def deceased(steps: Steps, member: Member) -> Refusal | None:
    steps.request(
        member, "DECEASED", reason=steps.event.data.get("reason"), marks={"deceased_at": steps.event.happened, **_GONE}
    )
    return None


_GONE = {"place": None, "place_at": None, "hospitalised": None}


def _overstay(steps: Steps, member: Member) -> None:
    """The clock would have said so; the movement came first."""
    if steps.state(member) in ("INSIDE", "LEAVING_SOON"):
        ended: datetime = end_of(member.marks["stay_until"])
        steps.request(member, "OVERSTAYED", "clock.due", happened=ended, marks={"overstayed_at": ended})


def _told(steps: Steps, *names: str) -> dict[str, Any]:
    """Of the event's data what it says."""
    return {name: steps.event.data[name] for name in names if steps.event.data.get(name) is not None}
