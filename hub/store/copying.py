"""The whole of a store at one moment, as rows; and rows as the whole of an empty store.

The way of backups, of restoring and of moving to another store.  It goes past units of work: one connection, one
transaction, rows by the thousand (COPY on PostgreSQL), in a form that does not tell which store they came from.
"""

import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import (
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
from hub.store import migrations, partitions
from hub.store.postgres import EVERYTHING, Postgres
from hub.store.rows import HEADER, TRAILER, Digest, SqliteRows
from hub.store.tables import exchange, flow, metadata, payload, worker

BATCH = 1000  # rows that go through the hands at a time

#: Told the name of a table and how many more of its rows have gone through.
Progress = Callable[[str, int], None]


def store_at(text: str) -> Path | str:
    """The store that *text* names.  Raises ``store_address`` for what is none, without repeating it."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise HubError("store_address") from None
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database)
    if not text.startswith(("postgresql://", "postgres://")):
        raise HubError("store_address")
    return text


def tables() -> Sequence[Table]:
    """Every table that is copied: all but those of the processes that are at work."""
    return [table for table in metadata.sorted_tables if table not in (worker, flow)]


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

    def oldest(self) -> date | None:
        """The month of the oldest exchange: its id begins with the time."""
        found = [
            self.connection.scalar(select(one).order_by(one).limit(1))
            for one in (exchange.c.id, payload.c.exchange_id)
        ]  # fmt: skip
        first = min((id_.int >> 80 for id_ in found if id_ is not None), default=None)
        return None if first is None else datetime.fromtimestamp(first / 1000, UTC).date().replace(day=1)

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
        with self._fitting(table), self._unheld(table), self._cursor().copy(into) as copy:
            copy.write(HEADER)
            for batch in batches:
                copy.write(b"".join(batch))
            copy.write(TRAILER)

    @contextmanager
    def _unheld(self, table: Table) -> Iterator[None]:
        """PostgreSQL copies nothing into a table that holds whoever copies to its policies: its owner is let off them
        for this, inside the transaction."""
        name = self._preparer.format_table(table)
        held = "SELECT relforcerowsecurity FROM pg_class WHERE oid = CAST(%(name)s AS regclass)"
        forced = self.connection.exec_driver_sql(held, {"name": name}).scalar_one()
        if forced:
            self.connection.exec_driver_sql(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")
        yield
        if forced:
            self.connection.exec_driver_sql(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")

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
def reading(store: Path | str) -> Iterator[Bulk]:
    """*store* as it is at this moment, beside whoever is at work on it.

    Raises ``store_missing``, ``store_version`` where another version made it, ``store_unreachable``.
    """
    if isinstance(store, Path) and not store.is_file():
        raise HubError("store_missing", file=store.name)
    with _engine(store) as engine:
        options = {} if isinstance(store, Path) else _SNAPSHOT
        with engine.connect().execution_options(**options) as connection:
            if isinstance(store, Path):
                connection.exec_driver_sql("PRAGMA query_only=ON")
                connection.exec_driver_sql("BEGIN")
            else:
                # It takes as long as it takes, and then waits for the disk that it is written to.
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            _fits(store, connection)
            yield _bulk(connection)


_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


@contextmanager
def filling(store: Path | str, oldest: date | None = None) -> Iterator[Bulk]:
    """*store*, which must be empty, for this process alone; what is put in holds if all of it does.

    Makes the tables where there are none, and on PostgreSQL the months from *oldest* on.  Raises ``store_not_empty``,
    ``store_version``, ``store_unreachable``.
    """
    with _told_unreachable():
        migrations.ready(store)
    with _engine(store) as engine, engine.connect() as connection:
        if isinstance(store, Path):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # A worker that is there already takes nothing from a store that is only half there.
            named = ", ".join(connection.dialect.identifier_preparer.format_table(table) for table in tables())
            connection.exec_driver_sql(f"LOCK TABLE {named} IN ACCESS EXCLUSIVE MODE")
        for table in tables():
            if connection.execute(select(exists(select(table)))).scalar():
                raise HubError("store_not_empty", place=table.name)
        if not isinstance(store, Path) and oldest is not None:
            _months(connection, oldest)
        yield _bulk(connection)
        connection.commit()
    if isinstance(store, Path):
        with closing(sqlite3.connect(store)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _months(connection: Connection, oldest: date) -> None:
    month, today = oldest.replace(day=1), datetime.now(UTC).date()
    while month <= today:
        partitions.ahead(connection.connection.driver_connection, month)
        month = partitions.following(month)


def put_aside(path: Path) -> str:
    """Give the file of a store that lives elsewhere now another name, under which no hub finds it; answers the name.

    Raises ``store_busy`` where somebody still has it open.
    """
    with closing(sqlite3.connect(path, timeout=1)) as connection:
        try:
            # Without its log, the file alone is all of it.
            mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
        except sqlite3.OperationalError:
            mode = None
    if mode != "delete":
        raise HubError("store_busy", file=path.name)
    return path.rename(path.with_name(path.name + ".moved")).name


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
def _engine(store: Path | str) -> Iterator[Engine]:
    # What SQLAlchemy says of a statement that failed holds its values otherwise.
    said = {} if isinstance(store, Path) else {"options": EVERYTHING}
    engine = create_engine(migrations.url_of(store), hide_parameters=True, connect_args=said)
    if isinstance(store, Path):
        event.listen(engine, "connect", _as_the_hub_opens_it)
    try:
        with _told_unreachable():
            yield engine
    finally:
        engine.dispose()


@contextmanager
def _told_unreachable() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # The driver's own words hold the address.
        if isinstance(error, OperationalError) or Postgres.lost(error):
            raise HubError("store_unreachable") from None
        raise


def _as_the_hub_opens_it(connection: sqlite3.Connection, _record: object) -> None:
    # Transactions are begun by hand, as the hub's own are, and only the hub's writer moves the log into the file.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "wal_autocheckpoint=0"):
        connection.execute(f"PRAGMA {pragma}")


def _fits(store: Path | str, connection: Connection) -> None:
    """Raises ``store_version``: nobody must take a store of another version for a whole one."""
    made = inspect(connection).has_table("alembic_version")
    there = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if made else None
    if there != migrations.HEAD:
        name = store.name if isinstance(store, Path) else Postgres.dialect
        raise HubError("store_version", file=name, found=there or "0000", expected=migrations.HEAD)


def _bulk(connection: Connection) -> Bulk:
    return SqliteBulk(connection) if connection.dialect.name == "sqlite" else PostgresBulk(connection)
