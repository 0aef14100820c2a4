"""Text, numbers and booleans: to what stands on the wire, and back to what their field's declaration allows."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from unicodedata import is_normalized, normalize

from hub.canonical.declare import Shape, wrong_value
from hub.mapping.errors import Bad

# --- writing ------------------------------------------------------------------------------------------------------


def places_text(places: int) -> Callable[[Decimal], str]:
    step = Decimal(1).scaleb(-places)

    def write(value: Decimal) -> str:
        rounded = value.quantize(step)
        if rounded != value:
            raise Bad("invalid_value", f"{{}} has more than {places} decimals", value)
        return f"{rounded:f}"

    return write


def pointed_text(places: int, point: str) -> Callable[[Decimal], str]:
    """With *point* before the decimals, whatever the country, and nothing between thousands."""
    plain = places_text(places)
    return lambda value: plain(value).replace(".", point)


def implied_text(places: int, width: int) -> Callable[[Decimal], str]:
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


def padded_digits(width: int | None) -> Callable[[int], str]:
    def write(value: int) -> str:
        text = str(value)
        if len(text) > (width or 0):
            raise Bad("invalid_length", f"{{}} needs {len(text)} digits, there is room for {width}", value)
        return text.zfill(width or 0)

    return write


def digit_text(width: int | None) -> Callable[[str], str]:
    def write(value: str) -> str:
        if not (value.isdigit() and value.isascii()) or (width is not None and len(value) != width):
            raise Bad("invalid_pattern", f"{{}} must be {width or 'only'} digits", value)
        return value

    return write


# --- reading ------------------------------------------------------------------------------------------------------


def text_reader(shape: Shape) -> Callable[[str], str]:
    """Text without blanks around it, in NFC, as long and as shaped as its field wants it."""
    low, high = shape.shortest, shape.longest or 1_000_000
    allowed = None if shape.one_of is None else frozenset(shape.one_of)
    matches = re.compile(shape.pattern).fullmatch if shape.pattern and allowed is None else None

    def read(text: str) -> str:
        text = text.strip()
        if low <= len(text) <= high and text.isprintable() and (text.isascii() or is_normalized("NFC", text)):
            if allowed is None and (matches is None or matches(text)):
                return text
            if allowed is not None and text in allowed:
                return text
        return slow(text)

    def slow(text: str) -> str:
        text = normalize("NFC", text)
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


def integer(shape: Shape) -> Callable[[str], int]:
    matches = re.compile(r"-?[0-9]{1,20}").fullmatch

    def read(text: str) -> int:
        text = text.strip()
        if not matches(text):
            raise Bad("invalid_type", "{} is no whole number", text)
        return _ranged(shape, int(text))

    return read


def json_integer(shape: Shape) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int:
            raise Bad("invalid_type", "{} is no whole number", value)
        return _ranged(shape, value)

    return read


def boolean(text: str) -> bool:
    value = {"true": True, "1": True, "false": False, "0": False}.get(text.strip())
    if value is None:
        raise Bad("invalid_type", "{} is neither true nor false", text)
    return value


def json_boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise Bad("invalid_type", "{} is neither true nor false", value)
    return value


def decimal(shape: Shape) -> Callable[[str], Decimal]:
    places = shape.places or 0
    whole = max((shape.digits or 28) - places, 1)
    sign = "-?" if shape.signed else ""
    matches = re.compile(rf"{sign}0*[0-9]{{1,{whole}}}(?:\.[0-9]{{0,{places}}}0*)?").fullmatch
    step = Decimal(1).scaleb(-places)

    def read(text: str) -> Decimal:
        text = text.strip()
        if not matches(text):
            raise Bad("invalid_value", f"{{}} is no decimal of {whole} digits and {places} places", text)
        value = Decimal(text)
        return value if places and text[-places - 1 : -places] == "." else value.quantize(step)

    return read


def pointed(shape: Shape, point: str) -> Callable[[str], Decimal]:
    """A decimal with *point* before its decimals, and blanks, an apostrophe or the other sign between thousands."""
    group = "[ '’\u00a0\u202f" + (",]" if point == "." else ".]")
    matches = re.compile(
        rf"([+-]?)([0-9]+|[0-9]{{1,3}}(?:{group}[0-9]{{3}})+)(?:{re.escape(point)}([0-9]+))?(-?)"
    ).fullmatch
    plain = decimal(shape)

    def read(text: str) -> Decimal:
        match = matches(text.strip())
        if match is None or (match[1] and match[4]):
            raise Bad("invalid_value", f"{{}} is no decimal with '{point}' before its decimals", text)
        sign = "-" if "-" in (match[1], match[4]) else ""
        whole = "".join(filter(str.isdigit, match[2]))
        return plain(f"{sign}{whole}.{match[3]}" if match[3] else sign + whole)

    return read


def json_decimal(shape: Shape) -> Callable[[Any], Decimal]:
    read = decimal(shape)

    def number(value: Any) -> Decimal:
        if type(value) is not Decimal and type(value) is not int:
            raise Bad("invalid_type", "{} is no number", value)
        return read(f"{value:f}" if type(value) is Decimal else str(value))

    return number


def implied(shape: Shape, places: int, width: int) -> Callable[[str], Decimal]:
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
