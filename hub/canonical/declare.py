"""How a canonical field is declared: once, on a dataclass, for everybody who needs to know about it.

The API's marshmallow schema, the checks of a map at load time and the purposes of
``mappings/purposes.yaml`` are all read from the same declaration::

    @canonical
    class Passport:
        number: str = text(12, pattern=r"[A-Z0-9]+", path="document.number", personal=True)
        expires_on: date = field_(path="document.expires_on")

A field whose type is ``X | None`` may be absent.  ``path`` is the canonical path that purposes list;
``personal`` marks a value that identifies somebody: it is sealed when stored and masked in errors.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Literal, TypeVar, dataclass_transform

Kind = Literal["text", "integer", "decimal", "date", "datetime", "boolean"]
_KINDS: dict[Any, Kind] = {
    str: "text", int: "integer", Decimal: "decimal", date: "date", datetime: "datetime", bool: "boolean",
}  # fmt: skip
T = TypeVar("T")


@dataclass_transform(kw_only_default=True)
def canonical(cls: type[T]) -> type[T]:
    """Make *cls* a canonical dataclass: slots, keyword arguments only."""
    return dataclass(slots=True, kw_only=True)(cls)


def _field(default: Any, **rules: Any) -> Any:
    given = {name: value for name, value in rules.items() if value is not None and value is not False}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=given)
    if isinstance(default, list | dict):
        kind = type(default)
        return dataclasses.field(default_factory=kind, metadata=given)
    return dataclasses.field(default=default, metadata=given)


def text(
    longest: int,
    *,
    shortest: int = 1,
    pattern: str | None = None,
    one_of: tuple[str, ...] | frozenset[str] | None = None,
    path: str | None = None,
    personal: bool = False,
    default: Any = dataclasses.MISSING,
) -> Any:
    """A string of *shortest* to *longest* characters; with *one_of*, a value of that code list."""
    return _field(
        default, longest=longest, shortest=shortest, pattern=pattern, one_of=one_of, path=path, personal=personal
    )


def integer(
    low: int, high: int, *, path: str | None = None, personal: bool = False, default: Any = dataclasses.MISSING
) -> Any:
    """A whole number from *low* to *high*, both included."""
    return _field(default, low=low, high=high, path=path, personal=personal)


def decimal(
    digits: int, places: int, *, path: str | None = None, signed: bool = False, default: Any = dataclasses.MISSING
) -> Any:
    """A decimal of at most *digits* digits, *places* of them behind the point; never negative unless *signed*."""
    return _field(default, digits=digits, places=places, path=path, signed=signed)


def plain(*, path: str | None = None, personal: bool = False, default: Any = dataclasses.MISSING) -> Any:
    """A date, a moment, a flag, a nested part or a list: whatever its type says, with no further rule."""
    return _field(default, path=path, personal=personal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One field as its declaration says it is.

    ``part`` is the dataclass of a nested part or of a list's items; ``kind`` is None exactly then.
    """

    name: str
    kind: Kind | None
    optional: bool
    many: bool = False
    part: type | None = None
    longest: int | None = None
    shortest: int = 0
    pattern: str | None = None
    one_of: tuple[str, ...] | None = None
    low: int | None = None
    high: int | None = None
    digits: int | None = None
    places: int | None = None
    signed: bool = False
    path: str | None = None
    personal: bool = False
    default: Any = dataclasses.MISSING

    @property
    def lines(self) -> bool:
        """Whether the text may have line feeds: only where its pattern asks for one, as in a machine readable zone."""
        return r"\n" in (self.pattern or "")


@cache
def shapes(cls: type) -> Mapping[str, Shape]:
    """The fields of canonical dataclass *cls*, by name, in the order of declaration."""
    hints = typing.get_type_hints(cls)
    return types.MappingProxyType({f.name: _shape(f, hints[f.name]) for f in dataclasses.fields(cls)})


def _shape(field: dataclasses.Field[Any], hint: Any) -> Shape:
    optional = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [h for h in typing.get_args(hint) if h is not type(None)]
        if len(rest) != 1:
            raise TypeError(f"{field.name}: a canonical field has one type, or one type and None")
        optional, hint = True, rest[0]
    many = typing.get_origin(hint) is list
    if many:
        (hint,) = typing.get_args(hint)
    kind = _KINDS.get(hint)
    part: type[Any] | None = None if kind else hint
    if part is not None and not dataclasses.is_dataclass(part):
        raise TypeError(f"{field.name}: {hint} is no canonical type")
    rules = dict(field.metadata)
    one_of = rules.pop("one_of", None)
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return Shape(
        name=field.name,
        kind=kind,
        optional=optional,
        many=many,
        part=part,
        one_of=None if one_of is None else tuple(sorted(one_of)) if isinstance(one_of, frozenset) else tuple(one_of),
        default=default,
        **rules,
    )


def walk(cls: type, prefix: str = "") -> Iterator[tuple[str, Shape]]:
    """Every leaf below *cls* as ``(dotted name, shape)``; a list's items go by the list's own name."""
    for name, shape in shapes(cls).items():
        where = f"{prefix}{name}"
        if shape.part is None:
            yield where, shape
        else:
            yield from walk(shape.part, where + ".")


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


class Wrong(ValueError):
    """A value breaks its field's declaration.  ``where`` is the dotted name, ``rule`` a stable word; no value in it."""

    def __init__(self, where: str, rule: str, wanted: str) -> None:
        super().__init__(f"{where}: {wanted}")
        self.where, self.rule, self.wanted = where, rule, wanted


def faults(obj: Any, prefix: str = "") -> Iterator[Wrong]:
    """Every way in which canonical object *obj* breaks its declaration (types, lengths, code lists, ranges)."""
    cls: type = type(obj)
    for name, shape in shapes(cls).items():
        value = getattr(obj, name)
        where = prefix + name
        if value is None:
            if not shape.optional:
                yield Wrong(where, "required", "is required")
        elif shape.many:
            for index, item in enumerate(value):
                if shape.part is not None:
                    yield from faults(item, f"{where}.{index}.")
                else:
                    yield from wrong_value(shape, item, f"{where}.{index}")
        elif shape.part is not None:
            yield from faults(value, where + ".")
        else:
            yield from wrong_value(shape, value, where)


def wrong_value(shape: Shape, value: Any, where: str) -> Iterator[Wrong]:
    """Every way in which one leaf *value*, not None, breaks *shape*."""
    if shape.kind == "text":
        yield from _wrong_text(shape, value, where)
    elif shape.kind == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            yield Wrong(where, "type", "must be a whole number")
        elif (shape.low is not None and value < shape.low) or (shape.high is not None and value > shape.high):
            yield Wrong(where, "range", f"must be from {shape.low} to {shape.high}")
    elif shape.kind == "decimal":
        if not isinstance(value, Decimal) or not value.is_finite():
            yield Wrong(where, "type", "must be a decimal number")
        else:
            exponent = value.as_tuple().exponent
            assert isinstance(exponent, int)
            if shape.places is not None and -exponent > shape.places and value != round(value, shape.places):
                yield Wrong(where, "places", f"may have {shape.places} decimal places")
            if shape.digits is not None and abs(value) >= Decimal(10) ** (shape.digits - (shape.places or 0)):
                yield Wrong(where, "range", f"may have {shape.digits} digits")
            if value < 0 and not shape.signed:
                yield Wrong(where, "range", "must not be negative")
    elif shape.kind == "datetime":
        if not isinstance(value, datetime) or value.tzinfo is None:
            yield Wrong(where, "type", "must be a moment with its offset from UTC")
    elif shape.kind == "date":
        if not isinstance(value, date) or isinstance(value, datetime):
            yield Wrong(where, "type", "must be a date")
    elif shape.kind == "boolean" and not isinstance(value, bool):
        yield Wrong(where, "type", "must be true or false")


#: Marks that turn the direction of what follows: a name with one of them shows as another name than it is.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def holds_controls(value: str) -> bool:
    """Whether *value* holds what no field may: control characters, halves of pairs, line and paragraph separators,
    embeddings and overrides of direction.  Joiners and direction marks, which some scripts need, are none of these."""
    if value.isprintable():
        return False  # which none of these is
    return any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Zl", "Zp") or c in _TURNING for c in value)


def _wrong_text(shape: Shape, value: Any, where: str) -> Iterator[Wrong]:
    if not isinstance(value, str):
        yield Wrong(where, "type", "must be text")
        return
    if shape.one_of is not None:
        if value not in shape.one_of:
            yield Wrong(where, "code", "is not a value of its code list")
        return
    if len(value) < shape.shortest or (shape.longest is not None and len(value) > shape.longest):
        yield Wrong(where, "length", f"must have {shape.shortest} to {shape.longest} characters")
    if holds_controls(value.replace("\n", "") if shape.lines else value):
        yield Wrong(where, "characters", "holds a control character")
    elif not unicodedata.is_normalized("NFC", value):
        yield Wrong(where, "characters", "must be in Unicode form NFC")
    if shape.pattern is not None and not _pattern(shape.pattern).fullmatch(value):
        yield Wrong(where, "pattern", f"must look like {shape.pattern}")
