"""The partners' own books: what they received, decided, said and still have to do.

One SQLite file, one connection, one lock.  Whatever the simulators show to the hub was committed here before.
``synchronous=NORMAL`` in WAL mode outlives a killed process; a partner's books need not outlive the machine.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE IF NOT EXISTS received (
    id INTEGER PRIMARY KEY, partner TEXT NOT NULL, operation TEXT NOT NULL, at TEXT NOT NULL, name TEXT,
    lead TEXT,                  -- the first of our keys in it: what a planned fault is counted by
    raw BLOB NOT NULL,
    fault TEXT,                 -- how the answer was spoilt
    away INTEGER NOT NULL DEFAULT 0);   -- turned away before anything was done
CREATE INDEX IF NOT EXISTS received_lead ON received (partner, operation, lead);
CREATE TABLE IF NOT EXISTS effect (
    id INTEGER PRIMARY KEY, partner TEXT NOT NULL, operation TEXT NOT NULL, effect_key TEXT NOT NULL,
    our_key TEXT NOT NULL, decision TEXT NOT NULL, at TEXT NOT NULL, received INTEGER NOT NULL REFERENCES received,
    duplicate_of INTEGER REFERENCES effect, repeats INTEGER NOT NULL DEFAULT 0,
    UNIQUE (partner, operation, our_key));
CREATE INDEX IF NOT EXISTS effect_of ON effect (partner, operation, effect_key);
CREATE TABLE IF NOT EXISTS noted (
    kind TEXT NOT NULL, key TEXT NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS agenda (
    id INTEGER PRIMARY KEY, partner TEXT NOT NULL, task TEXT NOT NULL, subject TEXT NOT NULL,
    at TEXT NOT NULL,           -- business time
    slot TEXT NOT NULL,         -- items of one slot are done together: the moment itself, or '' for at once
    ready REAL NOT NULL,        -- wall seconds; not before
    facts TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0, UNIQUE (partner, task, subject));
CREATE INDEX IF NOT EXISTS agenda_due ON agenda (at, id) WHERE done = 0;
CREATE TABLE IF NOT EXISTS sent (
    id INTEGER PRIMARY KEY, partner TEXT NOT NULL, operation TEXT NOT NULL, kind TEXT NOT NULL, number TEXT NOT NULL,
    raw BLOB NOT NULL, at TEXT NOT NULL, ready REAL NOT NULL,
    after INTEGER REFERENCES sent,      -- waits until that one is acknowledged
    shows TEXT NOT NULL,        -- how it is told, one after the other: "right", or how it is spoilt
    shown INTEGER NOT NULL DEFAULT 0,   -- how many of these the hub has been shown (files) or has answered (calls)
    facts TEXT NOT NULL, planned TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, status INTEGER, answer BLOB, acknowledged_at TEXT,
    rejected INTEGER NOT NULL DEFAULT 0,
    UNIQUE (partner, operation, number));
CREATE INDEX IF NOT EXISTS sent_open ON sent (kind, id) WHERE acknowledged_at IS NULL AND rejected = 0;
CREATE TABLE IF NOT EXISTS counter (
    partner TEXT NOT NULL, operation TEXT NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (partner, operation)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Effect:
    """A decision as it stands in the books."""

    id: int
    decision: dict[str, Any]
    fresh: bool


@dataclass(frozen=True, slots=True)
class Item:
    """Something on the agenda, at business time *at*."""

    id: int
    partner: str
    task: str
    subject: str
    at: datetime
    slot: str
    facts: dict[str, Any]


@dataclass(slots=True)
class Sent:
    """Something said to the hub that is not acknowledged."""

    id: int
    partner: str
    operation: str
    kind: str
    number: str
    raw: bytes
    ready: float
    after: int | None
    shows: list[str]
    shown: int
    facts: dict[str, Any]
    tries: int


class Books:
    """The tables within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.db = connection

    # ---- received

    def receive(
        self, partner: str, operation: str, at: datetime, raw: bytes, lead: str | None, name: str | None
    ) -> int:
        row = self.db.execute(
            "INSERT INTO received (partner, operation, at, name, lead, raw) VALUES (?, ?, ?, ?, ?, ?)",
            (partner, operation, at.isoformat(), name, lead, raw),
        )
        assert row.lastrowid is not None
        return row.lastrowid

    def attempts(self, partner: str, operation: str, lead: str | None) -> tuple[int, int]:
        """How often this was received, and how often it was answered badly."""
        found: tuple[int, int] = self.db.execute(
            "SELECT count(*), count(fault) FROM received WHERE partner = ? AND operation = ? AND lead IS ?",
            (partner, operation, lead),
        ).fetchone()
        return found

    def spoil(self, received: int, fault: str, away: bool) -> None:
        self.db.execute("UPDATE received SET fault = ?, away = ? WHERE id = ?", (fault, away, received))

    # ---- decisions

    def known(self, partner: str, operation: str, our_key: str) -> Effect | None:
        row = self.db.execute(
            "SELECT id, decision FROM effect WHERE partner = ? AND operation = ? AND our_key = ?",
            (partner, operation, our_key),
        ).fetchone()
        return None if row is None else Effect(row[0], json.loads(row[1]), False)

    def repeat(self, effect: Effect) -> None:
        self.db.execute("UPDATE effect SET repeats = repeats + 1 WHERE id = ?", (effect.id,))

    def earlier(self, partner: str, operation: str, effect_key: str) -> list[int]:
        """The decisions taken before on the same effect key, under other keys of ours."""
        rows = self.db.execute(
            "SELECT id FROM effect WHERE partner = ? AND operation = ? AND effect_key = ? ORDER BY id",
            (partner, operation, effect_key),
        )
        return [row[0] for row in rows]

    def decide(
        self,
        partner: str,
        operation: str,
        effect_key: str,
        our_key: str,
        decision: Mapping[str, Any],
        at: datetime,
        received: int,
        duplicate_of: int | None,
    ) -> None:
        self.db.execute(
            "INSERT INTO effect (partner, operation, effect_key, our_key, decision, at, received, duplicate_of)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (partner, operation, effect_key, our_key, json.dumps(decision), at.isoformat(), received, duplicate_of),
        )

    # ---- what everybody can see

    def note(self, kind: str, key: str, facts: Mapping[str, Any]) -> None:
        self.db.execute("INSERT OR REPLACE INTO noted VALUES (?, ?, ?)", (kind, key, json.dumps(facts)))

    def noted(self, kind: str, key: str) -> dict[str, Any] | None:
        row = self.db.execute("SELECT facts FROM noted WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return None if row is None else json.loads(row[0])

    # ---- agenda

    def plan(
        self, partner: str, task: str, subject: str, at: datetime, slot: str, ready: float, facts: Mapping[str, Any]
    ) -> None:
        """Put on the agenda, unless it is there already."""
        self.db.execute(
            "INSERT OR IGNORE INTO agenda (partner, task, subject, at, slot, ready, facts)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (partner, task, subject, at.isoformat(), slot, ready, json.dumps(facts)),
        )

    def due(self, now: datetime) -> list[tuple[str, str, str, float]]:
        """What has come due, in order: partner, task, slot, and the wall second from which it is ready."""
        rows = self.db.execute(
            "SELECT partner, task, slot, min(ready) FROM agenda WHERE done = 0 AND at <= ?"
            " GROUP BY partner, task, slot ORDER BY min(at), min(id)",
            (now.isoformat(),),
        )
        return rows.fetchall()

    def items(self, partner: str, task: str, slot: str, now: datetime) -> list[Item]:
        rows = self.db.execute(
            "SELECT id, partner, task, subject, at, slot, facts FROM agenda"
            " WHERE done = 0 AND partner = ? AND task = ? AND slot = ? AND at <= ? ORDER BY id",
            (partner, task, slot, now.isoformat()),
        )
        return [
            Item(id_, of, what, subject, datetime.fromisoformat(at), slot_, json.loads(facts))
            for id_, of, what, subject, at, slot_, facts in rows
        ]

    def finish(self, items: list[Item]) -> None:
        self.db.executemany("UPDATE agenda SET done = 1 WHERE id = ?", [(item.id,) for item in items])

    def agenda_left(self, now: datetime) -> tuple[int, datetime | None]:
        """How much is due, and when the next thing is."""
        moment = (now.isoformat(),)
        due = self.db.execute("SELECT count(*) FROM agenda WHERE done = 0 AND at <= ?", moment).fetchone()[0]
        following = self.db.execute("SELECT min(at) FROM agenda WHERE done = 0 AND at > ?", moment).fetchone()[0]
        return due, None if following is None else datetime.fromisoformat(following)

    # ---- said

    def count(self, partner: str, operation: str) -> int:
        """The next number of a gapless sequence."""
        row = self.db.execute(
            "INSERT INTO counter VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last",
            (partner, operation),
        ).fetchone()
        return int(row[0])

    def say(
        self,
        partner: str,
        operation: str,
        kind: str,
        number: str,
        raw: bytes,
        at: datetime,
        ready: float,
        after: int | None,
        shows: list[str],
        facts: Mapping[str, Any],
        planned: list[tuple[str, str]],
    ) -> None:
        """Kept to be said.  What has a number that was used is already kept."""
        self.db.execute(
            "INSERT OR IGNORE INTO sent"
            " (partner, operation, kind, number, raw, at, ready, after, shows, facts, planned)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                partner, operation, kind, number, raw, at.isoformat(), ready, after,
                json.dumps(shows), json.dumps(facts), json.dumps(planned),
            ),
        )  # fmt: skip

    def said(self, partner: str, operation: str, number: str) -> int | None:
        row = self.db.execute(
            "SELECT id FROM sent WHERE partner = ? AND operation = ? AND number = ?", (partner, operation, number)
        ).fetchone()
        return None if row is None else int(row[0])

    def open(self, kind: str, above: int = 0) -> list[Sent]:
        """What is not acknowledged, oldest first."""
        rows = self.db.execute(
            "SELECT id, partner, operation, kind, number, raw, ready, after, shows, shown, facts, tries FROM sent"
            " WHERE kind = ? AND acknowledged_at IS NULL AND rejected = 0 AND id > ? ORDER BY id",
            (kind, above),
        )
        return [
            Sent(
                id_,
                partner,
                operation,
                kind_,
                number,
                raw,
                ready,
                after,
                json.loads(shows),
                shown,
                json.loads(facts),
                tries,
            )
            for id_, partner, operation, kind_, number, raw, ready, after, shows, shown, facts, tries in rows
        ]

    def open_count(self, kind: str) -> int:
        row = self.db.execute(
            "SELECT count(*) FROM sent WHERE kind = ? AND acknowledged_at IS NULL AND rejected = 0", (kind,)
        ).fetchone()
        return int(row[0])

    def acknowledged(self, sent: int) -> bool:
        """Whether *sent* needs nothing more; what the hub turned down for good does not either."""
        row = self.db.execute(
            "SELECT 1 FROM sent WHERE id = ? AND (acknowledged_at IS NOT NULL OR rejected = 1)", (sent,)
        ).fetchone()
        return row is not None

    def shown(self, sent: int, shown: int) -> None:
        self.db.execute("UPDATE sent SET shown = ? WHERE id = ?", (shown, sent))

    def acknowledge(self, sent: int, at: datetime, status: int | None, answer: bytes | None) -> None:
        self.db.execute(
            "UPDATE sent SET acknowledged_at = ?, status = ?, answer = ?, shown = json_array_length(shows)"
            " WHERE id = ?",
            (at.isoformat(), status, answer, sent),
        )

    def tried(self, sent: int, status: int | None, rejected: bool) -> None:
        self.db.execute(
            "UPDATE sent SET tries = tries + 1, status = ?, rejected = ? WHERE id = ?", (status, rejected, sent)
        )


class Ledger:
    """The file that the books are kept in."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(_TABLES)
        self._books = Books(self._db)

    @contextmanager
    def write(self) -> Iterator[Books]:
        """The books within one transaction: all of it is kept, or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._books
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[Books]:
        with self._lock:
            yield self._books

    def close(self) -> None:
        with self._lock:
            self._db.close()
