"""The three machines as data: every step that is allowed, and what follows from it for a fact out of turn.

A step is legal because it stands here, and for no other reason; ``docs/journey.md`` prints the same table.
"""

from collections.abc import Mapping
from typing import NamedTuple

from hub.journey.results import Machine

NEW = "NEW"
"""The state of a group, voucher or request before its first event.  Never stored."""


class Edge(NamedTuple):
    machine: Machine
    was: str
    now: str
    event: str
    corrects: bool = False


def _edges(machine: Machine, was: str, now: str, event: str, *, corrects: bool = False) -> list[Edge]:
    """Edges from each state of *was* to each of *now*; a ``.`` in *now* stays in the same state."""
    return [
        Edge(machine, state, state if to == "." else to, event, corrects)
        for state in was.split()
        for to in now.split()
    ]  # fmt: skip


_ANY_VOUCHER = "INVOICED PART_PAID PAID INVOICE_EXPIRED CANCELLED REFUND_DUE REFUNDED"

EDGES: tuple[Edge, ...] = (
    # the group: its programme and its bookings
    *_edges("group", "NEW", "OPEN", "group.opened"),
    *_edges("group", "OPEN", ".", "housing.requested"),
    *_edges("group", "OPEN", ".", "transport.requested"),
    *_edges("group", "OPEN", ".", "housing.confirmed"),
    *_edges("group", "OPEN", ".", "housing.refused"),
    *_edges("group", "OPEN", ".", "transport.confirmed"),
    *_edges("group", "OPEN", ".", "transport.refused"),
    *_edges("group", "OPEN", "PROGRAMME_READY", "programme.ready"),
    *_edges("group", "PROGRAMME_READY", ".", "voucher.issued"),
    *_edges("group", "PROGRAMME_READY", ".", "transport.started"),
    *_edges("group", "PROGRAMME_READY", ".", "transport.ended"),
    *_edges("group", "OPEN PROGRAMME_READY", "CANCELLED", "group.cancelled"),
    *_edges("group", "PROGRAMME_READY CANCELLED", ".", "group.closed"),
    *_edges("group", "PROGRAMME_READY", ".", "pilgrim.entered", corrects=True),
    # the voucher: the group's one invoice
    *_edges("voucher", "NEW", "INVOICED", "voucher.issued"),
    *_edges("voucher", _ANY_VOUCHER, ".", "voucher.billed"),
    *_edges("voucher", _ANY_VOUCHER, ".", "payment.settled"),
    *_edges("voucher", "INVOICED PART_PAID", "PART_PAID PAID", "payment.received"),
    *_edges("voucher", "PAID INVOICE_EXPIRED", ".", "payment.received"),
    *_edges("voucher", "INVOICE_EXPIRED", "PAID", "payment.received", corrects=True),
    *_edges("voucher", "INVOICE_EXPIRED CANCELLED REFUND_DUE REFUNDED", "REFUND_DUE", "payment.received"),
    *_edges("voucher", "PART_PAID PAID", "INVOICED PART_PAID", "payment.reversed"),
    *_edges("voucher", "PAID INVOICE_EXPIRED REFUND_DUE", ".", "payment.reversed"),
    *_edges("voucher", "REFUND_DUE", "REFUNDED", "payment.reversed"),
    # … a member who will not travel costs nothing any more
    *_edges("voucher", "INVOICED PART_PAID INVOICE_EXPIRED", ".", "request.cancelled"),
    *_edges("voucher", "INVOICED PART_PAID INVOICE_EXPIRED", ".", "clock.due"),
    *_edges("voucher", "PART_PAID", "PAID", "request.cancelled"),
    *_edges("voucher", "PART_PAID", "PAID", "clock.due"),
    *_edges("voucher", "INVOICED PART_PAID", "INVOICE_EXPIRED", "voucher.expired"),
    *_edges("voucher", "INVOICE_EXPIRED", "INVOICED PART_PAID", "voucher.issued"),
    *_edges("voucher", "INVOICED INVOICE_EXPIRED", "CANCELLED", "voucher.cancelled"),
    *_edges("voucher", "PART_PAID INVOICE_EXPIRED", "REFUND_DUE", "voucher.cancelled"),
    *_edges("voucher", "REFUND_DUE REFUNDED", ".", "voucher.cancelled"),
    *_edges("voucher", "PAID", ".", "voucher.refund_due"),
    *_edges("voucher", "PAID REFUND_DUE", ".", "payment.refunded"),
    *_edges("voucher", "REFUND_DUE", "REFUNDED", "payment.refunded"),
    # the request: one pilgrim
    *_edges("request", "NEW", "DRAFT", "request.drafted"),
    *_edges("request", "DRAFT", "SUBMITTED", "request.submitted"),
    *_edges("request", "DRAFT SUBMITTED", ".", "request.corrected"),
    *_edges("request", "SUBMITTED", "ACCEPTED", "request.accepted"),
    *_edges("request", "SUBMITTED", "RETURNED", "request.returned"),
    *_edges("request", "SUBMITTED", "REFUSED_BY_COMPANY", "request.refused"),
    *_edges("request", "RETURNED", "SUBMITTED", "request.corrected"),
    *_edges("request", "ACCEPTED", "PAID", "request.paid"),
    *_edges("request", "PAID", "SENT_FOR_REFERENCE", "reference.requested"),
    *_edges("request", "ACCEPTED", "INVOICE_EXPIRED", "request.invoice_expired"),
    *_edges("request", "SENT_FOR_REFERENCE", "REFERENCE_ISSUED", "reference.issued"),
    *_edges("request", "SENT_FOR_REFERENCE", "REFERENCE_REFUSED", "reference.refused"),
    *_edges("request", "SENT_FOR_REFERENCE", "NEEDS_DATA", "reference.needs_data"),
    *_edges("request", "NEEDS_DATA", "SENT_FOR_REFERENCE", "request.corrected"),
    *_edges("request", "REFERENCE_ISSUED", "AT_MISSION", "mission.received"),
    *_edges("request", "REFERENCE_ISSUED AT_MISSION", "VISA_ISSUED", "visa.issued"),
    *_edges("request", "REFERENCE_ISSUED AT_MISSION", "VISA_REFUSED", "visa.refused"),
    *_edges("request", "REFERENCE_ISSUED AT_MISSION", "REFERENCE_LAPSED", "clock.due"),
    # … a dependant whose companion no longer travels
    *_edges(
        "request",
        "SUBMITTED RETURNED ACCEPTED SENT_FOR_REFERENCE NEEDS_DATA REFERENCE_ISSUED AT_MISSION",
        "WAITING_COMPANION",
        "request.companion_lost",
    ),
    *_edges("request", "WAITING_COMPANION", "SUBMITTED ACCEPTED SENT_FOR_REFERENCE", "request.corrected"),
    *_edges("request", "WAITING_COMPANION", ".", "request.paid"),
    *_edges("request", "WAITING_COMPANION", ".", "payment.reversed"),
    *_edges("request", "WAITING_COMPANION", "INVOICE_EXPIRED", "request.invoice_expired"),
    *_edges("request", "WAITING_COMPANION", ".", "reference.issued"),
    *_edges("request", "WAITING_COMPANION", ".", "reference.needs_data"),
    *_edges("request", "WAITING_COMPANION", ".", "mission.received"),
    *_edges("request", "WAITING_COMPANION", "REFERENCE_REFUSED", "reference.refused"),
    *_edges("request", "WAITING_COMPANION", "VISA_ISSUED", "visa.issued"),
    *_edges("request", "WAITING_COMPANION", "VISA_REFUSED", "visa.refused"),
    # … given up
    *_edges("request", "DRAFT SUBMITTED RETURNED ACCEPTED WAITING_COMPANION", "CANCELLED", "request.cancelled"),
    *_edges(
        "request",
        "SENT_FOR_REFERENCE NEEDS_DATA REFERENCE_ISSUED AT_MISSION VISA_ISSUED EXPECTED WAITING_COMPANION",
        "CANCEL_REQUESTED",
        "request.cancelled",
    ),
    *_edges("request", "CANCEL_REQUESTED", "CANCELLED", "reference.issued"),
    *_edges("request", "CANCEL_REQUESTED", "CANCELLED", "reference.refused"),
    *_edges("request", "CANCEL_REQUESTED", "CANCELLED", "reference.needs_data"),
    *_edges("request", "CANCEL_REQUESTED", "CANCELLED", "visa.issued"),
    *_edges("request", "CANCEL_REQUESTED", "CANCELLED", "visa.refused"),
    *_edges("request", "CANCEL_REQUESTED", "INSIDE", "pilgrim.entered"),
    *_edges("request", "CANCEL_REQUESTED", "ENTRY_REFUSED", "pilgrim.turned_back"),
    *_edges("request", "CANCEL_REQUESTED", ".", "mission.received"),
    *_edges("request", "CANCEL_REQUESTED", ".", "pilgrim.expected"),
    *_edges("request", "CANCEL_REQUESTED", ".", "pilgrim.no_show"),
    *_edges(
        "request",
        "DRAFT SUBMITTED RETURNED ACCEPTED NEEDS_DATA WAITING_COMPANION CANCEL_REQUESTED",
        "CANCELLED",
        "clock.due",
    ),
    # … on the way, inside, and out again
    *_edges("request", "VISA_ISSUED EXPECTED", "VISA_LAPSED", "clock.due"),
    *_edges("request", "VISA_ISSUED", "EXPECTED", "pilgrim.expected"),
    *_edges("request", "EXPECTED", "VISA_ISSUED", "pilgrim.no_show"),
    *_edges("request", "VISA_ISSUED EXPECTED", "INSIDE", "pilgrim.entered"),
    *_edges("request", "VISA_ISSUED EXPECTED", "ENTRY_REFUSED", "pilgrim.turned_back"),
    *_edges("request", "INSIDE LEAVING_SOON OVERSTAYED REPORTED_ABSENT", ".", "pilgrim.checked_in"),
    *_edges("request", "INSIDE LEAVING_SOON OVERSTAYED REPORTED_ABSENT", ".", "pilgrim.checked_out"),
    *_edges("request", "EXITED EXITED_LATE DEPORTED DECEASED", ".", "pilgrim.checked_in"),
    *_edges("request", "EXITED EXITED_LATE DEPORTED DECEASED", ".", "pilgrim.checked_out"),
    *_edges("request", "INSIDE LEAVING_SOON OVERSTAYED REPORTED_ABSENT", ".", "pilgrim.hospitalised"),
    *_edges("request", "INSIDE", "LEAVING_SOON", "clock.due"),
    *_edges("request", "INSIDE LEAVING_SOON", "OVERSTAYED", "clock.due"),
    *_edges("request", "INSIDE LEAVING_SOON", "EXITED", "pilgrim.exited"),
    *_edges("request", "OVERSTAYED", "REPORTED_ABSENT", "pilgrim.reported"),
    *_edges("request", "OVERSTAYED REPORTED_ABSENT", "EXITED_LATE", "pilgrim.exited"),
    *_edges("request", "INSIDE LEAVING_SOON OVERSTAYED REPORTED_ABSENT", "DEPORTED", "pilgrim.deported"),
    *_edges("request", "INSIDE LEAVING_SOON OVERSTAYED REPORTED_ABSENT", "DECEASED", "pilgrim.deceased"),
    # … and what a late border file puts right
    *_edges("request", "VISA_LAPSED", ".", "pilgrim.expected"),
    *_edges("request", "VISA_LAPSED", ".", "pilgrim.no_show"),
    *_edges("request", "VISA_LAPSED", "INSIDE", "pilgrim.entered", corrects=True),
    *_edges("request", "VISA_LAPSED", "ENTRY_REFUSED", "pilgrim.turned_back", corrects=True),
    *_edges("request", "OVERSTAYED REPORTED_ABSENT", "EXITED", "pilgrim.exited", corrects=True),
)  # fmt: skip

LEGAL: frozenset[tuple[str, str, str, str]] = frozenset(edge[:4] for edge in EDGES)
CORRECTIONS: frozenset[tuple[str, str, str, str]] = frozenset(edge[:4] for edge in EDGES if edge.corrects)

#: Where a request ends.  Only a correction leads out again.
ENDS = frozenset({
    "REFUSED_BY_COMPANY", "REFERENCE_REFUSED", "VISA_REFUSED", "VISA_LAPSED", "REFERENCE_LAPSED", "INVOICE_EXPIRED",
    "ENTRY_REFUSED", "EXITED", "EXITED_LATE", "DEPORTED", "DECEASED", "CANCELLED",
})  # fmt: skip
#: Where a request is held up while it stands elsewhere for the partners: in the state of its mark ``resume``.
HELD = frozenset({"WAITING_COMPANION", "CANCEL_REQUESTED"})
INSIDE = frozenset({"INSIDE", "LEAVING_SOON", "OVERSTAYED", "REPORTED_ABSENT"})

# What somebody may decide, but no fact may be kept waiting for.
_CHOICES = frozenset({"request.corrected", "request.cancelled", "request.companion_lost"})


def _ahead() -> Mapping[str, frozenset[str]]:
    steps: dict[str, set[str]] = {}
    events: dict[str, set[str]] = {}
    for edge in EDGES:
        if edge.machine == "request" and edge.event not in _CHOICES:
            events.setdefault(edge.was, set()).add(edge.event)
            if edge.now != edge.was:
                steps.setdefault(edge.was, set()).add(edge.now)
    ahead = {}
    for start in {state for edge in EDGES if edge.machine == "request" for state in (edge.was, edge.now)}:
        seen, todo = {start}, [start]
        while todo:
            new = steps.get(todo.pop(), set()) - seen
            seen |= new
            todo += new
        ahead[start] = frozenset().union(*(events.get(state, set()) for state in seen))
    return ahead


#: State of a request -> the events that may still come about from it without anybody's new decision.
AHEAD: Mapping[str, frozenset[str]] = _ahead()
#: (state of a request, event): some step answers to it.
ANSWERS: frozenset[tuple[str, str]] = frozenset((e.was, e.event) for e in EDGES if e.machine == "request")
