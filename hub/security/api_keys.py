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


def holder(keys: Mapping[str, str], presented: str) -> str | None:
    """Who holds the key *presented*, of *keys* (digest to holder); None for a key of nobody.

    All are compared, each in constant time: the time taken tells nothing of which keys there are.
    """
    wanted, found = digest(presented), None
    for kept, name in keys.items():
        if hmac.compare_digest(kept, wanted):
            found = name
    return found
