"""What agents, companies and the health authority can do, and what they cannot."""

import copy
import json
import threading

import pytest


def filed(as_, group, who="agent_idn_1"):
    answer = as_(who).post("/v1/groups", group)
    assert answer.status_code == 201, answer.json
    return answer.json


def said(answer):
    """A problem as everybody would be told it."""
    return {name: value for name, value in answer.json.items() if name != "correlation_id"}


def codes(answer):
    return {error["code"] for error in answer.json["errors"]} | {answer.json["code"]}


# --- filing ---------------------------------------------------------------


def test_a_group_is_filed_and_seen_by_its_agent_and_its_company(as_, group):
    told = filed(as_, group)
    assert [r["state"] for r in told["requests"]] == ["SUBMITTED", "SUBMITTED"]
    assert [r["member"] for r in told["requests"]] == [0, 1]
    for who in ("agent_idn_1", "company_1", "operator"):
        seen = as_(who).get(f"/v1/groups/{told['id']}").json
        assert seen["group_no"] == told["group_no"]
        assert seen["agent_group_no"] == "G-1001"
        assert [r["id"] for r in seen["requests"]] == [r["id"] for r in told["requests"]]


def test_a_repeated_filing_gets_its_first_answer_and_files_nothing(as_, group, engine):
    agent = as_("agent_idn_1")
    first = agent.post("/v1/groups", group, key="the-same-key")
    again = agent.post("/v1/groups", group, key="the-same-key")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json == first.json
    assert sum(engine.reading.now()["groups"].values()) == 1


def test_the_same_key_with_another_body_is_a_conflict(as_, group, engine):
    agent = as_("agent_idn_1")
    agent.post("/v1/groups", group, key="the-same-key")
    answer = agent.post("/v1/groups", group | {"group_no": "G-1002"}, key="the-same-key")
    assert answer.status_code == 422
    assert answer.json["code"] == "idempotency_conflict"
    assert sum(engine.reading.now()["groups"].values()) == 1


def test_keys_are_the_callers_own(as_, group):
    """Two agents who happen to choose the same key do not see each other's answers."""
    first = as_("agent_idn_1").post("/v1/groups", group, key="the-same-key")
    other = copy.deepcopy(group)
    for member in other["members"]:
        member["document"]["number"] = "Y" + member["document"]["number"][1:]
    other["members"][1]["companion"]["number"] = "Y1234567"
    second = as_("agent_idn_2").post("/v1/groups", other, key="the-same-key")
    assert second.status_code == 201, second.json
    assert first.json["id"] != second.json["id"]


def test_many_at_once_with_one_key_file_one_group(as_, group, engine):
    answers = []

    def file():
        answers.append(as_("agent_idn_1").post("/v1/groups", group, key="all-at-once").json["id"])

    threads = [threading.Thread(target=file) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len(set(answers)) == 1
    assert sum(engine.reading.now()["groups"].values()) == 1


def test_a_post_without_a_key_of_its_own_is_refused(client, as_, group):
    headers = as_("agent_idn_1")._headers
    answer = client.post("/v1/groups", json=group, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency_missing")
    answer = client.post("/v1/groups", json=group, headers=headers | {"Idempotency-Key": "short"})
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency_invalid")


@pytest.mark.parametrize(
    ("path", "value", "code", "field"),
    [
        (("members", 0, "person", "sex"), "m", "invalid_code", "members.0.person.sex"),
        (("members", 0, "document", "number"), "x 1", "invalid_pattern", "members.0.document.number"),
        (("heads",), "2", "invalid_type", "heads"),
        (("heads",), True, "invalid_type", "heads"),
        (("heads",), 0, "invalid_range", "heads"),
        (("members", 0, "person", "surname"), "X", "unknown_field", "members.0.person.surname"),
        (("state",), "PAID", "unknown_field", "state"),
        (("programme", "housing", 0, "price"), 930.0, "invalid_type", "programme.housing.0.price"),
        (("members", 0, "person", "birth_date"), "14/05/1979", "invalid_type", "members.0.person.birth_date"),
        (("members", 0, "person", "name", "given"), "BUDI\u0000", "invalid_characters", "members.0.person.name.given"),
    ],
)
def test_what_does_not_fit_the_schema_is_said_by_field_in_two_languages(as_, group, path, value, code, field):
    place = group
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    answer = as_("agent_idn_1").post("/v1/groups", group)
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    (error,) = answer.json["errors"]
    assert (error["code"], error["field"]) == (code, field)
    assert any("\u0600" <= c <= "\u06ff" for c in error["ar"])
    assert answer.json["code"] == code
    if isinstance(value, str) and len(value) > 2:
        assert value not in answer.text


def test_several_faults_are_told_at_once(as_, group):
    group["heads"] = 0
    group["members"][0]["person"]["sex"] = "m"
    answer = as_("agent_idn_1").post("/v1/groups", group)
    assert answer.json["code"] == "several_faults"
    assert {e["field"] for e in answer.json["errors"]} == {"heads", "members.0.person.sex"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"group_no": "A", "group_no": "B"}', "json_duplicate_key"),
        (b'{"heads": NaN}', "json_unreadable"),
        (b"\xff\xfe", "json_unreadable"),
        (b"[" * 100_000, "json_unreadable"),
        (b"<xml/>", "json_unreadable"),
    ],
)
def test_json_is_read_strictly(as_, body, code):
    answer = as_("agent_idn_1").post("/v1/groups", body)
    assert (answer.status_code, answer.json["code"]) == (400, code)


def test_what_the_journey_has_against_a_filing_is_coded_too(as_, group):
    group["members"][0]["document"]["expires_on"] = "2027-03-01"
    answer = as_("agent_idn_1").post("/v1/groups", group)
    assert answer.status_code in (201, 422)
    assert "document_expired" in answer.text


# --- tenants ---------------------------------------------------------------


@pytest.mark.parametrize("who", ["agent_idn_2", "company_2"])
def test_what_is_anothers_looks_exactly_like_what_does_not_exist(as_, group, who):
    told = filed(as_, group)
    request = told["requests"][0]["id"]
    nobody = "0198c2f0-aaaa-7000-8000-000000000001"
    stranger = as_(who)
    for path in (f"/v1/groups/{told['id']}", f"/v1/pilgrims/{request}/timeline"):
        other = stranger.get(path)
        missing = stranger.get(path.replace(told["id"], nobody).replace(request, nobody))
        assert other.status_code == missing.status_code == 404
        assert said(other) == said(missing)
    outcome = "accept" if who == "company_2" else "cancel"
    other = stranger.post(f"/v1/requests/{request}/decisions", {"outcome": outcome})
    missing = stranger.post(f"/v1/requests/{nobody}/decisions", {"outcome": outcome})
    assert other.status_code == missing.status_code == 404
    assert said(other) == said(missing)


def test_lists_hold_ones_own_only(as_, group):
    filed(as_, group)
    assert len(as_("agent_idn_1").get("/v1/requests").json["requests"]) == 2
    assert len(as_("company_1").get("/v1/requests?state=SUBMITTED").json["requests"]) == 2
    wrong = as_("company_1").get("/v1/requests?state=SUBMITED")
    assert (wrong.status_code, wrong.json["code"]) == (422, "invalid_code")
    assert wrong.json["title"].startswith("state ")
    assert as_("agent_idn_2").get("/v1/requests").json == {"requests": [], "next": None}
    asked = as_("company_2").get("/v1/requests?agent=agent_idn_1")
    assert (asked.status_code, asked.json["code"]) == (422, "unknown_field")
    assert len(as_("operator").get("/v1/requests").json["requests"]) == 2


def test_lists_go_on_where_they_ended(as_, group):
    filed(as_, group)
    agent = as_("agent_idn_1")
    first = agent.get("/v1/requests?limit=1").json
    second = agent.get(f"/v1/requests?limit=1&after={first['next']}").json
    assert [len(first["requests"]), len(second["requests"])] == [1, 1]
    assert first["requests"][0]["id"] != second["requests"][0]["id"]
    assert agent.get(f"/v1/requests?limit=1&after={second['next']}").json == {"requests": [], "next": None}
    assert agent.get("/v1/requests?limit=0").json["code"] == "invalid_range"
    assert agent.get("/v1/requests?limit=100000").json["code"] == "invalid_range"


# --- decisions ---------------------------------------------------------------

ALLOWED = {
    "company_1": {"accept", "return", "refuse", "report"},
    "agent_idn_1": {"correct", "cancel"},
    "health_authority": {"deceased", "hospitalised"},
}
OUTCOMES = sorted(set().union(*ALLOWED.values()))


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("who", sorted(ALLOWED))
def test_each_role_decides_what_its_manifest_says_and_nothing_else(as_, group, who, outcome):
    request = filed(as_, group)["requests"][0]["id"]
    body = {"outcome": outcome, "reason": "test"}
    if outcome == "correct":
        body["correction"] = group["members"][0]
    answer = as_(who).post(f"/v1/requests/{request}/decisions", body)
    if outcome in ALLOWED[who]:
        assert answer.status_code != 403
    else:
        assert (answer.status_code, answer.json["code"]) == (403, "decision_forbidden")
        assert as_("operator").get(f"/v1/pilgrims/{request}/timeline").json["state"] == "SUBMITTED"


def test_a_company_accepts_once(as_, group):
    request = filed(as_, group)["requests"][0]["id"]
    company = as_("company_1")
    first = company.post(f"/v1/requests/{request}/decisions", {"outcome": "accept"}, key="accept-one")
    again = company.post(f"/v1/requests/{request}/decisions", {"outcome": "accept"}, key="accept-one")
    assert first.status_code == 200
    assert first.json["state"] == "ACCEPTED"
    assert again.json == first.json
    states = [
        s["now"] for s in company.get(f"/v1/pilgrims/{request}/timeline").json["steps"] if s["machine"] == "request"
    ]
    assert states.count("ACCEPTED") == 1


def test_what_is_decided_too_early_is_refused_and_not_kept(as_, group):
    """A partner's fact may overtake another and waits; a person decides on what is before them."""
    request = filed(as_, group)["requests"][0]["id"]
    answer = as_("company_1").post(f"/v1/requests/{request}/decisions", {"outcome": "report", "reason": "absent"})
    assert (answer.status_code, answer.json["code"]) == (409, "decision_early")
    assert as_("operator").get(f"/v1/pilgrims/{request}/timeline").json["state"] == "SUBMITTED"


def test_a_correction_rides_on_nothing_else(as_, group):
    """A company that accepts must not be able to rewrite the person."""
    request = filed(as_, group)["requests"][0]["id"]
    other = copy.deepcopy(group["members"][0])
    other["person"]["name"]["family"] = "SOMEBODY ELSE"
    answer = as_("company_1").post(f"/v1/requests/{request}/decisions", {"outcome": "accept", "correction": other})
    assert (answer.status_code, answer.json["code"]) == (422, "correction_misplaced")
    answer = as_("agent_idn_1").post(f"/v1/requests/{request}/decisions", {"outcome": "correct"})
    assert answer.json["code"] == "correction_misplaced"
    assert "ELSE" not in json.dumps(as_("operator").get(f"/v1/pilgrims/{request}/timeline").json)


# --- who calls ---------------------------------------------------------------


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic b3BlcmF0b3I6", "bearer \u00e9", "operator"]
)
def test_without_a_key_that_somebody_holds_no_door_opens(client, header):
    headers = {} if header is None else {"Authorization": header}
    for path in (
        "/v1/requests",
        "/v1/operations/now",
        "/v1/operations/incidents",
        "/v1/groups/0198c2f0-aaaa-7000-8000-000000000001",
    ):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (401, "unauthorised")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("who", ["agent_idn_1", "company_1", "health_authority"])
def test_the_operators_figures_are_the_operators(as_, who):
    assert as_(who).get("/v1/operations/now").status_code == 403
    assert as_(who).get("/v1/operations/incidents").status_code == 403


def test_who_is_not_an_agent_files_nothing(as_, group):
    for who in ("company_1", "health_authority", "operator"):
        assert as_(who).post("/v1/groups", group).status_code == 403


def test_the_caller_is_known_before_the_body_is_read(client):
    """A body that cannot be parsed tells a stranger nothing about how it is parsed."""
    answer = client.post("/v1/groups", data=b"[" * 100_000, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorised")


def test_a_key_whose_holder_left_the_register_opens_nothing(settings, engine, tmp_path):
    import dataclasses

    from hub.security import api_keys
    from hub.web.app import create_app

    engine.settings = dataclasses.replace(settings, api_keys={api_keys.digest("k" * 40): "agent_gone"})
    answer = create_app(engine).test_client().get("/v1/requests", headers={"Authorization": "Bearer " + "k" * 40})
    assert answer.status_code == 401


def test_arabic_is_sent_as_arabic(as_):
    answer = as_("agent_idn_1").get("/v1/groups/none")
    assert answer.json["title_ar"].encode() in answer.data
