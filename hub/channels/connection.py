"""Connections that know when their first byte left and that can be cut at a deadline, from outside, at any moment."""

import contextlib
import socket
import threading
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError

from hub.channels.guard import Guard

#: Seconds after which a connection that nobody used is not used again: servers drop idle ones, and a request that
#: crosses with the drop is a request whose outcome nobody knows.
IDLE = 5.0
#: Seconds between two looks at the deadlines.
TICK = 0.05

_thread = threading.local()


class Call:
    """One call in flight: when it must end, when its first byte left, the connection that carries it, and what guards
    where it may lead."""

    __slots__ = ("connection", "deadline", "expired", "guard", "started")

    def __init__(self, deadline: float, guard: Guard | None = None) -> None:
        self.deadline, self.guard = deadline, guard
        self.started: float | None = None
        self.expired = False
        self.connection: _Connection | None = None

    def ride(self, connection: "_Connection") -> None:
        self.connection = connection
        connection.carry(self)
        if self.expired:
            raise TimeoutError

    def cut(self) -> None:
        self.expired = True
        if self.connection is not None:
            self.connection.cut(self)


class Watchdog:
    """Ends calls at their deadline.  A read time-out counts per chunk: a partner that drips would hold us for ever."""

    def __init__(self) -> None:
        self._calls: dict[int, Call] = {}
        self._busy = threading.Event()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, call: Call) -> None:
        """From now on *call* is what this thread's connections carry."""
        _thread.call = call
        self._calls[id(call)] = call
        if not self._busy.is_set():
            self._busy.set()
        if self._thread is None:
            with self._start:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="hub-deadlines", daemon=True)
                    self._thread.start()

    def finish(self, call: Call) -> bool:
        """Whether the call ended before its deadline.  Whoever takes it out of the dict decides, so only one can."""
        return self._calls.pop(id(call), None) is not None

    def _run(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(TICK)
            now = time.monotonic()
            for call in list(self._calls.values()):
                if call.deadline <= now and self.finish(call):
                    call.cut()
            if not self._calls:
                self._busy.clear()
                if self._calls:
                    self._busy.set()


class _Connection(HTTPConnection):
    """A connection that can be cut from another thread and that knows when it was last used.

    The cut goes through a duplicate of the socket: during a TLS handshake the connection does not hold the real one,
    and shutting down an ``SSLSocket`` would let the reader take what is left of the cipher text for an answer.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.used = 0.0
        self._carried: Call | None = None
        self._plug: socket.socket | None = None
        self._lock = threading.Lock()

    def _new_conn(self) -> socket.socket:
        call: Call = _thread.call
        sock = super()._new_conn() if call.guard is None else self._guarded(call.guard)
        with self._lock:
            self._plug = sock.dup()
        self.used = time.monotonic()
        call.ride(self)
        return sock

    def _guarded(self, guard: Guard) -> socket.socket:
        """A socket to the one address that was looked up and looked at; TLS and Host go by the name as before."""
        name = self._dns_host
        try:
            self._dns_host = guard.address(name, self.port)
            return super()._new_conn()
        except socket.gaierror as error:
            raise NameResolutionError(name, self, error) from None
        finally:
            self._dns_host = name

    @property
    def is_connected(self) -> bool:
        call: Call | None = getattr(_thread, "call", None)
        # What is guarded is looked at anew for each call.
        return (call is None or call.guard is None) and super().is_connected and time.monotonic() - self.used < IDLE

    def send(self, data: Any) -> None:
        call: Call = _thread.call
        if self.sock is None:
            self.connect()
        if call.connection is not self:
            call.ride(self)
        if call.started is None:
            call.started = time.monotonic()
        super().send(data)

    def close(self) -> None:
        with self._lock:
            if self._plug is not None:
                self._plug.close()
                self._plug = None
        super().close()

    def carry(self, call: Call) -> None:
        with self._lock:
            self._carried = call

    def cut(self, call: Call) -> None:
        with self._lock:
            if self._carried is call and self._plug is not None:
                with contextlib.suppress(OSError):
                    self._plug.shutdown(socket.SHUT_RDWR)


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
