"""A road carrier, played: a trip is booked at once, and told when it has run."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta

from hub.canonical.messages.transport import ManifestRow, TripManifest, TripStatus, TripStatuses
from hub.simulate.script import Decision, Item, Say, World, following

#: A vehicle leaves early, or an hour after those who ride it have come into the Kingdom.
LEAVES, AFTER_ENTRY, TAKES = time(4, 30, tzinfo=UTC), timedelta(hours=1), timedelta(minutes=75)
#: The hour, UTC, at which a carrier tells what has run.
TOLD = 6


def received(
    world: World, partner: str, operation: str, message: TripManifest, decided: Mapping[str, Decision]
) -> None:
    trips: dict[str, list[ManifestRow]] = {}
    for row in message.rows:
        if row.key in decided:
            trips.setdefault(row.key, []).append(row)
    for key, rows in trips.items():
        decision = decided[key]
        said = {name: decision[name] for name in ("outcome", "brn", "plate", "reason") if name in decision}
        world.later(partner, "booked", key, wait=0.2, key=key, happened=decision["at"], **said)
        if decision["outcome"] != "booked":
            continue
        leaves = _leaves(world, rows)
        world.later(
            partner, "trip", key, at=following(leaves + TAKES, TOLD), key=key, leaves=leaves.isoformat(),
            plate=decision["plate"], riders=[row.issuing_state + row.document_no for row in rows],
        )  # fmt: skip


def _leaves(world: World, rows: list[ManifestRow]) -> datetime:
    day = rows[0].departs_on
    plans = (world.plan.traveller(row.issuing_state + row.document_no) for row in rows)
    comes = [plan.enters for plan in plans if plan is not None and plan.stays and plan.enters.date() == day]
    return min(comes) + AFTER_ENTRY if comes else datetime.combine(day, LEAVES)


def due(world: World, partner: str, task: str, items: list[Item]) -> Iterable[Say]:
    rows = [row for item in items for row in (_booked(item) if task == "booked" else _ran(world, item))]
    if rows:
        sequence = world.number(partner, "receive_status")
        yield Say(operation="receive_status", message=TripStatuses(rows=rows), sequence=sequence)


def _booked(item: Item) -> list[TripStatus]:
    return [TripStatus(**{**item.facts, "happened": datetime.fromisoformat(item.facts["happened"])})]


def _ran(world: World, item: Item) -> list[TripStatus]:
    """A vehicle that nobody came to ride has not left."""
    facts = item.facts
    leaves = datetime.fromisoformat(facts["leaves"])
    for key in facts["riders"]:
        travels = world.plan.traveller(key)
        if travels is not None and travels.inside(leaves) and world.noted("visa", key) is not None:
            return [
                TripStatus(key=facts["key"], outcome=outcome, happened=happened, plate=facts["plate"])
                for outcome, happened in (("started", leaves), ("ended", leaves + TAKES))
            ]
    return []
