"""The messages that operations carry: canonical dataclasses, one module a family.

An outgoing line has ``project(case, subject) -> line | None`` (None: the case no longer wants it, the exchange is
withdrawn).  A message of several lines has ``of(lines, envelope) -> message`` and names the class of its ``line``.  A
message that travels as a file may have ``control() -> str``, the sum that its manifest carries beside the count: of
amounts where there are any, else of a number that every line has (a hash total, as batch files have always had).  A
message whose own figures may disagree has ``contradiction() -> HubError | None``, which gives both; it is then refused
whole, unless the partner's ``counts`` say otherwise.  A message that answers one of a partner's has
``answer(asked, case, taken) -> message``.  A message never knows a partner's format: that is the map's.
"""

from hub.canonical.messages.banks import (
    BillAnswer,
    BillEnquiry,
    BillOrder,
    BillRegistered,
    NoticeAnswer,
    PaymentNotice,
    PaymentReversal,
    RefundNotice,
    SettlementFile,
)
from hub.canonical.messages.billing import BillFile, CreditNotification, PaymentFile
from hub.canonical.messages.border import Crossings, MovementFile, VisaNotice
from hub.canonical.messages.checks import (
    Admission,
    CertificateAnswer,
    CertificateQuery,
    Enrolment,
    LicenceAnswer,
    LicenceQuery,
)
from hub.canonical.messages.desk import Decision, GroupFiling
from hub.canonical.messages.housing import (
    BookingEnquiry,
    BookingOrder,
    BookingReply,
    BookingWithdrawn,
    Inventory,
    NoticeReceived,
    Reservation,
    StayNotice,
)
from hub.canonical.messages.mofa import PrintList, PrintOutcomes, ReferenceEnquiry, ReferenceReply, ReferenceRequest
from hub.canonical.messages.passages import PassageBooking, PassengerList, TripNotice, TripReply
from hub.canonical.messages.refunds import RefundOrder, RefundStatuses
from hub.canonical.messages.reports import DailyReport
from hub.canonical.messages.roster import Roster, RosterOutcome
from hub.canonical.messages.services import (
    Acknowledged,
    Acknowledgements,
    Arrivals,
    Enquiry,
    GuestEntry,
    GuestLeft,
    GuideBooking,
    PermitRequest,
    PilgrimNotice,
    PolicyRegistration,
    Received,
)
from hub.canonical.messages.statements import Statement
from hub.canonical.messages.transport import Trip, TripManifest, TripStatuses

#: Every message that a map or an operation may name.
MESSAGES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        Acknowledged, Acknowledgements, Admission, Arrivals, BillAnswer, BillEnquiry, BillFile, BillOrder,
        BillRegistered, BookingEnquiry, BookingOrder, BookingReply, BookingWithdrawn, CertificateAnswer,
        CertificateQuery, CreditNotification, Crossings, DailyReport, Decision, Enquiry, Enrolment, GroupFiling,
        GuestEntry, GuestLeft, GuideBooking, Inventory, LicenceAnswer, LicenceQuery, MovementFile, NoticeAnswer,
        NoticeReceived, PassageBooking, PassengerList, PaymentFile, PaymentNotice, PaymentReversal, PermitRequest,
        PilgrimNotice, PolicyRegistration, PrintList, PrintOutcomes, Received, ReferenceEnquiry, ReferenceReply,
        ReferenceRequest, RefundNotice, RefundOrder, RefundStatuses, Reservation, Roster, RosterOutcome,
        SettlementFile, Statement, StayNotice, Trip, TripManifest, TripNotice, TripReply, TripStatuses, VisaNotice,
    )
}  # fmt: skip
