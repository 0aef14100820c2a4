"""A dozen bugs, each put into one process as it starts: whoever checks the hub must find every one of them.

They are the mistakes that engines of this kind have made.  Each takes the place of a function of the process it is put
into; nothing on the disk changes.  What makes each of them show is in :mod:`hub.chaos.trials`.
"""

import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from hub.channels import Answered, OutcomeUnknown, files
from hub.channels.http import Http
from hub.channels.inbox import Arrived, Inbox
from hub.exchange.delivery import Delivery
from hub.exchange.files import Files
from hub.store.database import Database
from hub.store.ledger import Ledger

PLANTS: dict[str, Callable[[], None]] = {}
#: How the Ministry's messages name our keys.
_KEY = re.compile(rb"(<(?:\w+:)?CorrelationId>)([^<]+)(</)")
_APPLICATION = re.compile(rb"<Application>.*?</Application>", re.S)


def put_in(names: Sequence[str]) -> None:
    """Put the bugs of *names* into this process."""
    for name in names:
        PLANTS[name]()


def _plant(put: Callable[[], None]) -> Callable[[], None]:
    PLANTS[put.__name__] = put
    return put


@_plant
def ack_before_commit() -> None:
    """Whoever waits at a door is answered when the unit has run, a moment before it is committed."""
    real = Database.submit

    def submit(self: Database, unit: Any, ahead: Any = None) -> Any:
        early: Future[Any] = Future()
        waits = threading.current_thread().name.startswith("hub-door")

        def hasty(tx: Any) -> Any:
            result = unit(tx)
            if waits and not early.done():
                early.set_result(result)
                time.sleep(0.3)
            return result

        def late(done: Future[Any]) -> None:
            if early.done():
                return
            if (error := done.exception()) is not None:
                early.set_exception(error)
            else:
                early.set_result(done.result())

        real(self, hasty, ahead).add_done_callback(late)
        return early

    Database.submit = submit  # type: ignore[method-assign]


def _calling(wrap: Callable[..., Any]) -> None:
    real = Http.call

    def call(self: Http, target: Any, method: str, url: str, headers: Any, sent: bytes, deadline: float) -> Any:
        return wrap(lambda body: real(self, target, method, url, headers, body, time.monotonic() + 3), url, sent)

    Http.call = call  # type: ignore[method-assign]


@_plant
def retry_without_key() -> None:
    """A call that got no answer is made again at once, as if it were a new one."""

    def again(send: Callable[[bytes], Any], url: str, body: bytes) -> Any:
        answer = send(body)
        if not isinstance(answer, OutcomeUnknown) or b"SubmitApplications" not in body:
            return answer
        ours: dict[bytes, bytes] = {}

        def fresh(found: re.Match[bytes]) -> bytes:
            new = uuid.uuid4().hex.encode()
            ours[new] = found[2]
            return found[1] + new + found[3]

        answer = send(_KEY.sub(fresh, body))
        if isinstance(answer, Answered):
            told = _KEY.sub(lambda found: found[1] + ours.get(found[2], found[2]) + found[3], answer.body)
            answer = replace(answer, body=told)
        return answer

    _calling(again)


@_plant
def delete_before_enqueue() -> None:
    """A file is put away before what it says is in the ledger."""
    real, done = Inbox.arrivals, Inbox.done

    def arrivals(self: Inbox) -> Iterator[Arrived]:
        for arrived in list(real(self)):
            done(self, arrived)
            yield arrived

    Inbox.arrivals = arrivals  # type: ignore[method-assign]
    Inbox.done = lambda self, arrived: None  # type: ignore[method-assign]


@_plant
def unsafe_resend() -> None:
    """What may be asked for once is asked for again when no answer came."""

    def again(send: Callable[[bytes], Any], url: str, body: bytes) -> Any:
        answer = send(body)
        return send(body) if isinstance(answer, OutcomeUnknown) and url.endswith("/bookings") else answer

    _calling(again)


@_plant
def reply_by_order() -> None:
    """The lines of an answer are taken to come in the order in which they were asked for."""

    def paired(send: Callable[[bytes], Any], url: str, body: bytes) -> Any:
        answer = send(body)
        if not isinstance(answer, Answered) or b"SubmitApplications" not in body:
            return answer
        keys = iter([found[2] for found in _KEY.finditer(body)])
        told = _KEY.sub(lambda found: found[1] + next(keys, found[2]) + found[3], answer.body)
        return replace(answer, body=told)

    _calling(paired)


@_plant
def batch_rebuilt() -> None:
    """What is sent again is made anew, and not all who were in it are in it again."""
    sent: set[bytes] = set()

    def rebuilt(send: Callable[[bytes], Any], url: str, body: bytes) -> Any:
        parts = _APPLICATION.findall(body)
        if len(parts) < 2:
            return send(body)
        first = _KEY.search(parts[0])
        key = first[2] if first else b""
        if key in sent:
            body = body.replace(parts[-1], b"")
        sent.add(key)
        return send(body)

    _calling(rebuilt)


@_plant
def subject_dropped() -> None:
    """Of whom an answer does not speak, nothing more is expected."""

    def omitted(self: Any, tx: Any, work: Any, row: Any, subject: Any, at: Any) -> None:
        self._ledger.settle_subject(tx, at, subject, "done", None)

    Delivery._omitted = omitted  # type: ignore[method-assign]


@_plant
def dedup_after_effect() -> None:
    """That a call was made is noted only after what it did, in a commit of its own."""
    _later("remember_answer")


@_plant
def audit_in_second_commit() -> None:
    """What was done is audited after it was done, in a commit of its own."""
    _later("audit")


def _later(name: str) -> None:
    """Let method *name* of the ledger write in a unit of its own, after the one that it is called in."""
    real = getattr(Ledger, name)
    opened: list[Database] = []
    begin = Database.__init__

    def remembered(self: Database, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        opened.append(self)

    def put_off(self: Ledger, tx: Any, *args: Any) -> None:
        tx.after_commit(lambda: opened[-1].submit(lambda later: real(self, later, *args)))

    Database.__init__ = remembered  # type: ignore[method-assign]
    setattr(Ledger, name, put_off)


@_plant
def stale_fencing_accepted() -> None:
    """What comes of a claim is believed, whoever has taken it over since."""
    Delivery._still_ours = lambda self, row, work: row is not None  # type: ignore[method-assign]


@_plant
def rename_before_fsync() -> None:
    """A file gets its name before its bytes are on the disk."""

    def fill(handle: int, body: bytes) -> None:
        left = memoryview(body)
        while left:
            left = left[os.write(handle, left) :]

    files._fill = fill


@_plant
def sequence_gap_ignored() -> None:
    """A file whose forerunner is missing is read as if nothing were missing."""
    real = Files.receive

    def receive(self: Files, partner: Any, operation: Any, *args: Any, **kwargs: Any) -> Any:
        return real(self, partner, replace(operation, sequence=None), *args, **kwargs)

    Files.receive = receive  # type: ignore[method-assign]
