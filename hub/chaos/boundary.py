"""Every edge of a process, watched from below: commits, statements, sockets, renames, fsyncs; and death at any of them.

:func:`install` wraps the drivers and the system's calls of *this* process; nothing above them knows.  Each edge is
passed twice, ``before`` and ``after``, under a name that is the same in every run::

    commit/before/insert exchange      a commit of a transaction that inserted into exchange, about to happen
    send/after/POST /v1/groups         the answer to that call has been handed to the system
    receive/before/POST /mofa Submit   a partner's answer to that SOAP action is waited for
    rename/before/PRINT *.xml.part     …

Names are appended to ``<folder>/<name>.sites`` the first time a process passes them.  ``<folder>/<name>.marks`` is
shared memory (:class:`Marks`): the process counts its commits there, and whoever watches writes there at which edge it
is to die.  Death is SIGKILL by its own hand, in the thread that passes the edge.
"""

import contextlib
import copy
import importlib
import mmap
import os
import random
import re
import signal
import socket
import sqlite3
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

_COMMITS, _PASSED, _ARMED, _NTH, _DIED, _SIGNAL = 0, 8, 16, 24, 32, 40
_SIZE = 64
FRESH, ANY = "*fresh", "*any"
_FRESH, _ANY = 2, 4
_VERB = re.compile(r"\s*(INSERT|UPDATE|DELETE)(?:\s+OR\s+\w+)?(?:\s+INTO|\s+FROM)?\s+(?:ONLY\s+)?\"?([a-z_.]+)", re.I)
_CALL = re.compile(rb"(GET|POST|PUT|PATCH|DELETE|HEAD) (\S+) HTTP/1")
_ACTION = re.compile(rb'\r\nSOAPAction: "[^"\r]*?(\w+)"', re.I)
#: Bytes in which the head of a call is looked for.
_HEAD = 1000
_FILE = re.compile(r"([A-Za-z_]+).*?((?:\.[A-Za-z]+)*)$")


class Marks:
    """A page of memory that a process and its watcher share; it outlives both."""

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            file.truncate(_SIZE)
            self._page = mmap.mmap(file.fileno(), _SIZE)
        self._lock = threading.Lock()

    def _get(self, at: int) -> int:
        value: int = struct.unpack_from("<Q", self._page, at)[0]
        return value

    def _set(self, at: int, value: int) -> None:
        struct.pack_into("<Q", self._page, at, value)

    @property
    def commits(self) -> int:
        """Commits since :meth:`reset`."""
        return self._get(_COMMITS)

    @property
    def passed(self) -> int:
        return self._get(_PASSED)

    @property
    def died(self) -> float | None:
        """When (monotonic seconds) the process killed or stopped itself at an edge; None where it did not."""
        return self._get(_DIED) / 1e9 or None

    @property
    def armed(self) -> int:
        return self._get(_ARMED)

    def reset(self) -> None:
        """For a process that begins."""
        self._page[:] = bytes(_SIZE)

    def arm(self, site: str | None, nth: int = 1, number: int = signal.SIGKILL) -> None:
        """Let the process send itself signal *number* when it passes *site* for the *nth* time from now on; None takes
        that back.

        :data:`FRESH` is the next edge at which nobody has died yet, :data:`ANY` the next of whatever kind.
        """
        self._set(_NTH, nth)
        self._set(_SIGNAL, number)
        named = {None: 0, FRESH: _FRESH, ANY: _ANY}
        self._set(_ARMED, named[site] if site in named else _hash(site or ""))

    def count(self, kind: str) -> None:
        self._set(_PASSED, self._get(_PASSED) + 1)
        if kind == "commit":
            self._set(_COMMITS, self._get(_COMMITS) + 1)

    def hit(self, site: int, fresh: bool) -> bool:
        """Whether the process is to die at *site* now, where somebody has died before unless it is *fresh*.  Of the
        threads that pass it together one is told so."""
        with self._lock:
            left = self._get(_NTH)
            armed = self._get(_ARMED) if left else 0
            if armed not in ((site, _ANY, _FRESH) if fresh else (site, _ANY)):
                return False
            self._set(_NTH, left - 1)
        return left == 1

    def die(self) -> None:
        self._set(_ARMED, 0)
        self._set(_DIED, time.monotonic_ns())
        os.kill(os.getpid(), self._get(_SIGNAL))


def _hash(site: str) -> int:
    data = site.encode()
    return (zlib.crc32(data) << 32) | zlib.crc32(data[::-1]) | 1


class Edges:
    """What this process passes.  ``power`` makes each death at an edge a power cut: see :meth:`_cut_power`."""

    def __init__(self, folder: Path, name: str, *, power: bool = False) -> None:
        self.marks = Marks(folder / f"{name}.marks")
        self._sites = os.open(folder / f"{name}.sites", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._known: dict[str, int] = {}
        self._deaths = folder / f"{name}.deaths"
        self._died = frozenset(deaths(folder, name))
        self._power = power
        self.unsynced: dict[int, str] = {}
        self._lock = threading.Lock()

    def passing(self, kind: str, when: str, what: str) -> None:
        site = f"{kind}/{when}/{what}"
        known = self._known.get(site)
        if known is None:
            with self._lock:
                known = self._known[site] = _hash(site)
                os.write(self._sites, site.encode() + b"\n")
        if when == "after":
            self.marks.count(kind)
        if self.marks.armed and self.marks.hit(known, site not in self._died):
            with self._deaths.open("ab", buffering=0) as file:
                file.write(site.encode() + b"\n")
            if self._power:
                self._cut_power()
            self.marks.die()

    def _cut_power(self) -> None:
        """Take from every file what was renamed into its place and never synced: what a power cut may take."""
        for path in self.unsynced.values():
            with contextlib.suppress(OSError):
                os.truncate(path, os.path.getsize(path) // 2)


def install(folder: Path, name: str, *, power: bool = False, unreachable: float = 0.0) -> Edges:
    """Watch this process from now on; once, before the hub's modules open anything.

    Of the connections that it opens, *unreachable* are not made: see :func:`_spoil_names`.
    """
    edges = Edges(folder, name, power=power)
    if unreachable:
        _spoil_names(folder, name, unreachable)
    _watch_sqlite(edges)
    _watch_postgres(edges)
    _watch_sockets(edges)
    _watch_door(edges)
    _watch_files(edges)
    return edges


# -- databases ---------------------------------------------------------------------------------------------------------


class _Written:
    """What a transaction has written so far, and the edges of its commit."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._what: dict[str, None] = {}
        self._before: dict[str, None] = {}

    def run(self, sql: Any, go: Callable[[], Any]) -> Any:
        text = sql if isinstance(sql, str) else str(sql)
        word = text[:9].lstrip().upper()
        if word.startswith(("COMMIT", "END")):
            return self.commit(go)
        if word.startswith("ROLLBACK"):
            self._what = dict(self._before) if " TO " in text.upper() else {}
            return go()
        if word.startswith("SAVEPOINT"):
            self._before = dict(self._what)
            return go()
        found = _VERB.match(text)
        if found is None:
            return go()
        what = f"{found[1].lower()} {found[2].lower()}"
        self._edges.passing("statement", "before", what)
        result = go()
        self._what[what] = None
        self._edges.passing("statement", "after", what)
        return result

    def commit(self, go: Callable[[], Any]) -> Any:
        what, self._what = self._what, {}
        for one in what:
            self._edges.passing("commit", "before", one)
        result = go()
        for one in what:
            self._edges.passing("commit", "after", one)
        return result


def _watch_sqlite(edges: Edges) -> None:
    class Connection(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.written = _Written(edges)

        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            result: sqlite3.Cursor = self.written.run(sql, lambda: super(Connection, self).execute(sql, *args))
            return result

        def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
            result: sqlite3.Cursor = self.written.run(sql, lambda: super(Connection, self).executemany(sql, *args))
            return result

        def commit(self) -> None:
            self.written.commit(super().commit)

    real = sqlite3.connect

    def connect(*args: Any, **kwargs: Any) -> Any:
        return real(*args, **{"factory": Connection, **kwargs})

    sqlite3.connect = connect


def _watch_postgres(edges: Edges) -> None:
    try:
        psycopg: Any = importlib.import_module("psycopg")
    except ImportError:
        return
    written: dict[int, _Written] = {}

    def of(connection: Any) -> _Written:
        return written.setdefault(id(connection), _Written(edges))

    for method in ("execute", "executemany"):
        real = getattr(psycopg.Cursor, method)

        def run(self: Any, query: Any, *args: Any, _real: Any = real, **kwargs: Any) -> Any:
            return of(self.connection).run(query, lambda: _real(self, query, *args, **kwargs))

        setattr(psycopg.Cursor, method, run)
    real_commit, real_rollback = psycopg.Connection.commit, psycopg.Connection.rollback

    def commit(self: Any) -> None:
        of(self).commit(lambda: real_commit(self))

    def rollback(self: Any) -> None:
        of(self)._what.clear()
        real_rollback(self)

    psycopg.Connection.commit = commit
    psycopg.Connection.rollback = rollback


# -- sockets -----------------------------------------------------------------------------------------------------------


def _watch_sockets(edges: Edges) -> None:
    """HTTP calls, out and in, by method, path and SOAP action.  What only reads is passed over: it decides nothing."""
    calls: dict[int, str | None] = {}

    def named(handle: int, data: Any) -> str | None:
        head = bytes(data[:_HEAD]).partition(b"\r\n\r\n")[0]
        found = _CALL.match(head)
        if found is not None:
            calls[handle] = None if found[1] in (b"GET", b"HEAD") else f"{found[1].decode()} {_path(found[2])}"
            action = _ACTION.search(head)
            if action is not None:
                calls[handle] = f"{calls[handle]} {action[1].decode()}"
        return calls.get(handle)

    def sending(real: Any) -> Any:
        def send(self: socket.socket, data: Any, *args: Any) -> Any:
            what = named(self.fileno(), data)
            if what is None:
                return real(self, data, *args)
            edges.passing("send", "before", what)
            result = real(self, data, *args)
            edges.passing("send", "after", what)
            return result

        return send

    def receiving(real: Any, *, into: bool) -> Any:
        def recv(self: socket.socket, first: Any, *args: Any) -> Any:
            handle = self.fileno()
            what = calls.get(handle)
            if what is not None:
                edges.passing("receive", "before", what)
            result = real(self, first, *args)
            what = named(handle, memoryview(first)[:result] if into else result)
            if what is not None and result:
                edges.passing("receive", "after", what)
            return result

        return recv

    for name in ("send", "sendall"):
        setattr(socket.socket, name, sending(getattr(socket.socket, name)))
    socket.socket.recv = receiving(socket.socket.recv, into=False)  # type: ignore[method-assign]
    socket.socket.recv_into = receiving(socket.socket.recv_into, into=True)  # type: ignore[method-assign]


def _spoil_names(folder: Path, name: str, share: float) -> None:
    """Now and then a partner's name has no address, or somebody else's certificate answers at it."""
    real = socket.getaddrinfo
    log = os.open(folder / f"{name}.unreachable", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        drawn = random.random() / share  # noqa: S311 - weather, no secret
        if drawn < 0.5:
            os.write(log, b"dns\n")
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if drawn < 1:
            os.write(log, b"tls\n")
            strange = ssl.SSLCertVerificationError("certificate verify failed")
            strange.verify_message = "self-signed certificate"
            raise strange
        return real(*args, **kwargs)

    socket.getaddrinfo = getaddrinfo


def _watch_door(edges: Edges) -> None:
    """The hub's own door.  Its sockets are beyond the interpreter: calls are seen where they are handed over."""
    try:
        server: Any = importlib.import_module("hub.web.server").Server
    except ImportError:
        return
    real = server._serve

    def serve(self: Any, call: Any) -> None:
        if call.scope.method in ("GET", "HEAD"):
            real(self, call)
            return
        what = f"{call.scope.method} {_path(call.scope.path.encode())}"
        edges.passing("receive", "after", what)
        app = self._app

        def told(*args: Any) -> Any:
            parts = app(*args)
            edges.passing("send", "before", what)
            return parts

        # One thread's call only: the others see the server as it is.
        mine = copy.copy(self)
        mine._app = told
        real(mine, call)
        edges.passing("send", "after", what)

    server._serve = serve


def _path(raw: bytes) -> str:
    steps = raw.decode("ascii", "replace").partition("?")[0].split("/")
    return "/".join(
        "*" if "_" in step or (any(c.isdigit() for c in step[1:]) and len(step) > 3) else step for step in steps
    )


# -- files -------------------------------------------------------------------------------------------------------------


def _watch_files(edges: Edges) -> None:
    synced: set[int] = set()

    def moving(real: Callable[..., None]) -> Callable[..., None]:
        def move(source: Any, target: Any, **kwargs: Any) -> None:
            try:
                inode = os.stat(source).st_ino
            except OSError:
                return real(source, target, **kwargs)  # there is nothing to move, and often that is meant
            what = _file(source)
            edges.passing("rename", "before", what)
            # What was written by others, and what was synced, is on the disk.
            if str(source).endswith(".part") and inode not in synced:
                edges.unsynced[inode] = str(target)
            real(source, target, **kwargs)
            edges.passing("rename", "after", what)

        return move

    real_fsync = os.fsync

    def fsync(handle: Any) -> None:
        number = handle if isinstance(handle, int) else handle.fileno()
        what = _file(os.readlink(f"/proc/self/fd/{number}"))
        edges.passing("fsync", "before", what)
        real_fsync(handle)
        inode = os.fstat(number).st_ino
        synced.add(inode)
        edges.unsynced.pop(inode, None)
        edges.passing("fsync", "after", what)

    os.rename, os.replace = moving(os.rename), moving(os.replace)
    os.fsync = fsync  # type: ignore[assignment]


def _file(path: Any) -> str:
    """A file by its kind: ``PRINT *.xml.part``; a folder by its name."""
    place = Path(os.fspath(path))
    found = _FILE.match(place.name)
    inside = place.parent.name if place.parent.name in ("claimed", "done", "refused") else ""
    return f"{inside} {found[1]} *{found[2]}".strip() if found and found[2] else place.name


def deaths(folder: Path, name: str) -> list[str]:
    """The edges at which process *name* has died, one for each time."""
    try:
        return [line for line in (folder / f"{name}.deaths").read_text("utf-8").split("\n") if line]
    except FileNotFoundError:
        return []


def sites(folder: Path, name: str) -> set[str]:
    """The edges that process *name* has passed so far."""
    try:
        return set((folder / f"{name}.sites").read_text("utf-8").split("\n")) - {""}
    except FileNotFoundError:
        return set()
