"""A ministry that answers as fast as one process can, so that it is the hub that is measured and not its partner.

``python -m hub.bench.sink [--delay SECONDS] [--decided MOMENT]`` takes a free port of loopback and says it on standard
output.  It speaks the contract of ``mofa/visa_reference``: every application gets a reference number, the same one if
it comes again under its key.  ``GET /count`` tells what it has done; it keeps that itself, and the hub cannot see it.
"""

import argparse
import json
import re
import select
import socket
import time
from collections import deque

LONGEST = 4_000_000
_KEY = re.compile(rb"<(?:[\w.-]+:)?CorrelationId>([A-Za-z0-9-]{1,36})</")
_LENGTH = re.compile(rb"\r\nContent-Length: *([0-9]+)", re.IGNORECASE)
_HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
)
_ROOT = b'<v:%s xmlns:v="http://mofa.example/visa-reference/v1">'
_RESULT = (
    b"<v:Result><v:CorrelationId>%s</v:CorrelationId><v:Outcome>ISSUED</v:Outcome>"
    b"<v:ReferenceNo>%012d</v:ReferenceNo><v:DecidedAt>%s</v:DecidedAt></v:Result>"
)
_UNKNOWN = b"<v:Result><v:CorrelationId>%s</v:CorrelationId><v:Outcome>UNKNOWN</v:Outcome></v:Result>"


class Sink:
    """What was asked and answered: ``numbers`` holds the reference number of every key that ever came."""

    def __init__(self, decided: str) -> None:
        self.numbers: dict[bytes, int] = {}
        self.calls = self.subjects = self.enquiries = self.refused = 0
        self._decided = decided.encode("ascii")
        # Another sink after this one must not give the same numbers to others.
        self._next = int(time.time()) % 100_000 * 10_000_000

    def answer(self, head: bytes, body: bytes) -> bytes:
        """The whole HTTP answer to one request."""
        if head.startswith(b"GET /count"):
            return _http(b"200 OK", json.dumps(self.count()).encode(), b"application/json")
        keys = _KEY.findall(body)
        if not keys:
            self.refused += 1
            return _http(b"400 Bad Request", b"no application")
        if b"EnquireApplication" in body:
            self.enquiries += 1
            known = self.numbers.get(keys[0])
            result = _UNKNOWN % keys[0] if known is None else _RESULT % (keys[0], known, self._decided)
            return _http(b"200 OK", _envelope(b"EnquireApplicationResponse", result))
        self.calls += 1
        self.subjects += len(keys)
        results = []
        for key in keys:
            number = self.numbers.get(key)
            if number is None:
                number = self.numbers[key] = self._next
                self._next += 1
            results.append(_RESULT % (key, number, self._decided))
        return _http(b"200 OK", _envelope(b"SubmitApplicationsResponse", b"".join(results)))

    def count(self) -> dict[str, int]:
        """Calls answered, applications in them, and effects: how many different keys ever came."""
        return {
            "calls": self.calls, "subjects": self.subjects, "effects": len(self.numbers),
            "enquiries": self.enquiries, "refused": self.refused,
        }  # fmt: skip


def _envelope(root: bytes, inside: bytes) -> bytes:
    return b"".join((_HEAD, _ROOT % root, inside, b"</v:", root, b"></s:Body></s:Envelope>"))


def _http(status: bytes, body: bytes, kind: bytes = b"text/xml; charset=utf-8") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (status, kind, len(body), body)


def serve(listener: socket.socket, sink: Sink, delay: float = 0.0) -> None:
    """Answer at *listener* for ever, each request *delay* seconds after it was read."""
    poll = select.epoll()
    listener.setblocking(False)
    poll.register(listener.fileno(), select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    read: dict[int, bytes] = {}
    later: deque[tuple[float, socket.socket, bytes]] = deque()
    while True:
        for fd, _ in poll.poll(max(0.0, later[0][0] - time.monotonic()) if later else None):
            if fd == listener.fileno():
                one, _ = listener.accept()
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[one.fileno()], read[one.fileno()] = one, b""
                poll.register(one.fileno(), select.EPOLLIN)
                continue
            try:
                data = connections[fd].recv(262_144)
            except OSError:
                data = b""
            if not data or len(read[fd]) > LONGEST:
                poll.unregister(fd)
                connections.pop(fd).close()
                del read[fd]
                continue
            read[fd] += data
            while (found := _request(read[fd])) is not None:
                head, body, read[fd] = found
                told = sink.answer(head, body)
                if delay and not head.startswith(b"GET"):
                    later.append((time.monotonic() + delay, connections[fd], told))
                else:
                    _send(connections[fd], told)
        now = time.monotonic()
        while later and later[0][0] <= now:
            _, one, told = later.popleft()
            _send(one, told)


def _request(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """The first whole request of *data*: its head, its body, and what follows it."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    found = _LENGTH.search(data, 0, end)
    length = int(found[1]) if found else 0
    if len(data) < end + 4 + length:
        return None
    return data[:end], data[end + 4 : end + 4 + length], data[end + 4 + length :]


def _send(to: socket.socket, data: bytes) -> None:
    try:
        to.sendall(data)
    except OSError:
        return  # whoever asked has gone


def main() -> None:
    given = argparse.ArgumentParser()
    given.add_argument("--delay", type=float, default=0.0)
    given.add_argument("--decided", default="2026-12-01T09:00:00Z")
    asked = given.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    serve(listener, Sink(asked.decided), asked.delay)


if __name__ == "__main__":
    main()
