"""How often a caller may call, and what it is told of it."""

import dataclasses
import re

import pytest

from hub.partners.overlay import Overlaid
from hub.web import access
from hub.web.app import create_app

from .conftest import As


@pytest.fixture
def clock(monkeypatch):
    """The time that the counters go by, which stands until a test moves it."""
    import limits.storage.memory

    now = [1_800_000_000.25]

    class Time:
        time = staticmethod(lambda: now[0])

    monkeypatch.setattr(limits.storage.memory, "time", Time)
    monkeypatch.setattr(access.time, "time", Time.time)
    return now


@pytest.fixture
def doors(engine):
    def opened(**limits):
        engine.settings = dataclasses.replace(engine.settings, **limits)
        client = create_app(engine).test_client()
        return lambda who: As(client, who)

    return opened


def test_every_answer_says_what_is_left(doors, clock):
    agent = doors(calls_per_second=3)("agent_idn_1")
    for left in (2, 1, 0):
        answer = agent.get("/v1/requests")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"second";q=3;w=1'
        assert answer.headers["RateLimit"] == f'"second";r={left};t=1'
        assert "Retry-After" not in answer.headers


def test_one_call_too_many_is_told_when_to_come_again(doors, clock):
    agent = doors(calls_per_second=2)("agent_idn_1")
    agent.get("/v1/requests"), agent.get("/v1/requests")
    refused = agent.get("/v1/requests")
    assert (refused.status_code, refused.json["code"]) == (429, "calls_too_many")
    assert refused.mimetype == "application/problem+json"
    assert refused.headers["Retry-After"] == "1"
    assert re.search(r"[؀-ۿ]", refused.json["title_ar"])
    clock[0] += 1
    assert agent.get("/v1/requests").status_code == 200


def test_callers_are_counted_apart_and_at_every_door(doors, clock):
    as_ = doors(calls_per_second=2)
    agent = as_("agent_idn_1")
    assert agent.get("/v1/operations/now").status_code == 403
    assert agent.get("/v1/requests").status_code == 200
    # What a caller may not do counts too: whoever tries every door is stopped.
    assert agent.get("/v1/operations/now").status_code == 429
    assert as_("agent_idn_2").get("/v1/requests").status_code == 200
    assert as_("operator").get("/v1/operations/now").status_code == 200


def test_a_day_has_its_own_quota(doors, clock):
    agent = doors(calls_per_second=0, calls_per_day=2)("agent_idn_1")
    assert agent.get("/v1/requests").headers["RateLimit-Policy"] == '"day";q=2;w=86400'
    clock[0] += 3600
    agent.get("/v1/requests")
    refused = agent.get("/v1/requests")
    assert refused.status_code == 429
    assert 82_000 < int(refused.headers["Retry-After"]) <= 86_400
    clock[0] += 86_400
    assert agent.get("/v1/requests").status_code == 200


def test_the_nearest_limit_is_told(doors, clock):
    agent = doors(calls_per_second=10, calls_per_day=3)("agent_idn_1")
    answer = agent.get("/v1/requests")
    assert answer.headers["RateLimit-Policy"] == '"second";q=10;w=1, "day";q=3;w=86400'
    assert answer.headers["RateLimit"].startswith('"day";r=2;')


def test_a_partners_own_limits_go_before_the_settings(doors, engine, clock):
    agent = engine.register.partners["agent_idn_1"]
    limits = dataclasses.replace(agent.limits, calls_per_second=1)
    engine.register.partners["agent_idn_1"] = dataclasses.replace(agent, limits=limits)
    as_ = doors(calls_per_second=100)
    assert as_("agent_idn_1").get("/v1/requests").headers["RateLimit"] == '"second";r=0;t=1'
    assert as_("agent_idn_1").get("/v1/requests").status_code == 429
    assert as_("agent_idn_2").get("/v1/requests").headers["RateLimit"].startswith('"second";r=99;')


def test_nought_takes_any_number(doors, clock):
    agent = doors(calls_per_second=0, calls_per_day=0)("agent_idn_1")
    for _ in range(300):
        answer = agent.get("/v1/requests")
    assert answer.status_code == 200
    assert "RateLimit" not in answer.headers


def test_what_needs_no_key_is_not_counted(doors, clock, client):
    doors(calls_per_second=1)
    assert [client.get("/health").status_code for _ in range(5)] == [200] * 5


def test_a_signed_caller_is_counted_too(doors, engine, clock):
    from datetime import UTC, datetime

    from hub.security import signing

    engine.settings = dataclasses.replace(engine.settings, calls_per_second=1)
    client = create_app(engine).test_client()

    def call():
        header = {signing.HEADER: signing.sign("s" * 64, b"{}", datetime.now(UTC))}
        return client.post("/v1/partners/bank_haramayn/notices", data=b"{}", headers=header).status_code

    assert call() != 429
    assert call() == 429


# --- credentials of nobody ----------------------------------------------------------------------------------------


def test_keys_of_nobody_are_counted_by_address_and_nobody_else_is_held_to_it(doors, engine, clock):
    agent = doors(refused_per_minute=2, proxies=1)("agent_idn_1")
    client = agent._client

    def tried(key, address="198.51.100.7"):
        headers = {"X-Forwarded-For": f"6.6.6.6, {address}"} | ({"Authorization": f"Bearer {key}"} if key else {})
        return client.get("/v1/requests", headers=headers)

    assert [tried(key).status_code for key in ("a" * 43, None)] == [401, 401]
    refused = tried("b" * 43)
    assert (refused.status_code, refused.json["code"]) == (429, "calls_too_many")
    assert refused.headers["RateLimit-Policy"] == '"refused";q=2;w=60' and int(refused.headers["Retry-After"]) <= 60
    assert tried(agent._headers["Authorization"].removeprefix("Bearer ")).status_code == 200, "its own key"
    assert tried("b" * 43, "198.51.100.8").status_code == 401, "somebody else's address"
    clock[0] += 60
    assert tried("b" * 43).status_code == 401


def test_beyond_so_many_addresses_the_others_are_counted_together(monkeypatch):
    monkeypatch.setattr(access, "ADDRESSES", 3)
    meter = access.Meter()
    refused = [meter.refuse(f"198.51.100.{n}", 2).refused for n in (1, 2, 3, 4, 5, 6, 1, 1)]
    assert refused == [False, False, False, False, False, True, False, True]


def test_signatures_of_nobody_are_counted_with_the_keys(doors, clock):
    from datetime import UTC, datetime

    from hub.security import signing

    client = doors(refused_per_minute=2)("agent_idn_1")._client

    def told(partner, secret):
        header = {signing.HEADER: signing.sign(secret, b"{}", datetime.now(UTC))} if secret else {}
        return client.post(f"/v1/partners/{partner}/notices", data=b"{}", headers=header).status_code

    assert told("bank_haramayn", "x" * 64) == told("nobody", None) == 401
    assert told("bank_haramayn", "x" * 64) == client.get("/v1/requests").status_code == 429
    assert told("bank_haramayn", "s" * 64) not in (401, 429), "the bank itself"


# --- an agent suspended --------------------------------------------------------------------------------------------


def test_a_suspended_agent_files_nobody_and_everything_else_goes_on(engine, as_, group):
    from .test_access import filing

    agent = as_("agent_idn_1")
    first = agent.post("/v1/groups", group, key="the-first-group").json
    engine.change_partners([Overlaid(id="agent_idn_1", suspended=True)], "tester")
    refused = agent.post("/v1/groups", filing(group, 3, 2), key="the-second-group")
    assert (refused.status_code, refused.json["code"]) == (403, "agent_suspended")
    assert "suspended" in refused.json["errors"][0]["en"]
    assert re.search(r"[؀-ۿ]", refused.json["errors"][0]["ar"])
    # What was answered before is answered so again, what runs goes on, and all of it is seen.
    again = agent.post("/v1/groups", group, key="the-first-group")
    assert (again.status_code, again.json) == (201, first)
    about = first["requests"][0]["id"]
    assert as_("company_1").post(f"/v1/requests/{about}/decisions", {"outcome": "accept"}).json["state"] == "ACCEPTED"
    assert agent.get(f"/v1/pilgrims/{about}/timeline").json["state"] == "ACCEPTED"
    other = first["requests"][1]["id"]
    assert agent.post(f"/v1/requests/{other}/decisions", {"outcome": "cancel"}).status_code == 200
    assert as_("agent_idn_2").post("/v1/groups", filing(group, 4, 2)).status_code == 201
    engine.change_partners([Overlaid(id="agent_idn_1", suspended=False)], "tester")
    assert agent.post("/v1/groups", filing(group, 3, 2), key="the-second-group").status_code == 201


def test_a_suspension_outlives_the_process_and_is_audited(engine):
    from hub.store import overlay
    from hub.store.database import Statement
    from hub.store.tables import audit

    engine.change_partners([Overlaid(id="agent_idn_1", suspended=True, certificates=("0" * 64,))], "tester")
    engine.change_partners([Overlaid(id="agent_idn_1", mode="test")], "tester")
    (kept,) = overlay.stored(engine.settings.store)
    assert (kept.suspended, kept.certificates, kept.mode) == (True, ("0" * 64,), "test")
    with engine.database.reading() as tx:
        did = [row["action"] for row in tx.all(Statement(audit.select()))]
    assert did == ["partner.suspend", "partner.certificates", "partner.test"]
