"""Months of done exchanges and of their bytes, on PostgreSQL.

Ids are UUIDv7 and begin with the time they were made at, so that a month is a range of ids: a row is found by its id in
one partition, and a month that is past its keeping is dropped whole.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

AHEAD = 3  # months made before they begin
_MAKING = 7226338  # the advisory lock of whoever makes partitions
TABLES = ("exchange_done", "payload")
#: What is open and has bytes here: those of a file in a folder lie there.
_OPEN = ("SELECT id FROM exchange WHERE open", "SELECT id FROM file_in WHERE ended_at IS NULL AND via = 'api'")


def first_id(month: date) -> UUID:
    """The smallest UUIDv7 of *month* (UTC)."""
    milliseconds = int(datetime(month.year, month.month, 1, tzinfo=UTC).timestamp() * 1000)
    return UUID(int=milliseconds << 80)


def following(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def months(today: date, count: int) -> Iterator[date]:
    month = today.replace(day=1)
    for _ in range(count):
        yield month
        month = following(month)


def ahead(connection: Any, today: date | None = None) -> None:
    """Make the partitions of this month and the next ones, where they are not there yet."""
    today = today or datetime.now(UTC).date()
    wanted = {f"{table}_{month:%Y%m}": (table, month) for month in months(today, AHEAD + 1) for table in TABLES}
    if wanted.keys() <= _there(connection):
        return
    # Processes that start together: IF NOT EXISTS looks before it makes, and two may look at once.
    connection.execute(f"SELECT pg_advisory_lock({_MAKING})")
    try:
        for name in wanted.keys() - _there(connection):
            table, month = wanted[name]
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} "
                f"FOR VALUES FROM ('{first_id(month)}') TO ('{first_id(following(month))}')"
            )
            # Whose rows they are is said of the parent; by itself a month shows nobody anything.
            connection.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    finally:
        connection.execute(f"SELECT pg_advisory_unlock({_MAKING})")


def drop(connection: Any, before: date) -> list[str]:
    """Drop the months that ended before *before* began; answers their names.  Open exchanges have no month, and bytes
    of one that is still open, or of a file that nobody has read yet, keep their month alive."""
    found = [connection.execute(f"{oldest} ORDER BY id LIMIT 1").fetchone() for oldest in _OPEN]
    kept = min((UUID(str(row[0])).int for row in found if row is not None), default=None)
    gone = []
    for name in sorted(_there(connection)):
        table, _, digits = name.rpartition("_")
        if table not in TABLES or not digits.isdigit():
            continue
        month = date(int(digits[:4]), int(digits[4:]), 1)
        end = following(month)
        if end <= before.replace(day=1) and (kept is None or first_id(end).int <= kept):
            connection.execute(f"DROP TABLE {name}")
            gone.append(name)
    return gone


def _there(connection: Any) -> set[str]:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
    return {row[0] for row in rows}
