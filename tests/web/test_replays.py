"""The operators' doors for what waits for a person: looking, replaying, resolving."""

import json
from uuid import UUID

import pytest

from hub.canonical.errors import HubError

WHY = "the map is mended, agreed with the post"


@pytest.fixture
def refused(engine, monkeypatch):
    """A payment notice that a map of ours could not read, and the map mended; and a payment of nobody's bill."""
    notice = {
        "reference": "PAY-1", "billNumber": "1234567890123", "amount": "10.00", "currency": "SAR",
        "paidAt": "2026-12-01T08:30:00Z", "valueDate": "2026-12-01", "channel": "ONLINE",
    }  # fmt: skip
    with monkeypatch.context() as patched:

        def unreadable(*_args, **_more):
            raise HubError("map_unknown")

        patched.setattr(engine.register.map("banks/payments", "payment_notice", "request"), "read", unreadable)
        engine.exchange.receive("bank_haramayn", "payment_notice", json.dumps(notice).encode())
    return engine


def test_only_an_operator_may_look_or_act(as_, refused):
    for name in ("agent_idn_1", "company_1", "health_authority"):
        caller = as_(name)
        assert caller.get("/v1/operations/exchanges").status_code == 403
        assert caller.post("/v1/operations/replays", {"partner": "bank_haramayn"}).status_code == 403
        assert caller.post(f"/v1/operations/incidents/{UUID(int=1)}/resolution", {"reason": WHY}).status_code == 403


def test_a_preview_is_what_is_done_unless_it_is_said_otherwise(as_, refused):
    operator = as_("operator")
    (waits,) = operator.get("/v1/operations/exchanges?partner=bank_haramayn").json["exchanges"]
    assert (waits["state"], waits["code"], waits["owner"]) == ("dead", "map_unknown", "partner")
    for meant in ({"exchanges": [waits["id"]]}, {"partner": "bank_haramayn"}, {"state": "dead", "direction": None}):
        meant.pop("direction", None)
        told = operator.post("/v1/operations/replays", meant).json
        assert told["dry_run"] and told["counts"] == {"read": 1}
    told = operator.post("/v1/operations/replays", {"exchanges": [waits["id"]], "dry_run": False, "reason": WHY}).json
    (done,) = told["exchanges"]
    assert done["done"] and done["became"]
    life = operator.get(f"/v1/operations/exchanges/{waits['id']}").json
    assert [(d["person"], d["reason"]) for d in life["done"]] == [("operator", WHY)]
    assert operator.get("/v1/operations/exchanges").json == {"exchanges": []}


def test_what_is_missing_or_wrong_is_said(as_, refused):
    operator = as_("operator")
    for body, status, code in (
        ({"dry_run": False, "partner": "bank_haramayn"}, 422, "reason_missing"),
        ({}, 422, "replay_unfiltered"),
        ({"exchanges": [str(UUID(int=1))]}, 404, "exchange_unknown"),
        ({"exchanges": [str(UUID(int=1))], "partner": "x"}, 422, "replay_unfiltered"),
        ({"partner": "bank_haramayn", "most": 0}, 422, "invalid_range"),
        ({"partner": "bank_haramayn", "colour": "red"}, 422, "unknown_field"),
        ({"state": "lost"}, 422, "invalid_code"),
        ({"since": "yesterday"}, 422, "invalid_type"),
        ({"exchanges": ["x"]}, 422, "invalid_type"),
        ({"partner": "bank_haramayn", "dry_run": "no"}, 422, "invalid_type"),
        ({"partner": "bank_haramayn", "dry_run": False, "unsafe": True, "reason": WHY}, 422, "replay_unsafe"),
    ):
        answer = operator.post("/v1/operations/replays", body)
        assert (answer.status_code, answer.json["code"]) == (status, code), body
    assert operator.post("/v1/operations/replays", b"{").status_code in (400, 422)
    assert operator.get("/v1/operations/exchanges?colour=red").json["code"] == "unknown_field"
    assert operator.get(f"/v1/operations/exchanges/{UUID(int=1)}").status_code == 404
    assert operator.get("/v1/operations/exchanges/x").status_code == 404
    assert operator.get("/v1/operations/exchanges?since=2026-12-01T00:00:00Z").json == {"exchanges": []}


def test_an_incident_is_resolved(as_, refused):
    operator = as_("operator")
    (incident,) = operator.get("/v1/operations/incidents").json["incidents"]
    path = f"/v1/operations/incidents/{incident['id']}/resolution"
    assert operator.post(path, {"reason": "x"}).json["code"] == "reason_missing"
    assert operator.post(path, {}).json["code"] == "required"
    assert operator.post(path, {"reason": WHY}).status_code == 200
    assert operator.get("/v1/operations/incidents").json == {"incidents": []}
    assert operator.post(path, {"reason": WHY}).status_code == 404
