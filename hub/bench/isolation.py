"""Whether one partner's trouble is felt by the others, and whether a long queue is felt by anybody.

The ministry is played by two partners that serve different missions.  The pilgrims of one mission have trouble: their
partner is gone, or takes seconds over each call, or has a flood of work waiting; those of the others ask for their
references at the door meanwhile, at a steady pace that leaves the machine idle for most of its time.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from hub.bench import cases, load
from hub.bench.engine import settled_in
from hub.bench.figure import Figure, missing
from hub.bench.place import ADAPTER, AGENTS, ASKS, AT_ONCE, MINISTRY, Place, edited, limits, one_a_call
from hub.bench.postgres import Server, empty
from hub.bench.process import Child
from hub.store.tables import exchange_subject

#: Requests a second of those who are well and of those who have trouble, and what their p99 may rise by, in per cent.
PACE, TROUBLED, RISE = 100.0, 50.0, 20.0
#: Seconds that a slow partner takes over a call; subjects that a flood begins with.
SLOW, FLOOD = 5.0, 30_000
WARM = 2.0
#: The flood of a partner that takes more than this machine can send: told, and nothing asked of it.
FASTER = "flooding faster than the machine"
#: Subjects that wait while the cost of claiming is measured, and how much of the rate with few must be left.
BACKLOG, FLAT = 1_000_000, 0.8


def all_of(folder: Path, store: str, server: Server | None, seconds: float) -> Iterator[Figure]:
    yield from isolated(folder, store, server, seconds)
    yield from flat(folder, store, server, min(seconds, 4.0))


def isolated(folder: Path, store: str, server: Server | None, seconds: float) -> Iterator[Figure]:
    """The p99 of those who are well, without trouble and beside each kind of it."""
    well: float | None = None
    for trouble in ("none", "down", "slow", "flooding", FASTER):
        with empty(store, server) as url:
            seen = _beside(folder / f"{store}-{trouble.replace(' ', '-')}", url, trouble, seconds)
        what = f"{PACE:.0f} a second at the door, another partner {'well' if trouble == 'none' else trouble}"
        if seen["lacking"]:
            yield missing("isolation", what, "the answers hold no reference number", store=store, unit="ms")
            return
        note = f"p50 {seen['p50_ms']} ms, {seen['non2xx']} not 2xx"
        yield Figure(
            part="isolation", what=f"{what}: p99", value=seen["p99_ms"], unit="ms", store=store, note=note, more=seen
        )
        if trouble == "none":
            well = seen["p99_ms"]
        elif well:
            yield Figure(
                part="isolation", what=f"rise of the others' p99 while a partner is {trouble}", unit="%", store=store,
                value=round((seen["p99_ms"] / well - 1) * 100, 1), bar=None if trouble == FASTER else RISE,
            )  # fmt: skip


def _beside(folder: Path, url: str | None, trouble: str, seconds: float) -> dict[str, Any]:
    """One run of the steady load on the others while the first agent's partner has *trouble*."""
    count, troubled = int((WARM + seconds) * PACE) + 1, int((WARM + seconds) * TROUBLED) + 1
    with contextlib.ExitStack() as held:
        healthy = held.enter_context(Child("hub.bench.sink", log=folder.with_suffix(".sink.log")))
        port = healthy.told()["port"]
        theirs = 1 if trouble == "down" else port
        if trouble == "slow":
            slow = held.enter_context(
                Child("hub.bench.sink", "--delay", str(SLOW), log=folder.with_suffix(".slow.log"))
            )
            theirs = slow.told()["port"]
        place = Place.make(
            folder, store=url, ministry=f"http://127.0.0.1:{theirs}/",
            other=f"http://127.0.0.1:{port}/", edit=_unlimited if trouble == FASTER else _two_ministries,
        )  # fmt: skip
        others = place.write(count, agents=AGENTS[1:])
        first = place.write(troubled, count, agents=AGENTS[:1])
        if "flooding" in trouble:
            place.write(FLOOD, count + troubled, due=True, agents=AGENTS[:1])
        load.pack(folder / "others", cases.requests(others, place.keys, wait=True))
        load.pack(folder / "first", cases.requests(first, place.keys, wait=False, first=count))
        with place.hubs():
            plan = load.Plan(
                ports=(place.port,), requests=str(folder / "others"), expect='"reference_no":"', seconds=seconds,
                warm=WARM, pace=PACE,
            )  # fmt: skip
            beside = load.Plan(
                ports=(place.port,), requests=str(folder / "first"), expect='"outcome":"taken"', seconds=seconds,
                warm=WARM, pace=TROUBLED, connections=4,
            )  # fmt: skip
            thread = threading.Thread(target=load.run, args=(beside,))
            thread.start()
            seen = load.run(plan)
            thread.join()
        return seen


def _two_ministries(adapters: Path) -> None:
    """The first agent's mission is served by the ministry as it stands, the others by another.  One a call."""
    with edited(adapters / ADAPTER / "adapter.yaml") as manifest:
        manifest["operations"][ASKS]["to"] = "request.mission"
        manifest["operations"][ASKS]["batch"]["max"] = 1
    with edited(adapters / "mofa" / "partners.yaml") as rows:
        missions = [code for row in rows for code in row.get("serves", {}).get("mission", ())]
        (ministry,) = [row for row in rows if row["id"] == MINISTRY]
        rows.append({**ministry, "id": "mofa_visa_2", "endpoint": "${OTHER_URL}", "serves": {"mission": missions[1:]}})
        ministry["serves"] = {"mission": missions[:1]}


def _unlimited(adapters: Path) -> None:
    """The same, and the ministry of the first agent takes all that the hub can send."""
    _two_ministries(adapters)
    limits(adapters, concurrency=AT_ONCE, per_second=100_000)


def flat(folder: Path, store: str, server: Server | None, seconds: float) -> Iterator[Figure]:
    """The drain's rate with a million subjects waiting, beside its rate with few."""
    rates: list[float] = []
    for waiting in (0, BACKLOG):
        with empty(store, server) as url:
            rate, count = _draining(folder / f"{store}-backlog-{waiting}", url, waiting, seconds)
        rates.append(rate)
        yield Figure(part="isolation", what=f"drain with {count:,} waiting", value=rate, store=store)
    if rates[0]:
        yield Figure(
            part="isolation", what="drain with 1,000,000 waiting / with few", unit="×", store=store, bar=FLAT,
            value=round(rates[1] / rates[0], 2),
        )  # fmt: skip


def _draining(folder: Path, url: str | None, waiting: int, seconds: float) -> tuple[float, int]:
    place = Place.make(folder, store=url, ministry="http://127.0.0.1:1/", edit=one_a_call)
    place.write(int((seconds + 2) * 3_000), due=True)
    if waiting:
        place.crowd(waiting)
    ((there,),) = place.rows(select(func.count()).select_from(exchange_subject))
    with place.worker("drain") as worker:
        worker.told()
        return settled_in(place, [worker], seconds)["rate"], there
