"""Who is at what: this process is known to deliver, and the claims of those that are gone are taken over.

A process that ends loses its lock in the store at once; one that hangs keeps it, and loses what it has claimed when the
lease runs out.  Whatever it may still write then bears the fencing number of its own claim and is refused.
"""

import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime

import structlog

from hub.exchange.delivery import Delivery
from hub.exchange.dispatch import Dispatcher
from hub.store import workers
from hub.store.database import Database, Transaction, as_uuid, store_at_fault
from hub.store.ledger import Ledger, Moment

log = structlog.get_logger(__name__)

EVERY = 1.0  # seconds between looks at the others' claims, and for work that nobody has told of


class Claims:
    """Puts a process on the list of those that deliver, and sweeps behind those that do not any more."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        delivery: Delivery,
        dispatcher: Dispatcher,
        now: Callable[[], Moment],
        keep: Callable[[date], object],
    ) -> None:
        self._database, self._ledger, self._delivery = database, ledger, delivery
        self._dispatcher, self._now, self._keep = dispatcher, now, keep
        self._kept: date | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="hub-claims", daemon=True)
        self.worker: int | None = None

    def start(self, role: str, zone: str) -> None:
        """Settle what processes that died left open, then deliver."""
        self._dispatcher.start(self.enlist(role, zone))
        self._thread.start()

    def enlist(self, role: str, zone: str) -> int:
        """Be known as one of those that deliver, and take over from those that are gone; answers our number."""
        number = self._database.unit(
            lambda tx: workers.enlist(tx, workers.clock(tx), role, zone, socket.gethostname(), os.getpid())
        )
        self.worker = number
        self._database.hold(number)
        self._database.unit(self._sweep)
        self._database.unit(lambda tx: self._delivery.miss(tx, self._now()))
        return number

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        number, self.worker = self.worker, None
        if number is not None:
            try:
                self._database.unit(lambda tx: workers.dismiss(tx, number))
            except Exception as error:
                if not store_at_fault(error):
                    raise

    def _loop(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self._database.unit(self._sweep)
                if self._database.shared:
                    self._dispatcher.look()
                self._daily(datetime.now(UTC).date())
            except Exception as error:
                if not store_at_fault(error):
                    log.error("sweep_failed", exc_info=error)

    def _daily(self, today: date) -> None:
        """Once a day: months are made before they begin, and what is kept no longer ends."""
        if today != self._kept:
            self._keep(today)
            self._kept = today

    def _sweep(self, tx: Transaction) -> None:
        """Take over the claims of processes that are gone, and those whose lease has run out."""
        at, now = self._now(), workers.clock(tx)
        assert self.worker is not None
        workers.beat(tx, self.worker, now)
        for claimant in workers.claimants(tx):
            if claimant != self.worker and (claimant is None or tx.gone(claimant)):
                log.warning("claims_taken_over", worker=claimant)
                self._delivery.recover(tx, workers.claimed_by(tx, claimant), at)
                if claimant is not None:
                    workers.dismiss(tx, claimant)
        expired = workers.expired(tx, now)
        self._delivery.recover(tx, [row for row in expired if not self._dispatcher.holds(as_uuid(row["id"]))], at)
