"""What an adapter's ``simulate.py`` says of its partners that the manifest's data cannot.

It is a module beside the manifest with any of these functions, called within the transaction that keeps what they do::

    def received(world, partner, operation, message, decided): …
        # The hub has sent *message*; *decided* holds the decisions just taken, by our key (not those told before).
    def due(world, partner, task, items) -> Iterable[Say]: …
        # These items of the agenda have come due together.
    def answered(world, partner, operation, facts, answer): …
        # The hub has answered what was said with *facts*; *answer* is the message its reply was read as.
    def noted(world, kind, key, facts): …
        # Some partner, of any adapter, has made something known: a visa stands in a passport.

It may import ``hub.canonical``, this module and the standard library; it opens nothing and asks no other clock.
"""

import importlib.util
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hub.simulate.chance import Chance
from hub.simulate.ledger import Books, Item
from hub.simulate.plan import Plan

__all__ = ["Decision", "Item", "Say", "World", "following"]

Decision = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Something to be told to the hub: a call, or a file with its *sequence* in the partner's gapless numbering.

    *number* is the partner's own business number, told again unchanged until it is acknowledged; a file has its name.
    *after* is the number (of the same partner, as ``(operation, number)``) that must be acknowledged first.  *planned*
    lists what in it is meant to match nothing the hub knows, as (line or "", kind).
    """

    operation: str
    message: Any
    number: str = ""
    sequence: int | None = None
    after: tuple[str, str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    planned: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class World:
    """What a partner's people can know and do.  ``now`` is business time."""

    now: datetime
    chance: Chance
    plan: Plan
    _books: Books
    _wild: Callable[..., bool]
    _heard: Callable[["World", str, str, Mapping[str, Any]], None]
    _table: Callable[[str], Mapping[str, Mapping[str, str]]]

    def later(
        self, partner: str, task: str, subject: str, *, at: datetime | None = None, wait: float = 0.05, **facts: Any
    ) -> None:
        """Put *task* on *partner*'s agenda, once for each *subject*: at business time *at*, or *wait* wall seconds on.

        Items of one task that come due together are done together.
        """
        at_once = at is None or at <= self.now
        moment = self.now if at is None else at
        slot = "" if at_once else moment.isoformat()
        self._books.plan(partner, task, subject, moment, slot, time.time() + (wait if at_once else 0.0), facts)

    def note(self, kind: str, key: str, **facts: Any) -> None:
        """Make something known to everybody."""
        self._books.note(kind, key, facts)
        self._heard(self, kind, key, facts)

    def noted(self, kind: str, key: str) -> dict[str, Any] | None:
        return self._books.noted(kind, key)

    def number(self, partner: str, operation: str) -> int:
        """The next number of *partner*'s files of *operation*."""
        return self._books.count(partner, operation)

    def table(self, name: str) -> Mapping[str, Mapping[str, str]]:
        """The code table ``mappings/tables/<name>.csv``, by code."""
        return self._table(name)

    def wild(self, *about: object) -> bool:
        """Whether something unknown is to be slipped in here (never, when no faults were asked for)."""
        return self._wild(*about)


def following(moment: datetime, hour: int) -> datetime:
    """The first *hour* o'clock UTC that is later than *moment*."""
    same = moment.astimezone(UTC).replace(hour=hour, minute=0, second=0, microsecond=0)
    return same if same > moment else same + timedelta(days=1)


class Script:
    """One adapter's ``simulate.py``, or none: what a module does not say, nothing follows from."""

    def __init__(self, path: Path | None) -> None:
        self._module: Any = None
        if path is not None:
            name = "hub_simulate_" + "_".join(path.parts[-3:-1])
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None and spec.loader is not None
            self._module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(self._module)

    @property
    def written(self) -> bool:
        return self._module is not None

    def received(
        self, world: World, partner: str, operation: str, message: Any, decided: Mapping[str, Decision]
    ) -> None:
        if hasattr(self._module, "received"):
            self._module.received(world, partner, operation, message, decided)

    def due(self, world: World, partner: str, task: str, items: list[Item]) -> Iterable[Say]:
        return self._module.due(world, partner, task, items)  # type: ignore[no-any-return]

    def answered(self, world: World, partner: str, operation: str, facts: Mapping[str, Any], answer: Any) -> None:
        if hasattr(self._module, "answered"):
            self._module.answered(world, partner, operation, facts, answer)

    def noted(self, world: World, kind: str, key: str, facts: Mapping[str, Any]) -> None:
        if hasattr(self._module, "noted"):
            self._module.noted(world, kind, key, facts)
