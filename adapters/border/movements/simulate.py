"""A border post, played: who holds a printed visa crosses as the season's plan says, and every evening's file tells."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from hub.canonical.messages.border import BorderMovement, MovementFile
from hub.simulate.plan import Travels
from hub.simulate.script import Item, Say, World, following

#: The hour, UTC, of a post's daily file, and that of the carriers' lists that come with it.
FILE_HOUR, LIST_HOUR = 18, 12
_DAY = timedelta(days=1)


class _Crossing(NamedTuple):
    outcome: str
    at: datetime
    told: datetime
    post: str
    port: str


def noted(world: World, kind: str, key: str, facts: Mapping[str, Any]) -> None:
    travels = world.plan.traveller(key) if kind == "visa" else None
    if travels is None or travels.enters <= world.now:
        return
    for crossing in _crossings(travels):
        if crossing.told > world.now:
            world.later(
                crossing.post, "move", f"{key} {crossing.outcome} {crossing.at.isoformat()}", at=crossing.told,
                traveller=key, outcome=crossing.outcome, happened=crossing.at.isoformat(), port=crossing.port,
                carrier=travels.carrier, **facts,
            )  # fmt: skip


def _crossings(travels: Travels) -> Iterator[_Crossing]:
    fate, enters, leaves = travels.fate, travels.enters, travels.leaves

    def listed(outcome: str, day: date) -> _Crossing:
        at = datetime.combine(day, time(LIST_HOUR), UTC)
        return _Crossing(outcome, at, _evening(at), *travels.way_in)

    if fate == "never_travels":
        return
    if fate == "no_show_then_enters":
        yield listed("expected", (enters - 3 * _DAY).date())
        yield listed("no_show", (enters - 2 * _DAY).date())
    yield listed("expected", (enters - _DAY).date())
    yield _Crossing("turned_back" if fate == "turned_back" else "entered", enters, _evening(enters), *travels.way_in)
    if leaves is not None and fate not in ("turned_back", "deceased"):
        outcome = "deported" if fate == "overstays_reported_deported" else "exited"
        yield _Crossing(outcome, leaves, _evening(travels.told or leaves), *travels.way_out)


def _evening(moment: datetime) -> datetime:
    """The first file that a movement at *moment* can stand in."""
    return following(moment - timedelta(seconds=1), FILE_HOUR)


def due(world: World, partner: str, task: str, items: list[Item]) -> Iterable[Say]:
    crossed = [item.facts for item in items if _still_travels(world, item)]
    lines = [_line(world, facts) for facts in crossed]
    if not lines:
        return
    # As the desks of the hall are emptied, not as people came.
    lines.sort(key=lambda line: world.chance.number(20, partner, line.document_no))
    sequence = world.number(partner, "receive_movements")
    planned: tuple[tuple[str, str], ...] = ()
    if world.wild(partner, "movement", sequence):
        lines.append(_stranger(world, partner, sequence, lines[0].port))
        planned = ((str(len(lines)), "unknown_person"),)
    yield Say(
        operation="receive_movements",
        message=MovementFile(port=lines[0].port, sequence=sequence, created_on=world.now.date(), lines=lines),
        sequence=sequence,
        facts={"moved": [[facts["traveller"], facts["outcome"]] for facts in crossed]},
        planned=planned,
    )


def _still_travels(world: World, item: Item) -> bool:
    """The plan may have changed since the visa was printed: some stay at home after all."""
    travels = world.plan.traveller(item.facts["traveller"])
    return travels is not None and travels.fate != "never_travels"


def _line(world: World, facts: Mapping[str, Any]) -> BorderMovement:
    outcome = facts["outcome"]
    crossed = outcome not in ("expected", "no_show")
    return BorderMovement(
        outcome=outcome,
        document_no=facts["document_no"],
        issuing_state=facts["issuing_state"],
        visa_no=facts["visa_no"] if crossed else None,
        border_no=world.chance.digits(10, "border", facts["traveller"]) if outcome in ("entered", "exited") else None,
        port=facts["port"],
        happened=datetime.fromisoformat(facts["happened"]),
        carrier=facts["carrier"],
        reason={"turned_back": "DOC01", "deported": "OVS01"}.get(outcome),
    )


def _stranger(world: World, partner: str, sequence: int, port: str) -> BorderMovement:
    """Somebody with another kind of visa, who is none of the hub's business."""
    digits = world.chance.digits(12, partner, "stranger", sequence)
    return BorderMovement(
        outcome="entered", document_no=f"ZZ{digits[:7]}", issuing_state="UTO", visa_no=digits, port=port,
        happened=world.now - timedelta(hours=2),
    )  # fmt: skip
