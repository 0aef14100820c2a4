"""The load: keep-alive connections in a process of its own, on raw sockets so that it is never the limit.

``python -m hub.bench.load`` reads its plan as JSON from standard input and tells what it saw as JSON.  The requests lie
ready in a file, each whole HTTP request behind its length in four bytes; they are sent in their order, each once.
"""

import http.client
import json
import re
import select
import socket
import struct
import subprocess
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: Connections of every comparison: what the reference figures of other systems were measured with.
CONNECTIONS = 16
_LENGTH = re.compile(rb"\r\nContent-Length: *([0-9]+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nConnection: *close", re.IGNORECASE)
#: Seconds after which a connection that says nothing is given up.
SILENT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be sent where.

    *ports* are those of loopback, among which the connections are shared out.  Answers that end within *warm* seconds
    are not counted, those of the following *seconds* are.  A good answer is 2xx and holds *expect*.  With *pace*
    requests fall due so many a second and latency counts from when a request was due; without it each connection sends
    its next request when it was answered.  *repeat* begins again when all requests were sent.
    """

    ports: tuple[int, ...]
    requests: str
    expect: str
    seconds: float
    warm: float = 0.0
    connections: int = CONNECTIONS
    pace: float | None = None
    repeat: bool = False


def pack(path: Path, requests: Iterable[bytes]) -> int:
    """Write *requests* as the load reads them; how many there were."""
    count = 0
    with path.open("wb") as out:
        for one in requests:
            out.write(struct.pack(">I", len(one)) + one)
            count += 1
    return count


def post(path: str, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """One HTTP request as the load sends it."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("ascii") + body


def once(port: int, request: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to one *request*, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), SILENT) as one:
        one.sendall(request)
        answer = http.client.HTTPResponse(one, method=request.split(b" ", 1)[0].decode("ascii"))
        answer.begin()
        return answer.status, answer.read()


def get(path: str) -> bytes:
    """One HTTP request for what lies at *path*."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode("ascii")


def run(plan: Plan) -> dict[str, Any]:
    """Drive *plan* in a process of its own.

    Answers ``per_second``, ``p50_ms``, ``p90_ms``, ``p99_ms`` and ``max_ms`` of the measured time; ``sent``,
    ``answered``, ``good``, ``non2xx`` and ``lacking`` (2xx without what a good answer holds) of all of it; in
    ``first_bad`` how an answer began that was not good; ``busy``, the share of one core that the load itself took;
    ``ran_out`` where there were not requests enough.
    """
    done = subprocess.run(
        [sys.executable, "-m", "hub.bench.load"], input=json.dumps(asdict(plan)), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the load failed: {done.stderr.strip().splitlines()[-1:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


class _Load:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.expect = plan.expect.encode()
        self.statuses: Counter[str] = Counter()
        self.lacking = self.good = self.sent = self.broken = 0
        self.first_bad: str | None = None
        self.took = array("d")
        self.ended = array("d")
        self._requests = self._read()
        self.ran_out = False
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._ports: dict[int, int] = {}
        self._since: dict[int, float] = {}
        self._half: dict[int, bytes] = {}
        self._idle: deque[int] = deque()

    def _read(self) -> Iterator[bytes]:
        data = memoryview(Path(self.plan.requests).read_bytes())
        while True:
            at = 0
            while at < len(data):
                (length,) = struct.unpack_from(">I", data, at)
                yield bytes(data[at + 4 : at + 4 + length])
                at += 4 + length
            if not self.plan.repeat:
                return

    def _connect(self, port: int) -> int:
        one = socket.create_connection(("127.0.0.1", port), SILENT)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fd = one.fileno()
        self._sockets[fd], self._ports[fd] = one, port
        self._poll.register(fd, select.EPOLLIN)
        return fd

    def _close(self, fd: int) -> int:
        """Close a connection; a fresh one takes its place."""
        self._poll.unregister(fd)
        self._sockets.pop(fd).close()
        self._half.pop(fd, None)
        return self._connect(self._ports.pop(fd))

    def _ask(self, fd: int, due: float) -> bool:
        request = next(self._requests, None)
        if request is None:
            self.ran_out = True
            return False
        self._since[fd] = due
        self._sockets[fd].sendall(request)
        self.sent += 1
        return True

    def _heard(self, fd: int) -> int | None:
        """Read what *fd* has; the connection to go on with when its answer is whole, None while it is not."""
        try:
            data = self._sockets[fd].recv(65_536)
        except OSError:
            data = b""
        if fd not in self._since:
            # The other side closed a connection on which nothing was asked: another takes its place.
            self._idle.remove(fd)
            self._idle.append(self._close(fd))
            return None
        if not data:
            # An answer without a length ends with its connection; one that was cut off is told as broken.
            self._since.pop(fd)
            self.broken += 1
            return self._close(fd)
        if fd in self._half:
            data = self._half.pop(fd) + data
        end = data.find(b"\r\n\r\n")
        found = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
        if found is None or len(data) < end + 4 + int(found[1]):
            if found is None and end >= 0 and data.endswith(b"0\r\n\r\n"):
                pass  # chunked, and whole
            else:
                self._half[fd] = data
                return None
        now = time.perf_counter()
        self.took.append(now - self._since.pop(fd))
        self.ended.append(now)
        status = data[9:12]
        if status[:1] == b"2" and self.expect in data:
            self.good += 1
        else:
            self.statuses[status.decode("ascii", "replace")] += 1
            self.lacking += status[:1] == b"2"
            self.first_bad = self.first_bad or data[:600].decode("utf-8", "replace")
        return self._close(fd) if _CLOSE.search(data, 0, end + 2) else fd

    def drive(self) -> dict[str, Any]:
        plan, idle = self.plan, self._idle
        idle.extend(self._connect(plan.ports[n % len(plan.ports)]) for n in range(plan.connections))
        began = time.perf_counter()
        first, last = began + plan.warm, began + plan.warm + plan.seconds
        step = 1 / plan.pace if plan.pace else 0.0
        due, spent, heard = began, 0.0, began
        while True:
            now = time.perf_counter()
            if now < first:
                spent = time.process_time()
            if now >= last or self.ran_out:
                if not self._since or now - heard > SILENT:
                    break
            else:
                while idle and (not step or due <= now):
                    if not self._ask(idle.popleft(), due if step else time.perf_counter()):
                        break
                    due += step
            wait = max(0.0, min(due - now, 0.5)) if step and idle and now < last else 0.5
            for fd, _ in self._poll.poll(wait):
                ready = self._heard(fd)
                if ready is None:
                    continue
                heard = time.perf_counter()
                if step or heard >= last or not self._ask(ready, heard):
                    idle.append(ready)
        spent = time.process_time() - spent
        for one in self._sockets.values():
            one.close()
        return self._told(first, min(last, self.ended[-1]) if self.ran_out and self.ended else last, spent)

    def _told(self, first: float, last: float, spent: float) -> dict[str, Any]:
        took = sorted(t for t, at in zip(self.took, self.ended, strict=True) if first <= at < last)
        seconds = max(last - first, 1e-9)

        def at(share: float) -> float | None:
            return round(took[min(len(took) - 1, int(share * len(took)))] * 1000, 3) if took else None

        bad = sum(self.statuses.values())
        return {
            "per_second": round(len(took) / seconds, 1), "p50_ms": at(0.5), "p90_ms": at(0.9), "p95_ms": at(0.95),
            "p99_ms": at(0.99),
            "max_ms": round(took[-1] * 1000, 3) if took else None, "seconds": round(seconds, 2), "measured": len(took),
            "sent": self.sent, "answered": len(self.took), "good": self.good, "non2xx": bad - self.lacking,
            "lacking": self.lacking, "broken": self.broken, "statuses": dict(self.statuses),
            "first_bad": self.first_bad, "busy": round(spent / seconds, 2), "ran_out": self.ran_out,
        }  # fmt: skip


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    print(json.dumps(_Load(Plan(**{**asked, "ports": tuple(asked["ports"])})).drive()))
