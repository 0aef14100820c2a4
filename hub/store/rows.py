"""Rows as bytes, the same from every store: the tuples of PostgreSQL's binary COPY format.

PostgreSQL reads and writes them itself.  For SQLite they are made and taken apart here, by the columns' types.
Source: PostgreSQL documentation, COPY, "Binary Format".
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table, Uuid

#: What PostgreSQL sends before the first tuple, and after the last.
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

_LENGTH = struct.Struct("!i")
_COUNT = struct.Struct("!h")
_SMALL, _LARGE = struct.Struct("!ii"), struct.Struct("!iq")
_NULL = _LENGTH.pack(-1)
_TRUE, _FALSE = b"\0\0\0\1\1", b"\0\0\0\1\0"
_MODULUS = 1 << 256

Pack = Callable[[Any], bytes]
Unpack = Callable[[bytes], Any]


class Digest:
    """How many rows there were, and a sum of their SHA-256 that does not ask in which order they came."""

    __slots__ = ("_sum", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, rows: Sequence[bytes]) -> None:
        sha256, number = hashlib.sha256, int.from_bytes
        self._sum += sum(number(sha256(row).digest(), "big") for row in rows)
        self.rows += len(rows)

    def told(self) -> dict[str, Any]:
        """As a file states it."""
        return {"rows": self.rows, "sha256_sum": f"{self._sum % _MODULUS:064x}"}


class SqliteRows:
    """Makes tuples of what SQLite holds in the columns of *table*, and the other way round."""

    def __init__(self, table: Table) -> None:
        self._count = _COUNT.pack(len(table.columns))
        kinds = [_kind(column) for column in table.columns]
        self._packs = [pack for pack, _ in kinds]
        self._unpacks = [unpack for _, unpack in kinds]

    def packed(self, rows: Iterable[Sequence[Any]]) -> list[bytes]:
        count, packs, join = self._count, self._packs, b"".join
        return [
            count + join([_NULL if value is None else pack(value) for pack, value in zip(packs, row, strict=True)])
            for row in rows
        ]

    def unpacked(self, rows: Iterable[bytes]) -> list[list[Any]]:
        return [self._taken_apart(row) for row in rows]

    def _taken_apart(self, row: bytes) -> list[Any]:
        found: list[Any] = []
        at, length_at = 2, _LENGTH.unpack_from
        for unpack in self._unpacks:
            (length,) = length_at(row, at)
            at += 4
            if length < 0:
                found.append(None)
            else:
                found.append(unpack(row[at : at + length]))
                at += length
        return found


def described(table: Table) -> list[list[str]]:
    """The columns of *table* and what they hold, as a file states them."""
    return [[column.name, _named(column)] for column in table.columns]


def _named(column: Column[Any]) -> str:
    # BigInteger is an Integer too, so it is asked for first.
    for type_, name in (
        (Uuid, "uuid"), (Boolean, "bool"), (BigInteger, "int8"), (Integer, "int4"), (String, "text"),
        (LargeBinary, "bytes"),
    ):  # fmt: skip
        if isinstance(column.type, type_):
            return name
    raise TypeError(f"{column} has a type that is not copied")


def _kind(column: Column[Any]) -> tuple[Pack, Unpack]:
    return _KINDS[_named(column)]


def _pack_bytes(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


def _pack_text(value: str) -> bytes:
    data = value.encode()
    return _LENGTH.pack(len(data)) + data


_KINDS: dict[str, tuple[Pack, Unpack]] = {
    "uuid": (lambda value: b"\0\0\0\x10" + bytes.fromhex(value), bytes.hex),
    "bool": (lambda value: _TRUE if value else _FALSE, lambda data: int(data != b"\0")),
    "int8": (lambda value: _LARGE.pack(8, value), lambda data: int.from_bytes(data, "big", signed=True)),
    "int4": (lambda value: _SMALL.pack(4, value), lambda data: int.from_bytes(data, "big", signed=True)),
    "text": (_pack_text, bytes.decode),
    "bytes": (_pack_bytes, bytes),
}
