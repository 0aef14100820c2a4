"""Listeners: a caller's subscription to events, as a partner of its own.

Being a partner it has slots, a rate and a rest after failures that are its own, its exchanges stand in the ledger and
are sent by the one dispatcher, and an agent whose door is shut slows nobody else down.  There is no manifest: nothing
of it is the subscriber's, for the body and its signature are the same for all (docs/webhooks.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from hub.canonical.events import EVENTS
from hub.channels import Guard, Target
from hub.partners.manifest import Adapter, Operation
from hub.partners.partner import LISTENER, Limits, Partner
from hub.settings import Settings

#: What a listener's partner id begins with; no partner of a file or of the overlay is called so.
PREFIX = LISTENER
TELL = Operation(
    name="tell",
    adapter="agents/webhooks",
    folder=Path(),
    direction="out",
    channel="webhook",
    line=0,
    repeat="safe",  # the event's id says that it is the same
    longest_wait=900.0,  # a door that stays shut for three days is knocked at some hundred times, not ten thousand
)
ADAPTER = Adapter(
    id=TELL.adapter,
    name={"en": "Events told to whoever asked for them", "ar": "إشعارات الأحداث للمشتركين"},
    channel="webhook",
    contract=Path(),
    purpose="webhook",
    operations=MappingProxyType({TELL.name: TELL}),
    folder=Path(),
    path="hub/partners/webhooks.py",
)
_LIMITS = Limits(concurrency=2, per_second=20, timeout=10.0)
#: What a caller may ask to hear of; a due time is an affair of the hub's own.
AUDIBLE = tuple(name for name in EVENTS if name != "clock.due")
#: Of what a mission may hear: what becomes of a pilgrim whose reference number is its own.
TO_MISSIONS = tuple(name for name in AUDIBLE if name.partition(".")[0] in ("request", "reference", "mission", "visa"))


@dataclass(frozen=True, slots=True)
class Secret:
    """What a listener's messages are signed with, and until when (wall time, UTC); None for the one in force."""

    text: str = field(repr=False)
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a caller asked for: to be told of ``events`` at ``url``.

    ``id`` is 32 hexadecimal digits, ``created_at`` wall time in microseconds, ``version`` counts its changes.
    """

    id: str
    owner: str
    url: str = field(repr=False)
    events: tuple[str, ...]
    active: bool
    secrets: tuple[Secret, ...] = field(repr=False)
    hosts: frozenset[str]
    created_at: int
    version: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Listener(Partner):
    """The partner that a subscription is.  ``whose`` are the cases it may hear of: of which agent, company, mission."""

    owner: Partner
    events: tuple[str, ...]
    whose: tuple[tuple[str, str], ...]
    subscription: Subscription = field(repr=False)

    def target(self, operation: Operation) -> Target:
        """Where and how to tell; of the secrets those that are in force now, for it is asked at each sending."""
        now, given = datetime.now(UTC), self.subscription
        live = [one.text for one in given.secrets if one.until is None or one.until > now]
        settings = self._settings
        return Target(
            partner=self.id,
            channel=operation.channel,
            endpoint=given.url,
            timeout=self.limits.timeout,
            concurrency=self.limits.concurrency,
            wire=operation.wire,
            contract=operation.folder,
            secret=live[0],
            more_secrets=tuple(live[1:]),
            guard=guard(settings, given.hosts),
            ca=settings.callback_ca,
        )

    def secret(self) -> str | None:
        """None: a listener calls nobody, so nothing of its can be signed by it."""
        return None


def guard(settings: Settings, hosts: frozenset[str]) -> Guard:
    """What stands before a call to an address of a caller who may name *hosts*."""
    return Guard(hosts, loopback=settings.test_mode and settings.loopback_callbacks)


def whose(owner: Partner) -> tuple[tuple[str, str], ...]:
    """The cases of which *owner* may hear."""
    if owner.role in ("agent", "company"):
        return ((owner.role, owner.id),)
    return tuple(("mission", code) for code in owner.serves.get("mission", ()))


def audible(owner: Partner) -> tuple[str, ...]:
    """The events of which *owner* may ask to hear."""
    return AUDIBLE if owner.role in ("agent", "company") else TO_MISSIONS if whose(owner) else ()


def listener(given: Subscription, owner: Partner, settings: Settings) -> Listener:
    """The partner that *given* is."""
    contact: Mapping[str, str] = owner.contact
    return Listener(
        id=PREFIX + given.id,
        name=owner.name,
        role="body",
        adapters=(ADAPTER,),
        zone=owner.zone,
        contact=contact,
        limits=_LIMITS,
        serves={},
        agent=None,
        endpoint=None,
        folders=None,
        signed_with=None,
        ca=None,
        cert=None,
        path=owner.path,
        line=owner.line,
        _settings=settings,
        enabled=given.active,
        added=True,
        owner=owner,
        events=given.events,
        whose=whose(owner),
        subscription=given,
    )
