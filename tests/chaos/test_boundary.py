"""Edges are seen from below and named alike in every run, and a process dies at the one that was asked for."""

import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from hub.chaos import boundary
from hub.chaos.boundary import ANY, FRESH, Marks

WORK = """
    import os, sqlite3, sys
    from pathlib import Path
    from hub.chaos import boundary
    folder = Path(sys.argv[1])
    boundary.install(folder, "one", power="power" in sys.argv)
    db = sqlite3.connect(folder / "a.db", isolation_level=None)
    db.execute("CREATE TABLE IF NOT EXISTS thing (a)")
    for n in range(3):
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO thing VALUES (?)", (n,))
        db.execute("COMMIT")
    part, whole = folder / "LIST-x-000001.xml.part", folder / "LIST-x-000001.xml"
    with part.open("wb") as file:
        file.write(b"1234567890")
        file.flush()
        if "sync" in sys.argv:
            os.fsync(file.fileno())
    os.rename(part, whole)
"""


def work(folder: Path, *more: str, armed: str | None = None, nth: int = 1) -> int:
    """Run it, to die where *armed* says; its exit code."""
    if armed:
        marks = Marks(folder / "one.marks")
        marks.reset()
        marks.arm(armed, nth)
    return subprocess.run([sys.executable, "-c", textwrap.dedent(WORK), str(folder), *more]).returncode


def rows(folder: Path) -> int:
    with sqlite3.connect(folder / "a.db") as db:
        return int(db.execute("SELECT count(*) FROM thing").fetchone()[0])


def test_what_was_passed_is_named_by_what_it_did(tmp_path: Path) -> None:
    assert work(tmp_path, "sync") == 0
    assert boundary.sites(tmp_path, "one") == {
        f"{what}/{when}/{name}"
        for when in ("before", "after")
        for what, name in (
            ("statement", "insert thing"), ("commit", "insert thing"), ("fsync", "LIST *.xml.part"),
            ("rename", "LIST *.xml.part"),
        )
    }  # fmt: skip
    assert Marks(tmp_path / "one.marks").commits == 3


@pytest.mark.parametrize(
    ("site", "nth", "there"),
    [
        ("commit/before/insert thing", 1, 0),
        ("commit/after/insert thing", 1, 1),
        ("statement/after/insert thing", 2, 1),
        ("commit/after/insert thing", 3, 3),
    ],
)
def test_death_at_an_edge_is_exactly_there(tmp_path: Path, site: str, nth: int, there: int) -> None:
    assert work(tmp_path, armed=site, nth=nth) == -signal.SIGKILL
    assert rows(tmp_path) == there
    assert boundary.deaths(tmp_path, "one") == [site]
    assert Marks(tmp_path / "one.marks").died is not None


def test_of_many_threads_at_an_edge_one_dies_and_the_others_do_not_notice(tmp_path: Path) -> None:
    marks, often = Marks(tmp_path / "one.marks"), 300
    meet = threading.Barrier(4, action=lambda: marks.arm(ANY), timeout=10)
    hits: list[bool] = []

    def passes() -> None:
        for _ in range(often):
            meet.wait()
            hits.append(marks.hit(1, True))
            hits.append(marks.hit(1, True))
            meet.wait()

    crowd = [threading.Thread(target=passes) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(hits) == 4 * 2 * often
    assert hits.count(True) == often


def test_fresh_edges_come_before_those_where_somebody_died(tmp_path: Path) -> None:
    died = 0
    while work(tmp_path, armed=FRESH) == -signal.SIGKILL:
        died += 1
    assert died == len(boundary.sites(tmp_path, "one")) == len(set(boundary.deaths(tmp_path, "one"))) == 6
    assert work(tmp_path, armed=ANY) == -signal.SIGKILL


@pytest.mark.parametrize(("more", "left"), [(("power",), 5), (("power", "sync"), 10), ((), 10)])
def test_a_power_cut_takes_what_was_renamed_and_not_synced(tmp_path: Path, more: tuple[str, ...], left: int) -> None:
    assert work(tmp_path, *more, armed="rename/after/LIST *.xml.part") == -signal.SIGKILL
    assert (tmp_path / "LIST-x-000001.xml").stat().st_size == left


def test_calls_are_named_by_method_and_path_alike_for_all_partners() -> None:
    assert boundary._path(b"/v1/partners/bank_x/notices") == "/v1/partners/*/notices"
    assert boundary._path(b"/v1/requests/01a207f2-9b47-737a-a766-8343af13624e/decisions?a=1") == (
        "/v1/requests/*/decisions"
    )
    assert boundary._path(b"/mofa") == "/mofa"


def test_calls_are_told_apart_by_their_action_and_those_that_only_read_passed_over(tmp_path: Path) -> None:
    code = """
        import socket, sys
        from pathlib import Path
        from hub.chaos import boundary
        boundary.install(Path(sys.argv[1]), "one")
        ours, theirs = socket.socketpair()
        ours.sendall(b"GET /health HTTP/1.1\\r\\n\\r\\n"); theirs.recv(99)
        ours.sendall(b"POST /bill HTTP/1.1\\r\\n\\r\\n"); theirs.recv(99)
        action = b'SOAPAction: "http://mofa.example/v1/Submit"'
        ours.sendall(b"POST /mofa HTTP/1.1\\r\\n" + action + b"\\r\\n\\r\\n"); theirs.recv(99)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], check=True)
    passed = boundary.sites(tmp_path, "one")
    # Between two calls of one connection whoever waits for the next still waits under the name of the one before.
    assert passed == {
        f"{edge}/POST {what}"
        for what in ("/bill", "/mofa Submit")
        for edge in ("send/before", "send/after", "receive/after")
    } | {"receive/before/POST /bill"}
