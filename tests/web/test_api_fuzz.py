"""A sample of ``make fuzz-api``: schemathesis in each role, few examples of each operation, always the same ones."""

import pytest

from tests.fuzz_api import ROLES, UNLIMITED, about, fuzz
from tests.web.api import served


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    with served(tmp_path_factory.mktemp("hub"), **UNLIMITED) as hub:
        yield hub, about(hub)


@pytest.mark.parametrize("role", ["agent", "operator", "bank", "administrator"])
def test_nothing_breaks_the_api_and_nothing_is_answered_that_it_does_not_say(told, role, tmp_path):
    hub, known = told
    counted, faults = fuzz(hub, known, role, 5, 7, tmp_path, "fuzzing")
    assert not faults, faults
    assert counted.total() >= 5 and role in ROLES
