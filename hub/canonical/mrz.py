"""Machine readable zones of passports (TD3) and visas (MRV-A, MRV-B): ICAO Doc 9303 parts 3, 4 and 7.

Years have two digits there, so zones are compared with typed fields by writing the field, never by guessing a century.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from hub.canonical.entities import Document, Person
from hub.canonical.errors import HubError
from hub.canonical.names import latin, unmarked

_KINDS = {"ordinary": "P<", "diplomatic": "PD", "official": "PO", "service": "PS", "travel_document": "PT"}
_SEX = {"male": "M", "female": "F", "unspecified": "<"}
_WEIGHTS = (7, 3, 1)
# Germany's code is one letter in a zone (9303-3, section 5); ISO's three mean the same state.
_STATE = {"DEU": "D"}


class MrzError(HubError):
    """A zone that cannot be a zone (``mrz_unreadable``) or whose check digit is wrong (``mrz_check_digit``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MrzFields:
    """A zone as read.  Names are letters with single spaces; ``cut`` says that the name filled its field and may go on.

    ``birth`` and ``expiry`` are YYMMDD as printed, with ``<`` for what is not known of a birth date.
    """

    kind: str
    issuing_state: str
    primary: str
    secondary: str
    cut: bool
    number: str
    nationality: str
    birth: str
    sex: str
    expiry: str
    optional: str


def check_digit(text: str) -> str:
    """The check digit of *text* (9303-3): weights 7, 3, 1; letters count from A = 10, the filler is 0."""
    return str(sum(int(c, 36) * _WEIGHTS[place % 3] for place, c in enumerate(text) if c != "<") % 10)


# --- writing ---------------------------------------------------------------------------------------------------------


def td3(document: Document, person: Person) -> str:
    """The two lines of a passport's zone, joined by a line feed.

    A number of more than nine characters is printed with its first nine, as the field allows.  Raises ``name_script``
    for a name that no table can write in Latin letters.
    """
    number = _checked(document.number[:9].ljust(9, "<"))
    body = _born(person) + _SEX[person.sex] + _checked(f"{document.expires_on:%y%m%d}") + _checked("<" * 14)
    second = number + _state(person.nationality) + body
    whole = check_digit(second[:10] + second[13:20] + second[21:43])
    return f"{_KINDS[document.kind]}{_state(document.issuing_state)}{_name(person, 39)}\n{second}{whole}"


def mrv_a(number: str, until: date, person: Person, *, state: str = "SAU", optional: str = "") -> str:
    """The two lines of a visa's zone, format A: valid *until* that day for *person*, issued by *state*.

    *number* is the passport's, or the visa's where that has no more than nine characters (9303-7).
    """
    second = _checked(number[:9].ljust(9, "<")) + _state(person.nationality) + _born(person) + _SEX[person.sex]
    second += _checked(f"{until:%y%m%d}") + optional[:16].ljust(16, "<")
    return f"V<{_state(state)}{_name(person, 39)}\n{second}"


def _checked(text: str) -> str:
    return text + check_digit(text)


def _state(code: str) -> str:
    return _STATE.get(code, code).ljust(3, "<")


def _born(person: Person) -> str:
    return _checked(_birth(person))


def _birth(person: Person) -> str:
    known = {"day": 6, "month": 4, "year": 2}[person.birth_known]
    return f"{person.birth_date:%y%m%d}"[:known].ljust(6, "<")


def _name(person: Person, width: int) -> str:
    """The name field: primary identifier, two fillers, secondary; cut as 9303-4 says.

    A cut field ends in a letter, which tells its reader that more may follow, and holds some of both identifiers.
    """
    name = person.name
    primary = latin(name.family).replace(" ", "<")
    secondary = latin(" ".join(filter(None, (name.given, name.father, name.grandfather)))).replace(" ", "<")
    if not secondary:
        return primary[:width].rstrip("<").ljust(width, "<")
    primary = primary[: width - 3].rstrip("<")
    while len(primary) > 1 and re.match("<[A-Z]", f"{primary}<<{secondary}"[width - 1 :]):
        primary = primary[:-1].rstrip("<")
    return f"{primary}<<{secondary}"[:width].ljust(width, "<")


# --- reading ---------------------------------------------------------------------------------------------------------


def read_td3(text: str) -> MrzFields:
    """The fields of a passport's zone, two lines of 44.  Raises :class:`MrzError`, with the field of a wrong digit."""
    fields, second = _read(text, "P", 44)
    if second[42] not in (check_digit(second[28:42]), "<") or (second[42] == "<" and second[28:42].strip("<")):
        raise MrzError("mrz_check_digit", field="optional")
    if second[43] != check_digit(second[:10] + second[13:20] + second[21:43]):
        raise MrzError("mrz_check_digit", field="whole")
    return fields


def read_mrv(text: str) -> MrzFields:
    """The fields of a visa's zone, two lines of 44 (format A) or of 36 (format B).  Raises :class:`MrzError`."""
    return _read(text, "V", 36 if len(text.strip()) < 80 else 44)[0]


def _read(text: str, kind: str, width: int) -> tuple[MrzFields, str]:
    lines = text.strip().split("\n")
    first, second = (lines[0].rstrip("\r"), lines[1]) if len(lines) == 2 else ("", "")
    if not all(re.fullmatch(rf"[A-Z0-9<]{{{width}}}", line) for line in (first, second)) or first[0] != kind:
        raise MrzError("mrz_unreadable", expected=width)
    for field, start, end in (("number", 0, 9), ("birth_date", 13, 19), ("expires_on", 21, 27)):
        if second[end] != check_digit(second[start:end]):
            raise MrzError("mrz_check_digit", field=field)
    primary, _, secondary = first[5:].rstrip("<").partition("<<")
    fields = MrzFields(
        kind=first[:2].rstrip("<"),
        issuing_state=first[2:5].rstrip("<"),
        primary=" ".join(primary.replace("<", " ").split()),
        secondary=" ".join(secondary.replace("<", " ").split()),
        cut=first[-1] != "<",
        number=second[:9].rstrip("<"),
        nationality=second[10:13].rstrip("<"),
        birth=second[13:19],
        sex={"M": "male", "F": "female"}.get(second[20], "unspecified"),
        expiry=second[21:27],
        optional=second[28 : 42 if kind == "P" else width].rstrip("<"),
    )
    return fields, second


# --- comparing --------------------------------------------------------------------------------------------------------


def disagreements(text: str, person: Person, document: Document) -> list[str]:
    """The typed fields that a passport's zone contradicts, by dotted name; none means that they agree.

    Raises :class:`MrzError` for a zone that cannot be read.
    """
    read = read_td3(text)
    typed = {
        "document.number": (document.number[:9], read.number),
        "document.issuing_state": (_state(document.issuing_state).rstrip("<"), read.issuing_state),
        "document.expires_on": (f"{document.expires_on:%y%m%d}", read.expiry),
    }
    return [*_bearer(read, person), *(name for name, (ours, theirs) in typed.items() if ours != theirs)]


def visa_disagreements(text: str, person: Person, numbers: tuple[str, ...], until: date) -> list[str]:
    """As :func:`disagreements`, for a visa's zone: *numbers* are the passport's and the visa's, either of which it may
    hold; *until* is its last day."""
    read = read_mrv(text)
    wrong = list(_bearer(read, person))
    if read.number not in {number[:9] for number in numbers}:
        wrong.append("visa.number")
    if read.expiry != f"{until:%y%m%d}":
        wrong.append("visa.enter_by")
    return wrong


def _bearer(read: MrzFields, person: Person) -> Iterator[str]:
    if not _same_name(read, person):
        yield "person.name"
    if read.nationality != _state(person.nationality).rstrip("<"):
        yield "person.nationality"
    if read.birth != _birth(person):
        yield "person.birth_date"
    if read.sex != person.sex:
        yield "person.sex"


def _same_name(read: MrzFields, person: Person) -> bool:
    """Whether every word of the zone is of the typed name, led by one of the family name, the given name among them.

    A passport may leave out a father's or grandfather's name that the form asks for, never the other way round.
    """
    name = person.name
    try:
        family, given = _words(name.family), _words(name.given)
        known = family + given + _words(name.father) + _words(name.grandfather)
    except HubError:
        return False
    primary = read.primary.split()
    zone = primary + read.secondary.split()
    led = bool(primary) and _among(primary[0], family, read.cut)
    named = not given or read.cut or any(word in given for word in zone)
    return led and named and all(_among(word, known, read.cut) for word in zone)


def _words(part: str | None) -> list[str]:
    """The words of *part* as a zone may write them: a state may write Ü as UE or as U (9303-3, section 6), and a name
    of several words as one."""
    spellings = [latin(part), latin(unmarked(part))] if part else []
    return [word for spelling in spellings for word in (*spelling.split(), spelling.replace(" ", ""))]


def _among(word: str, known: list[str], cut: bool) -> bool:
    return word in known or (cut and any(other.startswith(word) for other in known))
