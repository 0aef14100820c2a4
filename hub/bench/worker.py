"""An engine of its own process, with channels that answer by themselves where no partner is to be measured.

``python -m hub.bench.worker ROLE SETTINGS [COUNT]`` says ``{"ready": true}`` when it has begun; the role is

``drain``   serve the partners until it is ended; no message leaves the process
``call``    the same, with the partners called
``pickup``  serve them without calling, and tell COUNT cases one after the other that their data are corrected
``tell``    the same without serving anybody
``heard``   serve without calling and without telling, until COUNT requests were to be sent

The last three say in the end when each request was ``committed`` and ``heard``: committed here, and about to be sent,
by its number in seconds of the machine's monotonic clock.
"""

import json
import random
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from hub.bench.cases import START
from hub.bench.sink import Sink
from hub.canonical.events import Event
from hub.channels import Answered, Outgoing
from hub.channels.outcome import Target
from hub.exchange.engine import Engine, collect_seldom
from hub.security.redaction import configure_logging
from hub.settings import load
from hub.store.database import Transaction

_NUMBER = re.compile(rb"<(?:[\w.-]+:)?RequestNo>([0-9]{13})</")
#: Seconds between two requests of ``pickup`` and ``tell``, at most and at least: nothing waits for another.
BETWEEN = (0.005, 0.02)


class Nobody:
    """A channel whose partner answers at once and inside this process: SOAP as the sink does, a file by taking it.

    ``heard`` holds when each request was to be sent, in seconds of the machine's monotonic clock.
    """

    def __init__(self) -> None:
        self._sink = Sink(START.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self._lock = threading.Lock()
        self.heard: dict[str, float] = {}

    def send(self, target: Target, out: Outgoing) -> Answered:
        now = time.monotonic()
        if target.channel == "files":
            return Answered(b"", 201, 0.0)
        for number in _NUMBER.findall(out.body):
            self.heard.setdefault(number.decode("ascii"), now)
        with self._lock:
            told = self._sink.answer(b"POST /", out.body)
        return Answered(told.partition(b"\r\n\r\n")[2], 200, time.monotonic() - now)

    def close(self) -> None:
        pass


def _without_partners(engine: Engine) -> Nobody:
    nobody = Nobody()
    for name in ("soap", "files"):
        engine.dispatcher._channels[name] = nobody
    return nobody


def _correct(engine: Engine, waiting: list[tuple[UUID, UUID, str]]) -> dict[str, float]:
    """Correct each of *waiting* (group, request, its number) in a unit of its own; when each was committed."""
    committed: dict[str, float] = {}

    def unit(tx: Transaction, group: UUID, request: UUID, number: str) -> None:
        tx.after_commit(lambda: committed.update({number: time.monotonic()}))
        event = Event(name="request.corrected", group=group, request=request, happened=engine.clock.now())
        assert engine.happen(tx, group, event)

    for group, request, number in waiting:
        engine.database.unit(lambda tx, g=group, r=request, n=number: unit(tx, g, r, n))  # type: ignore[misc]
        time.sleep(random.uniform(*BETWEEN))  # noqa: S311 - so that nothing beats in time with it
    return committed


def _waiting(engine: Engine, count: int) -> list[tuple[UUID, UUID, str]]:
    """The first *count* requests whose data are wanted."""
    found = engine.reading.requests(state="NEEDS_DATA", limit=count)
    return [(UUID(one["group"]), UUID(one["id"]), one["request_no"]) for one in found]


def main(role: str, file: Path, count: int) -> None:
    configure_logging()
    engine = Engine(load(file), delivers=role != "tell")
    collect_seldom()
    nobody = _without_partners(engine) if role != "call" else None
    waiting = _waiting(engine, count) if role in ("pickup", "tell") else []
    if role != "tell":
        engine.start()
    _say({"ready": True})
    try:
        if role in ("drain", "call"):
            threading.Event().wait()
        committed = _correct(engine, waiting) if waiting else {}
        if nobody is not None and role in ("pickup", "heard"):
            until = time.monotonic() + 30.0
            while len(nobody.heard) < count and time.monotonic() < until:
                time.sleep(0.01)
        _say({"committed": committed, "heard": nobody.heard if nobody else {}})
    finally:
        engine.stop()


def _say(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
