"""Messages of the three maps that the language was designed with; the hub itself does not carry them."""

from datetime import date, datetime
from decimal import Decimal

from hub.canonical.declare import canonical, decimal, integer, plain, text
from hub.canonical.messages import Statement

Day = date

STATES = ("IDN", "PAK", "EGY", "NGA", "TUR", "SAU")


@canonical
class Passport:
    number: str = text(9, pattern=r"[A-Z0-9]+", path="document.number", personal=True)
    type: str = text(10, one_of=("ordinary", "diplomatic", "service"), path="document.kind")
    issuing_country: str = text(3, one_of=STATES, path="document.issuing_state")
    issue_date: date = plain(path="document.issued_on", personal=True)
    expiry_date: date = plain(path="document.expires_on", personal=True)
    issue_place: str | None = text(40, path="document.issue_place", personal=True, default=None)


@canonical
class Name:
    given: str = text(40, path="person.name", personal=True)
    father: str | None = text(40, path="person.name", personal=True, default=None)
    family: str = text(40, path="person.name", personal=True)
    given_ar: str | None = text(40, path="person.name_ar", personal=True, default=None)
    family_ar: str | None = text(40, path="person.name_ar", personal=True, default=None)


@canonical
class Contact:
    phone: str = text(16, pattern=r"\+[1-9][0-9]{6,14}", path="person.contact", personal=True)
    email: str | None = text(60, path="person.contact", personal=True, default=None)
    address: str = text(60, path="person.contact", personal=True)
    city: str | None = text(40, path="person.contact", personal=True, default=None)
    country: str = text(3, one_of=STATES, path="person.contact")


@canonical
class Travel:
    arrival_date: date = plain(path="passage.date")
    departure_date: date = plain(path="passage.date")
    port: str = text(5, path="passage.port")
    mode: str = text(4, one_of=("air", "sea", "land"), path="passage.mode")


RELATIONS = ("husband", "father", "brother", "son", "mother", "sister", "daughter", "wife", "guardian")


@canonical
class Companion:
    passport_number: str = text(9, pattern=r"[A-Z0-9]+", path="companion.number", personal=True)
    relation: str = text(8, one_of=RELATIONS, path="companion.relation", personal=True)


@canonical
class Vaccination:
    code: str = text(10, path="health.vaccination", personal=True)
    date: Day = plain(path="health.vaccination", personal=True)


@canonical
class Fee:
    amount: Decimal = decimal(10, 2, path="fee")
    currency: str = text(3, pattern=r"[A-Z]{3}", path="fee")


@canonical
class VisaRequest:
    request_id: str = text(36, path="request.no")
    submitted_at: datetime = plain(path="request.at")
    season: int = integer(1400, 1500, path="group.season")
    agent_code: str = text(20, path="agent.code")
    visa_type: str = text(5, one_of=("hajj", "umrah"), path="visa.kind")
    group_no: str | None = text(20, path="group.no", default=None)
    passport: Passport = plain()
    name: Name = plain()
    gender: str = text(6, one_of=("male", "female"), path="person.sex", personal=True)
    birth_date: date = plain(path="person.birth_date", personal=True)
    birth_place: str = text(40, path="person.birth_place", personal=True)
    nationality: str = text(3, one_of=STATES, path="person.nationality")
    marital_status: str | None = text(
        8, one_of=("single", "married", "widowed", "divorced"), path="person.marital_status", default=None
    )
    occupation: str | None = text(40, path="person.profession", personal=True, default=None)
    contact: Contact = plain()
    travel: Travel = plain()
    companion: Companion | None = plain(default=None)
    vaccinations: list[Vaccination] = plain(default=[])
    fee: Fee = plain()


@canonical
class SettlementLine:
    txn_id: str = text(16, path="payment.reference")
    booked_on: date = plain(path="payment.at")
    amount: Decimal = decimal(14, 2, path="payment.amount")
    fee: Decimal = decimal(10, 2, path="payment.amount")
    bill_no: str | None = text(20, path="voucher.bill_no", default=None)
    status: str = text(8, one_of=("settled", "refunded", "rejected"), path="payment.outcome")
    payer_name: str | None = text(60, path="person.name", personal=True, default=None)


@canonical
class SettlementFile:
    created_on: date = plain(path="exchange.at")
    hijri_value_date: date = plain(path="payment.at")
    file_no: int = integer(1, 999_999_999, path="exchange.sequence")
    currency: str = text(3, pattern=r"[A-Z]{3}", path="payment.amount")
    lines: list[SettlementLine] = plain(default=[])


@canonical
class Guest:
    passport_number: str = text(9, path="document.number", personal=True)
    nationality: str = text(3, one_of=STATES, path="person.nationality")
    given: str = text(40, path="person.name", personal=True)
    family: str = text(40, path="person.name", personal=True)
    birth_date: date = plain(path="person.birth_date", personal=True)
    is_lead: bool = plain()


@canonical
class Room:
    kind: str = text(6, one_of=("single", "double", "triple", "quad"), path="housing.rooms")
    board: str = text(9, one_of=("none", "breakfast", "half", "full"), path="housing.rooms")
    rate: Decimal = decimal(10, 2, path="housing.price")
    guests: list[Guest] = plain(default=[])


@canonical
class HotelBooking:
    booking_id: str = text(36, path="exchange.key")
    hotel_code: str = text(20, path="housing.hotel")
    check_in: date = plain(path="housing.dates")
    check_out: date = plain(path="housing.dates")
    total: Decimal = decimal(12, 2, path="housing.price")
    currency: str = text(3, path="housing.price")
    rooms: list[Room] = plain(default=[])
    remarks: str | None = text(200, path="housing.remarks", default=None)


@canonical
class Licence:
    number: str = text(10, path="licence.number")
    expires_on: date | None = plain(path="licence.number", default=None)


@canonical
class Driver:
    name: str = text(40, path="driver.name", personal=True)
    born: date = plain(path="driver.born", personal=True)
    licence: Licence | None = plain(default=None)
    phone: str | None = text(16, pattern=r"\+[1-9][0-9]{6,14}", path="driver.contact", personal=True, default=None)
    trips: int = integer(0, 99_999, path="driver.trips")
    score: Decimal = decimal(6, 2, signed=True, path="driver.score")
    active: bool = plain(path="driver.active")
    seen_at: datetime | None = plain(path="driver.seen", default=None)
    grade: str = text(6, one_of=("gold", "silver"), path="driver.grade", default="silver")
    note: str | None = text(80, path="driver.note", default=None)


@canonical
class Drivers:
    rows: list[Driver] = plain(default=[])


@canonical
class Vehicle:
    """A message with a part that is there only under a condition."""

    plate: str = text(10, path="vehicle.plate")
    kind: str = text(5, one_of=("bus", "train"), path="vehicle.kind")
    driver: Driver | None = plain(default=None)
    seats: list[Licence] = plain(default=[])
    total: Decimal = decimal(8, 2, path="vehicle.total")


@canonical
class Paper:
    """A travel document as a carrier lists it."""

    kind: str = text(3, path="document.kind")
    number: str = text(35, path="document.number", personal=True)
    expires_on: date | None = plain(path="document.expires_on", personal=True, default=None)
    issued_by: str | None = text(3, path="document.issuing_state", default=None)


@canonical
class Traveller:
    family: str = text(35, path="person.name", personal=True)
    given: str | None = text(35, path="person.name", personal=True, default=None)
    sex: str | None = text(11, one_of=("male", "female", "unspecified"), path="person.sex", default=None)
    birth_date: date | None = plain(path="person.birth_date", personal=True, default=None)
    embarked: str | None = text(5, path="movement.port", default=None)
    disembarked: str | None = text(5, path="movement.port", default=None)
    nationality: str | None = text(3, path="person.nationality", default=None)
    locator: str | None = text(35, path="movement.booking", personal=True, default=None)
    seat: str | None = text(35, path="movement.seat", personal=True, default=None)
    papers: list[Paper] = plain(default=[])


@canonical
class Call:
    """A port on the way.  Its times are those of its own clocks, so they stay the digits that they are."""

    role: str = text(9, one_of=("departure", "arrival", "stop"), path="movement.port")
    port: str = text(5, path="movement.port")
    leaves: str | None = text(12, pattern="[0-9]+", path="movement.at", default=None)
    arrives: str | None = text(12, pattern="[0-9]+", path="movement.at", default=None)


@canonical
class Leg:
    flight: str = text(17, path="movement.carrier")
    carrier: str | None = text(17, path="movement.carrier", default=None)
    calls: list[Call] = plain(default=[])


@canonical
class PassengerManifest:
    sender: str = text(35, path="exchange.partner")
    recipient: str = text(35, path="exchange.partner")
    sent_at: datetime = plain(path="exchange.at")
    interchange: str = text(35, path="exchange.key")
    message: str = text(35, path="exchange.key")
    kind: str = text(10, one_of=("passengers", "crew"), path="movement.kind")
    legs: list[Leg] = plain(default=[])
    travellers: list[Traveller] = plain(default=[])


@canonical
class Figure:
    amount: Decimal = decimal(14, 2, path="statement.balance")
    currency: str = text(3, pattern=r"[A-Z]{3}", path="statement.balance")
    direction: str = text(6, one_of=("credit", "debit"), path="statement.balance")
    on: date = plain(path="statement.balance")


@canonical
class Ledger:
    reference: str = text(16, path="statement.no")
    account: str = text(35, path="statement.account")
    number: str = text(5, path="statement.no")
    opening: Figure = plain()
    closing: Figure = plain()


MESSAGES: dict[str, type] = {
    cls.__name__: cls
    for cls in (VisaRequest, SettlementFile, HotelBooking, Drivers, Vehicle, PassengerManifest, Statement, Ledger)
}
