"""Events: canonical facts, the only thing that moves a case.

An event says what happened, to whom, when it happened (``happened``, business time, UTC) and carries two
kinds of values: ``data`` is plain and may be read by guards; ``facts`` identify a person (a reference
number, a visa number, a border number) and are sealed with the request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

#: Every event there is: name -> what it says.  A manifest that names another does not load.
EVENTS: Mapping[str, str] = {
    # the request (one pilgrim)
    "request.drafted": "an agent has begun a pilgrim's request",
    "request.submitted": "the agent has filed the request; the five-minute clock starts",
    "request.accepted": "the Umrah company takes the request on",
    "request.returned": "the company gives the request back to be corrected",
    "request.refused": "the company refuses the request",
    "request.corrected": "the agent has corrected a returned request, or one that needs data",
    "request.cancelled": "the agent gives the request up",
    "request.paid": "the voucher that covers the request is paid in full",
    "request.invoice_expired": "the voucher that covers the request ran out unpaid",
    "request.companion_lost": "the companion no longer travels; another must be named",
    "reference.requested": "the request is due at the Ministry of Foreign Affairs",
    "reference.issued": "the Ministry of Foreign Affairs has issued a reference number",
    "reference.refused": "the Ministry of Foreign Affairs refuses",
    "reference.needs_data": "the Ministry of Foreign Affairs wants the data corrected",
    "mission.received": "the mission has the reference on its print list",
    "visa.issued": "the mission has printed the visa",
    "visa.refused": "the mission refuses the visa",
    "pilgrim.expected": "a carrier announces the pilgrim",
    "pilgrim.no_show": "the announced pilgrim did not board",
    "pilgrim.entered": "the border has recorded the entry",
    "pilgrim.turned_back": "the border has refused the entry",
    "pilgrim.checked_in": "the pilgrim has moved into a house",
    "pilgrim.checked_out": "the pilgrim has left a house",
    "pilgrim.exited": "the border has recorded the exit",
    "pilgrim.deported": "the border has recorded a deportation",
    "pilgrim.reported": "the company has reported the pilgrim absent",
    "pilgrim.hospitalised": "the pilgrim is in hospital",
    "pilgrim.deceased": "the pilgrim has died",
    # the group: programme and bookings
    "group.opened": "an agent has opened a group with its programme",
    "housing.requested": "a housing line wants its booking reference number (BRN)",
    "housing.confirmed": "the house has confirmed the line and given its BRN",
    "housing.refused": "the house cannot take the line",
    "transport.requested": "an inland leg wants its BRN",
    "transport.confirmed": "the carrier has confirmed the leg and given its BRN",
    "transport.refused": "the carrier cannot take the leg",
    "transport.started": "the vehicle of a leg has left",
    "transport.ended": "the vehicle of a leg has arrived",
    "programme.ready": "every night, leg, policy and ticket of the programme is confirmed",
    "group.cancelled": "nobody of the group travels any more",
    "group.closed": "every request of the group has ended and its money is settled",
    # the voucher (the group's invoice)
    "voucher.issued": "the group's invoice is made, with its bill number",
    "voucher.billed": "the bank has registered the bill",
    "voucher.part_paid": "some of the voucher's amount is paid",
    "voucher.paid": "the voucher is paid in full",
    "voucher.expired": "the voucher ran out unpaid",
    "voucher.cancelled": "the voucher is withdrawn",
    "voucher.refund_due": "money is to be given back",
    "payment.received": "a bank has taken a payment for the voucher",
    "payment.reversed": "a bank has taken a payment back",
    "payment.settled": "a settlement file confirms a payment",
    "payment.refunded": "a bank has paid the refund out",
    # the clock
    "clock.due": "a due time of the case has come",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One canonical fact about a group, and about one of its requests or programme lines where it names one."""

    name: str
    group: UUID
    request: UUID | None = None
    line: str | None = None
    happened: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
