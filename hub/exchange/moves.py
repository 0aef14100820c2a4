"""Who waits at a door until a request has moved on.

A caller that prefers to wait is answered with what the partner said, where that comes in time.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from hub import turns
from hub.canonical.case import Case
from hub.journey import Applied
from hub.store.database import Transaction

#: States out of which a partner's answer, and no person, moves a request.
MACHINE = frozenset({"PAID", "SENT_FOR_REFERENCE"})
#: Calls that may wait at once, of all callers and of one: the others are answered at once, so that there is room.
MOST, OF_ONE = 400, 40
LOOK = 1.0  # seconds between looks at a store that others write too: what they tell may get lost, what they write not


@dataclass(frozen=True, slots=True)
class State:
    """Where a request is: its state, and the reference number it has."""

    state: str
    reference_no: str | None


@dataclass(slots=True)
class Waiting:
    """One caller that waits for a request."""

    told: State | None = None
    changed: "Future[None]" = field(default_factory=Future)

    def until(self, seconds: float, look: Callable[[], State], shared: bool) -> State:
        """Where the request is when no partner's answer is due any more, or after *seconds*; *look* reads it."""
        end = time.monotonic() + seconds
        now = self.told or look()
        while now.state in MACHINE and (left := end - time.monotonic()) > 0:
            try:
                turns.result(self.changed, min(left, LOOK) if shared else left)
            except TimeoutError:
                if shared:
                    now = look()
            else:
                # Anew before it is read: what is told from here on ends the next wait.
                self.changed = Future()
                now = self.told or now
        return now


class Moves:
    """Tells those who wait, after the commit, that their request has moved: here, or in another process."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, list[Waiting]] = {}
        self._lock = threading.Lock()
        self._count: Counter[str] = Counter()

    @contextmanager
    def expecting(self, request: UUID, caller: str) -> Iterator[Waiting | None]:
        """*caller* waits for moves of *request* from here on; None where as many wait already as may."""
        with self._lock:
            if self._count.total() >= MOST or self._count[caller] >= OF_ONE:
                one = None
            else:
                one = Waiting()
                self._count[caller] += 1
                self._waiting.setdefault(request, []).append(one)
        try:
            yield one
        finally:
            if one is not None:
                with self._lock:
                    self._count[caller] -= 1
                    if not self._count[caller]:
                        del self._count[caller]
                    self._waiting[request].remove(one)
                    if not self._waiting[request]:
                        del self._waiting[request]

    def moved(self, tx: Transaction, case: Case, requests: Iterable[UUID]) -> None:
        """Note inside a unit that *requests* of *case* have moved; whoever waits hears of it after the commit."""
        for request in requests:
            if request in self._waiting:
                now = State(case.members[request].state, case.pilgrims[request].reference_no)
                tx.after_commit(lambda request=request, now=now: self._tell(request, now))  # type: ignore[misc]

    def note(self, tx: Transaction, applied: Applied) -> None:
        """Note inside a unit what is a partner's answer: other processes hear of it after the commit."""
        for t in applied.transitions:
            if t.machine == "request" and t.was in MACHINE and t.now not in MACHINE:
                tx.answered(t.id)

    def awaited(self, requests: Iterable[UUID]) -> list[UUID]:
        """Those of *requests* for whose answer somebody waits here."""
        with self._lock:
            return [
                request
                for request in requests
                if any(one.told is None or one.told.state in MACHINE for one in self._waiting.get(request, ()))
            ]

    def tell(self, found: Mapping[UUID, tuple[str, str | None]]) -> None:
        """Tell those who wait where their requests were *found*."""
        for request, (state, reference_no) in found.items():
            self._tell(request, State(state, reference_no))

    def _tell(self, request: UUID, now: State) -> None:
        with self._lock:
            for one in self._waiting.get(request, ()):
                one.told = now
                if not one.changed.done():
                    one.changed.set_result(None)
