"""Staging: the lines of a file, read and checked, as typed rows, sealed one by one, until the cases have been told.

A file has a data key of its own.  A line's row is the canonical JSON of its fields, sealed with the exchange and its
number, from 1, as associated data, so that no line passes for another.  The rows are the progress: what is there need
not be stored again.  ``records`` of the exchange is how many there are, once the file is known to be whole, and
``done`` how many the cases were told.

Lines that were told go in the commit in which they are told: the cases know what they said, and the bytes of the file
are kept.  Lines that belong to nobody we know stay, to be looked at and matched later, for as long as the file is kept.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, select, true, update

from hub.canonical.ids import new_id
from hub.canonical.schema import dumps, undump
from hub.security.sealing import Sealer
from hub.store.database import Statement, Transaction, inserting
from hub.store.ledger import Moment
from hub.store.tables import exchange, line, payload

T = TypeVar("T")

#: Rows of one statement.  The driver lets other threads run once a statement, not once a row, so that a thread that
#: is busy reading a file does not hold up the writer at every row.
_MANY = 1_000
#: Rows that are taken away in one unit of work.
_DROPPED = 5_000

_insert = Statement(insert(line).values({c: bindparam(c) for c in ("exchange_id", "number", "wrapped", "sealed")}))
_insert_many = Statement(
    insert(line).values(
        [
            {"exchange_id": bindparam("of_exchange"), "number": bindparam(f"n{i}"), "sealed": bindparam(f"s{i}")}
            for i in range(_MANY)
        ]
    )
)
_around = Statement(
    select(line.c.wrapped, line.c.sealed).where(line.c.exchange_id == bindparam("exchange_id"), line.c.number == 0)
)
_last = Statement(select(func.max(line.c.number)).where(line.c.exchange_id == bindparam("exchange_id")))
_next = Statement(
    select(line.c.number, line.c.sealed)
    .where(line.c.exchange_id == bindparam("exchange_id"), line.c.number > bindparam("after"))
    .order_by(line.c.number)
    .limit(bindparam("most"))
)
_whole = Statement(
    update(line)
    .where(line.c.exchange_id == bindparam("of_exchange"), line.c.number == 0)
    .values(sealed=bindparam("head"))
)
_counted = Statement(
    update(exchange)
    .where(exchange.c.id == bindparam("exchange_id"), exchange.c.open == true())
    .values(records=bindparam("count"), subjects=bindparam("count"), map_hash=bindparam("read_by"))
)
_payload_insert = inserting(payload)
_pieces = Statement(
    select(func.count())
    .select_from(payload)
    .where(payload.c.exchange_id == bindparam("exchange_id"), payload.c.kind == "request")
)
_advance = Statement(
    update(exchange)
    .where(exchange.c.id == bindparam("exchange_id"), exchange.c.open == true(), exchange.c.done == bindparam("was"))
    .values(done=bindparam("now_done"))
)
_remove = Statement(
    delete(line).where(
        line.c.exchange_id == bindparam("of_exchange"),
        line.c.number >= bindparam("first"),
        line.c.number <= bindparam("last"),
    )
)


@dataclass(frozen=True, slots=True)
class Staged:
    """A file in staging: its exchange, its data key, the number of the last line that is stored, and how many pieces of
    its bytes are."""

    exchange: UUID
    wrapped: bytes
    key: bytes
    last: int = 0
    pieces: int = 0


class Staging:
    """Stores the lines of files and gives them back in their order."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    # -- in ----------------------------------------------------------------------------------------------------------

    def begin(self, tx: Transaction, exchange_id: UUID, pieces: int) -> Staged:
        """Make room for the lines of an exchange that has none yet, and so many *pieces* of its bytes."""
        wrapped, key = self._sealer.new_data_key()
        sealed = self._sealer.seal(key, b"{}", _place(exchange_id, 0))
        tx.put(_insert, exchange_id=exchange_id, number=0, wrapped=wrapped, sealed=sealed)
        return Staged(exchange_id, wrapped, key, 0, pieces)

    def resume(self, tx: Transaction, exchange_id: UUID) -> Staged:
        """What is stored of an exchange whose taking was cut off."""
        row = tx.one(_around, exchange_id=exchange_id)
        if row is None:
            raise LookupError("the exchange has no lines")
        key, pieces = self._sealer.unwrap(row["wrapped"]), tx.one(_pieces, exchange_id=exchange_id)
        assert pieces is not None
        return Staged(exchange_id, row["wrapped"], key, self._last(tx, exchange_id), pieces[0])

    def piece(self, staged: Staged, data: bytes) -> tuple[UUID, bytes]:
        """The row of the next piece of a file's bytes.  Needs no transaction."""
        row_id = new_id()
        return row_id, self._sealer.seal(staged.key, data, row_id.bytes)

    def keep(self, tx: Transaction, at: Moment, staged: Staged, piece: tuple[UUID, bytes]) -> None:
        """Keep one piece of the bytes of a file that is too large for one unit of work."""
        tx.put(
            _payload_insert,
            id=piece[0], exchange_id=staged.exchange, kind="request", recorded_at=at.wall, wrapped=staged.wrapped,
            sealed=piece[1],
        )  # fmt: skip

    def sealed(self, staged: Staged, first: int, values: Iterable[Any]) -> list[tuple[int, bytes]]:
        """The rows of canonical *values*, numbered from *first*.  Needs no transaction: it is most of the work."""
        place, numbered = staged.exchange.bytes, list(enumerate(values, first))
        rows = self._sealer.seal_each(staged.key, [(dumps(v), place + n.to_bytes(8, "big")) for n, v in numbered])
        return [(number, row) for (number, _), row in zip(numbered, rows, strict=True)]

    def put(self, tx: Transaction, exchange_id: UUID, rows: Sequence[tuple[int, bytes]]) -> None:
        """Store the next *rows*.  Raises LookupError where those before them are not there: nothing may be missing."""
        if rows[0][0] != self._last(tx, exchange_id) + 1:
            raise LookupError("the lines before are not there")
        many = len(rows) - len(rows) % _MANY
        for start in range(0, many, _MANY):
            values: dict[str, Any] = {"of_exchange": exchange_id}
            for i, (number, sealed) in enumerate(rows[start : start + _MANY]):
                values[f"n{i}"], values[f"s{i}"] = number, sealed
            tx.run(_insert_many, **values)
        for number, sealed in rows[many:]:
            tx.put(_insert, exchange_id=exchange_id, number=number, wrapped=None, sealed=sealed)

    def whole(self, tx: Transaction, staged: Staged, head: Any, count: int, map_hash: str) -> None:
        """All *count* lines are stored, as one map read them, and the file is right; *head* is what is around them."""
        sealed = self._sealer.seal(staged.key, dumps(head), _place(staged.exchange, 0))
        tx.put(_whole, of_exchange=staged.exchange, head=sealed)
        tx.put(_counted, exchange_id=staged.exchange, count=count, read_by=map_hash)

    # -- out ---------------------------------------------------------------------------------------------------------

    def head(self, tx: Transaction, staged: Staged, cls: type[T]) -> T:
        """The message of a file that is whole, without its lines."""
        row = tx.one(_around, exchange_id=staged.exchange)
        assert row is not None
        return self._opened(staged, 0, row["sealed"], cls)

    def next(self, tx: Transaction, staged: Staged, after: int, most: int, cls: type[T]) -> list[tuple[int, T]]:
        """The lines behind number *after*, at *most* so many."""
        rows = tx.all(_next, exchange_id=staged.exchange, after=after, most=most)
        return [(row["number"], self._opened(staged, row["number"], row["sealed"], cls)) for row in rows]

    def advance(self, tx: Transaction, exchange_id: UUID, was: int, now: int) -> bool:
        """Say that the lines behind *was* up to *now* are being told by the unit at hand.

        False where another process told them meanwhile: then they must not be told again.
        """
        return tx.run(_advance, exchange_id=exchange_id, was=was, now_done=now).rowcount == 1

    def told(self, tx: Transaction, exchange_id: UUID, was: int, now: int, kept: Iterable[int]) -> None:
        """Take away the lines behind *was* up to *now*, but for those *kept*."""
        first = was + 1
        for number in (*sorted(kept), now + 1):
            if first < number:
                tx.put(_remove, of_exchange=exchange_id, first=first, last=number - 1)
            first = number + 1

    def finished(self, tx: Transaction, exchange_id: UUID) -> None:
        """No line is to be told any more: where none is kept, the file's key goes too."""
        if not self._last(tx, exchange_id):
            tx.put(_remove, of_exchange=exchange_id, first=0, last=0)

    def drop(self, tx: Transaction, exchange_id: UUID) -> bool:
        """Take away some of the lines of a file that turned out to be wrong, the last first; True while there are more.

        In steps, so that other units of work come in between; cut off, the file can be read again.
        """
        last = self._last(tx, exchange_id)
        tx.put(_remove, of_exchange=exchange_id, first=max(last - _DROPPED, 0) + 1, last=last)
        return last > _DROPPED

    def _last(self, tx: Transaction, exchange_id: UUID) -> int:
        row = tx.one(_last, exchange_id=exchange_id)
        return 0 if row is None or row[0] is None else int(row[0])

    def _opened(self, staged: Staged, number: int, sealed: bytes, cls: type[T]) -> T:
        return undump(cls, json.loads(self._sealer.open(staged.key, sealed, _place(staged.exchange, number))))


def _place(exchange_id: UUID, number: int) -> bytes:
    return exchange_id.bytes + number.to_bytes(8, "big")
