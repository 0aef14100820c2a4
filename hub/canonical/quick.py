"""Plainly valid JSON becomes a canonical object in a tenth of the time that a marshmallow schema takes.

The source of each reader is made from the declaration and compiled once.  It decides nothing against anybody: on the
first doubt it gives up, and the schema, which alone knows how to say what is wrong, reads the whole again.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from hub.canonical.declare import Shape, shapes

DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")


class Doubt(ValueError):
    """What was given may be valid or not."""


def written_decimal(shape: Shape) -> str:
    """The pattern of a decimal of *shape* as text."""
    digits, places = shape.digits or 14, shape.places or 0
    whole = f"[0-9]{{1,{max(digits - places, 1)}}}"
    return f"{'-?' if shape.signed else ''}{whole}(\\.[0-9]{{1,{places}}})?" if places else whole


@cache
def reader(cls: type) -> Callable[[Any], Any]:
    """A function that makes an object of *cls* from a dict of JSON values, or raises :class:`Doubt`, or another
    ValueError or an OverflowError, which mean the same."""
    names: dict[str, Any] = {
        "cls": cls, "absent": object(), "Doubt": Doubt, "Decimal": Decimal, "UTC": UTC,
        "day": date.fromisoformat, "moment": datetime.fromisoformat, "normal": unicodedata.is_normalized,
        "is_day": DATE.fullmatch, "is_moment": MOMENT.fullmatch,
    }  # fmt: skip
    lines = ["def read(d):", " if type(d) is not dict: raise Doubt", " n = len(d)"]
    for name, shape in shapes(cls).items():
        given, default = f"given_{name}", shape.default
        lines += [f" v = d.get({name!r}, absent)", " if v is absent:", "  n += 1"]
        if default is not dataclasses.MISSING:
            names[f"default_{name}"] = default
            lines.append(f"  {given} = default_{name}{'[:]' if shape.many else ''}")
        else:
            lines.append(f"  {given} = None" if shape.optional else "  raise Doubt")
        if shape.optional:
            lines += [" elif v is None:", f"  {given} = None"]
        lines.append(" else:")
        if shape.many:
            lines += ["  if type(v) is not list: raise Doubt", f"  {given} = []", "  for v in v:"]
            lines += [f"   {line}" for line in _one(shape, names, f"{given}.append(%s)")]
        else:
            lines += [f"  {line}" for line in _one(shape, names, f"{given} = %s")]
    # Every name that is declared was there or was counted: one more is a name that nobody knows.
    lines.append(f" if n != {len(shapes(cls))}: raise Doubt")
    lines.append(f" return cls({', '.join(f'{name}=given_{name}' for name in shapes(cls))})")
    exec(compile("\n".join(lines), f"<reader of {cls.__name__}>", "exec"), names)  # noqa: S102 - made of field names only
    read: Callable[[Any], Any] = names["read"]
    return read


def _one(shape: Shape, names: dict[str, Any], put: str) -> Iterator[str]:
    """The lines that check the value *v* of *shape*, which is neither absent nor null, and *put* what it means."""
    name = shape.name
    if shape.part is not None:
        names[f"read_{name}"] = reader(shape.part)
        yield put % f"read_{name}(v)"
        return
    meaning = "v"
    match shape.kind:
        case "integer":
            right = f"type(v) is int and {shape.low} <= v <= {shape.high}"
        case "boolean":
            right = "v is True or v is False"
        case "date":
            right, meaning = "type(v) is str and is_day(v)", "day(v)"
        case "datetime":
            right, meaning = "type(v) is str and is_moment(v)", "moment(v).astimezone(UTC)"
        case "decimal":
            names[f"is_{name}"] = re.compile(written_decimal(shape), re.ASCII).fullmatch
            right, meaning = f"type(v) is str and is_{name}(v)", "Decimal(v)"
        case _ if shape.one_of is not None:
            names[f"codes_{name}"] = frozenset(shape.one_of)
            right = f"type(v) is str and v in codes_{name}"
        case _:
            # Printable is less than what is allowed, and says that there is no control and no mark of direction.
            text = "v.replace('\\n', '')" if shape.lines else "v"
            longest = "" if shape.longest is None else f" <= {shape.longest}"
            right = f"type(v) is str and {shape.shortest} <= len(v){longest} and {text}.isprintable()"
            right += " and (v.isascii() or normal('NFC', v))"
            if shape.pattern is not None:
                names[f"is_{name}"] = re.compile(rf"(?:{shape.pattern})\Z").match
                right += f" and is_{name}(v)"
    yield f"if not ({right}): raise Doubt"
    yield put % meaning
