"""Canonical objects at the edges and in the store, both read from their declaration.

:func:`schema_for` gives the marshmallow schema that the API loads with; it is strict, and slow only where it has doubts
(:mod:`hub.canonical.quick`).  :func:`dump` and :func:`undump` turn trusted objects into plain JSON-able dictionaries
and back, for sealing: generated once per class.
"""

import dataclasses
import json
import re
import typing
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from json.encoder import encode_basestring
from typing import Any, TypeVar

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from hub.canonical.declare import Shape, holds_controls, shapes
from hub.canonical.errors import HubError, catalogue, explain
from hub.canonical.quick import DATE, MOMENT, reader, written_decimal

T = TypeVar("T")

# --- at the API's edge ---------------------------------------------------------------------------------------------

# Messages of a ValidationError are stable codes; `problems` puts them into words.
_CODES: dict[str, Any] = {
    "required": "required",
    "null": "required",
    "invalid": "invalid_type",
    "type": "invalid_type",
    "too_large": "invalid_range",
    "invalid_awareness": "invalid_type",
    "invalid_utf8": "invalid_characters",
}


class Integer(fields.Integer):
    """A whole number: a flag is none."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


class Boolean(fields.Boolean):
    """true or false: 0, 1 and words are neither."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class _Moment(fields.AwareDateTime):
    """ISO 8601 with seconds and an offset; loaded in UTC."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not MOMENT.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type="datetime")
        try:
            return super()._deserialize(value, *args, **kwargs).astimezone(UTC)
        except OverflowError:
            raise self.make_error("invalid", input=value, obj_type="datetime") from None


class _Date(fields.Date):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not DATE.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type="date")
        return super()._deserialize(value, *args, **kwargs)


class _Decimal(fields.String):
    """A decimal as a string of digits: a JSON number would have been a binary fraction on its way."""

    def __init__(self, shape: Shape, **kwargs: Any) -> None:
        self.written = written_decimal(shape)
        example = "1" + ".00"[: (shape.places or 0) + 1]
        super().__init__(metadata={"pattern": f"^{self.written}$", "example": example}, **kwargs)

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return None if value is None else format(value, "f")

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if not re.fullmatch(self.written, value, re.ASCII):
            raise ValidationError("invalid_range" if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) else "invalid_type")
        return Decimal(value)


def _clean(text: str) -> None:
    if holds_controls(text) or not unicodedata.is_normalized("NFC", text):
        raise ValidationError("invalid_characters")


def _clean_lines(text: str) -> None:
    _clean(text.replace("\n", ""))


@cache
def schema_for(cls: type) -> type[Schema]:
    """The marshmallow schema of canonical dataclass *cls*: its ``load`` gives an object of *cls*.

    Unknown fields, coercions, naive moments, control characters and text that is not in NFC are refused; see
    :func:`problems` for what it raises.
    """

    def make(self: Schema, data: Any, **kwargs: Any) -> Any:
        return cls(**data)

    quickly = reader(cls)

    def load(self: Schema, data: Any, **kwargs: Any) -> Any:
        if not kwargs:
            try:
                return quickly(data)
            except (ValueError, OverflowError):
                pass  # a doubt: below it is cleared, or what is wrong is told
        return Schema.load(self, data, **kwargs)

    members: dict[str, Any] = {name: _edge_field(shape) for name, shape in shapes(cls).items()}
    members["make"], members["load"] = post_load(make), load
    members["Meta"] = type("Meta", (), {"unknown": RAISE, "register": False})
    members["error_messages"] = {"unknown": "unknown_field", "type": "invalid_type"}
    return type(cls.__name__, (Schema,), members)


def _edge_field(shape: Shape) -> fields.Field[Any]:
    settings: dict[str, Any] = {"allow_none": shape.optional, "error_messages": _CODES}
    default = shape.default
    if default is not dataclasses.MISSING:
        settings["load_default"] = type(default) if isinstance(default, list | dict) else default
    elif shape.optional:
        settings["load_default"] = None
    else:
        settings["required"] = True
    if shape.many:
        return fields.List(_one(shape, {"error_messages": _CODES}), **settings)
    return _one(shape, settings)


def _one(shape: Shape, settings: dict[str, Any]) -> fields.Field[Any]:
    if shape.part is not None:
        return fields.Nested(schema_for(shape.part), **settings)
    match shape.kind:
        case "integer":
            bounds = validate.Range(shape.low, shape.high, error="invalid_range")
            return Integer(strict=True, validate=bounds, **settings)
        case "decimal":
            return _Decimal(shape, **settings)
        case "boolean":
            return Boolean(**settings)
        case "date":
            return _Date(format="iso", **settings)
        case "datetime":
            return _Moment(format="iso", **settings)
    if shape.one_of is not None:
        return fields.String(validate=validate.OneOf(shape.one_of, error="invalid_code"), **settings)
    rules: list[Any] = [validate.Length(shape.shortest, shape.longest, error="invalid_length")]
    rules.append(_clean_lines if shape.lines else _clean)
    if shape.pattern is not None:
        rules.append(validate.Regexp(rf"(?:{shape.pattern})\Z", error="invalid_pattern"))
    return fields.String(validate=rules, **settings)


def problems(error: ValidationError) -> list[dict[str, str]]:
    """What is wrong: ``{"code", "field", "en", "ar"}`` a fault; ``field`` is the dotted path, no value is shown."""
    return list(_problems(error.messages, ""))


def _problems(messages: Any, where: str) -> typing.Iterator[dict[str, str]]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            # The schema's own faults lie under `_schema`; a name we did not give may be anything, and is not repeated.
            step = "" if name == "_schema" else str(name) if re.fullmatch(r"\w{1,40}", str(name), re.ASCII) else "?"
            yield from _problems(inner, f"{where}.{step}".strip("."))
        return
    for message in messages if isinstance(messages, list) else [messages]:
        entry = catalogue().get(str(message)) or catalogue()["invalid_value"]
        told = {"field": where or "?"}
        yield {"code": entry.code, "field": where, "en": explain(entry.en, told), "ar": explain(entry.ar, told)}


def loads_strict(data: bytes, limit: int = 1_000_000) -> Any:
    """The JSON value of *data*, at most *limit* bytes of UTF-8; numbers with a point become decimals.

    Raises ``json_too_large``, ``json_duplicate_key`` or ``json_unreadable`` (NaN, infinities, lone surrogates and
    nesting without end included).
    """
    if len(data) > limit:
        raise HubError("json_too_large", limit=limit)
    try:
        value = _STRICT.decode(data.decode("utf-8"))
        if _SURROGATE.search(data):
            # An escape can name half a surrogate pair, which no encoding can write later.
            json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except (ValueError, RecursionError):
        raise HubError("json_unreadable") from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise HubError("json_duplicate_key")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)


_STRICT = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant, parse_float=Decimal)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


# --- plain form, for sealing ------------------------------------------------------------------------------------------

Upcast = Callable[[dict[str, Any]], dict[str, Any]]
_upcasts: dict[type, list[Upcast]] = {}


def upcast(cls: type) -> Callable[[Upcast], Upcast]:
    """Register how a plain form of *cls* becomes one of the next version; the version is one more than their number.

    A new optional field needs none: what is absent takes its default.
    """

    def register(step: Upcast) -> Upcast:
        _upcasts.setdefault(cls, []).append(step)
        return step

    return register


def dump(obj: Any) -> dict[str, Any]:
    """The plain, JSON-able form of canonical *obj*: dates and moments as ISO text, decimals as text, no absent fields.

    ``schema`` holds the version of its class.
    """
    cls: Any = type(obj)
    return {"schema": 1 + len(_upcasts.get(cls, ())), **_plain(cls)[0](obj)}


def dumps(obj: Any) -> bytes:
    """What JSON makes of :func:`dump`, in UTF-8 without blanks: the same bytes in a third of the time."""
    cls: Any = type(obj)
    return f'{{"schema":{1 + len(_upcasts.get(cls, ()))}{_text(cls)(obj)}}}'.encode()


def undump(cls: type[T], plain: Mapping[str, Any]) -> T:
    """The object of *cls* whose plain form was *plain*, upcast where an older version wrote it.

    Raises ``schema_newer`` for a form that a later version of the hub has written.
    """
    steps = _upcasts.get(cls, [])
    version = plain["schema"]
    if version > 1 + len(steps):
        raise HubError("schema_newer")
    for step in steps[version - 1 :]:
        plain = step(dict(plain))
    return typing.cast(T, _plain(typing.cast(Any, cls))[1](plain))


@cache
def _plain(cls: type) -> tuple[Callable[[Any], dict[str, Any]], Callable[[Mapping[str, Any]], Any]]:
    """Source made from the shapes of *cls* and compiled once: this runs for every row that is sealed or opened."""
    names: dict[str, Any] = {"cls": cls, "Decimal": Decimal}
    names |= {"day": date.fromisoformat, "moment": datetime.fromisoformat}
    always, sometimes, read = [], [], []
    for name, shape in shapes(cls).items():
        if shape.part is not None:
            names[f"dump_{name}"], names[f"undump_{name}"] = _plain(shape.part)
        if shape.optional:
            sometimes.append(f" v = o.{name}\n if v is not None: d[{name!r}] = {_code(shape, 'v')[0]}\n")
            read.append(f"{name}=None if (v := d.get({name!r})) is None else {_code(shape, 'v')[1]}")
        else:
            always.append(f"{name!r}: {_code(shape, f'o.{name}')[0]}")
            read.append(f"{name}={_code(shape, f'd[{name!r}]')[1]}")
            if shape.default is not dataclasses.MISSING:
                # A form written before the field existed.
                names[f"default_{name}"] = shape.default
                fresh = "[:]" if shape.many else ""
                read[-1] += f" if {name!r} in d else default_{name}{fresh}"
    source = f"def dump(o):\n d = {{{', '.join(always)}}}\n{''.join(sometimes)} return d\n"
    source += f"def undump(d):\n return cls({', '.join(read)})\n"
    exec(compile(source, f"<plain form of {cls.__name__}>", "exec"), names)  # noqa: S102 - made of field names only
    return names["dump"], names["undump"]


def _code(shape: Shape, value: str) -> tuple[str, str]:
    """The expressions that write and read the expression *value* of *shape*."""
    if shape.many:
        write, read = _code(dataclasses.replace(shape, many=False), "i")
        return f"[{write} for i in {value}]", f"[{read} for i in {value}]"
    if shape.part is not None:
        return f"dump_{shape.name}({value})", f"undump_{shape.name}({value})"
    match shape.kind:
        case "datetime":
            return f"{value}.isoformat()", f"moment({value})"
        case "date":
            return f"{value}.isoformat()", f"day({value})"
        case "decimal":
            return f"str({value})", f"Decimal({value})"
    return value, value


@cache
def _text(cls: type) -> Callable[[Any], str]:
    """As :func:`_plain`, for the text: the members of an object, each with a comma before it."""
    names: dict[str, Any] = {"quoted": encode_basestring}
    form, values, sometimes = "", [], []
    for name, shape in shapes(cls).items():
        if shape.part is not None:
            names[f"text_{name}"] = _text(shape.part)
        one, value = _quoted(shape, "v" if shape.optional else f"o.{name}")
        member = f',"{name}":{one}'
        if shape.optional:
            sometimes.append(f" v = o.{name}\n if v is not None: t += {member!r} % ({value},)\n")
        else:
            form += member
            values.append(value + ",")
    source = f"def text(o):\n t = {form!r} % ({' '.join(values)})\n{''.join(sometimes)} return t\n"
    exec(compile(source, f"<text of {cls.__name__}>", "exec"), names)  # noqa: S102 - made of field names only
    return names["text"]  # type: ignore[no-any-return]


def _quoted(shape: Shape, value: str) -> tuple[str, str]:
    """How the expression *value* of *shape* stands in JSON: the form, and the expression that fills it."""
    if shape.many:
        form, one = _quoted(dataclasses.replace(shape, many=False), "i")
        return "[%s]", f"','.join([{form!r} % ({one},) for i in {value}])"
    if shape.part is not None:
        # The comma before the first member is one too many.
        return "{%s}", f"text_{shape.name}({value})[1:]"
    match shape.kind:
        case "datetime" | "date":
            return '"%s"', f"{value}.isoformat()"
        case "decimal":
            return '"%s"', value
        case "boolean":
            return "%s", f"'true' if {value} else 'false'"
        case "integer":
            return "%d", value
    return "%s", f"quoted({value})"
