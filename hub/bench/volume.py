"""A process that writes or reads one large file by its map, and says how fast and in how much memory.

``python -m hub.bench.volume write|read FILE RECORDS``; one line of JSON on standard output.
"""

import json
import random
import resource
import sys
import time
from pathlib import Path

from hub.bench.messages import MESSAGES, PilgrimFile, line
from hub.mapping import load


def main(what: str, path: Path, records: int) -> None:
    map_ = load(Path(__file__).parent / "maps" / "fixed.yaml", messages=MESSAGES)
    start = time.perf_counter()
    if what == "write":
        chance = random.Random(7)  # noqa: S311 - invented data
        with path.open("wb") as out:
            count = map_.write_rows(PilgrimFile(lines=[]), (line(number, chance) for number in range(records)), out)
    else:
        count = 0
        with path.open("rb") as file:
            for row in map_.open_rows(file):
                if row.fault is not None:
                    raise row.fault
                count += 1
    spent = time.perf_counter() - start
    if count != records:
        raise SystemExit(f"{count} records instead of {records}")
    told = {"seconds": round(spent, 3), "per_second": round(records / spent), "megabytes": round(_peak(), 1)}
    print(json.dumps(told))


def _peak() -> float:
    """Megabytes of this process at their most.

    What getrusage tells counts the process that started this one, so it only stands in where there is no /proc.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(row.split()[1]) / 1024 for row in status.read_text().splitlines() if row.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
