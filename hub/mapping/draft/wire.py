"""What a contract or a sample says of one message, in terms that every format shares."""

import re
from dataclasses import dataclass, field

from hub.canonical.declare import Kind
from hub.mapping.model import Format

#: A contract that unfolds to more places than this is cut there: no person maps them.
MOST_PLACES = 20_000
MOST_DEEP = 24


class Refused(Exception):
    """No map can be drafted: ``construct`` stands in the way, by the contract's own name; ``todo`` is what helps."""

    def __init__(self, construct: str, text: str, todo: str = "") -> None:
        super().__init__(f"{construct}: {text}" + (f". {todo}" if todo else ""))
        self.construct, self.text, self.todo = construct, text, todo


@dataclass(slots=True, kw_only=True)
class Place:
    """One place of the partner's message, with what stands in it.

    ``kind`` is None where it holds other places.  ``pattern`` is how a date is spelled, ``values`` the codes that are
    allowed (or were seen, where ``seen``), ``always`` a text that never varies, ``blocked`` why no rule can fill it,
    ``either`` the names of those of which one must stand there, itself among them, ``wants`` the names required inside
    it, declared yet or not.
    """

    name: str
    required: bool = True
    many: bool = False
    kind: Kind | None = "text"
    values: tuple[str, ...] = ()
    seen: bool = False
    longest: int | None = None
    pattern: str | None = None
    number: bool = False
    always: str | None = None
    note: str = ""
    blocked: str = ""
    namespace: str | None = None
    either: tuple[str, ...] = ()
    wants: set[str] = field(default_factory=set)
    children: list["Place"] = field(default_factory=list)

    @property
    def leaf(self) -> bool:
        return not self.children and self.kind is not None


@dataclass(slots=True, kw_only=True)
class Kindred:
    """One kind of line of a file."""

    name: str
    many: bool
    places: list[Place]


@dataclass(slots=True, kw_only=True)
class Wire:
    """One message of a contract: the places of its body, or its kinds of line, and how the whole is written.

    ``said`` is where it was read from, ``notes`` what the engineer must know beyond the places, ``schemas`` the XML
    schemas by file name, the first of which describes the body.
    """

    format: Format
    said: str
    places: list[Place] = field(default_factory=list)
    lines: list[Kindred] = field(default_factory=list)
    namespace: str | None = None
    root: str = ""
    encoding: str = "utf-8"
    delimiter: str = ","
    crlf: bool = False
    length: int = 0
    notes: list[str] = field(default_factory=list)
    schemas: dict[str, bytes] = field(default_factory=dict)


def spelled(rule: str) -> tuple[Kind, str] | None:
    """The kind and form of date that a regular expression asks for, where it is one of those that everybody writes."""
    plain = re.sub(r"\\d|\[0-9\]|\[\d-\d\]", "9", rule.strip("^$()")).replace("\\", "")
    plain = re.sub(r"9\{(\d)\}", lambda m: "9" * int(m[1]), plain)
    return {
        "99/99/9999": ("date", "date DD/MM/YYYY"),
        "99-99-9999": ("date", "date DD-MM-YYYY"),
        "99.99.9999": ("date", "date DD.MM.YYYY"),
        "9999-99-99": ("date", "date YYYY-MM-DD"),
        "9999/99/99": ("date", "date YYYY/MM/DD"),
        "9999-99-99T99:99:99Z": ("datetime", "datetime YYYY-MM-DDThh:mm:ssZ"),
    }.get(plain)  # type: ignore[return-value]
