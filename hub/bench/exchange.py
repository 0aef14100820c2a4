"""``hub bench exchange``: the engine from its door to its partner, beside this machine's limits and other systems."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hub import settings
from hub.bench import crowd, door, engine, isolation, limits, peers, postgres, settlement
from hub.bench.figure import Figure, missing
from hub.bench.process import Died
from hub.partners import RegisterFaults

#: The parts there are, in the order in which they are measured.
PARTS = ("limits", "door", "engine", "isolation", "files", "peers")
STORES = ("sqlite", "postgres")


def run(
    *, stores: Sequence[str], seconds: float, only: Sequence[str] = (), told: Callable[[Figure], None]
) -> list[Figure]:
    """Measure *only* those parts, or all, on *stores*; each run under load lasts *seconds*.

    *told* hears each figure when there is one.
    """
    figures: list[Figure] = []
    with _folder() as folder:
        for figure in _measured(folder, tuple(stores), seconds, tuple(only) or PARTS):
            figures.append(figure)
            told(figure)
    return figures


def at_the_door(*, stores: Sequence[str], seconds: float, agents: int, told: Callable[[Figure], None]) -> list[Figure]:
    """Measure what the door takes in, with so many *agents*; each run under load lasts *seconds*."""
    figures: list[Figure] = []
    with _folder() as folder, contextlib.ExitStack() as held:
        for store in stores:
            server = None
            try:
                server = held.enter_context(postgres.server(folder)) if store == "postgres" else None
            except postgres.NoPostgres as none:
                figures.append(missing("accepting", "PostgreSQL", str(none), store=store))
                continue
            for figure in _told("accepting", store, crowd.measured(folder, store, server, seconds, agents)):
                figures.append(figure)
                told(figure)
    return figures


def _measured(folder: Path, stores: tuple[str, ...], seconds: float, parts: tuple[str, ...]) -> Iterator[Figure]:
    with contextlib.ExitStack() as held:
        server, why = None, ""
        if "postgres" in stores:
            try:
                server = held.enter_context(postgres.server(folder))
            except postgres.NoPostgres as none:
                why = str(none)
        there = tuple(store for store in stores if store != "postgres" or server)
        if "limits" in parts:
            yield from limits.all_of(folder, server.url if server else None, why, stores, min(seconds, 3.0))
        elif why:
            yield missing("limits", "PostgreSQL", why, store="postgres")
        for part, measure in (("door", door.all_of), ("engine", engine.all_of), ("isolation", isolation.all_of)):
            for store in there if part in parts else ():
                yield from _told(part, store, measure(folder, store, server, seconds))
        if "files" in parts:
            yield from _files()
        if "peers" in parts:
            yield from _told("peers", None, peers.all_of(folder, there, server, seconds))


def _files() -> Iterator[Figure]:
    """Large files staged: read, checked, mapped and stored as typed, sealed rows, before a case is told."""
    for told in settlement.measure():
        waits = told["others_wait_ms"]
        yield Figure(
            part="files", what=f"{told['what']}, staged", value=told["per_second"], bar=settlement.RATE, more=told,
            store="sqlite", note=f"{told['megabytes']} MB; others wait p50 {waits['p50']} ms, p99 {waits['p99']} ms",
        )  # fmt: skip


def _told(part: str, store: str | None, figures: Iterator[Figure]) -> Iterator[Figure]:
    """*figures*, and what kept the rest of them from being measured: the other parts are measured all the same."""
    try:
        yield from figures
    except (Died, RuntimeError, RegisterFaults) as error:
        yield missing(part, "the rest of it", str(error), store=store)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder on the disk on which the hub keeps its own store: what is durable elsewhere costs something else."""
    folder = settings.load(None).var / f"bench-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_json(figures: Sequence[Figure], seconds: float) -> dict[str, Any]:
    """The run as a document: where, when, and every figure."""
    return {
        "cores": os.cpu_count(), "seconds": seconds, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "load": [round(one, 2) for one in os.getloadavg()], "figures": [figure.as_json() for figure in figures],
    }  # fmt: skip
