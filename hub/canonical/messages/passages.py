"""What passes between the hub and carriers that answer at once, and carriers into the Kingdom: seats, ships, lists."""

from datetime import date, datetime
from typing import Self

from hub.canonical import codes
from hub.canonical.case import Case, Subject
from hub.canonical.declare import canonical, plain, text
from hub.canonical.entities import STATE
from hub.canonical.messages.services import KEY
from hub.canonical.messages.transport import Passenger


@canonical
class TripReply:
    """What a carrier answers of one leg; the legs themselves are ``Trip`` messages."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    outcome: str = text(11, one_of=("booked", "refused", "not_known", "in_progress"), path="transport.outcome")
    brn: str | None = text(20, path="transport.brn", default=None)
    plate: str | None = text(12, path="transport.plate", default=None)
    reason: str | None = text(20, path="transport.reason", default=None)


@canonical
class TripNotice:
    """A carrier tells that the vehicle of a leg has left or arrived."""

    notice_no: str = text(40, path="exchange.notice")
    key: str = text(36, pattern=KEY, path="exchange.key")
    outcome: str = text(7, one_of=("started", "ended"), path="transport.outcome")
    happened: datetime = plain(path="transport.at")
    plate: str | None = text(12, path="transport.plate", default=None)


@canonical
class PassageBooking:
    """A group's crossing by ship into the Kingdom: on which sailing, and who is aboard."""

    key: str = text(36, pattern=KEY, path="exchange.key")
    group_no: str = text(20, path="group.no")
    carrier: str = text(3, path="passage.carrier")
    number: str = text(8, path="passage.number")
    port: str = text(5, path="passage.port")
    sails_on: date = plain(path="passage.date")
    passengers: list[Passenger] = plain(default=[])

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        arrival = case.programme.arrival
        if arrival.mode != "sea":
            return None
        return cls(
            key=subject.key,
            group_no=case.group_no,
            carrier=arrival.carrier,
            number=arrival.number,
            port=arrival.port,
            sails_on=arrival.on,
            passengers=[
                Passenger(
                    document_no=p.document.number,
                    issuing_state=p.document.issuing_state,
                    family_name=p.person.name.family,
                    given_name=p.person.name.given,
                )
                for request, p in case.pilgrims.items()
                if case.members[request].ended_at is None
            ],
        )


@canonical
class ListedPassenger:
    """One person of a carrier's list, as the carrier has them: by passport, by visa, or by both."""

    family_name: str = text(60, path="person.name", personal=True)
    given_name: str | None = text(60, path="person.name", personal=True, default=None)
    sex: str | None = text(11, one_of=codes.SEX, path="person.sex", personal=True, default=None)
    birth_date: date | None = plain(path="person.birth_date", personal=True, default=None)
    nationality: str | None = text(3, pattern=STATE, path="person.nationality", default=None)
    document_no: str | None = text(35, path="document.number", personal=True, default=None)
    issuing_state: str | None = text(3, pattern=STATE, path="document.issuing_state", default=None)
    visa_no: str | None = text(35, path="visa.number", personal=True, default=None)


@canonical
class PassengerList:
    """Who is on a flight, a ship or a coach into the Kingdom, some hours before it arrives (UN/EDIFACT PAXLST)."""

    sender: str = text(35, path="exchange.partner")
    list_no: str = text(14, path="exchange.notice")
    sent_at: datetime = plain(path="exchange.at")
    carrier: str = text(8, path="movement.carrier")
    port: str = text(5, path="movement.port")
    arrives_at: datetime = plain(path="movement.at")
    passengers: list[ListedPassenger] = plain(default=[])
