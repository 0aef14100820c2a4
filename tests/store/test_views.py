"""What callers ask, as both stores understand it: every list, every condition, every role."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from hub.security.keys import Keys
from hub.security.sealing import Sealer
from hub.store import views
from hub.store.database import Database
from hub.store.scope import Scope
from hub.store.views import Asked, Views

pytestmark = pytest.mark.both_stores
ROLES = ("agent", "company", "mission", "operator", "auditor", "health")
LISTS = (
    "groups", "bookings", "requests", "pilgrims", "references", "visas", "movements", "invoices", "payments",
    "exchanges",
)  # fmt: skip
#: Lists that are read out of the rows of another.
SAME = {"pilgrims": "requests", "bookings": "groups", "payments": "invoices"}
NOBODY = UUID("0198c2f0-aaaa-7000-8000-000000000001")


@pytest.fixture
def asked(store_url, tmp_path):
    database = Database(store_url or tmp_path / "hub.db")
    keys = Keys.generate(tmp_path / "keys.json")
    yield Views(database, Sealer(keys if keys is not None else Keys.load(tmp_path / "keys.json")))
    database.close()


def test_every_list_is_asked_for_in_every_way_in_every_role(asked):
    then = datetime(2026, 12, 1, tzinfo=UTC)
    for name in LISTS:
        rows = getattr(
            views, {"pilgrims": "_requests", "bookings": "_groups", "payments": "_invoices"}.get(name, f"_{name}")
        )
        conditions = rows._where.keys() - {"after", "from_", "id", "request_no", "group_no"}
        whole = {
            "group": NOBODY, "state": "OPEN", "created_from": then, "created_to": then + timedelta(days=1),
            "changed_from": then, "changed_to": then + timedelta(days=1),
        }  # fmt: skip
        where = {condition: whole[condition] for condition in conditions}
        after = {"bookings": (NOBODY, 1), "payments": (NOBODY, 1), "movements": 7}.get(name, NOBODY)
        for role in ROLES:
            for given in ({}, where):
                for position in (None, after):
                    page = getattr(asked, name)(Scope(role, "somebody"), Asked(after=position, limit=3, where=given))
                    assert (page.rows, page.next) == ([], None)


def test_what_nobody_has_is_not_there(asked):
    for role in ROLES:
        scope = Scope(role, "somebody")
        for name in ("programme", "request", "pilgrim", "invoice", "exchange"):
            assert getattr(asked, name)(scope, NOBODY) is None
        for kind, *values in (
            ("request_no", "0"), ("group_no", "G"), ("document", "X1", "IDN"), ("visa", "1"), ("border", "1"),
            ("reference", "1"),
        ):  # fmt: skip
            assert asked.found(scope, kind, *values) == []
