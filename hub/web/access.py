"""Who is calling, and what they may touch.  The tenant comes from the credential alone, never from the request."""

import functools
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from flask import current_app, g, request

from hub.canonical.errors import HubError
from hub.exchange.engine import Engine
from hub.security import api_keys

T = TypeVar("T")

#: The name under which an operator's own keys stand in ``[api_keys]``; no partner is called so.
OPERATOR = "operator"
_KEY = re.compile(r"[A-Za-z0-9._:-]{8,80}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who holds the presented key: a partner of the register in its role (agent, company, health), or the operator."""

    partner: str
    role: str

    def owns(self, owner: tuple[str, str] | None) -> bool:
        """Whether a group or request of *owner*, its agent and its company, is this caller's to see."""
        if owner is None:
            return False
        agent, company = owner
        return self.role == "operator" or self.partner == {"agent": agent, "company": company}.get(self.role)


def hub() -> Engine:
    """The engine behind these doors."""
    engine: Engine = current_app.extensions["hub"]
    return engine


def calling(*roles: str) -> Caller:
    """Who calls, one of *roles*.  Raises ``unauthorised`` for a key of nobody, ``forbidden`` for another role."""
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    engine = hub()
    partner = api_keys.holder(engine.settings.api_keys, key.strip()) if kind.lower() == "bearer" else None
    if partner is None:
        raise HubError("unauthorised")
    known = engine.register.partners.get(partner)
    role = "operator" if partner == OPERATOR else known.role if known and known.enabled else None
    if role is None:
        raise HubError("unauthorised")
    if role not in roles:
        raise HubError("forbidden")
    return Caller(partner, role)


def allow(*roles: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Only callers in one of *roles* reach the view."""

    def guarded(view: Callable[..., T]) -> Callable[..., T]:
        @functools.wraps(view)
        def checked(*given: Any, **named: Any) -> T:
            g.caller = calling(*roles)
            return view(*given, **named)

        checked.allowed = frozenset(roles)  # type: ignore[attr-defined]
        return checked

    return guarded


def public(view: Callable[..., T]) -> Callable[..., T]:
    """Anybody reaches the view."""
    view.allowed = frozenset()  # type: ignore[attr-defined]
    return view


def caller() -> Caller:
    """Who calls the view at hand."""
    found: Caller = g.caller
    return found


def identity(text: str) -> UUID:
    """An id out of a path.  What is no id is answered like an id that nobody has."""
    try:
        return UUID(text)
    except ValueError:
        raise HubError("not_found") from None


def idempotency_key() -> str:
    """The caller's own name for this POST, under which its answer is kept."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        raise HubError("idempotency_missing")
    if not _KEY.fullmatch(key):
        raise HubError("idempotency_invalid")
    return key


def digest(body: bytes) -> str:
    """What a repeated key must come with again: the same body at the same address."""
    return hashlib.sha256(f"{request.method} {request.path}\n".encode() + body).hexdigest()
