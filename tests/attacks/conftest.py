"""A hub of its own for each kind of entry, and the canary that hears whether anybody reached out."""

import pytest

from tests.attacks.canary import canary
from tests.web.conftest import client, engine, settings  # noqa: F401


@pytest.fixture
def bird(tmp_path):
    with canary(tmp_path) as found:
        yield found
