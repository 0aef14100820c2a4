"""One message of the partner's as its only description.  Nothing of its values goes into a draft but codes."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from lxml import etree

from hub.canonical.declare import Kind
from hub.canonical.errors import HubError
from hub.canonical.names import western_digits
from hub.canonical.schema import loads_strict
from hub.mapping.draft.wire import Kindred, Place, Refused, Wire
from hub.mapping.draft.xsd import of_element, parsed

_SOAP = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
_ENCODINGS = ("utf-8-sig", "cp1256", "latin-1")
_DELIMITERS = (",", ";", "\t", "|")
_MOST = 20_000_000
#: How dates look: what a text must be, and the pattern that says so; the first that all values fit.
_DATES = (
    (r"(?:19|20)\d\d-[01]\d-[0-3]\d", "date", "YYYY-MM-DD"),
    (r"(?:19|20)\d\d/[01]\d/[0-3]\d", "date", "YYYY/MM/DD"),
    (r"(?:19|20)\d\d[01]\d[0-3]\d", "date", "YYYYMMDD"),
    (r"[0-3]\d/[01]\d/(?:19|20)\d\d", "date", "DD/MM/YYYY"),
    (r"[01]\d/[0-3]\d/(?:19|20)\d\d", "date", "MM/DD/YYYY"),
    (r"[0-3]\d-[01]\d-(?:19|20)\d\d", "date", "DD-MM-YYYY"),
    (r"[0-3]\d\.[01]\d\.(?:19|20)\d\d", "date", "DD.MM.YYYY"),
    (r"1[34]\d\d-[01]\d-[0-3]\d", "hijri", "YYYY-MM-DD"),
    (r"1[34]\d\d/[01]\d/[0-3]\d", "hijri", "YYYY/MM/DD"),
    (r"1[34]\d\d[01]\d[0-3]\d", "hijri", "YYYYMMDD"),
    (r"(?:19|20)\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)", "datetime",
     "YYYY-MM-DDThh:mm:ssZ"),
    (r"(?:19|20)\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d", "datetime", "YYYY-MM-DDThh:mm:ss"),
    (r"(?:19|20)\d\d-[01]\d-[0-3]\d [0-2]\d:[0-5]\d:[0-6]\d", "datetime", "YYYY-MM-DD hh:mm:ss"),
    (r"(?:19|20)\d\d[01]\d[0-3]\d[0-2]\d[0-5]\d[0-6]\d", "datetime", "YYYYMMDDhhmmss"),
)  # fmt: skip


def draft(path: Path) -> Wire:
    """What *path* looks like: XML and JSON by their first sign, then lines of cells, then lines of columns."""
    data = path.read_bytes()
    if len(data) > _MOST:
        raise Refused("size", f"{path.name} is larger than {_MOST} bytes: a sample of some lines is enough")
    if not data.strip():
        raise Refused("sample", f"{path.name} is empty")
    if data[:4] == b"PK\x03\x04":
        raise Refused("workbook", f"{path.name} is a spreadsheet or an archive", "Save its first sheet as CSV")
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"<":
        return of_xml(data, path.name)
    if start in (b"{", b"["):
        return of_json(data, path.name)
    text, encoding = _decoded(data, path.name)
    crlf = "\r\n" in text
    text = text.replace("\r\n", "\n")
    lines = [line for line in text.split("\n") if line.strip("\x1a ")]
    for construct, sign in (("UN/EDIFACT", r"\s*(UNA|UNB\+)"), ("SWIFT MT", r"\s*(\{1:|:20:)"), ("OFX", r"OFXHEADER")):
        if re.match(sign, text):
            raise Refused(construct, f"{path.name} is {construct}: a draft cannot tell what its segments mean")
    wire = _separated(text, lines, path) or _columns(lines, path)
    wire.encoding, wire.crlf = "utf-8" if encoding == "utf-8-sig" else encoding, crlf
    if encoding == "latin-1":
        wire.notes.append("the bytes are neither UTF-8 nor Windows-1256: ask which encoding the partner writes")
    return wire


def _decoded(data: bytes, name: str) -> tuple[str, str]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace"), "utf-16"
    if b"\0" in data:
        raise Refused("binary", f"{name} is no text")
    for encoding in _ENCODINGS:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        # Windows-1256 takes every byte: it is meant where Arabic letters come of it.
        if encoding != "cp1256" or re.search(r"[\u0621-\u064a]{2}", text):
            return text, encoding
    raise AssertionError("latin-1 takes every byte")


# --- JSON and XML -------------------------------------------------------------------------------------------------


def of_json(data: bytes, name: str) -> Wire:
    try:
        tree = loads_strict(data.removeprefix(b"\xef\xbb\xbf"), _MOST)
    except (HubError, ValueError, RecursionError) as error:
        raise Refused("JSON", f"{name} is not well formed ({getattr(error, 'code', 'unreadable')})") from None
    if not isinstance(tree, dict):
        raise Refused(
            "JSON list", f"{name} is a list at its top, a message is an object", "Ask for an object around it"
        )
    if "$schema" in tree and ("properties" in tree or "$ref" in tree or "definitions" in tree or "$defs" in tree):
        todo = "Name it in an OpenAPI document, under the request or reply that it describes"
        raise Refused("JSON Schema", f"{name} describes values, and is none", todo)
    place = _member("", [tree])
    return Wire(format="json", said=f"sample {name}", places=place.children)


def _member(name: str, values: list[Any]) -> Place:
    """A member of objects that have *values* there."""
    place = Place(name=name)
    if any(isinstance(value, list) for value in values):
        place.many, place.kind = True, None
        values = [item for value in values for item in (value if isinstance(value, list) else [value])]
        if not values:
            place.blocked = "a list that is empty in the sample"
            return place
        if not all(isinstance(value, dict) for value in values):
            place.blocked = "a list of plain values: maps carry lists of parts"
            return place
    tables = [value for value in values if isinstance(value, dict)]
    if tables:
        place.kind = None
        names = list(dict.fromkeys(key for table in tables for key in table))
        for key in names:
            inner = _member(key, [table[key] for table in tables if key in table])
            inner.required = all(key in table for table in tables)
            place.children.append(inner)
        if not names and not place.blocked:
            place.blocked = "an object that is empty in the sample"
        return place
    plain = [value for value in values if value is not None]
    if plain and all(isinstance(value, bool) for value in plain):
        place.kind = "boolean"
    elif plain and all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in plain):
        place.kind, place.number = "integer" if all(isinstance(v, int) for v in plain) else "decimal", True
    else:
        _as_texts(place, [str(value) for value in plain])
    if not plain:
        place.note = "empty in the sample"
    return place


def of_xml(data: bytes, name: str) -> Wire:
    root = parsed(data, name)
    space = etree.QName(root).namespace
    notes = []
    if space in _SOAP and etree.QName(root).localname == "Envelope":
        header, body = root.find(f"{{{space}}}Header"), root.find(f"{{{space}}}Body")
        inside = list(body) if body is not None else []
        if len(inside) != 1:
            raise Refused("SOAP envelope", f"{name} has {len(inside)} elements in its Body, a message has one")
        root = inside[0]
        if etree.QName(root).localname == "Fault" and etree.QName(root).namespace == space:
            raise Refused("SOAP fault", f"{name} is a refusal, not a message")
        if header is not None and len(header):
            notes.append("the SOAP header of the sample is not part of this map")
    place = _xml_place([root])
    wire = of_element(place, f"sample {name}")
    wire.notes += notes
    return wire


def _xml_place(nodes: Sequence[Any]) -> Place:
    name = etree.QName(nodes[0])
    place = Place(name=name.localname, namespace=name.namespace)
    for key in dict.fromkeys(key for node in nodes for key in node.attrib):
        values = [node.attrib[key] for node in nodes if key in node.attrib]
        said = etree.QName(key)
        if said.namespace == "http://www.w3.org/2001/XMLSchema-instance":
            continue
        inner = Place(name=f"@{said.localname}", required=len(values) == len(nodes), namespace=said.namespace)
        _as_texts(inner, values)
        place.children.append(inner)
    texts = [node.text.strip() for node in nodes if (node.text or "").strip()]
    tags = _in_order([child.tag for child in node] for node in nodes)
    if not tags:
        _as_texts(place, texts)
        if not texts and place.children:
            place.kind = None
        elif not texts:
            place.note = "empty in the sample"
        return place
    place.kind, place.note = None, "text and elements mixed" if texts else ""
    for tag in tags:
        found = [[child for child in node if child.tag == tag] for node in nodes]
        inner = _xml_place([child for same in found for child in same])
        inner.required, inner.many = all(found), any(len(same) > 1 for same in found)
        place.children.append(inner)
    return place


def _in_order(lists: Iterable[list[str]]) -> list[str]:
    """All tags of several elements in one order that each of them keeps, as far as there is one."""
    order: list[str] = []
    for tags in lists:
        at = 0
        for tag in dict.fromkeys(tags):
            if tag in order:
                at = order.index(tag) + 1
            else:
                order.insert(at, tag)
                at += 1
    return order


def _as_texts(place: Place, values: list[str]) -> None:
    """What the texts that stood in *place* tell of it."""
    place.kind, place.pattern = looks(values)
    distinct = tuple(dict.fromkeys(values))
    if place.kind == "text" and 0 < len(distinct) <= 12 and all(len(v) <= 12 and " " not in v for v in distinct):
        place.values, place.seen = distinct, True


def looks(values: Iterable[str]) -> tuple[Kind, str | None]:
    """What kind of value all of the texts look like, and the form of a date that they are spelled in."""
    texts = [western_digits(value.strip()) for value in values if value.strip()]
    if not texts:
        return "text", None
    for sign, kind, pattern in _DATES:
        if all(re.fullmatch(sign, text) for text in texts):
            return ("datetime" if kind == "datetime" else "date"), f"{kind} {pattern}"
    if all(re.fullmatch(r"-?(?:0|[1-9]\d{0,17})", text) for text in texts):
        return "integer", None
    if all(re.fullmatch(r"-?\d{1,15}\.\d{1,6}|-?(?:0|[1-9]\d{0,14})", text) for text in texts):
        return "decimal", None
    if all(text in ("true", "false") for text in texts):
        return "boolean", None
    return "text", None


# --- lines of cells -----------------------------------------------------------------------------------------------


def _separated(text: str, lines: list[str], path: Path) -> Wire | None:
    """The file as cells under a heading; None where it is none.  Raises Refused for cells without a heading."""
    best: tuple[int, str, list[list[str]]] | None = None
    for delimiter in _DELIMITERS:
        try:
            rows = [
                row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if any(row)
            ]
        except csv.Error:
            continue
        if rows and len(rows[0]) > 1 and (best is None or len(rows[0]) > len(best[2][0])):
            best = (len(rows[0]), delimiter, rows)
    suffixed = path.suffix.lower() in (".csv", ".tsv")
    if best is None:
        if not suffixed:
            return None
        best = (1, ",", [[line] for line in lines])
    width, delimiter, rows = best
    if not suffixed and len({len(line) for line in lines}) == 1 and any(len(row) != width for row in rows):
        return None
    heading, body = [cell.strip() for cell in rows[0]], rows[1:]
    if any(not re.search(r"[^\W\d_]", cell) for cell in heading if cell) or not any(heading):
        if not suffixed and width < 3:
            return None
        kinds = {row[0] for row in rows}
        text = f"{path.name} begins with values, not with the names of its columns"
        if len({len(row) for row in rows}) > 1 and len(kinds) > 1:
            raise Refused("records in cells", f"{path.name} has lines of several kinds, told apart by their first cell",
                          "A csv map has one kind of line under a heading")  # fmt: skip
        raise Refused("no heading", text, "Put the heading that the partner names above it")
    return _table(heading, body, delimiter, path)


def _table(heading: list[str], body: list[list[str]], delimiter: str, path: Path) -> Wire:
    wire = Wire(format="csv", said=f"sample {path.name}", delimiter=delimiter)
    wider = sum(len(row) > len(heading) for row in body)
    if wider:
        raise Refused("cells without a heading", f"{wider} lines of {path.name} have more cells than its heading")
    places: list[Place] = []
    for index, name in enumerate(heading):
        if not name:
            wire.notes.append(f"column {index + 1} has no name and is passed over")
            continue
        values = [row[index].strip() for row in body if index < len(row)]
        place = Place(name=name, required=all(values) and bool(values))
        _as_texts(place, [value for value in values if value])
        filled = [western_digits(value) for value in values if value]
        if filled and place.kind == "text" and all(re.fullmatch(r"-?\d{1,3}(?:\.?\d{3})*,\d+", v) for v in filled):
            place.blocked = "numbers with a decimal comma: no form reads them"
            place.values = ()
        places.append(place)
    if any(place.name in [p.name for p in places[:n]] for n, place in enumerate(places)):
        raise Refused("heading", f"{path.name} has a column twice")
    wire.lines = [Kindred(name="row", many=True, places=places)]
    if not body:
        wire.notes.append("the sample has a heading and no lines: kinds and codes could not be seen")
    return wire


# --- lines of columns ---------------------------------------------------------------------------------------------


def _columns(lines: list[str], path: Path) -> Wire:
    lengths = sorted({len(line) for line in lines})
    if len(lengths) > 1:
        said = ", ".join(map(str, lengths[:6])) + (" …" if len(lengths) > 6 else "")
        raise Refused(
            "lines of several lengths", f"{path.name} has lines of {said} characters, and no cells under a heading",
            "A fixed-width sample has whole lines, blanks at their ends included",
        )  # fmt: skip
    if lengths[0] < 8 or len(lines) > 1_000_000:
        raise Refused("sample", f"nothing in {path.name} tells where its columns are")
    wire = Wire(format="fixed", said=f"sample {path.name}", length=lengths[0])
    filled = [line for line in lines if len(set(line)) == 1]
    if filled and len(filled) < len(lines):
        wire.notes.append(f"lines of nothing but '{filled[0][0]}' fill up a block: they are no records of this map")
        lines = [line for line in lines if len(set(line)) > 1]
    kinds = _kinds(lines[:5000])
    wire.notes.append("columns are guessed from how the lines look: hold them against the partner's record layout")
    if len(lines) < 4:
        wire.notes.append("so few lines show few boundaries")
    for tag, group in kinds.items():
        places = [_column(first, last, group) for first, last in _cuts(group, len(tag))]
        if tag:
            places.insert(0, Place(name=f"1-{len(tag)}", always=tag))
        name = f"record_{re.sub(r'[^A-Za-z0-9]', '_', tag)}" if tag else "line"
        wire.lines.append(Kindred(name=name, many=len(group) > 1 or not tag, places=places))
    return wire


def _kinds(lines: list[str]) -> dict[str, list[str]]:
    """The lines by the tag that tells their kind; one kind without a tag where nothing does."""
    for wide in range(1, 5):
        found: dict[str, list[str]] = {}
        for line in lines:
            found.setdefault(line[:wide], []).append(line)
        tags = list(found)
        if any(" " in tag or not re.fullmatch(r"[A-Za-z]+|[0-9]+", tag) for tag in tags):
            break
        # A word that begins every line of its kind belongs to the tag as a whole.
        if any(
            tag.isalpha() and all(line[wide : wide + 1].isalpha() and line[wide] == group[0][wide] for line in group)
            for tag, group in found.items()
        ) and wide < 3:  # fmt: skip
            continue
        few = len(tags) <= max(2, min(12, len(lines) * 2 // 3 + 1))
        if len(tags) > 1 and few and (len(lines) <= 3 or len(tags) < len(lines) or wide == 1):
            return found
        if len(tags) == 1 and len(lines) > 1 and wide == 1 and not tags[0].isdigit():
            continue
    first = lines[0][:1]
    if len(lines) > 1 and first.isalpha() and all(line[:1] == first for line in lines):
        return {first: lines}
    return {"": lines}


def _cuts(lines: list[str], start: int) -> list[tuple[int, int]]:
    """Where columns seem to begin and end, from 1: a new one begins after blanks, and where letters meet digits."""
    width = len(lines[0])
    signs = []
    for at in range(width):
        found = {_sign(line[at]) for line in lines}
        signs.append("".join(sorted(found)))
    cuts, at = [], start
    while at < width:
        end = at + 1
        while end < width and not _boundary(signs, lines, end):
            end += 1
        cuts.append((at + 1, end))
        at = end
    return cuts


def _sign(letter: str) -> str:
    return "9" if letter.isdigit() else " " if letter == " " else "A"


def _boundary(signs: list[str], lines: list[str], at: int) -> bool:
    before, here = signs[at - 1], signs[at]
    if " " in before and " " not in here:
        # A blank inside a name is followed by letters in one line and by blanks in another.
        return before == " " or all(line[at - 1] == " " or _sign(line[at - 1]) != _sign(line[at]) for line in lines)
    if before == " " and here == " ":
        return False
    if " " in before or " " in here:
        return {before, here} <= {" ", "9", " 9"} and here == "9" and before != "9"
    return before != here and "9" in (before, here) and "A" in before + here


def _column(first: int, last: int, lines: list[str]) -> Place:
    texts = [line[first - 1 : last].strip() for line in lines]
    place = Place(name=f"{first}-{last}", required=all(texts))
    if not any(texts):
        place.always = ""
        return place
    _as_texts(place, [text for text in texts if text])
    wide = last - first + 1
    if place.kind == "integer" or all(re.fullmatch(r"\d+", text) for text in texts if text):
        place.kind = "integer" if place.kind not in ("date", "datetime") else place.kind
        place.note = f"{wide} digits"
    return place
