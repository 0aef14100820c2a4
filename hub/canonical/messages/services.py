"""What passes between the hub and those who serve a pilgrim on the way: registers, permits, guides, notices."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Self

from hub.canonical import codes
from hub.canonical.case import Case, Envelope, Subject
from hub.canonical.declare import canonical, decimal, integer, plain, text
from hub.canonical.entities import STATE

KEY = r"[A-Za-z0-9-]+"
#: Who is inside the Kingdom.
_INSIDE = ("INSIDE", "LEAVING_SOON")


@canonical
class Acknowledged:
    """What a body says of something sent under our ``key``; ``reference`` is its own number for it."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    outcome: str = text(11, one_of=("accepted", "refused", "not_known", "in_progress"), path="service.outcome")
    reference: str | None = text(30, path="service.reference", default=None)
    reason: str | None = text(20, path="service.reason", default=None)


@canonical
class Acknowledgements:
    """The same of several lines, paired by ``key``, never by order."""

    results: list[Acknowledged] = plain(default=[])


@canonical
class Enquiry:
    """Asks what became of what was sent under our key."""

    key: str = text(36, pattern=KEY, path="exchange.key")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        return cls(key=subject.key)


@canonical
class Received:
    """Our answer to what a body told us under its own ``notice_no``."""

    notice_no: str = text(40, path="exchange.notice")
    outcome: str = text(8, one_of=("taken", "repeated", "suspense"), path="exchange.outcome")

    @classmethod
    def answer(cls, asked: Any, case: Case | None, taken: str) -> Self:
        return cls(notice_no=asked.notice_no, outcome=taken)


# ---------------------------------------------------------------------------------------------- guests


@canonical
class GuestEntry:
    """Who has moved into a house, and in which city: what the register of guests is told."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    border_no: str | None = text(12, path="movement.border_no", personal=True, default=None)
    family_name: str = text(60, path="person.name", personal=True)
    given_name: str | None = text(60, path="person.name", personal=True, default=None)
    sex: str = text(11, one_of=codes.SEX, path="person.sex", personal=True)
    birth_date: date = plain(path="person.birth_date", personal=True)
    nationality: str = text(3, pattern=STATE, path="person.nationality")
    city: str = text(8, one_of=codes.CITIES, path="housing.city")
    since: datetime = plain(path="stay.at")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        member, pilgrim = case.member, case.pilgrim
        if member is None or pilgrim is None or member.marks.get("place") not in codes.CITIES:
            return None
        person, document = pilgrim.person, pilgrim.document
        return cls(
            key=subject.key,
            document_no=document.number,
            issuing_state=document.issuing_state,
            border_no=pilgrim.border_no,
            family_name=person.name.family,
            given_name=person.name.given,
            sex=person.sex,
            birth_date=person.birth_date,
            nationality=person.nationality,
            city=member.marks["place"],
            since=member.marks["place_at"],
        )


@canonical
class GuestLeft:
    """Who has left a house."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    left_at: datetime = plain(path="stay.at")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        member, pilgrim = case.member, case.pilgrim
        if member is None or pilgrim is None or member.marks.get("place") != "road":
            return None
        document = pilgrim.document
        return cls(
            key=subject.key,
            document_no=document.number,
            issuing_state=document.issuing_state,
            left_at=member.marks["place_at"],
        )


# ---------------------------------------------------------------------------------------------- on the spot


@canonical
class PermitRequest:
    """A place in the Rawdah for a pilgrim who is in Madinah; men and women have hours of their own."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    request_no: str = text(13, pattern=r"[0-9]{13}", path="request.no")
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    sex: str = text(11, one_of=codes.SEX, path="person.sex", personal=True)
    minor: bool = plain(path="person.minor")
    earliest: datetime = plain(path="permit.dates")
    latest: date = plain(path="permit.dates")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        member, pilgrim = case.member, case.pilgrim
        if member is None or pilgrim is None or member.state not in _INSIDE or member.marks.get("place") != "madinah":
            return None
        return cls(
            key=subject.key,
            request_no=member.request_no,
            document_no=pilgrim.document.number,
            issuing_state=pilgrim.document.issuing_state,
            sex=pilgrim.person.sex,
            minor=member.minor,
            earliest=member.marks["place_at"],
            latest=case.programme.departure.on,
        )


@canonical
class GuideBooking:
    """A guide for a group whose programme has one.  The guide needs to know how many come, not who."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    group_no: str = text(20, path="group.no")
    company_code: str = text(20, path="company.code")
    service_code: str = text(20, path="service.code")
    heads: int = integer(1, 9999, path="group.heads")
    arrives_on: date = plain(path="passage.date")
    departs_on: date = plain(path="passage.date")
    price: Decimal = decimal(14, 2, path="service.price")
    currency: str = text(3, pattern=r"[A-Z]{3}", path="service.price")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        guide = next((s for s in case.programme.services if s.kind == "guide"), None)
        if guide is None:
            return None
        return cls(
            key=subject.key,
            group_no=case.group_no,
            company_code=case.agent.company,
            service_code=guide.code,
            heads=case.heads,
            arrives_on=case.programme.arrival.on,
            departs_on=case.programme.departure.on,
            price=guide.price,
            currency="SAR",
        )


# ---------------------------------------------------------------------------------------------- notices


@canonical
class PilgrimNotice:
    """A short notice to the pilgrim's own mobile: the gateway has the words, we name the template and its number."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    mobile: str = text(16, pattern=r"\+[1-9][0-9]{6,14}", path="person.contact", personal=True)
    country: str = text(3, pattern=STATE, path="agent.country")
    request_no: str = text(13, pattern=r"[0-9]{13}", path="request.no")
    enter_by: date | None = plain(path="visa.dates", default=None)

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        member, pilgrim = case.member, case.pilgrim
        if member is None or pilgrim is None or pilgrim.person.mobile is None or member.ended_at is not None:
            return None
        return cls(
            key=subject.key,
            mobile=pilgrim.person.mobile,
            country=case.agent.country,
            request_no=member.request_no,
            enter_by=pilgrim.visa.enter_by if pilgrim.visa else None,
        )


@canonical
class Arrival:
    """One pilgrim whose entry the border has recorded: what the company's people at the port need."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    request_no: str = text(13, pattern=r"[0-9]{13}", path="request.no")
    group_no: str = text(20, path="group.no")
    agent_code: str = text(20, path="agent.code")
    family_name: str = text(60, path="person.name", personal=True)
    given_name: str | None = text(60, path="person.name", personal=True, default=None)
    port: str = text(5, path="movement.port")
    entered_at: datetime = plain(path="movement.at")
    stay_until: date = plain(path="stay.until")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        member, pilgrim = case.member, case.pilgrim
        if member is None or pilgrim is None or member.state not in _INSIDE:
            return None
        return cls(
            key=subject.key,
            request_no=member.request_no,
            group_no=case.group_no,
            agent_code=case.agent.id,
            family_name=pilgrim.person.name.family,
            given_name=pilgrim.person.name.given,
            port=member.marks.get("port", case.programme.arrival.port),
            entered_at=member.marks["entered_at"],
            stay_until=member.marks["stay_until"],
        )


@canonical
class Arrivals:
    """The arrivals of one company, told together."""

    line: ClassVar[type] = Arrival

    sequence: int = integer(1, 999_999_999, path="exchange.sequence")
    told_at: datetime = plain(path="exchange.at")
    lines: list[Arrival] = plain(default=[])

    @classmethod
    def of(cls, lines: list[Arrival], envelope: Envelope) -> Self:
        return cls(sequence=envelope.sequence, told_at=envelope.at, lines=lines)


@canonical
class Insured:
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    family_name: str = text(60, path="person.name", personal=True)
    given_name: str | None = text(60, path="person.name", personal=True, default=None)
    sex: str = text(11, one_of=codes.SEX, path="person.sex", personal=True)
    birth_date: date = plain(path="person.birth_date", personal=True)


@canonical
class PolicyRegistration:
    """Who is insured under a group's policy, once its voucher is paid."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    group_no: str = text(20, path="group.no")
    policy_no: str = text(30, path="insurance.policy")
    insurer: str = text(20, path="insurance.insurer")
    starts_on: date = plain(path="insurance.dates")
    ends_on: date = plain(path="insurance.dates")
    premium: Decimal = decimal(14, 2, path="insurance.price")
    currency: str = text(3, pattern=r"[A-Z]{3}", path="insurance.price")
    insured: list[Insured] = plain(default=[])

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        policy = case.programme.insurance
        if policy is None:
            return None
        return cls(
            key=subject.key,
            group_no=case.group_no,
            policy_no=policy.policy,
            insurer=policy.insurer,
            starts_on=policy.starts_on,
            ends_on=policy.ends_on,
            premium=policy.price,
            currency="SAR",
            insured=[
                Insured(
                    document_no=p.document.number,
                    issuing_state=p.document.issuing_state,
                    family_name=p.person.name.family,
                    given_name=p.person.name.given,
                    sex=p.person.sex,
                    birth_date=p.person.birth_date,
                )
                for request, p in case.pilgrims.items()
                if case.members[request].ended_at is None
            ],
        )
