"""A partner on loopback who can be told to misbehave, alone or in front of a real one.

    with FaultyPartner(lambda request: b'{"ok": true}') as partner:
        partner.fault = "drip"            # any of FAULTS; None behaves
        ...                               # call partner.url
        assert partner.requests           # noted before the fault is played

With ``upstream="http://127.0.0.1:8081"`` it forwards what it gets and spoils what comes back.  ``effect = False`` plays
the fault without forwarding or answering, so that a test may have a fault before the effect as well as after it.
``choose`` picks both anew for each request.

It is written from the protocols alone and imports nothing of the hub.
"""

import contextlib
import gzip
import http.client
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import BinaryIO, Self
from urllib.parse import urlsplit

SOAP_FAULT = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
    b"<faultcode>s:Server</faultcode><faultstring>out of order</faultstring></s:Fault></s:Body></s:Envelope>"
)
HTML = b"<!doctype html><html><body><h1>Welcome to the hotel network</h1></body></html>"


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


Answer = tuple[int, dict[str, str], bytes]
Play = Callable[["FaultyPartner", socket.socket, Answer], Iterator[bytes]]
#: The fault to play for a request, and whether it takes effect all the same.
Choose = Callable[[Request], tuple[str | None, bool]]


def _wire(answer: Answer) -> bytes:
    status, headers, body = answer
    given = {"Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} {http.client.responses.get(status, 'Odd')}\r\n{head}\r\n".encode() + body


def _status(status: int, **headers: str) -> Play:
    def play(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
        yield _wire((status, {name.replace("_", "-"): value for name, value in headers.items()}, b"no"))

    return play


def _ok(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield _wire(answer)


def _reset(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError
    yield b""


def _hang_up(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    raise ConnectionAbortedError
    yield b""


def _silent(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    partner.over.wait(partner.patience)
    raise ConnectionAbortedError
    yield b""


def _late(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    partner.over.wait(partner.delay)
    yield _wire(answer)


def _drip(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    """A whole and right answer, a byte at a time: each byte in time, the whole of it never."""
    for byte in _wire(answer):
        if partner.over.wait(partner.pace):
            return
        yield bytes((byte,))


def _drip_body(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    head, _, body = _wire(answer).partition(b"\r\n\r\n")
    yield head + b"\r\n\r\n"
    for byte in body:
        if partner.over.wait(partner.pace):
            return
        yield bytes((byte,))


def _short(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield _wire((answer[0], {**answer[1], "Content-Length": str(len(answer[2]) + 100)}, answer[2]))
    raise ConnectionAbortedError


def _chunk_cut(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (len(answer[2]) + 50) + answer[2]
    raise ConnectionAbortedError


def _chunk_end_cut(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    """Every chunk whole, but the last and empty one that would say so is missing."""
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(answer[2]), answer[2])
    raise ConnectionAbortedError


def _garbage(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield bytes(range(255, 0, -1)) * 4
    raise ConnectionAbortedError


def _html(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield _wire((200, {"Content-Type": "text/html"}, HTML))


def _wrong_namespace(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    body = re.sub(rb'(xmlns(?::\w+)?=")(?!http://(?:schemas\.xml|www\.w3))([^"]+)', rb"\1\2:other", answer[2])
    yield _wire((answer[0], answer[1], body))


def _soap_fault(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield _wire((200, {"Content-Type": "text/xml"}, SOAP_FAULT))


def _redirect(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield _wire((307, {"Location": partner.elsewhere}, b""))


def _redirect_endless(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield f"HTTP/1.1 302 Found\r\nLocation: {partner.elsewhere}\r\n\r\n".encode()
    while not partner.over.is_set():
        yield b"x" * 65536


def _gzip_bomb(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield _wire((200, {"Content-Encoding": "gzip"}, _bomb()))


@cache
def _bomb() -> bytes:
    """A body that is 300 MB when it is unpacked."""
    return gzip.compress(bytes(300_000_000), 1)


def _endless(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    while not partner.over.is_set():
        yield b"x" * 65536


def _endless_head(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while not partner.over.is_set():
        yield b"X-More: " + b"x" * 1000 + b"\r\n"


def _twice(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    yield _wire(answer)
    yield _wire(answer)


def _another(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    """The answer to the request before this one."""
    yield _wire(partner.before or answer)


def _drop_idle(partner: "FaultyPartner", conn: socket.socket, answer: Answer) -> Iterator[bytes]:
    """Answers well, promises to keep the connection, and drops it."""
    yield _wire(answer)
    raise ConnectionAbortedError


FAULTS: dict[str, Play] = {
    "reset": _reset,
    "hang_up": _hang_up,
    "silent": _silent,
    "late": _late,
    "drip": _drip,
    "drip_body": _drip_body,
    "short": _short,
    "chunk_cut": _chunk_cut,
    "chunk_end_cut": _chunk_end_cut,
    "garbage": _garbage,
    "html": _html,
    "wrong_namespace": _wrong_namespace,
    "soap_fault": _soap_fault,
    "status_429": _status(429, Retry_After="7"),
    "status_503": _status(503, Retry_After="7"),
    "status_401": _status(401),
    "status_403": _status(403),
    "status_500": _status(500),
    "redirect": _redirect,
    "redirect_endless": _redirect_endless,
    "gzip_bomb": _gzip_bomb,
    "endless": _endless,
    "endless_head": _endless_head,
    "twice": _twice,
    "another": _another,
    "drop_idle": _drop_idle,
}
#: Played by the listening socket itself.
NOT_ANSWERING = ("refuse", "silent_accept")


class FaultyPartner:
    """Listens on a port of loopback.  *answer* gives the body, or the whole of status, headers and body."""

    def __init__(
        self,
        answer: Callable[[Request], bytes | Answer] | None = None,
        *,
        upstream: str | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.over = threading.Event()
        self.effect = True
        self.choose: Choose | None = None
        self.keep = True  # the requests, to look at afterwards
        self.pace = 0.1  # seconds between two bytes that drip
        self.delay = 1.0  # seconds that a late answer takes
        self.patience = 30.0  # seconds of silence before it hangs up
        self.elsewhere = "http://127.0.0.1:9/"
        self.before: Answer | None = None
        self._fault: str | None = None
        self._answer = answer or (lambda request: b"{}")
        self._upstream = upstream
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._listener = self._listen(port)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def fault(self) -> str | None:
        return self._fault

    @fault.setter
    def fault(self, name: str | None) -> None:
        assert name is None or name in FAULTS or name in NOT_ANSWERING, name
        refused, self._fault = self._fault == "refuse", name
        if name == "refuse":
            self._deafen()
        elif refused:
            self._listener = self._listen(self.port)
            self._start()

    @property
    def open(self) -> int:
        """Connections that have not been closed from here."""
        return len(self._open)

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._deafen()
        self.hang_up()

    def hang_up(self) -> None:
        """End every call that is being played."""
        for conn in list(self._open):
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)

    def _listen(self, port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port), backlog=128)

    def _deafen(self) -> None:
        # Closing alone would leave the socket listening for as long as the accepting thread waits on it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _start(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while not self.over.is_set():
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        conn = raw
        try:
            if self._fault == "silent_accept":
                self.over.wait(self.patience)
                return
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn = self._tls.wrap_socket(raw, server_side=True) if self._tls else raw
            self._open.discard(raw)
            self._open.add(conn)
            with contextlib.closing(conn), conn.makefile("rb") as stream:
                while (request := _read(stream)) is not None:
                    if self.keep:
                        self.requests.append(request)
                    fault, effect = self.choose(request) if self.choose else (self._fault, self.effect)
                    answer: Answer = self._respond(request) if effect else (500, {}, b"")
                    for data in FAULTS.get(fault or "", _ok)(self, conn, answer):
                        conn.sendall(data)
                    self.before = answer
        except (OSError, ValueError, http.client.HTTPException):
            pass
        finally:
            raw.close()
            self._open.discard(raw)
            self._open.discard(conn)

    def _respond(self, request: Request) -> Answer:
        if self._upstream is None:
            said = self._answer(request)
            return said if isinstance(said, tuple) else (200, {}, said)
        parts = urlsplit(self._upstream)
        conn = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        conn.request(request.method, parts.path.rstrip("/") + request.path, request.body, request.headers)
        response = conn.getresponse()
        body = response.read()
        conn.close()
        kept = {name: value for name, value in response.getheaders() if name.title() in ("Content-Type", "Retry-After")}
        return response.status, kept, body


def _read(stream: BinaryIO) -> Request | None:
    line = stream.readline()
    if not line:
        return None
    method, path, _ = line.decode("ascii").split(" ", 2)
    headers = {name.title(): value for name, value in http.client.parse_headers(stream).items()}
    body = stream.read(int(headers.get("Content-Length", 0)))
    return Request(method, path, headers, body)
