"""`hub key` and what is said of a partner that calls: with no hub at work, on both stores."""

import json

import pytest
from click.testing import CliRunner

from hub.cli import hub
from hub.security import api_keys
from hub.security.keys import Keys
from hub.settings import load
from hub.store import overlay
from hub.store.database import Database, Statement
from hub.store.tables import api_key

pytestmark = pytest.mark.both_stores


@pytest.fixture
def settings(tmp_path, store_url):
    Keys.generate(tmp_path / "keys.json")
    file = tmp_path / "hub.toml"
    file.write_text(f'var = "var"\nkeys = "keys.json"\ndatabase_url = {json.dumps(store_url)}\n')
    return file


@pytest.fixture
def run(settings):
    def command(*arguments, code=0):
        done = CliRunner().invoke(hub, [*arguments, "--settings", str(settings)], standalone_mode=False)
        if code:
            assert done.exception is not None, done.output
            return done.exception
        assert done.exit_code == 0, done.output + repr(done.exception)
        return done.stdout

    return command


def kept(settings):
    with open_(settings) as database, database.reading() as tx:
        return tx.all(Statement(api_key.select()))


class open_:
    def __init__(self, settings):
        self.database = Database(load(settings, {}).store)

    def __enter__(self):
        return self.database

    def __exit__(self, *_):
        self.database.close()


def test_a_key_is_made_listed_rotated_and_revoked(run, settings):
    first = json.loads(run("key", "new", "company_1", "--days", "30", "--json", "-"))
    assert (first["holder"], first["role"], first["state"]) == ("company_1", "company", "live")
    (row,) = kept(settings)
    assert row["digest"] == api_keys.digest(first["key"]) and first["key"] not in str(tuple(row))
    second = json.loads(run("key", "rotate", first["id"], "--hours", "1", "--json", "-"))
    assert second["replaces"] == first["id"] and second["key"] != first["key"]
    listed = json.loads(run("key", "list", "--json", "-"))["keys"]
    assert [one["id"] for one in listed] == [first["id"], second["id"]]
    assert all("key" not in one and "digest" not in one for one in listed)
    assert run("key", "new", "company_1", code=1).code == "key_too_many"
    told = json.loads(run("key", "revoke", second["id"], "--json", "-"))
    assert told["state"] == "revoked"
    assert run("key", "revoke", "000000000000", code=1).code == "api_key_unknown"
    assert "\t" in run("key", "list", "company_1")
    assert run("key", "list", "company_2") is not None


def test_who_can_hold_no_key_is_told_why(run):
    assert run("key", "new", "nobody_known", code=1).code == "key_holder_unknown"
    assert run("key", "new", "company_1", "--role", "auditor", code=1).code == "key_role_wrong"
    assert run("key", "new", "salma", "--role", "auditor", "--label", "x" * 81, code=1).code == "invalid_range"


def test_a_partner_is_suspended_and_known_by_certificates(run, settings):
    sha256 = "AB" * 32
    run("partner", "suspend", "agent_idn_1")
    run(
        "partner",
        "certificates",
        "agent_idn_1",
        f"sha256 Fingerprint={':'.join(sha256[i : i + 2] for i in range(0, 64, 2))}",
    )
    (one,) = overlay.stored(load(settings, {}).store)
    assert (one.suspended, one.certificates) == (True, (sha256.lower(),))
    assert "suspended" in run("partner", "list")
    run("partner", "resume", "agent_idn_1")
    assert not overlay.stored(load(settings, {}).store)[0].suspended
    assert "64 hex digits" in str(run("partner", "certificates", "agent_idn_1", "abc", code=1))
    assert "no agent" in str(run("partner", "suspend", "bank_haramayn", code=1))
    taken = run("partner", "certificates", "company_1", sha256.lower(), code=1)
    assert taken is not None
    assert len(overlay.stored(load(settings, {}).store)) == 1
