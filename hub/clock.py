"""The three clocks: business time, wall time and the monotonic clock for durations.

Business time drives journeys, calendars and batch windows.  Where somebody owns it (the demo's driver), it lives in a
small file that everybody else follows; without a file business time is wall time.
"""

import json
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path


class ClockError(Exception):
    """The business clock cannot be read, or was asked to go backwards.  ``code`` is of the error catalogue."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.where: dict[str, object] = {}


def _wall() -> datetime:
    return datetime.now(UTC)


class Clock:
    """Follows the business clock in file *path*; with no path, or while there is no file, business is wall time."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._base: tuple[datetime, datetime] | None = None
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Business time, UTC.  It never goes backwards within a process."""
        with self._lock:
            self._follow()
            wall = _wall()
            now = wall if self._base is None else self._base[0] + (wall - self._base[1])
            self._last = max(self._last, now)
            return self._last

    def wall(self) -> datetime:
        """Wall time, UTC: signatures, tokens, retries, leases, ``recorded_at``."""
        return _wall()

    def mono(self) -> float:
        """Seconds of the monotonic clock: durations only."""
        return time.monotonic()

    def _follow(self) -> None:
        if self.path is None:
            return
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return
        seen = (found.st_mtime_ns, found.st_ino)
        if seen != self._seen:
            self._base = _read(self.path)
            self._seen = seen


class BusinessClock(Clock):
    """The business clock as its one owner holds it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = path

    def set(self, moment: datetime) -> None:
        """Jump to *moment* (aware).  Durable when it returns; raises :class:`ClockError` rather than go backwards."""
        if moment < self.now():
            raise ClockError("clock_backwards")
        part = self._file.with_name(self._file.name + ".part")
        with part.open("w", encoding="ascii") as file:
            json.dump({"business": moment.astimezone(UTC).isoformat(), "wall": _wall().isoformat()}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._file)
        folder = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: Path) -> tuple[datetime, datetime]:
    try:
        kept = json.loads(path.read_text("ascii"))
        business, wall = datetime.fromisoformat(kept["business"]), datetime.fromisoformat(kept["wall"])
        if business.tzinfo is None or wall.tzinfo is None:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise ClockError("clock_unreadable") from None
    return business, wall
