"""Calls that take turns in one thread: where one waits for a future, the next goes on.

A thread for each call that waits is woken by itself, and each time takes the interpreter's lock from whoever does the
work it waits for: at a busy door that was a quarter of all CPU.  Here all that a commit answers is woken at once.
"""

import heapq
import itertools
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import structlog
from greenlet import GreenletExit, getcurrent, greenlet

from hub.security.redaction import place

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Turns:
    """The calls of one thread: that which runs :meth:`run`."""

    def __init__(self) -> None:
        self._due: queue.SimpleQueue[Callable[[], Any] | _Wait | None] = queue.SimpleQueue()
        self._ends: list[tuple[float, int, _Wait]] = []
        self._number = itertools.count()

    def put(self, call: Callable[[], Any]) -> None:
        """Have *call* run when its turn comes; from any thread."""
        self._due.put(call)

    def run(self) -> None:
        """Run what is put, until :meth:`close`; calls that still wait then are given up."""
        while (due := self._next()) is not None:
            if not isinstance(due, _Wait):
                _Turn(self, due).switch()
            elif not due.over:
                due.over = True
                due.turn.switch()

    def close(self) -> None:
        """End :meth:`run` after what has been put so far; from any thread."""
        self._due.put(None)

    def _next(self) -> "Callable[[], Any] | _Wait | None":
        while True:
            while self._ends and self._ends[0][2].over:
                heapq.heappop(self._ends)
            left = self._ends[0][0] - time.monotonic() if self._ends else None
            if left is not None and left <= 0:
                return heapq.heappop(self._ends)[2]
            try:
                return self._due.get(timeout=left)
            except queue.Empty:
                continue

    def _wait(self, turn: "_Turn", future: "Future[Any]", seconds: float | None) -> None:
        wait = _Wait(turn)
        if seconds is not None:
            heapq.heappush(self._ends, (time.monotonic() + seconds, next(self._number), wait))
        future.add_done_callback(lambda done: self._due.put(wait))
        turn.parent.switch()


class _Turn(greenlet):  # type: ignore[misc]
    """One call, with a stack of its own that is put aside while it waits."""

    def __init__(self, turns: Turns, call: Callable[[], Any]) -> None:
        super().__init__(self._called)
        self.turns, self._call = turns, call

    def _called(self) -> None:
        try:
            self._call()
        except GreenletExit:
            raise
        except BaseException as error:
            # Whatever it is, it is its own caller's: all others wait in the same thread.
            log.error("turn_failed", kind=type(error).__name__, place=place(error.__traceback__))


class _Wait:
    """A call that waits, until its future or its time is the first to end that: ``over`` then."""

    __slots__ = ("over", "turn")

    def __init__(self, turn: _Turn) -> None:
        self.turn, self.over = turn, False


def taking() -> bool:
    """Whether this call takes turns with others: what blocks it blocks them all."""
    return isinstance(getcurrent(), _Turn)


def result(future: "Future[T]", seconds: float | None = None) -> T:
    """What *future* brings; among calls that take turns, the others go on meanwhile.

    Hold no lock, and no connection of the store, across it.  Raises TimeoutError after *seconds*, and what the future
    holds.
    """
    turn = getcurrent()
    if not isinstance(turn, _Turn) or future.done():
        return future.result(seconds)
    turn.turns._wait(turn, future, seconds)
    return future.result(0)
