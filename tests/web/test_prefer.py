"""``Prefer: wait`` at the real door: the partner's answer in the same reply, or where the request is by then."""

import threading

import pytest
import requests

from hub.canonical.messages.desk import Filing
from hub.canonical.schema import schema_for
from hub.web.access import quick_paths
from hub.web.app import create_app
from hub.web.server import Server
from tests.exchange.conftest import make, ministry  # noqa: F401 - a hub whose partners are where a test says
from tests.exchange.exchanging import AGENT, filing


@pytest.fixture
def corrected(make, ministry):  # noqa: F811
    """Corrects, over HTTP, a pilgrim of whom the ministry wants more; *sends* says whether the hub delivers."""
    opened = []

    def of(prefer: str, *, sends: bool) -> requests.Response:
        hub, member = make(MOFA_URL=ministry.url), filing().members[0]
        ministry.incomplete.add(member.document.number)
        request = hub.paid()[0]
        hub.drain()
        assert hub.states()[0] == "NEEDS_DATA"
        if sends:
            hub.engine.start()
        app = create_app(hub.engine)
        server = Server(app, "127.0.0.1", 0, quick=quick_paths(app))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        opened.append((server, thread))
        key = hub.engine.keyring.new(AGENT, None, "", None, "tester")["key"]
        return requests.post(
            f"{server.address}v1/requests/{request}/decisions",
            json={"outcome": "correct", "correction": schema_for(Filing)().dump(member)},
            headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "correct-1", "Prefer": prefer}, timeout=40,
        )  # fmt: skip

    yield of
    for server, thread in opened:
        server.close()
        thread.join(10)


def test_the_reference_number_comes_in_the_same_answer(corrected):
    answer = corrected("wait=30", sends=True)
    said = answer.json()
    assert answer.status_code == 200, said
    assert said["state"] == "REFERENCE_ISSUED"
    assert said["reference_no"].isdigit() and said["outcome"] == "taken"
    assert answer.headers["Preference-Applied"] == "wait=30"


def test_where_nothing_comes_in_time_the_answer_says_where_it_is(corrected):
    answer = corrected("respond-async, wait=1", sends=False)
    said = answer.json()
    assert (answer.status_code, said["state"], said["reference_no"]) == (202, "SENT_FOR_REFERENCE", None), said
    assert answer.headers["Preference-Applied"] == "wait=1"


def test_who_does_not_wait_is_answered_at_once(corrected):
    answer = corrected("respond-async", sends=False)
    assert (answer.status_code, answer.json()["state"]) == (200, "SENT_FOR_REFERENCE")
    assert "Preference-Applied" not in answer.headers
