"""A first map out of a contract or a sample: every required place in the order of the wire, names that are recognised
already paired with our fields, code tables begun, and ``todo`` where only a person can know.

:func:`draft` gives the YAML; it loads as it stands, as a draft.  :func:`operations` lists what a contract offers.
What cannot be drafted raises :class:`Refused`, which names the construct.  Nothing is ever fetched.
"""

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lxml import etree

from hub.canonical.messages import MESSAGES
from hub.mapping import xsd as declared
from hub.mapping.draft import guess, openapi, sample, write, wsdl, xsd
from hub.mapping.draft.wire import Refused, Wire
from hub.mapping.grammar import closest
from hub.security import xml

__all__ = ["Draft", "Offered", "Part", "Refused", "draft", "kind", "operations"]

Part = Literal["request", "reply"]
_BOTH: tuple[Part, ...] = ("request", "reply")
Kind = Literal["wsdl", "xsd", "openapi", "sample"]


@dataclass(frozen=True, slots=True)
class Draft:
    """``text`` is the map's YAML, ``message`` the message it was drafted for, ``guessed`` whether nobody named it,
    ``alike`` whether anything of the partner's is like it; where nothing is, the message means nothing either.

    ``schemas`` are the XML schemas that its ``schema:`` needs in the adapter's folder, by file name.
    """

    text: str
    message: str
    guessed: bool
    format: str
    schemas: Mapping[str, bytes] = field(default_factory=dict)
    alike: bool = True

    @property
    def todos(self) -> int:
        """How many places and codes are still to be decided."""
        return len(re.findall(r"^[^#\n]*?: +todo\b|[{,] *[^#\n,{}]+: todo\b", self.text, re.MULTILINE))


@dataclass(frozen=True, slots=True)
class Offered:
    """One operation of a contract.  ``wire`` is what the manifest's ``soap:`` or ``rest:`` says of it."""

    name: str
    parts: tuple[Part, ...]
    channel: Literal["soap", "rest", "files"]
    wire: Mapping[str, str] = field(default_factory=dict)


def kind(contract: Path) -> Kind:
    """What *contract* is, by what stands in it.  Raises Refused for a file that cannot be read at all."""
    start = contract.read_bytes()[:400_000].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        root = xsd.parsed(contract.read_bytes(), contract.name)
        name = etree.QName(root)
        if name.localname in ("definitions", "description") and "wsdl" in (name.namespace or ""):
            return "wsdl"
        return "xsd" if root.tag == f"{{{xsd.XS}}}schema" else "sample"
    if re.search(rb"""^\s*(?:\{\s*)?["']?(?:openapi|swagger)["']?\s*:""", start, re.MULTILINE):
        return "openapi"
    if contract.suffix.lower() in (".yaml", ".yml"):
        return "openapi"
    return "sample"


def operations(contract: Path) -> list[Offered]:
    """What *contract* offers, in its order; a schema's elements, and a sample as itself.

    ``parts`` are those that can be drafted; where none can, the request, so that :func:`draft` tells why.  Raises
    Refused for a contract that cannot be read.
    """
    match kind(contract):
        case "wsdl":
            described = wsdl.Wsdl(contract)
            return [
                Offered(bound.name, _parts(described.wire, bound), "soap", bound.said)
                for bound in described.operations()
            ]
        case "openapi":
            api = openapi.OpenApi(contract)
            return [
                Offered(
                    str(operation),
                    _parts(api.wire, operation),
                    "rest",
                    {"method": operation.method.upper(), "path": operation.path},
                )
                for operation in api.operations()
            ]
        case "xsd":
            schemas = xsd.Schemas(contract.parent)
            schemas.add_file(contract)
            return [Offered(name, ("request",), "files") for _, name in schemas.roots()[1]]
    return [Offered(contract.stem, ("request",), "files")]


def _parts(wire: Callable[[Any, Part], Wire], operation: Any) -> tuple[Part, ...]:
    found: list[Part] = []
    for part in _BOTH:
        try:
            wire(operation, part)
        except Refused:
            continue
        found.append(part)
    return tuple(found) or ("request",)


def draft(
    contract: Path,
    operation: str | None = None,
    *,
    part: Part = "request",
    message: str | None = None,
    messages: Mapping[str, type[Any]] = MESSAGES,
) -> Draft:
    """A draft of the map for *operation* of *contract*, as it asks (``request``) or answers (``reply``).

    *operation* may be left out where the contract has one only; of a schema it is the element's name.  *message* is
    ours; left out, the one whose fields are most alike is taken.  Raises :class:`Refused`; OSError for the file.
    """
    sampled = kind(contract) == "sample"
    wire = _wire(contract, operation, part)
    if message is not None and message not in messages:
        raise Refused(f"message '{message}'", f"we have none{closest(message, messages)}")
    near: list[str] = []
    chosen = message
    if chosen is None:
        chosen, near = guess.message(wire, f"{operation or ''} {wire.root.rpartition('/')[2]}", part, messages)
    cls = messages[chosen]
    if wire.lines:
        guesses = guess.kinds_of_line(cls, wire)
        if wire.format == "csv" and guesses[0] is None:
            raise Refused(f"message '{chosen}'", "it has no list, and a csv file is one line after another")
        lacking = [
            f"{name}.{field}" for one in guesses if one is not None
            for name, inner in one.lists.values() for field in inner.missing()
        ]  # fmt: skip
    else:
        guesses = [
            guess.sampled(cls, wire) if wire.format == "xml" and sampled else guess.scope(cls, wire.places, wire.format)
        ]
        guess.adopt(guesses[0], wire.places, wire.format)
        lacking = _lacking(guesses[0])
    schema, unusable = _schema(wire)
    text = write.written(
        wire, cls, near=near, guessed=message is None, schema=schema, unusable=unusable, lacking=lacking, fields=guesses
    )
    alike = message is not None or any(one is not None and one.score for one in guesses)
    return Draft(text, chosen, message is None, wire.format, wire.schemas if schema else {}, alike)


def _lacking(one: "guess.Guess | None") -> list[str]:
    if one is None:
        return []
    return one.missing() + [f"{name}.{field}" for name, inner in one.lists.values() for field in _lacking(inner)]


def _wire(contract: Path, operation: str | None, part: Part) -> Wire:
    match kind(contract):
        case "wsdl":
            return wsdl.draft(contract, operation, part)
        case "xsd":
            return xsd.draft(contract, operation)
        case "openapi":
            return openapi.draft(contract, operation, part)
    return sample.draft(contract)


def _schema(wire: Wire) -> tuple[str | None, str]:
    """The schema that the draft may be held to, or why there is none."""
    if wire.format != "xml":
        return None, ""
    if not wire.schemas:
        return None, "" if wire.said.startswith("sample") else "since the contract's schemas do not stand by themselves"
    name = next(iter(wire.schemas))
    with tempfile.TemporaryDirectory() as folder:
        for file, data in wire.schemas.items():
            path = Path(folder, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        try:
            xml.schema(Path(folder, name))
            declared.read(Path(folder, name))
        except xml.XmlRefused as error:
            return None, f"since {name} is no schema that stands by itself ({error.code})"
        except ValueError as error:
            return None, f"since {name} is not understood as one: {error}"
    return name, ""
