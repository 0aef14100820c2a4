"""What is done ends when its months are over; what is open never does."""

from datetime import UTC, date, datetime

import pytest

from hub.security.keys import Keys
from hub.security.sealing import Sealer
from hub.store import retention
from hub.store.ledger import Ledger, Moment

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
