"""Units of work: durable when answered, alone in their failure, refused cleanly when the disk is full."""

import contextlib
import sqlite3
import threading
from concurrent.futures import Future

import pytest
from sqlalchemy import bindparam, select

from hub.canonical.errors import HubError
from hub.store.database import READERS, Database, Statement, inserting
from hub.store.migrations import HEAD
from hub.store.tables import sequence
from hub.turns import Turns

PUT = inserting(sequence, replace=True)
GET = Statement(select(sequence.c.value).where(sequence.c.name == bindparam("name")))


@pytest.fixture
def database(tmp_path):
    found = Database(tmp_path / "hub.db")
    yield found
    found.close()


def put(name, value=1):
    return lambda tx: tx.run(PUT, name=name, value=value)


def read(database, name):
    with database.reading() as tx:
        row = tx.one(GET, name=name)
    return None if row is None else row[0]


def test_a_unit_is_durable_when_it_is_answered(database):
    database.unit(put("a", 7))
    with sqlite3.connect(database.store) as other:
        assert other.execute("SELECT value FROM sequence").fetchall() == [(7,)]


def test_a_store_of_another_version_is_refused_by_name_and_left_as_it_is(tmp_path):
    Database(tmp_path / "hub.db").close()
    with sqlite3.connect(tmp_path / "hub.db") as other:
        other.execute("UPDATE alembic_version SET version_num = '0000'")
        other.execute("DROP TABLE run")
    with pytest.raises(HubError) as caught:
        Database(tmp_path / "hub.db")
    assert str(caught.value) == f"store_version (file=hub.db found=0000 expected={HEAD})"
    with sqlite3.connect(tmp_path / "hub.db") as other:
        assert other.execute("SELECT count(*) FROM sqlite_master WHERE name = 'run'").fetchone() == (0,)


def test_durability_settings_are_on(database):
    connection = database._writer
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert connection.execute("PRAGMA busy_timeout").fetchone()[0] >= 5000


def test_units_that_share_a_commit_fail_alone(database):
    gate = threading.Event()
    blocker = database.submit(lambda tx: gate.wait(5))

    def fails(tx):
        put("bad")(tx)
        raise KeyError("no")

    futures = [database.submit(u) for u in (put("first"), fails, put("last"))]
    gate.set()
    blocker.result()
    futures[0].result()
    with pytest.raises(KeyError):
        futures[1].result()
    futures[2].result()
    assert [read(database, n) for n in ("first", "bad", "last")] == [1, None, 1]


def test_what_a_failed_unit_touched_is_forgotten(database):
    forgotten = []
    database.on_rollback(forgotten.append)
    marker = object()

    def fails(tx):
        tx.touched.add(marker)
        raise ValueError

    with pytest.raises(ValueError):
        database.unit(fails)
    assert forgotten == [{marker}]


def test_a_hook_runs_only_after_the_commit(database):
    seen = []

    def unit(tx):
        put("x")(tx)
        tx.after_commit(lambda: seen.append(read(database, "x")))

    database.unit(unit)
    assert seen == [1]

    def fails(tx):
        tx.after_commit(lambda: seen.append("never"))
        raise ValueError

    with pytest.raises(ValueError):
        database.unit(fails)
    assert seen == [1]


def test_a_full_disk_is_a_coded_error_and_the_store_goes_on_afterwards(database):
    pages = database.unit(lambda tx: tx._connection.execute("PRAGMA page_count").fetchone()[0])
    database.unit(lambda tx: tx._connection.execute(f"PRAGMA max_page_count={pages}").fetchone())
    with pytest.raises(HubError, match="disk_full"):
        for number in range(10_000):
            database.unit(put(f"{number:0>120}"))
    database.unit(lambda tx: tx._connection.execute("PRAGMA max_page_count=1000000").fetchone())
    database.unit(put("after"))
    assert read(database, "after") == 1


def test_a_full_disk_fails_every_unit_that_shared_the_commit(database):
    pages = database.unit(lambda tx: tx._connection.execute("PRAGMA page_count").fetchone()[0])
    database.unit(lambda tx: tx._connection.execute(f"PRAGMA max_page_count={pages}").fetchone())
    gate = threading.Event()
    blocker = database.submit(lambda tx: gate.wait(5))

    def fills(tx):
        for number in range(10_000):
            put(f"{number:0>120}")(tx)

    small, full = database.submit(put("small")), database.submit(fills)
    gate.set()
    for future in (blocker, small, full):
        with pytest.raises(HubError, match="disk_full"):
            future.result()
    assert read(database, "small") is None


def test_readers_cannot_write(database):
    with pytest.raises(sqlite3.OperationalError), database.reading() as tx:
        put("x")(tx)


def test_the_file_is_for_its_owner_only(database):
    assert database.store.stat().st_mode & 0o077 == 0


def test_calls_that_take_turns_wait_for_nobody_else_who_reads(database):
    taking, said = Turns(), Future()
    thread = threading.Thread(target=taking.run)
    thread.start()
    with contextlib.ExitStack() as held:
        for _ in range(READERS):
            held.enter_context(database.reading())

        def look() -> None:
            with database.reading() as tx:
                said.set_result(tx.connection.execute("SELECT 1").fetchone()[0])

        taking.put(look)
        assert said.result(10) == 1
    taking.close()
    thread.join(10)
