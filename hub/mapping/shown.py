"""What a message holds, place by place, so that two of them can be compared and shown with nobody's data in them."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from hub.canonical.declare import Shape, shapes
from hub.canonical.names import fold
from hub.canonical.schema import dump
from hub.mapping.cells import unguard
from hub.mapping.compiled import Map
from hub.mapping.csv import spellings
from hub.mapping.model import Always, Pair, Record, Rule, Spec, every_rule
from hub.security import xml
from hub.security.redaction import mask

_SOAP = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
#: A place (lists numbered from 1), and what stands there.
Seen = tuple[str, str]


def ours(message: Any, *, plain: bool = False) -> list[Seen]:
    """The leaves of a canonical message, those that identify somebody masked unless *plain*."""
    return list(_ours(type(message), dump(message), "", plain))


def _ours(cls: type, found: dict[str, Any], prefix: str, plain: bool) -> Iterator[Seen]:
    for name, value in found.items():
        shape = shapes(cls).get(name)
        if shape is not None and value is not None:
            yield from _value(shape, value, prefix + name, plain)


def _value(shape: Shape, value: Any, where: str, plain: bool) -> Iterator[Seen]:
    if shape.many:
        for number, item in enumerate(value, 1):
            if shape.part is not None:
                yield from _ours(shape.part, item, f"{where}[{number}].", plain)
            else:
                yield f"{where}[{number}]", _masked(item, shape.personal and not plain)
    elif shape.part is not None:
        yield from _ours(shape.part, value, f"{where}.", plain)
    else:
        yield where, _masked(value, shape.personal and not plain)


def _masked(value: Any, hidden: bool) -> str:
    return mask(value) if hidden else str(value)


def wire(map_: Map, data: bytes, *, plain: bool = False) -> list[Seen]:
    """The places of the partner's bytes in their order; what *map_* does not know to be nobody's is masked.

    The bytes are ones that the map has read or written: nothing is checked here.
    """
    if map_.format == "xml":
        found = _elements(xml.parse(data, limit=max(len(data), 1)))
    elif map_.format == "json":
        found = _members(json.loads(data.decode("utf-8-sig"), parse_float=str), "")
    elif map_.format == "csv":
        found = _cells(map_.spec, data)
    elif map_.format == "fixed":
        found = _columns(map_.spec, data)
    else:
        found = enumerate_lines(data)
    if plain:
        return list(found)
    open_ = {_local(_bare(rule.full), map_.format) for rule in every_rule(map_.spec) if _nobodys(rule)}
    return [(where, value if _known(_bare(where), open_) else mask(value)) for where, value in found]


def enumerate_lines(data: bytes) -> Iterator[Seen]:
    """Bytes of a format that has no places of its own here, line by line."""
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        yield f"line {number}", line


def _nobodys(rule: Any) -> bool:
    return isinstance(rule, Always) or (isinstance(rule, Pair) and not rule.field.shape.personal)


def _bare(where: str) -> str:
    """A place without the numbers of its lists, and without its line."""
    way = where.partition(": ")[2] or where
    return "".join(part.partition("]")[2] if n else part for n, part in enumerate(way.split("[")))


def _local(place: str, format: str) -> str:
    """An element's place as :func:`wire` calls it: without prefixes, and without the dot for its own text."""
    return re.sub(r"[\w.-]+:(?=\w)", "", place).removesuffix("/.") if format == "xml" else place


def _known(where: str, places: set[str]) -> bool:
    return where in places or any(where.endswith("/" + place) for place in places)


def _elements(root: Any) -> Iterator[Seen]:
    space = etree.QName(root).namespace
    if space in _SOAP and etree.QName(root).localname == "Envelope":
        body = root.find(f"{{{space}}}Body")
        root = body[0] if body is not None and len(body) else root
    yield from _element(root, "")


def _element(element: Any, prefix: str) -> Iterator[Seen]:
    for name, value in sorted(element.attrib.items()):
        if not name.startswith("{http://www.w3.org/2001/XMLSchema-instance}"):
            yield f"{prefix}@{etree.QName(name).localname}", value
    children = list(element)
    if not children:
        if element.text and element.text.strip():
            yield prefix.removesuffix("/"), element.text.strip()
        return
    count: dict[str, int] = {}
    several = {c.tag for c in children if sum(other.tag == c.tag for other in children[:50]) > 1}
    for child in children:
        name = etree.QName(child).localname
        count[name] = count.get(name, 0) + 1
        yield from _element(child, f"{prefix}{name}{f'[{count[name]}]' if child.tag in several else ''}/")


def _members(value: Any, where: str) -> Iterator[Seen]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _members(inner, f"{where}/{name}" if where else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _members(inner, f"{where}[{number}]")
    elif value is not None and value != "":
        yield where, json.dumps(value) if isinstance(value, bool) else str(value)


def _cells(spec: Spec, data: bytes) -> Iterator[Seen]:
    text = data.decode("utf-8-sig" if data[:3] == b"\xef\xbb\xbf" else spec.encoding, "replace")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=spec.delimiter)
    # The file may spell a column otherwise than we write it: it is the same place.
    known = {fold(name): record.place for record in _column_rules(spec) for name in spellings(record.place)}
    heading = [known.get(fold(name.strip()), name.strip()) for name in next(rows, [])]
    for number, row in enumerate(rows, 2):
        for name, cell in zip(heading, row, strict=False):
            if cell.strip():
                yield f"row {number}: {name}", unguard(cell.strip())


def _column_rules(spec: Spec) -> Iterator[Rule]:
    for record in spec.kinds:
        yield from record.rules


def _columns(spec: Spec, data: bytes) -> Iterator[Seen]:
    for number, line in enumerate(data.decode(spec.encoding, "replace").splitlines(), 1):
        record = next((r for r in spec.kinds if _is_of(r, line)), None)
        if record is None:
            yield f"line {number}", line
            continue
        for rule in record.rules:
            if rule.columns is not None and (text := line[rule.columns[0] - 1 : rule.columns[1]].strip()):
                yield f"line {number}: {rule.place}", text


def _is_of(record: Record, line: str) -> bool:
    return all(
        line[rule.columns[0] - 1 : rule.columns[1]].strip() == rule.text.strip()
        for rule in record.rules
        if isinstance(rule, Always) and rule.text and rule.columns is not None
    )
