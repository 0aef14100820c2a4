"""What an operation's raw bytes show without any map: our keys in them, and the effects they ask for.

The places are the manifest's (``effect: {each, key, of}``): XPath with the contract's prefixes for XML, JSON pointers,
columns (``3-15``) of the lines that begin with ``each``, or column names for CSV.  A map that misread a message would
mislead the hub and the partner alike; these do not.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

from hub.partners import Effect
from hub.security import xml


class Line(NamedTuple):
    """One line of a message: our key, and the business effect that may happen once only."""

    key: str
    of: str


class Unreadable(Exception):
    """The bytes do not show the places; nothing of them is in the text."""


def reader(effect: Effect, contract: Path) -> Callable[[bytes], list[Line]]:
    """Reads the lines of a message whose ``effect:`` is *effect*; *contract* is the adapter's contract file.

    A line whose key stands there twice (a row for each passenger of a trip) is one line.  The reader raises
    :class:`Unreadable`.
    """
    if effect.key.startswith("/"):
        read = _json(effect)
    elif effect.each is not None and effect.each.startswith("/"):
        read = _xml(effect, contract)
    elif _COLUMNS.fullmatch(effect.key):
        read = _fixed(effect)
    else:
        read = _csv(effect)

    def lines(raw: bytes) -> list[Line]:
        try:
            found = list(dict.fromkeys(Line(*pair) for pair in read(raw)))
        except (xml.XmlRefused, etree.XPathError, ValueError, LookupError, TypeError, csv.Error):
            raise Unreadable from None
        if not found or not all(line.key and line.of for line in found):
            raise Unreadable
        return found

    return lines


Pairs = Callable[[bytes], Iterable[tuple[str, str]]]
_COLUMNS = re.compile(r"[1-9][0-9]*-[1-9][0-9]*")


def _xml(effect: Effect, contract: Path) -> Pairs:
    names = prefixes(contract)
    each, key, of = (etree.XPath(path, namespaces=names) for path in (effect.each or ".", effect.key, effect.of))

    def text(path: etree.XPath, node: etree._Element) -> str:
        found: Any = path(node)
        if not isinstance(found, str):
            found = found[0] if isinstance(found[0], str) else "".join(found[0].itertext())  # an attribute, an element
        return str(found).strip()

    def read(raw: bytes) -> Iterable[tuple[str, str]]:
        nodes: Any = each(xml.parse(raw))
        return [(text(key, node), text(of, node)) for node in nodes]

    return read


def prefixes(contract: Path) -> dict[str, str]:
    """The namespace prefixes that an XML contract, and the schemas beside it, declare anywhere."""
    found: dict[str, str] = {}
    for path in (contract, *sorted(contract.parent.glob("*.xsd"))):
        if path.suffix in (".xsd", ".wsdl"):
            for element in xml.parse(path.read_bytes()).iter():
                for prefix, name in element.nsmap.items():
                    if prefix:
                        found.setdefault(prefix, name)
    return found


def _json(effect: Effect) -> Pairs:
    def at(tree: Any, pointer: str) -> Any:
        for step in pointer.split("/")[1:]:
            tree = tree[int(step)] if isinstance(tree, list) else tree[step]
        return tree

    def read(raw: bytes) -> Iterable[tuple[str, str]]:
        tree = json.loads(raw)
        parts = at(tree, effect.each) if effect.each else [tree]
        return [(str(at(part, effect.key)), str(at(part, effect.of))) for part in parts]

    return read


def _fixed(effect: Effect) -> Pairs:
    def cut(columns: str) -> slice:
        first, _, last = columns.partition("-")
        return slice(int(first) - 1, int(last))

    tag, key, of = (effect.each or "").encode(), cut(effect.key), cut(effect.of)

    def read(raw: bytes) -> Iterable[tuple[str, str]]:
        lines = [line for line in raw.splitlines() if line.startswith(tag)]
        return [(line[key].decode().strip(), line[of].decode().strip()) for line in lines]

    return read


def _csv(effect: Effect) -> Pairs:
    def read(raw: bytes) -> Iterable[tuple[str, str]]:
        text = raw.decode("utf-8-sig")
        head = text.partition("\n")[0]
        marks = max(",;\t|", key=head.count)
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=marks)
        return [(row[effect.key], row[effect.of]) for row in rows]

    return read
