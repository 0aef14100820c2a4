"""The hub at its own public door: a decision in, checked, asked of the ministry in SOAP, its reference number back.

Each request is ``POST /v1/requests/<id>/decisions`` with twenty-five JSON fields under a key of its own, on a case
whose data the ministry wanted.  What it causes is all of the product: the message kept and sealed, the case moved and
sealed, history, audit, the call, its answer kept, and the pilgrim put on the mission's print list, which is written
meanwhile.
"""

import contextlib
import http.client
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from hub.bench import cases, load
from hub.bench.figure import Figure, missing
from hub.bench.place import Edit, Place, one_a_call
from hub.bench.postgres import Server
from hub.bench.process import Child

#: Cases are made for so many answers a second; a hub that is faster is measured until they are used up.
EXPECTED = 2_500
WARM = 3.0
#: Seconds after a run within which everything accepted must have reached the ministry.
DRAINED = 60.0

_Made = list[tuple[UUID, str]]


def all_of(folder: Path, store: str, server: Server | None, seconds: float) -> Iterator[Figure]:
    """Both ways of asking on *store*, each on an empty one of its own; *server* is where databases are made."""
    for short, how, edit in (("batched", "up to 25 a call", None), ("single", "one a call", one_a_call)):
        with server.database() if server and store == "postgres" else contextlib.nullcontext() as url:
            yield from measured(folder / f"{store}-{short}", store, url, seconds, how, edit)


def measured(
    folder: Path, store: str, url: str | None, seconds: float, how: str, edit: Edit | None
) -> Iterator[Figure]:
    """End to end, then accepting alone, by one hub on one store."""
    with Child("hub.bench.sink", log=folder.with_suffix(".sink.log")) as sink:
        port = sink.told()["port"]
        place = Place.make(folder, store=url, ministry=f"http://127.0.0.1:{port}/visa", edit=edit)
        each = int((WARM + seconds) * EXPECTED)
        made = place.write(2 * each + 2)
        with place.hub() as hub:
            _checked(place, made, 2 * each)
            waited = _run(place, hub, port, made[:each], 0, seconds, wait=True)
            what = f"end to end, {how}"
            if waited["lacking"]:
                why = f"{waited['lacking']:,} of {waited['answered']:,} answers hold no reference number"
                yield missing("door", what, why, store=store)
            else:
                yield _figure(what, store, waited)
            taken = _run(place, hub, port, made[each : 2 * each], each, seconds, wait=False)
            yield _figure(f"accepted, {how}", store, taken)


def _run(place: Place, hub: Child, port: int, made: _Made, first: int, seconds: float, *, wait: bool) -> dict[str, Any]:
    """One run of the load over *made*, with what the ministry counted and what it cost the hub."""
    path = place.folder / "requests"
    load.pack(path, cases.requests(made, dict(place.keys), wait=wait, first=first))
    before, cpu = ministry(port), hub.seconds()
    seen = load.run(load.Plan(
        ports=(place.port,), requests=str(path), expect='"reference_no":"' if wait else '"outcome":"taken"',
        seconds=seconds, warm=WARM,
    ))  # fmt: skip
    ended = time.monotonic()
    wanted = before["subjects"] + seen["good"] + seen["lacking"]
    while (after := ministry(port))["subjects"] < wanted and time.monotonic() < ended + DRAINED:
        time.sleep(0.02)
    path.unlink()
    asked, calls = after["subjects"] - before["subjects"], after["calls"] - before["calls"]
    good = seen["good"] + seen["lacking"]
    return {
        **seen, "drained_s": round(time.monotonic() - ended, 2), "asked": asked, "calls": calls,
        "effects": after["effects"] - before["effects"], "a_call": round(asked / calls, 1) if calls else None,
        "cpu_us": round((hub.seconds() - cpu) / max(1, good) * 1e6),
        # Nothing refused, and the ministry was asked about each of them, once.
        "equal": not seen["non2xx"] and not seen["broken"] and asked == after["effects"] - before["effects"] == good,
    }  # fmt: skip


_MORE = (
    "p50_ms", "p90_ms", "p99_ms", "max_ms", "measured", "answered", "non2xx", "broken", "asked", "calls", "a_call",
    "cpu_us", "drained_s", "busy", "ran_out", "equal", "first_bad",
)  # fmt: skip


def _figure(what: str, store: str, seen: dict[str, Any]) -> Figure:
    note = f"p50 {seen['p50_ms']} ms, p99 {seen['p99_ms']} ms, {seen['a_call']} a call, {seen['cpu_us']} µs of CPU each"
    if not seen["equal"]:
        note = f"COUNTS DIFFER ({seen['asked']} asked, {seen['good']} good, {seen['non2xx']} not 2xx); {note}"
    return Figure(
        part="door", what=what, value=seen["per_second"], store=store, note=note,
        more={name: seen[name] for name in _MORE},
    )  # fmt: skip


def ministry(port: int) -> dict[str, int]:
    """What the sink at *port* says it has done."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=10) as answer:
        told: dict[str, int] = json.loads(answer.read())
    return told


def _checked(place: Place, made: _Made, at: int) -> None:
    """A good decision is taken and a bad one refused, or there is nothing to measure."""
    request, agent = made[at]
    body = json.loads(cases.decision(at))
    spoilt = json.loads(cases.decision(at))
    spoilt["correction"]["document"]["number"] = ""
    status, told = _posted(place, made[at + 1][0], agent, json.dumps(spoilt).encode())
    if not 400 <= status < 500:
        raise RuntimeError(f"a bad request was answered with {status}")
    status, told = _posted(place, request, agent, json.dumps(body).encode())
    if status != 200 or told.get("outcome") != "taken":
        raise RuntimeError(f"a good request was answered with {status}: {told.get('code')}")


def _posted(place: Place, request: UUID, agent: str, body: bytes) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=30)
    connection.request("POST", f"/v1/requests/{request}/decisions", body, {
        "Authorization": f"Bearer {place.keys[agent]}", "Content-Type": "application/json",
        "Idempotency-Key": f"check-{request.hex}", "Prefer": "wait=10",
    })  # fmt: skip
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told
