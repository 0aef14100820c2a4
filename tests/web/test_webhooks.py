"""Webhooks at the door: what a subscriber may do with its own, and that another's is like none."""

import dataclasses
import json

import pytest

from hub.exchange.engine import Engine
from hub.settings import Settings
from hub.web.app import create_app
from tests.strangers.listener import Listener
from tests.web.conftest import key_of


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, loopback_callbacks=True)


@pytest.fixture
def door():
    with Listener() as found:
        yield found


class Caller:
    def __init__(self, engine: Engine, name: str) -> None:
        self._client, self._headers = create_app(engine).test_client(), {"Authorization": f"Bearer {key_of(name)}"}

    def __call__(self, method: str, path: str = "", body: object = None):
        data = None if body is None else json.dumps(body)
        return self._client.open(
            f"/v1/webhooks{path}", method=method, data=data, headers=self._headers, content_type="application/json"
        )


@pytest.fixture
def agent(engine):
    return Caller(engine, "agent_idn_1")


def test_a_subscription_from_its_secret_to_its_end(engine, agent, door):
    made = agent("POST", "", {"url": door.url, "events": ["group.opened", "request.accepted"]})
    assert made.status_code == 201 and made.json["secret"].startswith("whsec_")
    id, secret = made.json["id"], made.json["secret"]
    assert made.headers["Location"] == f"/v1/webhooks/{id}"
    for seen in (agent("GET"), agent("GET", f"/{id}")):
        assert seen.status_code == 200 and secret not in seen.text and "whsec_" not in seen.text
    assert agent("GET").json["webhooks"] == [agent("GET", f"/{id}").json]

    tested = agent("POST", f"/{id}/test")
    assert tested.status_code == 202
    engine.dispatcher.drain(engine.register.partners["hook_" + id.replace("-", "")])
    (heard,) = door.heard
    assert heard.verified(secret) and heard.event["type"] == "webhook.test"
    (told,) = agent("GET", f"/{id}/deliveries").json["deliveries"]
    assert told["id"] == tested.json["id"] and told["state"] == "delivered" and told["attempts"] == 1
    assert "nobody may see" not in json.dumps(told)

    assert agent("POST", f"/{id}/deliveries/{told['id']}/replay").status_code == 202
    first = agent("GET", f"/{id}/deliveries?limit=1").json
    rest = agent("GET", f"/{id}/deliveries?limit=2&cursor={first['next']}").json
    assert [one["id"] for one in rest["deliveries"]] == [told["id"]] != [one["id"] for one in first["deliveries"]]
    assert rest["next"] is None
    assert agent("GET", f"/{id}/deliveries?after={told['id']}").json["code"] == "unknown_field"
    assert agent("GET", f"/{id}/deliveries?state=lost").json["code"] == "invalid_code"
    assert agent("GET", f"/{id}/deliveries?state=waiting").json["deliveries"][0]["event_id"] == told["event_id"]
    between = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    assert agent("POST", f"/{id}/replays", between).json == {"deliveries": []}  # it is under way already

    assert agent("POST", f"/{id}/rotate").json["secret"] not in ("", secret)
    assert agent("PATCH", f"/{id}", {"state": "paused"}).json["state"] == "paused"
    assert agent("POST", f"/{id}/test").json["code"] == "webhook_paused"
    assert agent("DELETE", f"/{id}").status_code == 204
    assert agent("GET", f"/{id}").status_code == 404 and agent("GET").json == {"webhooks": []}


@pytest.mark.parametrize("name", ["agent_idn_2", "company_1"])
def test_another_ones_is_like_none(engine, agent, door, name):
    made = agent("POST", "", {"url": door.url, "events": ["group.opened"]}).json["id"]
    other, missing = Caller(engine, name), "0190f6a0-0000-7000-8000-000000000000"
    delivery = agent("POST", f"/{made}/test").json["id"]
    for method, rest, body in (
        ("GET", "", None), ("PATCH", "", {"state": "paused"}), ("DELETE", "", None), ("POST", "/rotate", None),
        ("POST", "/test", None), ("GET", "/deliveries", None), ("POST", f"/deliveries/{delivery}/replay", None),
        ("POST", "/replays", {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}),
    ):  # fmt: skip
        theirs, none = other(method, f"/{made}{rest}", body), other(method, f"/{missing}{rest}", body)
        assert theirs.status_code == none.status_code == 404
        assert {**theirs.json, "correlation_id": 0} == {**none.json, "correlation_id": 0}
    assert other("GET").json == {"webhooks": []}


@pytest.mark.parametrize(("body", "code"), [
    ({}, "several_faults"),
    ({"url": "https://a.example/"}, "required"),
    ({"url": "https://a.example/", "events": []}, "invalid_length"),
    ({"url": "https://a.example/", "events": ["clock.due"]}, "webhook_events"),
    ({"url": "https://a.example/", "events": ["nothing.such"]}, "webhook_events"),
    ({"url": "https://a.example/", "events": ["group.opened"]}, "callback_host_not_allowed"),
    ({"url": "http://a.example/", "events": ["group.opened"]}, "callback_not_https"),
    ({"url": "https://169.254.169.254/", "events": ["group.opened"]}, "callback_url_wrong"),
    ({"url": "https://a.example/", "events": ["group.opened"], "secret": "mine"}, "unknown_field"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(agent, body, code):
    said = agent("POST", "", body)
    assert said.status_code in (422, 400) and said.json["code"] == code


def test_who_may_not_subscribe(engine):
    assert Caller(engine, "health_authority")("GET").status_code == 403
    assert Caller(engine, "operator")("GET").status_code == 403
    assert Caller(engine, "nobody")("GET").status_code == 401


def test_loopback_takes_both_settings(engine, settings):
    from hub.partners.webhooks import guard

    for test_mode, loopback, allowed in ((True, True, True), (True, False, False), (False, True, False)):
        given = dataclasses.replace(settings, test_mode=test_mode, loopback_callbacks=loopback)
        assert (guard(given, frozenset()).against("http://127.0.0.1:1/") is None) is allowed
