"""Keys in the store: shown once, two at a time, gone within a second."""

from datetime import UTC, datetime, timedelta

import pytest

from hub import partners
from hub.canonical.errors import HubError
from hub.security import api_keys
from hub.settings import load
from hub.store import credentials
from hub.store.credentials import Keyring
from hub.store.database import Database, Statement
from hub.store.tables import api_key, audit

pytestmark = pytest.mark.both_stores
START = datetime(2026, 12, 1, 23, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def register():
    return partners.load(load(None, {}))


class Clock:
    """Wall time and the time since the start, which a test sets."""

    def __init__(self) -> None:
        self.now = START

    def wall(self):
        return self.now

    def monotonic(self):
        return (self.now - START).total_seconds() + 1000


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(credentials.time, "monotonic", made.monotonic)
    return made


@pytest.fixture
def database(tmp_path, store_url):
    found = Database(store_url or tmp_path / "hub.db")
    yield found
    found.close()


@pytest.fixture
def keyring(database, register, clock):
    return Keyring(database, register, clock.wall)


def new(keyring, holder="agent_idn_1", role=None, days=None):
    return keyring.new(holder, role, "", days, "tester")


def find(keyring, made):
    return keyring.find(api_keys.digest(made["key"]))


def code(call, *args, **named):
    with pytest.raises(HubError) as caught:
        call(*args, **named)
    return caught.value.code


def rows(database, select):
    with database.reading() as tx:
        return [dict(zip(row.keys(), row, strict=True)) for row in tx.all(Statement(select))]


def test_a_key_finds_its_holder_and_is_not_kept(keyring, database):
    made = new(keyring)
    found = find(keyring, made)
    assert (found.holder, found.role, found.id) == ("agent_idn_1", "agent", made["id"])
    assert keyring.find(api_keys.digest("x" + made["key"])) is None
    assert made["key"] not in str(rows(database, api_key.select()))
    assert "key" not in keyring.list(None, "tester")["keys"][0]


def test_a_person_has_a_role_of_the_hubs_own_and_a_partner_that_of_its_row(keyring):
    assert find(keyring, new(keyring, "salma", "auditor")).role == "auditor"
    assert new(keyring, "mission_jakarta")["role"] == "mission"
    assert code(new, keyring, "salma") == "key_holder_unknown"
    assert code(new, keyring, "salma", "agent") == "key_holder_unknown"
    assert code(new, keyring, "agent_idn_1", "operator") == "key_role_wrong"


def test_two_keys_live_and_a_third_is_refused(keyring):
    first, second = new(keyring), new(keyring)
    assert find(keyring, first) and find(keyring, second)
    assert code(new, keyring) == "key_too_many"
    assert code(keyring.rotate, first["id"], 24, None, "tester") == "key_too_many"
    keyring.revoke(first["id"], "tester")
    assert find(keyring, new(keyring))


def test_a_rotation_leaves_both_for_its_hours(keyring, clock):
    first = new(keyring)
    second = keyring.rotate(first["id"], 24, None, "tester")
    assert second["replaces"] == first["id"]
    clock.now += timedelta(hours=23, minutes=59)
    assert find(keyring, first) and find(keyring, second)
    clock.now += timedelta(minutes=1)
    assert find(keyring, first) is None
    assert find(keyring, second)
    assert code(keyring.rotate, first["id"], 24, None, "tester") == "api_key_unknown"


def test_a_rotation_never_prolongs_a_key(keyring, clock):
    first = new(keyring, days=1)
    keyring.rotate(first["id"], 720, None, "tester")
    clock.now += timedelta(days=1)
    assert find(keyring, first) is None


def test_a_key_ends_with_its_days(keyring, clock):
    made = new(keyring, days=1)
    clock.now += timedelta(days=1) - timedelta(microseconds=1)
    assert find(keyring, made)
    # Though it is remembered: expiry is looked at each time.
    clock.now += timedelta(microseconds=1)
    assert find(keyring, made) is None
    assert [one["state"] for one in keyring.list("agent_idn_1", "tester")["keys"]] == ["expired"]


def test_a_revocation_holds_in_every_process_within_a_second(keyring, database, register, clock):
    made, other = new(keyring), Keyring(database, register, clock.wall)
    assert find(keyring, made) and find(other, made)
    other.revoke(made["id"], "tester")
    assert find(other, made) is None
    clock.now += timedelta(seconds=0.99)
    assert find(keyring, made) is None
    assert credentials.LIVES < 1


def test_what_was_found_is_not_looked_up_for_each_call(keyring, database, monkeypatch):
    made = new(keyring)
    looks = []
    real = database.glance
    monkeypatch.setattr(database, "glance", lambda *a, **k: looks.append(1) or real(*a, **k))
    for _ in range(50):
        assert find(keyring, made)
    assert len(looks) == 1


def test_a_key_of_nobody_is_not_remembered(keyring):
    for number in range(20):
        assert keyring.find(api_keys.digest(f"guess {number}")) is None
    assert keyring._found == {}


def test_the_day_of_the_last_use_is_kept_once_a_day(keyring, database, clock):
    made = new(keyring)
    for _ in range(3):
        find(keyring, made)
    database.unit(lambda tx: None)
    assert [one["used_on"] for one in rows(database, api_key.select())] == ["2026-12-01"]
    clock.now += timedelta(hours=1)
    find(keyring, made)
    database.unit(lambda tx: None)
    assert [one["used_on"] for one in rows(database, api_key.select())] == ["2026-12-02"]


def test_who_made_and_ended_a_key_is_in_the_audit(keyring, database):
    made = new(keyring)
    keyring.revoke(made["id"], "salma")
    keyring.revoke(made["id"], "salma")
    told = [(one["actor"], one["action"], one["entity"]) for one in rows(database, audit.select())]
    assert told == [("tester", "key.new", made["id"]), ("salma", "key.revoke", made["id"])]
    assert code(keyring.revoke, "0" * 12, "salma") == "api_key_unknown"


@pytest.mark.sqlite_only
def test_a_key_is_found_by_an_index(keyring, database):
    with database.reading() as tx:
        plan = tx.connection.execute("EXPLAIN QUERY PLAN " + credentials._by_digest.sqlite, {"digest": "0"}).fetchall()
    assert all("SEARCH" in row[3] for row in plan)
