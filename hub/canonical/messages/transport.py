"""What passes between the hub and a road carrier: who rides, and where the vehicle is."""

from datetime import date, datetime
from typing import ClassVar, Self

from hub.canonical import codes
from hub.canonical.case import Case, Envelope, Subject
from hub.canonical.declare import canonical, integer, plain, text
from hub.canonical.entities import STATE
from hub.canonical.ids import hash_total


@canonical
class Passenger:
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    family_name: str = text(60, path="person.name", personal=True)
    given_name: str | None = text(60, path="person.name", personal=True, default=None)


@canonical
class Trip:
    """One inland leg of one group and those who ride it."""

    key: str = text(36, path="exchange.key")
    group_no: str = text(20, path="group.no")
    company_code: str = text(20, path="transport.company")
    vehicle: str = text(7, one_of=codes.VEHICLES, path="transport.vehicle")
    origin: str = text(8, one_of=codes.CITIES, path="transport.route")
    destination: str = text(8, one_of=codes.CITIES, path="transport.route")
    departs_on: date = plain(path="transport.dates")
    passengers: list[Passenger] = plain(default=[])

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        leg = next((t for t in case.programme.transport if t.line == subject.id), None)
        booking = case.bookings.get(subject.id)
        if leg is None or booking is None or booking.state != "requested":
            return None
        return cls(
            key=subject.key,
            group_no=case.group_no,
            company_code=leg.company_code,
            vehicle=leg.vehicle,
            origin=leg.origin,
            destination=leg.destination,
            departs_on=leg.departs_on,
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
class ManifestRow:
    """A passenger on a trip: the manifest is one row a passenger, the trip's columns on each."""

    key: str = text(36, path="exchange.key")
    group_no: str = text(20, path="group.no")
    company_code: str = text(20, path="transport.company")
    vehicle: str = text(7, one_of=codes.VEHICLES, path="transport.vehicle")
    origin: str = text(8, one_of=codes.CITIES, path="transport.route")
    destination: str = text(8, one_of=codes.CITIES, path="transport.route")
    departs_on: date = plain(path="transport.dates")
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    family_name: str = text(60, path="person.name", personal=True)
    given_name: str | None = text(60, path="person.name", personal=True, default=None)


@canonical
class TripManifest:
    """Who rides which leg, in a numbered file."""

    line: ClassVar[type] = Trip

    sequence: int | None = integer(1, 999_999_999, path="exchange.sequence", default=None)
    rows: list[ManifestRow] = plain(default=[])

    @classmethod
    def of(cls, lines: list[Trip], envelope: Envelope) -> Self:
        rows = [
            ManifestRow(
                key=trip.key,
                group_no=trip.group_no,
                company_code=trip.company_code,
                vehicle=trip.vehicle,
                origin=trip.origin,
                destination=trip.destination,
                departs_on=trip.departs_on,
                document_no=rider.document_no,
                issuing_state=rider.issuing_state,
                family_name=rider.family_name,
                given_name=rider.given_name,
            )
            for trip in lines
            for rider in trip.passengers
        ]
        return cls(sequence=envelope.sequence, rows=rows)

    def control(self) -> str:
        return hash_total(line.document_no for line in self.rows)


@canonical
class TripStatus:
    """What a carrier says of one leg: booked (with its BRN), refused, started, ended."""

    key: str = text(36, path="exchange.key")
    outcome: str = text(7, one_of=("booked", "refused", "started", "ended"), path="transport.outcome")
    happened: datetime = plain(path="transport.at")
    brn: str | None = text(20, path="transport.brn", default=None)
    plate: str | None = text(12, path="transport.plate", default=None)
    reason: str | None = text(20, path="transport.reason", default=None)


@canonical
class TripStatuses:
    rows: list[TripStatus] = plain(default=[])
