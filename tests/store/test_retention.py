"""What is done ends when its months are over, files and photos with it; what is open never does."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from hub.canonical.ids import new_id
from hub.security.keys import Keys
from hub.security.sealing import Sealer
from hub.store import retention
from hub.store.database import Statement, as_uuid, inserting
from hub.store.files_in import FilesIn
from hub.store.ledger import Ledger, Moment
from hub.store.tables import photo, request

pytestmark = pytest.mark.both_stores


@pytest.fixture
def ledger(tmp_path):
    Keys.generate(tmp_path / "keys.json")
    return Ledger(Sealer(Keys.load(tmp_path / "keys.json")))


def ahead(today, months):
    count = today.year * 12 + today.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def test_what_is_done_is_kept_for_whole_months_and_then_ends(database, ledger):
    today = datetime.now(UTC).date()
    now = Moment.of(datetime.now(UTC), datetime.now(UTC))

    def unit(tx):
        return [
            ledger.open(tx, now, partner="p", operation="o", direction="in", state=state, body=b"said")
            for state in ("settled", "waiting")
        ]

    done, waits = database.unit(unit)
    assert retention.keep(database, ahead(today, 13), 13) == []
    later = retention.keep(database, ahead(today, 14), 13)
    assert bool(later) != database.shared, "a month with something open is kept whole"
    assert database.unit(lambda tx: ledger.bytes_of(tx, waits)) == b"said"
    database.unit(lambda tx: ledger.move(tx, now, ledger.get(tx, waits), "dead", code="internal", owner="operator"))
    assert retention.keep(database, ahead(today, 14), 13)
    for one in (done, waits):
        with pytest.raises(LookupError):
            database.unit(lambda tx, one=one: ledger.get(tx, one))


def test_a_file_ends_once_it_was_read_and_one_that_is_held_keeps_its_bytes(database, ledger):
    today, files = datetime.now(UTC).date(), FilesIn(ledger)
    now = Moment.of(datetime.now(UTC), datetime.now(UTC))

    def unit(tx):
        about = {"partner": "p", "operation": "o", "name": "n.csv", "via": "api", "sha256": "0" * 64, "size": 4}
        found = [files.begin(tx, now, **about, body=b"rows") for _ in range(2)]
        files.ended(tx, now, found[0], "taken", None, None)
        files.stand(tx, found[1], "held", "file_sequence_gap")
        return found

    read, held = database.unit(unit)
    assert retention.keep(database, ahead(today, 13), 13) == []
    assert "file: 1" in retention.keep(database, ahead(today, 14), 13)
    with pytest.raises(LookupError):
        database.unit(lambda tx: files.get(tx, read))
    assert database.unit(lambda tx: files.body(tx, held)) == b"rows", "it waits for its forerunner"
    database.unit(lambda tx: files.ended(tx, now, held, "taken", None, None))
    assert "file: 1" in retention.keep(database, ahead(today, 14), 13)


def test_a_photo_ends_with_the_months_of_a_request_that_has_ended(database):
    today = datetime.now(UTC).date()
    ended, under_way = new_id(), new_id()

    def unit(tx):
        for number, (one, at) in enumerate(((ended, 1), (under_way, None))):
            tx.put(
                inserting(request),
                id=one, request_no=f"{number:013}", group_id=new_id(), member=0, state="S", companion=None, minor=False,
                due=None, ended_at=at, end_reason=None, marks="{}", paid_at=None, referenced_at=None, partner_us=0,
                wrapped=b"w", sealed=b"s",
            )  # fmt: skip
            tx.put(inserting(photo), request_id=one, sha256="0" * 64, width=1, height=1, sealed=b"s", recorded_at=1)

    database.unit(unit)
    assert retention.keep(database, ahead(today, 13), 13) == []
    assert "photo: 1" in retention.keep(database, ahead(today, 14), 13)
    with database.reading() as tx:
        assert [as_uuid(row[0]) for row in tx.all(Statement(select(photo.c.request_id)))] == [under_way]


@pytest.mark.parametrize(
    ("today", "months", "first"),
    [
        (date(2026, 11, 23), 13, date(2025, 10, 1)),
        (date(2026, 1, 1), 1, date(2025, 12, 1)),
        (date(2026, 12, 31), 12, date(2025, 12, 1)),
    ],
)
@pytest.mark.sqlite_only
def test_months_are_counted_back(today, months, first):
    assert retention.first_kept(today, months) == first
