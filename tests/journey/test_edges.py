"""Every edge of the request's table is walked, and no other; the documentation prints the same tables."""

import re
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest

import hub.journey
from hub.canonical.events import EVENTS
from hub.journey import EDGES, ENDS, NEW, Applied
from hub.journey.graph import ANSWERS
from tests.journey.world import DAY, HOUR, World, arrival

DOC = Path(hub.journey.__file__).parents[2] / "docs" / "journey.md"
CHILD = {"born": date(2015, 1, 1), "companion": 1}
STAGES = ("DRAFT", "SUBMITTED", "ACCEPTED", "SENT_FOR_REFERENCE", "REFERENCE_ISSUED", "AT_MISSION", "VISA_ISSUED",
          "EXPECTED", "INSIDE", "EXITED")  # fmt: skip
# How a request gets where no stage of the straight way leads: from which stage, by which events, after how many days.
DETOURS: dict[str, list[tuple[str, tuple[str, ...], int]]] = {
    "RETURNED": [("SUBMITTED", ("request.returned",), 0)],
    "NEEDS_DATA": [("SENT_FOR_REFERENCE", ("reference.needs_data",), 0)],
    "VISA_LAPSED": [("VISA_ISSUED", (), 40)],
    "LEAVING_SOON": [("INSIDE", (), 86)],
    "OVERSTAYED": [("INSIDE", (), 92)],
    "EXITED_LATE": [("INSIDE", ("pilgrim.exited",), 92)],
    "DEPORTED": [("INSIDE", ("pilgrim.deported",), 3)],
    "DECEASED": [("INSIDE", ("pilgrim.deceased",), 3)],
    "REPORTED_ABSENT": [("INSIDE", ("pilgrim.reported",), 92)],
    "CANCEL_REQUESTED": [
        (stage, ("request.cancelled",), 0)
        for stage in ("SENT_FOR_REFERENCE", "REFERENCE_ISSUED", "AT_MISSION", "VISA_ISSUED", "EXPECTED")
    ],
}


def worlds(state: str) -> list[World]:
    """Every way here in which member 2, a child with member 1 as companion, stands in *state*."""
    if state == NEW:
        world = World(heads=3).open({})
        world.add(2, **CHILD)
        return [world]
    if state == "WAITING_COMPANION":
        return [w for stage in (*STAGES[1:6], "NEEDS_DATA") for w in worlds(stage) if _lose(w)]
    found = []
    for stage, events, days in DETOURS.get(state, [(state, (), 0)]):
        if stage in STAGES:
            world = World(heads=3).to(stage, {}, CHILD, {})
            if days:
                world.tick(max(world.now, arrival()) + days * DAY)
            for name in events:
                world.done(name, 2)
            found.append(world)
    if state == "INSIDE":
        # Long past the allowed stay, but the clock has not spoken.
        found.append(World(heads=3).to("INSIDE", {}, CHILD, {}))
        found[-1].now += 95 * DAY
    return found


def _lose(world: World) -> bool:
    """Let the companion's request end in the way its state allows; whether the child lost its companion by that."""
    for name in ("request.refused", "request.cancelled", "reference.refused", "visa.refused"):
        world.tell(name, 1)
    return world.state(2) == "WAITING_COMPANION"


def walk(world: World, name: str, at: timedelta) -> set[tuple[str, str, str, str]]:
    """The edges that member 2 takes when the event is told."""
    if name == "request.companion_lost":
        _lose(world)
    elif name == "clock.due":
        world.tick((world.member(2).due or world.case.due or world.now) + HOUR)
    elif name in ("request.paid", "reference.requested"):
        for line in ("H1", "H2"):
            world.tell("housing.confirmed", line=line, brn=line)
        for line in ("T1", "T2"):
            world.tell("transport.confirmed", line=line, brn=line)
        world.pay()
    elif name == "request.invoice_expired":
        walk(world, "request.paid", at)
        world.case.voucher.state, world.case.voucher.due = "INVOICE_EXPIRED", world.now
    else:
        if world.state(2) == "WAITING_COMPANION":
            world.member(2).companion = UUID(int=103)
        world.tell(name, 2, at=world.now - at, city="makkah")
    me = UUID(int=102)
    return {("request", t.was, t.now, t.event) for t in world.history if t.id == me}


# Walked as part of another event than their own.
_FOLLOW = {"request.paid", "reference.requested", "request.invoice_expired", "payment.reversed"}


@pytest.mark.parametrize("state", sorted({edge.was for edge in EDGES if edge.machine == "request"} - {"PAID"}))
def test_every_edge_out_of_a_state_is_walked(state):
    wanted = {e[:4] for e in EDGES if e.machine == "request" and e.was == state and e.event not in _FOLLOW}
    taken: set[tuple[str, str, str, str]] = set()
    for name in sorted({edge[3] for edge in wanted}):
        for at in (timedelta(0), 4 * DAY, 30 * DAY):
            for world in worlds(state):
                assert world.state(2) == state
                taken |= {edge for edge in walk(world, name, at) if edge[1] == state}
    assert wanted <= taken, wanted - taken
    assert taken <= {e[:4] for e in EDGES}


FACTS = sorted({e.event for e in EDGES if e.machine == "request"} - _FOLLOW - {"request.companion_lost", "clock.due"})


@pytest.mark.parametrize("state", sorted({edge.was for edge in EDGES if edge.machine == "request"} - {"PAID", NEW}))
def test_nothing_else_moves_a_request(state):
    for world in worlds(state)[:1]:
        for name in FACTS:
            if (state, name) not in ANSWERS:
                result = world.tell(name, 2, city="makkah")
                assert not isinstance(result, Applied), (state, name)
                world.kept.clear()
        assert world.state(2) == state


def test_edges_name_known_events_and_ends_have_no_way_out_but_by_correction():
    assert len(EDGES) == len({edge[:4] for edge in EDGES})
    assert {edge.event for edge in EDGES} <= set(EVENTS)
    for edge in EDGES:
        if edge.machine == "request" and edge.was in ENDS:
            assert edge.corrects or edge.now == edge.was


# -- the documentation -------------------------------------------------------------------------------------------------


def test_the_documentation_prints_these_edges():
    told = set()
    machine = ""
    for line in DOC.read_text("utf-8").splitlines():
        if heading := re.match(r"## The (group|voucher|request)\b", line):
            machine = heading[1]
        elif row := re.match(r"\| `([A-Z_]+)` \| `([a-z_.]+)` \| (.+?) \|$", line):
            for now, corrects in re.findall(r"`([A-Z_]+)`( \(corrects\))?", row[3]):
                told.add((machine, row[1], now, row[2], bool(corrects)))
    assert told == {tuple(edge) for edge in EDGES}


def test_the_documentation_names_every_end_and_every_state():
    text = DOC.read_text("utf-8")
    for state in {edge.now for edge in EDGES} | ENDS:
        assert f"`{state}`" in text
