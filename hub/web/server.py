"""The web server: granian's HTTP, parsed off the interpreter's lock, before threads that answer, all in this process.

A request reaches a thread only when the whole of it is there: whoever sends slowly holds a connection and nothing else.
granian has no limits of its own on bodies, so they are kept here.
"""

import asyncio
import functools
import io
import logging
import queue
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.rsgi import HTTPProtocol, ProtocolClosed, ProtocolError, Scope  # type: ignore[attr-defined]
from granian.server.embed import Server as Granian

from hub.exchange.engine import Engine
from hub.security.redaction import place
from hub.settings import ConfigError
from hub.turns import Turns
from hub.web.access import quick_paths
from hub.web.app import LONGEST_BODY, create_app

log = structlog.get_logger(__name__)

#: Threads that answer what is not quick.  Each waits for its unit's commit, which many share; few run at once.
THREADS = 64
#: Bytes of a body that is not long in the reading.
QUICK_BODY = 65_536
#: Connections served at once, idle ones included; further ones wait to be accepted.
CONNECTIONS = 500
#: Bytes of the request line and the headers together.
LONGEST_HEAD = 32_768
#: Seconds for a whole head, and after which a connection without a request is closed.
HEAD_SECONDS = 30
#: Seconds for a whole body, and for a caller to take an answer.
BODY_SECONDS = 60.0
#: Seconds for which a body that nobody wants is still taken, so that its sender gets to read why it is refused.
DRAIN_SECONDS = 2.0
#: Seconds after which a caller that calls too often is told so.
SLOWED = 0.25
#: Seconds for which the requests in hand are waited for at the end.
GRACE = 10.0
#: Seconds between two looks at whether a request has been answered; its answer does not wait for the look.
_LOOK = 0.1

#: No path at all.
_NOTHING = re.compile(r"(?!)")
#: Status, headers and body of an answer.
_Said = tuple[int, list[tuple[str, str]], bytes]
_Start = Callable[..., Any]
_App = Callable[[dict[str, Any], _Start], Iterable[bytes]]


class _Call:
    """One whole request on its way to a thread, and whether it has been answered."""

    __slots__ = ("answered", "body", "length", "protocol", "scope")

    def __init__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        self.scope, self.protocol = scope, protocol
        self.body, self.length, self.answered = b"", 0, False


class Server:
    """Listens from the beginning; ``run()`` serves until ``close()``, or an interrupt, ends it.

    *address* is its URL and *port* where it listens.
    """

    def __init__(
        self, app: _App, host: str, port: int, *, shared: bool = False, quick: re.Pattern[str] = _NOTHING
    ) -> None:
        self._app, self._quick = app, quick
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=CONNECTIONS, reuse_port=shared)
        # What is accepted has the options of the socket that listens: a caller that does not read is dropped.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(BODY_SECONDS * 1000))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self.address = f"http://{f'[{host}]' if family == socket.AF_INET6 else host}:{self.port}/"
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._turns = Turns()
        self._loop = asyncio.new_event_loop()
        self._granian: _OnSocket | None = None
        self._closing, self._closed = threading.Event(), threading.Event()
        self._broken = False
        self._base: dict[str, Any] = {
            "SCRIPT_NAME": "",
            # Where no Host is said, none is: what stands here must not be a name that is trusted.
            "SERVER_NAME": "hub.invalid",
            "SERVER_PORT": str(self.port),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }

    def run(self) -> None:
        """Serve until :meth:`close`; the requests in hand are answered before it returns.

        Raises RuntimeError where serving ends without having been told to.
        """
        threading.Thread(target=self._turns.run, name="hub-door-quick", daemon=True).start()
        for number in range(THREADS):
            threading.Thread(target=self._work, name=f"hub-door-{number}", daemon=True).start()
        # A thread of its own: an interrupt of the main one must not hit the loop between two callbacks.
        loop = threading.Thread(target=self._run_loop, name="hub-door", daemon=True)
        loop.start()
        try:
            self._closing.wait()
        finally:
            self._closing.set()
            if self._granian is not None and not self._broken:
                self._loop.call_soon_threadsafe(self._granian.stop)
            loop.join(GRACE)
            self._turns.close()
            for _ in range(THREADS):
                self._calls.put(None)
            self._closed.set()
        if self._broken:
            raise RuntimeError("the door has ended by itself")

    def close(self) -> None:
        """End :meth:`run`, from any thread, and wait until it has ended; or give up a port that was never served."""
        self._closing.set()
        if self._granian is None:
            self._socket.close()
        else:
            self._closed.wait(GRACE)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._granian = _OnSocket(self._take, self._socket)
            if not self._closing.is_set():
                self._loop.run_until_complete(self._granian.serve())
        finally:
            # However it ended: a hub whose door is gone must not look as if it ran.
            self._broken = not self._closing.is_set()
            self._closing.set()

    # -- in the loop: whole requests ---------------------------------------------------------------------------------

    async def _take(self, scope: Scope, protocol: HTTPProtocol) -> None:
        call = _Call(scope, protocol)
        try:
            whole = await self._read(call)
        except asyncio.CancelledError:
            protocol.response_bytes(408, [("Server", "")], b"")
            return
        except (ProtocolClosed, ProtocolError, RuntimeError):
            return  # its sender has gone
        if call.length <= QUICK_BODY and self._quick.fullmatch(scope.path):
            self._turns.put(functools.partial(self._serve, call))
        else:
            self._calls.put(call)
        while not call.answered:
            await asyncio.sleep(_LOOK)
        if not whole:
            await self._drain(protocol)

    async def _read(self, call: _Call) -> bool:
        """Take in the body, if it is not too long to be looked at; answers whether nothing of it is left."""
        headers, protocol = call.scope.headers, call.protocol
        said = headers.get("content-length")
        if headers.get("transfer-encoding") is not None:
            found, stream = bytearray(), protocol.__aiter__()
            end = self._loop.time() + BODY_SECONDS
            while len(found) <= LONGEST_BODY:
                try:
                    found += await self._within(stream.__anext__(), end)
                except StopAsyncIteration:
                    call.body, call.length = bytes(found), len(found)
                    return True
            call.length = len(found)
            return False
        if said is None:
            return True
        call.length = int(said)
        if call.length > LONGEST_BODY:
            return False
        call.body = await self._within(protocol(), self._loop.time() + BODY_SECONDS)
        return True

    async def _drain(self, protocol: HTTPProtocol) -> None:
        """A connection that is closed on unread bytes is reset, and takes the answer with it."""
        stream, end = protocol.__aiter__(), self._loop.time() + DRAIN_SECONDS
        try:
            while await self._within(stream.__anext__(), end):
                pass
        except (StopAsyncIteration, asyncio.CancelledError, ProtocolClosed, ProtocolError, RuntimeError):
            pass

    async def _within(self, coming: Any, end: float) -> bytes:
        """What *coming*, a future of granian's, brings; cancelled at *end*.  ``asyncio.timeout`` needs a task."""
        timer = self._loop.call_at(end, coming.cancel)
        try:
            found: bytes = await coming
            return found
        finally:
            timer.cancel()

    # -- in the threads: answers -------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            self._serve(call)

    def _serve(self, call: _Call) -> None:
        try:
            said = self._answer(call)
        except Exception as error:
            log.error("web_failed", kind=type(error).__name__, place=place(error.__traceback__))
            said = 500, [("Server", "")], b""
        if said[0] == 429:
            # No thread waits with it: told at once, a caller that never stops would have the door for itself.
            self._loop.call_soon_threadsafe(self._loop.call_later, SLOWED, self._tell, call, said)
        else:
            self._tell(call, said)

    @staticmethod
    def _tell(call: _Call, said: _Said) -> None:
        try:
            call.protocol.response_bytes(*said)
        except (ProtocolClosed, ProtocolError, RuntimeError):
            pass  # its sender has gone
        finally:
            call.answered = True

    def _answer(self, call: _Call) -> _Said:
        """What the application says to *call*."""
        told: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], fault: Any = None) -> None:
            told[:] = [(status, headers)]

        parts = self._app(self._environ(call), start)
        try:
            body = b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        ((status, headers),) = told
        # granian names itself where nothing stands.
        return int(status[:3]), [*headers, ("Server", "")], body

    def _environ(self, call: _Call) -> dict[str, Any]:
        scope = call.scope
        environ = {
            **self._base,
            "REQUEST_METHOD": scope.method,
            "PATH_INFO": scope.path.encode().decode("latin-1"),
            "QUERY_STRING": scope.query_string,
            "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
            "REMOTE_ADDR": scope.client.rpartition(":")[0],
            "wsgi.input": io.BytesIO(call.body),
        }
        for name, value in scope.headers.items():
            # Of X_Forwarded_For and X-Forwarded-For a proxy writes one and a caller could write the other.
            if "_" in name:
                continue
            key = f"HTTP_{name.upper().replace('-', '_')}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        if environ.pop("HTTP_CONTENT_LENGTH", None) is not None or call.length:
            environ["CONTENT_LENGTH"] = str(call.length)
        return environ


class _OnSocket(Granian):
    """granian on a socket that is ours: its own lets every other process listen beside it."""

    def __init__(self, take: Any, listening: socket.socket) -> None:
        super().__init__(
            take,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            websockets=False,
            backpressure=CONNECTIONS,
            http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000, max_buffer_size=LONGEST_HEAD),
            # It logs through our own handlers, and only what fails.
            log_level=LogLevels.error,
            log_dictconfig={"incremental": True, "handlers": {}, "loggers": {}},
        )
        self._listening = listening

    def _init_shared_socket(self) -> None:
        # From here on the descriptor is granian's to close.
        self._shd = SocketHolder(self._listening.detach(), False, CONNECTIONS)  # type: ignore[assignment,call-arg]


def open_server(engine: Engine, *, shared: bool = False) -> Server:
    """A server of *engine*'s doors, listening already.

    With *shared* other processes may listen at the same port, and the system spreads the connections over them.
    Raises :class:`ConfigError` ``port_taken`` where something else listens at the settings' host and port.
    """
    settings = engine.settings
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    try:
        app = create_app(engine)
        return Server(app, settings.host, settings.port, shared=shared, quick=quick_paths(app))
    except OSError:
        raise ConfigError("port_taken", f"{settings.host}:{settings.port}") from None
