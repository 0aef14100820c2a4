"""Signed calls of partners: only theirs, only fresh, only once."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest

from hub.partners.overlay import Overlaid
from hub.security import signing

SECRETS = {"bank_haramayn": "s" * 64, "bank_tawfiq": "t" * 64}
NOTICE = {
    "reference": "HB-1", "billNumber": "9999999999990", "amount": "100.00", "currency": "SAR",
    "paidAt": "2026-12-01T08:00:00Z", "valueDate": "2026-12-01",
}  # fmt: skip


@pytest.fixture
def tell(client):
    def call(body=NOTICE, partner="bank_haramayn", path="/notices", secret=None, at=None, header=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        value = header or signing.sign(secret or SECRETS[partner], data, at or datetime.now(UTC))
        headers = {} if header == "" else {signing.HEADER: value}
        return client.post(f"/v1/partners/{partner}{path}", data=data, headers=headers, content_type="application/json")

    return call


def test_a_notice_of_no_known_bill_goes_to_suspense_and_is_answered(tell, engine):
    answer = tell()
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert engine.reading.now()["suspense"] == 1
    assert [i["code"] for i in engine.reading.incidents()] == ["payment_unknown_bill"]


def test_a_notice_told_again_counts_once(tell, engine):
    tell()
    again = tell()
    assert again.status_code == 200
    assert engine.reading.now()["suspense"] == 1


def test_a_signature_is_good_for_one_call(tell, engine):
    data = json.dumps(NOTICE).encode()
    header = signing.sign(SECRETS["bank_haramayn"], data, datetime.now(UTC))
    first = tell(header=header)
    replay = tell(header=header)
    assert (replay.status_code, replay.data) == (first.status_code, first.data)
    assert engine.reading.now()["suspense"] == 1


def test_a_nonce_names_one_call(tell, engine, monkeypatch):
    monkeypatch.setattr(signing.os, "urandom", lambda n: b"n" * n)
    tell()
    other = tell(body=NOTICE | {"reference": "HB-2"})
    assert (other.status_code, other.json["code"]) == (409, "signature_used")
    assert engine.reading.now()["suspense"] == 1


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_stale_signature_is_refused(tell, engine, minutes):
    answer = tell(at=datetime.now(UTC) + timedelta(minutes=minutes))
    assert (answer.status_code, answer.json["code"]) == (401, "signature_stale")
    assert engine.reading.now()["suspense"] == 0


def test_another_partners_secret_signs_for_nobody_else(tell):
    assert tell(secret=SECRETS["bank_tawfiq"]).json["code"] == "signature_wrong"


def test_two_secrets_are_taken_while_one_is_changed(tell, engine):
    engine.register.partners["bank_haramayn"] = engine.register.partners["bank_haramayn"].within(
        dataclasses.replace(
            engine.settings, secrets={"BANK_HARAMAYN_SECRET": "n" * 64, "BANK_HARAMAYN_SECRET_BEFORE": "s" * 64}
        )
    )
    assert tell(secret="n" * 64).status_code == 200
    assert tell(secret="s" * 64).status_code == 200
    assert tell(secret="t" * 64).json["code"] == "signature_wrong"
    # What we sign ourselves is signed with the new one alone.
    assert engine.register.partners["bank_haramayn"].secret() == "n" * 64
    engine.register.partners["bank_haramayn"] = engine.register.partners["bank_haramayn"].within(
        dataclasses.replace(engine.settings, secrets={"BANK_HARAMAYN_SECRET": "n" * 64})
    )
    assert tell(secret="s" * 64).json["code"] == "signature_wrong"


def test_a_signature_is_for_the_door_it_was_first_shown_at(tell, engine):
    """The path is not signed: what has been used at one door is of no use at another."""
    data = json.dumps(NOTICE).encode()
    header = signing.sign(SECRETS["bank_haramayn"], data, datetime.now(UTC))
    assert tell(header=header).status_code == 200
    elsewhere = tell(header=header, path="/bill-enquiries")
    assert (elsewhere.status_code, elsewhere.json["code"]) == (409, "signature_used")


@pytest.mark.parametrize("seconds", [-299, 299])
def test_a_clock_that_is_a_little_off_is_taken(tell, seconds):
    assert tell(at=datetime.now(UTC) + timedelta(seconds=seconds)).status_code == 200


def test_an_api_key_opens_no_signed_door(client):
    headers = {"Authorization": "Bearer agent_idn_1" + "k" * 32}
    answer = client.post("/v1/partners/bank_haramayn/notices", data=b"{}", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (401, "signature_missing")


def test_a_partner_that_is_switched_off_signs_for_nobody(tell, engine):
    engine.change_partners([Overlaid(id="bank_haramayn", enabled=False)], "tester")
    assert tell().json["code"] == "signature_wrong"


def test_a_changed_body_is_refused(tell):
    header = signing.sign(SECRETS["bank_haramayn"], json.dumps(NOTICE).encode(), datetime.now(UTC))
    answer = tell(body=NOTICE | {"amount": "100000.00"}, header=header)
    assert (answer.status_code, answer.json["code"]) == (401, "signature_wrong")


@pytest.mark.parametrize("partner", ["bank_of_nowhere", "agent_idn_1", "mofa_visa"])
def test_who_has_no_secret_fails_like_one_with_a_wrong_one(tell, partner):
    answer = tell(partner=partner, secret="x" * 64)
    known = tell(secret="x" * 64)
    assert answer.status_code == known.status_code == 401
    assert {**answer.json, "correlation_id": ""} == {**known.json, "correlation_id": ""}


def test_a_partner_whose_secret_is_not_set_fails_like_one_with_a_wrong_one(tell):
    answer = tell(partner="bank_sahil", secret="x" * 64)
    known = tell(secret="x" * 64)
    assert answer.status_code == known.status_code == 401
    assert {**answer.json, "correlation_id": ""} == {**known.json, "correlation_id": ""}


def test_unsigned_calls_are_refused_unread(tell):
    answer = tell(body=b"\xff not json", header="")
    assert (answer.status_code, answer.json["code"]) == (401, "signature_missing")


def test_a_path_that_the_manifest_does_not_name_is_not_there(tell):
    assert tell(path="/bills").status_code == 404
    assert tell(path="/notices/../notices").status_code == 404


def test_a_body_that_the_map_cannot_read_is_refused_and_kept(tell, engine):
    answer = tell(body=b"<html>502 Bad Gateway</html>")
    assert answer.status_code in (400, 422)
    assert answer.json["errors"][0]["code"] == answer.json["code"]
    assert sum(i["n"] for i in engine.reading.now()["incidents"]) == 1
    assert (answer.json["who"], [i["owner"] for i in engine.reading.incidents()]) == ("partner", ["partner"])


def test_a_fault_names_the_partners_field_in_both_languages(tell):
    answer = tell(body=NOTICE | {"amount": "12.345"})
    (error,) = answer.json["errors"]
    assert (answer.status_code, error["field"]) == (422, "amount")
    assert "amount" in error["en"] and "amount" in error["ar"]


def test_a_bank_asks_what_a_bill_comes_to(tell):
    answer = tell(body={"billNumber": "9999999999990"}, path="/bill-enquiries")
    assert answer.status_code == 200
    assert answer.json["status"] == "NOT_FOUND"


def test_an_operator_reads_what_waits_for_a_person(tell, as_):
    tell()
    (incident,) = as_("operator").get("/v1/operations/incidents").json["incidents"]
    assert (incident["kind"], incident["code"]) == ("suspense", "payment_unknown_bill")
    assert (incident["partner"], incident["operation"]) == ("bank_haramayn", "payment_notice")
    assert incident["owner"] and incident["raised"]
