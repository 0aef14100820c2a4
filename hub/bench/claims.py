"""The ledger's part of delivery and nothing else: exchanges claimed, and settled when their number still holds.

``python -m hub.bench.claims SETTINGS SECONDS`` works as the dispatcher does, in rounds that settle what was claimed
before and claim as much again, and says how many exchanges it settled in how many seconds.  There is nothing to build,
to seal or to send, and no case moves.
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from hub.bench.cases import START
from hub.bench.place import MINISTRY
from hub.exchange.dispatch import ROUND
from hub.security.keys import Keys
from hub.security.sealing import Sealer
from hub.settings import load
from hub.store import workers
from hub.store.database import Database, Row, Transaction, as_uuid
from hub.store.ledger import Ledger, Moment
from hub.store.workers import Claim

#: Seconds for which a claim holds: longer than any run.
LEASE = 600


class Claimer:
    """Claims exchanges that wait for the ministry, and settles them."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database, self._ledger = database, ledger
        self._worker = database.unit(lambda tx: workers.enlist(tx, workers.clock(tx), "worker", "", "bench", 0))
        self._claimed: dict[object, int] = {}

    def run(self, seconds: float) -> dict[str, float]:
        settled, began, cpu = 0, time.monotonic(), time.process_time()
        while (spent := time.monotonic() - began) < seconds:
            done, self._claimed = self._database.unit(self._round)
            settled += done
            if not self._claimed:
                break
        cpu_us = (time.process_time() - cpu) / max(1, settled) * 1e6
        return {"settled": settled, "seconds": round(spent, 3), "cpu_us": round(cpu_us)}

    def _round(self, tx: Transaction) -> tuple[int, dict[object, int]]:
        at = Moment.of(datetime.now(UTC), START)
        rows, _ = self._ledger.claimed(tx, [as_uuid(id) for id in self._claimed])
        ours: list[Row] = [row for id, row in rows.items() if row["attempts"] == self._claimed[id]]
        for row in ours:
            self._ledger.move(tx, at, row, "settled", outcome="answered")
        claim = Claim(self._worker, workers.clock(tx) + LEASE * 1_000_000)
        ready = self._ledger.ready(tx, at, {MINISTRY: (ROUND, ROUND)})[MINISTRY].exchanges
        return len(ours), {as_uuid(row["id"]): self._ledger.claim(tx, at, row, "leased", claim) for row in ready}


def main(file: Path, seconds: float) -> None:
    found = load(file)
    database = Database(found.store)
    try:
        print(json.dumps(Claimer(database, Ledger(Sealer(Keys.load(found.keys)))).run(seconds)), flush=True)
    finally:
        database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
