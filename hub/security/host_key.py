"""The key by which partners know us where files pass: the SFTP door's host key, which also signs acknowledgements.

Signatures are OpenSSH's (PROTOCOL.sshsig), so that ``ssh-keygen -Y verify`` checks one with the key that the partner
pinned for the door.  What the door signs while shaking hands never begins as they do: neither passes for the other.
"""

import base64
import hashlib
import os
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.canonical.errors import HubError

#: What an acknowledgement is signed for: a signature for another purpose is none of it.
NAMESPACE = "hub-acknowledgement"
_TYPE = b"ssh-ed25519"


class HostKey:
    """The Ed25519 key in a file, in OpenSSH's form; made (mode 0600) when it is first needed and not there.

    All machines of one installation need the same.  Raises ``keys_exposed`` and ``keys_unreadable`` when it is used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def private(self) -> bytes:
        """The key as OpenSSH keeps one."""
        for _ in range(2):
            try:
                with self._path.open("rb") as file:
                    if os.fstat(file.fileno()).st_mode & 0o077:
                        raise HubError("keys_exposed")
                    return file.read()
            except FileNotFoundError:
                self._make()
        raise HubError("keys_missing")

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        try:
            key = serialization.load_ssh_private_key(self.private, None)
        except (ValueError, TypeError):
            raise HubError("keys_unreadable") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise HubError("keys_unreadable")
        return key

    @cached_property
    def public(self) -> str:
        """The public key on one line, as ``known_hosts`` and ``allowed_signers`` want it."""
        raw = self._key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return raw.decode("ascii")

    @property
    def fingerprint(self) -> str:
        """As OpenSSH shows it: ``SHA256:…``."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self._blob).digest()).decode().rstrip('=')}"

    @property
    def _blob(self) -> bytes:
        return base64.b64decode(self.public.split()[1])

    def sign(self, data: bytes) -> bytes:
        """A detached signature of *data*, armoured."""
        digest = hashlib.sha512(data).digest()
        namespace, algorithm = _string(NAMESPACE.encode()), _string(b"sha512")
        signed = b"SSHSIG" + namespace + _string(b"") + algorithm + _string(digest)
        signature = _string(_TYPE) + _string(self._key.sign(signed))
        raw = (
            b"SSHSIG" + (1).to_bytes(4, "big") + _string(self._blob) + namespace + _string(b"") + algorithm
            + _string(signature)
        )  # fmt: skip
        text = base64.b64encode(raw).decode("ascii")
        lines = [text[start : start + 70] for start in range(0, len(text), 70)]
        return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()

    def _make(self) -> None:
        made = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(made)
                file.flush()
                os.fsync(file.fileno())
            os.link(part, self._path)
        except FileExistsError:
            pass  # another process made it at the same time: that one counts
        finally:
            part.unlink(missing_ok=True)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
