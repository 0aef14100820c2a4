"""The database and its units of work.

A unit of work is a function that is handed a transaction, reads and writes, and is answered after COMMIT.  On
SQLite one writer thread runs all units; units that wait together share a commit, each inside a savepoint of its
own, so that one that fails takes nothing of the others with it (measured: 8 to 9 times the rate of a commit each).
Statements are SQLAlchemy Core, compiled once and run on the driver.
"""

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Table, bindparam, insert, or_
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.expression import ClauseElement

from hub.canonical.errors import HubError
from hub.store.tables import metadata

T = TypeVar("T")
Row = sqlite3.Row
log = structlog.get_logger(__name__)

GROUP = 256  # units that may share one commit
GROUP_SECONDS = 0.02  # and for how long a commit may be put off while more are waiting

sqlite3.register_adapter(UUID, lambda value: value.hex)
_dialect = sqlite.dialect(paramstyle="named")


class Statement:
    """A Core statement compiled once.  Its parameters are the statement's bind names."""

    __slots__ = ("defaults", "sql")

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=_dialect)
        self.sql = str(compiled)
        self.defaults = {k: v for k, v in compiled.params.items() if v is not None}


def inserting(table: Table, *, ignore: bool = False, replace: bool = False) -> Statement:
    """INSERT of every column of *table*; ``ignore`` and ``replace`` say what a row that is there already means."""
    statement = insert(table).values({c.name: bindparam(c.name) for c in table.columns})
    if ignore:
        statement = statement.prefix_with("OR IGNORE")
    if replace:
        statement = statement.prefix_with("OR REPLACE")
    return Statement(statement)


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """*column* is one of *values*, fixed when the statement is compiled (an IN would be expanded at each run)."""
    return or_(*(column == value for value in values))


def as_uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(hex=value)


def maybe_uuid(value: Any) -> UUID | None:
    return None if value is None else as_uuid(value)


def columns_lacking(connection: sqlite3.Connection) -> list[str]:
    """What the tables of a file do not have and this version writes, as ``table.column``.  A table that is not there at
    all is not told: it can simply be made."""
    found = []
    for table in metadata.sorted_tables:
        there = {row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table.name,))}
        found += [f"{table.name}.{column.name}" for column in table.columns if there and column.name not in there]
    return found


class Transaction:
    """What a unit of work is handed.  ``after_commit`` runs when, and only when, the unit is durable."""

    __slots__ = ("_connection", "_hooks", "touched")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._hooks: list[Callable[[], None]] = []
        self.touched: set[UUID] = set()

    def run(self, statement: Statement, **values: Any) -> sqlite3.Cursor:
        if statement.defaults:
            values = {**statement.defaults, **values}
        return self._connection.execute(statement.sql, values)

    def run_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        self._connection.executemany(statement.sql, [{**statement.defaults, **row} for row in rows])

    def one(self, statement: Statement, **values: Any) -> Row | None:
        row: Row | None = self.run(statement, **values).fetchone()
        return row

    def all(self, statement: Statement, **values: Any) -> list[Row]:
        return self.run(statement, **values).fetchall()

    def after_commit(self, hook: Callable[[], None]) -> None:
        self._hooks.append(hook)


Unit = Callable[[Transaction], T]


class _Job(Generic[T]):
    __slots__ = ("future", "hooks", "result", "unit")

    def __init__(self, unit: Unit[T]) -> None:
        self.unit = unit
        self.future: Future[T] = Future()
        self.result: Any = None
        self.hooks: Iterable[Callable[[], None]] = ()


class Database:
    """One SQLite file: a writer thread, and a reading connection for every thread that reads.

    Raises HubError ``store_durability`` where the file's settings do not keep what they promise, ``store_version``
    where another version of the hub made it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._on_rollback: Callable[[set[UUID] | None], None] = lambda groups: None
        self._busy = 0
        self._writer_connection = self._connect()
        os.chmod(path, 0o600)
        self._create()
        self._closed = False
        self._thread = threading.Thread(target=self._write, name="hub-writer", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=10, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=10000",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
        if connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
            raise HubError("store_durability")
        return connection

    def _create(self) -> None:
        lacking = columns_lacking(self._writer_connection)
        if lacking:
            self._writer_connection.close()
            raise HubError("store_version", file=self.path.name, place=lacking[0])
        there = {row[0] for row in self._writer_connection.execute("SELECT name FROM sqlite_master")}
        self._writer_connection.execute("BEGIN IMMEDIATE")
        for table in metadata.sorted_tables:
            if table.name not in there:
                self._writer_connection.execute(str(CreateTable(table).compile(dialect=_dialect)))
            for index in table.indexes:
                if index.name not in there:
                    self._writer_connection.execute(str(CreateIndex(index).compile(dialect=_dialect)))
        self._writer_connection.execute("COMMIT")

    def on_rollback(self, forget: Callable[[set[UUID] | None], None]) -> None:
        """*forget* hears which groups a failed unit had touched, or None for all, so that no cache keeps what was not
        written."""
        self._on_rollback = forget

    def submit(self, unit: Unit[T]) -> "Future[T]":
        """Put *unit* before the writer; the future is answered after COMMIT, or with what the unit raised."""
        job = _Job(unit)
        self._jobs.put(job)
        return job.future

    def unit(self, unit: Unit[T]) -> T:
        """Run *unit* and wait until it is durable."""
        return self.submit(unit).result()

    @property
    def idle(self) -> bool:
        """Nothing is waiting for the writer and nothing is being written."""
        return self._jobs.empty() and not self._busy

    def _write(self) -> None:
        while True:
            job = self._jobs.get()
            self._busy = 1
            if job is None:
                self._busy = 0
                return
            jobs = [job]
            try:
                stop = self._run_group(job, jobs)
            except BaseException as error:  # the commit itself failed: nobody of the group may believe in it
                log.error("commit_failed", code="disk_full" if _is_full(error) else "store_failed")
                self._rollback_all(jobs, error)
                stop = False
            self._busy = 0
            if stop:
                return

    def _run_group(self, job: "_Job[Any] | None", jobs: list["_Job[Any]"]) -> bool:
        connection = self._writer_connection
        connection.execute("BEGIN IMMEDIATE")
        started, stop = time.monotonic(), False
        while job is not None:
            self._run_one(connection, job)
            if len(jobs) >= GROUP or time.monotonic() - started > GROUP_SECONDS:
                break
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                stop = True
                break
            jobs.append(job)
        connection.execute("COMMIT")
        for done in jobs:
            if not done.future.done():
                for hook in done.hooks:
                    hook()
                done.future.set_result(done.result)
        return stop

    def _run_one(self, connection: sqlite3.Connection, job: "_Job[Any]") -> None:
        transaction = Transaction(connection)
        connection.execute("SAVEPOINT unit")
        try:
            job.result = job.unit(transaction)
            job.hooks = transaction._hooks
        except BaseException as error:
            if not connection.in_transaction:
                raise  # a full disk takes the whole transaction back, and everybody in it must know
            self._on_rollback(transaction.touched)
            connection.execute("ROLLBACK TO unit")
            connection.execute("RELEASE unit")
            job.future.set_exception(HubError("disk_full") if _is_full(error) else error)
            return
        connection.execute("RELEASE unit")

    def _rollback_all(self, jobs: list["_Job[Any]"], error: BaseException) -> None:
        if self._writer_connection.in_transaction:
            self._writer_connection.execute("ROLLBACK")
        self._on_rollback(None)
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(HubError("disk_full") if _is_full(error) else error)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A consistent view for reading, in the calling thread; it never waits for the writer."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            self._readers.append(connection)
        connection.execute("BEGIN")
        try:
            yield Transaction(connection)
        finally:
            connection.execute("COMMIT")

    def close(self) -> None:
        """Let the writer finish what waits, then close."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._thread.join()
        for connection in (*self._readers, self._writer_connection):
            connection.close()


def store_at_fault(error: BaseException) -> bool:
    """Whether a unit failed because the store could not take it, and not through anything of its own."""
    return isinstance(error, sqlite3.OperationalError) or (isinstance(error, HubError) and error.code == "disk_full")


def _is_full(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)
