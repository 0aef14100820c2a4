"""How a row holds what a column has no type for: moments as microseconds, marks as JSON with dates and amounts."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """*moment* as the tables hold it."""
    return (moment - _EPOCH) // _MICRO


def moment(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def maybe_micros(value: datetime | None) -> int | None:
    return None if value is None else micros(value)


def maybe_moment(value: int | None) -> datetime | None:
    return None if value is None else moment(value)


def _pack(value: Any) -> Any:
    """What JSON has no word for, as a tagged pair: marks hold dates, moments and amounts."""
    if isinstance(value, datetime):
        return {"$t": value.isoformat()}
    if isinstance(value, date):
        return {"$d": value.isoformat()}
    if isinstance(value, Decimal):
        return {"$n": str(value)}
    if isinstance(value, UUID):
        return {"$u": value.hex}
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be a mark")


def _unpack(pairs: dict[str, Any]) -> Any:
    if len(pairs) == 1:
        ((tag, text_),) = pairs.items()
        if tag == "$t":
            return datetime.fromisoformat(text_)
        if tag == "$d":
            return date.fromisoformat(text_)
        if tag == "$n":
            return Decimal(text_)
        if tag == "$u":
            return UUID(hex=text_)
    return pairs


# Made once: json.dumps would make an encoder at each call.
_encode = json.JSONEncoder(default=_pack, ensure_ascii=False, separators=(",", ":")).encode
_decode = json.JSONDecoder(object_hook=_unpack).decode


def to_json(value: Any) -> str:
    return _encode(value) if value else "{}"


def from_json(value: str) -> Any:
    return {} if value == "{}" else _decode(value)
