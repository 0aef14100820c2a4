"""Who is calling, and what they may touch.  The tenant comes from the credential alone, never from the request.

Every view says by :func:`allow`, :func:`signed` or :func:`public` who may call it.  Whoever may not is refused before
anything of the request is looked at; what a caller may see is then bound by the scope of :func:`reading`.
"""

import functools
import hashlib
import math
import re
import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote
from uuid import UUID

import structlog
from flask import Flask, Response, current_app, g, request
from limits.storage import MemoryStorage

from hub.canonical.errors import HubError
from hub.exchange.engine import Engine
from hub.partners.partner import Partner
from hub.security import addresses, api_keys, signing
from hub.settings import ConfigError, Settings
from hub.store.credentials import STAFF
from hub.store.reading import Reading
from hub.store.scope import Scope

log = structlog.get_logger(__name__)
View = TypeVar("View", bound=Callable[..., Any])

#: The name under which an operator's own keys stand in ``[api_keys]``; no partner is called so.
OPERATOR = "operator"
#: Who proves by a signature who they are.
SIGN = frozenset(("body", "mission", "agent", "company", "health"))
ROLES = ("agent", "company", "body", "mission", "health", *STAFF)
#: How far a signature's time may lie from ours, in seconds.
WITHIN = 300
#: Addresses whose wrong credentials are counted apart; of all others in that minute together.
ADDRESSES = 10_000
_KEY = re.compile(r"[A-Za-z0-9._:-]{8,80}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLACE = re.compile(r"<(path:)?[^>]+>")
_NO_RULE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a partner of the register in its role, or a person of :data:`STAFF` by the name their key is held
    under.  ``test`` says that the partner is in test mode."""

    partner: str
    role: str
    test: bool = False

    @property
    def scope(self) -> Scope:
        """Which groups and requests this caller sees."""
        if self.role == "mission":
            register = hub().register
            return Scope("mission", self.partner, register.agents_of(register.partners[self.partner]))
        return Scope(self.role, self.partner)


# ------------------------------------------------------------------------------------------------------------ the rules


def allow(*roles: str) -> Callable[[View], View]:
    """Only callers of *roles* get to the view; the rule stands as ``view.allowed``.

    Raises ``unauthorised`` for a credential of nobody, ``calls_too_many`` for a caller beyond its limits or an address
    that many such credentials come from, ``forbidden`` for one of another role.
    """
    rule = frozenset(roles)
    assert rule and rule <= frozenset(ROLES), "a rule names roles that there are"

    def ruled(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **named: Any) -> Any:
            with _shown():
                known = _known(hub())
            _enter(known, rule)
            return view(*args, **named)

        guarded.allowed = rule  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return ruled


def signed(view: View) -> View:
    """Only the partner that the path names gets to the view, by a signature over the body.

    The view is given ``nonce`` and ``known``, the partner.  Raises ``signature_missing``, ``signature_wrong`` or
    ``signature_stale``; that the nonce is new is for the view to see, in the unit of work that it makes.
    """

    @functools.wraps(view)
    def guarded(partner: str, *args: Any, **named: Any) -> Any:
        engine = hub()
        known = engine.register.partners.get(partner)
        known = known if known and known.enabled else None
        # A partner that we do not know, or share no secret with, fails like one with a wrong secret, as slowly.
        shared = (known and shared_with(known)) or (secrets.token_hex(32),)
        header = request.headers.get(signing.HEADER)
        with _shown():
            nonce = signing.verify(shared, header, request.get_data(), engine.clock.wall(), within=WITHIN)
            if known is None:
                raise HubError("signature_wrong")
        enter(known)
        return view(known, *args, nonce=nonce, **named)

    guarded.allowed = SIGN  # type: ignore[attr-defined]
    guarded.signed = True  # type: ignore[attr-defined]
    return guarded  # type: ignore[return-value]


def vouched(view: View) -> View:
    """Whoever the message in the body vouches for gets through: the view reads it, and calls :func:`enter`."""

    @functools.wraps(view)
    def guarded(*args: Any, **named: Any) -> Any:
        with _shown():
            return view(*args, **named)

    guarded.allowed = SIGN  # type: ignore[attr-defined]
    guarded.vouched = True  # type: ignore[attr-defined]
    return guarded  # type: ignore[return-value]


def enter(known: Partner) -> None:
    """Let in *known*, who has shown by a signature that it calls."""
    _enter(Caller(known.id, known.calls_as, known.mode == "test"), SIGN)


def public(view: View) -> View:
    """Anybody gets to the view: it tells nothing of anybody."""

    @functools.wraps(view)
    def open_(*args: Any, **named: Any) -> Any:
        return view(*args, **named)

    open_.allowed = _NO_RULE  # type: ignore[attr-defined]
    return open_  # type: ignore[return-value]


def quick(view: View) -> View:
    """The view waits for nothing but units of work and answers, and may take turns with others in one thread."""
    view.quick = True  # type: ignore[attr-defined]
    return view


def quick_paths(app: Flask) -> re.Pattern[str]:
    """The paths of *app*'s views that are :func:`quick`."""
    rules = [one.rule for one in app.url_map.iter_rules() if hasattr(app.view_functions[one.endpoint], "quick")]
    return re.compile("|".join(_PLACE.sub(lambda at: ".+" if at[1] else "[^/]+", rule) for rule in rules))


def caller() -> Caller:
    """Who is let in to the view that runs."""
    found: Caller = g.caller
    return found


def scope() -> Scope:
    """What of the store the caller may see."""
    return caller().scope


def reading() -> Reading:
    """What the caller may read: every statement about groups and requests is bound to its scope."""
    return hub().reading.of(scope())


def hub() -> Engine:
    """The engine behind these doors."""
    engine: Engine = current_app.extensions["hub"]
    return engine


def install(app: Flask) -> None:
    """Count callers of *app*, and tell them how far they may go."""
    app.extensions["hub_meter"] = Meter()
    app.after_request(_told)


# ---------------------------------------------------------------------------------------------------------- who it is


def _enter(known: Caller, rule: frozenset[str]) -> None:
    engine = hub()
    meter: Meter = current_app.extensions["hub_meter"]
    g.caller = known
    # Before the role: whoever knocks at every door is counted at each.
    g.standing = meter.count(known.partner, _terms(engine, known))
    if g.standing is not None and g.standing.refused:
        raise HubError("calls_too_many")
    if known.role not in rule:
        raise HubError("forbidden")


@contextmanager
def _shown() -> Iterator[None]:
    """Counts what is shown in vain, by the address that it comes from; beyond the limit ``calls_too_many`` is raised.

    Nobody else is held to it: whoever shows what is right gets in, wherever it comes from.
    """
    try:
        yield
    except HubError as wrong:
        most = hub().settings.refused_per_minute
        if wrong.status != 401 or not most:
            raise
        meter: Meter = current_app.extensions["hub_meter"]
        standing = meter.refuse(addresses.network(request.remote_addr or ""), most)
        if not standing.refused:
            raise
        g.standing = standing
        raise HubError("calls_too_many") from None


def _known(engine: Engine) -> Caller:
    """Who shows a key, or a certificate through the proxy.  With both, both must be the same partner's."""
    by_key = _by_key(engine)
    by_certificate = _by_certificate(engine)
    if by_certificate is None:
        if by_key is None:
            raise HubError("unauthorised")
        return by_key
    if by_key is not None and by_key != by_certificate:
        raise HubError("unauthorised")
    return by_certificate


def _by_key(engine: Engine) -> Caller | None:
    """Raises ``unauthorised`` for a key of nobody; None where none is shown."""
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    if not kind:
        return None
    if kind.lower() != "bearer":
        raise HubError("unauthorised")
    digest = api_keys.digest(key.strip())
    kept = api_keys.kept(engine.settings.api_keys, digest)
    if kept is not None:
        return Caller(OPERATOR, OPERATOR) if kept == OPERATOR else _partner(engine, kept)
    found = engine.keyring.find(digest)
    if found is None:
        raise HubError("unauthorised")
    return Caller(found.holder, found.role) if found.role in STAFF else _partner(engine, found.holder)


def _partner(engine: Engine, id: str) -> Caller:
    known = engine.register.partners.get(id)
    if known is None or not known.enabled:
        raise HubError("unauthorised")
    return Caller(id, known.calls_as, known.mode == "test")


def _by_certificate(engine: Engine) -> Caller | None:
    """Raises ``unauthorised`` for a certificate of nobody; None where the proxy says that none was shown."""
    settings: Settings = engine.settings
    if not settings.client_cert_header:
        return None
    said = request.headers.get(settings.client_cert_header, "")
    if not said:
        return None
    # What any other host says of a certificate is what the caller says of itself.
    before = request.environ.get("werkzeug.proxy_fix.orig", request.environ)
    if before.get("REMOTE_ADDR") not in settings.proxy_addresses:
        raise HubError("unauthorised")
    shown = engine.register.presenting(_fingerprint(said))
    if shown is None:
        raise HubError("unauthorised")
    return Caller(shown.id, shown.calls_as, shown.mode == "test")


def _fingerprint(said: str) -> str:
    """The SHA-256 of a certificate: as a proxy says it, or of the certificate itself as nginx passes it (PEM, escaped
    as in a URL)."""
    plain = said.replace(":", "").lower()
    if _SHA256.fullmatch(plain):
        return plain
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(unquote(said))).hexdigest()
    except ValueError:
        raise HubError("unauthorised") from None


def shared_with(partner: Partner) -> tuple[str, ...]:
    """The secrets that *partner* signs with, the present one first; none where this installation has not set them."""
    try:
        return partner.secrets()
    except ConfigError as missing:
        # The caller is told nothing of it: whether a secret is set is as little its business as the secret.
        log.warning("secret_not_set", partner=partner.id, code=missing.code)
        return ()


# -------------------------------------------------------------------------------------------------- how often they may


class Standing(NamedTuple):
    """Where a caller stands in the limit that is nearest: what is left of it, when it begins anew (wall time in
    seconds), and whether this call was one too many.  ``policy`` is all that the caller is held to."""

    policy: str
    name: str
    left: int
    anew: float
    refused: bool

    @property
    def seconds(self) -> int:
        """After how many seconds it begins anew."""
        return max(math.ceil(self.anew - time.time()), 1)


class Meter:
    """Counts calls of each caller, in this process: with n processes at a port a caller has n times as many.

    Windows are fixed: at the turn of one, a caller may make twice as many in a short time.
    """

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._limits: dict[tuple[int, int], tuple[str, list[tuple[str, int, int]]]] = {}
        self._refused: Counter[str] = Counter()
        self._anew = 0.0
        self._lock = threading.Lock()

    def count(self, partner: str, terms: tuple[int, int]) -> Standing | None:
        """One call of *partner*, held to *terms*: calls a second and a day, 0 for any number."""
        policy, limits = self._limits.get(terms) or self._held_to(terms)
        nearest: Standing | None = None
        for name, most, window in limits:
            key = f"{partner}/{name}"
            left = most - self._storage.incr(key, window)
            if nearest is None or left < nearest.left:
                nearest = Standing(policy, name, max(left, 0), self._storage.get_expiry(key), left < 0)
            if left < 0:
                break
        return nearest

    def refuse(self, address: str, most: int) -> Standing:
        """One credential of nobody from *address*, which is told so *most* times in a minute."""
        # A table of our own: the storage beside it goes through all its keys whenever it is written, and callers are
        # few where addresses are as many as anybody likes.
        with self._lock:
            if time.time() >= self._anew:
                self._refused, self._anew = Counter(), time.time() + 60
            if address not in self._refused and len(self._refused) >= ADDRESSES:
                address = ""
            self._refused[address] += 1
            left = most - self._refused[address]
        return Standing(f'"refused";q={most};w=60', "refused", max(left, 0), self._anew, left < 0)

    def _held_to(self, terms: tuple[int, int]) -> tuple[str, list[tuple[str, int, int]]]:
        named = zip(("second", "day"), terms, (1, 86_400), strict=True)
        limits = [(name, most, window) for name, most, window in named if most]
        policy = ", ".join(f'"{name}";q={most};w={window}' for name, most, window in limits)
        found = self._limits[terms] = (policy, limits)
        return found


def _terms(engine: Engine, known: Caller) -> tuple[int, int]:
    settings, partner = engine.settings, engine.register.partners.get(known.partner)
    limits = partner.limits if partner is not None and known.role not in STAFF else None
    second = limits.calls_per_second if limits is not None else None
    day = limits.calls_per_day if limits is not None else None
    return (
        settings.calls_per_second if second is None else second,
        settings.calls_per_day if day is None else day,
    )


def _told(answer: Response) -> Response:
    standing: Standing | None = g.get("standing")
    if standing is not None:
        # As draft-ietf-httpapi-ratelimit-headers names them.
        answer.headers["RateLimit-Policy"] = standing.policy
        answer.headers["RateLimit"] = f'"{standing.name}";r={standing.left};t={standing.seconds}'
        if standing.refused:
            answer.headers["Retry-After"] = str(standing.seconds)
    return answer


# ----------------------------------------------------------------------------------------------------- what they name


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
