"""Keys over the API: an administrator gives them out, changes them over and ends them."""

import pytest

from .conftest import As


@pytest.fixture
def administrator(engine, client):
    key = engine.keyring.new("adel", "administrator", "", None, "tester")["key"]
    return Holder(client, key)


class Holder(As):
    """Who calls with a key of the store."""

    def __init__(self, client, key):
        super().__init__(client, "")
        self._headers = {"Authorization": f"Bearer {key}"}

    def delete(self, path):
        return self._client.delete(path, headers=self._headers)


def test_a_key_is_given_out_changed_over_and_ended(administrator, client):
    made = administrator.post("/v1/keys", {"holder": "agent_idn_1", "label": "booking", "days": 30})
    assert (made.status_code, made.json["role"], made.json["state"]) == (201, "agent", "live")
    assert Holder(client, made.json["key"]).get("/v1/requests").status_code == 200
    listed = administrator.get("/v1/keys?holder=agent_idn_1")
    assert [one["id"] for one in listed.json["keys"]] == [made.json["id"]]
    assert made.json["key"] not in listed.text
    other = administrator.post(f"/v1/keys/{made.json['id']}/rotation", {"hours": 1})
    assert (other.status_code, other.json["replaces"]) == (201, made.json["id"])
    third = administrator.post("/v1/keys", {"holder": "agent_idn_1"})
    assert (third.status_code, third.json["code"]) == (409, "key_too_many")
    assert administrator.delete(f"/v1/keys/{made.json['id']}").json["state"] == "revoked"
    assert Holder(client, made.json["key"]).get("/v1/requests").status_code == 401
    assert Holder(client, other.json["key"]).get("/v1/requests").status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "required"),
        ({"holder": "X"}, "invalid_pattern"),
        ({"holder": "salma", "role": "agent"}, "invalid_code"),
        ({"holder": "salma", "role": "operator", "days": 0}, "invalid_range"),
        ({"holder": "salma", "role": "operator", "days": "1"}, "invalid_type"),
        ({"holder": "salma", "role": "operator", "colour": "red"}, "unknown_field"),
        ({"holder": "salma"}, "key_holder_unknown"),
        ({"holder": "bank_haramayn", "role": "operator"}, "key_role_wrong"),
        (b"[]", "invalid_type"),
        (b"{", "json_unreadable"),
    ],
)
def test_what_is_no_key_is_refused_with_its_code(administrator, engine, body, code):
    answer = administrator.post("/v1/keys", body)
    assert 400 <= answer.status_code < 500
    assert answer.json["code"] == code, answer.json
    assert len(engine.keyring.list(None, "tester")["keys"]) == 1


def test_an_administrators_own_key_can_be_ended_and_then_opens_nothing(administrator, engine):
    (own,) = engine.keyring.list("adel", "tester")["keys"]
    assert administrator.delete(f"/v1/keys/{own['id']}").status_code == 200
    assert administrator.get("/v1/keys").status_code == 401
    assert administrator.delete("/v1/keys/nobodys").status_code == 401


def test_a_key_that_there_is_not(administrator):
    for answer in (administrator.delete("/v1/keys/000000000000"), administrator.post("/v1/keys/0/rotation", {})):
        assert (answer.status_code, answer.json["code"]) == (404, "api_key_unknown")
