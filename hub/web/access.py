"""Who is calling, and what they may touch.  The tenant comes from the credential alone, never from the request."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from flask import current_app, g, request

from hub.canonical.errors import HubError
from hub.exchange.engine import Engine
from hub.security import api_keys
from hub.store.scope import Scope

#: The name under which an operator's own keys stand in ``[api_keys]``; no partner is called so.
OPERATOR = "operator"
_KEY = re.compile(r"[A-Za-z0-9._:-]{8,80}")
P = ParamSpec("P")
T = TypeVar("T")


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


def allow(*roles: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The rule of a view: who calls is one of *roles*, and known before anything else is looked at.

    It stands as ``view.allowed``, for the document and for whoever checks that every door has one.
    """

    def guard(view: Callable[P, T]) -> Callable[P, T]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            g.caller = calling(*roles)
            return view(*args, **kwargs)

        cast(Any, guarded).allowed = frozenset(roles)
        return guarded

    return guard


def public(view: Callable[P, T]) -> Callable[P, T]:
    """The rule of a view that needs no key: it tells nothing that is anybody's, or asks for a signature itself."""
    cast(Any, view).allowed = frozenset()
    return view


def caller() -> Caller:
    """Who calls, as :func:`allow` has found."""
    found: Caller = g.caller
    return found


def scope() -> Scope:
    """What of the store the caller may see."""
    return Scope(caller().role, caller().partner)


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


def posted() -> bytes:
    """The body of a call that must be JSON.  Raises ``media_type_wrong`` where it is said to be something else."""
    kind = request.environ.get("CONTENT_TYPE", "")
    if kind and not kind.startswith("application/json") and not request.is_json:
        raise HubError("media_type_wrong")
    return request.get_data(cache=False)


def digest(body: bytes) -> str:
    """What a repeated key must come with again: the same body at the same address."""
    return hashlib.sha256(f"{request.method} {request.path}\n".encode() + body).hexdigest()
