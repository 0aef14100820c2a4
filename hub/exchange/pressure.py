"""Back-pressure: the door closes before the disk or the backlog is full, says so, and opens again by itself.

What stops is what would bring new work; what is under way goes on to its end, for that is what makes room:

==============================  ==================  ===================  ============================  ==========
what presses                    groups, over API    files of pilgrims    decisions, payments, partners  delivery
==============================  ==================  ===================  ============================  ==========
more open than ``backlog``      429                 left where they are  taken                         goes on
writes wait for their turn      429                 left                 taken                         goes on
less disk than ``intake_free``  503                 left, as all files   taken                         goes on
less than ``reserve_free``      503                 left, as all files   503                           goes on
the store does not answer       503                 left, as all files   503                           waits
==============================  ==================  ===================  ============================  ==========

Every refusal carries Retry-After.  Whoever asks makes the next look, at most every :data:`EVERY` seconds, so there is
no thread to die; an answer from the last look costs no more than reading a number.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import bindparam, func, select

from hub.canonical.errors import HubError
from hub.settings import Settings
from hub.store.database import Database, Statement, Transaction
from hub.store.tables import exchange_subject

log = structlog.get_logger(__name__)

EVERY = 0.2  # seconds between looks
COUNT = 1.0  # seconds between counts of what is open
SLOW = 0.75  # seconds that a write may wait for its turn before nothing new is taken
PROBE = 0.4  # seconds that a write may wait before reads are tried too
AWAY = 0.15  # seconds that a read may then take before the store counts as away: all in all less than a second
MOMENT = 0.05  # seconds that a look may wait for a count
STALE = 5.0  # seconds after which a pulse says nothing any more
ROOM = 2  # percent of a disk that must be free beyond the limit before intake goes on
WORKED_OFF = 0.9  # part of the backlog's limit to which it must fall before intake goes on

#: What somebody wants to bring: something new, a file that a partner left, or a fact about what is known.
Kind = Literal["new", "file", "fact"]
#: What presses -> the code a caller is told, the seconds after which to come again, and what is not taken.
REASONS: Mapping[str, tuple[str, int, frozenset[Kind]]] = {
    "store": ("store_away", 2, frozenset({"new", "file", "fact"})),
    "reserve": ("intake_reserve", 60, frozenset({"new", "file", "fact"})),
    "disk": ("intake_disk", 30, frozenset({"new", "file"})),
    "backlog": ("intake_backlog", 30, frozenset({"new"})),
    "writer": ("intake_busy", 2, frozenset({"new"})),
}

_first_open = (
    select(exchange_subject.c.partner, exchange_subject.c.operation)
    .where(exchange_subject.c.state == "open")
    .limit(bindparam("most"))
    .subquery()
)
_open = Statement(select(func.count()).select_from(_first_open))


class Closed(HubError):
    """Not taken now.  ``retry_after`` is in how many seconds the caller should come again."""

    def __init__(self, code: str, retry_after: int) -> None:
        super().__init__(code)
        self.retry_after = retry_after


class Pressure:
    """Says what may be taken.  ``statvfs`` tells of a folder's file system as :func:`os.statvfs` does."""

    def __init__(
        self, settings: Settings, database: Database, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
    ) -> None:
        self._settings, self._database, self._statvfs = settings, database, statvfs
        self._looking = threading.Lock()
        self._looked = self._counted = float("-inf")
        self._pulse: tuple[float, Future[Any]] | None = None
        self._count: tuple[float, Future[int]] | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="hub-probe")
        self._waited = 0.0
        self._pressing: frozenset[str] = frozenset()
        self.refused: Counter[str] = Counter()
        self.open = 0
        self.free: dict[str, float] = {}

    def admit(self, kind: Kind) -> None:
        """Raises :class:`Closed` where *kind* is not taken now."""
        reason = self.against(kind)
        if reason is not None:
            raise self.closed(reason)

    def closed(self, reason: str) -> Closed:
        """The refusal for *reason*, counted."""
        self.refused[reason] += 1
        code, retry_after, _ = REASONS[reason]
        return Closed(code, retry_after)

    def against(self, kind: Kind) -> str | None:
        """What stands against taking *kind* now; None where nothing does."""
        self._look()
        return next((name for name in REASONS if name in self._pressing and kind in REASONS[name][2]), None)

    @property
    def away(self) -> bool:
        """Whether the store answers neither writes nor reads: who waits for it need not wait longer."""
        self._look()
        return "store" in self._pressing

    def standing(self) -> dict[str, Any]:
        """What presses and how near the rest is, for pages and metrics."""
        self._look()
        pressing = self._pressing
        return {
            "open": not any("new" in REASONS[name][2] for name in pressing),
            "reasons": [
                {"reason": name, "code": REASONS[name][0], "retry_after": REASONS[name][1]}
                for name in REASONS
                if name in pressing
            ],
            "backlog": self.open,
            "backlog_limit": self._settings.backlog,
            "disk_free": {place: round(free, 4) for place, free in self.free.items()},
            "writer_wait_s": round(self._waited, 3),
            "refused": dict(self.refused),
        }

    def close(self) -> None:
        self._reader.shutdown(wait=False, cancel_futures=True)

    # -- looking -----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        if time.monotonic() - self._looked < EVERY or not self._looking.acquire(blocking=False):
            return
        try:
            before = self._pressing
            found = self._disks() | self._backlog() | self._store()
            self._pressing, self._looked = frozenset(found), time.monotonic()
        finally:
            self._looking.release()
        for name in sorted(found - before):
            log.warning("intake_stopped", reason=name, code=REASONS[name][0])
        for name in sorted(before - found):
            log.info("intake_resumed", reason=name)

    def _disks(self) -> set[str]:
        found: set[str] = set()
        for folder in (self._settings.var, *self._settings.disks):
            try:
                disk = self._statvfs(folder)
            except OSError:
                found.add("reserve")  # what is not there can keep nothing
                self.free[folder.name] = 0.0
                continue
            free = disk.f_bavail / disk.f_blocks if disk.f_blocks else 1.0
            self.free[folder.name] = free
            for name, limit in (("disk", self._settings.intake_free), ("reserve", self._settings.reserve_free)):
                # The reserve is small: what is needed beyond it must not reach up into what intake leaves free.
                beyond = min(ROOM, limit) if name in self._pressing else 0
                if free * 100 < limit + beyond:
                    found.add(name)
        return found

    def _backlog(self) -> set[str]:
        """Count what is open, in a thread of its own: a server that is gone answers nobody, and a door cannot wait."""
        now = time.monotonic()
        if self._count is None and now - self._counted >= COUNT:
            self._count = (now, self._reader.submit(self._count_open))
        if self._count is not None:
            with suppress(Exception):  # the store's trouble, whatever it is, shows in its pulse
                self.open = self._count[1].result(MOMENT)
            if self._count[1].done():
                self._count, self._counted = None, now
        limit = self._settings.backlog
        return {"backlog"} if self.open >= (limit * WORKED_OFF if "backlog" in self._pressing else limit) else set()

    def _count_open(self) -> int:
        with self._database.reading() as tx:
            row = tx.one(_open, most=self._settings.backlog)
        return 0 if row is None else int(row[0])

    def _store(self) -> set[str]:
        """Take the store's pulse: a write of nothing that goes the way of all writes, and is never waited for.  Where
        nothing is written and the store was there, there is nothing to find out."""
        now, before = time.monotonic(), self._pressing & {"store"}
        if self._pulse is None:
            self._waited = 0.0
            if self._database.idle and not before:
                return set()
            self._pulse = (now, self._database.submit(_beat))
            return set(before)
        sent, beat = self._pulse
        if beat.done():
            self._pulse = None
            if beat.cancelled() or beat.exception() is not None:
                return {"store"}
            # What was found out long ago says nothing of now.
            self._waited = max(beat.result() - sent, 0.0) if now - sent < STALE else 0.0
            return {"writer"} if self._waited >= SLOW else set()
        self._waited = now - sent
        if self._waited < PROBE:
            return set(before)
        slow = {"writer"} if self._waited >= SLOW else set()
        return slow | ({"store"} if self._reads_fail(now) else set())

    def _reads_fail(self, now: float) -> bool:
        """Whether reads get no answer either, as writes do not."""
        if self._count is None:
            self._count = (now, self._reader.submit(self._count_open))
        asked, count = self._count
        with suppress(Exception):
            count.result(MOMENT)
        if count.done():
            self._count, self._counted = None, now
            return count.exception() is not None
        return now - asked > AWAY or "store" in self._pressing


def _beat(tx: Transaction) -> float:
    return time.monotonic()
