"""Sealing: AES-256-GCM under data keys, which are wrapped by the installation's keys; look-ups by keyed hash.

A person's rows are sealed under that person's data key, so that destroying the wrapped key erases the person.
"""

import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.canonical.errors import HubError
from hub.canonical.names import western_digits
from hub.security.keys import KEY_BYTES, Keys

NONCE_BYTES = 12
_WRAPPED = b"hub data key"


class Sealer:
    """Seals and opens with the keys of one installation.  Safe to share between threads.

    Sealed bytes are a random nonce, the ciphertext and its tag (28 bytes more than the plaintext); wrapped keys have
    the id byte of the key that wraps them in front.
    """

    def __init__(self, keys: Keys) -> None:
        self._index = keys.index
        self._current = keys.current
        self._wrapping = {number: AESGCM(key) for number, key in keys.sealing.items()}

    def new_data_key(self) -> tuple[bytes, bytes]:
        """A fresh data key as ``(wrapped, key)``: the first to be stored, the second to seal with now."""
        key = os.urandom(KEY_BYTES)
        return self.wrap(key), key

    def wrap(self, key: bytes) -> bytes:
        """*key* under the current key-encryption key."""
        number = bytes((self._current,))
        nonce = os.urandom(NONCE_BYTES)
        return number + nonce + self._wrapping[self._current].encrypt(nonce, key, _WRAPPED + number)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The data key.  Raises ``key_unknown`` for one whose wrapping key is not in the keys file, ``seal_broken``."""
        wrapping = self._wrapping.get(wrapped[0]) if wrapped else None
        if wrapping is None:
            raise HubError("key_unknown", name=str(wrapped[0]) if wrapped else "?")
        return _opened(wrapping, wrapped[1:], _WRAPPED + wrapped[:1])

    def seal(self, key: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """*plaintext* sealed under data *key*; *aad* is the row's id, without which it cannot be opened."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, plaintext, aad)

    def seal_each(self, key: bytes, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """As :meth:`seal`, for many rows under one *key*: their ``(plaintext, aad)``."""
        encrypt, nonces = AESGCM(key).encrypt, os.urandom(NONCE_BYTES * len(rows))
        found = []
        for at, (plaintext, aad) in zip(range(0, len(nonces), NONCE_BYTES), rows, strict=True):
            nonce = nonces[at : at + NONCE_BYTES]
            found.append(nonce + encrypt(nonce, plaintext, aad))
        return found

    def open(self, key: bytes, sealed: bytes, aad: bytes) -> bytes:
        """What :meth:`seal` was given.  Raises ``seal_broken`` if a bit was changed or it was moved to another row."""
        return _opened(AESGCM(key), sealed, aad)

    def lookup(self, kind: str, *values: str) -> bytes:
        """The keyed hash (HMAC-SHA256, 32 bytes) under which something is found by *values* without storing them.

        White space, letter case and the script of digits make no difference.
        """
        return self.fingerprint(kind, *("".join(western_digits(value).upper().split()) for value in values))

    def fingerprint(self, kind: str, *values: str) -> bytes:
        """The keyed hash of *values* as they stand: any other letter or space is another value."""
        return hmac.digest(self._index, "\x1f".join((kind, *values)).encode("utf-8"), "sha256")


def _opened(cipher: AESGCM, sealed: bytes, aad: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError):
        raise HubError("seal_broken") from None
