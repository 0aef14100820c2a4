"""The canonical model: who travels, with what papers, on which programme, paid by which voucher.

Field names follow ICAO 9303 (documents), ISO 3166 (states, alpha-3, with ICAO's own codes such as XXA),
ISO 4217 (currencies) and the trade's words (BRN: the booking reference number of a paid booking).
Dates are Gregorian; Hijri dates exist only at the edges.
"""

from datetime import date, datetime
from decimal import Decimal

from hub.canonical import codes
from hub.canonical.declare import canonical, decimal, integer, plain, text

STATE = r"[A-Z]{1,3}"
DOCUMENT_NUMBER = r"[A-Z0-9]{5,12}"
MRZ = r"[A-Z0-9<]{36,44}\n[A-Z0-9<]{36,44}"


@canonical
class Name:
    """A name of up to four parts.  A person with one name has it in ``family`` and nothing in ``given``."""

    given: str | None = text(60, path="person.name", personal=True, default=None)
    father: str | None = text(60, path="person.name", personal=True, default=None)
    grandfather: str | None = text(60, path="person.name", personal=True, default=None)
    family: str = text(60, path="person.name", personal=True)


@canonical
class ArabicName:
    """The same four parts in Arabic script."""

    given: str | None = text(60, path="person.name_ar", personal=True, default=None)
    father: str | None = text(60, path="person.name_ar", personal=True, default=None)
    grandfather: str | None = text(60, path="person.name_ar", personal=True, default=None)
    family: str | None = text(60, path="person.name_ar", personal=True, default=None)


@canonical
class Person:
    """The pilgrim (mu'tamir).  ``birth_known`` says how much of the birth date is known."""

    name: Name = plain()
    name_ar: ArabicName | None = plain(default=None)
    sex: str = text(11, one_of=codes.SEX, path="person.sex", personal=True)
    birth_date: date = plain(path="person.birth_date", personal=True)
    birth_known: str = text(5, one_of=("day", "month", "year"), path="person.birth_date", default="day")
    birth_place: str | None = text(60, path="person.birth_place", personal=True, default=None)
    nationality: str = text(3, pattern=STATE, path="person.nationality")
    residence: str = text(3, pattern=STATE, path="person.residence")
    marital_status: str | None = text(
        8, one_of=codes.MARITAL, path="person.marital_status", personal=True, default=None
    )
    profession: str | None = text(60, path="person.profession", personal=True, default=None)
    mobile: str | None = text(16, pattern=r"\+[1-9][0-9]{6,14}", path="person.contact", personal=True, default=None)
    email: str | None = text(120, pattern=r"[^@\s]+@[^@\s]+", path="person.contact", personal=True, default=None)


@canonical
class Document:
    """A travel document.  ``mrz`` holds the two TD3 lines joined by a line feed, exactly as read."""

    kind: str = text(15, one_of=codes.DOCUMENT_KINDS, path="document.kind", default="ordinary")
    number: str = text(12, pattern=DOCUMENT_NUMBER, path="document.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="document.issuing_state")
    issued_on: date = plain(path="document.issued_on", personal=True)
    expires_on: date = plain(path="document.expires_on", personal=True)
    issue_place: str | None = text(60, path="document.issue_place", personal=True, default=None)
    mrz: str | None = text(92, pattern=MRZ, path="document.mrz", personal=True, default=None)


@canonical
class Companion:
    """Who travels with a pilgrim that may not travel alone: a member of the same group, named by document."""

    number: str = text(12, pattern=DOCUMENT_NUMBER, path="companion.number", personal=True)
    issuing_state: str = text(3, pattern=STATE, path="companion.issuing_state")
    relation: str = text(20, one_of=codes.RELATIONS, path="companion.relation", personal=True)


@canonical
class Room:
    kind: str = text(6, one_of=codes.ROOMS, path="housing.rooms")
    board: str = text(9, one_of=codes.BOARD, path="housing.rooms", default="none")
    beds: int = integer(1, 9, path="housing.rooms")
    rate: Decimal = decimal(12, 2, path="housing.price")


@canonical
class HousingLine:
    """Nights in one licensed house: from ``check_in`` to ``check_out`` (the morning of leaving)."""

    line: str = text(8, pattern=r"H[0-9]{1,3}", path="housing.line")
    hotel_code: str = text(20, path="housing.hotel")
    licence: str = text(20, path="housing.licence")
    city: str = text(8, one_of=codes.CITIES, path="housing.city")
    check_in: date = plain(path="housing.dates")
    check_out: date = plain(path="housing.dates")
    heads: int = integer(1, 999, path="housing.heads")
    rooms: list[Room] = plain(default=[])
    price: Decimal = decimal(14, 2, path="housing.price")
    brn: str | None = text(20, path="housing.brn", default=None)


@canonical
class TransportLine:
    """One inland leg."""

    line: str = text(8, pattern=r"T[0-9]{1,3}", path="transport.line")
    company_code: str = text(20, path="transport.company")
    mode: str = text(4, one_of=("land", "rail"), path="transport.mode", default="land")
    vehicle: str = text(7, one_of=codes.VEHICLES, path="transport.vehicle", default="bus")
    origin: str = text(8, one_of=codes.CITIES, path="transport.route")
    destination: str = text(8, one_of=codes.CITIES, path="transport.route")
    departs_on: date = plain(path="transport.dates")
    seats: int = integer(1, 999, path="transport.seats")
    price: Decimal = decimal(14, 2, path="transport.price")
    brn: str | None = text(20, path="transport.brn", default=None)


@canonical
class Passage:
    """The journey into or out of the Kingdom: a flight, a ship, a coach, with its port (IATA or UN/LOCODE)."""

    mode: str = text(4, one_of=codes.MODES, path="passage.mode", default="air")
    carrier: str = text(3, path="passage.carrier")
    number: str = text(8, path="passage.number")
    port: str = text(5, pattern=r"[A-Z0-9]{3,5}", path="passage.port")
    on: date = plain(path="passage.date")
    ticket: str | None = text(20, path="passage.ticket", default=None)


@canonical
class Insurance:
    policy: str = text(30, path="insurance.policy")
    insurer: str = text(20, path="insurance.insurer")
    starts_on: date = plain(path="insurance.dates")
    ends_on: date = plain(path="insurance.dates")
    price: Decimal = decimal(14, 2, path="insurance.price")


@canonical
class Service:
    """A ground, additional or enrichment service of the programme."""

    kind: str = text(12, one_of=codes.GROUND_SERVICES, path="service.kind")
    code: str = text(20, path="service.code")
    price: Decimal = decimal(14, 2, path="service.price")


@canonical
class Programme:
    """What a group has bought: every night housed, every leg carried, insured, with tickets in and out."""

    arrival: Passage = plain()
    departure: Passage = plain()
    housing: list[HousingLine] = plain(default=[])
    transport: list[TransportLine] = plain(default=[])
    insurance: Insurance | None = plain(default=None)
    services: list[Service] = plain(default=[])


@canonical
class VoucherLine:
    kind: str = text(10, one_of=codes.VOUCHER_LINES, path="voucher.lines")
    amount: Decimal = decimal(14, 2, path="voucher.lines")


@canonical
class Visa:
    """The visa as printed: number, validity and the two lines of its machine readable zone (ICAO 9303-7, MRV-A)."""

    number: str = text(12, path="visa.number", personal=True)
    issued_on: date = plain(path="visa.dates")
    enter_by: date | None = plain(path="visa.dates", default=None)
    stay_days: int = integer(1, 365, path="visa.dates")
    mrz: str | None = text(92, pattern=MRZ, path="visa.mrz", personal=True, default=None)


@canonical
class Movement:
    """One crossing of the border, or what a carrier announces of it."""

    kind: str = text(11, one_of=codes.MOVEMENTS, path="movement.kind")
    border_no: str | None = text(12, path="movement.border_no", personal=True, default=None)
    port: str = text(5, path="movement.port")
    at: datetime = plain(path="movement.at")
