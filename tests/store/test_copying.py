"""The whole of a store, from any store to any other: every value survives, and a moment is one moment."""

import threading
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from hub.canonical.errors import HubError
from hub.canonical.ids import new_id
from hub.store import copying
from hub.store.copying import copied, filling, reading, store_at, tables
from hub.store.migrations import engine_of
from hub.store.rows import Digest, described
from hub.store.tables import exchange, history, lookup, metadata, partner_overlay, payload, sequence

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


def silent(table, rows):
    pass


@pytest.fixture
def place(tmp_path, request):
    """Gives addresses of empty stores of a kind; PostgreSQL has one a test."""
    made = []

    def of(kind):
        if kind == "postgresql":
            return store_at(request.getfixturevalue("postgres"))
        made.append(store_at(f"sqlite:///{tmp_path / f'{len(made)}.db'}"))
        return made[-1]

    return of


def all_rows(url):
    """Every row of every table, as SQLAlchemy reads it."""
    engine = engine_of(url)
    with engine.connect() as connection:
        found = {t.name: sorted(map(repr, connection.execute(select(t)))) for t in tables()}
    engine.dispose()
    return found


ODD = [
    {"row": '{"name": "مؤسسة الحرمين"}', "enabled": True, "mode": "test", "origin": "😀\t\n\\N", "line": -(2**31)},
    {"row": None, "enabled": None, "mode": None, "origin": "", "line": 2**31 - 1},
    {"row": "", "enabled": False, "mode": "live", "origin": "\x01\x7f", "line": 0},
]


def exchange_row(**more):
    row = dict.fromkeys(c.name for c in exchange.columns)
    row |= {
        "id": new_id(), "partner": "mofa_visa", "operation": "request_reference", "direction": "out",
        "state": "settled", "subjects": 1, "done": 0, "attempts": 1, "urgency": 1, "partner_us": 0,
        "created_at": 1_790_000_000_000_000, "business_at": 1, "open": False,
    }  # fmt: skip
    return {name: value for name, value in (row | more).items() if name in exchange.c}


def fill_somehow(url, n=2500):
    """Rows with every type at its edges, and enough of them for several batches."""
    with filling(url) as store:
        at = 2**63 - 1
        store.connection.execute(
            insert(partner_overlay),
            [{"id": f"p{i}", "changed_at": (-at - 1, 0, at)[i], "changed_by": "x", **odd} for i, odd in enumerate(ODD)],
        )
        ids = [new_id() for _ in range(n)]
        store.connection.execute(
            insert(exchange), [exchange_row(id=i, name="n" * (k % 120)) for k, i in enumerate(ids)]
        )
        store.connection.execute(
            insert(payload),
            [
                {"id": new_id(), "exchange_id": i, "kind": "request", "recorded_at": k, "wrapped": bytes(k % 7),
                 "sealed": bytes(range(256)) * (k % 3)}
                for k, i in enumerate(ids)
            ],
        )  # fmt: skip
        store.connection.execute(insert(lookup), [{"kind": "visa", "hash": bytes(32), "request_id": UUID(int=0)}])
        store.connection.execute(
            insert(history),
            [
                {"id": k, "machine": "request", "entity_id": i, "group_id": i, "event": "e", "was": "A", "now": "B",
                 "corrects": bool(k % 2), "marks": None, "happened_at": k, "business_at": k, "recorded_at": k}
                for k, i in enumerate(ids, 1)
            ],
        )  # fmt: skip


@pytest.mark.parametrize(("one", "other"), [("sqlite", "sqlite"), ("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_every_row_arrives_as_it_was(place, one, other):
    here, there = place(one), place(other)
    fill_somehow(here)
    seen = []
    with reading(here) as source, filling(there) as target:
        digests = copied(source, target, lambda table, n: seen.append(n))
    assert all_rows(there) == all_rows(here)
    assert sum(seen) == sum(d.rows for d in digests.values()) == sum(map(len, all_rows(here).values()))
    assert max(seen) <= copying.BATCH


@BOTH
def test_what_the_store_counts_goes_on_behind_the_last(place, kind):
    here, there = place("sqlite"), place(kind)
    fill_somehow(here, n=7)
    with reading(here) as source, filling(there) as target:
        copied(source, target, silent)
    engine = engine_of(there)
    with engine.begin() as connection:
        row = {"machine": "request", "entity_id": new_id(), "group_id": new_id(), "event": "e", "was": "A", "now": "B",
               "corrects": False, "happened_at": 1, "business_at": 1, "recorded_at": 1}  # fmt: skip
        connection.execute(insert(history).values(row))
        assert max(connection.execute(select(history.c.id)).scalars()) == 8
    engine.dispose()


@BOTH
def test_a_reader_sees_one_moment_while_others_write(place, kind):
    url = place(kind)
    with filling(url) as store:
        store.connection.execute(insert(sequence), [{"name": "a", "value": 0}])
    stop, wrote = threading.Event(), threading.Event()

    def write():
        engine = engine_of(url)
        number = 0
        while not stop.is_set():
            number += 1
            with engine.begin() as connection:
                # Two tables in one commit: whoever sees one of them must see the other.
                connection.execute(insert(sequence).values(name=f"n{number}", value=number))
                connection.execute(
                    insert(lookup).values(kind="n", hash=number.to_bytes(32, "big"), request_id=UUID(int=number))
                )
            if number > 20:
                wrote.set()
        engine.dispose()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert wrote.wait(30)
        with reading(url) as store:
            first = store.count(sequence)
            wrote.clear()
            assert wrote.wait(30), "writers go on beside a reader"
            rows = {t.name: sum(map(len, store.rows(t))) for t in (sequence, lookup)}
    finally:
        stop.set()
        thread.join()
    assert rows["sequence"] == first == rows["lookup"] + 1


@BOTH
def test_only_an_empty_store_is_filled_and_then_all_or_nothing(place, kind):
    url = place(kind)
    with pytest.raises(ZeroDivisionError), filling(url) as store:
        store.connection.execute(insert(sequence), [{"name": "a", "value": 1}])
        raise ZeroDivisionError
    with filling(url) as store:
        assert not any(store.count(t) for t in tables())
        store.connection.execute(insert(sequence), [{"name": "a", "value": 1}])
    with pytest.raises(HubError) as caught, filling(url):
        pass
    assert str(caught.value) == "store_not_empty (place=sequence)"


def test_a_value_that_does_not_fit_is_refused_without_being_told(place):
    here, there = place("sqlite"), place("postgresql")
    with filling(here) as store:
        store.connection.execute(insert(exchange), [exchange_row(code="GHOFRAN" * 20)])
    with pytest.raises(HubError) as caught, reading(here) as source, filling(there) as target:
        copied(source, target, silent)
    assert str(caught.value) == "store_refuses (place=exchange rule=22001)"
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    with filling(there) as store:
        assert not store.count(exchange)


@BOTH
def test_what_arrived_otherwise_is_found(place, kind, monkeypatch):
    here, there = place("sqlite"), place(kind)
    fill_somehow(here, n=5)
    fill = copying.Bulk.__subclasses__()[kind == "postgresql"].fill

    def lossy(self, table, batches):
        fill(self, table, (batch[:-1] if table is payload else batch for batch in batches))

    monkeypatch.setattr(copying.Bulk.__subclasses__()[kind == "postgresql"], "fill", lossy)
    with pytest.raises(HubError) as caught, reading(here) as source, filling(there) as target:
        copied(source, target, silent)
    assert str(caught.value) == "copy_differs (place=payload)"


def test_a_digest_does_not_ask_for_an_order_but_for_every_row():
    def told(*rows):
        digest = Digest()
        digest.add(rows)
        return digest.told()

    assert told(b"a", b"b") == told(b"b", b"a")
    assert len({str(told(*rows)) for rows in ([b"a"], [b"a", b"a"], [b"b"], [], [b"a", b"b"], [b"ab"])}) == 6


def test_every_column_has_a_type_that_is_copied():
    for table in metadata.sorted_tables:
        assert {kind for _, kind in described(table)} <= {"uuid", "bool", "int4", "int8", "text", "bytes"}


def test_a_store_that_is_not_there_or_no_store_at_all_is_named(tmp_path):
    for url, code in (
        (f"sqlite:///{tmp_path / 'none.db'}", "store_missing"),
        ("postgresql://nobody:hunter2@127.0.0.1:1/hub?connect_timeout=2", "store_unreachable"),
    ):
        with pytest.raises(HubError) as caught, reading(store_at(url)):
            pass
        assert caught.value.code == code and "hunter2" not in caught.value.en
    for text in ("hunter2", "mysql://root:hunter2@localhost/hub", "sqlite://"):
        with pytest.raises(HubError) as caught:
            store_at(text)
        assert str(caught.value) == "store_address"
    assert not (tmp_path / "none.db").exists()


def test_a_store_of_another_version_is_not_copied_in_part(place):
    url = place("sqlite")
    with filling(url) as store:
        store.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000x'")
    with pytest.raises(HubError) as caught, reading(url):
        pass
    assert str(caught.value) == "store_version (file=0.db found=0000x expected=0003)"
