"""The hub at its own public door: a decision in, checked, asked of the ministry in SOAP, its reference number back.

Each request is ``POST /v1/requests/<id>/decisions`` with twenty-five JSON fields under a key of its own, on a case
whose data the ministry wanted.  What it causes is all of the product: the message kept and sealed, the case moved and
sealed, history, audit, the call, its answer kept, and the pilgrim put on the mission's print list, which is written
meanwhile.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from hub.bench import cases, load
from hub.bench.figure import Figure, missing
from hub.bench.place import Edit, Place, one_a_call
from hub.bench.postgres import Server, empty
from hub.bench.process import Child
from hub.canonical.ids import new_id

#: Cases are made for so many answers a second; a hub that is faster is measured until they are used up.
EXPECTED = 2_500
WARM = 3.0
#: Seconds after a run within which everything accepted must have reached the ministry.
DRAINED = 60.0


def all_of(folder: Path, store: str, server: Server | None, seconds: float) -> Iterator[Figure]:
    """Both ways of asking on *store*, each on an empty one of its own; *server* is where databases are made."""
    ways: list[tuple[str, Edit | None, int]] = [("up to 25 a call", None, 1), ("one a call", one_a_call, 1)]
    if store == "postgres":
        ways.append(("up to 25 a call, two hubs at one port", None, 2))
    for number, (how, edit, hubs) in enumerate(ways):
        with empty(store, server) as url:
            yield from measured(folder / f"{store}-{number}", store, url, seconds, how, edit, hubs)


def measured(
    folder: Path, store: str, url: str | None, seconds: float, how: str, edit: Edit | None, hubs: int
) -> Iterator[Figure]:
    """End to end, then accepting alone, by so many hubs on one store."""
    with Door.open(folder, url, int(2 * (WARM + seconds) * EXPECTED), edit, hubs) as door:
        what = f"end to end, {how}"
        waited = door.run(seconds, WARM, wait=True)
        if waited["lacking"]:
            why = f"{waited['lacking']:,} of {waited['answered']:,} answers hold no reference number"
            yield missing("door", what, why, store=store)
        else:
            yield _figure(what, store, waited)
        yield _figure(f"accepted, {how}", store, door.run(seconds, WARM, wait=False))


class Door:
    """A hub that is up, with its ministry and with cases that are still to be decided."""

    def __init__(self, place: Place, hubs: Sequence[Child], sink: int, made: Sequence[tuple[UUID, str]]) -> None:
        self.place, self._hubs, self._sink = place, hubs, sink
        self._made, self._next = made, 0

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path, url: str | None, count: int, edit: Edit | None = None, hubs: int = 1) -> Iterator[Self]:
        """So many *hubs* on the store at *url*, None for SQLite, with *count* cases.

        Raises RuntimeError where it does not take a good decision, or takes a bad one: nothing is to be measured then.
        """
        with Child("hub.bench.sink", log=folder.with_suffix(".sink.log")) as sink:
            port = sink.told()["port"]
            place = Place.make(folder, store=url, ministry=f"http://127.0.0.1:{port}/visa", edit=edit)
            made = place.write(count + 1)
            with place.hubs(hubs) as serving:
                _checked(place, *made[-1], count)
                _reached(port, 1)
                yield cls(place, serving, port, made[:-1])

    def run(self, seconds: float, warm: float, *, wait: bool) -> dict[str, Any]:
        """One run of the load, with what the ministry counted of it and what it cost the hub."""
        first, path = self._next, self.place.folder / "requests"
        most = int((warm + seconds) * EXPECTED)
        some = cases.requests(self._made[first : first + most], self.place.keys, wait=wait, first=first)
        load.pack(path, some)
        before, cpu = ministry(self._sink), self._cpu()
        seen = load.run(load.Plan(
            ports=(self.place.port,), requests=str(path), seconds=seconds, warm=warm,
            expect='"reference_no":"' if wait else '"outcome":"taken"',
        ))  # fmt: skip
        path.unlink()
        # Each is decided once: what this run did not come to is left for the next.
        self._next += seen["sent"]
        good = seen["good"] + seen["lacking"]
        ended = time.monotonic()
        after = _reached(self._sink, before["subjects"] + good)
        asked, calls, effects = (after[name] - before[name] for name in ("subjects", "calls", "effects"))
        return {
            **seen, "drained_s": round(time.monotonic() - ended, 2), "asked": asked, "calls": calls,
            "a_call": round(asked / calls, 1) if calls else None,
            "cpu_us": round((self._cpu() - cpu) / max(1, good) * 1e6),
            # Nothing refused, and the ministry was asked about each of them, once.
            "errors": sum(hub.log.read_text("utf-8").count('"level":"error"') for hub in self._hubs),
            "equal": not seen["non2xx"] and not seen["broken"] and asked == effects == good,
        }  # fmt: skip

    def _cpu(self) -> float:
        return sum(hub.seconds() for hub in self._hubs)


_MORE = (
    "p50_ms", "p90_ms", "p99_ms", "max_ms", "measured", "answered", "non2xx", "broken", "asked", "calls", "a_call",
    "cpu_us", "drained_s", "errors", "busy", "ran_out", "equal", "first_bad",
)  # fmt: skip


def _figure(what: str, store: str, seen: dict[str, Any]) -> Figure:
    note = f"p50 {seen['p50_ms']} ms, p99 {seen['p99_ms']} ms, {seen['a_call']} a call, {seen['cpu_us']} µs of CPU each"
    if seen["errors"]:
        note = f"{seen['errors']} ERRORS in the hub's log; {note}"
    if not seen["equal"]:
        note = f"COUNTS DIFFER ({seen['asked']} asked, {seen['good']} good, {seen['non2xx']} not 2xx); {note}"
    return Figure(
        part="door", what=what, value=seen["per_second"], store=store, note=note,
        more={name: seen[name] for name in _MORE},
    )  # fmt: skip


def _reached(sink: int, subjects: int) -> dict[str, int]:
    """What the ministry has done when it was asked about so many, or when it was waited for long enough."""
    until = time.monotonic() + DRAINED
    while (told := ministry(sink))["subjects"] < subjects and time.monotonic() < until:
        time.sleep(0.02)
    return told


def ministry(port: int) -> dict[str, int]:
    """What the sink at *port* says it has done."""
    told: dict[str, int] = json.loads(load.once(port, load.get("/count"))[1])
    return told


def _checked(place: Place, request: UUID, agent: str, number: int) -> None:
    good = cases.decision(number)
    bad = json.loads(good)
    bad["correction"]["document"]["number"] = ""
    status, told = _posted(place, request, agent, json.dumps(bad).encode())
    if not 400 <= status < 500:
        raise RuntimeError(f"a bad request was answered with {status}")
    status, told = _posted(place, request, agent, good)
    if status != 200 or told.get("outcome") != "taken":
        raise RuntimeError(f"a good request was answered with {status}: {told.get('code')}")


def _posted(place: Place, request: UUID, agent: str, body: bytes) -> tuple[int, dict[str, Any]]:
    status, told = load.once(place.port, load.post(f"/v1/requests/{request}/decisions", body, [
        ("Authorization", f"Bearer {place.keys[agent]}"), ("Content-Type", "application/json"),
        ("Idempotency-Key", new_id().hex), ("Prefer", "wait=10"),
    ]))  # fmt: skip
    return status, json.loads(told)
