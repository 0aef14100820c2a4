"""The door under pressure, on real sockets and a real small disk: 429 or 503 with Retry-After, and nothing lost."""

import contextlib
import copy
import dataclasses
import http.client
import json
import os
import subprocess
import threading

import pytest

from hub.exchange import pressure
from hub.exchange.engine import Engine
from hub.web.app import create_app
from tests.web.conftest import As, key_of
from tests.web.test_hardening import serving


@pytest.fixture
def small(tmp_path):
    """The store's own file system, of 40 MB."""
    var = tmp_path / "var"
    var.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=0700", "tmpfs", str(var)], check=True)
    yield var
    subprocess.run(["umount", "-l", str(var)], check=True)


def fill(var, free_percent):
    """Ballast until so much is free."""
    statvfs = os.statvfs(var)
    take = int(statvfs.f_bavail - statvfs.f_blocks * free_percent / 100) * statvfs.f_frsize
    with (var / "ballast").open("ab") as file:
        file.write(b"\0" * take)


@pytest.mark.needs("tmpfs")
def test_on_a_disk_that_fills_intake_stops_first_and_resumes_by_itself(small, settings, group, monkeypatch):
    monkeypatch.setattr(pressure, "EVERY", 0.0)
    engine = Engine(settings)
    try:
        client = create_app(engine).test_client()
        agent, company = As(client, "agent_idn_1"), As(client, "company_1")
        told = agent.post("/v1/groups", group).json
        fill(small, 4.5)
        answer = agent.post("/v1/groups", group | {"group_no": "G-1002"})
        assert (answer.status_code, answer.json["code"]) == (503, "intake_disk")
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json["title_ar"]
        assert client.get("/health").json == {"status": "ok", "intake": "stopped"}
        assert agent.get(f"/v1/groups/{told['id']}").status_code == 200
        first = f"/v1/requests/{told['requests'][0]['id']}/decisions"
        assert company.post(first, {"outcome": "accept"}).status_code == 200, "what is under way goes on"
        page = client.get("/?lang=ar")
        assert page.status_code == 200 and 'class="verdict needs"' in page.text
        metrics = client.get("/metrics").text
        assert "hub_intake_open 0" in metrics
        assert 'hub_intake_refused_total{reason="disk"} 1' in metrics
        fill(small, 0.5)
        second = f"/v1/requests/{told['requests'][1]['id']}/decisions"
        answer = company.post(second, {"outcome": "accept"}, key="the-same-key")
        assert (answer.status_code, answer.json["code"]) == (503, "intake_reserve")
        (small / "ballast").unlink()
        assert company.post(second, {"outcome": "accept"}, key="the-same-key").json["state"] == "ACCEPTED"
        assert client.get("/health").json == {"status": "ok"}
    finally:
        engine.stop()


def numbered(group, number):
    """The README's group as another: other passports, and houses and carriers that have yet to confirm."""
    body = copy.deepcopy(group)
    body["group_no"] = f"B-{number:04}"
    for place, member in enumerate(body["members"]):
        member["document"]["number"] = f"Z{number:05}{place}1"
        member["document"].pop("mrz", None)
    for member in body["members"]:
        if member.get("companion"):
            member["companion"]["number"] = body["members"][0]["document"]["number"]
    return body


def test_in_a_burst_what_is_accepted_is_there_and_the_rest_is_told_to_come_again(engine, group, monkeypatch):
    monkeypatch.setattr(pressure, "EVERY", 0.01)
    monkeypatch.setattr(pressure, "COUNT", 0.01)
    engine.pressure._settings = dataclasses.replace(engine.settings, backlog=40)
    accepted, refused, wrong = [], [], []

    def caller(callers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

        def post(path, who, key, body):
            headers = {"Authorization": f"Bearer {key_of(who)}", "Idempotency-Key": f"burst-{key:>04}"}
            body = json.dumps(body)
            connection.request("POST", path, body, headers | {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer, json.loads(answer.read())

        with contextlib.closing(connection):
            for number in callers:
                answer, told = post("/v1/groups", "agent_idn_1", number, numbered(group, number))
                if answer.status in (429, 503) and int(answer.headers["Retry-After"]) > 0:
                    refused.append(told["code"])
                    continue
                if answer.status != 201:
                    wrong.append((answer.status, told))
                    continue
                accepted.append(told["id"])
                # What is decided on them is taken however full it is: bookings are now to be made.
                for one in told["requests"]:
                    path, outcome = f"/v1/requests/{one['id']}/decisions", {"outcome": "accept"}
                    answer, told = post(path, "company_1", f"accept-{one['id']}", outcome)
                    if answer.status != 200:
                        wrong.append((answer.status, told))

    threads = [threading.Thread(target=caller, args=(range(start, 80, 8),)) for start in range(8)]
    with serving(engine) as port:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[0]
    assert accepted and refused
    assert set(refused) == {"intake_backlog"}
    assert len(accepted) + len(refused) == 80
    with engine.database.reading() as tx:
        kept = tx._connection.execute("SELECT count(*), count(DISTINCT agent_ref) FROM umrah_group").fetchone()
        named = tx._connection.execute("SELECT count(*) FROM request WHERE state = 'ACCEPTED'").fetchone()
        waiting = tx._connection.execute("SELECT count(*) FROM exchange_subject WHERE state = 'open'").fetchone()
    assert tuple(kept) == (len(accepted), len(accepted))
    assert named[0] == 2 * len(accepted), "every one of them is decided"
    assert waiting[0] >= 40


def test_whoever_loses_every_race_is_told_to_come_again(settings, migrated, group):
    import psycopg

    engine = Engine(dataclasses.replace(settings, database_url=migrated))
    try:
        client = create_app(engine).test_client()
        told = As(client, "agent_idn_1").post("/v1/groups", group).json
        path = f"/v1/requests/{told['requests'][0]['id']}/decisions"
        with psycopg.connect(migrated) as other:
            other.execute("SELECT set_config('hub.scope', 'all', false)")
            other.execute("SELECT * FROM umrah_group FOR UPDATE")
            answer = As(client, "company_1").post(path, {"outcome": "accept"}, key="decided-once")
        assert (answer.status_code, answer.json["code"]) == (503, "store_overtaken")
        assert answer.headers["Retry-After"] == "1" and "lock" not in answer.text
        assert As(client, "company_1").post(path, {"outcome": "accept"}, key="decided-once").status_code == 200
    finally:
        engine.stop()
