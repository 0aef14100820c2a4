"""The closed set of forms: how one canonical value stands on the wire, checked both ways.

A *writer* or *reader* here turns the source of an expression into the source of another; what the new one calls is handed
to ``bind``, which names it in the generated module.  Readers only ever give values that their field's declaration allows.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any

from hub.canonical import hijri, names
from hub.canonical.declare import Shape, wrong_value
from hub.canonical.errors import HubError
from hub.mapping.errors import Bad
from hub.mapping.model import Form, Format, Table

Bind = Callable[[Any], str]
Wrap = Callable[[str], str]

# Dates repeat all through a file; their texts are kept so that most are made and read once.
_KEPT = 4096
_TOKEN = re.compile(r"YYYY|YY|MM|DD|hh|mm|ss")
_WIDTH = {"YYYY": 4, "YY": 2, "MM": 2, "DD": 2, "hh": 2, "mm": 2, "ss": 2}
_PART = {"YYYY": "year", "YY": "year", "MM": "month", "DD": "day", "hh": "hour", "mm": "minute", "ss": "second"}
_SUGGESTED = {
    "decimal": "text", "integer": "digits", "boolean": "text", "date": "date YYYY-MM-DD",
    "datetime": "datetime YYYY-MM-DDThh:mm:ssZ",
}  # fmt: skip
_FOR = {
    "table": ("text",), "date": ("date",), "hijri": ("date",), "datetime": ("datetime",), "decimal": ("decimal",),
    "digits": ("integer", "text"), "text": ("text", "decimal", "integer", "boolean", "date"),
    "number": ("integer", "decimal"), "arabic": ("text",),
}  # fmt: skip
_PLAIN = {
    "xml": ("text", "date", "decimal", "integer", "boolean"),
    "json": ("text", "date", "integer", "boolean"),
    "fixed": ("text",),
    "csv": ("text",),
}
#: What a spreadsheet takes for the beginning of a formula.
FORMULA = frozenset("=+-@\t\r\0")
_GUARDED = re.compile(r"'+[=+\-@\t\r\0]")


# --- checks at load -----------------------------------------------------------------------------------------------


def misfit(form: Form | None, name: str, shape: Shape, format: Format, width: int | None) -> str | None:
    """Why *form* cannot carry field *name*, or None."""
    kind = str(shape.kind)
    if form is None:
        if kind in _PLAIN[format]:
            return None
        suggested = "decimal 2" if (format, kind) == ("fixed", "decimal") else _SUGGESTED[kind]
        return f"'{name}' is a {kind}: say its form, such as '| {suggested}'"
    if kind not in _FOR[form.name]:
        return f"form '{form.name}' is for {' and '.join(_FOR[form.name])}, but '{name}' is {kind}"
    if form.name in ("date", "hijri", "datetime") and form.argument != "declared":
        return _pattern_fault(form)
    if form.name == "number" and format == "json" and (shape.digits or 0) > 15:
        return f"'{name}' may have {shape.digits} digits, a JSON number carries 15 exactly: take '| text'"
    if form.name == "digits" and kind == "text" and not _all_digits(shape, width):
        wide = f"always {width} digits" if width else "digits only"
        return f"form 'digits' is for text that is {wide}, which '{name}' is not"
    return None


def loses(form: Form | None, name: str, shape: Shape) -> str | None:
    """What cannot be read back after *form* has written it, or None."""
    if form is None:
        return None
    lost = None
    if form.name in ("date", "hijri", "datetime") and form.argument != "declared":
        given = set(_TOKEN.findall(form.argument))
        wanted = ("YYYY", "MM", "DD", "hh", "mm", "ss") if form.name == "datetime" else ("YYYY", "MM", "DD")
        missing = [token for token in wanted if token not in given]
        lost = f"{' '.join(missing)} of {shape.kind} '{name}'" if missing else None
    elif form.name == "decimal" and int(form.argument) < (shape.places or 0):
        lost = f"decimals of '{name}', which has {shape.places}"
    if lost is None:
        return None
    remedy = "" if form.name == "decimal" else "; give a fuller form, or say 'only: write', or 'lossy: WHY'"
    return f"form '{form}' loses {lost}{remedy}"


def _pattern_fault(form: Form) -> str | None:
    tokens = _TOKEN.findall(form.argument)
    rest = _TOKEN.sub("", form.argument)
    allowed = "YYYY YY MM DD" + (" hh mm ss" if form.name == "datetime" else "")
    if not tokens or len({t[:2] for t in tokens}) != len(tokens) or not set(tokens) <= set(allowed.split()):
        return f"'{form.argument}' is no pattern of '{form.name}': it has each of {allowed} at most once"
    if "Z" in rest and form.zone is not None:
        return f"'{form.argument}' says Z, which is UTC, and a zone besides"
    if re.search(r"[0-9<>&\"]|[^\W_TZ]", rest):
        return f"'{form.argument}' is no pattern of '{form.name}': between its tokens stand signs, T and Z"
    return None


def _all_digits(shape: Shape, width: int | None) -> bool:
    match = re.fullmatch(r"\[0-9\](?:\{([0-9]+)(?:,([0-9]+))?\}|\+)", shape.pattern or "")
    return match is not None and (width is None or (match[2] is None and match[1] == str(width)))


# --- writing ------------------------------------------------------------------------------------------------------


def writer(bind: Bind, shape: Shape, form: Form | None, format: Format, width: int | None, codes: Bind) -> Wrap:
    """Source of a canonical value → source of what stands on the wire (text; in JSON also numbers and booleans).

    ``codes`` binds the writing side of the form's table.
    """
    name = form.name if form else ""
    kind = shape.kind
    if name == "table":
        table = codes(form)
        return lambda v: f"{table}[{v}]"
    if name in ("date", "hijri", "datetime"):
        assert form is not None
        return _call(bind, _moment_text(form))
    if name == "decimal":
        assert form is not None
        if format == "fixed":
            return _call(bind, _implied_text(int(form.argument), width or 0))
        return _call(bind, _places_text(int(form.argument)))
    if name == "digits":
        if kind == "text":
            return _call(bind, _digit_text(width))
        return _call(bind, _padded_digits(width)) if format == "fixed" else "'%d' % {}".format
    if name == "arabic":
        return _call(bind, names.arabic)
    if format == "json" and (kind == "boolean" or kind == "integer") and name in ("", "number"):
        return lambda v: v
    if format == "json" and name == "number":
        return "float({})".format
    match kind:
        case "text":
            return lambda v: v
        case "date":
            return "{}.isoformat()".format
        case "decimal":
            return _call(bind, decimal_text)
        case "integer":
            return "'%d' % {}".format
        case _:
            return "('true' if {} else 'false')".format


def _call(bind: Bind, function: Callable[..., Any]) -> Wrap:
    return f"{bind(function)}({{}})".format


def decimal_text(value: Decimal) -> str:
    return f"{value:f}"


def _places_text(places: int) -> Callable[[Decimal], str]:
    step = Decimal(1).scaleb(-places)

    def write(value: Decimal) -> str:
        rounded = value.quantize(step)
        if rounded != value:
            raise Bad("invalid_value", f"{{}} has more than {places} decimals", value)
        return f"{rounded:f}"

    return write


def _implied_text(places: int, width: int) -> Callable[[Decimal], str]:
    def write(value: Decimal) -> str:
        moved = value.scaleb(places)
        whole = int(moved)
        if whole != moved:
            raise Bad("invalid_value", f"{{}} has more than {places} decimals", value)
        text = str(whole)
        if len(text) > width:
            raise Bad("invalid_length", f"{{}} needs {len(text)} digits, there is room for {width}", value)
        return text.zfill(width)

    return write


def _padded_digits(width: int | None) -> Callable[[int], str]:
    def write(value: int) -> str:
        text = str(value)
        if len(text) > (width or 0):
            raise Bad("invalid_length", f"{{}} needs {len(text)} digits, there is room for {width}", value)
        return text.zfill(width or 0)

    return write


def _digit_text(width: int | None) -> Callable[[str], str]:
    def write(value: str) -> str:
        if not (value.isdigit() and value.isascii()) or (width is not None and len(value) != width):
            raise Bad("invalid_pattern", f"{{}} must be {width or 'only'} digits", value)
        return value

    return write


def _moment_text(form: Form) -> Callable[[Any], str]:
    if form.argument == "declared":
        return date.isoformat
    tokens = _TOKEN.findall(form.argument)
    template = _TOKEN.sub(lambda m: f"%0{_WIDTH[m[0]]}d", form.argument.replace("%", "%%"))
    get: Callable[[Any], Any] = attrgetter(*[_PART[token] for token in tokens])
    if len(tokens) == 1:
        get = _alone(get)
    if "YY" in tokens:
        get = _short_year(get, tokens.index("YY"))
    if form.name == "datetime":
        zone = form.zone or UTC
        return lambda moment: template % get(moment.astimezone(zone))
    if form.name == "hijri":
        return lru_cache(_KEPT)(lambda day: template % get(_Hijri(*_hijri(hijri.to_hijri, day))))
    return lru_cache(_KEPT)(lambda day: template % get(day))


class _Hijri:
    __slots__ = ("day", "month", "year")

    def __init__(self, year: int, month: int, day: int) -> None:
        self.year, self.month, self.day = year, month, day


def _hijri(convert: Callable[..., Any], *value: Any) -> Any:
    try:
        return convert(*value)
    except HubError as error:
        what = "is outside 1343-1500 AH" if error.code == "hijri_range" else "is no day of the Umm al-Qura calendar"
        raise Bad(error.code, f"{{}} {what}", "-".join(map(str, value))) from None


def _alone(get: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: (get(value),)


def _short_year(get: Callable[[Any], Any], place: int) -> Callable[[Any], Any]:
    def short(value: Any) -> tuple[int, ...]:
        parts = list(get(value))
        parts[place] %= 100
        return tuple(parts)

    return short


# --- reading ------------------------------------------------------------------------------------------------------


def reader(bind: Bind, shape: Shape, form: Form | None, format: Format, width: int | None, codes: Bind) -> Wrap:
    """Source of what stands on the wire → source of the canonical value.  ``codes`` binds the table's reading side."""
    name = form.name if form else ""
    if name == "table":
        table = codes(form)
        # Text of a partner may be set about with blanks, or be no text at all.
        return f"{table}[{{}}.strip()]".format
    if name == "date" and form is not None and form.argument == "declared":
        return f"{bind(_cells(declared) if format == 'csv' else declared)}({{}}, o)".format
    function = _read_function(shape, form, format, width)
    if format == "csv":
        function = _cells(function) if shape.kind in ("date", "datetime") else _spreadsheet(shape, function)
    return _call(bind, function)


def _read_function(shape: Shape, form: Form | None, format: Format, width: int | None) -> Callable[[Any], Any]:
    name = form.name if form else ""
    kind = shape.kind
    if name in ("date", "hijri", "datetime"):
        assert form is not None
        return _moment(form, format)
    if name == "decimal" and form is not None and format == "fixed":
        return _implied(shape, int(form.argument))
    if kind == "decimal":
        return _json_decimal(shape) if (format, name) == ("json", "number") else _decimal(shape)
    if kind == "integer":
        return _json_integer(shape) if format == "json" and name != "digits" and name != "text" else _integer(shape)
    if kind == "boolean":
        return _json_boolean if format == "json" and not name else _boolean
    if kind == "date":
        return _moment(Form("date", "YYYY-MM-DD"), format)
    return text_reader(shape)


def text_reader(shape: Shape) -> Callable[[str], str]:
    """Text without blanks around it, in NFC, as long and as shaped as its field wants it."""
    low, high = shape.shortest, shape.longest or 1_000_000
    allowed = None if shape.one_of is None else frozenset(shape.one_of)
    matches = re.compile(shape.pattern).fullmatch if shape.pattern and allowed is None else None

    def read(text: str) -> str:
        text = text.strip()
        if low <= len(text) <= high and text.isascii() and text.isprintable():
            if allowed is None and (matches is None or matches(text)):
                return text
            if allowed is not None and text in allowed:
                return text
        return slow(text)

    def slow(text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        for wrong in wrong_value(shape, text, ""):
            if not text:
                raise Bad("required", "is empty")
            raise Bad(f"invalid_{wrong.rule}", f"{{}} {wrong.wanted}", text)
        return text

    return read


def _ranged(shape: Shape, value: int) -> int:
    if not (shape.low is None or shape.low <= value) or not (shape.high is None or value <= shape.high):
        raise Bad("invalid_range", f"{{}} must be from {shape.low} to {shape.high}", value)
    return value


def _integer(shape: Shape) -> Callable[[str], int]:
    matches = re.compile(r"-?[0-9]{1,20}").fullmatch

    def read(text: str) -> int:
        text = text.strip()
        if not matches(text):
            raise Bad("invalid_type", "{} is no whole number", text)
        return _ranged(shape, int(text))

    return read


def _json_integer(shape: Shape) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int:
            raise Bad("invalid_type", "{} is no whole number", value)
        return _ranged(shape, value)

    return read


def _boolean(text: str) -> bool:
    value = {"true": True, "1": True, "false": False, "0": False}.get(text.strip())
    if value is None:
        raise Bad("invalid_type", "{} is neither true nor false", text)
    return value


def _json_boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise Bad("invalid_type", "{} is neither true nor false", value)
    return value


def _decimal(shape: Shape) -> Callable[[str], Decimal]:
    places = shape.places or 0
    whole = max((shape.digits or 28) - places, 1)
    sign = "-?" if shape.signed else ""
    matches = re.compile(rf"{sign}0*[0-9]{{1,{whole}}}(?:\.[0-9]{{0,{places}}}0*)?").fullmatch
    step = Decimal(1).scaleb(-places)

    def read(text: str) -> Decimal:
        text = text.strip()
        if not matches(text):
            raise Bad("invalid_value", f"{{}} is no decimal of {whole} digits and {places} places", text)
        return Decimal(text).quantize(step)

    return read


def _json_decimal(shape: Shape) -> Callable[[Any], Decimal]:
    read = _decimal(shape)

    def number(value: Any) -> Decimal:
        if type(value) is not Decimal and type(value) is not int:
            raise Bad("invalid_type", "{} is no number", value)
        return read(f"{value:f}" if type(value) is Decimal else str(value))

    return number


def _implied(shape: Shape, places: int) -> Callable[[str], Decimal]:
    matches = re.compile(rf"{'-?' if shape.signed else ''}[0-9]+").fullmatch
    limit = Decimal(10) ** ((shape.digits or 28) - (shape.places or 0))
    step = Decimal(1).scaleb(-(shape.places or 0))

    def read(text: str) -> Decimal:
        text = text.strip()
        if not matches(text):
            raise Bad("invalid_value", "{} is not all digits", text)
        value = Decimal(text).scaleb(-places)
        if abs(value) >= limit or (places > (shape.places or 0) and value != value.quantize(step)):
            raise Bad("invalid_range", f"{{}} may have {shape.digits} digits, {shape.places} of them decimals", text)
        return value

    return read


def _moment(form: Form, format: Format) -> Callable[[str], Any]:
    tokens = _TOKEN.findall(form.argument)
    places = [_PART[token] for token in tokens]
    pieces = _TOKEN.split(form.argument)
    written = "".join(
        re.escape(piece) + (f"([0-9]{{{_WIDTH[token]}}})" if token else "")
        for piece, token in zip(pieces, [*tokens, ""], strict=True)
    )
    matches = re.compile(written).fullmatch
    short = "YY" in tokens
    zone: tzinfo = form.zone or UTC
    iso = form.name == "datetime" and format in ("xml", "json") and form.argument == "YYYY-MM-DDThh:mm:ssZ"

    def read(text: str) -> Any:
        text = text.strip()
        match = matches(text)
        if match is None:
            if iso:
                return _any_iso(text)
            raise Bad("invalid_value", f"{{}} is not written as {form.argument}", text)
        given = dict(zip(places, map(int, match.groups()), strict=True))
        if short:
            given["year"] += 1900 if given["year"] > 68 else 2000
        year, month, day = given.get("year", 1), given.get("month", 1), given.get("day", 1)
        if form.name == "hijri":
            return _hijri(hijri.from_hijri, year, month, day)
        try:
            if form.name == "date":
                return date(year, month, day)
            at = time(given.get("hour", 0), given.get("minute", 0), given.get("second", 0), tzinfo=zone)
            return datetime.combine(date(year, month, day), at).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise Bad("invalid_value", f"{{}}: {error}", text) from None

    return read if form.name == "datetime" else lru_cache(_KEPT)(read)


def _any_iso(text: str) -> datetime:
    """XSD's dateTime in all its spellings (fractions of a second, offsets): partners' own libraries choose."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or "T" not in text:
            raise ValueError("no offset")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Bad("invalid_value", "{} is no moment with its offset", text) from None


_ISO = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})")
_DECLARED = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4})")


@lru_cache(_KEPT)
def declared(text: str, order: str | None) -> date:
    """A date in the order that the partner's row declares (``DMY`` or ``MDY``), or year first; never a guess."""
    text = text.strip()
    try:
        if match := _ISO.fullmatch(text):
            return date(int(match[1]), int(match[2]), int(match[3]))
        if match := _DECLARED.fullmatch(text):
            first, second, year = int(match[1]), int(match[2]), int(match[3])
            if order is None:
                if first <= 12 and second <= 12 and first != second:
                    raise Bad("date_order_undeclared", "{} can be read in two ways and no date order is declared", text)
                order = "DMY" if first > 12 else "MDY"
            day, month = (first, second) if order == "DMY" else (second, first)
            return date(year, month, day)
    except ValueError as error:
        raise Bad("invalid_value", f"{{}}: {error}", text) from None
    raise Bad("invalid_value", "{} is no date such as 2026-01-31", text)


# --- cells of csv and spreadsheets --------------------------------------------------------------------------------


def _cells(function: Callable[..., Any]) -> Callable[..., Any]:
    """A spreadsheet's own dates are taken as they are; digits of any script are digits."""

    def read(cell: Any, *order: str | None) -> Any:
        if isinstance(cell, str):
            return function(cell if cell.isascii() else names.western_digits(cell), *order)
        if type(cell) is datetime and cell.time() == time():
            return cell.date()
        if type(cell) is date:
            return cell
        raise Bad("invalid_type", "{} is no date", cell)

    return read


def _spreadsheet(shape: Shape, function: Callable[[str], Any]) -> Callable[[str], Any]:
    free = shape.kind == "text" and shape.pattern is None and shape.one_of is None

    def read(cell: str) -> Any:
        if cell[:1] in FORMULA and free:
            raise Bad("map_formula", "{} looks like a formula", cell)
        if cell[:1] == "'":
            cell = unguard(cell)
        return function(cell if free or cell.isascii() else names.western_digits(cell))

    return read


def guard(text: str) -> str:
    """*text* so that no spreadsheet takes it for a formula: a ``'`` before what begins like one."""
    if text[:1] in FORMULA or (text[:1] == "'" and _GUARDED.match(text)):
        return "'" + text
    return text


def unguard(text: str) -> str:
    """What :func:`guard` was given."""
    return text[1:] if _GUARDED.match(text) else text


# --- code tables --------------------------------------------------------------------------------------------------


class Codes(dict[str, str]):
    """One side of a code table in use.  What it does not know is refused, never guessed."""

    def __missing__(self, key: str) -> str:
        raise Bad("map_code_unknown", "no code for {}", key)


class FoldedCodes(Codes):
    """Theirs to ours as people type it into a table: alif, ya, digits and case do not matter."""

    def __init__(self, codes: Mapping[str, str]) -> None:
        super().__init__(codes)
        folded: dict[str, set[str]] = {}
        for theirs, ours in codes.items():
            folded.setdefault(names.fold(theirs), set()).add(ours)
        self.folded = {theirs: ours.pop() for theirs, ours in folded.items() if len(ours) == 1}

    def __missing__(self, key: str) -> str:
        ours = self.folded.get(names.fold(unguard(key)))
        return super().__missing__(key) if ours is None else ours


def code_sides(table: Table, format: Format, escape: Callable[[str], str]) -> tuple[Codes, Codes]:
    """The writing and the reading side of *table*; ``escape`` is what the format does to text that it writes."""
    writing = Codes({ours: escape(theirs) for ours, theirs in table.write.items()})
    return writing, (FoldedCodes if format == "csv" else Codes)(table.read)
