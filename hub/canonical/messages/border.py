"""What the border tells the hub (who is expected, who came in, who was turned back, who left), and what it is told."""

from datetime import date, datetime
from typing import ClassVar, Self

from hub.canonical import codes
from hub.canonical.case import Case, Envelope, Subject
from hub.canonical.declare import canonical, integer, plain, text
from hub.canonical.entities import STATE
from hub.canonical.ids import hash_total


@canonical
class BorderMovement:
    outcome: str = text(11, one_of=codes.MOVEMENTS, path="movement.kind")
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    visa_no: str | None = text(12, path="visa.number", personal=True, default=None)
    border_no: str | None = text(12, path="movement.border_no", personal=True, default=None)
    port: str = text(5, path="movement.port")
    happened: datetime = plain(path="movement.at")
    carrier: str | None = text(8, path="movement.carrier", default=None)
    reason: str | None = text(6, path="movement.reason", default=None)


@canonical
class MovementFile:
    """One post's movements of one period, numbered without a gap."""

    port: str = text(5, path="movement.port")
    sequence: int = integer(1, 999_999, path="exchange.sequence")
    created_on: date = plain(path="exchange.at")
    lines: list[BorderMovement] = plain(default=[])

    def control(self) -> str:
        return hash_total(line.document_no for line in self.lines)


@canonical
class Crossings:
    """Movements that a post tells as they happen, under its own ``notice_no``."""

    notice_no: str = text(40, path="exchange.notice")
    port: str = text(5, path="movement.port")
    crossings: list[BorderMovement] = plain(default=[])


@canonical
class VisaLine:
    """One printed visa, as the port of arrival needs it before the pilgrim stands there."""

    key: str = text(36, path="exchange.key")
    visa_no: str = text(12, path="visa.number", personal=True)
    enter_by: date | None = plain(path="visa.dates", default=None)
    stay_days: int = integer(1, 365, path="visa.dates")
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    nationality: str = text(3, pattern=STATE, path="person.nationality")
    family_name: str = text(60, path="person.name", personal=True)
    given_name: str | None = text(60, path="person.name", personal=True, default=None)
    sex: str = text(11, one_of=codes.SEX, path="person.sex", personal=True)
    birth_date: date = plain(path="person.birth_date", personal=True)
    port: str = text(5, path="passage.port")
    arrives_on: date = plain(path="passage.date")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        pilgrim, arrival = case.pilgrim, case.programme.arrival
        if case.member is None or case.member.ended_at is not None or pilgrim is None or pilgrim.visa is None:
            return None
        person, document, visa = pilgrim.person, pilgrim.document, pilgrim.visa
        return cls(
            key=subject.key,
            visa_no=visa.number,
            enter_by=visa.enter_by,
            stay_days=visa.stay_days,
            document_no=document.number,
            issuing_state=document.issuing_state,
            nationality=person.nationality,
            family_name=person.name.family,
            given_name=person.name.given,
            sex=person.sex,
            birth_date=person.birth_date,
            port=arrival.port,
            arrives_on=arrival.on,
        )


@canonical
class VisaNotice:
    """Visas told together; each is acknowledged by itself."""

    line: ClassVar[type] = VisaLine

    batch_no: int = integer(1, 999_999_999, path="exchange.sequence")
    sent_at: datetime = plain(path="exchange.at")
    visas: list[VisaLine] = plain(default=[])

    @classmethod
    def of(cls, lines: list[VisaLine], envelope: Envelope) -> Self:
        return cls(batch_no=envelope.sequence, sent_at=envelope.at, visas=lines)
