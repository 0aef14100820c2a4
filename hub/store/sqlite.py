"""SQLite, the embedded default: one file, one process that writes it."""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from hub.canonical.errors import HubError
from hub.store.transaction import NOTHING, Cursor, News, Row, Values

sqlite3.register_adapter(UUID, lambda value: value.hex)


class SqliteConnection:
    """One connection to the file."""

    dialect = "sqlite"

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, sql: str, values: Values = NOTHING) -> Cursor:
        return self._raw.execute(sql, values)

    def read(self, asked: Sequence[tuple[str, Values]]) -> list[list[Row]]:
        return [self._raw.execute(sql, values).fetchall() for sql, values in asked]

    def write(self, batches: Sequence[tuple[str, Sequence[Values]]]) -> list[int]:
        return [
            (self._raw.execute(sql, rows[0]) if len(rows) == 1 else self._raw.executemany(sql, rows)).rowcount
            for sql, rows in batches
        ]

    def tell(self, news: News) -> None:
        """Nobody else listens: one process has the file."""

    def hold(self, number: int) -> None:
        """Who has ``hub.lock`` has everything."""

    def gone(self, number: int) -> bool:
        return True

    def take(self, name: str) -> bool:
        return True

    def give_back(self, name: str) -> None:
        """Nobody else could have had it."""

    def roll_back(self) -> None:
        if self._raw.in_transaction:  # a full disk has taken it back already
            self._raw.execute("ROLLBACK")

    def close(self) -> None:
        self._raw.close()


class Sqlite:
    """How a hub's file is opened.  Raises ``store_durability`` where its settings do not keep what they promise."""

    dialect = "sqlite"
    shared = False
    begin_writing, begin_reading = "BEGIN IMMEDIATE", "BEGIN"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name

    def exists(self) -> bool:
        return self._path.exists()

    def prepare(self) -> None:
        """Make the file, for us alone, where there is none."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._path.exists():
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        os.chmod(self._path, 0o600)

    def connect(self, *, writing: bool) -> SqliteConnection:
        raw = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False,
                              cached_statements=512)  # fmt: skip
        _prepared(raw)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=10000",
            "temp_store=MEMORY",
            # What one burst has made the log grow to is given back at the next checkpoint.
            "journal_size_limit=67108864",
        ):
            raw.execute(f"PRAGMA {pragma}")
        if raw.execute("PRAGMA synchronous").fetchone()[0] != 2:
            raise HubError("store_durability")
        if not writing:
            raw.execute("PRAGMA query_only=ON")
            raw.execute("PRAGMA wal_autocheckpoint=0")
        return SqliteConnection(raw)

    def look(self) -> SqliteConnection:
        """A connection that makes and mends nothing."""
        raw = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10, isolation_level=None)
        _prepared(raw)
        return SqliteConnection(raw)

    @staticmethod
    def full(error: BaseException) -> bool:
        return isinstance(error, sqlite3.OperationalError) and "full" in str(error)

    @staticmethod
    def lost(error: BaseException) -> bool:
        """The file does not go away under us."""
        return False

    @staticmethod
    def again(error: BaseException) -> bool:
        """Nobody else writes, so that nothing gets better by itself."""
        return False

    @staticmethod
    def at_fault(error: BaseException) -> bool:
        return isinstance(error, sqlite3.OperationalError)


def _prepared(raw: sqlite3.Connection) -> None:
    raw.row_factory = sqlite3.Row
    # A list is handed over as JSON, which has no bytes; SQLite's own unhex is younger than the releases we run on.
    raw.create_function("bytes_of", 1, bytes.fromhex, deterministic=True)
