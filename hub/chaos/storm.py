"""Seasons in which everything dies, over and over, and what the books say afterwards."""

import json
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.chaos import cluster as clusters
from hub.chaos.client import ACKS, RESULT
from hub.chaos.cluster import CLIENT, HUB, PARTNERS, Cluster, Setting, installed
from hub.chaos.nemesis import Nemesis
from hub.chaos.postgres import Postgres
from hub.demo.installation import OPERATOR, Installation

#: Pilgrims of one season, and the kills after which it is let come to its end.
PILGRIMS, KILLS_A_SEASON = 80, 75
#: How many of a hundred calls the network spoils, and how many of the connections are not made.
WEATHER, UNREACHABLE = 0.2, 0.1
#: Wall seconds in which a season must come to its end once everything has healed.
PATIENCE = 240.0
#: Seconds within which work must be resumed.
RESUMED = 15.0

Progress = Callable[[int], None]


@dataclass
class Account:
    """What a run came to, over all its seasons."""

    store: str
    kills: Counter[str] = field(default_factory=Counter)
    edges: dict[str, set[str]] = field(default_factory=dict)
    deaths: dict[str, list[str]] = field(default_factory=dict)
    recoveries: list[clusters.Recovery] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)
    frozen: int = 0
    stale: int = 0
    storm_s: float = 0.0

    def report(self) -> dict[str, Any]:
        seconds = [one.seconds for one in self.recoveries]
        cold = [one.seconds for one in self.recoveries if one.cold]
        sums = {
            name: sum(check[name] for check in self.checks)
            for name in ("accepted", "requests", "effects", "repeats", "lost", "doubled", "unexpected", "in_doubt")
        }
        return {
            "store": self.store,
            "kills": sum(self.kills.values()),
            **sums,
            "recovery_s": {
                # Of whole new processes; forked ones are faster than any that an operator has.
                "p50": round(statistics.median(cold or seconds), 3) if seconds else None,
                "max": round(max(seconds), 3) if seconds else None,
                "forked_p50": round(statistics.median(seconds), 3) if seconds else None,
                "by": _by_name(self.recoveries),
            },
            "seasons": len(self.checks),
            "stuck": self.stuck,
            "killed": dict(self.kills),
            "kills_per_s": round(sum(self.kills.values()) / self.storm_s, 2) if self.storm_s else None,
            "frozen": self.frozen,
            "stale_refused": self.stale,
            "edges": {
                name: {"passed": len(passed), "died_at": len(set(self.deaths.get(name, ())))}
                for name, passed in self.edges.items()
            },
            "faults": dict(sorted(self.faults.items())),
            "findings": [finding for check in self.checks for finding in check["findings"]],
        }


def _by_name(recoveries: Iterable[clusters.Recovery]) -> dict[str, dict[str, float]]:
    seconds: dict[str, list[float]] = {}
    for one in recoveries:
        seconds.setdefault(one.name, []).append(one.seconds)
    return {
        name: {"n": len(found), "p50": round(statistics.median(found), 3), "max": round(max(found), 3)}
        for name, found in sorted(seconds.items())
    }


def storm(kills: int, seed: int, top: Path, progress: Progress, server: Postgres | None = None) -> Account:
    """Kill *kills* times in as many seasons as that takes, and account for every one of them.

    The store is SQLite's, or databases of *server*.  The folder of a season in which something was found stays in
    *top*.
    """
    account = Account("postgres" if server else "sqlite")
    dice = random.Random(seed)  # noqa: S311 - a plan to be had again, no secret
    done = season = 0
    while done < kills:
        season += 1
        folder = top / f"season-{season}"
        setting = Setting(
            pilgrims=PILGRIMS, seed=dice.randrange(1 << 30), weather=WEATHER, unreachable=UNREACHABLE, faults="some",
            database_url=server.database() if server else "", apart=server is not None,
        )  # fmt: skip
        for _ in _season(folder, setting, min(kills - done, KILLS_A_SEASON), dice, account, server):
            done += 1
            progress(done)
        if not account.checks[-1]["findings"]:
            shutil.rmtree(folder)
    return account


def _season(
    folder: Path, setting: Setting, most: int, dice: random.Random, account: Account, server: Postgres | None
) -> Iterator[None]:
    """One season with at most *most* kills, one yielded each; none if it is over before anybody could be killed."""
    installation, network = installed(folder, setting)
    with Cluster(installation, network, setting, deaths=account.deaths) as cluster:
        nemesis = Nemesis(cluster, dice, account.kills, server)
        cluster.wait_up(PARTNERS)
        cluster.begin(CLIENT)
        cluster.wait_up(HUB)
        began = time.monotonic()
        done = 0
        while done < most and not cluster.over:
            if nemesis.strike():
                done += 1
                yield
        nemesis.thaw()
        account.storm_s += time.monotonic() - began
        stuck = heal(cluster)
        if stuck:
            account.stuck.append(f"{folder.name}: {stuck}")
        account.recoveries += [*cluster.recoveries, *nemesis.recoveries]
        account.frozen += nemesis.frozen
        for name in cluster.marks:
            account.edges.setdefault(name, set()).update(cluster.sites(name))
            account.deaths[name] = cluster.deaths(name)
        account.checks.append(checked(installation, stuck))
    for name in cluster.hubs:
        account.stale += (installation.var / f"{name}.log").read_text("utf-8").count('"claim_lost"')
    for log in cluster.folder.glob("*.unreachable"):
        account.faults.update(log.read_text("ascii").split())
    for line in _lines(installation.var / "weather.jsonl"):
        account.faults[line["kind"]] += 1


def heal(cluster: Cluster, patience: float = PATIENCE) -> str | None:
    """Let the season come to its end with nobody dying any more; why it could not, if so."""
    cluster.calm()
    until = time.monotonic() + patience
    while not cluster.over:
        if time.monotonic() > until:
            down = [name for name, role in cluster.roles.items() if not role.up and name != CLIENT]
            return f"the season did not end within {patience:.0f} s" + (f"; down: {', '.join(down)}" if down else "")
        time.sleep(0.05)
    cluster.wait_up(HUB)
    result: dict[str, Any] = json.loads((cluster.installation.var / RESULT).read_text("utf-8"))
    stuck: str | None = result["stuck"]
    return stuck


def checked(installation: Installation, stuck: str | None = None, *more: str) -> dict[str, Any]:
    """What the checker says, which is a process of its own and is not handed anything but the books."""
    var = installation.var
    books = [
        "--acks", str(var / ACKS), "--partners", str(var / "simulators.db"), "--folders", str(installation.files),
        "--hub", installation.hub_url, "--keep", str(var / "hub.json"),
    ]  # fmt: skip
    script = Path(__file__).with_name("checker.py")
    with secret(var, installation.api_keys[OPERATOR]) as key_file:
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, "-I", str(script), *books, "--key-file", str(key_file), *more],
            stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout)
    if stuck:
        told["findings"].append(["unexpected", stuck, var.name])
        told["unexpected"] += 1
    return told


@contextmanager
def secret(var: Path, key: str) -> Iterator[Path]:
    path = var / "operator.key"
    path.touch(0o600)
    path.write_text(key, "ascii")
    try:
        yield path
    finally:
        path.unlink()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_bytes().splitlines():
            yield json.loads(line)
