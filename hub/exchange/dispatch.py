"""The dispatcher: threads that drain partners, each partner within its own slots, rate and mood.

A partner that fails is left alone for a while and then asked with a single exchange (the canary); its work waits in the
ledger and takes no slot from anybody.  Nothing here is the truth: all of it may be lost at any moment.
"""

import heapq
import math
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from hub.channels import (
    Answered,
    Channel,
    ConfigError,
    Failure,
    OutcomeUnknown,
    Outgoing,
    Throttled,
    Unavailable,
    open_channel,
)
from hub.exchange.delivery import Delivery, Reply
from hub.exchange.outbox import Outbox, Work
from hub.partners import Operation, Register
from hub.partners.partner import Partner
from hub.settings import ConfigError as SettingMissing
from hub.store.database import Database, Transaction, store_at_fault
from hub.store.ledger import Ledger, Moment

log = structlog.get_logger(__name__)

SENDERS = 512  # threads of the send pool at most: as many as all partners together may hold, so that none waits
STORE_WAIT = 1.0  # seconds between attempts to write a result while the store cannot take it
TRIPPED = 3  # failures in a row after which a partner is left alone
REST = (0.5, 30.0)  # seconds: the first and the longest rest


@dataclass(slots=True)
class _Slots:
    """How a partner is being served now."""

    partner: Partner
    busy: int = 0
    failures: int = 0
    rests_until: float = 0.0
    wanted: bool = False
    timer: float = math.inf
    sent: list[float] = field(default_factory=list)

    @property
    def width(self) -> int:
        return 1 if self.failures >= TRIPPED else self.partner.limits.concurrency

    def pause(self, now: float) -> float:
        """Seconds until the next exchange may be sent: the partner's rest, and its rate."""
        wait = self.rests_until - now
        rate = self.partner.limits.per_second
        if len(self.sent) >= rate:
            wait = max(wait, self.sent[-rate] + 1 - now)
        return wait


class Dispatcher:
    """Drains partners side by side.  ``wake`` says that one has work; ``now`` gives the clocks for rows."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        register: Register,
        outbox: Outbox,
        delivery: Delivery,
        now: Callable[[], Moment],
    ) -> None:
        self._database, self._ledger, self._register = database, ledger, register
        self._outbox, self._delivery = outbox, delivery
        self._now = now
        self._slots: dict[str, _Slots] = {}
        self._channels: dict[str, Channel] = {}
        self._timers: list[tuple[float, str]] = []
        self._changed = threading.Condition()
        self._running = False
        self._stopping = threading.Event()
        # A thread is made when all others are busy; slow partners fill their own slots and nobody else's.
        senders = min(SENDERS, sum(p.limits.concurrency for p in register.partners.values()) or 1)
        self._pool = ThreadPoolExecutor(senders, thread_name_prefix="hub-send")
        self._thread = threading.Thread(target=self._loop, name="hub-dispatch", daemon=True)

    def start(self) -> None:
        """Settle what a process that died left open, then serve every partner that has work."""
        self._database.unit(lambda tx: self._delivery.recover(tx, self._now()))
        self._running = True
        self._thread.start()
        for partner in self._database.unit(self._ledger.partners_waiting):
            if partner in self._register.partners:
                self.wake(partner)

    def stop(self) -> None:
        self._stopping.set()
        with self._changed:
            self._running = False
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()
        for channel in self._channels.values():
            channel.close()

    @property
    def idle(self) -> bool:
        return not any(slots.busy for slots in list(self._slots.values()))

    def away(self) -> dict[str, float]:
        """The partners that are left alone because they failed, with the seconds until they are asked again."""
        with self._changed:
            now = time.monotonic()
            return {
                name: max(slots.rests_until - now, 0.0)
                for name, slots in self._slots.items()
                if slots.failures >= TRIPPED
            }

    def wake(self, partner: str) -> None:
        """*partner* has work."""
        with self._changed:
            if not self._running:
                return
            slots = self._slots_of(partner)
            slots.wanted = True
            self._fill(slots)

    # -- slots -------------------------------------------------------------------------------------------------------

    def _slots_of(self, partner: str) -> _Slots:
        slots = self._slots.get(partner)
        known = self._register.partners[partner]
        if slots is None:
            slots = self._slots[partner] = _Slots(known)
        slots.partner = known  # it may have been switched, and another stands in its place
        return slots

    def _fill(self, slots: _Slots) -> None:
        """Put one more sender to work where the partner allows it.  The lock is held."""
        if not self._running or not slots.wanted or slots.busy >= slots.width:
            return
        wait = slots.pause(time.monotonic())
        if wait > 0:
            self._later(slots, wait)
            return
        slots.busy += 1
        self._pool.submit(self._serve, slots)

    def _later(self, slots: _Slots, seconds: float) -> None:
        """Look again after *seconds*, unless a look is due sooner.  The lock is held."""
        at = time.monotonic() + seconds
        if at < slots.timer - 0.001:
            slots.timer = at
            heapq.heappush(self._timers, (at, slots.partner.id))
            self._changed.notify()

    def _loop(self) -> None:
        with self._changed:
            while self._running:
                now = time.monotonic()
                while self._timers and self._timers[0][0] <= now:
                    at, partner = heapq.heappop(self._timers)
                    slots = self._slots_of(partner)
                    if at == slots.timer:  # else a sooner look took its place
                        slots.timer, slots.wanted = math.inf, True
                        self._fill(slots)
                self._changed.wait(self._timers[0][0] - now if self._timers else None)

    def _serve(self, slots: _Slots) -> None:
        """One sender: drain the partner until nothing is ready, then look when there will be."""
        again: float | None = None
        try:
            while self._running:
                more = self.drain(slots.partner, lambda: self._one_more(slots))
                if more is None:
                    break
                if more > 0:
                    again = more
                    break
        except Exception as error:
            log.error("drain_failed", partner=slots.partner.id, exc_info=error)
            again = 1.0
        finally:
            with self._changed:
                slots.busy -= 1
                if again is not None:
                    self._later(slots, again)
                elif slots.wanted:
                    self._fill(slots)

    def _one_more(self, slots: _Slots) -> None:
        """Work was found: there may be more of it for another slot."""
        with self._changed:
            slots.wanted = True
            self._fill(slots)

    # -- draining ----------------------------------------------------------------------------------------------------

    def drain(self, partner: Partner, found: Callable[[], None] = lambda: None) -> float | None:
        """Claim, send and settle the next exchange of *partner*: the one unit of work of delivery.

        Answers 0 when there may be more, the seconds until there will be, or None when nothing waits.  ``found`` is
        called between claim and send.
        """
        with self._changed:
            slots = self._slots_of(partner.id)
            partner = slots.partner
            slots.wanted = False
            if not partner.enabled:
                return None
            wait = slots.pause(time.monotonic())
            if wait > 0:
                return wait
        claimed = self._database.unit(lambda tx: self._outbox.claim(tx, partner, self._now()))
        if claimed is None:
            return None
        if not isinstance(claimed, Work):
            return max(0.001, (claimed - self._now().wall) / 1e6)
        with self._changed:
            slots.sent.append(time.monotonic())
            del slots.sent[: -max(partner.limits.per_second, 1)]
        found()
        try:
            result = self._send(claimed)
            reply = self._delivery.read(claimed, result) if isinstance(result, Answered) else Reply()
            self._write(claimed, lambda tx: self._delivery.settle(tx, claimed, result, reply, self._now()))
        except Exception as error:
            # Whatever went wrong with it, it must not go round and round, nor stand in "sending" for ever.
            log.error("settle_failed", partner=partner.id, exchange=claimed.exchange, exc_info=error)
            self._write(claimed, lambda tx: self._delivery.park(tx, claimed, "internal", self._now()))
        else:
            # A partner that lets us wait in vain holds its senders as long as one that cannot be reached.
            late = isinstance(result, OutcomeUnknown) and result.code == "reply_late"
            self._mood(slots, late or isinstance(result, Unavailable | Throttled))
        return 0.0

    def _write(self, work: Work, unit: Callable[[Transaction], None]) -> None:
        """Write what became of *work*, as soon as the store can: the partner has done its part, and only we know.

        A process that ends before has ``sending`` in the ledger, and the next one asks.
        """
        while True:
            try:
                return self._database.unit(unit)
            except Exception as error:
                if not store_at_fault(error):
                    raise
                log.error("settle_waits", partner=work.partner.id, exchange=work.exchange, exc_info=error)
            if self._stopping.wait(STORE_WAIT):
                return None

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

    def _mood(self, slots: _Slots, failed: bool) -> None:
        with self._changed:
            if not failed:
                slots.failures = 0
                return
            slots.failures += 1
            if slots.failures >= TRIPPED:
                ceiling = min(REST[1], REST[0] * 2.0 ** min(slots.failures - TRIPPED, 10))
                slots.rests_until = time.monotonic() + random.uniform(ceiling / 2, ceiling)  # noqa: S311
