"""Other systems that do the same work, measured by the same load in the same run.

``HUB_BENCH_PEERS`` names them, ``NAME=http://127.0.0.1:PORT/PATH`` apart by commas; ``HUB_BENCH_PEER_REQUEST`` is a
file with the JSON request that they take, whose ``request_id`` is made anew each time.  Each must answer with a
reference and refuse a request whose values are empty.  ``HUB_BENCH_PEER_COUNT`` may name an address that answers with
how many calls the peers' own sink has had.
"""

import http.client
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from hub.bench import load
from hub.bench.figure import Figure, missing

#: What the hub has to do better than a service written by hand: times its rate, by what the peer is called.
FLOORS: Mapping[str, tuple[float, str]] = {
    "tuned": (1.2, "the floor; 2 is the aim"),
    "typical": (2.0, "the floor"),
}
EXPECTED, WARM = 3_000, 3.0


def all_of(folder: Path, seconds: float, env: Mapping[str, str] = os.environ) -> Iterator[Figure]:
    """The rate of each peer; none where none is named."""
    named = env.get("HUB_BENCH_PEERS", "")
    if not named:
        return
    for one in named.split(","):
        name, _, address = one.strip().partition("=")
        parts = urlsplit(address)
        if parts.hostname not in ("127.0.0.1", "localhost") or parts.port is None:
            yield missing("peers", name, "its address must be http://127.0.0.1:PORT/PATH")
            continue
        try:
            sample = json.loads(Path(env["HUB_BENCH_PEER_REQUEST"]).read_text("utf-8"))
        except KeyError:
            yield missing("peers", name, "HUB_BENCH_PEER_REQUEST names no request")
            continue
        why = _fit(parts.port, parts.path, sample)
        if why:
            yield missing("peers", name, why)
        else:
            yield _measured(folder, name, parts.port, parts.path, sample, seconds, env.get("HUB_BENCH_PEER_COUNT"))


def ratios(figures: Sequence[Figure]) -> Iterator[Figure]:
    """How many times each peer's rate the hub came to, end to end, on each store."""
    ours = {f.store: f for f in figures if f.part == "door" and f.what == "end to end, up to 25 a call" and f.value}
    for peer in [f for f in figures if f.part == "peers" and f.value]:
        floor, note = FLOORS.get(peer.what, (None, ""))
        for store, hub in ours.items():
            assert hub.value is not None and peer.value is not None
            yield Figure(
                part="ratios", what=f"hub / {peer.what}", value=round(hub.value / peer.value, 2), unit="×",
                store=store, bar=floor, note=note,
            )  # fmt: skip


def _fit(port: int, path: str, sample: dict[str, Any]) -> str | None:
    """Why this peer does not do the work; None where it does."""
    status, told = _posted(port, path, sample)
    if not (200 <= status < 300 and any(key.startswith("reference") and told[key] for key in told)):
        return f"its good answer ({status}) holds no reference"
    status, _ = _posted(port, path, dict.fromkeys(sample, ""))
    return None if 400 <= status < 500 else f"it answers a bad request with {status}"


def _posted(port: int, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    try:
        told = json.loads(read)
    except ValueError:
        told = {}
    return answer.status, told if isinstance(told, dict) else {}


def _measured(
    folder: Path, name: str, port: int, path: str, sample: dict[str, Any], seconds: float, count: str | None
) -> Figure:
    file = folder / f"peer-{port}"
    made = (
        json.dumps({**sample, "request_id": f"REQ-{os.getpid() % 10_000:04d}-{number:08d}"}, ensure_ascii=False)
        for number in range(int((WARM + seconds) * EXPECTED))
    )
    kind = [("Content-Type", "application/json")]
    load.pack(file, (load.post(path, body.encode(), kind) for body in made))
    before = _count(count)
    seen = load.run(load.Plan(
        ports=(port,), requests=str(file), expect='"reference', seconds=seconds, warm=WARM
    ))  # fmt: skip
    file.unlink()
    calls = None if before is None else (_count(count) or 0) - before
    bad = seen["non2xx"] + seen["lacking"] + seen["broken"]
    note = f"p50 {seen['p50_ms']} ms, p99 {seen['p99_ms']} ms"
    if bad or calls not in (None, seen["good"]):
        note = f"COUNTS DIFFER ({seen['answered']} answered, {bad} not good, {calls} calls to its sink); {note}"
    return Figure(
        part="peers", what=name, value=seen["per_second"], note=note,
        more={n: seen[n] for n in ("p50_ms", "p90_ms", "p99_ms", "answered", "good", "non2xx", "busy", "first_bad")}
        | {"sink_calls": calls},
    )  # fmt: skip


def _count(address: str | None) -> int | None:
    if not address:
        return None
    with urlopen(address, timeout=10) as answer:  # noqa: S310 - named by whoever measures
        return int(answer.read())
