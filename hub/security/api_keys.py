"""API keys: 32 random bytes, of which only the SHA-256 is kept.

A slow hash, right for passwords that people choose, would add nothing here: there is nothing to guess.
"""

import hmac
import secrets
from collections.abc import Mapping
from hashlib import sha256


def new_key() -> tuple[str, str]:
    """A fresh key as ``(key, digest)``: the first is shown once to its holder, the second is kept."""
    key = secrets.token_urlsafe(32)
    return key, digest(key)


def digest(key: str) -> str:
    """The SHA-256 of *key* in hex."""
    return sha256(key.encode("utf-8")).hexdigest()


def kept(keys: Mapping[str, str], digest: str) -> str | None:
    """Who holds the key of *digest*, of *keys* (digest to holder); None for a key of nobody.

    It is found by the digest, however many there are: how far a digest was guessed tells nothing of its key.  What is
    found, or stands in for it, is then compared in constant time, so that a key of nobody takes as long.
    """
    name = keys.get(digest)
    found = digest if name is not None else "0" * 64
    return name if hmac.compare_digest(found, digest) else None
