"""PostgreSQL: many processes on many machines, one ledger.

psycopg is imported when the first connection is made: the embedded default does without it.
"""

import json
import select
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

import structlog

from hub.canonical.errors import HubError
from hub.store.transaction import NOTHING, Cursor, News, Overtaken, Row, Values

log = structlog.get_logger(__name__)

CHANNEL = "hub_news"
_TOLD = 150  # requests that one notice names: it holds less than 8,000 bytes
#: The hub itself sees every row; what reads for a caller narrows it for its transaction (:mod:`hub.store.scope`).
EVERYTHING = "-c hub.scope=all"
LOCK_WAIT = "400ms"  # for a case that another process has in hand; then the unit is taken back and tried again
CONNECT = 2  # seconds
_WORKERS = 4207  # the class of advisory locks that say which processes live
_NAMES = 4208  # … and of those that say who is at something that one process does at a time
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
_LOST = ("08", "57P")  # SQLSTATE: connection exceptions, and the server being shut down or starting up
_AGAIN = ("40001", "40P01", "55P03")  # serialization failure, deadlock, lock not available


class _Names(tuple[Any, ...]):
    """A row by name and by place, as SQLite's is.  ``names`` belongs to the class made for one list of columns."""

    __slots__ = ()
    names: dict[str, int]

    def __getitem__(self, name: Any) -> Any:
        return tuple.__getitem__(self, self.names[name] if isinstance(name, str) else name)

    def keys(self) -> list[str]:
        return list(self.names)


_rows: dict[tuple[str, ...], type[_Names]] = {}


def _row_factory(cursor: Any) -> Callable[[Sequence[Any]], Row]:
    names = tuple(column.name for column in cursor.description or ())
    found = _rows.get(names)
    if found is None:
        found = type("_Row", (_Names,), {"__slots__": (), "names": {name: i for i, name in enumerate(names)}})
        _rows[names] = found
    return found


class PostgresConnection:
    """One connection to the server."""

    dialect = "postgresql"

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def execute(self, sql: str, values: Values = NOTHING) -> Cursor:
        cursor: Cursor = self._raw.execute(sql, values or None)
        return cursor

    def read(self, asked: Sequence[tuple[str, Values]]) -> list[list[Row]]:
        with self._raw.pipeline():
            cursors = [self._raw.execute(sql, values or None) for sql, values in asked]
        return [cursor.fetchall() for cursor in cursors]

    def write(self, batches: Sequence[tuple[str, Sequence[Values]]]) -> list[int]:
        cursors = [self._raw.cursor() for _ in batches]
        # One round trip for all of them.
        with self._raw.pipeline():
            for cursor, (sql, rows) in zip(cursors, batches, strict=True):
                if len(rows) == 1:
                    cursor.execute(sql, rows[0])
                else:
                    cursor.executemany(sql, rows)
        return [cursor.rowcount for cursor in cursors]

    def tell(self, news: News) -> None:
        answered = [request.hex for request in news.answered]
        for start in range(0, len(answered) or 1, _TOLD):
            told = {"work": [] if start else sorted(news.work), "answered": answered[start : start + _TOLD]}
            self._raw.execute("SELECT pg_notify(%s, %s)", (CHANNEL, json.dumps(told)))

    def hold(self, number: int) -> None:
        self._raw.execute("SELECT pg_advisory_lock(%s, %s)", (_WORKERS, number))

    def gone(self, number: int) -> bool:
        return bool(self._raw.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (_WORKERS, number)).fetchone()[0])

    def take(self, name: str) -> bool:
        taken = self._raw.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (_NAMES, name)).fetchone()[0]
        return bool(taken)

    def give_back(self, name: str) -> None:
        self._raw.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", (_NAMES, name))

    def roll_back(self) -> None:
        self._raw.execute("ROLLBACK")

    def close(self) -> None:
        self._raw.close()


class Postgres:
    """How a hub's database is reached.  Raises ``store_durability`` where it promises more than it keeps, and
    ``store_old`` below version 15."""

    dialect = "postgresql"
    shared = True
    begin_writing, begin_reading = "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, url: str) -> None:
        self._url = url
        self.name = "PostgreSQL"

    def exists(self) -> bool:
        return True

    def prepare(self) -> None:
        with closing(self.connect(writing=True)) as connection:
            if connection._raw.info.server_version < 150000:
                raise HubError("store_old")
            for name in _DURABLE:
                value = connection.execute("SELECT current_setting(%(name)s)", {"name": name}).fetchone()[0]
                if value in ("off", "local"):
                    raise HubError("store_durability")

    def connect(self, *, writing: bool) -> PostgresConnection:
        import psycopg

        raw = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT,
            prepare_threshold=0,
            row_factory=_row_factory,
            application_name="hub",
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            # Every statement has its index.  A table that has grown since anybody counted it must not be read whole.
            options=f"-c lock_timeout={LOCK_WAIT} -c idle_in_transaction_session_timeout=30s -c statement_timeout=60s "
            f"-c timezone=UTC -c jit=off -c enable_seqscan=off -c random_page_cost=1.1 {EVERYTHING}",
        )
        raw.prepared_max = 500
        return PostgresConnection(raw)

    def look(self) -> PostgresConnection:
        return self.connect(writing=False)

    @staticmethod
    def full(error: BaseException) -> bool:
        return getattr(error, "sqlstate", None) in ("53100", "53200")

    @staticmethod
    def lost(error: BaseException) -> bool:
        state = getattr(error, "sqlstate", None)
        if state is not None:
            return str(state).startswith(_LOST)
        driver = sys.modules.get("psycopg")
        return driver is not None and isinstance(error, driver.OperationalError | driver.InterfaceError)

    @staticmethod
    def again(error: BaseException) -> bool:
        return isinstance(error, Overtaken) or getattr(error, "sqlstate", None) in _AGAIN

    @classmethod
    def at_fault(cls, error: BaseException) -> bool:
        state = getattr(error, "sqlstate", None)
        return cls.lost(error) or cls.again(error) or (state or "").startswith(("53", "58", "25"))

    def listen(self, heard: Callable[[News], None], stop: threading.Event) -> None:
        """Answer *heard* with what processes tell when they commit, until *stop*; reconnects by itself."""
        while not stop.is_set():
            try:
                with closing(self.connect(writing=False)) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._hear(connection._raw, heard, stop)
            except Exception as error:
                if not self.lost(error):
                    log.error("listen_failed", exc_info=error)
                stop.wait(1.0)

    @staticmethod
    def _hear(raw: Any, heard: Callable[[News], None], stop: threading.Event) -> None:
        while not stop.is_set():
            # A wait of our own: psycopg's would keep the connection for itself.
            if not select.select([raw.fileno()], [], [], 0.5)[0]:
                continue
            news = News()
            for notice in raw.notifies(timeout=0, stop_after=None):
                told = json.loads(notice.payload)
                news.add(News(set(told["work"]), {UUID(hex=request) for request in told["answered"]}))
            if news:
                heard(news)
