"""The same work as the maps of this folder, as a person writes it for one partner: the same checks, the same types.

Nothing here is slowed down to flatter the maps; what the maps do besides, such as naming the column of an error, is
done here as far as somebody would who has to live with the code.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from unicodedata import is_normalized
from xml.sax.saxutils import escape

from hub.bench.messages import STATES as STATE_CODES
from hub.bench.messages import Application, Companion, Document, PilgrimLine, Vaccination
from hub.security import xml

CODE = re.compile(r"[A-Z0-9-]+").fullmatch
PASSPORT = re.compile(r"[A-Z0-9]{6,12}").fullmatch
MRZ = re.compile(r"[A-Z0-9<]{44}").fullmatch
LETTERS = re.compile(r"[A-Z]{3}").fullmatch
PORT = re.compile(r"[A-Z]{3,5}").fullmatch
FLIGHT = re.compile(r"[A-Z0-9]{3,8}").fullmatch
MOBILE = re.compile(r"\+[0-9]{8,15}").fullmatch
AMOUNT = re.compile(r"[0-9]{1,8}\.[0-9]{2}").fullmatch
STATES = frozenset(STATE_CODES)
MODES = frozenset(("air", "land", "sea"))
RELATIONS = frozenset(("brother", "father", "husband", "son"))
SEX = {"F": "female", "M": "male"}
MARITAL = {"D": "divorced", "M": "married", "S": "single", "W": "widowed"}
SEX_OUT = {ours: theirs for theirs, ours in SEX.items()}
MARITAL_OUT = {ours: theirs for theirs, ours in MARITAL.items()}
FORMULA = frozenset("=+-@\t\r\0'")


class Wrong(ValueError):
    def __init__(self, row: int, field: str) -> None:
        super().__init__(f"row {row}: {field}")


# --- fixed width --------------------------------------------------------------------------------------------------


def read_fixed(lines: Iterable[str]) -> Iterator[PilgrimLine]:
    for number, text in enumerate(lines, 1):
        line = text.rstrip("\r\n")
        if len(line) != 400:
            raise Wrong(number, "length")
        if line[399:].strip():
            raise Wrong(number, "filler")
        request_id = line[0:20].strip()
        if not CODE(request_id):
            raise Wrong(number, "request_id")
        given_names = line[20:50].strip()
        if not given_names or not given_names.isprintable() or not is_normalized("NFC", given_names):
            raise Wrong(number, "given_names")
        surname = line[50:80].strip()
        if not surname or not surname.isprintable() or not is_normalized("NFC", surname):
            raise Wrong(number, "surname")
        local_name = line[80:120].strip()
        if not local_name.isprintable() or not is_normalized("NFC", local_name):
            raise Wrong(number, "local_name")
        passport = line[120:132].strip()
        if not PASSPORT(passport):
            raise Wrong(number, "passport")
        issued_on = line[132:140].strip()
        if len(issued_on) != 8 or not issued_on.isdigit():
            raise Wrong(number, "issued_on")
        expires_on = line[140:148].strip()
        if len(expires_on) != 8 or not expires_on.isdigit():
            raise Wrong(number, "expires_on")
        issuing_state = line[148:151].strip()
        if issuing_state not in STATES:
            raise Wrong(number, "issuing_state")
        mrz_line = line[151:195].strip()
        if not MRZ(mrz_line):
            raise Wrong(number, "mrz_line")
        nationality = line[195:198].strip()
        if nationality not in STATES:
            raise Wrong(number, "nationality")
        born_on = line[198:206].strip()
        if len(born_on) != 8 or not born_on.isdigit():
            raise Wrong(number, "born_on")
        sex = SEX.get(line[206:207].strip())
        if sex is None:
            raise Wrong(number, "sex")
        birth_place = line[207:227].strip()
        if not birth_place.isprintable() or not is_normalized("NFC", birth_place):
            raise Wrong(number, "birth_place")
        marital_status = MARITAL.get(line[227:228].strip())
        if marital_status is None:
            raise Wrong(number, "marital_status")
        agent_code = line[228:236].strip()
        if not CODE(agent_code):
            raise Wrong(number, "agent_code")
        agent_licence = line[236:252].strip()
        if not CODE(agent_licence):
            raise Wrong(number, "agent_licence")
        season = line[252:256].strip()
        if not season.isdigit() or not 1400 <= int(season) <= 1500:
            raise Wrong(number, "season")
        programme = line[256:266].strip()
        if not CODE(programme):
            raise Wrong(number, "programme")
        package = line[266:280].strip()
        if not CODE(package):
            raise Wrong(number, "package")
        arrives_on = line[280:288].strip()
        if len(arrives_on) != 8 or not arrives_on.isdigit():
            raise Wrong(number, "arrives_on")
        leaves_on = line[288:296].strip()
        if len(leaves_on) != 8 or not leaves_on.isdigit():
            raise Wrong(number, "leaves_on")
        port = line[296:299].strip()
        if not LETTERS(port):
            raise Wrong(number, "port")
        flight = line[299:307].strip()
        if flight and not FLIGHT(flight):
            raise Wrong(number, "flight")
        makkah_hotel = line[307:321].strip()
        if not CODE(makkah_hotel):
            raise Wrong(number, "makkah_hotel")
        madinah_hotel = line[321:335].strip()
        if not CODE(madinah_hotel):
            raise Wrong(number, "madinah_hotel")
        transport = line[335:349].strip()
        if not CODE(transport):
            raise Wrong(number, "transport")
        mobile = line[349:365].strip()
        if not MOBILE(mobile):
            raise Wrong(number, "mobile")
        email = line[365:387].strip()
        if not email.isprintable() or not is_normalized("NFC", email):
            raise Wrong(number, "email")
        fee = line[387:396].strip()
        if not fee.isdigit():
            raise Wrong(number, "fee")
        currency = line[396:399].strip()
        if not LETTERS(currency):
            raise Wrong(number, "currency")
        yield PilgrimLine(
            request_id=request_id,
            given_names=given_names,
            surname=surname,
            local_name=local_name or None,
            passport=passport,
            issued_on=date.fromisoformat(issued_on),
            expires_on=date.fromisoformat(expires_on),
            issuing_state=issuing_state,
            mrz_line=mrz_line,
            nationality=nationality,
            born_on=date.fromisoformat(born_on),
            sex=sex,
            birth_place=birth_place or None,
            marital_status=marital_status,
            agent_code=agent_code,
            agent_licence=agent_licence,
            season=int(season),
            programme=programme,
            package=package,
            arrives_on=date.fromisoformat(arrives_on),
            leaves_on=date.fromisoformat(leaves_on),
            port=port,
            flight=flight or None,
            makkah_hotel=makkah_hotel,
            madinah_hotel=madinah_hotel,
            transport=transport,
            mobile=mobile,
            email=email or None,
            fee=Decimal(f"{fee[:-2]}.{fee[-2:]}"),
            currency=currency,
        )


def fit(text: str, width: int) -> str:
    text = text.strip()
    if len(text) > width or not text.isprintable():
        raise ValueError("does not fit")
    return text.ljust(width)


def write_fixed(lines: Iterable[PilgrimLine]) -> Iterator[str]:
    for one in lines:
        yield "".join(
            (
                fit(one.request_id, 20),
                fit(one.given_names, 30),
                fit(one.surname, 30),
                fit(one.local_name or "", 40),
                fit(one.passport, 12),
                one.issued_on.isoformat().replace("-", ""),
                one.expires_on.isoformat().replace("-", ""),
                fit(one.issuing_state, 3),
                fit(one.mrz_line, 44),
                fit(one.nationality, 3),
                one.born_on.isoformat().replace("-", ""),
                SEX_OUT[one.sex],
                fit(one.birth_place or "", 20),
                MARITAL_OUT[one.marital_status],
                fit(one.agent_code, 8),
                fit(one.agent_licence, 16),
                str(one.season).zfill(4),
                fit(one.programme, 10),
                fit(one.package, 14),
                one.arrives_on.isoformat().replace("-", ""),
                one.leaves_on.isoformat().replace("-", ""),
                fit(one.port, 3),
                fit(one.flight or "", 8),
                fit(one.makkah_hotel, 14),
                fit(one.madinah_hotel, 14),
                fit(one.transport, 14),
                fit(one.mobile, 16),
                fit(one.email or "", 22),
                str(int(one.fee * 100)).zfill(9),
                fit(one.currency, 3),
                " \n",
            )
        )


# --- csv ----------------------------------------------------------------------------------------------------------

HEADING = [
    "Request Id",
    "Given Names",
    "Surname",
    "Local Name",
    "Passport",
    "Issued On",
    "Expires On",
    "Issuing State",
    "Mrz Line",
    "Nationality",
    "Born On",
    "Sex",
    "Birth Place",
    "Marital Status",
    "Agent Code",
    "Agent Licence",
    "Season",
    "Programme",
    "Package",
    "Arrives On",
    "Leaves On",
    "Port",
    "Flight",
    "Makkah Hotel",
    "Madinah Hotel",
    "Transport",
    "Mobile",
    "Email",
    "Fee",
    "Currency",
]


def read_csv(text: Iterable[str]) -> Iterator[PilgrimLine]:
    rows = csv.reader(text, strict=True)
    heading = [name.strip().lower() for name in next(rows)]
    order = [heading.index(name.lower()) for name in HEADING]
    for number, row in enumerate(rows, 2):
        if len(row) != len(heading):
            raise Wrong(number, "length")
        cells = [row[place] for place in order]
        request_id = cells[0].strip()
        if not CODE(request_id) or len(request_id) > 20:
            raise Wrong(number, "request_id")
        given_names = cells[1].strip()
        if (
            not given_names
            or not given_names.isprintable()
            or not is_normalized("NFC", given_names)
            or len(given_names) > 30
        ):
            raise Wrong(number, "given_names")
        if given_names[:1] in FORMULA:
            raise Wrong(number, "given_names")
        surname = cells[2].strip()
        if not surname or not surname.isprintable() or not is_normalized("NFC", surname) or len(surname) > 30:
            raise Wrong(number, "surname")
        if surname[:1] in FORMULA:
            raise Wrong(number, "surname")
        local_name = cells[3].strip()
        if not local_name.isprintable() or not is_normalized("NFC", local_name) or len(local_name) > 40:
            raise Wrong(number, "local_name")
        if local_name[:1] in FORMULA:
            raise Wrong(number, "local_name")
        passport = cells[4].strip()
        if not PASSPORT(passport) or len(passport) > 12:
            raise Wrong(number, "passport")
        issued_on = cells[5].strip()
        if len(issued_on) != 10 or issued_on[4] != "-" or issued_on[7] != "-":
            raise Wrong(number, "issued_on")
        expires_on = cells[6].strip()
        if len(expires_on) != 10 or expires_on[4] != "-" or expires_on[7] != "-":
            raise Wrong(number, "expires_on")
        issuing_state = cells[7].strip()
        if issuing_state not in STATES:
            raise Wrong(number, "issuing_state")
        mrz_line = cells[8].strip()
        if not MRZ(mrz_line) or len(mrz_line) > 44:
            raise Wrong(number, "mrz_line")
        nationality = cells[9].strip()
        if nationality not in STATES:
            raise Wrong(number, "nationality")
        born_on = cells[10].strip()
        if len(born_on) != 10 or born_on[4] != "-" or born_on[7] != "-":
            raise Wrong(number, "born_on")
        sex = SEX.get(cells[11].strip())
        if sex is None:
            raise Wrong(number, "sex")
        birth_place = cells[12].strip()
        if not birth_place.isprintable() or not is_normalized("NFC", birth_place) or len(birth_place) > 20:
            raise Wrong(number, "birth_place")
        if birth_place[:1] in FORMULA:
            raise Wrong(number, "birth_place")
        marital_status = MARITAL.get(cells[13].strip())
        if marital_status is None:
            raise Wrong(number, "marital_status")
        agent_code = cells[14].strip()
        if not CODE(agent_code) or len(agent_code) > 8:
            raise Wrong(number, "agent_code")
        agent_licence = cells[15].strip()
        if not CODE(agent_licence) or len(agent_licence) > 16:
            raise Wrong(number, "agent_licence")
        season = cells[16].strip()
        if not season.isdigit() or not 1400 <= int(season) <= 1500:
            raise Wrong(number, "season")
        programme = cells[17].strip()
        if not CODE(programme) or len(programme) > 10:
            raise Wrong(number, "programme")
        package = cells[18].strip()
        if not CODE(package) or len(package) > 14:
            raise Wrong(number, "package")
        arrives_on = cells[19].strip()
        if len(arrives_on) != 10 or arrives_on[4] != "-" or arrives_on[7] != "-":
            raise Wrong(number, "arrives_on")
        leaves_on = cells[20].strip()
        if len(leaves_on) != 10 or leaves_on[4] != "-" or leaves_on[7] != "-":
            raise Wrong(number, "leaves_on")
        port = cells[21].strip()
        if not LETTERS(port) or len(port) > 3:
            raise Wrong(number, "port")
        flight = cells[22].strip()
        if flight and not FLIGHT(flight):
            raise Wrong(number, "flight")
        makkah_hotel = cells[23].strip()
        if not CODE(makkah_hotel) or len(makkah_hotel) > 14:
            raise Wrong(number, "makkah_hotel")
        madinah_hotel = cells[24].strip()
        if not CODE(madinah_hotel) or len(madinah_hotel) > 14:
            raise Wrong(number, "madinah_hotel")
        transport = cells[25].strip()
        if not CODE(transport) or len(transport) > 14:
            raise Wrong(number, "transport")
        mobile = cells[26].strip().removeprefix("'")
        if not MOBILE(mobile) or len(mobile) > 16:
            raise Wrong(number, "mobile")
        email = cells[27].strip()
        if not email.isprintable() or not is_normalized("NFC", email) or len(email) > 22:
            raise Wrong(number, "email")
        if email[:1] in FORMULA:
            raise Wrong(number, "email")
        fee = cells[28].strip()
        if not AMOUNT(fee):
            raise Wrong(number, "fee")
        currency = cells[29].strip()
        if not LETTERS(currency) or len(currency) > 3:
            raise Wrong(number, "currency")
        yield PilgrimLine(
            request_id=request_id,
            given_names=given_names,
            surname=surname,
            local_name=local_name or None,
            passport=passport,
            issued_on=date.fromisoformat(issued_on),
            expires_on=date.fromisoformat(expires_on),
            issuing_state=issuing_state,
            mrz_line=mrz_line,
            nationality=nationality,
            born_on=date.fromisoformat(born_on),
            sex=sex,
            birth_place=birth_place or None,
            marital_status=marital_status,
            agent_code=agent_code,
            agent_licence=agent_licence,
            season=int(season),
            programme=programme,
            package=package,
            arrives_on=date.fromisoformat(arrives_on),
            leaves_on=date.fromisoformat(leaves_on),
            port=port,
            flight=flight or None,
            makkah_hotel=makkah_hotel,
            madinah_hotel=madinah_hotel,
            transport=transport,
            mobile=mobile,
            email=email or None,
            fee=Decimal(fee),
            currency=currency,
        )


def guard(text: str) -> str:
    text = text.strip()
    return "'" + text if text[:1] in FORMULA else text


def write_csv(lines: Iterable[PilgrimLine], out: io.StringIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADING)
    for one in lines:
        writer.writerow(
            (
                guard(one.request_id),
                guard(one.given_names),
                guard(one.surname),
                guard(one.local_name or ""),
                guard(one.passport),
                one.issued_on.isoformat(),
                one.expires_on.isoformat(),
                guard(one.issuing_state),
                guard(one.mrz_line),
                guard(one.nationality),
                one.born_on.isoformat(),
                SEX_OUT[one.sex],
                guard(one.birth_place or ""),
                MARITAL_OUT[one.marital_status],
                guard(one.agent_code),
                guard(one.agent_licence),
                str(one.season),
                guard(one.programme),
                guard(one.package),
                one.arrives_on.isoformat(),
                one.leaves_on.isoformat(),
                guard(one.port),
                guard(one.flight or ""),
                guard(one.makkah_hotel),
                guard(one.madinah_hotel),
                guard(one.transport),
                guard(one.mobile),
                guard(one.email or ""),
                f"{one.fee:.2f}",
                guard(one.currency),
            )
        )


# --- soap and json ------------------------------------------------------------------------------------------------

NS = "{urn:bench:visa}"


def text(value: Any, longest: int, pattern: Any = None) -> str:
    value = value.strip()
    if pattern is not None:
        if not pattern(value) or len(value) > longest:
            raise ValueError("pattern")
    elif (
        not 0 < len(value) <= longest or not value.isprintable() or not (value.isascii() or is_normalized("NFC", value))
    ):
        raise ValueError("text")
    return value  # type: ignore[no-any-return]


def spare(value: Any, longest: int) -> str | None:
    return text(value, longest) if value else None


def code(value: str, known: Any) -> Any:
    value = value.strip()
    if value not in known:
        raise ValueError("code")
    return value


def number(value: str, low: int, high: int) -> int:
    found = int(value)
    if not low <= found <= high:
        raise ValueError("range")
    return found


def amount(value: str) -> Decimal:
    if not AMOUNT(value.strip()):
        raise ValueError("amount")
    return Decimal(value.strip())


def day(value: str) -> date:
    return date.fromisoformat(value.strip())


def moment(value: str) -> datetime:
    found = datetime.fromisoformat(value.strip())
    if found.tzinfo is None:
        raise ValueError("offset")
    return found.astimezone(UTC)


def ranged(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError("range")
    return value


def flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("flag")
    return value


FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _texts(element: Any) -> dict[str, Any]:
    return {child.tag: child.text for child in element}


def read_soap(data: bytes) -> Application:
    root: Any = xml.parse(data)
    if root.tag == "{http://schemas.xmlsoap.org/soap/envelope/}Envelope":
        root = root.find("{http://schemas.xmlsoap.org/soap/envelope/}Body")[0]
    if root.tag != "{urn:bench:visa}Submit":
        raise ValueError("root")
    top: dict[str, Any] = {child.tag: child for child in root.find("{urn:bench:visa}Application")}
    passport, person = _texts(top["{urn:bench:visa}Passport"]), _texts(top["{urn:bench:visa}Applicant"])
    contact, travel = _texts(top["{urn:bench:visa}Contact"]), _texts(top["{urn:bench:visa}Travel"])
    beside = top.get("{urn:bench:visa}Companion")
    companion = None
    if beside is not None:
        inner = _texts(beside)
        companion = Companion(
            passport=text(inner["{urn:bench:visa}Passport"], 12, PASSPORT),
            relation=code(inner["{urn:bench:visa}Relation"], RELATIONS),
        )
    given = [_texts(one) for one in top.get("{urn:bench:visa}Vaccinations", ())]
    fee = top["{urn:bench:visa}Fee"]
    return Application(
        request_id=text(top["{urn:bench:visa}RequestId"].text, 36, CODE),
        submitted_at=moment(top["{urn:bench:visa}SubmittedAt"].text),
        season=number(top["{urn:bench:visa}Season"].text, 1400, 1500),
        agent_code=text(top["{urn:bench:visa}AgentCode"].text, 20, CODE),
        group_no=spare((top["{urn:bench:visa}GroupNo"].text if "{urn:bench:visa}GroupNo" in top else None), 20),
        document=Document(
            number=text(passport["{urn:bench:visa}Number"], 12, PASSPORT),
            issuing_state=code(passport["{urn:bench:visa}IssuingState"], STATES),
            issued_on=day(passport["{urn:bench:visa}IssuedOn"]),
            expires_on=day(passport["{urn:bench:visa}ExpiresOn"]),
            issue_place=spare(passport.get("{urn:bench:visa}IssuePlace"), 40),
        ),
        given_names=text(person["{urn:bench:visa}GivenNames"], 40),
        father=spare(person.get("{urn:bench:visa}Father"), 40),
        surname=text(person["{urn:bench:visa}Surname"], 40),
        sex=SEX[person["{urn:bench:visa}Sex"].strip()],
        born_on=day(person["{urn:bench:visa}BornOn"]),
        birth_place=spare(person.get("{urn:bench:visa}BirthPlace"), 40),
        nationality=code(person["{urn:bench:visa}Nationality"], STATES),
        marital_status=MARITAL[person["{urn:bench:visa}Marital"].strip()],
        occupation=spare(person.get("{urn:bench:visa}Occupation"), 40),
        mobile=text(contact["{urn:bench:visa}Mobile"], 16, MOBILE),
        email=spare(contact.get("{urn:bench:visa}Email"), 60),
        address=text(contact["{urn:bench:visa}Address"], 60),
        city=spare(contact.get("{urn:bench:visa}City"), 40),
        arrives_on=day(travel["{urn:bench:visa}ArrivesOn"]),
        leaves_on=day(travel["{urn:bench:visa}LeavesOn"]),
        port=text(travel["{urn:bench:visa}Port"], 5, PORT),
        mode=code(travel["{urn:bench:visa}Mode"], MODES),
        guarded=FLAGS[top["{urn:bench:visa}Guarded"].text],
        companion=companion,
        vaccinations=[
            Vaccination(code=text(one["{urn:bench:visa}Code"], 10, CODE), given_on=day(one["{urn:bench:visa}GivenOn"]))
            for one in given
        ],
        fee=amount(fee.text),
        currency=text(fee.attrib["currency"], 3, LETTERS),
    )


def read_json(data: bytes) -> Application:
    top = json.loads(data, object_pairs_hook=_once, parse_float=Decimal)
    passport, person, contact, travel = top["passport"], top["applicant"], top["contact"], top["travel"]
    beside = top.get("companion")
    companion = None
    if beside is not None:
        companion = Companion(
            passport=text(beside["passport"], 12, PASSPORT), relation=code(beside["relation"], RELATIONS)
        )
    given = top.get("vaccinations", ())
    return Application(
        request_id=text(top["requestId"], 36, CODE),
        submitted_at=moment(top["submittedAt"]),
        season=ranged(top["season"], 1400, 1500),
        agent_code=text(top["agentCode"], 20, CODE),
        group_no=spare(top.get("groupNo"), 20),
        document=Document(
            number=text(passport["number"], 12, PASSPORT),
            issuing_state=code(passport["issuingState"], STATES),
            issued_on=day(passport["issuedOn"]),
            expires_on=day(passport["expiresOn"]),
            issue_place=spare(passport.get("issuePlace"), 40),
        ),
        given_names=text(person["givenNames"], 40),
        father=spare(person.get("father"), 40),
        surname=text(person["surname"], 40),
        sex=SEX[person["sex"].strip()],
        born_on=day(person["bornOn"]),
        birth_place=spare(person.get("birthPlace"), 40),
        nationality=code(person["nationality"], STATES),
        marital_status=MARITAL[person["marital"].strip()],
        occupation=spare(person.get("occupation"), 40),
        mobile=text(contact["mobile"], 16, MOBILE),
        email=spare(contact.get("email"), 60),
        address=text(contact["address"], 60),
        city=spare(contact.get("city"), 40),
        arrives_on=day(travel["arrivesOn"]),
        leaves_on=day(travel["leavesOn"]),
        port=text(travel["port"], 5, PORT),
        mode=code(travel["mode"], MODES),
        guarded=flag(top["guarded"]),
        companion=companion,
        vaccinations=[Vaccination(code=text(one["code"], 10, CODE), given_on=day(one["givenOn"])) for one in given],
        fee=amount(top["fee"]["amount"]),
        currency=text(top["fee"]["currency"], 3, LETTERS),
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("twice")
    return found


def write_soap(m: Application) -> bytes:
    parts = [
        '<Submit xmlns="urn:bench:visa"><Application>',
        f"<RequestId>{escape(m.request_id)}</RequestId>",
        f"<SubmittedAt>{m.submitted_at.astimezone(UTC).strftime(MOMENT)}</SubmittedAt>",
        f"<Season>{m.season}</Season>",
        f"<AgentCode>{escape(m.agent_code)}</AgentCode>",
        "" if m.group_no is None else f"<GroupNo>{escape(m.group_no)}</GroupNo>",
        "<Passport>",
        f"<Number>{escape(m.document.number)}</Number>",
        f"<IssuingState>{m.document.issuing_state}</IssuingState>",
        f"<IssuedOn>{m.document.issued_on.isoformat()}</IssuedOn>",
        f"<ExpiresOn>{m.document.expires_on.isoformat()}</ExpiresOn>",
        "" if m.document.issue_place is None else f"<IssuePlace>{escape(m.document.issue_place)}</IssuePlace>",
        "</Passport>",
        "<Applicant>",
        f"<GivenNames>{escape(m.given_names)}</GivenNames>",
        "" if m.father is None else f"<Father>{escape(m.father)}</Father>",
        f"<Surname>{escape(m.surname)}</Surname>",
        f"<Sex>{SEX_OUT[m.sex]}</Sex>",
        f"<BornOn>{m.born_on.isoformat()}</BornOn>",
        "" if m.birth_place is None else f"<BirthPlace>{escape(m.birth_place)}</BirthPlace>",
        f"<Nationality>{m.nationality}</Nationality>",
        f"<Marital>{MARITAL_OUT[m.marital_status]}</Marital>",
        "" if m.occupation is None else f"<Occupation>{escape(m.occupation)}</Occupation>",
        "</Applicant>",
        "<Contact>",
        f"<Mobile>{escape(m.mobile)}</Mobile>",
        "" if m.email is None else f"<Email>{escape(m.email)}</Email>",
        f"<Address>{escape(m.address)}</Address>",
        "" if m.city is None else f"<City>{escape(m.city)}</City>",
        "</Contact>",
        "<Travel>",
        f"<ArrivesOn>{m.arrives_on.isoformat()}</ArrivesOn>",
        f"<LeavesOn>{m.leaves_on.isoformat()}</LeavesOn>",
        f"<Port>{escape(m.port)}</Port>",
        f"<Mode>{m.mode}</Mode>",
        "</Travel>",
        f"<Guarded>{'true' if m.guarded else 'false'}</Guarded>",
    ]
    if m.companion is not None:
        parts.append(
            f"<Companion><Passport>{escape(m.companion.passport)}</Passport>"
            f"<Relation>{m.companion.relation}</Relation></Companion>"
        )
    if m.vaccinations:
        parts.append("<Vaccinations>")
        for one in m.vaccinations:
            parts.append(
                f"<Vaccination><Code>{escape(one.code)}</Code><GivenOn>{one.given_on.isoformat()}</GivenOn></Vaccination>"
            )
        parts.append("</Vaccinations>")
    parts.append(f'<Fee currency="{escape(m.currency)}">{m.fee:.2f}</Fee></Application></Submit>')
    return "".join(parts).encode()


MOMENT = "%Y-%m-%dT%H:%M:%SZ"


def write_json(m: Application) -> bytes:
    made: dict[str, Any] = {
        "requestId": m.request_id,
        "submittedAt": m.submitted_at.astimezone(UTC).strftime(MOMENT),
        "season": m.season,
        "agentCode": m.agent_code,
        "passport": {
            "number": m.document.number,
            "issuingState": m.document.issuing_state,
            "issuedOn": m.document.issued_on.isoformat(),
            "expiresOn": m.document.expires_on.isoformat(),
        },
        "applicant": {
            "givenNames": m.given_names,
            "surname": m.surname,
            "sex": SEX_OUT[m.sex],
            "bornOn": m.born_on.isoformat(),
            "nationality": m.nationality,
            "marital": MARITAL_OUT[m.marital_status],
        },
        "contact": {
            "mobile": m.mobile,
            "address": m.address,
        },
        "travel": {
            "arrivesOn": m.arrives_on.isoformat(),
            "leavesOn": m.leaves_on.isoformat(),
            "port": m.port,
            "mode": m.mode,
        },
        "guarded": m.guarded,
    }
    if m.group_no is not None:
        made["groupNo"] = m.group_no
    if m.document.issue_place is not None:
        made["passport"]["issuePlace"] = m.document.issue_place
    if m.father is not None:
        made["applicant"]["father"] = m.father
    if m.birth_place is not None:
        made["applicant"]["birthPlace"] = m.birth_place
    if m.occupation is not None:
        made["applicant"]["occupation"] = m.occupation
    if m.email is not None:
        made["contact"]["email"] = m.email
    if m.city is not None:
        made["contact"]["city"] = m.city
    if m.companion is not None:
        made["companion"] = {"passport": m.companion.passport, "relation": m.companion.relation}
    made["vaccinations"] = [{"code": one.code, "givenOn": one.given_on.isoformat()} for one in m.vaccinations]
    made["fee"] = {"amount": f"{m.fee:f}", "currency": m.currency}
    return json.dumps(made, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
