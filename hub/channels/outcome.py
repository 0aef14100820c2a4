"""What is sent, where to, and what may come of it.

A channel tells only what the wire tells: bytes came back, or how far we got.  What the bytes mean is read elsewhere, by
their map.  Failures are returned, never raised, and their words hold no personal data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hub.channels.guard import Guard


@dataclass(frozen=True, slots=True)
class Target:
    """Where one operation of one partner is spoken.

    ``endpoint`` is the partner's configured address: a URL, or a folder for files.  ``timeout`` is seconds for the
    whole call.  ``wire`` is the operation's ``soap:``, ``rest:`` or ``files:`` mapping and ``contract`` the adapter's
    folder.  ``secret`` signs what we send; ``ca`` is the only authority trusted for the partner's certificate and
    ``cert`` our own (key and certificate in one PEM file).  A status in ``not_done`` says that nothing was done.
    Where somebody else gave the address, ``guard`` stands before it.  ``more_secrets`` sign beside ``secret``.
    """

    partner: str
    channel: str
    endpoint: str
    timeout: float
    concurrency: int
    wire: Mapping[str, Any]
    contract: Path
    secret: str | None = field(default=None, repr=False)
    ca: Path | None = None
    not_done: frozenset[int] = frozenset()
    driver: str | None = None
    cert: Path | None = None
    guard: Guard | None = None
    more_secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message or file on its way out.

    ``key`` is the idempotency key that the partner honours.  Files have a ``name`` (and webhooks: the event's), and for
    the manifest beside them a ``sequence``, a ``count`` of records and a control ``total``.  ``deadline`` is in seconds
    of the monotonic clock.
    """

    body: bytes = field(repr=False)
    key: str | None
    name: str | None
    sequence: int | None
    count: int | None
    total: str | None
    deadline: float


@dataclass(frozen=True, slots=True)
class Answered:
    """The partner's own bytes, whatever they say.

    ``status`` is HTTP's; for files 201 when written now and 200 when the same file had been delivered before.
    ``spent`` is the partner's own time: seconds from our first byte out to its last byte in.
    """

    body: bytes = field(repr=False)
    status: int
    spent: float


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Provably not done; may be tried again.  ``status`` is HTTP's, where one came and is worth keeping."""

    code: str
    why: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """Provably not done: the partner asks us to wait, ``retry_after`` seconds if it said how long."""

    retry_after: float | None
    code: str = "partner_throttles"
    why: str = ""


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """Something left this machine and no whole answer came back: ask before sending again."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class AuthFailed:
    """The partner does not accept who we are.  Not done; a person must act."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class ConfigError:
    """Our own or the partner's set-up is wrong.  Not done; a person must act."""

    code: str
    why: str


Failure = Unavailable | Throttled | OutcomeUnknown | AuthFailed | ConfigError


class Channel(Protocol):
    """One protocol, spoken to any number of partners.  Thread-safe; connections are kept between calls."""

    def send(self, target: Target, out: Outgoing) -> Answered | Failure: ...

    def close(self) -> None: ...
