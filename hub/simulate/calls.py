"""Calls to the hub: each is told under its own number until the hub acknowledges it, however long the hub is away."""

import heapq
import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from hub.canonical.errors import HubError
from hub.channels import Answered, Outgoing, Target, open_channel
from hub.partners import Operation, Partner
from hub.simulate.desk import Desk
from hub.simulate.ledger import Sent

#: Calls at once, to the hub as a whole.
AT_ONCE = 6
#: Seconds for one call, and the longest wait before it is told again.
PATIENCE = 15.0
LONGEST_WAIT = 1.0
#: The hub turned down what it will not take by and by either: after so many times, a person would look.
ENOUGH = 6
_AGAIN = frozenset({408, 409, 425, 429})

_log = logging.getLogger(__name__)


class Calls:
    """Tells the hub, from threads of its own, what the books say is to be told."""

    def __init__(self, desk: Desk, hub: str) -> None:
        self._desk, self._hub = desk, hub.rstrip("/")
        self._channel = open_channel("rest")
        self._targets: dict[tuple[str, str], Target] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="calls")
        self._lock = threading.Lock()
        self._heap: list[tuple[float, int]] = []
        self._open: dict[int, Sent] = {}
        self._seen = 0

    def pulse(self) -> None:
        """Begin what is ready: new calls, and those to be told again."""
        with self._desk.ledger.read() as books:
            fresh = books.open("call", self._seen)
        now = time.time()
        with self._lock:
            for sent in fresh:
                self._seen = sent.id
                self._open[sent.id] = sent
                heapq.heappush(self._heap, (sent.ready, sent.id))
            ready = []
            while self._heap and self._heap[0][0] <= now:
                ready.append(self._open[heapq.heappop(self._heap)[1]])
        for sent in ready:
            if sent.after is not None and not self._free(sent.after):
                self._again(sent, 0.05)
            else:
                self._pool.submit(self._tell, sent)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._channel.close()

    def _free(self, after: int) -> bool:
        with self._desk.ledger.read() as books:
            return books.acknowledged(after)

    def _again(self, sent: Sent, wait: float) -> None:
        with self._lock:
            heapq.heappush(self._heap, (time.time() + wait, sent.id))

    def _tell(self, sent: Sent) -> None:
        try:
            self._told(sent)
        except Exception:
            # Whatever went wrong with one call, it is told again, and the others go on.
            _log.exception("a call of %s could not be told", sent.partner)
            self._again(sent, LONGEST_WAIT)

    def _told(self, sent: Sent) -> None:
        partner = self._desk.register.partners[sent.partner]
        operation = partner.operations[sent.operation]
        answer = self._channel.send(
            self._target(partner, operation),
            Outgoing(sent.raw, None, None, None, None, None, time.monotonic() + PATIENCE),
        )
        sent.tries += 1
        if isinstance(answer, Answered) and 200 <= answer.status < 300:
            self._acknowledged(sent, operation, answer)
            return
        if isinstance(answer, Answered) and 400 <= answer.status < 500 and answer.status not in _AGAIN:
            rejected = sent.tries >= ENOUGH
            with self._desk.ledger.write() as books:
                books.tried(sent.id, answer.status, rejected)
            if rejected:
                return self._forget(sent)
        wait = min(LONGEST_WAIT, 0.05 * 2 ** min(sent.tries, 6))
        self._again(sent, wait * random.uniform(0.5, 1.0))  # noqa: S311

    def _acknowledged(self, sent: Sent, operation: Operation, answer: Answered) -> None:
        desk = self._desk
        message = None
        if operation.answer is not None:
            try:
                message = desk.register.map(operation.adapter, operation.name, "reply").read(answer.body)
            except HubError:
                # It was taken, but nobody can say what was answered: ask again, as a bank would.
                return self._again(sent, LONGEST_WAIT)
        first = sent.shown == 0
        sent.shown += 1
        done = sent.shown >= len(sent.shows)
        with desk.ledger.write() as books:
            if first:
                desk.scripts[operation.adapter].answered(
                    desk.world(books), sent.partner, operation.name, sent.facts, message
                )
            if done:
                books.acknowledge(sent.id, desk.clock.now(), answer.status, answer.body)
            else:
                books.shown(sent.id, sent.shown)
        if done:
            self._forget(sent)
        else:
            self._again(sent, 0.02)

    def _forget(self, sent: Sent) -> None:
        with self._lock:
            del self._open[sent.id]

    def _target(self, partner: Partner, operation: Operation) -> Target:
        found = self._targets.get((partner.id, operation.name))
        if found is None:
            found = self._targets[partner.id, operation.name] = Target(
                partner=partner.id,
                channel="rest",
                endpoint=f"{self._hub}/v1/partners/{partner.id}",
                timeout=PATIENCE,
                concurrency=AT_ONCE,
                wire=operation.wire,
                contract=operation.folder,
                secret=partner.secret(),
            )
        return found
