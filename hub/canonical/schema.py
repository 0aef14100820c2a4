"""Canonical objects at the edges and in the store, both read from their declaration.

:func:`schema_for` gives the marshmallow schema that the API loads with; it is strict and slow.  :func:`dump` and
:func:`undump` turn trusted objects into plain JSON-able dictionaries and back, for sealing: generated once per class.
"""

import dataclasses
import json
import re
import types
import typing
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from hub.canonical.declare import Shape, shapes
from hub.canonical.errors import HubError, catalogue, explain

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
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")


class _Integer(fields.Integer):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


class _Boolean(fields.Boolean):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class _Moment(fields.AwareDateTime):
    """ISO 8601 with seconds and an offset; loaded in UTC."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _MOMENT.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type="datetime")
        try:
            return super()._deserialize(value, *args, **kwargs).astimezone(UTC)
        except OverflowError:
            raise self.make_error("invalid", input=value, obj_type="datetime") from None


class _Date(fields.Date):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type="date")
        return super()._deserialize(value, *args, **kwargs)


class _Decimal(fields.String):
    """A decimal as a string of digits: a JSON number would have been a binary fraction on its way."""

    def __init__(self, digits: int, places: int, signed: bool, **kwargs: Any) -> None:
        whole = f"[0-9]{{1,{max(digits - places, 1)}}}"
        self.written = f"{'-?' if signed else ''}{whole}(\\.[0-9]{{1,{places}}})?" if places else whole
        super().__init__(metadata={"pattern": f"^{self.written}$", "example": "1" + ".00"[: places + 1]}, **kwargs)

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return None if value is None else format(value, "f")

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if not re.fullmatch(self.written, value, re.ASCII):
            raise ValidationError("invalid_range" if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) else "invalid_type")
        return Decimal(value)


def _clean(text: str) -> None:
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co") for c in text) or not unicodedata.is_normalized("NFC", text):
        raise ValidationError("invalid_characters")


@cache
def schema_for(cls: type) -> type[Schema]:
    """The marshmallow schema of canonical dataclass *cls*: its ``load`` gives an object of *cls*.

    Unknown fields, coercions, naive moments, control characters and text that is not in NFC are refused; see
    :func:`problems` for what it raises.
    """

    def make(self: Schema, data: Any, **kwargs: Any) -> Any:
        return cls(**data)

    members: dict[str, Any] = {name: _edge_field(shape) for name, shape in shapes(cls).items()}
    members["make"] = post_load(make)
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
            return _Integer(strict=True, validate=bounds, **settings)
        case "decimal":
            return _Decimal(shape.digits or 14, shape.places or 0, shape.signed, **settings)
        case "boolean":
            return _Boolean(**settings)
        case "date":
            return _Date(format="iso", **settings)
        case "datetime":
            return _Moment(format="iso", **settings)
    if shape.one_of is not None:
        return fields.String(validate=validate.OneOf(shape.one_of, error="invalid_code"), **settings)
    rules: list[Any] = [validate.Length(shape.shortest, shape.longest, error="invalid_length"), _clean]
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
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant, parse_float=Decimal
        )
        if b"\\u" in data:
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
    """The plain, JSON-able form of dataclass *obj*: dates and moments as ISO text, decimals and ids as text.

    ``schema`` holds the version of the class.  Values typed ``Any`` keep their type by a one-key tag.
    """
    cls: Any = type(obj)
    return {"schema": 1 + len(_upcasts.get(cls, ())), **_plain(cls)[0](obj)}


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


_TAGS: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    datetime: ("$moment", datetime.isoformat, datetime.fromisoformat),
    date: ("$date", date.isoformat, date.fromisoformat),
    Decimal: ("$decimal", str, Decimal),
    UUID: ("$id", str, UUID),
}
_TAGGED = {tag: read for tag, _, read in _TAGS.values()}


def pack(value: Any) -> Any:
    """A loosely typed value (marks, an event's data) as JSON: moments, dates, decimals and ids are tagged."""
    if isinstance(value, Mapping):
        return {str(name): pack(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [pack(item) for item in value]
    if type(value) in _TAGS:
        tag, write, _ = _TAGS[type(value)]
        return {tag: write(value)}
    if value is None or isinstance(value, str | int | bool):
        return value
    raise TypeError(f"no plain form for {type(value).__name__}")


def unpack(value: Any) -> Any:
    """What :func:`pack` was given, tuples as lists."""
    if isinstance(value, Mapping):
        if len(value) == 1:
            ((tag, inner),) = value.items()
            if tag in _TAGGED:
                return _TAGGED[tag](inner)
        return {name: unpack(item) for name, item in value.items()}
    return [unpack(item) for item in value] if isinstance(value, list) else value


@cache
def _plain(cls: type) -> tuple[Callable[[Any], dict[str, Any]], Callable[[Mapping[str, Any]], Any]]:
    """Source made from the fields of *cls* and compiled once: this runs for every row that is sealed or opened."""
    hints = typing.get_type_hints(cls)
    names: dict[str, Any] = {"cls": cls, "pack": pack, "unpack": unpack, "UUID": UUID, "Decimal": Decimal}
    names |= {"day": date.fromisoformat, "moment": datetime.fromisoformat}
    always, sometimes, read = [], [], []
    for field in dataclasses.fields(cls):
        name, (hint, optional) = field.name, _bare(hints[field.name])
        write_code, read_code = _code(hint, "v", names)
        key = repr(name)
        if optional:
            sometimes.append(f" v = o.{name}\n if v is not None: d[{key}] = {write_code}")
            read.append(f"{name}=None if (v := d.get({key})) is None else {read_code}")
        else:
            always.append(f"{key}: {_code(hint, f'o.{name}', names)[0]}")
            read.append(f"{name}={_code(hint, f'd[{key}]', names)[1]}{_absent(field, names)}")
    source = f"def dump(o):\n d = {{{', '.join(always)}}}\n" + "\n".join(sometimes) + "\n return d\n"
    source += f"def undump(d):\n return cls({', '.join(read)})\n"
    exec(compile(source, f"<plain form of {cls.__name__}>", "exec"), names)  # noqa: S102 - field names only
    return names["dump"], names["undump"]


def _absent(field: dataclasses.Field[Any], names: dict[str, Any]) -> str:
    """What follows the expression that reads *field*: its default, for a form written before the field existed."""
    default = f"default_{field.name}"
    if field.default is not dataclasses.MISSING:
        names[default] = field.default
        return f" if {field.name!r} in d else {default}"
    if field.default_factory is not dataclasses.MISSING:
        names[default] = field.default_factory
        return f" if {field.name!r} in d else {default}()"
    return ""


def _bare(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [h for h in typing.get_args(hint) if h is not type(None)]
        if len(rest) != 1:
            raise TypeError(f"no plain form for {hint}")
        return rest[0], True
    return hint, False


def _code(hint: Any, value: str, names: dict[str, Any]) -> tuple[str, str]:
    """The expressions that write and read the expression *value* of type *hint*; what they call goes into *names*."""
    origin = typing.get_origin(hint)
    if hint in (str, int, bool):
        return value, value
    if hint is datetime:
        return f"{value}.isoformat()", f"moment({value})"
    if hint is date:
        return f"{value}.isoformat()", f"day({value})"
    if hint in (Decimal, UUID):
        return f"str({value})", f"{hint.__name__}({value})"
    if origin is list:
        write, read = _code(typing.get_args(hint)[0], "i", names)
        return f"[{write} for i in {value}]", f"[{read} for i in {value}]"
    if origin is dict:
        key, item = typing.get_args(hint)
        (write_key, read_key), (write, read) = _code(key, "k", names), _code(item, "i", names)
        loop = f"for k, i in {value}.items()"
        return f"{{{write_key}: {write} {loop}}}", f"{{{read_key}: {read} {loop}}}"
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        tag = f"{hint.__name__}_{len(names)}"
        names[f"dump_{tag}"], names[f"undump_{tag}"] = _plain(hint)
        return f"dump_{tag}({value})", f"undump_{tag}({value})"
    if hint is Any or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return f"pack({value})", f"unpack({value})"
    raise TypeError(f"no plain form for {hint}")
