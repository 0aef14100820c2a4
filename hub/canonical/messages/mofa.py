"""What passes between the hub and the Ministry of Foreign Affairs and its missions."""

from datetime import date, datetime
from typing import ClassVar, Self

from hub.canonical import codes
from hub.canonical.case import Case, Envelope, Subject
from hub.canonical.declare import canonical, integer, plain, text
from hub.canonical.entities import DOCUMENT_NUMBER, MRZ, STATE
from hub.canonical.ids import hash_total

KEY = r"[A-Za-z0-9-]+"


@canonical
class Application:
    """One pilgrim's application for a reference number.  ``key`` is ours and comes back with the answer."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    request_no: str = text(13, pattern=r"[0-9]{13}", path="request.no")
    group_no: str = text(20, path="group.no")
    agent_code: str = text(20, path="agent.code")
    company_code: str = text(20, path="company.code")
    mission: str = text(3, path="request.mission")
    season: int = integer(1400, 1500, path="group.season")
    given_name: str | None = text(60, path="person.name", personal=True, default=None)
    father_name: str | None = text(60, path="person.name", personal=True, default=None)
    grandfather_name: str | None = text(60, path="person.name", personal=True, default=None)
    family_name: str = text(60, path="person.name", personal=True)
    given_name_ar: str | None = text(60, path="person.name_ar", personal=True, default=None)
    family_name_ar: str | None = text(60, path="person.name_ar", personal=True, default=None)
    sex: str = text(11, one_of=codes.SEX, path="person.sex", personal=True)
    birth_date: date = plain(path="person.birth_date", personal=True)
    birth_place: str | None = text(60, path="person.birth_place", personal=True, default=None)
    nationality: str = text(3, pattern=STATE, path="person.nationality")
    residence: str = text(3, pattern=STATE, path="person.residence")
    marital_status: str | None = text(
        8, one_of=codes.MARITAL, path="person.marital_status", personal=True, default=None
    )
    profession: str | None = text(60, path="person.profession", personal=True, default=None)
    document_kind: str = text(15, one_of=codes.DOCUMENT_KINDS, path="document.kind")
    document_no: str = text(12, pattern=DOCUMENT_NUMBER, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    issued_on: date = plain(path="document.issued_on", personal=True)
    expires_on: date = plain(path="document.expires_on", personal=True)
    companion_no: str | None = text(12, pattern=DOCUMENT_NUMBER, path="companion.number", personal=True, default=None)
    companion_relation: str | None = text(
        20, one_of=codes.RELATIONS, path="companion.relation", personal=True, default=None
    )
    arrives_on: date = plain(path="passage.date")
    departs_on: date = plain(path="passage.date")
    port: str = text(5, path="passage.port")
    mode: str = text(4, one_of=codes.MODES, path="passage.mode")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        member, pilgrim = case.member, case.pilgrim
        if member is None or pilgrim is None or member.state != "SENT_FOR_REFERENCE":
            return None
        person, document, ar = pilgrim.person, pilgrim.document, pilgrim.person.name_ar
        return cls(
            key=subject.key,
            request_no=member.request_no,
            group_no=case.group_no,
            agent_code=case.agent.id,
            company_code=case.agent.company,
            mission=case.agent.mission,
            season=case.season,
            given_name=person.name.given,
            father_name=person.name.father,
            grandfather_name=person.name.grandfather,
            family_name=person.name.family,
            given_name_ar=ar.given if ar else None,
            family_name_ar=ar.family if ar else None,
            sex=person.sex,
            birth_date=person.birth_date,
            birth_place=person.birth_place,
            nationality=person.nationality,
            residence=person.residence,
            marital_status=person.marital_status,
            profession=person.profession,
            document_kind=document.kind,
            document_no=document.number,
            issuing_state=document.issuing_state,
            issued_on=document.issued_on,
            expires_on=document.expires_on,
            companion_no=pilgrim.companion.number if pilgrim.companion else None,
            companion_relation=pilgrim.companion.relation if pilgrim.companion else None,
            arrives_on=case.programme.arrival.on,
            departs_on=case.programme.departure.on,
            port=case.programme.arrival.port,
            mode=case.programme.arrival.mode,
        )


@canonical
class ReferenceRequest:
    """Applications sent together; each is answered by itself."""

    line: ClassVar[type] = Application

    batch_no: int = integer(1, 999_999_999, path="exchange.sequence")
    sent_at: datetime = plain(path="exchange.at")
    applications: list[Application] = plain(default=[])

    @classmethod
    def of(cls, lines: list[Application], envelope: Envelope) -> Self:
        return cls(batch_no=envelope.sequence, sent_at=envelope.at, applications=lines)


@canonical
class ReferenceResult:
    """The Ministry's word on one application, paired by ``key``, never by order."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    outcome: str = text(
        11, one_of=("issued", "refused", "needs_data", "not_known", "in_progress"), path="reference.outcome"
    )
    reference_no: str | None = text(12, pattern=r"[0-9]{10,12}", path="reference.number", personal=True, default=None)
    reason: str | None = text(20, path="reference.reason", default=None)
    decided_at: datetime | None = plain(path="reference.at", default=None)


@canonical
class ReferenceReply:
    results: list[ReferenceResult] = plain(default=[])


@canonical
class ReferenceEnquiry:
    """Asks what became of one application."""

    key: str = text(36, pattern=KEY, path="exchange.key")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        return cls(key=subject.key)


@canonical
class PrintListLine:
    """One reference on a mission's print list: all that the printer of the visa needs, nothing more."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    reference_no: str = text(12, path="reference.number", personal=True)
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    nationality: str = text(3, pattern=STATE, path="person.nationality")
    family_name: str = text(60, path="person.name", personal=True)
    given_name: str | None = text(60, path="person.name", personal=True, default=None)
    sex: str = text(11, one_of=codes.SEX, path="person.sex", personal=True)
    birth_date: date = plain(path="person.birth_date", personal=True)
    expires_on: date = plain(path="document.expires_on", personal=True)
    arrives_on: date = plain(path="passage.date")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        member, pilgrim = case.member, case.pilgrim
        if member is None or pilgrim is None or member.state != "REFERENCE_ISSUED" or pilgrim.reference_no is None:
            return None
        person, document = pilgrim.person, pilgrim.document
        return cls(
            key=subject.key,
            reference_no=pilgrim.reference_no,
            document_no=document.number,
            issuing_state=document.issuing_state,
            nationality=person.nationality,
            family_name=person.name.family,
            given_name=person.name.given,
            sex=person.sex,
            birth_date=person.birth_date,
            expires_on=document.expires_on,
            arrives_on=case.programme.arrival.on,
        )


@canonical
class PrintList:
    """The references that one mission may print, in a numbered file."""

    line: ClassVar[type] = PrintListLine

    mission: str = text(40, path="exchange.partner")
    sequence: int = integer(1, 999_999_999, path="exchange.sequence")
    created_at: datetime = plain(path="exchange.at")
    lines: list[PrintListLine] = plain(default=[])

    @classmethod
    def of(cls, lines: list[PrintListLine], envelope: Envelope) -> Self:
        return cls(mission=envelope.partner, sequence=envelope.sequence, created_at=envelope.at, lines=lines)

    def control(self) -> str:
        return hash_total(line.reference_no for line in self.lines)


@canonical
class PrintOutcome:
    """What the mission did with one reference: visa printed, or refused with a reason."""

    reference_no: str = text(12, path="reference.number", personal=True)
    document_no: str = text(12, path="document.number", personal=True)
    outcome: str = text(7, one_of=("printed", "refused"), path="visa.outcome")
    happened: datetime = plain(path="visa.at")
    visa_no: str | None = text(12, path="visa.number", personal=True, default=None)
    visa_mrz: str | None = text(92, pattern=MRZ, path="visa.mrz", personal=True, default=None)
    issued_on: date | None = plain(path="visa.dates", default=None)
    enter_by: date | None = plain(path="visa.dates", default=None)
    stay_days: int | None = integer(1, 365, path="visa.dates", default=None)
    reason: str | None = text(20, path="visa.reason", default=None)


@canonical
class PrintOutcomes:
    mission: str = text(40, path="exchange.partner")
    sequence: int = integer(1, 999_999_999, path="exchange.sequence")
    lines: list[PrintOutcome] = plain(default=[])

    def control(self) -> str:
        return hash_total(line.reference_no for line in self.lines)
