"""The client: agents, companies and the authority of a season, in a process of their own.

Whatever it asks of the hub it first writes down, and whatever it is told it writes down before it believes it, each
line fsynced: ``acks.jsonl``.  This file, and not the hub's, says what was promised.
"""

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from hub.demo.doors import DoorClosed, Doors, Record, Reply
from hub.demo.driver import Driver, Unexpected
from hub.demo.installation import Installation, Terms, write_durably
from hub.demo.pace import Pace
from hub.demo.rosters import NoOutcome
from hub.demo.season import FIRST_ARRIVAL, START

ACKS, RESULT = "acks.jsonl", "client.json"


class Witness:
    """The client's own book, one line an intent or an acknowledgement, on the disk before :meth:`write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # a line that was cut by a kill is nobody's

    def write(self, **line: Any) -> None:
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            os.write(self._file, data)
            os.fsync(self._file)


class WitnessedDoors(Doors):
    """The hub's doors, every call of which is witnessed."""

    def __init__(self, url: str, api_keys: Any, witness: Witness) -> None:
        super().__init__(url, api_keys)
        self._witness = witness

    def post(self, who: str, path: str, body: bytes, key: str) -> Reply:
        self._witness.write(t="intent", who=who, path=path, key=key)
        reply = super().post(who, path, body, key)
        said: dict[str, Any] = {"status": reply.status}
        if reply.status < 300 and isinstance(reply.body, dict):
            said["id"] = reply.body.get("id")
            if "requests" in reply.body:
                said["requests"] = [[one["id"], one["request_no"]] for one in reply.body["requests"]]
        if path.endswith("/decisions"):
            said["outcome"] = json.loads(body)["outcome"]
        self._witness.write(t="ack", who=who, path=path, key=key, **said)
        return reply


def main() -> None:
    """``client VAR``: drive the season of the installation in VAR to its end, and write what came of it to
    ``client.json``.  Started again it goes on where it was."""
    var = Path(sys.argv[1])
    kept = json.loads((var / "demo.json").read_text("utf-8"))
    installation = Installation.open(var, Terms(**kept["terms"]))
    began = time.monotonic()
    witness = Witness(var / ACKS)
    with contextlib.ExitStack() as held:
        hub = held.enter_context(contextlib.closing(
            WitnessedDoors(installation.hub_url, installation.api_keys, witness)
        ))  # fmt: skip
        simulators = held.enter_context(contextlib.closing(Doors(installation.simulators_url, {})))
        record = held.enter_context(contextlib.closing(Record(var / "driver.jsonl")))
        driver = Driver(installation, installation.season(), hub, record)
        pace = Pace(installation, hub, simulators, driver, lambda now: None)
        stuck: str | None
        try:
            pace.start()
            driver.file_all(None, pace.glance)
            stuck = pace.run(before=START + FIRST_ARRIVAL) or pace.run()
        except (Unexpected, NoOutcome, DoorClosed) as wrong:
            stuck = str(wrong)
    write_durably(var / RESULT, json.dumps({"stuck": stuck, "wall_s": round(time.monotonic() - began, 3)}))
