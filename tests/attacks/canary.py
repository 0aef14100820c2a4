"""What an attack would reach for, and must not: an address that somebody calls, and a file whose content shows up."""

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Canary:
    """An address (``host``, ``port``) at which nobody may call, and a file that nobody may read.

    ``calls`` is how often somebody called; ``secret`` is what stands in ``file``.
    """

    port: int
    file: Path
    secret: str
    host: str = "127.0.0.1"
    calls: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def sings(self, *told: bytes) -> bool:
        """Whether somebody called, or the file's content stands in what was *told*."""
        return bool(self.calls) or any(self.secret.encode() in one for one in told)


@contextmanager
def canary(folder: Path) -> Iterator[Canary]:
    """A canary whose file lies in *folder*."""
    secret = f"canary-{secrets.token_hex(12)}"
    file = folder / "canary.txt"
    file.write_text(secret)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        found = Canary(listening.getsockname()[1], file, secret)

        def listen() -> None:
            while True:
                try:
                    caller, _ = listening.accept()
                except OSError:
                    return
                with caller:
                    found.calls += 1

        threading.Thread(target=listen, daemon=True).start()
        try:
            yield found
        finally:
            listening.shutdown(socket.SHUT_RDWR)
