"""The syntax of UN/EDIFACT (ISO 9735): from bytes to segments and back, whatever a map makes of them.

Reading takes UNA or none and whatever separators; lines broken anywhere, in the middle of a word too; a byte order
mark; the header and footer of an e-mail or a telex; UNG and UNE, or none.  Counts and references that are not true are
refused under the policy ``strict`` and only told to the log under ``warn``: many senders count wrongly and list
rightly.
"""

import codecs
import quopri
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from hub.mapping.errors import MapError

SIZE_LIMIT = 20_000_000
Fail = Callable[..., MapError]
log = structlog.get_logger(__name__)

#: Where a segment's data stand: element, its repetition, component (0: the whole element), all from 1.
Address = tuple[int, int, int]
#: What ends with which segment.
ENDS = {"UNT": "UNH", "UNE": "UNG", "UNZ": "UNB"}
BEGINNINGS = frozenset(ENDS.values())
_QUOTED = re.compile(rb"(?im)^content-transfer-encoding:[ \t]*quoted-printable")
_TAG = re.compile(r"[A-Z][A-Z0-9]{2}")
_LEVEL_A = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-()/=!\"%&*;<>'+:?")
_LEVELS = {"UNOA": _LEVEL_A, "UNOB": _LEVEL_A | frozenset("abcdefghijklmnopqrstuvwxyz")}
_CODECS = {
    "UNOC": "iso8859-1", "UNOD": "iso8859-2", "UNOE": "iso8859-5", "UNOF": "iso8859-7", "UNOG": "iso8859-3",
    "UNOH": "iso8859-4", "UNOI": "iso8859-6", "UNOJ": "iso8859-8", "UNOK": "iso8859-9", "UNOW": "utf-8",
    "UNOY": "utf-8",
}  # fmt: skip


@dataclass(slots=True)
class Segment:
    """A segment: ``elements[e][r][c]`` is component *c* of repetition *r* of element *e*, all from 0."""

    tag: str
    elements: list[list[list[str]]]

    def get(self, address: Address) -> str:
        element, repeat, component = address
        try:
            components = self.elements[element - 1][repeat - 1]
            return ":".join(components) if not component else components[component - 1]
        except IndexError:
            return ""

    def put(self, address: Address, text: str) -> None:
        element, repeat, component = address
        while len(self.elements) < element:
            self.elements.append([[]])
        repeats = self.elements[element - 1]
        while len(repeats) < repeat:
            repeats.append([])
        if not component:
            repeats[repeat - 1] = text.split(":")
            return
        components = repeats[repeat - 1]
        components += [""] * (component - len(components))
        components[component - 1] = text


@dataclass(frozen=True, slots=True)
class Signs:
    """The service characters: what ``UNA`` says, or what the standard has where there is none."""

    component: str = ":"
    element: str = "+"
    release: str = "?"
    repeat: str = ""
    end: str = "'"


# --- reading ------------------------------------------------------------------------------------------------------


def parse(data: bytes, fail: Fail) -> Iterator[Segment]:
    """The segments of the interchange that stands somewhere in *data*."""
    if len(data) > SIZE_LIMIT:
        raise fail("file_too_large", text=f"there are more than {SIZE_LIMIT} bytes")
    text = _text(data)
    if "\0" in text:
        raise fail("edifact_unreadable", text="it holds a sign that no character set of interchanges has")
    signs, body = _found(text, fail)
    if signs.release:
        # A released character is kept out of the way while separators are looked for.
        body = re.sub(re.escape(signs.release) + "([\0-\uffff])", lambda m: chr(0xF0000 + ord(m[1])), body)
    opened, seen, ended = 0, False, False
    for number, raw in enumerate(body.split(signs.end), 1):
        name, *rest = raw.strip().split(signs.element)
        tag = name.partition(signs.component)[0].rstrip()
        if ended and tag == "UNB" and rest:
            raise fail("edifact_unreadable", place="UNB", text="a second interchange follows the first")
        if ended or not name:
            continue
        if _TAG.fullmatch(tag):
            yield Segment(tag, [_element(text, signs) for text in rest])
            opened += {"UNH": 1, "UNT": -1}.get(tag, 0)
            seen, ended = seen or tag == "UNH", tag == "UNZ"
        elif seen and not opened:
            ended = True  # what stands below the last message is nobody's: an e-mail's footer, a page's end
        else:
            raise fail("edifact_unreadable", text=f"segment {number} has no tag")


def _element(text: str, signs: Signs) -> list[list[str]]:
    repeats = text.split(signs.repeat) if signs.repeat else [text]
    return [[_RELEASED.sub(_plain, part) for part in repeat.split(signs.component)] for repeat in repeats]


_RELEASED = re.compile("[\U000f0000-\U000fffff]")


def _plain(match: re.Match[str]) -> str:
    return chr(ord(match[0]) - 0xF0000)


def _text(data: bytes) -> str:
    if _QUOTED.search(data, 0, 1 << 16):
        data = quopri.decodestring(data)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        codec = "utf-16"
    elif data.startswith(codecs.BOM_UTF8):
        codec = "utf-8"
    else:
        level = re.search(rb"UNB[^A-Za-z0-9](UNO[A-Z])", data.replace(b"\r", b"").replace(b"\n", b""))
        codec = _CODECS.get(level[1].decode(), "") if level else ""
    for attempt in (codec, "utf-8", "iso8859-1"):
        try:
            if attempt:
                return _RELEASED.sub("", data.decode(attempt).removeprefix("\ufeff"))
        except UnicodeDecodeError:
            continue  # many say one character set and send another
    raise AssertionError("every byte is a character of ISO 8859-1")


_SIGN = r"[^\w \t\n]"  # a control character is one too
#: UNA's fifth sign is kept for later in most versions, and lost on the way where it was a blank.
_UNA = re.compile(rf"UNA({_SIGN})({_SIGN})(.)(\W)(\W?)({_SIGN})[ \t]*(?=UNB\2)")
_UNA_LINES = re.compile(rf"UNA({_SIGN})({_SIGN})(.)([^\w\n])([ *])\n(?=UNB\2)")
_UNB = re.compile(rf"UNB({_SIGN})(?:UNO[A-Z]|IAT[A-Z]|KECA)(?:(?!\1)({_SIGN})([0-9]))?")


def _found(text: str, fail: Fail) -> tuple[Signs, str]:
    """The service characters and everything from ``UNB`` on, in one line."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = _UNA_LINES.search(text)
    if lines is None:
        text = text.replace("\n", "")
    una = lines or _UNA.search(text)
    unb = _UNB.search(text, una.end() if una else 0)
    if unb is None or (una is not None and unb.start() != una.end()):
        raise fail("edifact_unreadable", place="UNB", text="no interchange begins anywhere in it")
    version = int(unb[3] or 0)
    if una is not None:
        end = "\n" if lines else una[6]
        repeat = una[5].strip() if version >= 4 else ""
        signs = Signs(una[1], una[2], "" if una[4] in (" ", una[1], una[2]) else una[4], repeat, end)
    else:
        component = unb[2] or ":"
        first = re.compile(rf"(\W)\s*(?:UNG|UNH){re.escape(unb[1])}").search(text, unb.end())
        end = first[1] if first and first[1] not in (unb[1], component, " ") else "'"
        taken = {unb[1], component, end}
        repeat = "*" if version >= 4 and "*" not in taken else ""
        signs = Signs(component, unb[1], "" if "?" in taken else "?", repeat, end)
    kept = {signs.component, signs.element, signs.end, signs.release}
    # Telex and e-mail leave control characters behind.
    body = "".join(c for c in text[unb.start() :] if (c >= " " and c != "\x7f") or c in kept)
    return signs, body


def hold(segments: list[Segment], counts: str, fail: Fail) -> None:
    """Hold the counts and references of the service segments against what they close."""
    if not any(segment.tag == "UNH" for segment in segments):
        raise fail("file_truncated", place="UNH", text="the interchange holds no message")
    since: dict[str, tuple[Segment, int]] = {}
    held = {"UNT": 0, "UNE": 0, "UNZ": 0}
    for number, segment in enumerate(segments):
        tag = segment.tag
        if tag in ("UNH", "UNE", "UNZ") and since.pop("UNH", None) is not None:
            _policy(counts, fail, "UNT", "is missing", "file_truncated")
        if tag in ENDS.values():
            since[tag] = segment, number
            if tag != "UNB":
                held["UNE" if tag == "UNH" and "UNG" in since else "UNZ"] += 1
            if tag == "UNG":
                held["UNE"] = 0
        elif tag in ENDS:
            begun = since.pop(ENDS[tag], None)
            if begun is None:
                raise fail("file_truncated", place=tag, text=f"{tag} stands where nothing is to be ended")
            true = number - begun[1] + 1 if tag == "UNT" else held[tag]
            said = segment.get((1, 1, 1)).strip()
            if not said.isdigit() or int(said) != true:
                _untrue(counts, fail, f"{tag}/1", said if said.isdigit() else "nothing", true)
            reference = (5, 1, 1) if tag != "UNT" else (1, 1, 1)
            if segment.get((2, 1, 1)).strip() != begun[0].get(reference).strip():
                _policy(counts, fail, f"{tag}/2", f"is not the reference of its {ENDS[tag]}")
    if "UNH" in since:
        raise fail("file_truncated", place="UNT", text="a message ends without its UNT")
    for tag in ("UNG", "UNB"):
        if tag in since:
            end = next(end for end, begin in ENDS.items() if begin == tag)
            _policy(counts, fail, end, "is missing", "file_truncated")


def _untrue(counts: str, fail: Fail, place: str, said: Any, true: Any) -> None:
    if counts == "strict":
        raise fail("file_totals", place=place, text=f"must be {true}, is {said}", expected=said, found=true)
    log.warning("edifact_counts", place=place, expected=said, found=true)


def _policy(counts: str, fail: Fail, place: str, text: str, code: str = "edifact_reference") -> None:
    if counts == "strict":
        raise fail(code, place=place, text=text)
    log.warning("edifact_counts", place=place, code=code)


# --- writing ------------------------------------------------------------------------------------------------------


def encoding(level: str) -> str:
    """The encoding of a syntax level."""
    return _CODECS.get(level, "ascii")


def letters(level: str) -> str | None:
    """The characters of a syntax level, None where all of its encoding are."""
    allowed = _LEVELS.get(level)
    return "".join(sorted(allowed)) if allowed is not None else None


def written(segments: Iterable[Segment], una: str | None, newline: str, level: str) -> bytes:
    """The interchange of *segments*, whose ends are added; *una* are the service characters to be named, or None."""
    signs = Signs(una[0], una[1], una[3], una[4].strip(), una[5]) if una else Signs()
    parts = [f"UNA{una}{newline}"] if una else []
    parts += [_rendered(segment, signs) + signs.end + newline for segment in _closed(segments)]
    return "".join(parts).encode(encoding(level))


def _closed(segments: Iterable[Segment]) -> Iterator[Segment]:
    """*segments* with the ends of messages, groups and the interchange, counted."""
    opened: list[tuple[str, str, int]] = []  # what was begun: its end, its reference, how many it holds so far

    def close(until: str) -> Iterator[Segment]:
        while opened and (not until or opened[-1][0] in until):
            end, reference, holds = opened.pop()
            yield Segment(end, [[[str(holds + (end == "UNT"))]], [[reference]]])

    for segment in segments:
        tag = segment.tag
        if tag in ("UNH", "UNG"):
            yield from close("UNT" if tag == "UNH" else "UNT UNE")
            if opened:
                opened[-1] = (*opened[-1][:2], opened[-1][2] + 1)
        if tag in ("UNB", "UNG", "UNH"):
            end = next(end for end, begin in ENDS.items() if begin == tag)
            opened.append((end, segment.get((1, 1, 1) if tag == "UNH" else (5, 1, 1)), 0))
        if opened and opened[-1][0] == "UNT":
            opened[-1] = (*opened[-1][:2], opened[-1][2] + 1)
        yield segment
    yield from close("")


def _rendered(segment: Segment, signs: Signs) -> str:
    special = {sign for sign in (signs.component, signs.element, signs.repeat, signs.end, signs.release) if sign}

    def safe(text: str) -> str:
        return "".join(signs.release + c if c in special else c for c in text)

    def joined(repeat: list[str]) -> str:
        last = max((number for number, part in enumerate(repeat, 1) if part), default=0)
        return signs.component.join(safe(part) for part in repeat[:last])

    elements = [signs.repeat.join(joined(repeat) for repeat in element) for element in segment.elements]
    while elements and not elements[-1]:
        elements.pop()
    return signs.element.join([segment.tag, *elements])


def same(one: bytes, other: bytes) -> bool:
    """Whether two interchanges say the same, wherever their lines break."""
    return list(parse(one, unreadable)) == list(parse(other, unreadable))


def unreadable(code: str, **where: Any) -> MapError:
    return MapError(code, path="", **where)
