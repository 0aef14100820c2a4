"""Dates and moments by pattern, Gregorian and Hijri: to text and back.

A pattern is made of ``YYYY YY MM DD hh mm ss`` and the signs between them.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache
from operator import attrgetter
from typing import Any

from hub.canonical import hijri
from hub.canonical.errors import HubError
from hub.mapping.errors import Bad
from hub.mapping.model import Form, Format

# Dates repeat all through a file; their texts are kept so that most are made and read once.
_KEPT = 4096
_DAYS = 50_000
TOKEN = re.compile(r"YYYY|YY|MM|DD|hh|mm|ss")
#: Formats in which a moment comes in any spelling that XSD allows, or in that of :meth:`datetime.isoformat`.
_XSD_TOO = ("xml", "json", "mt940", "mt942")
_WIDTH = {"YYYY": 4, "YY": 2, "MM": 2, "DD": 2, "hh": 2, "mm": 2, "ss": 2}
_PART = {"YYYY": "year", "YY": "year", "MM": "month", "DD": "day", "hh": "hour", "mm": "minute", "ss": "second"}


def moment_text(form: Form) -> Callable[[Any], str]:
    if form.argument == "declared":
        return date.isoformat
    tokens = TOKEN.findall(form.argument)
    template = TOKEN.sub(lambda m: f"%0{_WIDTH[m[0]]}d", form.argument.replace("%", "%%"))
    get: Callable[[Any], Any] = attrgetter(*[_PART[token] for token in tokens])
    if len(tokens) == 1:
        get = _alone(get)
    if "YY" in tokens:
        get = _short_year(get, tokens.index("YY"))
    if form.name == "datetime":
        zone = UTC if "Z" in form.argument else form.zone or UTC
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


def moment_reader(form: Form, format: Format) -> Callable[[str], Any]:
    tokens = TOKEN.findall(form.argument)
    places = [_PART[token] for token in tokens]
    pieces = TOKEN.split(form.argument)
    # In edifact the same field has a century from one sender and none from another.
    year = "([0-9]{4}|[0-9]{2})" if format == "edifact" else None
    written = "".join(
        re.escape(piece) + ((year if year and token[:1] == "Y" else f"([0-9]{{{_WIDTH[token]}}})") if token else "")
        for piece, token in zip(pieces, [*tokens, ""], strict=True)
    )
    matches = re.compile(written).fullmatch
    at_year = next((number for number, token in enumerate(tokens, 1) if token[0] == "Y"), 0)
    zone: tzinfo = form.zone or UTC
    iso = form.name == "datetime" and format in _XSD_TOO and form.argument == "YYYY-MM-DDThh:mm:ssZ"

    def read(text: str) -> Any:
        text = text.strip()
        match = matches(text)
        if match is None:
            if iso:
                return _any_iso(text, form.zone)
            raise Bad("invalid_value", f"{{}} is not written as {form.argument}", text)
        if iso:
            return _any_iso(text, form.zone)
        given = dict(zip(places, map(int, match.groups()), strict=True))
        if short := at_year > 0 and len(match[at_year]) == 2:
            given["year"] += 1900 if given["year"] > 68 else 2000
        year, month, day = given.get("year", 1), given.get("month", 1), given.get("day", 1)
        if form.name == "hijri":
            return _hijri(hijri.from_hijri, year, month, day)
        try:
            if form.name == "date":
                found = date(year, month, day)
                return _past(found) if short and form.past else found
            at = time(given.get("hour", 0), given.get("minute", 0), given.get("second", 0), tzinfo=zone)
            return datetime.combine(date(year, month, day), at).astimezone(UTC)
        except (ValueError, OverflowError):
            raise Bad("invalid_value", "{} is no day of the calendar", text) from None

    if form.name == "datetime" or form.past:
        return read
    return _iso_first(form, read) if form.argument in _ISO_PATTERNS else read


class Days(dict[Any, Any]):
    """The days that texts have been read as, by :meth:`parse` where they are new.

    Days repeat all through a file, and a century has no more than 36,525 of them.
    """

    def __init__(self, parse: Callable[[Any], Any]) -> None:
        super().__init__()
        self.parse = parse

    def __missing__(self, text: Any) -> Any:
        day = self.parse(text)
        if type(text) is str and len(text) <= 32 and len(self) < _DAYS:
            self[text] = day
        return day


def _past(day: date) -> date:
    """The latest day of the same two-digit year that is not after today."""
    today = date.today()
    century = today.year // 100 * 100
    for year in (century + day.year % 100, century - 100 + day.year % 100):
        if (found := day.replace(year=year)) <= today:
            return found
    raise ValueError("no day of two centuries")


_ISO_PATTERNS = {"YYYYMMDD": 8, "YYYY-MM-DD": 10}


def _iso_first(form: Form, slow: Callable[[str], Any]) -> Callable[[str], Any]:
    """Dates as the standard library reads them are read by it; all others go the slow way, which says what is wrong."""
    if form.name != "date":
        return slow
    iso = date.fromisoformat

    def basic(text: str) -> Any:
        if len(text) == 8 and text.isdigit() and text.isascii():
            try:
                return iso(text)
            except ValueError:
                pass
        return slow(text)

    def extended(text: str) -> Any:
        if len(text) == 10 and text[4:8:3] == "--" and text.isascii():
            try:
                return iso(text)
            except ValueError:
                pass
        return slow(text)

    return basic if form.argument == "YYYYMMDD" else extended


_XSD_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T[0-9:.]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})?")


def xsd_date(slow: Callable[[str], Any]) -> Callable[[str], Any]:
    """XSD's date, with an offset or without, and the day of a dateTime as it is written there."""

    def read(text: str) -> Any:
        match = _XSD_DATE.fullmatch(text.strip())
        return slow(match[1] if match else text)

    return read


def _any_iso(text: str, zone: tzinfo | None) -> datetime:
    """XSD's dateTime in all its spellings (fractions of a second, offsets): partners' own libraries choose.

    Without an offset it is that of *zone*, where the map names one.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        if moment.tzinfo is None or "T" not in text:
            raise ValueError("no offset")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Bad("invalid_value", "{} is no moment with its offset", text) from None


_ISO = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})")
_DECLARED = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4})")


@lru_cache(_KEPT)
def declared(text: str, order: str | None) -> date:
    """A date in the order that the partner's row declares (``DMY``, ``MDY``), or year first; never a guess.

    ``YMD`` declares that every date has its year first.
    """
    text = text.strip()
    try:
        if match := _ISO.fullmatch(text):
            return date(int(match[1]), int(match[2]), int(match[3]))
        if order != "YMD" and (match := _DECLARED.fullmatch(text)):
            first, second, year = int(match[1]), int(match[2]), int(match[3])
            if order is None:
                if first <= 12 and second <= 12 and first != second:
                    raise Bad("date_order_undeclared", "{} can be read in two ways and no date order is declared", text)
                order = "DMY" if first > 12 else "MDY"
            day, month = (first, second) if order == "DMY" else (second, first)
            return date(year, month, day)
    except ValueError:
        raise Bad("invalid_value", "{} is no day of the calendar", text) from None
    raise Bad("invalid_value", "{} is no date such as 2026-01-31", text)
