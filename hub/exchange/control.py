"""Who holds an installation, and how the partners' overlay and the ledger are changed beside a hub at work.

One process at a time writes a hub's file: whoever holds ``var/hub.lock``.  A command asks the one at work through
``var/hub.sock`` (0600, and only to the user who runs the hub); where none is at work, it takes the lock and writes.
A PostgreSQL database is everybody's who can reach it: there a command simply writes.
"""

import fcntl
import json
import os
import pwd
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import structlog

from hub.canonical.errors import HubError
from hub.partners import Fault, Overlaid, RegisterFaults, load
from hub.settings import Settings
from hub.store import overlay
from hub.store.database import Database
from hub.store.encoding import micros

SOCKET = "hub.sock"
LONGEST = 8_000_000
EVERY = 1.0  # seconds between looks at the overlay's version
PATIENCE = 30.0  # seconds that a command waits for the hub
LONG_PATIENCE = 600.0  # and what may take longer
log = structlog.get_logger(__name__)

Change = Callable[[Sequence[Overlaid], str], int]
#: What a hub at work does beside: JSON in and the caller's name, JSON out.
Ask = Callable[[Any, str], Any]


def take(settings: Settings) -> IO[str]:
    """Hold ``var/hub.lock`` while this process runs.  Raises ``hub_running`` where another one has it."""
    settings.var.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = open(settings.var / "hub.lock", "a", encoding="ascii")  # noqa: SIM115  held as long as the process runs
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise HubError("hub_running") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def merged(there: Iterable[Overlaid], changes: Iterable[Overlaid]) -> list[Overlaid]:
    """The overlay after *changes*.  A row that is there already stays beside the new one: the register refuses two."""
    found = list(there)
    for one in changes:
        at = next((i for i, old in enumerate(found) if old.id == one.id), None)
        if at is None or (one.row is not None and found[at].row is not None):
            found.append(one)
            continue
        old = found[at]
        found[at] = replace(
            old if one.row is None else one,
            enabled=old.enabled if one.enabled is None else one.enabled,
            mode=one.mode or old.mode,
            suspended=old.suspended if one.suspended is None else one.suspended,
            certificates=old.certificates if one.certificates is None else one.certificates,
        )
    return found


def change(settings: Settings, changes: Sequence[Overlaid]) -> int:
    """Change the overlay, through the hub at work or by ourselves; answers its new version.

    All or nothing.  Raises :class:`RegisterFaults` where the result would not fit, ``partner_unknown`` for a switch of
    nobody, ``hub_silent`` where the hub at work does not answer.
    """
    if settings.database_url:
        return _directly(settings, changes)
    try:
        lock = take(settings)
    except HubError:
        return _ask(settings.var / SOCKET, changes)
    try:
        return _directly(settings, changes)
    finally:
        lock.close()


def _directly(settings: Settings, changes: Sequence[Overlaid]) -> int:
    register = load(settings)
    database = Database(settings.store)
    try:
        there = database.unit(overlay.rows)
        after = merged(there, changes)
        known_all(register.overlaid(after).partners, changes)
        at, who = micros(datetime.now(UTC)), name_of(os.getuid())
        return database.unit(lambda tx: overlay.put(tx, at, there, after, who))
    finally:
        database.close()


def known_all(partners: Iterable[str], changes: Iterable[Overlaid]) -> None:
    """Raises ``partner_unknown`` for a change of a partner that there is not."""
    known = set(partners)
    for one in changes:
        if one.id not in known:
            raise HubError("partner_unknown", partner=one.id)


# ---------------------------------------------------------------------------------------------- beside a hub at work


class Control:
    """The socket of a hub that has a file for itself.

    ``change`` and each of ``asks``, by its name, do what is asked, with the caller's name; ``look`` is called between,
    so that changes made elsewhere are found.
    """

    def __init__(
        self, settings: Settings, change: Change, look: Callable[[], None], asks: Mapping[str, Ask] | None = None
    ) -> None:
        self._path, self._change, self._look = settings.var / SOCKET, change, look
        self._asks = asks or {}
        self._alone = not settings.database_url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="hub-control", daemon=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def start(self) -> None:
        if self._alone:
            self._open()
        self._thread.start()

    def _open(self) -> None:
        # What a process that died left behind; the lock says that nobody else is there.
        self._path.unlink(missing_ok=True)
        with _reachable(self._path) as name:
            before = os.umask(0o177)
            try:
                self._socket.bind(name)
            finally:
                os.umask(before)
        self._socket.listen(8)

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
            if self._alone:
                self._path.unlink(missing_ok=True)
        self._socket.close()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                ready, _, _ = select.select([self._socket] if self._alone else [], [], [], EVERY / 4)
                if ready:
                    self._serve(self._socket.accept()[0])
                else:
                    self._look()
            except Exception as error:
                log.error("control_failed", exc_info=error)

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            caller.settimeout(PATIENCE)
            credentials = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            uid = struct.unpack("3i", credentials)[1]
            if uid not in (0, os.getuid()):
                return
            _say(caller, self._answer(_hear(caller), name_of(uid)))

    def _answer(self, asked: Any, who: str) -> dict[str, Any]:
        try:
            for name in self._asks.keys() & asked:
                return {"done": self._asks[name](asked[name], who)}
            return {"version": self._change([_overlaid(one) for one in asked["partners"]], who)}
        except RegisterFaults as wrong:
            return {"faults": [[one.path, one.line, one.text] for one in wrong.faults]}
        except HubError as wrong:
            return {"code": wrong.code, "where": {name: str(value) for name, value in wrong.where.items()}}


def ask(settings: Settings, name: str, given: Any) -> Any:
    """Have the hub at work here do *name*.  Raises what it raises, ``hub_silent`` where it does not answer."""
    # A file that is read again may be a long one.
    return _answered(settings.var / SOCKET, {name: given}, LONG_PATIENCE)["done"]


def _ask(path: Path, changes: Sequence[Overlaid]) -> int:
    return int(_answered(path, {"partners": [asdict(one) for one in changes]}, PATIENCE)["version"])


def _answered(path: Path, asked: Any, patience: float) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hub:
        hub.settimeout(patience)
        try:
            with _reachable(path) as name:
                hub.connect(name)
            _say(hub, asked)
            answer: dict[str, Any] = _hear(hub)
        except (OSError, ValueError):
            raise HubError("hub_silent") from None
    if "faults" in answer:
        raise RegisterFaults(Fault(*one) for one in answer["faults"])
    if "code" in answer:
        raise HubError(answer["code"], **answer["where"])
    return answer


def _overlaid(told: Mapping[str, Any]) -> Overlaid:
    # JSON knows lists only; what is laid over must compare with what the store has.
    listed = told["certificates"]
    return Overlaid(**{**told, "certificates": None if listed is None else tuple(listed)})


def _say(to: socket.socket, what: Any) -> None:
    to.sendall(json.dumps(what, ensure_ascii=False).encode() + b"\n")


def _hear(of: socket.socket) -> Any:
    found = bytearray()
    while not found.endswith(b"\n"):
        chunk = of.recv(65536)
        if not chunk or len(found) > LONGEST:
            raise ValueError("not a whole line")
        found += chunk
    return json.loads(found)


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A name for socket *path* that is short enough: a socket's address has room for 107 bytes."""
    if len(os.fsencode(path)) < 108:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def name_of(uid: int) -> str:
    """Who *uid* is on this machine, as an audit says it."""
    try:
        return pwd.getpwuid(uid).pw_name[:40]
    except KeyError:
        return f"uid {uid}"
