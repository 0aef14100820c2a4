"""Other systems that do the same work, measured by the same load in the same run.

``HUB_BENCH_PEERS`` names them, ``NAME=http://127.0.0.1:PORT/PATH`` apart by commas; ``HUB_BENCH_PEER_REQUEST`` is a
file with the JSON request that they take, whose ``request_id`` is made anew each time.  Each must answer with a
reference and refuse a request whose values are empty.  ``HUB_BENCH_PEER_COUNT`` may name an address that answers with
how many calls the peers' own sink has had.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from hub.bench import load
from hub.bench.door import Door
from hub.bench.figure import Figure, missing
from hub.bench.postgres import Server, empty

#: What the hub has to do better than a service written by hand: times its rate, by what the peer is called.
FLOORS: Mapping[str, tuple[float, str]] = {
    "tuned": (1.2, "the floor; 2 is the aim"),
    "typical": (2.0, "the floor"),
}
#: Requests that are made for a second of a run, seconds before it counts, and how often each is measured.
EXPECTED, WARM, ROUNDS = 2_500, 1.5, 3


def all_of(
    folder: Path, stores: Sequence[str], server: Server | None, seconds: float, env: Mapping[str, str] = os.environ
) -> Iterator[Figure]:
    """The hub end to end on each of *stores*, and each peer, measured in turn; and how many times each peer the hub is.

    Nothing where no peer is named.
    """
    found = list(_named(folder, env))
    there = [one for one in found if isinstance(one, Peer)]
    yield from (one for one in found if isinstance(one, Figure))
    if not there:
        return
    with contextlib.ExitStack() as held:
        runs: dict[str, Callable[[], dict[str, Any]]] = {}
        for store in stores:
            url = held.enter_context(empty(store, server))
            count = int(ROUNDS * (WARM + seconds) * EXPECTED)
            door = held.enter_context(Door.open(folder / f"{store}-peers", url, count))
            runs[store] = partial(door.run, seconds, WARM, wait=True)
        for peer in there:
            runs[peer.name] = partial(peer.run, seconds)
        # In turn, round by round: what else this machine does falls on all of them.
        seen = {name: [] for name in runs}  # type: dict[str, list[dict[str, Any]]]
        for _ in range(ROUNDS):
            for name, run in runs.items():
                seen[name].append(run())
    for name, rounds in seen.items():
        yield _figure(name, rounds, store=name if name in stores else None)
    for peer in there:
        floor, note = FLOORS.get(peer.name, (None, ""))
        for store in stores:
            each = [
                ours["per_second"] / theirs["per_second"]
                for ours, theirs in zip(seen[store], seen[peer.name], strict=True)
                if theirs["per_second"] and not ours["lacking"]
            ]
            yield Figure(
                part="peers", what=f"hub / {peer.name}", value=round(median(each), 2) if each else None, unit="×",
                store=store, bar=floor, note=note, more={"rounds": [round(one, 2) for one in each]},
            )  # fmt: skip


def _figure(name: str, rounds: Sequence[Mapping[str, Any]], store: str | None) -> Figure:
    """The middle one of *rounds*."""
    seen = sorted(rounds, key=lambda one: float(one["per_second"]))[len(rounds) // 2]
    note = f"p50 {seen['p50_ms']} ms, p99 {seen['p99_ms']} ms"
    wrong = [one for one in rounds if not one["equal"] or one["lacking"]]
    if wrong:
        note = f"COUNTS DIFFER in {len(wrong)} of {len(rounds)} rounds; {note}"
    more = {n: seen[n] for n in ("p50_ms", "p90_ms", "p99_ms", "answered", "good", "non2xx", "busy", "first_bad")}
    rates = [one["per_second"] for one in rounds]
    return Figure(
        part="peers", what="hub, end to end, up to 25 a call" if store else name, value=seen["per_second"],
        store=store, note=note, more={**more, "rounds": rates, "equal": not wrong},
    )  # fmt: skip


def _named(folder: Path, env: Mapping[str, str]) -> "Iterator[Peer | Figure]":
    """The peers that *env* names; for one that does not do the work, a figure that says why."""
    for one in filter(None, env.get("HUB_BENCH_PEERS", "").split(",")):
        name, _, address = one.strip().partition("=")
        parts = urlsplit(address)
        if parts.hostname not in ("127.0.0.1", "localhost") or parts.port is None:
            yield missing("peers", name, "its address must be http://127.0.0.1:PORT/PATH")
        elif "HUB_BENCH_PEER_REQUEST" not in env:
            yield missing("peers", name, "HUB_BENCH_PEER_REQUEST names no request")
        else:
            sample = json.loads(Path(env["HUB_BENCH_PEER_REQUEST"]).read_text("utf-8"))
            why = _fit(parts.port, parts.path, sample)
            if why:
                yield missing("peers", name, why)
            else:
                yield Peer(name, parts.port, parts.path, sample, env.get("HUB_BENCH_PEER_COUNT"), folder)


@dataclass(frozen=True)
class Peer:
    """A system that does the same work; *count* is where its own sink says how many calls it has had."""

    name: str
    port: int
    path: str
    sample: Mapping[str, Any]
    count: str | None
    folder: Path

    def run(self, seconds: float) -> dict[str, Any]:
        """One run of the load, with a request_id of its own in each request."""
        file, kind = self.folder / f"peer-{self.port}", [("Content-Type", "application/json")]
        run = time.time_ns() // 1_000_000 % 10_000
        made = (
            json.dumps({**self.sample, "request_id": f"REQ-{run:04d}-{number:08d}"}, ensure_ascii=False)
            for number in range(int((WARM + seconds) * EXPECTED))
        )
        load.pack(file, (load.post(self.path, body.encode(), kind) for body in made))
        before = self._counted()
        seen = load.run(load.Plan(
            ports=(self.port,), requests=str(file), expect='"reference', seconds=seconds, warm=WARM
        ))  # fmt: skip
        file.unlink()
        after = self._counted()
        calls = None if before is None or after is None else after - before
        right = seen["good"] == seen["answered"] and not seen["broken"]
        return {**seen, "sink_calls": calls, "equal": right and calls in (None, seen["good"])}

    def _counted(self) -> int | None:
        if not self.count:
            return None
        parts = urlsplit(self.count)
        return int(load.once(parts.port or 80, load.get(parts.path))[1])


def _fit(port: int, path: str, sample: dict[str, Any]) -> str | None:
    """Why this peer does not do the work; None where it does."""
    status, told = _posted(port, path, sample)
    if not (200 <= status < 300 and any(key.startswith("reference") and told[key] for key in told)):
        return f"its good answer ({status}) holds no reference"
    status, _ = _posted(port, path, dict.fromkeys(sample, ""))
    return None if 400 <= status < 500 else f"it answers a bad request with {status}"


def _posted(port: int, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    asked = load.post(path, json.dumps(body).encode(), [("Content-Type", "application/json")])
    status, read = load.once(port, asked)
    try:
        told = json.loads(read)
    except ValueError:
        told = {}
    return status, told if isinstance(told, dict) else {}
