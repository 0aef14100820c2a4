"""Signed notices, both ways: HMAC-SHA256 over a timestamp, a nonce and the raw body.

The header reads ``t=UNIX SECONDS,n=NONCE,v1=HEX``, where the hex is the HMAC of ``"t.n."`` followed by the body.
"""

import hmac
import os
import re
from collections.abc import Iterable
from datetime import datetime

from hub.canonical.errors import HubError

HEADER = "X-Hub-Signature"
_FORM = re.compile(r"t=([0-9]{1,12}),n=([A-Za-z0-9_-]{16,64}),v1=([0-9a-f]{64})", re.ASCII)


def sign(secret: str, body: bytes, at: datetime) -> str:
    """The header's value for *body*, signed at wall time *at*, with a fresh nonce."""
    stamp, nonce = str(int(at.timestamp())), os.urandom(16).hex()
    return f"t={stamp},n={nonce},v1={_digest(secret, stamp, nonce, body)}"


def sign_with_all(secrets: Iterable[str], body: bytes, at: datetime, nonce: str) -> str:
    """As :func:`sign`, with a ``v1=`` for each of *secrets*: while one is being changed, whoever has either can verify.

    *nonce* is the event's id, the same each time it is told: by it the receiver knows what it has heard before.
    """
    stamp = str(int(at.timestamp()))
    return ",".join((f"t={stamp},n={nonce}", *(f"v1={_digest(one, stamp, nonce, body)}" for one in secrets)))


def verify(secrets: Iterable[str], header: str | None, body: bytes, now: datetime, within: int = 300) -> str:
    """Check *header* against *body* and give its nonce, which the caller keeps to refuse a second use.

    Any of *secrets* may have signed: two are live while one is being changed.  *within* is how far, in seconds, the
    signature's time may lie from wall time *now*, either way; a nonce must be kept for twice as long.  Raises
    ``signature_missing``, ``signature_wrong`` or ``signature_stale``.
    """
    found = _FORM.fullmatch(header or "")
    if not found:
        raise HubError("signature_missing")
    stamp, nonce, given = found.groups()
    # All are compared, so that the time taken does not tell which secret is in use.
    fits = False
    for secret in secrets:
        fits |= hmac.compare_digest(_digest(secret, stamp, nonce, body), given)
    if not fits:
        raise HubError("signature_wrong")
    if abs(now.timestamp() - int(stamp)) > within:
        raise HubError("signature_stale")
    return nonce


def _digest(secret: str, stamp: str, nonce: str, body: bytes) -> str:
    return hmac.new(secret.encode("utf-8"), f"{stamp}.{nonce}.".encode("ascii") + body, "sha256").hexdigest()
