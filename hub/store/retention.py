"""What is done is kept for a number of months; the months to come are made before they begin.

Only exchanges that are done, and their bytes, end: subjects, histories, the audit and the keys under which things were
seen stay.  PostgreSQL drops whole months, SQLite deletes rows.
"""

from datetime import date

from sqlalchemy import bindparam, delete, exists, false, select, true

from hub.store import partitions
from hub.store.database import Database, Statement, Transaction
from hub.store.tables import exchange, payload

CHUNK = 2_000  # rows deleted in one unit of work: others want the writer too

_old = (
    select(exchange.c.id)
    .where(exchange.c.open == false(), exchange.c.id < bindparam("before"))
    .limit(bindparam("most"))
    .scalar_subquery()
)
_exchanges_end = Statement(delete(exchange).where(exchange.c.id.in_(_old)))
_still = exists(select(exchange.c.id).where(exchange.c.id == payload.c.exchange_id, exchange.c.open == true()))
_bytes_end = Statement(
    delete(payload).where(
        payload.c.exchange_id.in_(
            select(payload.c.exchange_id)
            .where(payload.c.exchange_id < bindparam("before"), ~_still)
            .limit(bindparam("most"))
            .scalar_subquery()
        )
    )
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
    if database.shared:
        database.unit(lambda tx: partitions.ahead(tx.connection, today))
        return database.unit(lambda tx: partitions.drop(tx.connection, before))
    ended = []
    for name, statement in (("payload", _bytes_end), ("exchange", _exchanges_end)):
        rows = 0
        while count := database.unit(lambda tx, s=statement: _some(tx, s, before)):  # type: ignore[misc]
            rows += count
        if rows:
            ended.append(f"{name}: {rows}")
    return ended


def _some(tx: Transaction, statement: Statement, before: date) -> int:
    return tx.run(statement, before=partitions.first_id(before), most=CHUNK).rowcount
