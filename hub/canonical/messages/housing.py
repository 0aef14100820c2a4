"""What passes between the hub and a house: bookings, and who moved in and out."""

from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Self

from hub.canonical import codes
from hub.canonical.case import Case, Subject
from hub.canonical.declare import canonical, decimal, integer, plain, text
from hub.canonical.entities import STATE, HousingLine, Room


@canonical
class Guest:
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    family_name: str = text(60, path="person.name", personal=True)
    given_name: str | None = text(60, path="person.name", personal=True, default=None)
    sex: str = text(11, one_of=codes.SEX, path="person.sex", personal=True)


@canonical
class GuestRoom:
    kind: str = text(6, one_of=codes.ROOMS, path="housing.rooms")
    board: str = text(9, one_of=codes.BOARD, path="housing.rooms")
    rate: Decimal = decimal(12, 2, path="housing.price")
    guests: list[Guest] = plain(default=[])


@canonical
class BookingOrder:
    """One housing line to be confirmed: dates, rooms, and who sleeps in them."""

    key: str = text(36, path="exchange.key")
    hotel_code: str = text(20, path="housing.hotel")
    group_no: str = text(20, path="group.no")
    check_in: date = plain(path="housing.dates")
    check_out: date = plain(path="housing.dates")
    total: Decimal = decimal(14, 2, path="housing.price")
    currency: str = text(3, path="housing.price")
    heads: int = integer(1, 999, path="housing.heads")
    rooms: list[GuestRoom] = plain(default=[])

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        line = next((h for h in case.programme.housing if h.line == subject.id), None)
        booking = case.bookings.get(subject.id)
        if line is None or booking is None or booking.state != "requested":
            return None
        return cls(
            key=subject.key,
            hotel_code=line.hotel_code,
            group_no=case.group_no,
            check_in=line.check_in,
            check_out=line.check_out,
            total=line.price,
            currency="SAR",
            heads=line.heads,
            rooms=_rooms(case, line),
        )


def _rooms(case: Case, line: HousingLine) -> list[GuestRoom]:
    """Guests put into the rooms of *line* in the order of the members; who ended is left out."""
    guests = iter(
        Guest(
            document_no=p.document.number,
            issuing_state=p.document.issuing_state,
            family_name=p.person.name.family,
            given_name=p.person.name.given,
            sex=p.person.sex,
        )
        for member, p in ((case.members[i], p) for i, p in case.pilgrims.items())
        if member.ended_at is None
    )

    def fill(room: Room) -> GuestRoom:
        return GuestRoom(kind=room.kind, board=room.board, rate=room.rate, guests=list(islice(guests, room.beds)))

    return [fill(room) for room in line.rooms]


@canonical
class BookingEnquiry:
    """Asks what became of one booking."""

    key: str = text(36, path="exchange.key")

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        return cls(key=subject.key)


@canonical
class BookingReply:
    key: str = text(36, path="exchange.key")
    outcome: str = text(11, one_of=("confirmed", "refused", "not_known", "in_progress"), path="housing.outcome")
    brn: str | None = text(20, path="housing.brn", default=None)
    reason: str | None = text(20, path="housing.reason", default=None)


@canonical
class Stay:
    document_no: str = text(12, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    outcome: str = text(11, one_of=("checked_in", "checked_out"), path="stay.outcome")
    happened: datetime = plain(path="stay.at")
    room: str | None = text(10, path="stay.room", default=None)


@canonical
class StayNotice:
    """A house tells who moved in and out.  ``notice_no`` is the house's own: told again, it is the same."""

    notice_no: str = text(40, path="stay.notice")
    hotel_code: str = text(20, path="housing.hotel")
    brn: str = text(20, path="housing.brn")
    city: str = text(8, one_of=codes.CITIES, path="housing.city")
    guests: list[Stay] = plain(default=[])


@canonical
class NoticeReceived:
    """Our answer to a stay notice."""

    notice_no: str = text(40, path="stay.notice")
    outcome: str = text(8, one_of=("taken", "repeated", "suspense"), path="stay.outcome")

    @classmethod
    def answer(cls, asked: StayNotice, case: Case | None, taken: str) -> Self:
        return cls(notice_no=asked.notice_no, outcome=taken)


@canonical
class RoomWanted:
    kind: str = text(6, one_of=codes.ROOMS, path="housing.rooms")
    board: str = text(9, one_of=codes.BOARD, path="housing.rooms")
    beds: int = integer(1, 9, path="housing.rooms")
    rate: Decimal = decimal(12, 2, path="housing.price")


@canonical
class Reservation:
    """One housing line as reservation systems take it: rooms and guests apart, for they assign the beds themselves."""

    key: str = text(36, path="exchange.key")
    hotel_code: str = text(20, path="housing.hotel")
    group_no: str = text(20, path="group.no")
    check_in: date = plain(path="housing.dates")
    check_out: date = plain(path="housing.dates")
    total: Decimal = decimal(14, 2, path="housing.price")
    currency: str = text(3, pattern=r"[A-Z]{3}", path="housing.price")
    heads: int = integer(1, 999, path="housing.heads")
    rooms: list[RoomWanted] = plain(default=[])
    guests: list[Guest] = plain(default=[])

    @classmethod
    def project(cls, case: Case, subject: Subject) -> Self | None:
        order = BookingOrder.project(case, subject)
        if order is None:
            return None
        line = next(h for h in case.programme.housing if h.line == subject.id)
        return cls(
            key=order.key,
            hotel_code=order.hotel_code,
            group_no=order.group_no,
            check_in=order.check_in,
            check_out=order.check_out,
            total=order.total,
            currency=order.currency,
            heads=order.heads,
            rooms=[RoomWanted(kind=r.kind, board=r.board, beds=r.beds, rate=r.rate) for r in line.rooms],
            guests=[guest for room in order.rooms for guest in room.guests],
        )


@canonical
class BookingWithdrawn:
    """A house takes back what it had confirmed: a person must find other beds."""

    notice_no: str = text(40, path="exchange.notice")
    key: str = text(36, path="exchange.key")
    outcome: str = text(9, one_of=("cancelled",), path="housing.outcome")
    reason: str | None = text(20, path="housing.reason", default=None)


@canonical
class RoomCount:
    """How many rooms of a kind are free, each night from ``starts_on`` to ``ends_on``, both included."""

    kind: str = text(6, one_of=codes.ROOMS, path="housing.rooms")
    starts_on: date = plain(path="housing.dates")
    ends_on: date = plain(path="housing.dates")
    free: int = integer(0, 9999, path="housing.rooms")


@canonical
class Inventory:
    """What a house has free."""

    notice_no: str = text(40, path="exchange.notice")
    hotel_code: str = text(20, path="housing.hotel")
    counts: list[RoomCount] = plain(default=[])
