"""The dispatcher: partners are drained side by side, each within its own slots, rate and mood.

It works in rounds.  A round is one unit of work: it settles all that has come back since the last one, and claims for
every partner that has work and free slots; what it claimed then goes to the senders.  However many results come
together share its reads, its writes and its commit.

A partner that fails is left alone for a while and then asked with a single exchange (the canary); its work waits in the
ledger and takes no slot from anybody.  Nothing here is the truth: all of it may be lost at any moment.
"""

import heapq
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from hub.channels import (
    Answered,
    Channel,
    ConfigError,
    Failure,
    OutcomeUnknown,
    Outgoing,
    open_channel,
)
from hub.exchange.delivery import Delivery, Done, Reply
from hub.exchange.mood import Mood, failed, mood_of
from hub.exchange.outbox import Claimed, Outbox, Work
from hub.partners import Operation, Register
from hub.partners.partner import Partner
from hub.settings import ConfigError as SettingMissing
from hub.store import workers
from hub.store.database import Database, Transaction, store_at_fault
from hub.store.ledger import Ledger, Moment
from hub.store.workers import Claim

log = structlog.get_logger(__name__)

SENDERS = 512  # threads of the send pool at most: as many as all partners together may hold, so that none waits
ROUND, SHORT = 200, 25  # results settled, and exchanges claimed, in one round; and while others want the writer too
STORE_WAIT = 0.5  # seconds between attempts to write a round while the store cannot take it
GATHER = 5.0  # seconds at most between looks at whoever is only sent batches that wait for company
GRACE = 15.0  # seconds beyond a call's own time limit after which a claim is not believed to be at work
_SECOND = 1_000_000


@dataclass(slots=True)
class _Slots:
    """How a partner is being served by this process now."""

    partner: Partner
    busy: int = 0
    wanted: bool = False
    timer: float = math.inf


@dataclass(frozen=True, slots=True)
class _Round:
    """What one round came to: claims, when to look again (monotonic seconds) at each of the other partners, and the
    pace of those that are counted by this process alone."""

    works: Sequence[Work]
    again: Mapping[str, float | None]
    paced: Mapping[str, int]


class Dispatcher:
    """Drains partners side by side.  ``wake`` says that one has work; ``now`` gives the clocks for rows; ``serves``
    says which partners this process may send to."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        register: Register,
        outbox: Outbox,
        delivery: Delivery,
        now: Callable[[], Moment],
        serves: Callable[[str], bool],
    ) -> None:
        self._database, self._ledger, self._register = database, ledger, register
        self._outbox, self._delivery = outbox, delivery
        self._now, self._serves = now, serves
        self._worker = 0
        self._slots: dict[str, _Slots] = {}
        self._known: set[str] = set()
        self._paced: dict[str, int] = {}
        self._channels: dict[str, Channel] = {}
        self._timers: list[tuple[float, str]] = []
        self._results: list[Done] = []
        self._hands: set[UUID] = set()
        self._changed = threading.Condition()
        self._running = self._in_round = False
        self._stopping = threading.Event()
        self._turn, self._most, self._submitted = 0, ROUND, 0
        # A thread is made when all others are busy; slow partners fill their own slots and nobody else's.
        senders = min(SENDERS, sum(p.limits.concurrency for p in register.partners.values()) or 1)
        self._pool = ThreadPoolExecutor(senders, thread_name_prefix="hub-send")
        self._thread = threading.Thread(target=self._loop, name="hub-dispatch", daemon=True)

    def start(self, worker: int) -> None:
        """Serve every partner that has work, claiming as *worker*, until :meth:`stop`."""
        self._worker = worker
        self._running = True
        self._thread.start()
        self.look()

    def stop(self) -> None:
        """Send nothing more, and write what comes of what was sent."""
        with self._changed:
            self._running = False
            self._changed.notify()
            while self._in_round:
                self._changed.wait()
        self._pool.shutdown()
        with self._changed:
            self._stopping.set()
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()
        for channel in self._channels.values():
            channel.close()

    @property
    def idle(self) -> bool:
        with self._changed:
            return not (self._in_round or self._results or any(s.busy or s.wanted for s in self._slots.values()))

    def wake(self, partner: str) -> None:
        """*partner* has work."""
        with self._changed:
            if self._running and partner in self._register.partners:
                slots = self._slots_of(partner)
                if slots.timer < math.inf and (gathers := _gathers(slots.partner)):
                    self._later(slots, time.monotonic() + gathers)
                else:
                    slots.wanted = True
                    self._changed.notify()

    def look(self) -> None:
        """Wake every partner of ours that has work in the ledger, whoever put it there."""
        for partner in self._database.unit(self._ledger.partners_waiting):
            if self._serves(partner):
                self.wake(partner)

    def holds(self, exchange: UUID) -> bool:
        """Whether this process is at *exchange* now."""
        return exchange in self._hands

    # -- rounds ------------------------------------------------------------------------------------------------------

    def _slots_of(self, partner: str) -> _Slots:
        slots = self._slots.get(partner)
        known = self._register.partners[partner]
        if slots is None:
            slots = self._slots[partner] = _Slots(known)
        slots.partner = known  # it may have been switched, and another stands in its place
        return slots

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not (found := self._next()):
                    if not self._running and self._stopping.is_set():
                        return
                    self._changed.wait(self._timers[0][0] - time.monotonic() if self._timers else None)
                done, wanted = found
                self._in_round = True
            try:
                self._round(done, wanted)
            except Exception as error:
                log.error("round_failed", exc_info=error)
                self._stopping.wait(STORE_WAIT)
            finally:
                with self._changed:
                    self._in_round = False
                    self._changed.notify_all()

    def _next(self) -> tuple[list[Done], list[_Slots]] | None:
        """Results to settle and partners to claim for; None where there are neither.  The lock is held."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            at, partner = heapq.heappop(self._timers)
            slots = self._slots_of(partner)
            if at == slots.timer:  # else a sooner look took its place
                slots.timer, slots.wanted = math.inf, True
        self._most = SHORT if self._database.submitted > self._submitted else ROUND
        done, self._results = _by_turns(self._results, self._most)
        for one in done:
            self._slots[one.work.partner.id].busy -= 1
        wanted = []
        if self._running:
            ready = [s for s in self._slots.values() if s.wanted and s.busy < s.partner.limits.concurrency]
            # Each in turn: whoever has much to send does not push the others to the end of every round.
            self._turn += 1
            turn = self._turn % len(ready) if ready else 0
            wanted = ready[turn:] + ready[:turn]
            for slots in wanted:
                slots.wanted = False
        return (done, wanted) if done or wanted else None

    def _round(self, done: list[Done], wanted: list[_Slots]) -> None:
        asked = {s.partner.id: (s.partner, s.busy) for s in wanted if s.partner.enabled and self._serves(s.partner.id)}
        self._submitted = self._database.submitted + 1
        try:
            found = self._database.unit(lambda tx: self._unit(tx, done, asked))
        except Exception as error:
            broken = not store_at_fault(error)
            if broken and done:
                self._singly(done, error)
                done = []
            self._hold(done, wanted, error)
            return
        self._known.update(asked)
        with self._changed:
            self._hands.difference_update(one.work.exchange for one in done)
            self._paced.update(found.paced)
            for work in found.works:
                self._slots[work.partner.id].busy += 1
                self._hands.add(work.exchange)
            for partner, again in found.again.items():
                if again is not None:
                    self._later(self._slots[partner], again)
        for work in found.works:
            self._pool.submit(self._serve, work)

    def _hold(self, done: list[Done], wanted: list[_Slots], error: Exception) -> None:
        """The round could not be written: it is tried again, a little later."""
        log.error("round_waits", results=len(done), exc_info=error)
        with self._changed:
            self._results[:0] = done
            for one in done:
                self._slots[one.work.partner.id].busy += 1
            for slots in wanted:
                slots.wanted = True
        if self._stopping.wait(STORE_WAIT):
            self._results.clear()  # what was sent stands in the ledger as sending, and the next process asks

    def _singly(self, done: Sequence[Done], error: Exception) -> None:
        """One of them breaks us: settle each by itself, and put the one that does before an engineer."""
        log.error("round_broken", results=len(done), exc_info=error)
        for one in done:
            try:
                self._insist(lambda tx, one=one: self._unit(tx, [one], {}))  # type: ignore[misc]
            except Exception as wrong:
                # Whatever went wrong with it, it must not go round and round, nor stand in "sending" for ever.
                work = one.work
                log.error("settle_failed", partner=work.partner.id, exchange=work.exchange, exc_info=wrong)
                self._insist(lambda tx, work=work: self._delivery.park(tx, work, "internal", self._now()))  # type: ignore[misc]

    def _insist(self, unit: Callable[[Transaction], object]) -> None:
        """Write what became of works as soon as the store can: the partners have done their part, and only we know.

        A process that ends before has ``sending`` in the ledger, and the next one asks.
        """
        while True:
            try:
                self._database.unit(unit)
                return
            except Exception as error:
                if not store_at_fault(error):
                    raise
                log.error("settle_waits", exc_info=error)
            if self._stopping.wait(STORE_WAIT):
                return

    def drain(self, partner: Partner) -> float | None:
        """Claim, send and settle what is due at *partner*, as much as it takes at once, in the calling thread.

        Answers 0 when there may be more, the seconds until there will be, or None when nothing waits.
        """
        with self._changed:
            slots = self._slots_of(partner.id)
            partner = slots.partner
        if not partner.enabled:
            return None
        claimed = self._database.unit(lambda tx: self._unit(tx, [], {partner.id: (partner, slots.busy)}))
        self._paced.update(claimed.paced)
        if not claimed.works:
            again = claimed.again.get(partner.id)
            return None if again is None else max(0.001, again - time.monotonic())
        self._hands.update(work.exchange for work in claimed.works)
        done = (
            [self._sent(claimed.works[0])]
            if len(claimed.works) == 1
            else list(self._pool.map(self._sent, claimed.works))
        )
        try:
            self._insist(lambda tx: self._unit(tx, done, {}))
        except Exception as error:
            self._singly(done, error)
        self._hands.difference_update(work.exchange for work in claimed.works)
        return 0.0

    def _unit(self, tx: Transaction, done: Sequence[Done], wanted: Mapping[str, tuple[Partner, int]]) -> _Round:
        """The one unit of work of delivery: settle *done*, claim for *wanted* (each with what we are at already)."""
        at = self._now()
        if done:
            self._delivery.settle(tx, done, at)
        for partner in wanted:
            if partner not in self._known:
                workers.start_flow(tx, partner)
        went: dict[str, list[bool]] = {}
        for one in done:
            went.setdefault(one.work.partner.id, []).append(failed(one.result))
        now, moods, others = self._standing(tx, {*went, *wanted}, wanted)
        after = {p: mood.after(went.get(p, ()), now) for p, mood in moods.items()}
        for partner in went.keys() - moods.keys():
            workers.count_failures(tx, partner, sum(went[partner]))  # somebody else has it in hand
        again: dict[str, float | None] = {}
        allowed = self._allowed(wanted, after, others, now, again)
        lease = max((p.limits.timeout for p, _ in allowed.values()), default=0.0) + GRACE
        claimed: Mapping[str, Claimed] = {}
        if allowed:
            claimed = self._outbox.claim(tx, allowed, at, Claim(self._worker, now + int(lease * _SECOND)))
        works: list[Work] = []
        for partner, found in claimed.items():
            works += found.works
            after[partner] = after[partner].paced(allowed[partner][0].limits, now, len(found.works))
            if found.again is not None:
                again[partner] = time.monotonic() + max(0.0, (found.again - at.wall) / _SECOND)
        for partner, mood in after.items():
            if mood != moods[partner] and not (self._own_pace(partner) and mood.like(moods[partner])):
                workers.set_flow(tx, partner, mood.failures, mood.rests_until, mood.paced_to)
        return _Round(works, again, {p: mood.paced_to for p, mood in after.items() if self._own_pace(p)})

    def _own_pace(self, partner: str) -> bool:
        """Whether what may be sent to *partner* is counted by each process for itself."""
        return self._register.partners[partner].limits.per_worker

    def _standing(
        self, tx: Transaction, partners: Iterable[str], wanted: Iterable[str]
    ) -> tuple[int, dict[str, Mood], dict[str, int]]:
        """The store's clock; how *partners* are doing; and how many exchanges all processes have of those *wanted*.

        Whose limits are shared is kept from other processes until the commit; one that another process has in hand is
        left out.
        """
        own = [partner for partner in partners if self._own_pace(partner)]
        shared = [partner for partner in partners if not self._own_pace(partner)]
        counted = [p for p in wanted if self._database.shared and not self._own_pace(p)]
        now, rows, others = workers.look(tx, shared, own, counted)
        moods = {p: mood_of(row) for p, row in rows.items()}
        for partner in own:
            if partner in moods:
                moods[partner] = replace(moods[partner], paced_to=self._paced.get(partner, 0))
        return now, moods, others

    def _allowed(
        self,
        wanted: Mapping[str, tuple[Partner, int]],
        moods: Mapping[str, Mood],
        others: Mapping[str, int],
        now: int,
        again: dict[str, float | None],
    ) -> dict[str, tuple[Partner, int]]:
        """How many exchanges may be claimed for each of *wanted*, an even share of the round at most; and when to look
        *again* at those that may have none."""
        allowed, left = {}, self._most
        for place, (name, (partner, busy)) in enumerate(wanted.items()):
            mood = moods.get(name)
            if mood is None:
                again[name] = time.monotonic() + 0.005  # another process claims for it just now
                continue
            most, wait = mood.allows(partner.limits, now)
            in_hand = max(busy, others.get(name, 0))
            free = min(most, mood.width(partner.limits) - in_hand, -(-left // (len(wanted) - place)))
            if free > 0:
                allowed[name] = (partner, free)
                left -= free
            elif wait > 0 or left <= 0:
                again[name] = time.monotonic() + wait
            elif in_hand > busy:
                again[name] = time.monotonic() + 0.02  # the slots are another worker's
            else:
                again[name] = None
        return allowed

    def _later(self, slots: _Slots, at: float) -> None:
        """Look again at *at* (monotonic seconds), unless a look is due sooner.  The lock is held."""
        if at <= time.monotonic() or slots.busy >= slots.partner.limits.concurrency:
            slots.wanted = True
            self._changed.notify()
        elif at < slots.timer - 0.001:
            slots.timer = at
            heapq.heappush(self._timers, (at, slots.partner.id))
            self._changed.notify()

    # -- sending -----------------------------------------------------------------------------------------------------

    def _serve(self, work: Work) -> None:
        """One sender: what comes back is left to the next round."""
        done = self._sent(work)
        with self._changed:
            self._results.append(done)
            self._slots[work.partner.id].wanted = True
            self._changed.notify()

    def _sent(self, work: Work) -> Done:
        """Send, and read what comes back."""
        try:
            result = self._send(work)
            return Done(work, result, self._delivery.read(work, result) if isinstance(result, Answered) else Reply())
        except Exception as error:
            log.error("send_failed", partner=work.partner.id, exchange=work.exchange, exc_info=error)
            return Done(work, OutcomeUnknown("internal", type(error).__name__), Reply())

    def _send(self, work: Work) -> Answered | Failure:
        try:
            target = work.partner.target(work.operation)
        except SettingMissing as error:
            return ConfigError(error.code, f"{error.name} is not set")
        out = Outgoing(
            body=work.body,
            key=work.key,
            name=work.name,
            sequence=work.sequence,
            count=work.records,
            total=work.control,
            deadline=time.monotonic() + target.timeout,
        )
        return self._channel(work.operation).send(target, out)

    def _channel(self, operation: Operation) -> Channel:
        channel = self._channels.get(operation.channel)
        if channel is None:
            with self._changed:
                channel = self._channels.setdefault(operation.channel, open_channel(operation.channel))
        return channel


def _by_turns(results: list[Done], most: int) -> tuple[list[Done], list[Done]]:
    """The *most* that are settled next, and the others: where there are too many, each partner's in turn."""
    if len(results) > most:
        turns: Counter[str] = Counter()

        def turn(one: Done) -> int:
            turns[one.work.partner.id] += 1
            return turns[one.work.partner.id]

        results = sorted(results, key=turn)
    return results[:most], results[most:]


def _gathers(partner: Partner) -> float:
    """Seconds by which looks at *partner* are put off: all that it is sent may wait for company at least as long.
    0 where something goes to it at once."""
    sent = [operation.batch for operation in partner.operations.values() if operation.direction == "out"]
    return min((min(batch.within, GATHER) if batch is not None else 0.0 for batch in sent), default=0.0)
