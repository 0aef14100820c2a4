"""Who comes in by SFTP: partners, by their keys, over algorithms that nobody has broken."""

import asyncio
import contextlib
import logging
import secrets
import threading
from collections import Counter
from functools import lru_cache
from typing import Any

import asyncssh
import structlog
from asyncssh.kex import get_kex_algs

from hub.exchange.engine import Engine
from hub.partners.partner import Partner
from hub.security.host_key import HostKey
from hub.settings import ConfigError
from hub.web.sftp.places import Places

log = structlog.get_logger(__name__)

#: Connections at once, in all and of one partner.
CONNECTIONS, OF_ONE = 200, 4
#: Seconds to log in, between two signs of life, and for connections to end when the door closes.
LOGIN_SECONDS, ALIVE_SECONDS, END_SECONDS = 20, 30, 5

_KEX = (
    "mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp256", "diffie-hellman-group16-sha512",
)  # fmt: skip
_CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr")
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")
_SIGNATURES = (
    "ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com", "rsa-sha2-256", "rsa-sha2-512",
)  # fmt: skip
_RSA_BITS = 3072


class SftpDoor:
    """Listens from the beginning, until :meth:`close`.

    *port* 0 takes any that is free; ``port`` tells which.  Raises :class:`ConfigError` ``port_taken``.
    """

    def __init__(self, engine: Engine, host: str, port: int) -> None:
        # It would log who logs in and what their files are called.
        logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
        self._engine, self._key = engine, HostKey(engine.settings.sftp_key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hub-sftp", daemon=True)
        self._here: Counter[str] = Counter()
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._thread.start()
        try:
            self._listening = asyncio.run_coroutine_threadsafe(self._listen(host, port), self._loop).result()
        except OSError:
            self._end()
            raise ConfigError("port_taken", f"{host}:{port}") from None
        self.port: int = self._listening.get_port()
        self.address = f"sftp://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def fingerprint(self) -> str:
        """What a partner compares before it trusts the door."""
        return self._key.fingerprint

    def close(self) -> None:
        """Take no more connections and end those there are; what is half sent is thrown away."""

        async def closed() -> None:
            self._listening.close()
            ending = list(self._connections)
            for connection in ending:
                connection.abort()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*(one.wait_closed() for one in ending)), END_SECONDS)

        asyncio.run_coroutine_threadsafe(closed(), self._loop).result()
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self, host: str, port: int) -> asyncssh.SSHAcceptor:
        known = {name.decode() for name in get_kex_algs()}
        return await asyncssh.listen(
            host,
            port,
            server_factory=lambda: _Login(self._engine, self._here, self._connections),
            server_host_keys=[asyncssh.import_private_key(self._key.private)],
            sftp_factory=lambda channel: Places(channel, self._engine),
            server_version="hub",
            allow_scp=False,
            agent_forwarding=False,
            x11_forwarding=False,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            # Nothing is unpacked for somebody who has not said who it is.
            compression_algs=["none"],
            kex_algs=[name for name in _KEX if name in known],
            encryption_algs=list(_CIPHERS),
            mac_algs=list(_MACS),
            signature_algs=list(_SIGNATURES),
            login_timeout=LOGIN_SECONDS,
            keepalive_interval=ALIVE_SECONDS,
            line_editor=False,
            allow_pty=False,
            reuse_address=True,
            backlog=CONNECTIONS,
        )


class _Login(asyncssh.SSHServer):
    """Who may come in: partners, by a key of theirs.  Somebody unknown fails as one with a wrong key does."""

    def __init__(self, engine: Engine, here: Counter[str], all_: set[asyncssh.SSHServerConnection]) -> None:
        self._engine, self._here, self._all = engine, here, all_
        self._connection: Any = None
        self._counted: list[str] = []

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._all.add(conn)
        self._count("")
        if self._here[""] > CONNECTIONS:
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.discard(self._connection)
        for name in self._counted:
            self._here[name] -= 1
        self._counted.clear()

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        partner = _partner(self._engine, username)
        return partner is not None and any(_same(given, key.public_data) for given in partner.ssh_keys)

    def auth_completed(self) -> None:
        name = self._connection.get_extra_info("username")
        self._count(name)
        if self._here[name] > OF_ONE:
            self._connection.disconnect(asyncssh.DISC_TOO_MANY_CONNECTIONS, "too many connections of yours")
        else:
            log.info("sftp_login", partner=name)

    def _count(self, name: str) -> None:
        self._here[name] += 1
        self._counted.append(name)


def _partner(engine: Engine, name: str) -> Partner | None:
    found = engine.register.partners.get(name)
    return found if found is not None and found.enabled and found.ssh_keys else None


@lru_cache(maxsize=4_096)
def _public(text: str) -> bytes | None:
    """What the key of one line is, where it is one that we trust."""
    try:
        key = asyncssh.import_public_key(text)
    except (asyncssh.KeyImportError, ValueError):
        return None
    if key.get_algorithm() == "ssh-rsa" and getattr(key.pyca_key, "key_size", 0) < _RSA_BITS:
        return None
    return key.public_data


def _same(text: str, data: bytes) -> bool:
    known = _public(text)
    return known is not None and secrets.compare_digest(known, data)
