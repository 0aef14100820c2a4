"""Who may do what: every endpoint of the URL map, every verb, every role, every state of a credential."""

import ast
import copy
import dataclasses
import io
import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import bindparam, update

from hub.exchange.engine import Engine
from hub.partners.overlay import Overlaid
from hub.security import api_keys
from hub.store.database import Statement
from hub.store.tables import request as requests
from hub.web import access
from hub.web.access import ROLES
from hub.web.api.shapes import Timeline
from hub.web.app import create_app

from .conftest import key_of

#: Who calls in each role, and who else does.
OWN = {"agent": "agent_idn_1", "company": "company_1", "mission": "mission_jakarta"}
OTHER = {"agent": "agent_pak_1", "company": "company_2", "mission": "mission_islamabad"}
ALONE = {
    "body": "bank_haramayn", "health": "health_authority", "operator": "olga", "auditor": "aziz",
    "administrator": "adel",
}  # fmt: skip
#: What a path names, for each of its parameters: a thing of one's own tenant, or of the other's.
FILL = {
    "desk.group": {"id": "group"},
    "desk.decide": {"id": "request"},
    "desk.timeline": {"id": "request"},
    "replays.exchange": {"id": "exchange"},
    "replays.resolve": {"id": "incident"},
    "keys.rotate": {"id": "key"},
    "keys.revoke": {"id": "key"},
    "bodies.told": {"partner": "partner", "rest": "rest"},
    "pages.static": {"filename": "file"},
    "agent.static": {"filename": "script"},
    "agent.template": {"lang": "lang"},
    "files.upload": {"operation": "operation"},
    "files.one": {"id": "upload"},
    "files.rejected": {"id": "upload"},
    "files.outcome": {"id": "upload"},
    "files.acknowledgement": {"id": "upload"},
    "files.signature": {"id": "upload"},
    "webhooks.subscription": {"id": "hook"},
    "webhooks.change": {"id": "hook"},
    "webhooks.forget": {"id": "hook"},
    "webhooks.rotate": {"id": "hook"},
    "webhooks.test": {"id": "hook"},
    "webhooks.deliveries": {"id": "hook"},
    "webhooks.replay": {"id": "hook", "delivery": "delivery"},
    "webhooks.replays": {"id": "hook"},
    "exchanges.exchange": {"id": "exchange"},
    "groups.enrol": {"id": "group"},
    "groups.programme": {"id": "group"},
    "invoices.invoice": {"id": "exchange"},
    "pilgrims.pilgrim": {"id": "request"},
    "requests.request": {"id": "request"},
    "reference.static": {"filename": "script_of_docs"},
    "soap.contract": {"partner": "partner", "family": "family", "name": "contract"},
    "soap.told": {"partner": "partner", "family": "family", "name": "adapter"},
    "photos.put": {"id": "request"},
    "photos.put_named": {"name": "photo"},
    "photos.get": {"id": "request"},
}
#: Endpoints at which a path names what belongs to a tenant.
TENANTS = {"desk.group", "desk.decide", "desk.timeline", "photos.put", "photos.get", "groups.programme", "groups.enrol",
           "pilgrims.pilgrim", "requests.request"}  # fmt: skip
MISSING = "00000000-0000-7000-8000-000000000000"
_referenced = Statement(update(requests).where(requests.c.id == bindparam("id")).values(referenced_at=bindparam("at")))


@dataclasses.dataclass
class Place:
    """A hub with a group of each tenant, and a key for everybody."""

    engine: Engine
    client: Any
    keys: dict[str, str]
    own: dict[str, str]
    other: dict[str, str]

    def call(self, verb: str, path: str, key: str | None = None, **headers: str) -> Any:
        given = {"Idempotency-Key": f"call-{id(path)}-{verb}", **headers}
        if key is not None:
            given["Authorization"] = f"Bearer {key}"
        body = b"{}" if verb in ("POST", "PUT", "PATCH", "DELETE") else None
        return self.client.open(path, method=verb, data=body, headers=given, content_type="application/json")


def filing(group, serial, count=1):
    """A group of *count* pilgrims that nobody else has."""
    made = copy.deepcopy(group)
    first = made["members"][0]
    made |= {"group_no": f"G-{serial}", "heads": count, "members": []}
    for housing in made["programme"]["housing"]:
        housing["heads"] = count
        room = {"kind": "double", "board": "breakfast", "beds": 2, "rate": "310.00"}
        housing["rooms"] = [room] * (count // 2 + 1)
    for ride in made["programme"]["transport"]:
        ride |= {"vehicle": "bus", "seats": max(count, 4)}
    for number in range(count):
        member = copy.deepcopy(first)
        member["document"]["number"] = f"{chr(65 + serial % 26)}{serial % 100:02}{number:05}"
        made["members"].append(member)
    return made


def photo():
    out = io.BytesIO()
    Image.new("RGB", (300, 400)).save(out, "JPEG")
    return out.getvalue()


def file(client, key, body):
    """File a group; told to come again, as on a busy machine, its agent does."""
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"filing-{body['group_no']}"}
    for _ in range(100):
        told = client.post("/v1/groups", data=json.dumps(body), headers=headers)
        if told.status_code != 429:
            break
        time.sleep(0.1)
    assert told.status_code == 201, told.json
    return told.json


@pytest.fixture
def place(engine, group) -> Place:
    engine.settings = dataclasses.replace(engine.settings, calls_per_second=0, refused_per_minute=0)
    engine.change_partners([Overlaid(id=OTHER["mission"], enabled=True)], "tester")
    client = create_app(engine).test_client()
    keys = {
        who: engine.keyring.new(who, role if role in access.STAFF else None, "", None, "tester")["key"]
        for named in (OWN, OTHER, ALONE)
        for role, who in named.items()
    }
    made = Place(engine, client, keys, {}, {})
    for serial, (whose, named) in enumerate(((made.own, OWN), (made.other, OTHER))):
        told = file(client, keys[named["agent"]], filing(group, serial))
        whose |= {"group": told["id"], "request": told["requests"][0]["id"]}
        whose |= {"partner": "bank_haramayn", "rest": "notices", "file": "hub.css"}
        whose |= {"script_of_docs": "reference.js"}
        whose |= {"contract": "bill_desk?wsdl", "script": "agent.js", "lang": "ar"}
        headers = {"Authorization": f"Bearer {keys[named['agent']]}", "Idempotency-Key": f"handing-{serial}"}
        shown = client.put(f"/v1/requests/{whose['request']}/photo", data=photo(), headers=headers)
        assert shown.status_code == 200, shown.json
        handed = client.post("/v1/files?operation=receive_roster&name=a.csv", data=b"a,b\n1,2\n", headers=headers)
        assert handed.status_code == 202, handed.json
        whose |= {
            "family": "banks",
            "adapter": "bill_desk",
            "operation": "receive_roster",
            "upload": handed.json["id"],
            "photo": "C0000001.jpg",
        }
        with_reference(engine, whose["request"])
        spare = engine.keyring.new(f"spare{serial}", "auditor", "", None, "tester")
        whose |= {"key": spare["id"], "exchange": MISSING, "incident": MISSING}
        whose |= {"hook": MISSING, "delivery": MISSING}  # tests/web/test_webhooks.py asks for another's
    return made


def with_reference(engine, request_id):
    """As a request is once the ministry has answered."""
    engine.database.unit(lambda tx: tx.run(_referenced, id=access.identity(request_id), at=1).rowcount)


def endpoints(app) -> Iterator[tuple[str, str, str, frozenset[str], bool]]:
    """Every endpoint with each of its verbs: name, rule, verb, who is allowed, whether by a signature."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        for verb in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            method = getattr(getattr(view, "view_class", None), verb.lower(), view)
            allowed = getattr(method, "allowed", getattr(view, "allowed", None))
            yield rule.endpoint, rule.rule, verb, allowed, hasattr(method, "signed")


def path_of(rule, endpoint, named):
    path = rule
    for parameter, what in FILL.get(endpoint, {}).items():
        for form in (f"<{parameter}>", f"<path:{parameter}>", f"<uuid:{parameter}>"):
            path = path.replace(form, named[what])
    assert "<" not in path, f"{endpoint}: say in FILL how {rule} is filled"
    return path


def test_every_route_has_a_rule(engine):
    without = [(name, verb) for name, _, verb, allowed, _ in endpoints(create_app(engine)) if allowed is None]
    assert without == []


def test_every_role_has_somewhere_to_go(engine):
    allowed = set().union(*(rule for *_, rule, _ in endpoints(create_app(engine))))
    assert allowed == set(ROLES)


def test_what_is_public_is_named_here(engine):
    """A door that is opened to everybody is opened on purpose."""
    found = {name for name, _, _, allowed, _ in endpoints(create_app(engine)) if not allowed}
    assert found == {
        "operations.health", "operations.metrics", "pages.now", "pages.timetable", "pages.static", "agent.page",
        "agent.template", "agent.static", "soap.contract", "reference.page", "reference.static", "reference.openapi",
    }  # fmt: skip


def test_the_matrix(place):
    """Endpoint × verb × role × own, other tenant, none, unknown, expired, revoked."""
    engine, app = place.engine, place.client.application
    dead = {state: engine.keyring.new(state, "operator", "", 1, "tester") for state in ("expired", "revoked")}
    engine.keyring.revoke(dead["revoked"]["id"], "tester")
    wrong, asked = [], 0

    def expect(what, answer, status, code):
        nonlocal asked
        asked += 1
        got = (answer.status_code, (answer.json or {}).get("code")) if answer.is_json else (answer.status_code, None)
        if got != (status, code):
            wrong.append((*what, got, (status, code)))

    for name, rule, verb, allowed, by_signature in endpoints(app):
        path = path_of(rule, name, place.own)
        if hasattr(app.view_functions[name], "vouched"):
            # Who calls stands in the message: tests/web/test_soap.py asks each of those who may not.
            assert place.call(verb, path, place.keys["olga"]).status_code in (400, 415, 500)
            continue
        if not allowed:
            answer = place.call(verb, path)
            expect((name, verb, "anybody"), answer, 200, None if not answer.is_json else answer.json.get("code"))
            continue
        if by_signature:
            for who in (None, *place.keys):  # a key opens no signed door, whoever's it is
                expect((name, verb, who), place.call(verb, path, place.keys.get(who)), 401, "signature_missing")
            continue
        expect((name, verb, "none"), place.call(verb, path), 401, "unauthorised")
        expect((name, verb, "unknown"), place.call(verb, path, "x" * 43), 401, "unauthorised")
        basic = place.call(verb, path, Authorization="Basic b2xnYTpvbGdh")
        expect((name, verb, "basic"), basic, 401, "unauthorised")
        expect((name, verb, "revoked"), place.call(verb, path, dead["revoked"]["key"]), 401, "unauthorised")
        for role in ROLES:
            for named in (OWN, OTHER) if role in OWN else (ALONE,):
                who = named[role]
                theirs = place.call(verb, path, place.keys[who])
                if role not in allowed:
                    expect((name, verb, who), theirs, 403, "forbidden")
                elif name in TENANTS and named is OTHER:
                    expect((name, verb, who), theirs, 404, "not_found")
                else:
                    asked += 1
                    if theirs.status_code in (401, 403, 405) or (name in TENANTS and theirs.status_code == 404):
                        wrong.append((name, verb, who, theirs.status_code, theirs.json))
        if name.startswith("keys."):
            place.own["key"] = engine.keyring.new(f"more{asked}", "auditor", "", None, "tester")["id"]

    real = engine.keyring._wall
    engine.keyring._wall = lambda: real() + timedelta(days=2)
    for name, rule, verb, allowed, by_signature in endpoints(app):
        if allowed and not by_signature and not hasattr(app.view_functions[name], "vouched"):
            path = path_of(rule, name, place.own)
            expect((name, verb, "expired"), place.call(verb, path, dead["expired"]["key"]), 401, "unauthorised")
    assert wrong == []
    assert asked > 200


def test_a_key_of_the_settings_goes_on_working(place):
    key = "settings" + "k" * 32
    place.engine.settings = dataclasses.replace(
        place.engine.settings, api_keys={api_keys.digest(key): "agent_idn_1", api_keys.digest("o" * 40): "operator"}
    )
    assert place.call("GET", f"/v1/groups/{place.own['group']}", key).status_code == 200
    assert place.call("GET", f"/v1/groups/{place.other['group']}", key).status_code == 404
    assert place.call("GET", "/v1/operations/now", "o" * 40).status_code == 200


def test_a_partner_that_is_switched_off_cannot_call(place):
    path = f"/v1/groups/{place.own['group']}"
    assert place.call("GET", path, place.keys["agent_idn_1"]).status_code == 200
    place.engine.change_partners([Overlaid(id="agent_idn_1", enabled=False)], "tester")
    assert place.call("GET", path, place.keys["agent_idn_1"]).json["code"] == "unauthorised"


def test_lists_hold_ones_own_and_no_others(place):
    def listed(who):
        return {one["id"] for one in place.call("GET", "/v1/requests", place.keys[who]).json["requests"]}

    for role in OWN:
        assert listed(OWN[role]) == {place.own["request"]}, role
        assert listed(OTHER[role]) == {place.other["request"]}, role
    for who in ("olga", "aziz"):
        assert listed(who) == {place.own["request"], place.other["request"]}


def test_a_mission_learns_of_a_pilgrim_by_the_reference(place):
    """Filed with its agents, and none of its business before the ministry has issued the reference."""
    path, key = f"/v1/pilgrims/{place.own['request']}/timeline", place.keys["mission_jakarta"]
    assert place.call("GET", path, key).status_code == 200
    place.engine.database.unit(
        lambda tx: tx.run(_referenced, id=access.identity(place.own["request"]), at=None).rowcount
    )
    assert place.call("GET", path, key).status_code == 404
    assert place.call("GET", "/v1/requests", key).json["requests"] == []
    assert place.call("GET", path, place.keys["agent_idn_1"]).status_code == 200


def test_an_auditor_sees_that_a_name_is_there_and_not_the_name(place):
    path = f"/v1/pilgrims/{place.own['request']}/timeline"
    seen, masked = (place.call("GET", path, place.keys[who]) for who in ("agent_idn_1", "aziz"))
    assert seen.json["name"]["family"] == "WIBOWO"
    for told in ("WIBOWO", "BUDI", "IDN", "ويبوو"):
        assert told not in masked.text
    assert masked.json["state"] == seen.json["state"]
    assert masked.json["name"].keys() == seen.json["name"].keys() and masked.json["steps"] == seen.json["steps"]
    assert Timeline().validate(masked.json) == {}


def test_a_path_outside_the_api_cannot_be_walked_into(place):
    for path in ("/v1/groups/..%2f..%2fv1%2fkeys", "/static/../app.py", "/static/%2e%2e/pages.py"):
        assert place.call("GET", path, place.keys["agent_idn_1"]).status_code == 404


def test_no_view_reads_past_the_scope_of_its_caller():
    """What is asked of the hub's own reading, or of the store itself, tells nothing of a single case, or is asked
    behind a scoped look or a rule for those who see everything."""
    unscoped = set()
    for path in sorted((Path(access.__file__).parent).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and re.search(r"\.(reading|database)\.\w+$", "." + ast.unparse(node)):
                unscoped.add((path.name, ast.unparse(node).rpartition("(")[0] or node.attr, node.attr))
    assert {(name, attr) for name, _, attr in unscoped} == {
        ("access.py", "of"),
        ("operations.py", "alive"), ("operations.py", "now"), ("operations.py", "incidents"),
        ("pages.py", "now"), ("pages.py", "attention"), ("pages.py", "waiting_since"), ("pages.py", "runs"),
        ("ledger.py", "reading"), ("replays.py", "reading"),  # operators and auditors, who see every exchange
        ("desk.py", "owner_of"),  # the health authority's, which decides on anybody's death
        ("desk.py", "state"), ("desk.py", "shared"),  # of a request that owner_of has found
    }  # fmt: skip


# --- tenants -------------------------------------------------------------------------------------------------------


def test_what_is_anothers_is_answered_like_what_does_not_exist(engine, group):
    """5,000 pairs of a caller and an id of another tenant: byte for byte the answer to an id that nobody has."""
    engine.settings = dataclasses.replace(engine.settings, calls_per_second=0)
    client = create_app(engine).test_client()
    told = [file(client, key_of("agent_idn_1"), filing(group, serial, 125)) for serial in range(10)]
    ids = [one["id"] for group in told for one in group["requests"]]
    paths = [("GET", f"/v1/groups/{group['id']}") for group in told]
    for id in ids:
        paths += [("GET", f"/v1/pilgrims/{id}/timeline"), ("POST", f"/v1/requests/{id}/decisions")]
    pairs, missing = 0, {}

    def ask(who, verb, path):
        headers = {"Authorization": f"Bearer {who}{'k' * 32}", "Idempotency-Key": "a-guess-of-mine"}
        body = json.dumps({"outcome": "accept"}) if verb == "POST" else None
        answer = client.open(path, method=verb, data=body, headers=headers, content_type="application/json")
        said = {k: v for k, v in answer.headers.items() if k not in ("Date", "X-Correlation-Id")}
        return answer.status_code, said, plain(answer.data)

    for verb, path in paths:
        kind = path.split("/")[2]
        for who in ("agent_idn_2", "company_2"):
            if (who, verb, kind) not in missing:
                nobodys = path.replace(path.split("/")[3], MISSING)
                missing[who, verb, kind] = ask(who, verb, nobodys)
                assert missing[who, verb, kind][0] == 404
            assert ask(who, verb, path) == missing[who, verb, kind], (who, verb, path)
            pairs += 1
    assert pairs >= 5000
    assert engine.reading.now()["states"] == {"SUBMITTED": len(ids)}


def plain(body):
    """An answer without what names the call itself."""
    said = json.loads(body)
    said.pop("correlation_id", None)
    return said if "correlation_id" in json.loads(body) else body


def test_the_health_authority_sees_no_exchanges_but_its_own(place):
    """It decides on anybody's death, and looks at nothing of anybody's."""
    theirs = place.call("GET", "/v1/exchanges", place.keys["agent_idn_1"]).json["exchanges"]
    assert theirs
    assert place.call("GET", "/v1/exchanges", place.keys["health_authority"]).json["exchanges"] == []
    path = f"/v1/exchanges/{theirs[0]['id']}"
    assert place.call("GET", path, place.keys["agent_idn_1"]).status_code == 200
    assert place.call("GET", path, place.keys["health_authority"]).status_code == 404


def test_an_auditor_looks_a_pilgrim_up_and_sees_no_name_either(place):
    about = place.call("GET", f"/v1/requests/{place.own['request']}", place.keys["aziz"]).json["request_no"]
    found = place.client.post(
        "/v1/lookups", data=json.dumps({"request_no": about}), content_type="application/json",
        headers={"Authorization": f"Bearer {place.keys['aziz']}"},
    )  # fmt: skip
    assert found.status_code == 200, found.json
    for told in ("WIBOWO", "BUDI", "IDN", "ويبوو"):
        assert told not in found.text


@pytest.fixture
def in_sandbox(settings, tmp_path) -> Iterator[Engine]:
    """An engine with a sandbox, whose simulators are all out of reach."""
    simulated = {"SIMULATED_URL": "http://127.0.0.1:1", "SIMULATED_ROOT": str(tmp_path / "simulated")}
    engine = Engine(
        dataclasses.replace(
            settings,
            addresses={**settings.addresses, **simulated},
            secrets={**settings.secrets, "SIMULATED_SECRET": "z" * 64},
        )
    )
    yield engine
    engine.stop()


def test_an_agent_in_test_finds_its_pilgrims_by_number_too(in_sandbox, group):
    engine = in_sandbox
    client = create_app(engine).test_client()
    engine.change_partners([Overlaid(id="agent_idn_1", mode="test")], "tester")
    key = engine.keyring.new("agent_idn_1", None, "", None, "tester")["key"]
    filed = file(client, key, filing(group, 3))
    number = f"{chr(65 + 3)}0300000"
    headers = {"Authorization": f"Bearer {key}"}
    asked = {"passport": {"number": number, "nationality": "IDN"}}
    told = client.post("/v1/lookups", data=json.dumps(asked), headers=headers, content_type="application/json")
    assert told.status_code == 200 and told.json["requests"][0]["id"] == filed["requests"][0]["id"], told.json
    shown = client.put(f"/v1/photos/{number}.jpg", data=photo(), headers=headers)
    assert shown.status_code == 200, shown.json
