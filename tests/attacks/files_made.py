"""Files that attack, made here and kept nowhere: each must be refused with a code, or put before somebody who must act.

``%URL%`` is where a listener waits that nobody may call, ``%FILE%`` a file that nobody may read.
"""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import Workbook

EXAMPLES = Path(__file__).resolve().parents[2] / "mappings"
HEAD = "Group No,Given Name,Family Name,Sex,Date of Birth,Nationality,Passport No,Issue Date,Expiry Date,Mobile"
ROW = "G-1001,SITI,RAHAYU,F,1984-11-03,IDN,C7654321,2024-05-06,2034-05-05,"
GOOD = f"{HEAD}\r\n{ROW}\r\n".encode()
Body = Callable[[], bytes]


@dataclass(frozen=True)
class Attack:
    """One file: from whom, what it calls itself, its bytes, and what it changes in the manifest beside it."""

    id: str
    body: Body
    name: str = "r.csv"
    partner: str = "agent_idn_1"
    operation: str = "receive_roster"
    manifest: dict[str, Any] | bytes | None = None


# --- workbooks ----------------------------------------------------------------------------------------------------


def book() -> bytes:
    made, out = Workbook(), io.BytesIO()
    for line in (HEAD, ROW):
        made.active.append([cell or None for cell in line.split(",")])
    made.save(out)
    return out.getvalue()


def parts(data: bytes | None = None) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data or book())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(found: dict[str, bytes], extra: tuple[tuple[zipfile.ZipInfo | str, bytes], ...] = (), **kw: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kw.pop("compression", zipfile.ZIP_DEFLATED)) as archive:
        for name, data in found.items():
            archive.writestr(name, data)
        for one, data in extra:
            archive.writestr(one, data)
    return out.getvalue()


def with_part(name: zipfile.ZipInfo | str, data: bytes = b"<x/>") -> Body:
    return lambda: packed(parts(), ((name, data),))


def sheet(change: Callable[[bytes], bytes], at: str = "xl/worksheets/sheet1.xml") -> Body:
    def made() -> bytes:
        found = parts()
        found[at] = change(found[at])
        return packed(found)

    return made


def _bomb() -> bytes:
    found = parts()
    found["xl/worksheets/sheet1.xml"] += b" " * 60_000_000
    return packed(found)


def _lying_sizes() -> bytes:
    """The directory says that the sheet is small; what lies there is not."""
    data = bytearray(_bomb())
    size = len(parts()["xl/worksheets/sheet1.xml"]) + 60_000_000
    at = data.find(struct.pack("<I", size))
    while at >= 0:
        data[at : at + 4] = struct.pack("<I", 1000)
        at = data.find(struct.pack("<I", size), at + 1)
    return bytes(data)


def _overlap() -> bytes:
    """Two names in the directory lead to the same bytes."""
    data = packed(parts(), (("xl/copy.xml", b"<x/>"),))
    at = data.rfind(b"PK\x01\x02")
    first = struct.unpack("<I", data[data.find(b"PK\x01\x02") + 42 :][:4])[0]
    return data[: at + 42] + struct.pack("<I", first) + data[at + 46 :]


def _encrypted() -> bytes:
    data = bytearray(book())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


def _linked() -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("xl/link.xml")
    made.create_system, made.external_attr = 3, 0o120777 << 16
    return made


def _raw(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("x.xml")
    made.filename = name
    return made


def _zip64() -> bytes:
    data = bytearray(book())
    at = data.find(b"PK\x01\x02")
    data[at + 20 : at + 28] = b"\xff" * 8
    return bytes(data)


def _shared(text: bytes) -> Body:
    def made() -> bytes:
        found = parts()
        found["xl/sharedStrings.xml"] = text
        return packed(found)

    return made


_ENTITIES = b'<!DOCTYPE x [<!ENTITY e SYSTEM "%s">]>'
_LAUGHS = (
    b"<!DOCTYPE x [<!ENTITY a 'ha'>"
    + b"".join(b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]>"
)


def _typed(doctype: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        start = data.find(b"?>") + 2 if data.startswith(b"<?xml") else 0
        return data[:start] + doctype + data[start:]

    return change


def _cell(data: bytes, inside: bytes, kind: bytes = b"n") -> bytes:
    """The sheet with another cell A2."""
    start = data.index(b'<c r="A2"')
    end = data.index(b"</c>", start) + 4
    return data[:start] + b'<c r="A2" t="%s">%s</c>' % (kind, inside) + data[end:]


def _far(ref: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(
        b"</sheetData>", b'<row r="1048576"><c r="%s"><v>1</v></c></row></sheetData>' % ref
    )


def workbooks() -> Iterator[Attack]:
    made: dict[str, Body] = {
        "zip-bomb": _bomb,
        "zip-lies-about-sizes": _lying_sizes,
        "zip-overlap": _overlap,
        "zip-600-entries": lambda: packed({**parts(), **{f"xl/x{n}.xml": b"<x/>" for n in range(600)}}),
        "zip-nested": with_part("xl/inner.zip", book()),
        "zip-nested-as-sheet": sheet(lambda data: book()),
        "zip-traversal": with_part(_raw("../../../../tmp/hub-attack.xml")),
        "zip-absolute": with_part(_raw("/tmp/hub-attack.xml")),
        "zip-backslash": with_part(_raw("xl\\..\\..\\hub-attack.xml")),
        "zip-drive": with_part(_raw("C:/hub-attack.xml")),
        "zip-nul-name": with_part(_raw("xl/a\0.xml")),
        "zip-symlink": lambda: packed(parts(), ((_linked(), b"/etc/passwd"),)),
        "zip-twice": lambda: packed(parts(), (("xl/worksheets/sheet1.xml", b"<x/>"),)),
        "zip-case-clash": with_part("XL/Worksheets/Sheet1.xml"),
        "zip-unicode-clash": with_part("xl/workbook.xml".replace("k", "\uff4b")),
        "zip-encrypted": _encrypted,
        "zip-lzma": lambda: packed(parts(), compression=zipfile.ZIP_LZMA),
        "zip-bzip2": lambda: packed(parts(), compression=zipfile.ZIP_BZIP2),
        "zip-truncated": lambda: book()[:-40],
        "zip-cut-in-half": lambda: book()[: len(book()) // 2],
        "zip-flipped": lambda: book()[:300] + bytes([book()[300] ^ 0xFF]) + book()[301:],
        "zip-64-lie": _zip64,
        "zip-empty": lambda: b"PK\x05\x06" + bytes(18),
        "zip-only-magic": lambda: b"PK\x03\x04",
        "zip-executable-part": with_part("xl/run.exe", b"MZ"),
        "xlsm-macros": with_part("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0"),
        "xlsx-macro-sheet": with_part("xl/macrosheets/sheet1.xml"),
        "xlsx-external-link": with_part("xl/externalLinks/externalLink1.xml", b'<x Target="%URL%"/>'),
        "xlsx-dde": with_part("xl/externalLinks/externalLink2.xml", b'<ddeLink ddeService="cmd" ddeTopic="/c calc"/>'),
        "xlsx-ole": with_part("xl/embeddings/oleObject1.bin"),
        "xlsx-query": with_part("xl/queryTables/queryTable1.xml", b'<q url="%URL%"/>'),
        "xlsx-connection": with_part("xl/connections.xml", b'<c url="%URL%"/>'),
        "xlsx-formula": sheet(lambda data: _cell(data, b"<f>cmd|'/c calc'!A0</f><v>1</v>")),
        "xlsx-webservice": sheet(lambda data: _cell(data, b'<f>WEBSERVICE("%URL%")</f><v>1</v>')),
        "xlsx-cell-far-away": sheet(_far(b"XFD1048576")),
        "xlsx-cell-beyond-the-sheet": sheet(_far(b"ZZZ9999999")),
        "xlsx-cell-nowhere": sheet(_far(b"1A")),
        "xlsx-row-number-absurd": sheet(lambda data: data.replace(b'<row r="2"', b'<row r="99999999999"')),
        "xlsx-external-entity": sheet(_typed(_ENTITIES % b"%FILE%")),
        "xlsx-entity-by-network": sheet(_typed(_ENTITIES % b"%URL%")),
        "xlsx-entity-in-workbook": sheet(_typed(_ENTITIES % b"%FILE%"), "xl/workbook.xml"),
        "xlsx-entity-in-relations": sheet(_typed(_ENTITIES % b"%FILE%"), "_rels/.rels"),
        "xlsx-laughs": sheet(_typed(_LAUGHS)),
        "xlsx-shared-string-missing": sheet(lambda data: _cell(data, b"<v>999999</v>", b"s")),
        "xlsx-shared-laughs": _shared(_LAUGHS + b"<sst><si><t>&j;</t></si></sst>"),
        "xlsx-shared-count-lie": _shared(b'<sst count="4294967295" uniqueCount="4294967295"/>'),
        "xlsx-styles-count-lie": sheet(
            lambda data: data.replace(b"<cellXfs ", b'<cellXfs uniqueCount="4294967295" '), "xl/styles.xml"
        ),
        "xlsx-deep": sheet(lambda data: b"<a>" * 5_000 + data + b"</a>" * 5_000),
        "xlsx-utf16": sheet(lambda data: data.decode().encode("utf-16")),
        "xlsx-malformed": sheet(lambda data: data[:-9]),
        "xlsx-no-sheet": lambda: packed({n: d for n, d in parts().items() if "sheet1" not in n}),
        "docx": lambda: packed({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"}),
        "xls-ole2": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000),
    }
    yield from (Attack(name, body, "r.xlsx") for name, body in made.items())


# --- tables -------------------------------------------------------------------------------------------------------


def row(**cells: str) -> Body:
    """A roster of one row in which some cells are others."""

    def made() -> bytes:
        found = dict(zip(HEAD.split(","), ROW.split(","), strict=True)) | {
            k.replace("_", " "): v for k, v in cells.items()
        }
        quoted = ",".join('"' + value.replace('"', '""') + '"' for value in found.values())
        return f"{HEAD}\r\n{quoted}\r\n".encode("utf-8", "surrogatepass")

    return made


def tables() -> Iterator[Attack]:
    made: dict[str, Body] = {
        "csv-formula": row(Family_Name="=cmd|'/c calc'!A0"),
        "csv-formula-hyperlink": row(Family_Name='=HYPERLINK("%URL%","x")'),
        "csv-formula-plus": row(Family_Name="+1+cmd|' /C calc'!A0"),
        "csv-formula-minus": row(Family_Name="-2+3"),
        "csv-formula-at": row(Family_Name="@SUM(1)"),
        "csv-formula-behind-a-tab": row(Family_Name="\t=1+1"),
        "csv-formula-behind-a-return": row(Family_Name="\r=1+1"),
        "csv-formula-in-a-number": row(Passport_No="=1+1"),
        "csv-nul": row(Family_Name="RAH\0AYU"),
        "csv-escape-sequence": row(Family_Name="\x1b[2J\x1b]0;x\x07"),
        "csv-bidi": row(Family_Name="RAH\u202eUYA"),
        "csv-isolates": row(Family_Name="RAH\u2066AYU\u2069"),
        "csv-line-break": row(Family_Name="RAHAYU\r\nG-1001,X"),
        "csv-line-separator": row(Family_Name="RAH\u2028AYU"),
        "csv-surrogate": row(Family_Name="RAH\udc80AYU"),
        "csv-overlong": lambda: GOOD.replace(b"RAHAYU", b"\xc0\xafETC\xc0\xaf"),
        "csv-bad-byte": lambda: GOOD.replace(b"RAHAYU", b"RAH\xffAYU"),
        "csv-latin": lambda: GOOD.replace(b"RAHAYU", "RAHÄYU".encode("latin-1")),
        "csv-windows-1256": lambda: HEAD.encode() + b"\r\n" + ROW.replace("RAHAYU", "سيتي").encode("cp1256"),
        "csv-utf16": lambda: GOOD.decode().encode("utf-16"),
        "csv-utf16-without-mark": lambda: GOOD.decode().encode("utf-16-be"),
        "csv-utf32": lambda: GOOD.decode().encode("utf-32"),
        "csv-utf7": lambda: GOOD.decode().replace("RAHAYU", "=1").encode("utf-7").replace(b"=", b"+AD0-"),
        "csv-two-marks": lambda: b"\xef\xbb\xbf" * 2 + GOOD.replace(b"SITI", b"=1"),
        "csv-huge-cell": row(Family_Name="A" * 3_000_000),
        "csv-long-cell": row(Family_Name="A" * 100_000),
        "csv-wide-row": lambda: HEAD.encode() + b"\r\n" + b"x," * 1_000_000,
        "csv-wide-heading": lambda: b"x," * 500_000 + GOOD,
        "csv-open-quote": lambda: GOOD + b'G-1001,"SITI' + b"\n" * 100_000,
        "csv-heading-twice": lambda: GOOD.replace(b"Given Name", b"Family Name"),
        "csv-no-heading": lambda: ROW.encode(),
        "csv-only-mark": lambda: b"\xef\xbb\xbf",
        "csv-blank": lambda: b"\r\n" * 1_000_000,
        "csv-sql": row(Group_No="G-1001'; DROP TABLE request; --"),
        "csv-path": row(Group_No="../../../../etc/passwd"),
        "csv-template": row(Group_No="{{7*7}}${7*7}%d"),
        "csv-absurd-date": row(Date_of_Birth="99999-99-99"),
        "csv-date-of-two-readings": row(Date_of_Birth="02/03/1984"),
        "csv-number-bomb": row(Passport_No="9" * 50_000),
        "csv-log-forging": row(Group_No="G-1\n2026-01-01 [info] taken"),
        "gzip": lambda: gzip.compress(GOOD),
        "gzip-bomb": lambda: gzip.compress(bytes(50_000_000)),
        "zlib": lambda: zlib.compress(GOOD),
        "pdf": lambda: b"%PDF-1.7\n" + GOOD,
        "elf": lambda: b"\x7fELF" + bytes(4_000),
        "html": lambda: b"<html><script src='%URL%'></script></html>",
        "polyglot-html": lambda: b"<!--" + GOOD + b"-->",
        "polyglot-zip-behind": lambda: b"MZ" + book(),
        "tar": lambda: b"r.csv".ljust(257, b"\0") + b"ustar\x0000" + bytes(800),
        "xml-as-table": lambda: b"<?xml version='1.0'?>" + _ENTITIES % b"%FILE%" + b"<x>&e;</x>",
        "json-as-table": lambda: b"[" * 100_000,
        "yaml-as-table": lambda: b"!!python/object/apply:os.system ['touch /tmp/hub-attack']",
        "pickle-as-table": lambda: b"cos\nsystem\n(S'touch /tmp/hub-attack'\ntR.",
        "all-zero": lambda: bytes(100_000),
    }
    yield from (Attack(name, body) for name, body in made.items())


# --- names --------------------------------------------------------------------------------------------------------

NAMES = {
    "name-up": "../../../hub-attack.csv",
    "name-up-inside": "x/../../hub-attack.csv",
    "name-absolute": "/tmp/hub-attack.csv",
    "name-backslash": "x\\..\\hub-attack.csv",
    "name-drive": "C:hub-attack.csv",
    "name-stream": "r.csv:hidden.csv",
    "name-nul": "r\0.csv",
    "name-line-break": "r\n.csv",
    "name-escape": "r\x1b[2J.csv",
    "name-bidi": "r\u202evsc.exe.csv",
    "name-zero-width": "r\u200b.csv",
    "name-too-long": "r" * 300 + ".csv",
    "name-device": "CON.csv",
    "name-device-port": "com1.csv",
    "name-of-no-file": "..",
    "name-executable": "r.csv.exe",
    "name-unknown": "r.pdf",
    "name-wildcard": "*.csv",
    "name-pipe": "|id.csv",
    "name-space-behind": "r.csv ",
    "name-surrogate": "r\udcff.csv",
}


def names() -> Iterator[Attack]:
    yield from (Attack(id, lambda: GOOD, name) for id, name in NAMES.items())


# --- messages of others -------------------------------------------------------------------------------------------


def example(way: str, ending: str) -> bytes:
    return sorted((EXAMPLES / way / "examples").glob(f"request-*.{ending}"))[0].read_bytes()


def _xml(change: Callable[[bytes], bytes]) -> Body:
    return lambda: change(example("banks/statements/receive_statement", "xml"))


def _edi(was: bytes, now: bytes) -> Body:
    return lambda: example("transport/passenger_lists/receive_list", "edi").replace(was, now, 1)


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Body:
    return lambda: b"".join(change(example("banks/payments/receive_settlement", "txt").splitlines(keepends=True)))


def messages() -> Iterator[Attack]:
    camt = {"name": "CAMT053-1.xml", "partner": "statements_wadi", "operation": "receive_statement"}
    for id, change in {
        "camt-entity": _typed(_ENTITIES % b"%FILE%"),
        "camt-entity-by-network": _typed(_ENTITIES % b"%URL%"),
        "camt-laughs": _typed(_LAUGHS),
        "camt-xinclude": lambda data: b'<x xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="%FILE%"/></x>',
        "camt-stylesheet": lambda data: b'<?xml-stylesheet href="%URL%"?><x/>',
        "camt-deep": lambda data: b"<a>" * 100_000,
        "camt-utf7": lambda data: b"<?xml version='1.0' encoding='utf-7'?>" + data,
        "camt-encoding-lie": lambda data: b"<?xml version='1.0' encoding='utf-16'?>" + data,
        "camt-truncated": lambda data: data[: len(data) // 2],
        "camt-namespace": lambda data: data.replace(b"camt.053.001", b"camt.999.001"),
        "camt-attributes": lambda data: b"<x " + b" ".join(b"a%d='1'" % n for n in range(150_000)) + b"/>",
        "camt-two-roots": lambda data: data + data,
    }.items():
        yield Attack(id, _xml(change), **camt)
    edi = {"name": "l.edi", "partner": "lists_rihla", "operation": "receive_list"}
    for id, body in {
        "edi-segments-lie": _edi(b"UNT+20", b"UNT+2000000000"),
        "edi-messages-lie": _edi(b"UNZ+1", b"UNZ+9"),
        "edi-count-lie": _edi(b"CNT+42:2", b"CNT+42:200"),
        "edi-other-reference": _edi(b"UNT+20+1", b"UNT+20+2"),
        "edi-other-interchange": _edi(b"UNZ+1+RH8810220", b"UNZ+1+RH8810221"),
        "edi-cut": lambda: _edi(b"", b"")()[:-40],
        "edi-released-end": lambda: _edi(b"", b"")()[:-1] + b"?",
        "edi-no-end": lambda: _edi(b"", b"")().replace(b"'", b""),
        "edi-huge-segment": _edi(b"SUHARTO", b"S" * 2_000_000),
        "edi-nul": _edi(b"XX99881", b"XX\x0099881"),
        "edi-twice": lambda: _edi(b"", b"")() * 2,
    }.items():
        yield Attack(id, body, **edi)
    swift = {"name": "MT940-1.sta", "partner": "swift_jakarta", "operation": "receive_statement"}
    whole = example("banks/swift_statements/receive_statement", "sta")
    for id, data in {
        "mt940-cut": whole[: len(whole) // 3],
        "mt940-balance-lie": whole.replace(b":62F:C260214SAR15985,00", b":62F:C260214SAR99999,00"),
        "mt940-impossible-day": whole.replace(b":61:2602140213", b":61:2602300230"),
        "mt940-huge-tag": b":86:" + b"A" * 2_000_000,
        "mt940-amount-bomb": whole.replace(b"6120,50", b"9" * 100_000 + b",50"),
    }.items():
        yield Attack(id, lambda data=data: data, **swift)


# --- manifests ----------------------------------------------------------------------------------------------------


def manifests() -> Iterator[Attack]:
    bank = {"partner": "bank_haramayn", "operation": "receive_settlement"}
    good = _lines(lambda lines: lines)
    for number, (id, change) in enumerate({
        "manifest-other-hash": {"sha256": "0" * 64},
        "manifest-no-hash": {"sha256": ""},
        "manifest-more-bytes": {"bytes": 10**12},
        "manifest-fewer-bytes": {"bytes": 1},
        "manifest-other-count": {"count": 3},
        "manifest-other-sum": {"control_sum": "1.00"},
        "manifest-sum-bomb": {"control_sum": "1e999999999"},
        "manifest-sum-none": {"control_sum": "sNaN"},
        "manifest-other-number": {"sequence": 77},
        "manifest-other-name": {"name": "../../hub-attack.txt"},
        "manifest-negative": {"count": -1},
        "manifest-fraction": {"count": 2.5},
        "manifest-truth": {"bytes": True},
        "manifest-unknown-key": {"run": "id"},
        "manifest-too-long": {"created": "x" * 20_000},
        "manifest-no-json": b"\x80\x04cos\nsystem\n.",
        "manifest-deep": b"[" * 9_000,
        "manifest-not-a-number": b'{"bytes": NaN}',
    }.items(), 1):  # fmt: skip
        yield Attack(id, good, f"SETTLE-bank_haramayn-{number:06}.txt", manifest=change, **bank)
    for number, (id, body) in enumerate({
        "fixed-trailer-lies": _lines(lambda lines: [*lines[:1], *lines[2:]]),
        "fixed-cut": _lines(lambda lines: lines[:-1]),
        "fixed-short-line": _lines(lambda lines: [lines[0], lines[1][:40] + b"\n", *lines[2:]]),
        "fixed-long-line": _lines(lambda lines: [lines[0], lines[1].rstrip() + b"X" * 1_000_000 + b"\n", *lines[2:]]),
        "fixed-unknown-record": _lines(lambda lines: [lines[0], b"Q" + lines[1][1:], *lines[2:]]),
        "fixed-two-headers": _lines(lambda lines: [lines[0], *lines]),
        "fixed-sign-in-amount": _lines(lambda lines: [lines[0], lines[1].replace(b"000367", b"-00367"), *lines[2:]]),
        "fixed-nul": _lines(lambda lines: [lines[0], b"\0" * len(lines[1]), *lines[2:]]),
    }.items(), 100):  # fmt: skip
        yield Attack(id, body, f"SETTLE-bank_haramayn-{number:06}.txt", manifest={}, **bank)


ATTACKS = [*workbooks(), *tables(), *names(), *messages(), *manifests()]
