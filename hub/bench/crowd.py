"""The door with all agents at it: accepting alone, and what one agent's flood is to six thousand others.

Accepting is one commit: the message sealed, its key, the case moved, what is to be sent, history and audit.  Nothing is
sent meanwhile where the store lets another process do that.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hub.bench import cases, load
from hub.bench.figure import Figure
from hub.bench.place import Edit, Place
from hub.bench.postgres import Server, empty

#: Decisions a second that are accepted at sixteen connections, and milliseconds for all but one of a hundred.
ACCEPTED, P99 = 900.0, 60.0
#: Agents, their calls a second together, and what the 95 of a hundred may rise by beside a flood, in per cent.
AGENTS, PACE, RISE = 6_000, 100.0, 20.0
#: Calls a second that one agent may make, and connections from which one makes as many as it can.
ALLOWED, FLOOD = 20, 8
WARM = 2.0
#: Partners that share a file: one may not be long without end.
ROWS = 1_000
#: Cases are made for so many answers a second.
EXPECTED = 2_500


def measured(folder: Path, store: str, server: Server | None, seconds: float, agents: int) -> Iterator[Figure]:
    """Both, on *store*, each on an empty one of its own; *server* is where databases are made."""
    with empty(store, server) as url:
        yield from _accepting(folder / f"{store}-accepting", store, url, seconds)
    yield from _crowded(folder, store, server, seconds, agents)


def _accepting(folder: Path, store: str, url: str | None, seconds: float) -> Iterator[Figure]:
    place = Place.make(folder, store=url, ministry="http://127.0.0.1:1/")
    made = place.write(int((_warm(seconds) + seconds) * EXPECTED))
    load.pack(folder / "requests", cases.requests(made, place.keys, wait=False))
    with place.hubs(door=url is not None):
        seen = load.run(load.Plan(
            ports=(place.port,), requests=str(folder / "requests"), seconds=seconds, warm=_warm(seconds),
            expect='"outcome":"taken"',
        ))  # fmt: skip
    note = f"p50 {seen['p50_ms']} ms, {seen['non2xx']} not 2xx"
    yield Figure(
        part="accepting", what="16 connections", value=seen["per_second"], store=store, note=note, more=seen,
        bar=ACCEPTED if store == "postgres" else None,
    )  # fmt: skip
    yield Figure(
        part="accepting", what="16 connections: p99", value=seen["p99_ms"], unit="ms", store=store,
        bar=P99 if store == "postgres" else None,
    )  # fmt: skip


def _crowded(folder: Path, store: str, server: Server | None, seconds: float, agents: int) -> Iterator[Figure]:
    calm: float | None = None
    for flood in (False, True):
        with empty(store, server) as url:
            seen = _beside(folder / f"{store}-{'flood' if flood else 'calm'}", url, seconds, agents, flood)
        how = "one of them flooding" if flood else "none of them flooding"
        note = f"{seen['non2xx']} not 2xx"
        note += f"; the flood: {seen['flood']:,} calls, {seen['stopped']:,} told to wait" if flood else ""
        yield Figure(
            part="crowd", what=f"{agents:,} agents, {PACE:.0f} calls a second, {how}: p95", value=seen["p95_ms"],
            unit="ms", store=store, note=note, more=seen,
        )  # fmt: skip
        if flood and calm:
            yield Figure(
                part="crowd", what="rise of the others' p95 beside a flood", unit="%", store=store, bar=RISE,
                value=round((seen["p95_ms"] / calm - 1) * 100, 1),
            )  # fmt: skip
        calm = calm or seen["p95_ms"]


def _beside(folder: Path, url: str | None, seconds: float, agents: int, flood: bool) -> dict[str, Any]:
    """One run of the steady load of all agents but the first, which floods the door or is silent."""
    names = [f"agent_crowd_{number}" for number in range(agents)]
    place = Place.make(
        folder,
        store=url,
        ministry="http://127.0.0.1:1/",
        edit=_joined_by(names),
        agents=names,
        calls_per_second=ALLOWED,
    )
    count = int((_warm(seconds) + seconds) * PACE) + 1
    others = place.write(count, agents=names[1:])
    mine = place.write(50, count, agents=names[:1])
    load.pack(folder / "others", cases.requests(others, place.keys, wait=False))
    load.pack(folder / "mine", cases.requests(mine, place.keys, wait=False, first=count))
    told: dict[str, Any] = {}
    with place.hubs(door=url is not None):
        beside = load.Plan(
            ports=(place.port,), requests=str(folder / "mine"), expect='"outcome"', connections=FLOOD, repeat=True,
            seconds=_warm(seconds) + seconds,
        )  # fmt: skip
        thread = threading.Thread(target=lambda: told.update(load.run(beside)))
        if flood:
            thread.start()
        seen = load.run(load.Plan(
            ports=(place.port,), requests=str(folder / "others"), expect='"outcome":"taken"', seconds=seconds,
            warm=_warm(seconds), pace=PACE,
        ))  # fmt: skip
        if flood:
            thread.join()
    return {**seen, "flood": told.get("sent", 0), "stopped": told.get("non2xx", 0)}


def _warm(seconds: float) -> float:
    """For how long a run of *seconds* is not counted at its beginning."""
    return min(WARM, seconds)


def _joined_by(names: list[str]) -> Edit:
    """As many more agents as *names*, on the terms of the first, who call and leave no files."""

    def edit(adapters: Path) -> None:
        (first, *_) = yaml.safe_load((adapters / "agents" / "partners.yaml").read_text("utf-8"))
        terms = {key: value for key, value in first.items() if key != "endpoint"} | {"adapter": "agents/desk"}
        for start in range(0, len(names), ROWS):
            rows = [{**terms, "id": name} for name in names[start : start + ROWS]]
            family = adapters / f"crowd_{start}"
            family.mkdir()
            (family / "partners.yaml").write_text(json.dumps(rows, ensure_ascii=False), "utf-8")

    return edit
