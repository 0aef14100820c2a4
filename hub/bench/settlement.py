"""A process that stages one large file as the hub does, and says how fast, in how much memory, and who waited for it.

``python -m hub.bench.settlement LAYOUT RECORDS``; one line of JSON on standard output.  LAYOUT is ``settlement``, a
bank's file of 160 columns, or ``pilgrims``, thirty fields in 400 columns.
"""

import dataclasses
import hashlib
import io
import json
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from hub.bench.messages import MESSAGES, PilgrimFile, line
from hub.canonical.ids import bill_no, new_id
from hub.canonical.messages.banks import SettlementFile, SettlementLine
from hub.canonical.schema import dumps
from hub.exchange.engine import Engine
from hub.exchange.files import STAGED, File
from hub.exchange.receive import Receipt, Said
from hub.mapping import Map, load
from hub.security.keys import Keys
from hub.security.sealing import Sealer
from hub.settings import load as settings
from hub.store.staging import Staging

BANK, OPERATION = "bank_haramayn", "receive_settlement"
#: What is asked: records a second, and megabytes over what the process had before.
RATE, MEGABYTES = 60_000, 100
LAYOUTS = ("settlement", "pilgrims")


def measure(records: int = 100_000, rounds: int = 3) -> list[dict[str, Any]]:
    """Each layout staged in a process of its own; of some rounds the fastest counts."""
    return [max((_child(layout, records) for _ in range(rounds)), key=lambda t: t["per_second"]) for layout in LAYOUTS]


def _child(layout: str, records: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "hub.bench.settlement", layout, str(records)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own module
    told: dict[str, Any] = json.loads(done.stdout)
    return told


# --- the file -----------------------------------------------------------------------------------------------------


def settlement_lines(records: int, seed: int = 7) -> Iterator[SettlementLine]:
    """The invented day of a bank; the same for the same *seed*."""
    chance = random.Random(seed)  # noqa: S311 - invented data
    for number in range(records):
        amount = Decimal(chance.randint(10_000, 9_999_999)).scaleb(-2)
        yield SettlementLine(
            bank_ref=f"HRM20260203-{number:06d}",
            bill_no=bill_no(number + 1),
            booked_on=date(2026, 2, 1) + timedelta(days=number % 3),
            amount=amount,
            fee=Decimal("1.50"),
            outcome="refunded" if number % 50 == 0 else "settled",
        )


def settlement_file(map_: Map, records: int, number: int = 1) -> bytes:
    """A bank's settlement file of so many lines, written by the bank's *map_*, with its totals."""
    head = SettlementFile(created_on=date(2026, 2, 3), value_on=date(2026, 2, 3), file_no=number, currency="SAR")
    out = io.BytesIO()
    map_.write_rows(head, settlement_lines(records), out)
    return out.getvalue()


# --- the process --------------------------------------------------------------------------------------------------


def main(layout: str, records: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        var = Path(folder)
        Keys.generate(var / "keys.json")
        now = datetime.now(UTC).isoformat()
        (var / "clock.json").write_text(json.dumps({"business": now, "wall": now}))
        engine = Engine(settings(None, {"HUB_VAR": folder, "HUB_CLOCK": str(var / "clock.json")}))
        try:
            print(json.dumps({"what": f"{layout}, {records:,} records", **_measured(engine, layout, records)}))
        finally:
            engine.stop()


def _measured(engine: Engine, layout: str, records: int) -> dict[str, Any]:
    partner = engine.register.partners[BANK]
    operation = partner.operations[OPERATION]
    map_ = engine.register.map(operation.adapter, operation.name, "request")
    if layout == "pilgrims":
        map_ = load(Path(__file__).parent / "maps" / "fixed.yaml", messages=MESSAGES)
        operation = dataclasses.replace(operation, sequence=None)
        out, chance = io.BytesIO(), random.Random(7)  # noqa: S311 - invented data
        map_.write_rows(PilgrimFile(lines=[]), (line(number, chance) for number in range(records)), out)
        body = out.getvalue()
        del out
    else:
        body = settlement_file(map_, records)
    digest = hashlib.sha256(body).hexdigest()
    file = File(partner, operation, body, digest, "measured.txt", Said(count=records), map_)
    stages = _stages(engine, file, min(records, 20_000))
    before, waits = _resident("VmRSS"), _Waits(engine)
    waits.start()
    start = time.perf_counter()
    staged = engine.exchange.files.stage(file)
    spent = time.perf_counter() - start
    waits.stop()
    if isinstance(staged, Receipt):
        raise SystemExit(f"the file was {staged.status}")
    more = _resident("VmHWM") - before
    return {
        "seconds": round(spent, 3), "per_second": round(records / spent), "megabytes": round(more, 1),
        "bytes": len(body), "stages_us": stages, "others_wait_ms": waits.told(),
        "met": records / spent >= RATE and more < MEGABYTES,
    }  # fmt: skip


def _stages(engine: Engine, file: File, records: int) -> dict[str, float]:
    """Microseconds a record of each stage, one after the other, at its quickest on so many records."""
    staging = Staging(Sealer(Keys.load(engine.settings.keys)))
    staged = engine.database.unit(lambda tx: staging.begin(tx, new_id(), 0))
    rows = iter(file.map.open_rows(io.BytesIO(file.body)))
    spent: dict[str, list[float]] = {}

    def timed(name: str, act: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        made = act()
        spent.setdefault(name, []).append((time.perf_counter() - start) / STAGED * 1e6)
        return made

    for first in range(1, records, STAGED):
        values = timed("read and map", lambda: [row.value for row in islice(rows, STAGED)])
        timed("of seal: to JSON", lambda values=values: [dumps(value) for value in values])  # type: ignore[misc]
        sealed = timed("seal", partial(staging.sealed, staged, first, values))
        put = partial(staging.put, exchange_id=staged.exchange, rows=sealed)
        timed("insert and commit", partial(engine.database.unit, put))
    return {name: round(min(each), 2) for name, each in spent.items()}


class _Waits(threading.Thread):
    """Asks the writer for a unit that does nothing, again and again, and notes how long each took."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(daemon=True)
        self._engine, self._ended, self._found = engine, threading.Event(), list[float]()

    def run(self) -> None:
        while not self._ended.wait(0.005):
            start = time.perf_counter()
            self._engine.database.unit(lambda tx: None)
            self._found.append((time.perf_counter() - start) * 1e3)

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def told(self) -> dict[str, float]:
        found = sorted(self._found) or [0.0]
        return {
            "p50": round(found[len(found) // 2], 1), "p99": round(found[len(found) * 99 // 100], 1),
            "max": round(found[-1], 1),
        }  # fmt: skip


def _resident(name: str) -> float:
    """Megabytes of this process now (VmRSS) or at their most (VmHWM)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(row.split()[1]) / 1024 for row in status.read_text().splitlines() if row.startswith(name))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
