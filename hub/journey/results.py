"""What the journey says of an event: how the case moves on, or why it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

from hub.canonical.events import Event

Machine: TypeAlias = Literal["group", "voucher", "request"]
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One machine's step from state ``was`` to state ``now``; where both are the same, a change of attributes.

    ``happened`` is business time, UTC: of the fact, of the due time that came, or of the hub's own conclusion.
    ``due`` is when the clock speaks next about this machine, None for never.  ``marks`` are merged into the marks of
    the member, voucher or case (a mark that is None is taken away), but for the attributes of that object, which go
    under their own names: ``minor``, ``ended_at``, ``end_reason`` of a member; ``amount``, ``paid``, ``lines``
    (``{kind: amount}``), ``payments``, ``expires_at`` of a voucher; ``voucher`` (a whole one) and ``bookings``
    (``{"H1": {"state": …, "brn": …}}``) of a group; and, with a request, ``agent`` (``{"quota_left": …}``).
    ``corrects`` marks a step that puts right what the clock had concluded too early.
    """

    machine: Machine
    id: UUID
    was: str
    now: str
    event: str
    happened: datetime
    reason: str | None = None
    due: datetime | None = None
    marks: Mapping[str, Any] = field(default_factory=dict)
    corrects: bool = False


class Fault(NamedTuple):
    """One thing that is wrong, by its code of the error catalogue, with the places its text names."""

    code: str
    where: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True)
class Applied:
    """The case moves on, and these further events are to be routed.  They are conclusions: nobody applies them."""

    transitions: tuple[Transition, ...]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class AlreadyTrue:
    """The case knows this already; nothing changes."""


@dataclass(frozen=True, slots=True)
class TooEarly:
    """The fact is about a state that the case has not reached; keep it and try again after each transition."""

    code: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """The fact cannot be true together with what is known, or the caller may not do this: a person's case.

    ``reason`` says in plain words what stands against it and names no value; ``faults`` lists everything that is
    wrong where a guard found more than one thing, the first of them being ``code``.
    """

    code: str
    reason: str = ""
    faults: tuple[Fault, ...] = ()


Result: TypeAlias = Applied | AlreadyTrue | TooEarly | Conflict
Refusal: TypeAlias = AlreadyTrue | TooEarly | Conflict
