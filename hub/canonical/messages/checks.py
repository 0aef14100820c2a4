"""What the hub looks up at a body before it relies on it (a licence, a certificate), and what hospitals tell."""

from datetime import date, datetime
from typing import Self

from hub.canonical import codes
from hub.canonical.case import Case, Subject
from hub.canonical.declare import canonical, plain, text
from hub.canonical.entities import STATE
from hub.canonical.messages.services import KEY


@canonical
class LicenceQuery:
    """Is a house that a programme names licensed for the nights it is booked for?"""

    key: str = text(36, pattern=KEY, path="exchange.key")
    hotel_code: str = text(20, path="housing.hotel")
    licence: str = text(20, path="housing.licence")
    city: str = text(8, one_of=codes.CITIES, path="housing.city")
    check_in: date = plain(path="housing.dates")
    check_out: date = plain(path="housing.dates")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        line = next((h for h in case.programme.housing if h.line == subject.id), None)
        if line is None:
            return None
        return cls(
            key=subject.key,
            hotel_code=line.hotel_code,
            licence=line.licence,
            city=line.city,
            check_in=line.check_in,
            check_out=line.check_out,
        )


@canonical
class LicenceAnswer:
    key: str = text(36, pattern=KEY, path="exchange.key")
    outcome: str = text(9, one_of=("valid", "expired", "suspended", "unknown"), path="licence.outcome")
    valid_until: date | None = plain(path="licence.dates", default=None)


@canonical
class CertificateQuery:
    """Has the pilgrim the vaccinations that the season asks for?  Asked by document, answered yes or no."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    birth_date: date = plain(path="person.birth_date", personal=True)
    arrives_on: date = plain(path="passage.date")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        member, pilgrim = case.member, case.pilgrim
        if member is None or pilgrim is None or member.ended_at is not None:
            return None
        return cls(
            key=subject.key,
            document_no=pilgrim.document.number,
            issuing_state=pilgrim.document.issuing_state,
            birth_date=pilgrim.person.birth_date,
            arrives_on=case.programme.arrival.on,
        )


@canonical
class CertificateAnswer:
    key: str = text(36, pattern=KEY, path="exchange.key")
    outcome: str = text(7, one_of=("valid", "expired", "missing"), path="vaccination.outcome")
    certificate_no: str | None = text(40, path="vaccination.certificate", personal=True, default=None)
    valid_until: date | None = plain(path="vaccination.dates", default=None)


@canonical
class Admission:
    """A hospital has taken a pilgrim in, or a pilgrim has died there.  Nothing of the illness is told."""

    notice_no: str = text(40, path="exchange.notice")
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    border_no: str | None = text(12, path="movement.border_no", personal=True, default=None)
    outcome: str = text(8, one_of=("admitted", "died", "left"), path="health.outcome")
    happened: datetime = plain(path="health.at")
    facility: str = text(20, path="health.facility")


@canonical
class Enrolment:
    """A visa centre has taken the biometrics of an applicant (or the applicant did not come)."""

    notice_no: str = text(40, path="exchange.notice")
    reference_no: str = text(12, path="reference.number", personal=True)
    outcome: str = text(8, one_of=("taken", "missed", "exempt"), path="biometrics.outcome")
    happened: datetime = plain(path="biometrics.at")
    centre: str = text(20, path="biometrics.centre")
