"""What this machine could do at most: bytes made durable, rows committed, HTTP answered and called, each by itself.

Measured in the run whose figures are held against them: the ratio means something on any machine, the figure on one.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hub import partners, settings
from hub.bench import load
from hub.bench.figure import Figure, missing
from hub.bench.place import ADAPTER, ASKS, MINISTRY, Place
from hub.bench.process import Child, free_port
from hub.channels import Answered, Outgoing, open_channel

#: About what one message of a visa request weighs, in bytes.
MESSAGE = 1500
#: Threads that call the sink: as many as the ministry lets call at once.
CALLERS = 8


def fsyncs(folder: Path, seconds: float) -> Figure:
    """A message appended to a file and made durable, one after the other."""
    path = folder / "appended"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    message = os.urandom(MESSAGE)

    def once() -> None:
        os.write(descriptor, message)
        os.fdatasync(descriptor)

    try:
        rate = _rate(once, seconds)
    finally:
        os.close(descriptor)
        path.unlink()
    return Figure(part="limits", what=f"append {MESSAGE:,} bytes + fdatasync", value=rate)


def sqlite_commits(folder: Path, seconds: float) -> Figure:
    """One row a commit, with the hub's own settings of durability."""
    path = folder / "commits.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    message = os.urandom(MESSAGE)
    rate = _rate(lambda: _committed(connection, "INSERT INTO row (body) VALUES (?)", message), seconds)
    connection.close()
    for left in folder.glob("commits.db*"):
        left.unlink()
    return Figure(part="limits", what="INSERT + COMMIT, one connection", value=rate, store="sqlite")


def postgres_commits(url: str, seconds: float) -> Figure:
    """The same on PostgreSQL, committed when it is on the disk."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = on")
        connection.execute("CREATE TABLE bench_row (id bigserial PRIMARY KEY, body bytea NOT NULL)")
        message = os.urandom(MESSAGE)
        # In autocommit mode a statement is a transaction, and one round trip.
        rate = _rate(lambda: connection.execute("INSERT INTO bench_row (body) VALUES (%s)", (message,)), seconds)
        connection.execute("DROP TABLE bench_row")
    return Figure(part="limits", what="INSERT + COMMIT, one connection", value=rate, store="postgres")


def _committed(connection: sqlite3.Connection, sql: str, body: bytes) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(sql, (body,))
    connection.execute("COMMIT")


def served(folder: Path, seconds: float) -> Figure:
    """HTTP round trips of a trivial answer by the web server that the hub uses, with as many threads."""
    port = free_port()
    count = load.pack(folder / "plain", [load.post("/", b"{}")])
    with Child("hub.bench.plain", str(port), log=folder / "plain.log") as child:
        child.listening()
        seen = load.run(load.Plan(
            ports=(port,), requests=str(folder / "plain"), expect="{", seconds=seconds, warm=min(1.0, seconds),
            repeat=True,
        ))  # fmt: skip
    assert count == 1
    return Figure(
        part="limits", what=f"HTTP round trips, the hub's web server, {load.CONNECTIONS} connections",
        value=seen["per_second"], more={name: seen[name] for name in ("p50_ms", "p99_ms", "busy", "non2xx")},
    )  # fmt: skip


def called(place: Place, seconds: float) -> Figure:
    """HTTP round trips of the hub's own SOAP client with the ministry of *place*, from :data:`CALLERS` threads."""
    ministry = partners.load(place.settings).partners[MINISTRY]
    channel, target, body = open_channel("soap"), ministry.target(ministry.operations[ASKS]), _application()
    until = time.monotonic() + seconds

    def call(_: int) -> int:
        count = 0
        while time.monotonic() < until:
            out = Outgoing(body=body, key=None, name=None, sequence=None, count=None, total=None, deadline=until + 30.0)
            if not isinstance(told := channel.send(target, out), Answered):
                raise RuntimeError(f"the sink did not answer: {told}")
            count += 1
        return count

    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as pool:
        rate = sum(pool.map(call, range(CALLERS))) / (time.monotonic() - began)
    channel.close()
    return Figure(part="limits", what=f"SOAP calls to the sink, the hub's client, {CALLERS} threads", value=rate)


def load_alone(folder: Path, port: int, seconds: float) -> Figure:
    """The load against the sink alone: what neither of the two can be the limit of."""
    body = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>%s</e:Body></e:Envelope>'
    load.pack(folder / "soap", [load.post("/", body % _application())])
    seen = load.run(load.Plan(
        ports=(port,), requests=str(folder / "soap"), expect="ISSUED", seconds=seconds, warm=min(0.5, seconds),
        repeat=True,
    ))  # fmt: skip
    return Figure(
        part="limits", what="SOAP calls to the sink, the load alone", value=seen["per_second"],
        more={name: seen[name] for name in ("p50_ms", "p99_ms", "busy", "non2xx")},
    )  # fmt: skip


def all_of(folder: Path, url: str | None, why: str, stores: tuple[str, ...], seconds: float) -> Iterator[Figure]:
    """Every limit, those of *stores*; *url* is PostgreSQL's, or *why* there is none."""
    yield fsyncs(folder, seconds)
    if "sqlite" in stores:
        yield sqlite_commits(folder, seconds)
    if "postgres" in stores:
        what = "INSERT + COMMIT, one connection"
        yield postgres_commits(url, seconds) if url else missing("limits", what, why, store="postgres")
    yield served(folder, seconds)
    with Child("hub.bench.sink", log=folder / "sink.log") as sink:
        port = sink.told()["port"]
        yield load_alone(folder, port, seconds)
        place = Place.make(folder / "limits", store=None, ministry=f"http://127.0.0.1:{port}/")
        yield called(place, seconds)


def _rate(once: Callable[[], Any], seconds: float) -> float:
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        for _ in range(20):
            once()
        count += 20
    return round(count / spent, 1)


def _application() -> bytes:
    """A call's body, from the examples of the map."""
    examples = settings.load(None).home / "mappings" / ADAPTER / ASKS / "examples"
    return (examples / "request-family.xml").read_bytes()
