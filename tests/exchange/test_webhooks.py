"""Whoever asked to hear of an event is told of it once or more, signed, through the ledger, and of nobody else's."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from hub.canonical.errors import HubError, catalogue
from hub.partners.webhooks import PREFIX
from hub.store import workers
from tests.exchange.exchanging import AGENT, COMPANY, Hub
from tests.strangers.listener import Listener

pytestmark = pytest.mark.both_stores
OTHER = "agent_idn_2"


@pytest.fixture
def door() -> Iterator[Listener]:
    with Listener() as found:
        yield found


@pytest.fixture
def subscribed(hub: Hub, door: Listener) -> Callable[..., tuple[UUID, str]]:
    def of(*events: str, owner: str = AGENT, path: str = "") -> tuple[UUID, str]:
        told, secret = hub.engine.hooks.subscribe(owner, door.url + path, events)
        return UUID(told["id"]), secret

    return of


def drain(hub: Hub, id: UUID) -> None:
    hub.drain(PREFIX + id.hex)


def states(hub: Hub, id: UUID, owner: str = AGENT) -> list[str]:
    return [one["state"] for one in hub.engine.hooks.deliveries(owner, id)]


def test_an_event_is_told_signed_and_without_a_person(hub, door, subscribed):
    id, secret = subscribed("request.submitted", "request.accepted")
    request = hub.open().body["requests"][0]
    hub.decide(request["id"], "accept")
    drain(hub, id)

    assert sorted(set(door.types)) == ["request.accepted", "request.submitted"]
    accepted = next(one for one in door.heard if one.event["type"] == "request.accepted")
    assert accepted.verified(secret) and not accepted.verified("whsec_another")
    assert not accepted.verified(secret, datetime.now(UTC).timestamp() + 301)
    assert accepted.event.keys() == {"id", "type", "occurred_at", "group_no", "request_no", "state", "link"}
    assert accepted.event["request_no"] == request["request_no"] and accepted.event["state"] == "ACCEPTED"
    assert accepted.event["link"] == f"/v1/pilgrims/{request['id']}/timeline"
    assert set(states(hub, id)) == {"delivered"}
    text = accepted.body.decode()
    for member in json.loads((hub.settings.home / "docs/examples/group.json").read_text("utf-8"))["members"]:
        assert member["document"]["number"] not in text and member["person"]["name"]["given"] not in text


def test_everybody_hears_of_their_own_only_and_several_may_hear_one_event(hub, door, subscribed):
    mine, _ = subscribed("request.submitted", path="/mine")
    also, _ = subscribed("request.submitted", path="/also")
    company, _ = subscribed("request.submitted", owner=COMPANY, path="/company")
    theirs, _ = subscribed("request.submitted", owner=OTHER, path="/theirs")
    another, _ = subscribed("request.submitted", owner="company_2", path="/another")
    members = len(hub.open().body["requests"])
    for id in (mine, also, company, theirs, another):
        drain(hub, id)
    heard = [one.path.rpartition("/")[2] for one in door.heard]
    assert {path: heard.count(path) for path in set(heard)} == dict.fromkeys(("mine", "also", "company"), members)
    # One event has one id, whoever hears it.
    ids = [{one.event["id"] for one in door.heard if one.path.endswith(path)} for path in ("mine", "also", "company")]
    assert ids[0] == ids[1] == ids[2] and len(ids[0]) == members


def test_a_mission_hears_of_a_pilgrim_once_a_reference_binds_it(make, ministry, door):
    hub = make(MOFA_URL=ministry.url)
    told, _ = hub.engine.hooks.subscribe("mission_jakarta", door.url, ["request.accepted", "reference.issued"])
    other, _ = hub.engine.hooks.subscribe("mission_cairo", door.url + "/other", ["reference.issued"])
    requests = hub.paid()
    hub.drain()
    for one in (told, other):
        drain(hub, UUID(one["id"]))
    assert door.types == ["reference.issued"] * len(requests)
    assert {one.path for one in door.heard} == {"/events"}
    with pytest.raises(HubError, match="webhook_events"):
        hub.engine.hooks.subscribe("mission_jakarta", door.url + "/2", ["pilgrim.entered"])


def test_what_is_not_heard_is_told_again_under_the_same_id(hub, door, subscribed):
    id, secret = subscribed("group.opened")
    door.answers = [500, 404, (302, {"Location": "http://127.0.0.1:1/"}), 401]
    hub.open()
    assert states(hub, id) == ["waiting"]
    codes = []
    for step in range(5):
        hub.later(step * 3600.0)
        _rested(hub, PREFIX + id.hex)
        hub.engine.dispatcher.drain(hub.engine.register.partners[PREFIX + id.hex])
        found = hub.engine.hooks.deliveries(AGENT, id)[0]
        codes.append((found["code"], found["status"]))
    assert codes == [
        ("callback_failing", 500), ("callback_refuses", 404), ("callback_redirects", None), ("callback_refuses", None),
        (None, None),
    ]  # fmt: skip
    assert found["state"] == "delivered" and found["attempts"] == 5
    assert len({one.event["id"] for one in door.heard}) == 1 and len({one.body for one in door.heard}) == 1
    assert all(one.verified(secret) for one in door.heard)


def test_after_three_days_it_is_dead_with_one_incident_and_can_be_replayed(hub, door, subscribed):
    id, _ = subscribed("request.submitted")
    door.answers = [503] * 100
    members = len(hub.open().body["requests"])
    partner = hub.engine.register.partners[PREFIX + id.hex]
    for day in (0, 1, 2, 3.1, 3.2, 3.3):
        hub.later(day * 86_400)
        for _ in range(members):
            _rested(hub, partner.id)
            hub.engine.dispatcher.drain(partner)
    assert states(hub, id) == ["given_up"] * members
    # One speaks for all: a door that is shut is one thing to see to.
    assert hub.incidents() == [("exchange", "callback_failing")]
    door.answers = []
    told = hub.engine.hooks.deliveries(AGENT, id)[-1]
    (again,) = hub.engine.hooks.replay(AGENT, id, UUID(told["id"]))
    _rested(hub, partner.id)
    drain(hub, id)
    assert door.heard[-1].event["id"] == told["event_id"]
    newest = hub.engine.hooks.deliveries(AGENT, id)[0]
    assert (newest["id"], newest["event_id"], newest["state"]) == (again, told["event_id"], "delivered")


def _rested(hub: Hub, partner: str) -> None:
    """The partner has been left alone for long enough."""
    hub.engine.database.unit(lambda tx: workers.set_flow(tx, partner, 0, 0, 0))


def test_a_stretch_of_time_is_told_again_each_event_once(hub, door, subscribed):
    id, _ = subscribed("request.submitted", "group.opened")
    members = len(hub.open().body["requests"])
    drain(hub, id)
    since = datetime.now(UTC) - timedelta(minutes=5)
    until = datetime.now(UTC) + timedelta(minutes=5)
    assert len(hub.engine.hooks.replay_between(AGENT, id, since, until)) == members + 1
    drain(hub, id)
    assert len(hub.engine.hooks.replay_between(AGENT, id, since, until)) == members + 1
    drain(hub, id)
    ids = [one.event["id"] for one in door.heard]
    assert len(ids) == 3 * (members + 1) and len(set(ids)) == members + 1
    with pytest.raises(HubError, match="webhook_range"):
        hub.engine.hooks.replay_between(AGENT, id, until, since)


def test_two_secrets_sign_while_one_is_changed(hub, door, subscribed):
    id, old = subscribed("group.opened")
    told, new = hub.engine.hooks.rotate(AGENT, id)
    assert len(told["secrets"]) == 2 and old != new
    hub.open()
    drain(hub, id)
    (heard,) = door.heard
    assert heard.verified(old) and heard.verified(new) and not heard.verified("whsec_none")
    # A third takes the first one's place: two are live, never more.
    _, third = hub.engine.hooks.rotate(AGENT, id)
    hub.engine.hooks.test(AGENT, id)
    drain(hub, id)
    assert [door.heard[-1].verified(one) for one in (old, new, third)] == [False, True, True]


def test_a_paused_subscription_hears_nothing_and_another_process_follows(make, hub, door, subscribed):
    id, _ = subscribed("group.opened")
    hub.engine.hooks.change(AGENT, id, active=False)
    hub.open()
    with pytest.raises(HubError, match="webhook_paused"):
        hub.engine.hooks.test(AGENT, id)
    hub.engine.hooks.change(AGENT, id, active=True, events=["request.submitted"])
    hub.restart()
    assert hub.engine.register.listeners[PREFIX + id.hex].events == ("request.submitted",)
    hub.engine.hooks.test(AGENT, id)
    drain(hub, id)
    assert door.types == ["webhook.test"]


def test_a_deleted_subscription_tells_nobody_anything_more(hub, door, subscribed):
    id, _ = subscribed("group.opened")
    hub.open()
    hub.engine.hooks.forget(AGENT, id)
    assert PREFIX + id.hex not in hub.engine.register.partners
    assert hub.rows("SELECT state, outcome FROM exchange WHERE operation = 'tell'") == [("settled", "withdrawn")]
    assert door.heard == []
    for asked in (hub.engine.hooks.get, hub.engine.hooks.rotate, hub.engine.hooks.deliveries, hub.engine.hooks.test):
        with pytest.raises(HubError, match="not_found"):
            asked(AGENT, id)


def test_another_ones_subscription_is_like_none(hub, subscribed):
    id, _ = subscribed("group.opened")
    hooks = hub.engine.hooks
    for asked in (hooks.get, hooks.rotate, hooks.deliveries, hooks.test, hooks.forget):
        with pytest.raises(HubError, match="not_found"):
            asked(OTHER, id)
    with pytest.raises(HubError, match="not_found"):
        hooks.change(OTHER, id, active=False)
    assert hooks.subscriptions(OTHER) == [] and len(hooks.subscriptions(AGENT)) == 1


def test_nothing_of_a_subscription_lies_open_in_the_store(hub, door, subscribed):
    _, secret = subscribed("group.opened", path="/a-secret-path")
    rows = repr(hub.rows("SELECT * FROM webhook")) + repr(hub.rows("SELECT * FROM audit"))
    assert secret not in rows and "a-secret-path" not in rows


def test_hosts_are_allowed_one_by_one_and_looked_at_at_each_sending(hub):
    hooks = hub.engine.hooks
    url = "https://hooks.agent.example/events"
    with pytest.raises(HubError, match="callback_host_not_allowed"):
        hooks.subscribe(AGENT, url, ["group.opened"])
    assert hooks.allow(AGENT, ["Hooks.Agent.Example", "hooks.agent.example:8443"], [], "op") == [
        "hooks.agent.example", "hooks.agent.example:8443",
    ]  # fmt: skip
    told, _ = hooks.subscribe(AGENT, url, ["group.opened"])
    with pytest.raises(HubError, match="webhook_exists"):
        hooks.subscribe(AGENT, url, ["group.opened"])
    with pytest.raises(HubError, match="callback_host_not_allowed"):
        hooks.subscribe(OTHER, url, ["group.opened"])
    hooks.allow(AGENT, [], ["hooks.agent.example"], "op")
    id = UUID(told["id"])
    hooks.test(AGENT, id)
    hub.engine.dispatcher.drain(hub.engine.register.partners[PREFIX + id.hex])
    assert hooks.deliveries(AGENT, id)[0]["code"] == "callback_host_not_allowed"
    for wrong in ("agent", "10.0.0.1", "-a.example", "a.example:99999", "https://a.example"):
        with pytest.raises(HubError, match="host_wrong"):
            hooks.allow(AGENT, [wrong], [], "op")


def test_every_code_is_in_the_catalogue():
    for code in ("callback_failing", "callback_refuses", "callback_redirects", "callback_address", "callback_not_https",
                 "callback_url_wrong", "callback_host_not_allowed"):  # fmt: skip
        assert code in catalogue()
