"""The API from outside, over a socket: what each caller finds, page by page, and what it does not."""

import copy
import json
from datetime import datetime, timedelta

import pytest

from tests.web.api import NOBODY, example, served

LISTS = ("groups", "requests", "pilgrims", "bookings", "invoices", "payments", "references", "visas", "movements")
OWN = ("exchanges", "files")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with served(tmp_path_factory.mktemp("hub")) as hub:
        hub.filed = hub.travelled()
        yield hub


def pages(hub, who, path, limit):
    """Every row of a list, page by page."""
    (rows,) = [path.split("?")[0].rpartition("/")[2]]
    found, cursor, join = [], None, "&" if "?" in path else "?"
    while True:
        more = "" if cursor is None else f"&cursor={cursor}"
        answer = hub.get(who, f"{path}{join}limit={limit}{more}")
        assert answer.status_code == 200, answer.text
        assert len(answer.json()[rows]) <= limit
        found += answer.json()[rows]
        assert cursor is None or answer.json()["next"] != cursor, "a page leads to itself"
        cursor = answer.json()["next"]
        if cursor is None:
            return found


def one(hub, who, path):
    answer = hub.get(who, path)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- what is there ---------------------------------------------------------------


@pytest.mark.parametrize("name", LISTS)
def test_a_list_goes_on_where_its_page_ended(hub, name):
    whole = one(hub, "agent_idn_1", f"/v1/{name}")[name]
    assert whole
    for limit in (1, 2, 3):
        assert pages(hub, "agent_idn_1", f"/v1/{name}", limit) == whole


@pytest.mark.parametrize("name", LISTS)
def test_a_list_holds_ones_own_only(hub, name):
    mine = one(hub, "agent_idn_1", f"/v1/{name}")[name]
    assert len(one(hub, "company_1", f"/v1/{name}")[name]) == len(mine)
    assert len(one(hub, "operator", f"/v1/{name}")[name]) == len(mine)
    assert one(hub, "agent_idn_2", f"/v1/{name}") == {name: [], "next": None}
    assert one(hub, "company_2", f"/v1/{name}") == {name: [], "next": None}


@pytest.mark.parametrize("name", OWN)
def test_exchanges_are_the_callers_own(hub, name):
    assert all(row["partner"] == "agent_idn_1" for row in one(hub, "agent_idn_1", f"/v1/{name}")[name])
    assert one(hub, "agent_idn_2", f"/v1/{name}")[name] == []


def test_what_is_anothers_is_not_there(hub):
    (request, _), group = [r["id"] for r in hub.filed["requests"]], hub.filed["id"]
    (invoice,) = one(hub, "agent_idn_1", "/v1/invoices")["invoices"]
    exchange = one(hub, "agent_idn_1", "/v1/exchanges")["exchanges"][0]["id"]
    for path, id in (
        ("/v1/groups/{}", group), ("/v1/groups/{}/programme", group), ("/v1/requests/{}", request),
        ("/v1/pilgrims/{}", request), ("/v1/pilgrims/{}/timeline", request), ("/v1/invoices/{}", invoice["id"]),
        ("/v1/exchanges/{}", exchange),
    ):  # fmt: skip
        assert hub.get("agent_idn_1", path.format(id)).status_code == 200
        other = hub.get("agent_idn_2", path.format(id), X_Correlation_Id="the-same")
        missing = hub.get("agent_idn_2", path.format(NOBODY), X_Correlation_Id="the-same")
        assert (other.status_code, other.content) == (404, missing.content)


def test_papers_are_opened_for_those_whose_pilgrims_they_are(hub):
    id = hub.filed["requests"][0]["id"]
    mine = one(hub, "agent_idn_1", f"/v1/pilgrims/{id}")
    assert mine["person"]["name"]["family"] == "WIBOWO"
    assert (mine["document"]["number"], mine["reference_no"], mine["visa_no"], mine["border_no"]) == (
        "X1234567", "4000000001", "6000000001", "7000000001",
    )  # fmt: skip
    assert one(hub, "company_1", f"/v1/pilgrims/{id}")["person"] == mine["person"]
    seen = hub.get("operator", f"/v1/pilgrims/{id}")
    assert seen.json()["person"] is None and seen.json()["state"] == "INSIDE"
    for path in ("pilgrims", "visas", "references", "requests", "groups", "movements"):
        shown = hub.get("operator", f"/v1/{path}").text
        assert not any(secret in shown for secret in ("WIBOWO", "X1234567", "4000000001", "6000000001", "7000000001"))


def test_an_auditor_is_told_of_nobody_at_any_door(hub):
    """No name, number or day of birth, at whatever an auditor may get, nor by looking up what is known of somebody."""
    key = hub.engine.keyring.new("aziz", "auditor", "", None, "tester")["key"]
    member = example()["members"][0]
    person, document = member["person"], member["document"]
    secrets = {
        *person["name"].values(), *person["name_ar"].values(), *(person[x] for x in ("birth_date", "mobile")),
        document["number"], "4000000001", "6000000001", "7000000001",
    }  # fmt: skip
    mine = one(hub, "agent_idn_1", f"/v1/pilgrims/{hub.filed['requests'][0]['id']}/timeline")
    told = json.dumps(mine, ensure_ascii=False)
    assert all(secret in told for secret in (person["name"]["family"], "4000000001", "7000000001"))
    ids = [hub.filed["id"], *(row["id"] for row in hub.filed["requests"])]
    ids += [row["id"] for name in ("invoices", "exchanges") for row in one(hub, "operator", f"/v1/{name}")[name]]
    seen = set()
    for path, item in one(hub, None, "/v1/openapi.json")["paths"].items():
        if "auditor" in item.get("get", {}).get("x-roles", ()):
            for id in ids if "{" in path else ids[:1]:
                answer = hub.get(None, path.replace("{id}", id), Authorization=f"Bearer {key}")
                if answer.status_code == 200:
                    seen.add(path)
                text = json.dumps(answer.json(), ensure_ascii=False)
                assert not [secret for secret in secrets if secret in text], (path, text)
    assert {"/v1/groups/{id}", "/v1/pilgrims/{id}/timeline", "/v1/exchanges/{id}", "/v1/operations/ledger"} <= seen
    for asked in (
        {"passport": {"number": document["number"], "nationality": "IDN"}}, {"reference_no": "4000000001"},
        {"visa_no": "6000000001"}, {"border_no": "7000000001"},
    ):  # fmt: skip
        answer = hub.post(None, "/v1/lookups", asked, Authorization=f"Bearer {key}")
        text = json.dumps(answer.json(), ensure_ascii=False)
        assert answer.status_code == 200 and not [secret for secret in secrets if secret in text], text


def test_the_whole_of_a_journey_is_there(hub):
    group, (first, second) = hub.filed["id"], [r["id"] for r in hub.filed["requests"]]
    assert [b["brn"] for b in one(hub, "agent_idn_1", "/v1/bookings")["bookings"]] == [
        "BRNH1",
        "BRNH2",
        "BRNT1",
        "BRNT2",
    ]
    (invoice,) = one(hub, "agent_idn_1", f"/v1/invoices?group={group}&state=PAID")["invoices"]
    assert invoice["amount"] == invoice["paid"] == "3156.48"
    assert one(hub, "agent_idn_1", f"/v1/invoices/{invoice['id']}") == invoice
    (payment,) = one(hub, "agent_idn_1", "/v1/payments")["payments"]
    assert (payment["bank_reference"], payment["amount"], payment["kind"]) == ("BANK/2026 1", "3156.48", "payment")
    references = one(hub, "agent_idn_1", "/v1/references")["references"]
    assert [(r["request"], r["reference_no"]) for r in references] == [(first, "4000000001"), (second, "4000000002")]
    (visa,) = one(hub, "agent_idn_1", "/v1/visas")["visas"]
    assert (visa["request"], visa["visa_no"], visa["stay_days"]) == (first, "6000000001", 90)
    moved = one(hub, "agent_idn_1", "/v1/movements")["movements"]
    assert [(m["kind"], m["port"]) for m in moved] == [("expected", "JED"), ("entered", "JED")]
    assert [m["kind"] for m in one(hub, "agent_idn_1", "/v1/movements?kind=entered")["movements"]] == ["entered"]
    programme = one(hub, "agent_idn_1", f"/v1/groups/{group}/programme")
    assert [line["line"] for line in programme["housing"]] == ["H1", "H2"]


def test_a_list_is_narrowed_by_state_and_by_when(hub):
    ids = [r["id"] for r in hub.filed["requests"]]
    inside = one(hub, "agent_idn_1", "/v1/requests?state=INSIDE")["requests"]
    assert [r["id"] for r in inside] == ids[:1]
    first, second = one(hub, "agent_idn_1", "/v1/requests")["requests"]

    def found(**asked):
        query = "&".join(f"{name}={moment.isoformat().replace('+', '%2B')}" for name, moment in asked.items())
        return [r["id"] for r in one(hub, "agent_idn_1", f"/v1/requests?{query}")["requests"]]

    made, changed = (datetime.fromisoformat(first[name]) for name in ("created", "changed"))
    day = timedelta(days=1)
    assert found(created_from=made - day) == ids
    assert found(created_from=made + day) == found(created_to=made - day) == []
    assert found(created_from=made, created_to=made + day) == ids
    assert found(changed_from=changed) == ids[:1]  # the second moved before the first had entered
    assert datetime.fromisoformat(second["changed"]) < changed
    assert found(changed_to=made - day) == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_range"), ("limit=501", "invalid_range"), ("limit=x", "invalid_type"),
        ("limit=1&limit=2", "invalid_value"), ("cursor=x", "cursor_invalid"), ("cursor=1", "cursor_invalid"),
        ("state=NOWHERE", "invalid_code"), ("group=none", "invalid_type"), ("colour=red", "unknown_field"),
        ("created_from=2026-01-01", "invalid_type"), ("changed_to=2026-01-01T00:00:00", "invalid_type"),
    ],
)  # fmt: skip
def test_what_a_query_has_wrong_is_said(hub, query, code):
    answer = hub.get("agent_idn_1", f"/v1/requests?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


# --- look-ups ---------------------------------------------------------------


def test_whoever_is_meant_by_a_number_is_found_with_the_whole_way(hub):
    first, second = one(hub, "agent_idn_1", "/v1/requests")["requests"]
    for by, meant in (
        ({"request_no": first["request_no"]}, first), ({"reference_no": "4000000002"}, second),
        ({"passport": {"number": "X1234567", "nationality": "IDN"}}, first), ({"visa_no": "6000000001"}, first),
        ({"border_no": "7000000001"}, first),
    ):  # fmt: skip
        for who in ("agent_idn_1", "company_1"):
            found = hub.post(who, "/v1/lookups", by).json()
            assert [r["id"] for r in found["requests"]] == [meant["id"]], by
            assert found["timeline"]["id"] == meant["id"] and found["timeline"]["steps"]
        other = hub.post("agent_idn_2", "/v1/lookups", by)
        assert (other.status_code, other.json()["code"]) == (404, "not_found")
    for number in (hub.filed["group_no"], "G-1001"):
        found = hub.post("agent_idn_1", "/v1/lookups", {"group_no": number}).json()["requests"]
        assert {r["id"] for r in found} == {first["id"], second["id"]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "lookup_one"), ({"visa_no": "1", "border_no": "2"}, "lookup_one"), ({"visa_no": 1}, "invalid_type"),
        ({"name": "BUDI"}, "unknown_field"), ({"passport": {"number": "X1234567"}}, "required"),
        ([], "invalid_type"),
    ],
)  # fmt: skip
def test_a_look_up_names_one_thing(hub, body, code):
    answer = hub.post("agent_idn_1", "/v1/lookups", body)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


def test_a_timeline_says_whose_turn_it_is_and_what_it_waits_on(hub):
    filed = hub.post("agent_idn_2", "/v1/groups", people(example(), "T", 2)).json()
    id = filed["requests"][0]["id"]
    timeline = one(hub, "agent_idn_2", f"/v1/pilgrims/{id}/timeline")
    assert (
        timeline["turn"]["who"] == "company" and timeline["turn"]["since"] == timeline["clock"]["stages"][-1]["since"]
    )
    second = one(hub, "agent_idn_1", f"/v1/pilgrims/{hub.filed['requests'][1]['id']}/timeline")
    assert second["turn"] is None
    waits = {w["operation"]: w for w in second["waits_on"]}
    assert waits and all(w["who"] == "partner" and w["since"] for w in waits.values())


# --- many pilgrims at once ---------------------------------------------------------------


def people(group, letter, count):
    """*group* with *count* members who travel on papers of their own."""
    group = copy.deepcopy(group)
    grown = group["members"][0]
    group["members"] = []
    for number in range(count):
        member = copy.deepcopy(grown)
        member["document"]["number"] = f"{letter}{number:07}"
        group["members"].append(member)
    return group | {"group_no": f"G-{letter}", "heads": max(count, 1)}


def opened(hub, who, letter, heads):
    """An open group for *heads* that nobody is in; its programme carries them all."""
    group = people(example(), letter, 0) | {"heads": heads}
    for line in group["programme"]["housing"]:
        line["heads"] = heads
        for room in line["rooms"]:
            room["beds"] = 4
        line["rooms"] = line["rooms"][:1] * (heads // 4 + 1)
    for line in group["programme"]["transport"]:
        line["seats"], line["vehicle"] = heads, "bus"
    answer = hub.post(who, "/v1/groups", group)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_each_of_many_pilgrims_is_accepted_or_refused_by_itself(hub):
    group = opened(hub, "agent_idn_2", "M", 120)
    sent = people(example(), "M", 124)["members"]
    sent[3]["person"]["sex"] = "m"
    sent[60] = "nobody"
    sent[70]["document"]["number"] = sent[2]["document"]["number"]
    body = json.dumps({"pilgrims": sent}).encode()
    first = hub.post(
        "agent_idn_2", f"/v1/groups/{group}/pilgrims", body, Idempotency_Key="many-one", Content_Type="application/json"
    )
    assert first.status_code == 200, first.text
    told = first.json()
    assert [one["index"] for one in told["pilgrims"]] == list(range(124))
    refused = {one["index"]: one["errors"][0] for one in told["pilgrims"] if one["outcome"] == "refused"}
    assert {i: e["code"] for i, e in refused.items()} == {
        3: "invalid_code", 60: "invalid_type", 70: "duplicate_request", 123: "group_full",
    }  # fmt: skip
    assert refused[3]["field"] == "person.sex" and refused[70]["field"] == "document.number"
    assert any("\u0600" <= c <= "\u06ff" for c in refused[123]["ar"])
    assert (told["accepted"], told["refused"]) == (120, 4)
    assert len(pages(hub, "agent_idn_2", f"/v1/pilgrims?group={group}", 100)) == 120
    again = hub.post(
        "agent_idn_2", f"/v1/groups/{group}/pilgrims", body, Idempotency_Key="many-one", Content_Type="application/json"
    )
    assert again.json() == told
    assert len(pages(hub, "agent_idn_2", f"/v1/pilgrims?group={group}", 100)) == 120
    other = hub.post("agent_idn_2", f"/v1/groups/{group}/pilgrims", {"pilgrims": sent[:1]}, Idempotency_Key="many-one")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")


def test_what_was_stopped_between_two_parts_goes_on_where_it_stopped(hub, monkeypatch):
    group = opened(hub, "agent_idn_2", "P", 120)
    body = json.dumps({"pilgrims": people(example(), "P", 110)["members"]}).encode()
    enrolment = hub.engine.exchange._enrolment
    part = enrolment._part

    def stopping(*given):
        if given[3] == 50:
            raise RuntimeError
        return part(*given)

    monkeypatch.setattr(enrolment, "_part", stopping)
    headers = {"Idempotency_Key": "stopped-1", "Content_Type": "application/json"}
    assert hub.post("agent_idn_2", f"/v1/groups/{group}/pilgrims", body, **headers).status_code == 500
    assert len(pages(hub, "agent_idn_2", f"/v1/pilgrims?group={group}", 200)) == 50
    monkeypatch.undo()
    told = hub.post("agent_idn_2", f"/v1/groups/{group}/pilgrims", body, **headers).json()
    assert (told["accepted"], told["refused"]) == (110, 0)
    assert len(pages(hub, "agent_idn_2", f"/v1/pilgrims?group={group}", 200)) == 110


@pytest.mark.parametrize(
    ("body", "code"),
    [({"pilgrims": []}, "invalid_length"), ({"pilgrims": [{}] * 501}, "invalid_length"), ({}, "required"),
     ({"pilgrims": {}}, "invalid_type"), ({"pilgrims": [{}], "more": 1}, "unknown_field")],
)  # fmt: skip
def test_a_body_of_pilgrims_that_is_none_is_refused_whole(hub, body, code):
    answer = hub.post("agent_idn_1", f"/v1/groups/{hub.filed['id']}/pilgrims", body)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


def test_nobody_files_into_anothers_group(hub):
    sent = {"pilgrims": people(example(), "N", 1)["members"]}
    for who, id in (("agent_idn_2", hub.filed["id"]), ("agent_idn_1", NOBODY)):
        answer = hub.post(who, f"/v1/groups/{id}/pilgrims", sent)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert hub.post("company_1", f"/v1/groups/{hub.filed['id']}/pilgrims", sent).status_code == 403


# --- refusals ---------------------------------------------------------------


def test_every_answer_has_the_name_of_its_call(hub):
    named = hub.get("agent_idn_1", "/v1/requests", X_Correlation_Id="agent-7.42_a")
    assert named.headers["X-Correlation-Id"] == "agent-7.42_a"
    refused = hub.get("agent_idn_1", f"/v1/groups/{NOBODY}", X_Correlation_Id="agent-7.42_b")
    assert refused.headers["X-Correlation-Id"] == refused.json()["correlation_id"] == "agent-7.42_b"
    for name in ("", "x" * 65, "BUDI WIBOWO", "<script>"):
        answer = hub.get("agent_idn_1", f"/v1/groups/{NOBODY}", X_Correlation_Id=name)
        assert answer.json()["correlation_id"] == answer.headers["X-Correlation-Id"] != name
        assert len(answer.json()["correlation_id"]) == 32


def test_a_failure_can_be_found_in_the_log_by_the_name_of_its_call(hub, monkeypatch, logged):
    def broken(*given):
        raise RuntimeError("X1234567")

    monkeypatch.setattr(hub.engine.views, "groups", broken)
    import structlog

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, *structlog.get_config()["processors"]])
    answer = hub.get("agent_idn_1", "/v1/groups", X_Correlation_Id="call-1")
    assert (answer.status_code, answer.json()["correlation_id"]) == (500, "call-1")
    (line,) = [line for line in logged if line["event"] == "web_failed"]
    assert line["correlation"] == "call-1" and "X1234567" not in str(line) + answer.text


def test_a_body_that_is_not_said_to_be_json_is_not_read(hub):
    for kind in ("text/plain", "application/xml", "multipart/form-data; boundary=x"):
        for path in ("/v1/groups", "/v1/lookups", f"/v1/groups/{hub.filed['id']}/pilgrims"):
            answer = hub.post("agent_idn_1", path, b"{}", Content_Type=kind)
            assert (answer.status_code, answer.json()["code"]) == (415, "media_type_wrong"), path


def test_a_method_that_an_address_does_not_take_is_refused_with_those_that_it_takes(hub):
    for path in ("/v1/groups", "/v1/lookups", f"/v1/pilgrims/{NOBODY}", "/v1/openapi.json"):
        answer = hub.call("agent_idn_1", "DELETE", path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert {"GET", "POST"} & set(answer.headers["Allow"].split(", "))
