"""The five-minute clock: whose turn it is in each state of a request, and how long everybody took.

Pure: the steps of a case, as its history has them, and a moment go in; three figures come out and are never mixed.
*Promise* is payment to reference number.  *Machine* is the time from submission in which it was the hub's or a
partner's turn; it stands still while a named person must act.  *Wall* is all the time from submission.  All are wall
time: the business clock may jump, and machines do not get faster by it.

The stages and their budgets are dated data (``budgets.yaml``).
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml

from hub.canonical.errors import HubError
from hub.journey.graph import EDGES, ENDS, NEW
from hub.journey.rules import start_of_entry

TURNS = ("hub", "partner", "agent", "company")
#: Whose turn is a named person's: machine time stands still for them.
PEOPLE = frozenset({"agent", "company"})
_KNOWN = {machine: frozenset(e.now for e in EDGES if e.machine == machine) | {NEW} for machine in
          ("request", "group", "voucher")}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage on the way to the reference number.  ``seconds`` is its budget, None where it has none; ``asks`` are
    the events whose messages a partner is asked to answer in it."""

    name: str
    states: frozenset[str]
    turn: str
    group: frozenset[str] | None = None
    voucher: frozenset[str] | None = None
    seconds: int | None = None
    asks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Budgets:
    """The budgets in force at one moment: ``promise`` in seconds, ``alarms`` in percent of a budget."""

    promise: int
    alarms: tuple[int, ...]
    stages: tuple[Stage, ...]

    def stage(self, request: str, group: str, voucher: str) -> Stage | None:
        """The stage of a request by its own state, its group's and its voucher's; None where the clock has none."""
        for stage in self.stages:
            if (
                request in stage.states
                and (stage.group is None or group in stage.group)
                and (stage.voucher is None or voucher in stage.voucher)
            ):
                return stage
        return None

    def asked(self, event: str | None) -> Stage | None:
        """The stage in which partners are asked because of *event*, where it has a budget."""
        return next((s for s in self.stages if event in s.asks and s.seconds is not None), None)


class Turns:
    """Every dated entry.  ``at`` gives the budgets in force at a moment."""

    def __init__(self, entries: list[tuple[datetime, Budgets]]) -> None:
        self._starts = [start for start, _ in entries]
        self._budgets = [budgets for _, budgets in entries]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read *path*.  Raises :class:`HubError` ``rules_unreadable`` or ``rules_invalid``, naming the place."""
        try:
            given = yaml.safe_load(path.read_text("utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError):
            raise HubError("rules_unreadable", file=path.name) from None
        if not isinstance(given, list) or not given or not all(isinstance(entry, dict) for entry in given):
            raise HubError("rules_unreadable", file=path.name)
        entries: list[tuple[datetime, Budgets]] = []
        so_far: dict[str, Any] = {}
        for number, entry in enumerate(given, 1):
            rule = "from"
            try:
                start = start_of_entry(entry["from"])
                if entries and start <= entries[-1][0]:
                    raise ValueError(start)
                so_far = {**so_far, **{name: value for name, value in entry.items() if name != "from"}}
                for rule in sorted(so_far.keys() | _READ.keys()):
                    _READ[rule](so_far[rule])
            except (KeyError, ValueError, TypeError, AttributeError, HubError):
                raise HubError("rules_invalid", file=path.name, row=number, rule=rule) from None
            entries.append((start, Budgets(**{name: read(so_far[name]) for name, read in _READ.items()})))
        return cls(entries)

    def at(self, moment: datetime) -> Budgets:
        return self._budgets[max(bisect_right(self._starts, moment) - 1, 0)]


# ---------------------------------------------------------------------------------------------- how long everybody took


class Step(NamedTuple):
    """One row of the history: a request's own, its group's or its voucher's.  ``at`` is when it was recorded, in
    microseconds of wall time."""

    machine: str
    event: str
    was: str
    now: str
    at: int


@dataclass(slots=True)
class Spell:
    """One stay in a stage.  Times are microseconds; ``until`` is None while it lasts, and ``us`` counts up to now."""

    stage: Stage
    since: int
    until: int | None
    us: int


@dataclass(slots=True)
class Spent:
    """How long a request took, in microseconds; what has not begun is None.  ``ended`` is when its clock stopped: at
    the reference number, or where it came to an end without one."""

    submitted: int | None = None
    paid: int | None = None
    referenced: int | None = None
    ended: int | None = None
    promise: int | None = None
    machine: int | None = None
    wall: int | None = None
    spells: list[Spell] = field(default_factory=list)

    @property
    def waits_for(self) -> str | None:
        """Whose turn it is now; None when the clock has stopped, or stands in no stage."""
        last = self.spells[-1] if self.spells else None
        return last.stage.turn if last is not None and last.until is None else None


def spent(steps: Iterable[Step], budgets: Budgets, now: int) -> Spent:
    """What the *steps* of one request, its group and its voucher say, in the order in which they were recorded.

    *now* is the wall time in microseconds up to which what still lasts is counted.
    """
    found = Spent()
    state = {"request": NEW, "group": NEW, "voucher": NEW}
    at = 0
    for step in steps:
        if found.ended is not None:
            break
        # Recorded times of several machines may differ by their clocks: a stay is never shorter than nothing.
        at = max(step.at, at)
        state[step.machine] = step.now
        if step.machine == "request":
            if step.event == "request.submitted" and found.submitted is None:
                found.submitted = at
            elif step.event == "request.paid" and found.paid is None:
                found.paid = at
            if step.event == "reference.issued":
                found.referenced = found.ended = at
            elif step.now in ENDS:
                found.ended = at
        if state["request"] != NEW:
            _turn(found.spells, budgets.stage(**state) if found.ended is None else None, at)
    until = found.ended if found.ended is not None else max(now, at)
    if found.spells and found.spells[-1].until is None:
        found.spells[-1].us = until - found.spells[-1].since
    if found.submitted is not None:
        found.wall = until - found.submitted
        found.machine = sum(
            spell.us for spell in found.spells if spell.stage.turn not in PEOPLE and spell.since >= found.submitted
        )
    if found.paid is not None and (found.referenced is not None or found.ended is None):
        found.promise = until - found.paid
    return found


def _turn(spells: list[Spell], stage: Stage | None, at: int) -> None:
    last = spells[-1] if spells and spells[-1].until is None else None
    if last is not None:
        if stage is last.stage:
            return
        last.until, last.us = at, at - last.since
    if stage is not None:
        spells.append(Spell(stage, at, None, 0))


# ---------------------------------------------------------------------------------------------------- reading the file


def _seconds(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 365 * 86_400:
        raise ValueError(value)
    return value


def _alarms(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or not all(type(n) is int and 1 <= n <= 1000 for n in value):
        raise ValueError(value)
    return tuple(sorted(value))


def _states(machine: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not value or not set(value) <= _KNOWN[machine]:
        raise ValueError(value)
    return frozenset(value)


def _stages(value: Mapping[str, Any]) -> tuple[Stage, ...]:
    stages = []
    for name, given in value.items():
        rest = dict(given)
        stage = Stage(
            name=str(name),
            states=_states("request", rest.pop("states")),
            turn=rest.pop("turn"),
            group=_states("group", rest.pop("group")) if "group" in rest else None,
            voucher=_states("voucher", rest.pop("voucher")) if "voucher" in rest else None,
            seconds=_seconds(rest.pop("seconds")) if "seconds" in rest else None,
            asks=frozenset(rest.pop("asks", ())),
        )
        if rest or stage.turn not in TURNS or not stage.asks <= _EVENTS:
            raise ValueError(name)
        stages.append(stage)
    return tuple(stages)


_EVENTS = frozenset(edge.event for edge in EDGES)
_READ: Mapping[str, Any] = {"promise": _seconds, "alarms": _alarms, "stages": _stages}
