"""What is done is kept for a number of months; the months to come are made before they begin.

Exchanges that are done end with their bytes, files that were read, and the photos of pilgrims whose request has ended.
Subjects, histories, the audit and the keys under which things were seen stay.  How old something is stands in its id,
a photo's in its request's.  Of exchanges PostgreSQL drops whole months; everything else is deleted row by row.
"""

from datetime import date
from typing import Any

from sqlalchemy import Select, bindparam, delete, exists, false, select, true

from hub.store import partitions
from hub.store.database import Database, Statement, Transaction
from hub.store.tables import exchange, file_in, payload, photo, request

CHUNK = 2_000  # rows deleted in one unit of work: others want the writer too


def _ending(some: Select[Any]) -> Statement:
    """Ends the rows of a table whose values of one column *some* finds, so many at a time."""
    (of,) = some.selected_columns
    return Statement(delete(of.table).where(of.in_(some.limit(bindparam("most")).scalar_subquery())))


_still = exists(select(exchange.c.id).where(exchange.c.id == payload.c.exchange_id, exchange.c.open == true()))
_unread = exists(select(file_in.c.id).where(file_in.c.id == payload.c.exchange_id, file_in.c.ended_at.is_(None)))
_exchanges_end = _ending(select(exchange.c.id).where(exchange.c.open == false(), exchange.c.id < bindparam("before")))
_bytes_end = _ending(
    select(payload.c.exchange_id).where(payload.c.exchange_id < bindparam("before"), ~_still, ~_unread)
)
_files_end = _ending(select(file_in.c.id).where(file_in.c.id < bindparam("before"), file_in.c.ended_at.is_not(None)))
_photos_end = _ending(
    select(photo.c.request_id)
    .join(request, request.c.id == photo.c.request_id)
    .where(photo.c.request_id < bindparam("before"), request.c.ended_at.is_not(None))
)


def first_kept(today: date, months: int) -> date:
    """The first day of the oldest month that is kept, with *months* whole ones before this one."""
    count = today.year * 12 + today.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)


def keep(database: Database, today: date, months: int) -> list[str]:
    """Make the months to come, and end what was done more than *months* months ago; answers what ended.

    What waits, or is at a person, never ends, however old it is.
    """
    before = first_kept(today, months)
    rows = {"file": _files_end, "photo": _photos_end}
    ended = []
    if database.shared:
        database.unit(lambda tx: partitions.ahead(tx.connection, today))
        ended += database.unit(lambda tx: partitions.drop(tx.connection, before))
    else:
        rows = {"payload": _bytes_end, "exchange": _exchanges_end, **rows}
    for name, statement in rows.items():
        gone = 0
        while count := database.unit(lambda tx, s=statement: _some(tx, s, before)):  # type: ignore[misc]
            gone += count
        if gone:
            ended.append(f"{name}: {gone}")
    return ended


def _some(tx: Transaction, statement: Statement, before: date) -> int:
    return tx.run(statement, before=partitions.first_id(before), most=CHUNK).rowcount
