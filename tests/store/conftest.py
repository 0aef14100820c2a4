"""A database on the store that a test asks for."""

import pytest

from hub.store.database import Database


@pytest.fixture
def open_store(tmp_path, store_url):
    """Opens the test's store; on PostgreSQL as often as wanted, each time as another process would."""
    made = []

    def of():
        made.append(Database(store_url or tmp_path / "hub.db"))
        return made[-1]

    yield of
    for one in made:
        one.close()


@pytest.fixture
def database(open_store):
    return open_store()
