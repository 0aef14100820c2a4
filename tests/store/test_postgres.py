"""What only PostgreSQL has: durability that is asked for, months, a server that goes away, two writers of one row."""

import threading
import time
from datetime import UTC, date, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import bindparam, select, update

from hub.canonical.errors import HubError
from hub.security.keys import Keys
from hub.security.sealing import Sealer
from hub.store import partitions
from hub.store.database import Database, Statement, inserting, store_at_fault
from hub.store.ledger import Ledger, Moment
from hub.store.migrations import engine_of, upgrade
from hub.store.tables import metadata, sequence

PUT = inserting(sequence, replace=True)
GET = Statement(select(sequence.c.value).where(sequence.c.name == bindparam("name")))
ADD = Statement(
    update(sequence).where(sequence.c.name == bindparam("of")).values(value=sequence.c.value + bindparam("more"))
)


@pytest.mark.parametrize("setting", ["synchronous_commit", "full_page_writes", "fsync"])
def test_a_server_that_does_not_keep_what_it_confirms_is_refused(server, setting):
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    server.kill()
    server.start()
    with pytest.raises(HubError, match="store_durability"):
        Database(server.url)


def test_a_server_that_went_away_fails_units_at_once_and_they_work_again_by_themselves(server):
    upgrade(server.url)
    database = Database(server.url)
    stop, told, done = threading.Event(), [], []

    def load(name):
        number = 0
        while not stop.is_set():
            number += 1
            began = time.monotonic()
            try:
                database.unit(lambda tx: tx.put(PUT, name=name, value=number))  # noqa: B023
                done.append((name, number))
            except HubError as error:
                told.append((error.code, time.monotonic() - began))
                time.sleep(0.01)

    threads = [threading.Thread(target=load, args=(f"t{n}",)) for n in range(4)]
    for one in threads:
        one.start()
    _until(lambda: len(done) > 20)
    server.kill()
    _until(lambda: len(told) > 20)
    server.start()
    before = len(done)
    _until(lambda: len(done) > before + 20)
    stop.set()
    for one in threads:
        one.join()
    assert {code for code, _ in told} == {"store_down"}
    last = dict(done)
    with database.reading() as tx:
        for name, number in last.items():
            assert tx.one(GET, name=name)[0] >= number, "what was confirmed is there"
    database.close()


def _until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_unit_that_another_process_overtook_is_run_again_and_counts_once(migrated):
    """Two processes add to the same rows, in opposite orders: deadlocks, lock waits and rows that have changed."""
    two = [Database(migrated), Database(migrated)]
    two[0].unit(lambda tx: [tx.put(PUT, name=name, value=0) for name in ("a", "b")])
    runs = []

    def adds(order, slow):
        def unit(tx):
            runs.append(1)
            for name in order:
                tx.run(ADD, of=name, more=1)
                time.sleep(slow)
            tx.after_commit(lambda: told.append(order))

        return unit

    told = []
    futures = [
        database.submit(adds(order, 0.002))
        for _ in range(10)
        for database, order in zip(two, ("ab", "ba"), strict=True)
    ]
    for future in futures:
        future.result(30)
    with two[0].reading() as tx:
        assert [tx.one(GET, name=name)[0] for name in ("a", "b")] == [20, 20]
    assert len(told) == 20, "each is told of once"
    assert len(runs) > 20, "some were run again"
    for one in two:
        one.close()


def test_a_row_that_had_to_be_there_and_is_not_undoes_the_unit_and_runs_it_again(migrated):
    database, other = Database(migrated), Database(migrated)
    exact = Statement(
        update(sequence)
        .where(sequence.c.name == bindparam("of"), sequence.c.value == bindparam("was"))
        .values(value=bindparam("becomes")),
        exact=True,
    )
    database.unit(lambda tx: tx.put(PUT, name="a", value=1))
    read = []

    def unit(tx):
        was = tx.one(GET, name="a")[0]
        read.append(was)
        if len(read) == 1:
            other.unit(lambda tx: tx.put(PUT, name="a", value=7))
        tx.put(exact, of="a", was=was, becomes=was + 1)

    database.unit(unit)
    assert read == [1, 7]
    with database.reading() as tx:
        assert tx.one(GET, name="a")[0] == 8
    with pytest.raises(HubError, match="store_overtaken"):
        database.unit(lambda tx: tx.put(exact, of="a", was=-1, becomes=0))
    for one in (database, other):
        one.close()


def test_a_unit_that_loses_every_race_is_told_so_in_our_own_words(migrated):
    """Somebody keeps the row to himself for longer than anybody tries: the driver's text stays inside."""
    import psycopg

    database = Database(migrated)
    database.unit(lambda tx: tx.put(PUT, name="a", value=1))
    with psycopg.connect(migrated) as other:
        other.execute("SELECT set_config('hub.scope', 'all', false)")
        other.execute("SELECT * FROM sequence WHERE name = 'a' FOR UPDATE")
        with pytest.raises(HubError) as caught:
            database.unit(lambda tx: tx.run(ADD, of="a", more=1))
    assert str(caught.value) == "store_overtaken" and caught.value.status == 503 and store_at_fault(caught.value)
    database.unit(lambda tx: tx.run(ADD, of="a", more=1))
    database.close()


# ------------------------------------------------------------------------------------------------------------- months


@pytest.fixture
def ledger(tmp_path):
    Keys.generate(tmp_path / "keys.json")
    return Ledger(Sealer(Keys.load(tmp_path / "keys.json")))


def opened(database, ledger, *, done):
    now = Moment.of(datetime.now(UTC), datetime.now(UTC))

    def unit(tx):
        found = ledger.open(
            tx, now, partner="p", operation="o", direction="out", state="waiting", body=b"said", attempts=1
        )
        if done:
            ledger.move(tx, now, ledger.get(tx, found), "settled", outcome="delivered")
        return found

    return database.unit(unit)


def partition_of(database, table, column, exchange_id):
    with database.reading() as tx:
        return tx._connection.execute(
            f"SELECT tableoid::regclass::text FROM {table} WHERE {column} = %(id)s", {"id": exchange_id}
        ).fetchall()[0][0]


def test_months_are_made_ahead(migrated):
    database = Database(migrated)
    with database.reading() as tx:
        names = partitions._there(tx._connection)
    database.close()
    today = datetime.now(UTC).date()
    for month in partitions.months(today, partitions.AHEAD + 1):
        assert {f"exchange_done_{month:%Y%m}", f"payload_{month:%Y%m}"} <= names


def test_what_is_done_moves_to_its_month_and_is_found_there(migrated, ledger):
    database = Database(migrated)
    month = f"{datetime.now(UTC):%Y%m}"
    still, done = opened(database, ledger, done=False), opened(database, ledger, done=True)
    assert partition_of(database, "exchange", "id", still) == "exchange_open"
    assert partition_of(database, "exchange", "id", done) == f"exchange_done_{month}"
    assert partition_of(database, "payload", "exchange_id", still) == f"payload_{month}"
    assert database.unit(lambda tx: ledger.get(tx, done))["state"] == "settled"
    assert database.unit(lambda tx: ledger.bytes_of(tx, done)) == b"said"
    database.close()


def test_only_months_that_are_past_and_closed_are_dropped(migrated, ledger):
    database = Database(migrated)
    today = datetime.now(UTC).date()
    after = partitions.following(today.replace(day=1))
    done, still = opened(database, ledger, done=True), opened(database, ledger, done=False)

    def drop(before):
        return database.unit(lambda tx: partitions.drop(tx._connection, before))

    assert drop(today) == [], "this month is not over"
    assert drop(after) == [], "something of this month is open"
    now = Moment.of(datetime.now(UTC), datetime.now(UTC))
    database.unit(lambda tx: ledger.move(tx, now, ledger.get(tx, still), "dead", code="internal", owner="operator"))
    assert drop(after) == [f"exchange_done_{today:%Y%m}", f"payload_{today:%Y%m}"]
    with pytest.raises(LookupError):
        database.unit(lambda tx: ledger.get(tx, done))
    database.close()


@pytest.mark.parametrize(
    ("month", "following"), [(date(2026, 1, 31), date(2026, 2, 1)), (date(2026, 12, 1), date(2027, 1, 1))]
)
def test_a_month_is_a_range_of_ids(month, following):
    assert partitions.following(month) == following
    first = partitions.first_id(following)
    assert first.int >> 80 == datetime(following.year, following.month, 1, tzinfo=UTC).timestamp() * 1000


@pytest.mark.both_stores
def test_the_migrations_make_what_the_tables_say(tmp_path, store_url):
    store = store_url or tmp_path / "hub.db"
    if not store_url:
        upgrade(store)
    engine = engine_of(store)
    months = {"exchange_open", "exchange_done", "exchange_done_other", "payload_other"}

    def ours(object_, name, kind, reflected, compared):
        return not (kind == "table" and (name in months or name.startswith(("exchange_done_", "payload_"))))

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
