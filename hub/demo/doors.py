"""The hub's public doors as a caller outside sees them: HTTP with a key, repeated under the same Idempotency-Key until
there is an answer; and the driver's own record of what it was answered."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import urllib3

#: Wall seconds for which a call is repeated while nobody answers: a killed hub is back well before.
PATIENCE = 90.0
_CONNECTIONS = 12
_AGAIN = frozenset((429, 500, 502, 503, 504, 507))
#: Wall seconds between two syncs of the record: what a power cut may take of it, a kill takes nothing.
_SYNC = 0.1


class DoorClosed(Exception):
    """Nobody answered at *path*, or only with errors that are worth repeating, for as long as :data:`PATIENCE`."""

    def __init__(self, path: str, status: int | None) -> None:
        super().__init__(f"{path}: {'no answer' if status is None else f'status {status}'}")
        self.status = status


class Reply(NamedTuple):
    status: int
    body: Any

    @property
    def codes(self) -> set[str]:
        """The stable codes of a refusal."""
        if not isinstance(self.body, Mapping):
            return set()
        return {self.body.get("code", "")} | {error.get("code", "") for error in self.body.get("errors", ())}


class Doors:
    """Calls to one server, from any number of threads over kept connections.

    *gone* says that the server will not come back: then nobody waits for it any longer.
    """

    def __init__(self, url: str, api_keys: Mapping[str, str], gone: Callable[[], bool] = lambda: False) -> None:
        self._gone = gone
        self._pool = urllib3.connection_from_url(
            url, maxsize=_CONNECTIONS, block=True, retries=False, timeout=urllib3.Timeout(connect=2, read=30)
        )
        self._headers = {
            who: {"Authorization": f"Bearer {key}", "Content-Type": "application/json"} for who, key in api_keys.items()
        }
        self.repeats = 0

    def post(self, who: str, path: str, body: bytes, key: str) -> Reply:
        """What the hub says to *who* for *body*; *key* names the call, however often it has to be repeated."""
        return self._call("POST", path, {**self._headers[who], "Idempotency-Key": key}, body)

    def get(self, who: str | None, path: str, patience: float = PATIENCE) -> Any:
        """The JSON at *path*.  Raises :class:`DoorClosed` for anything but a 200, too."""
        reply = self._call("GET", path, self._headers[who] if who else {}, None, patience)
        if reply.status != 200:
            raise DoorClosed(path, reply.status)
        return reply.body

    def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, patience: float = PATIENCE
    ) -> Reply:
        until = time.monotonic() + patience
        pause = 0.05
        while True:
            status = None
            try:
                answer = self._pool.urlopen(method, path, body=body, headers=headers)
                status = answer.status
                if status not in _AGAIN:
                    return Reply(status, json.loads(answer.data) if answer.data else None)
            except (urllib3.exceptions.HTTPError, OSError, ValueError):
                pass
            if time.monotonic() > until or self._gone():
                raise DoorClosed(path, status)
            self.repeats += 1
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def close(self) -> None:
        self._pool.close()


class Record:
    """What the driver was told, line by line in *path*: a driver that is started again goes on from here.

    Lines hold the season's own names (group, place in it) and the hub's ids, nothing of a person.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self.lines = list(_whole_lines(path))
        self._file = path.open("ab")
        self._synced = time.monotonic()

    def add(self, **line: Any) -> None:
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self.lines.append(line)
            self._file.write(data)
            self._file.flush()
            if time.monotonic() - self._synced > _SYNC:
                self._sync()

    def close(self) -> None:
        with self._lock:
            self._sync()
            self._file.close()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of the record; a last one that was cut by a kill is cut off, and will be told again."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    for line in whole.splitlines():
        yield json.loads(line)
