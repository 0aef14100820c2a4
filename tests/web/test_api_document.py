"""The API's own document: it validates, says everything that is there, and a client made from it works."""

import json
import subprocess
import sys

import pytest
from flask import Flask
from openapi_spec_validator import validate

from hub.canonical.errors import catalogue
from tests.strangers.listener import Listener
from tests.web.api import example, key_of, served
from tests.web.test_access import photo


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with served(tmp_path_factory.mktemp("hub"), loopback_callbacks=True) as hub:
        hub.filed = hub.travelled()
        yield hub


@pytest.fixture(scope="module")
def document(hub):
    answer = hub.get(None, "/v1/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


def operations(document):
    return {
        (method, path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def test_it_is_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_address_of_the_api_stands_in_it(document, engine):
    from hub.web.app import create_app

    app: Flask = create_app(engine)
    there = {
        (method.lower(), rule.rule.replace("<path:", "<").replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}
        # What is said over SOAP stands in its own contracts.
        if rule.rule.startswith("/v1/") and not rule.endpoint.startswith(("reference.", "soap."))
    }
    assert there <= operations(document).keys()


def test_every_operation_says_who_may_call_it_what_it_does_and_how_it_refuses(document):
    names = set()
    for (method, path), operation in operations(document).items():
        where = f"{method} {path}"
        assert operation["summary"] and "\n" not in operation["summary"], where
        names.add(operation["operationId"])
        told = operation["responses"].keys()
        assert {"400", "405", "413", "429", "500", "503"} <= told, where
        assert ("401" in told) == bool(operation["security"]), where
        assert bool(operation.get("x-roles")) == bool(operation["security"]), where
        assert ("404" in told) >= ("{" in path), where
    assert len(names) == len(operations(document))
    problem = document["components"]["schemas"]["Problem"]["properties"]
    assert set(problem["who"]["enum"]) == {entry.who for entry in catalogue().values()}


def test_what_it_says_of_a_refusal_is_how_it_is(hub, document):
    from jsonschema import Draft202012Validator

    schema = {**document["components"]["schemas"]["Problem"], "components": document["components"]}
    for answer in (
        hub.get(None, "/v1/groups"), hub.get("agent_idn_1", "/v1/groups?limit=0"),
        hub.get("agent_idn_1", "/v1/groups/none"), hub.post("agent_idn_1", "/v1/groups", {"heads": 0}),
    ):  # fmt: skip
        assert answer.headers["Content-Type"] == "application/problem+json"
        Draft202012Validator(schema).validate(answer.json())


def test_every_answer_has_a_shape(document):
    """All but what is a heap of figures, or a life that is as long as it is."""
    heaps = {"operations_now", "replays_exchange", "bodies_told"}
    for where, operation in operations(document).items():
        for status, answer in operation["responses"].items():
            for schema in (kind["schema"] for kind in answer.get("content", {}).values()):
                shaped = "$ref" in schema or schema.get("type") in ("string", "array")
                assert shaped or operation["operationId"] in heaps, (*where, status)


def test_webhooks_keys_and_photos_are_answered_as_it_says(hub, document):
    administrator = hub.engine.keyring.new("adel", "administrator", "", None, "tester")["key"]
    agent, adel = f"Bearer {key_of('agent_idn_1')}", f"Bearer {administrator}"

    def asked(method, path, body=None, who=agent, **named):
        kind = "image/jpeg" if isinstance(body, bytes) else "application/json"
        given = {"Authorization": who, "Content-Type": kind}
        answer = hub.call(None, method.upper(), path.format(**named), body, **given)
        assert answer.ok, answer.text
        told = document["paths"][path][method]["responses"][str(answer.status_code)]
        if answer.status_code != 204:
            schema = told["content"]["application/json"]["schema"]
            fits(document, schema, answer.json())
            return answer.json()
        return None

    with Listener() as door:
        hook = asked("post", "/v1/webhooks", {"url": door.url, "events": ["group.opened"]})
        id = hook["id"]
        asked("get", "/v1/webhooks")
        asked("get", "/v1/webhooks/{id}", id=id)
        asked("patch", "/v1/webhooks/{id}", {"events": ["request.accepted"]}, id=id)
        asked("post", "/v1/webhooks/{id}/rotate", id=id)
        told = asked("post", "/v1/webhooks/{id}/test", id=id)
        hub.engine.dispatcher.drain(hub.engine.register.partners["hook_" + id.replace("-", "")])
        at = "/v1/webhooks/{id}/deliveries"
        assert asked("post", at + "/{delivery}/replay", id=id, delivery=told["id"])["deliveries"]
        assert len(asked("get", at, id=id)["deliveries"]) == 2
        between = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
        asked("post", "/v1/webhooks/{id}/replays", between, id=id)
        asked("delete", "/v1/webhooks/{id}", id=id)

    made = asked("post", "/v1/keys", {"holder": "agent_idn_2", "days": 3}, adel)
    turned = asked("post", "/v1/keys/{id}/rotation", {"hours": 1}, adel, id=made["id"])
    assert hub.call(None, "GET", "/v1/requests", Authorization=f"Bearer {turned['key']}").ok
    asked("delete", "/v1/keys/{id}", None, adel, id=made["id"])
    assert asked("get", "/v1/keys", None, adel)["keys"]

    picture = photo()
    request = hub.filed["requests"][1]
    asked("put", "/v1/requests/{id}/photo", picture, id=request["id"])
    document_of = example()["members"][1]["document"]
    asked("put", "/v1/photos/{name}", picture, name=f"{document_of['issuing_state']}-{document_of['number']}.jpg")


def fits(document, schema, value):
    """*value* is what *schema* says, and says nothing else."""
    from jsonschema import Draft202012Validator

    Draft202012Validator({**schema, "components": document["components"]}).validate(value)
    nothing_else(document, schema, value)


def nothing_else(document, schema, value):
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        for one in value:
            nothing_else(document, schema["items"], one)
    elif isinstance(value, dict):
        assert value.keys() <= schema["properties"].keys()
        for name, part in value.items():
            nothing_else(document, schema["properties"][name], part)


def test_its_page_needs_nobody_but_the_hub(hub):
    page = hub.get(None, "/v1/docs")
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy and "http" not in policy and "default-src 'none'" in policy
    for name in ("swagger-ui/swagger-ui.css", "swagger-ui/swagger-ui-bundle.js", "reference.js", "swagger-ui/LICENSE"):
        assert hub.get(None, f"/v1/docs/static/{name}").status_code == 200, name
        assert name in page.text or name.endswith("LICENSE")


@pytest.mark.needs("chromium")
def test_its_page_shows_every_operation_in_a_browser(hub, document, tmp_path):
    from tests.web.test_browser import browse

    page = browse(f"{hub.url}/v1/docs", tmp_path, "--virtual-time-budget=15000")
    assert page.count('class="opblock ') == len(operations(document))


def test_a_client_made_from_it_works(hub, document, tmp_path):
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    (tmp_path / "config.yaml").write_text("package_name_override: made_client\npost_hooks: []\n")
    command = [
        sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--meta", "none",
        "--config", "config.yaml", "--output-path", "made_client",
    ]  # fmt: skip
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    # It can make no bodies of XML, which partners sign and send, and nobody else.
    assert "WARNING" not in made.stdout.replace("WARNING parsing POST /v1/partners/", "")
    used = subprocess.run(
        [sys.executable, "-c", USED], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        input=json.dumps({"url": hub.url, "key": key_of("agent_idn_1"), "group": example() | {"group_no": "G-2002"}}),
    )  # fmt: skip
    assert used.returncode == 0, used.stdout + used.stderr
    assert used.stdout.split() == ["INSIDE", "REFERENCE_ISSUED", "PROGRAMME_READY", "not_found", "409"]


USED = """
import json, sys
from uuid import UUID
from made_client import AuthenticatedClient
from made_client.api.groups import desk_open_group, groups_groups
from made_client.api.requests import desk_requests, requests_request
from made_client.models import GroupFiling
told = json.load(sys.stdin)
client = AuthenticatedClient(base_url=told["url"], token=told["key"], httpx_args={"trust_env": False})
for one in desk_requests.sync(client=client, limit=10).requests:
    print(one.state.value)
print(groups_groups.sync(client=client).groups[0].state.value)
print(requests_request.sync(id=UUID(int=1), client=client).code)
filing = GroupFiling.from_dict(told["group"])
print(desk_open_group.sync_detailed(client=client, body=filing, idempotency_key="a-key-of-its-own").status_code.value)
"""
