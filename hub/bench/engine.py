"""The engine behind the door: draining a backlog, with partners and without, by one process and by two.

A backlog is written before anybody works, as large as no run empties it.  Rates are of the rows themselves: exchanges
settled between the moment when every worker was ready and the end of the run, by the time that stands in their rows.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from hub.bench.door import ministry
from hub.bench.figure import Figure
from hub.bench.place import ASKS, Edit, Place, limits, one_a_call
from hub.bench.postgres import Server, empty
from hub.bench.process import Child
from hub.store.tables import exchange, exchange_subject

#: What is asked, on PostgreSQL, of exchanges a second: of one worker that claims and settles and does nothing else, of
#: one without a partner, and of two with one that is called; how many times one worker's rate two come to; and after
#: how many milliseconds a waiting one is taken up.
CLAIMED, DRAIN, CALLED, TWO, PICKED_UP = 10_000, 2_000, 2_000, 1.7, (5.0, 20.0)
#: Seconds for which a worker runs before it is measured, and cases that are made for a second of one worker's work.
WARM, EXPECTED = 1.0, 3_000
#: Exchanges that wait for a second of claiming and settling alone.
CLAIMS = 20_000
#: Seconds that the slow partner takes over a call, and how many it takes of each worker at once.
SLOW, SLOTS = 0.05, 8
#: Requests whose pick-up is timed.
PICKED = 300


def all_of(folder: Path, store: str, server: Server | None, seconds: float) -> Iterator[Figure]:
    """Every part on *store*; those of two workers where two may share it."""
    yield from claimed(folder, store, server, seconds)
    yield from drained(folder, store, server, seconds)
    yield from called(folder, store, server, seconds)
    yield from scaled(folder, store, server, seconds)
    yield from picked_up(folder, store, server)


def drained(folder: Path, store: str, server: Server | None, seconds: float) -> Iterator[Figure]:
    """The whole of delivery but the wire: map, sealing, journey, history, audit, with a channel that answers itself."""
    what = "drain without a partner"
    both = {}
    for workers in _workers(store):
        seen = _run(folder, store, server, "drain", workers, seconds, one_a_call)
        both[workers] = seen["rate"]
        yield Figure(
            part="engine", what=f"{what}, one a call, {_said(workers)}", value=seen["rate"], store=store, more=seen,
            bar=DRAIN if store == "postgres" and workers == 1 else None, note=_note(seen),
        )  # fmt: skip
    yield from _twice(what, store, both)
    seen = _run(folder, store, server, "drain", 1, seconds, None)
    yield Figure(
        part="engine", what=f"{what}, up to 25 a call, one worker: subjects", value=seen["subjects"], store=store,
        more=seen, note=_note(seen),
    )  # fmt: skip


def claimed(folder: Path, store: str, server: Server | None, seconds: float) -> Iterator[Figure]:
    """Claiming and settling alone, in the groups in which the dispatcher does both, a commit each."""
    count = int(seconds * CLAIMS)
    with empty(store, server) as url:
        place = Place.make(folder / f"{store}-claims", store=url, ministry="http://127.0.0.1:1/")
        place.frozen(count)
        with Child(
            "hub.bench.claims", str(place.file), str(seconds), log=place.folder / "claims.log", env=place.env
        ) as one:
            told = one.told()
        ((settled,),) = place.rows(select(func.count()).select_from(exchange).where(exchange.c.state == "settled"))
    note = f"{told['cpu_us']} µs of CPU each"
    if settled != told["settled"]:
        note = f"COUNTS DIFFER ({settled} in the rows, {told['settled']} told); {note}"
    yield Figure(
        part="engine", what="claimed and settled, nothing else, one worker", store=store, note=note, more=told,
        value=round(told["settled"] / told["seconds"], 1), bar=CLAIMED if store == "postgres" else None,
    )  # fmt: skip


def called(folder: Path, store: str, server: Server | None, seconds: float) -> Iterator[Figure]:
    """The same with a partner that is called over HTTP, one application a call."""
    for workers in _workers(store):
        seen = _run(folder, store, server, "call", workers, seconds, one_a_call)
        yield Figure(
            part="engine", what=f"drain to an HTTP partner, one a call, {_said(workers)}", value=seen["rate"],
            store=store, more=seen, bar=CALLED if store == "postgres" and workers == 2 else None, note=_note(seen),
        )  # fmt: skip


def scaled(folder: Path, store: str, server: Server | None, seconds: float) -> Iterator[Figure]:
    """A partner that takes its time over each call: each worker brings slots of its own."""
    both = {}
    for workers in _workers(store):
        seen = _run(folder, store, server, "call", workers, seconds, _slow, delay=SLOW, expected=SLOTS / SLOW)
        both[workers] = seen["rate"]
        yield Figure(
            part="engine", what=f"drain to a partner of {SLOW * 1000:.0f} ms, {SLOTS} slots each, {_said(workers)}",
            value=seen["rate"], store=store, more=seen, note=_note(seen),
        )  # fmt: skip
    yield from _twice(f"drain to a partner of {SLOW * 1000:.0f} ms", store, both)


def picked_up(folder: Path, store: str, server: Server | None) -> Iterator[Figure]:
    """How long after its commit a request is about to be sent, when nothing else waits: by the process that committed
    it and, where another may, by another."""
    ways = [("by the same process", ("pickup",)), ("by another process", ("heard", "tell"))]
    for how, roles in ways[: 1 if store == "sqlite" else 2]:
        with empty(store, server) as url:
            place = Place.make(folder / f"{store}-{roles[0]}", store=url, ministry="http://127.0.0.1:1/")
            place.write(PICKED)
            told: dict[str, dict[str, float]] = {"committed": {}, "heard": {}}
            with contextlib.ExitStack() as held:
                workers = []
                for role in roles:
                    one = held.enter_context(place.worker(role, str(PICKED), name=role))
                    one.told()
                    workers.append(one)
                for one in workers:
                    for name, found in one.told().items():
                        told[name] |= found
        took = sorted((told["heard"][n] - at) * 1000 for n, at in told["committed"].items() if n in told["heard"])
        lost = PICKED - len(took)
        for share, bar in zip((0.5, 0.99), PICKED_UP, strict=True):
            yield Figure(
                part="engine", what=f"taken up after its commit, {how}, p{share * 100:.0f}", unit="ms", store=store,
                value=round(took[int(share * len(took))], 2) if took else None, bar=bar,
                note=f"{lost} of {PICKED} never" if lost else f"{PICKED} one after the other",
            )  # fmt: skip


def _workers(store: str) -> tuple[int, ...]:
    """How many processes may drain one store."""
    return (1,) if store == "sqlite" else (1, 2)


def _said(workers: int) -> str:
    return "one worker" if workers == 1 else "two workers"


def _twice(what: str, store: str, both: dict[int, float]) -> Iterator[Figure]:
    if len(both) == 2 and both[1]:
        yield Figure(
            part="engine", what=f"{what}: two workers / one", value=round(both[2] / both[1], 2), unit="×", store=store,
            bar=TWO,
        )  # fmt: skip


def _note(seen: dict[str, Any]) -> str:
    note = f"{seen['a_call']} a call, {seen['cpu_us']} µs of CPU each"
    if not seen["equal"]:
        note = f"COUNTS DIFFER ({seen['asked']} asked, {seen['frozen']} sent); {note}"
    return f"{note}; the backlog ran out" if seen["ran_out"] else note


def _slow(adapters: Path) -> None:
    one_a_call(adapters)
    limits(adapters, concurrency=SLOTS, per_second=100_000)


def _run(
    folder: Path, store: str, server: Server | None, role: str, workers: int, seconds: float, edit: Edit | None,
    *, delay: float = 0.0, expected: float = EXPECTED,
) -> dict[str, Any]:  # fmt: skip
    """A backlog drained for *seconds* by so many *workers*: exchanges and subjects settled a second, and what for."""
    count = int((WARM + seconds + 1) * expected * workers * (3 if edit is None else 1))
    short = f"{store}-{role}-{workers}-{time.monotonic_ns()}"
    with empty(store, server) as url, contextlib.ExitStack() as held:
        sink = held.enter_context(Child("hub.bench.sink", "--delay", str(delay), log=folder / f"{short}.sink.log"))
        port = sink.told()["port"]
        place = Place.make(folder / short, store=url, ministry=f"http://127.0.0.1:{port}/", edit=edit)
        place.write(count, due=True)
        running = [held.enter_context(place.worker(role, name=f"worker-{n}")) for n in range(workers)]
        for one in running:
            one.told()
        seen = settled_in(place, running, seconds)
        asked = ministry(port)["effects"] if role == "call" else None
        return {**seen, "backlog": count, "asked": asked, "workers": workers, **_equal(place, asked)}


def settled_in(place: Place, running: Sequence[Child], seconds: float) -> dict[str, Any]:
    """What the *running* workers settle in so many seconds, as the rows have it; they are ended with it."""
    time.sleep(WARM)
    began, cpu = time.time(), sum(one.seconds() for one in running)
    time.sleep(seconds)
    ended, cpu = time.time(), sum(one.seconds() for one in running) - cpu
    for one in running:
        one.stop()
    settled = (exchange.c.operation == ASKS) & (exchange.c.state == "settled")
    at = exchange.c.settled_at
    ((done, last),) = place.rows(select(func.count(), func.max(at)).where(settled))
    ((exchanges, subjects),) = place.rows(
        select(func.count(), func.coalesce(func.sum(exchange.c.subjects), 0))
        .where(settled, at >= int(began * 1e6), at < int(ended * 1e6))
    )  # fmt: skip
    ((left,),) = place.rows(_subjects(exchange_subject.c.state == "open"))
    spent = max(0.001, (min(last or 0, ended * 1e6) / 1e6 if not left else ended) - began)
    return {
        "rate": round(exchanges / spent, 1), "subjects": round(int(subjects) / spent, 1), "seconds": round(spent, 2),
        "settled": done, "a_call": round(int(subjects) / exchanges, 1) if exchanges else None,
        "ran_out": not left, "cpu_us": round(cpu / max(1, int(subjects)) * 1e6),
    }  # fmt: skip


def _equal(place: Place, asked: int | None) -> dict[str, Any]:
    """Whether the partner was asked about each subject that was frozen, and about no other.

    A worker that is ended has some on their way, of which the next would ask; they are frozen and may have been asked.
    """
    ((frozen,),) = place.rows(_subjects(exchange_subject.c.exchange_id.is_not(None)))
    ((done,),) = place.rows(_subjects(exchange_subject.c.state == "done"))
    return {"frozen": frozen, "equal": asked is None or done <= asked <= frozen}


def _subjects(where: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).select_from(exchange_subject).where(exchange_subject.c.operation == ASKS, where)
