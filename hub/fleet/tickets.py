"""Tickets on RabbitMQ instead of a worker's own dispatcher.

A ticket holds a partner's name and nothing else.  The ledger says what is due, so a ticket that is lost, late or there
twice loses and doubles nothing; whoever issues them looks every second for work whose ticket was lost.
"""

import socket
import threading
import time
from typing import Any

import structlog
from celery import Celery, signals

from hub.canonical.errors import HubError
from hub.exchange.dispatch import Dispatcher
from hub.exchange.engine import Engine
from hub.partners import load
from hub.partners.partner import Partner
from hub.security.redaction import configure_logging
from hub.settings import Settings

log = structlog.get_logger(__name__)

TICKET = "hub.drain"
STALE = 10_000  # milliseconds after which a ticket nobody took is thrown away: there have been newer ones since
TURN = 1.0  # seconds for which a ticket keeps its process; more work gets a new one, behind the other partners'
PATIENCE = 0.25  # seconds that a ticket waits for a partner's rate; what is due later gets its ticket when it is
GAP = 0.02  # seconds between two tickets for one partner
AWAY = 1.0  # seconds between attempts to reach a broker that is gone
CONFIRM = 5.0  # seconds for the broker's word that it has a ticket


def fleet(settings: Settings) -> Celery:
    """The Celery application of this installation: a quorum queue ``hub.ZONE`` for each zone's partners.

    Raises HubError ``broker_missing`` without a broker, ``store_not_shared`` without a ledger on PostgreSQL.
    """
    if not settings.database_url or not settings.broker_url:
        raise HubError("broker_missing" if settings.database_url else "store_not_shared")
    zones = sorted({partner.zone for partner in load(settings).partners.values()})
    arguments = {"x-queue-type": "quorum", "x-message-ttl": STALE}
    app = Celery("hub", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        task_queues={f"hub.{zone}": {"queue_arguments": arguments} for zone in zones},
        task_create_missing_queue_type="quorum",
        task_default_exchange="hub",
        task_ignore_result=True,
        task_acks_late=True,
        task_time_limit=600,
        broker_transport_options={"confirm_publish": True},
        broker_connection_retry_on_startup=True,
        broker_native_delayed_delivery_queue_type="classic",  # no ticket is put off, so nothing is ever in them
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=5000,
        worker_max_memory_per_child=500_000,  # KiB
    )
    seat = _Seat(settings, app)
    app.task(name=TICKET)(seat.drain)
    signals.worker_process_shutdown.connect(seat.leave, weak=False)
    signals.setup_logging.connect(lambda **_: configure_logging(), weak=False)
    return app


def issue(app: Celery, partner: Partner) -> None:
    """Put a ticket for *partner* before whoever serves its zone; answered when the broker has it."""
    app.send_task(TICKET, (partner.id,), queue=f"hub.{partner.zone}", confirm_timeout=CONFIRM)


class _Seat:
    """One process of the fleet.  Its engine is made at the first ticket: after the fork."""

    def __init__(self, settings: Settings, app: Celery) -> None:
        self._settings, self._app = settings, app
        self._engine: Engine | None = None

    def drain(self, partner: str) -> None:
        """Serve *partner* for a turn, unless another process is at it."""
        if self._engine is None:
            # It serves nobody of its own accord: whoever issues the tickets is told what its commits wake.
            engine = Engine(self._settings, delivers=False)
            engine.join()
            self._engine = engine
        engine = self._engine
        known = engine.register.partners.get(partner)
        if known is None:
            return
        # One that counts by the machine that calls is served by one process of each.
        place = socket.gethostname() if known.limits.per_worker else ""
        with engine.database.alone(f"drain/{partner}/{place}") as mine:
            more = mine and _turn(engine.dispatcher, known)
        # What came in just before the lock was given back has had its ticket in vain: so one look more.
        if more or (mine and engine.dispatcher.drain(known) == 0):
            issue(self._app, known)

    def leave(self, **_: Any) -> None:
        if self._engine is not None:
            self._engine.stop()


def _turn(dispatcher: Dispatcher, partner: Partner) -> bool:
    """Deliver until nothing is due or the turn is over; answers whether there is more to do soon."""
    until = time.monotonic() + TURN
    while (wait := dispatcher.drain(partner)) is not None and wait <= PATIENCE:
        if time.monotonic() + wait > until:
            return True
        time.sleep(wait)
    return False


class Issuer(Dispatcher):
    """A dispatcher that sends nothing itself: a partner that has work gets a ticket, and the fleet does the rest."""

    def __init__(self, app: Celery, *parts: Any) -> None:
        super().__init__(*parts)
        self._app = app
        self._due: set[str] = set()
        self._told, self._ended = threading.Event(), threading.Event()
        self._issuing = threading.Thread(target=self._issue, name="hub-tickets", daemon=True)

    def start(self, worker: int) -> None:
        self._issuing.start()
        super().start(worker)

    def stop(self) -> None:
        self._ended.set()
        self._told.set()
        if self._issuing.is_alive():
            self._issuing.join()
        super().stop()

    def wake(self, partner: str) -> None:
        self._due.add(partner)
        self._told.set()

    def _issue(self) -> None:
        while self._told.wait() and not self._ended.is_set():
            self._told.clear()
            wait = GAP
            for partner in list(self._due):
                self._due.discard(partner)
                try:
                    if self._register.partners[partner].enabled:
                        issue(self._app, self._register.partners[partner])
                except Exception as error:
                    log.error("ticket_waits", partner=partner, exc_info=error)
                    self.wake(partner)
                    wait = AWAY
                    break
            self._ended.wait(wait)
