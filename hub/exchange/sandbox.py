"""Who plays the Umrah company of an agent in test mode: it accepts whatever is filed, or does as the agent asks."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import structlog

from hub.canonical.case import Case
from hub.canonical.errors import HubError
from hub.canonical.events import Event
from hub.canonical.messages.desk import Decision
from hub.exchange.pressure import Closed
from hub.exchange.receive import Receipt
from hub.store.database import Row, Transaction, as_uuid, store_at_fault
from hub.store.ledger import Moment

log = structlog.get_logger(__name__)
RETURN = "-RETURN"
PAUSE = 0.5  # seconds between attempts to decide while the store takes nothing


class PlayedCompany:
    """Accepts each request of a test a moment after it was filed; *receive* is the one entrance."""

    def __init__(self, receive: Callable[..., Receipt]) -> None:
        self._receive = receive
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hub-sandbox")
        self._closing = threading.Event()

    def hear(self, tx: Transaction, case: Case, event: Event, at: Moment) -> None:
        """*event* has happened to *case*."""
        if not case.agent.test or event.name not in ("request.submitted", "request.corrected"):
            return
        company, request = case.agent.company, event.request
        assert request is not None
        outcome = _outcome(case.agent_ref, event.name == "request.corrected")
        tx.after_commit(lambda: self._decide(company, request, outcome))

    def resume(self, undecided: Iterable[Row]) -> None:
        """Decide what waits since a process ended: what was to be decided stood in its memory alone."""
        for row in undecided:
            self._decide(row["company"], as_uuid(row["id"]), _outcome(row["agent_ref"], bool(row["returned"])))

    def close(self) -> None:
        """Decide what is to be decided, and no more; what the store still refuses is for :meth:`resume`."""
        self._closing.set()
        self._pool.shutdown()

    def _decide(self, company: str, request: UUID, outcome: str) -> None:
        def play() -> Any:
            # Nobody else says it again: what the store does not take now, it is given until it does.
            while True:
                try:
                    self._receive(company, "decide", b"{}", message=Decision(outcome=outcome), request=request)
                    return
                except HubError as error:
                    log.warning("sandbox_waits", code=error.code)
                    if not isinstance(error, Closed) and not store_at_fault(error):
                        return
                if self._closing.wait(PAUSE):
                    return

        self._pool.submit(play)


def _outcome(group_no: str, again: bool) -> str:
    # A group whose number ends so wants to see what being returned is like: once, until it is corrected.
    return "return" if group_no.upper().endswith(RETURN) and not again else "accept"
