"""What the measurements carry: a line of thirty typed fields, and a visa application with a part and a list."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hub.canonical.declare import canonical, decimal, integer, plain, text

STATES = ("BGD", "DZA", "EGY", "IDN", "IND", "MAR", "MYS", "NGA", "PAK", "TUR")
SEXES = ("female", "male")
MARITAL = ("divorced", "married", "single", "widowed")
_CODE = r"[A-Z0-9-]+"


@canonical
class PilgrimLine:
    request_id: str = text(20, pattern=_CODE)
    given_names: str = text(30, personal=True)
    surname: str = text(30, personal=True)
    local_name: str | None = text(40, personal=True, default=None)
    passport: str = text(12, pattern=r"[A-Z0-9]{6,12}", personal=True)
    issued_on: date = plain(personal=True)
    expires_on: date = plain(personal=True)
    issuing_state: str = text(3, one_of=STATES)
    mrz_line: str = text(44, pattern=r"[A-Z0-9<]{44}", personal=True)
    nationality: str = text(3, one_of=STATES)
    born_on: date = plain(personal=True)
    sex: str = text(6, one_of=SEXES, personal=True)
    birth_place: str | None = text(20, personal=True, default=None)
    marital_status: str = text(8, one_of=MARITAL, personal=True)
    agent_code: str = text(8, pattern=_CODE)
    agent_licence: str = text(16, pattern=_CODE)
    season: int = integer(1400, 1500)
    programme: str = text(10, pattern=_CODE)
    package: str = text(14, pattern=_CODE)
    arrives_on: date = plain()
    leaves_on: date = plain()
    port: str = text(3, pattern=r"[A-Z]{3}")
    flight: str | None = text(8, pattern=r"[A-Z0-9]{3,8}", default=None)
    makkah_hotel: str = text(14, pattern=_CODE)
    madinah_hotel: str = text(14, pattern=_CODE)
    transport: str = text(14, pattern=_CODE)
    mobile: str = text(16, pattern=r"\+[0-9]{8,15}", personal=True)
    email: str | None = text(22, personal=True, default=None)
    fee: Decimal = decimal(9, 2)
    currency: str = text(3, pattern=r"[A-Z]{3}")


@canonical
class PilgrimFile:
    lines: list[PilgrimLine] = plain()


@canonical
class Document:
    number: str = text(12, pattern=r"[A-Z0-9]{6,12}", personal=True)
    issuing_state: str = text(3, one_of=STATES)
    issued_on: date = plain(personal=True)
    expires_on: date = plain(personal=True)
    issue_place: str | None = text(40, personal=True, default=None)


@canonical
class Companion:
    passport: str = text(12, pattern=r"[A-Z0-9]{6,12}", personal=True)
    relation: str = text(8, one_of=("brother", "father", "husband", "son"), personal=True)


@canonical
class Vaccination:
    code: str = text(10, pattern=_CODE, personal=True)
    given_on: date = plain(personal=True)


@canonical
class Application:
    request_id: str = text(36, pattern=_CODE)
    submitted_at: datetime = plain()
    season: int = integer(1400, 1500)
    agent_code: str = text(20, pattern=_CODE)
    group_no: str | None = text(20, default=None)
    document: Document = plain()
    given_names: str = text(40, personal=True)
    father: str | None = text(40, personal=True, default=None)
    surname: str = text(40, personal=True)
    sex: str = text(6, one_of=SEXES, personal=True)
    born_on: date = plain(personal=True)
    birth_place: str | None = text(40, personal=True, default=None)
    nationality: str = text(3, one_of=STATES)
    marital_status: str = text(8, one_of=MARITAL, personal=True)
    occupation: str | None = text(40, personal=True, default=None)
    mobile: str = text(16, pattern=r"\+[0-9]{8,15}", personal=True)
    email: str | None = text(60, personal=True, default=None)
    address: str = text(60, personal=True)
    city: str | None = text(40, personal=True, default=None)
    arrives_on: date = plain()
    leaves_on: date = plain()
    port: str = text(5, pattern=r"[A-Z]{3,5}")
    mode: str = text(4, one_of=("air", "land", "sea"))
    guarded: bool = plain()
    companion: Companion | None = plain(default=None)
    vaccinations: list[Vaccination] = plain(default=[])
    fee: Decimal = decimal(10, 2)
    currency: str = text(3, pattern=r"[A-Z]{3}")


MESSAGES: dict[str, type] = {cls.__name__: cls for cls in (Application, PilgrimFile)}

_GIVEN = ("AHMAD", "FATIMA ZAHRA", "YUSUF", "AISHA", "OMAR", "MARYAM", "IBRAHIM", "KHADIJA")
_FAMILY = ("BENALI", "RAHMAN", "KHAN", "YILMAZ", "AL-HASSAN", "MUSA", "ISLAM", "OTHMAN")


def _day(chance: random.Random, first: int, last: int) -> date:
    return date.fromordinal(chance.randint(date(first, 1, 1).toordinal(), date(last, 12, 31).toordinal()))


def line(number: int, chance: random.Random) -> PilgrimLine:
    """An invented pilgrim; the same for the same *number* and the same state of *chance*."""
    state, issued, arrives = chance.choice(STATES), _day(chance, 2020, 2025), _day(chance, 2026, 2026)
    passport = f"{chance.choice('ABCDEFG')}{chance.choice('ABCDEFG')}{chance.randint(10**6, 10**7 - 1)}"
    return PilgrimLine(
        request_id=f"REQ-2026-{number:08d}",
        given_names=chance.choice(_GIVEN),
        surname=chance.choice(_FAMILY),
        local_name="LOCAL NAME" if number % 3 else None,
        passport=passport,
        issued_on=issued,
        expires_on=issued + timedelta(days=3650),
        issuing_state=state,
        mrz_line=f"{passport}0{state}8507129F3203134".ljust(42, "<") + "02",
        nationality=state,
        born_on=_day(chance, 1940, 2005),
        sex=chance.choice(SEXES),
        birth_place=f"CITY {number % 97}",
        marital_status=chance.choice(MARITAL),
        agent_code=f"AGT{number % 1000:05d}",
        agent_licence=f"MOH-2026-{number % 99999:05d}",
        season=1447,
        programme="UMRAH-1447",
        package="PKG-GOLD-14",
        arrives_on=arrives,
        leaves_on=arrives + timedelta(days=18),
        port=chance.choice(("JED", "MED")),
        flight=f"SV{chance.randint(100, 999)}" if number % 5 else None,
        makkah_hotel=f"MKH-HTL-{chance.randint(0, 9999):04d}",
        madinah_hotel=f"MDN-HTL-{chance.randint(0, 9999):04d}",
        transport="BUS-BADR-22",
        mobile=f"+2126{chance.randint(10**7, 10**8 - 1)}",
        email=f"p{number}@agent.example",
        fee=Decimal(chance.randint(100_000, 999_999)).scaleb(-2),
        currency="SAR",
    )


def application(number: int, chance: random.Random) -> Application:
    """An invented application; the same for the same *number* and the same state of *chance*."""
    one = line(number, chance)
    return Application(
        request_id=one.request_id,
        submitted_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        season=one.season,
        agent_code=one.agent_code,
        group_no=f"G{number}",
        document=Document(
            number=one.passport,
            issuing_state=one.issuing_state,
            issued_on=one.issued_on,
            expires_on=one.expires_on,
            issue_place="CITY OFFICE",
        ),
        given_names=one.given_names,
        father=chance.choice(_GIVEN),
        surname=one.surname,
        sex=one.sex,
        born_on=one.born_on,
        birth_place=one.birth_place,
        nationality=one.nationality,
        marital_status=one.marital_status,
        occupation="TEACHER",
        mobile=one.mobile,
        email=one.email,
        address="12 HILL STREET & LANE",
        city=None,
        arrives_on=one.arrives_on,
        leaves_on=one.leaves_on,
        port=one.port,
        mode="air",
        guarded=number % 2 == 0,
        companion=Companion(passport=one.passport, relation="husband") if number % 2 else None,
        vaccinations=[Vaccination(code=f"VAC-{n}", given_on=one.issued_on) for n in range(3)],
        fee=one.fee,
        currency=one.currency,
    )
