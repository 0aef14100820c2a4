"""`hub store upgrade|check|retain` on both stores, as an operator types them."""

import json

import pytest
from click.testing import CliRunner

from hub.canonical.errors import HubError
from hub.cli import hub
from hub.store.database import Database
from hub.store.migrations import HEAD

BOTH = pytest.mark.both_stores


@pytest.fixture
def run(tmp_path, store_url):
    def of(*arguments):
        env = {"HUB_VAR": str(tmp_path), "HUB_DATABASE_URL": store_url, "HUB_SETTINGS": None, "HUB_HOME": None}
        result = CliRunner().invoke(hub, ["store", *arguments, "--json", "-"], env=env)
        if result.exception is not None:
            raise result.exception
        return json.loads(result.stdout)

    return of


@BOTH
def test_a_store_is_made_checked_and_kept_in_order(run, store_url):
    assert run("upgrade") == {"before": HEAD if store_url else None, "now": HEAD}
    assert run("upgrade") == {"before": HEAD, "now": HEAD}
    assert run("check") == {"store": "postgresql" if store_url else "sqlite", "revision": HEAD}
    assert run("retain", "--months", "2") == {"months": 2, "ended": []}
    assert run("retain")["months"] == 13


def test_a_store_of_another_version_does_not_pass(run, tmp_path):
    database = Database(tmp_path / "hub.db")
    database.unit(lambda tx: tx.connection.execute("UPDATE alembic_version SET version_num = '0000'"))
    database.close()
    with pytest.raises(HubError, match="store_version"):
        run("check")


@pytest.mark.parametrize("command", [["worker"], ["scheduler"], ["serve", "--door"], ["serve", "--zone", "riyadh"]])
def test_a_file_is_one_process_s(command, tmp_path):
    env = {"HUB_VAR": str(tmp_path), "HUB_DATABASE_URL": None, "HUB_SETTINGS": None, "HUB_HOME": None}
    with pytest.raises(HubError, match="store_not_shared"):
        raise CliRunner().invoke(hub, command, env=env).exception
