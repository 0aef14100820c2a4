"""The whole of a store at one moment, as rows; and rows as the whole of an empty store.

The way of backups, of restoring and of moving to another store.  It goes past units of work: one connection, one
transaction, rows by the thousand (COPY on PostgreSQL), in a form that does not tell which store they came from.
"""

import os
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Integer,
    Table,
    create_engine,
    event,
    exists,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from hub.canonical.errors import HubError
from hub.settings import Settings
from hub.store.rows import HEADER, TRAILER, Digest, SqliteRows
from hub.store.tables import metadata

BATCH = 1000  # rows that go through the hands at a time

#: Told the name of a table and how many more of its rows have gone through.
Progress = Callable[[str, int], None]


def address(settings: Settings) -> URL:
    """Where the store of *settings* is.  Raises ``store_address`` for what is none, without repeating it."""
    return address_of(settings.database_url) if settings.database_url else embedded(settings)


def embedded(settings: Settings) -> URL:
    """Where the store of the embedded default is."""
    return URL.create("sqlite", database=str(settings.var / "hub.db"))


def address_of(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise HubError("store_address") from None
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite" or not url.database:
        raise HubError("store_address")
    return url


def tables() -> Sequence[Table]:
    """Every table that is copied."""
    return metadata.sorted_tables


class Bulk:
    """A store inside one transaction.  ``connection`` is for what else is to be read or written in it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._preparer = connection.dialect.identifier_preparer

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.connection.dialect.name

    def count(self, table: Table) -> int:
        return int(self.connection.execute(select(func.count()).select_from(table)).scalar_one())

    def rows(self, table: Table) -> Iterator[list[bytes]]:
        """Every row of *table*, a batch at a time, in no order."""
        raise NotImplementedError

    def fill(self, table: Table, batches: Iterable[list[bytes]]) -> None:
        """Put rows into *table*.  Raises ``store_refuses`` where a value does not fit there."""
        raise NotImplementedError

    def follow(self) -> None:
        """Let the store's own numbers go on behind the highest that was put in."""

    @contextmanager
    def _fitting(self, table: Table) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, struct.error, self._driver.Error) as error:
            found = error.orig if isinstance(error, DBAPIError) else error
            # What a driver says of a value that does not fit is the value.
            state = getattr(found, "sqlstate", None) or type(found).__name__
            raise HubError("store_refuses", place=table.name, rule=state) from None

    @property
    def _driver(self) -> Any:
        return self.connection.dialect.dbapi

    def _cursor(self) -> Any:
        return self.connection.connection.cursor()


class SqliteBulk(Bulk):
    def rows(self, table: Table) -> Iterator[list[bytes]]:
        made, cursor = SqliteRows(table), self._cursor()
        cursor.execute(str(select(table).compile(dialect=self.connection.dialect)))
        while batch := cursor.fetchmany(BATCH):
            with self._fitting(table):
                packed = made.packed(batch)
            yield packed

    def fill(self, table: Table, batches: Iterable[list[bytes]]) -> None:
        made, cursor = SqliteRows(table), self._cursor()
        statement = str(insert(table).compile(dialect=self.connection.dialect))
        for batch in batches:
            with self._fitting(table):
                cursor.executemany(statement, made.unpacked(batch))


class PostgresBulk(Bulk):
    def rows(self, table: Table) -> Iterator[list[bytes]]:
        # Of a partitioned table only a query gives all rows.
        query = str(select(table).compile(dialect=self.connection.dialect))
        with self._cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
            messages = _tuples(copy)
            while batch := list(islice(messages, BATCH)):
                yield batch

    def fill(self, table: Table, batches: Iterable[list[bytes]]) -> None:
        quote = self._preparer.quote
        columns = ", ".join(quote(column.name) for column in table.columns)
        into = f"COPY {self._preparer.format_table(table)} ({columns}) FROM STDIN (FORMAT BINARY)"
        with self._fitting(table), self._cursor().copy(into) as copy:
            copy.write(HEADER)
            for batch in batches:
                copy.write(b"".join(batch))
            copy.write(TRAILER)

    def follow(self) -> None:
        for table in tables():
            number = table.autoincrement_column
            if number is not None and isinstance(number.type, Integer):
                of = func.pg_get_serial_sequence(table.name, number.name)
                self.connection.execute(select(func.setval(of, func.max(number))))


def _tuples(messages: Iterable[Any]) -> Iterator[bytes]:
    """The server sends one tuple a message; its header stands before the first."""
    first = True
    for message in messages:
        data = bytes(message)
        if first:
            first, data = False, data.removeprefix(HEADER)
        if data and data != TRAILER:
            yield data


@contextmanager
def reading(url: URL) -> Iterator[Bulk]:
    """The store at *url* as it is at this moment, beside whoever is at work on it.

    Raises ``store_missing`` where there is none, ``store_unreachable``.
    """
    if url.get_backend_name() == "sqlite" and not os.path.isfile(url.database or ""):
        raise HubError("store_missing")
    with _engine(url) as engine:
        options = {} if engine.dialect.name == "sqlite" else _SNAPSHOT
        with engine.connect().execution_options(**options) as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only=ON")
                connection.exec_driver_sql("BEGIN")
            else:
                # It takes as long as it takes, and then waits for the disk that it is written to.
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            _whole(connection, url)
            yield _bulk(connection)


_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


@contextmanager
def filling(url: URL) -> Iterator[Bulk]:
    """The store at *url*, which must be empty, for this process alone; what is put in holds if all of it does.

    Makes the tables where there are none.  Raises ``store_not_empty``, ``store_unreachable``.
    """
    if url.get_backend_name() == "sqlite":
        os.close(os.open(url.database or "", os.O_RDWR | os.O_CREAT, 0o600))
    with _engine(url) as engine, engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        metadata.create_all(connection)
        if engine.dialect.name == "postgresql":
            # A worker that is there already takes nothing from a store that is only half there.
            named = ", ".join(connection.dialect.identifier_preparer.format_table(table) for table in tables())
            connection.exec_driver_sql(f"LOCK TABLE {named} IN ACCESS EXCLUSIVE MODE")
        for table in tables():
            if connection.execute(select(exists(select(table)))).scalar():
                raise HubError("store_not_empty", place=table.name)
        yield _bulk(connection)
        connection.commit()
    if url.get_backend_name() == "sqlite":
        _checkpointed(url)


def put_aside(url: URL) -> str:
    """Give the file of a store that lives elsewhere now another name, under which no hub finds it; answers the name.

    Raises ``store_busy`` where somebody still has it open.
    """
    path = url.database or ""
    with closing(sqlite3.connect(path, timeout=1)) as connection:
        try:
            # Without its log, the file alone is all of it.
            mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
        except sqlite3.OperationalError:
            mode = None
    if mode != "delete":
        raise HubError("store_busy", file=os.path.basename(path))
    os.rename(path, path + ".moved")
    return os.path.basename(path) + ".moved"


def copied(source: Bulk, target: Bulk, progress: Progress) -> Mapping[str, Digest]:
    """Put all rows of *source* into *target*, and read them again there.  Raises ``copy_differs``."""
    digests = {}
    for table in tables():
        digests[table.name] = Digest()
        target.fill(table, counted(source.rows(table), digests[table.name], table, progress))
    confirm(target, {name: digest.told() for name, digest in digests.items()})
    target.follow()
    return digests


def confirm(target: Bulk, told: Mapping[str, Mapping[str, Any]]) -> None:
    """That *target* holds the rows that were *told* of, and no others.  Raises ``copy_differs``."""
    for table in tables():
        digest = Digest()
        for batch in target.rows(table):
            digest.add(batch)
        if digest.told() != told[table.name]:
            raise HubError("copy_differs", place=table.name)


def counted(batches: Iterable[list[bytes]], digest: Digest, table: Table, progress: Progress) -> Iterator[list[bytes]]:
    """*batches* as they pass, with their digest taken and their number told."""
    for batch in batches:
        digest.add(batch)
        progress(table.name, len(batch))
        yield batch


@contextmanager
def _engine(url: URL) -> Iterator[Engine]:
    # What SQLAlchemy says of a statement that failed holds its values otherwise.
    engine = create_engine(url, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _as_the_hub_opens_it)
    try:
        yield engine
    except OperationalError:
        raise HubError("store_unreachable") from None
    finally:
        engine.dispose()


def _as_the_hub_opens_it(connection: sqlite3.Connection, _record: object) -> None:
    # Transactions are begun by hand, as the hub's own are, and only the hub's writer moves the log into the file.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "wal_autocheckpoint=0"):
        connection.execute(f"PRAGMA {pragma}")


def _checkpointed(url: URL) -> None:
    with closing(sqlite3.connect(url.database or "")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _whole(connection: Connection, url: URL) -> None:
    """Raises ``store_version`` where a table or a column is missing: nobody must take half a store for a whole one."""
    found = inspect(connection)
    there = set(found.get_table_names())
    for table in tables():
        columns = {column["name"] for column in found.get_columns(table.name)} if table.name in there else set()
        for column in table.columns:
            if column.name not in columns:
                name = os.path.basename(url.database or "") if found.dialect.name == "sqlite" else found.dialect.name
                raise HubError("store_version", file=name, place=f"{table.name}.{column.name}")


def _bulk(connection: Connection) -> Bulk:
    return SqliteBulk(connection) if connection.dialect.name == "sqlite" else PostgresBulk(connection)
