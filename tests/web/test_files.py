"""Files by the API: kept before they are read, told of while they are, and given back row by row."""

import csv
import hashlib
import io
import json
import subprocess
from typing import Any
from uuid import uuid4

import pytest

from tests.web.conftest import key_of

AGENT = "agent_idn_1"
HEAD = (
    "Group No,Given Name,Family Name,Sex,Date of Birth,Nationality,Passport No,Issue Date,Expiry Date,"
    "Mahram Passport,Relationship"
)
GOOD = "G-1001,SITI,RAHAYU,F,1984-11-03,IDN,C7654321,2024-05-06,2034-05-05,,"
BAD = "G-1001,BUDI,SANTOSO,M,02/03/1979,IDN,C7654322,2024-05-06,2034-05-05,,"


class Door:
    """An agent that hands in files."""

    def __init__(self, client: Any, engine: Any, who: str = AGENT) -> None:
        self.client, self.engine = client, engine
        self.headers = {"Authorization": f"Bearer {key_of(who)}"}

    def put(self, body: bytes, name: str | None = "roster.csv", key: str | None = None, **query: str) -> Any:
        headers = {**self.headers, "Idempotency-Key": key or str(uuid4())}
        query |= {"operation": "receive_roster"} | ({"name": name} if name is not None else {})
        return self.client.post("/v1/files", data=body, query_string=query, headers=headers)

    def get(self, path: str) -> Any:
        return self.client.get(path, headers=self.headers)


@pytest.fixture
def door(client, engine, as_, group) -> Door:
    filed = as_(AGENT).post("/v1/groups", {**group, "group_no": "G-1001", "members": []})
    assert filed.status_code < 300, filed.json
    return Door(client, engine)


def rows(*lines: str) -> bytes:
    return "\r\n".join((HEAD, *lines)).encode()


def test_a_file_is_kept_then_read_then_given_back(door):
    sent = door.put(rows(GOOD, BAD))
    assert sent.status_code == 202
    place = sent.headers["Location"]
    assert place == f"/v1/files/{sent.json['id']}"
    waiting = door.get(place).json
    assert waiting["state"] == "waiting" and waiting["ended_at"] is None and waiting["outcome"] is False
    assert door.get(place + "/outcome").status_code == door.get(place + "/acknowledgement").status_code == 404
    door.engine.take_uploads()
    done = door.get(place).json
    assert done["state"] == "taken" and done["rows"] == {"read": 2, "accepted": 1, "rejected": 1}
    answer = door.get(place + "/outcome")
    assert answer.headers["Content-Type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert [row["Outcome"] for row in table] == ["accepted", "rejected"]
    assert table[1]["Code"] == "date_order_undeclared" and table[1]["Reason"] and table[1]["Reason (Arabic)"]


def test_what_stands_against_each_row_is_told_while_the_file_is_read(door, engine, monkeypatch):
    many = [GOOD.replace("C7654321", f"C{n:07}") if n % 3 else BAD.replace("C7654322", f"C{n:07}") for n in range(130)]
    place = door.put(rows(*many)).headers["Location"]
    assert door.get(place + "/rejected").json == {"rows": [], "next": None}
    seen, unit = [], engine.database.unit

    def watched(work: Any) -> Any:
        done = unit(work)
        seen.append(len(door.get(place + "/rejected?limit=500").json["rows"]))
        return done

    monkeypatch.setattr(engine.database, "unit", watched)
    engine.take_uploads()
    monkeypatch.undo()
    assert 0 < min(filter(None, seen)) < seen[-1] and seen == sorted(seen), "they come as the file is read"
    page = door.get(place + "/rejected?limit=30").json
    told = page["rows"]
    while page["next"]:
        page = door.get(f"{place}/rejected?limit=30&cursor={page['next']}").json
        told += page["rows"]
    assert {row["row"] for row in told} >= {2, 5, 8} and [row["row"] for row in told] == sorted(
        {row["row"] for row in told}
    )
    assert len(told) == door.get(place).json["rows"]["rejected"]
    assert told[0]["code"] == "date_order_undeclared" and told[0]["reason"]["en"] and told[0]["reason"]["ar"]
    # The same file once more leads to what became of the first.
    again = door.put(rows(*many)).headers["Location"]
    engine.take_uploads()
    assert door.get(again).json["state"] == "repeated"
    assert door.get(again + "/rejected?limit=500").json["rows"] == told
    assert door.get(place + "/rejected?cursor=x").json["code"] == "cursor_invalid"


def test_only_the_mended_rows_are_sent_again_and_all_are_accepted_once(door):
    place = door.put(rows(GOOD, BAD)).headers["Location"]
    door.engine.take_uploads()
    table = list(csv.reader(io.StringIO(door.get(place + "/outcome").data.decode("utf-8-sig"))))
    at = table[0].index("Outcome")
    out = io.StringIO()
    mended = [[cell.replace("02/03/1979", "1979-03-02") for cell in row] for row in table[1:] if row[at] == "rejected"]
    csv.writer(out).writerows([table[0], *mended])
    again = door.put(out.getvalue().encode("utf-8-sig"), "mended.csv").headers["Location"]
    door.engine.take_uploads()
    assert door.get(again).json["rows"] == {"read": 1, "accepted": 1, "rejected": 0}
    assert len(door.client.get("/v1/requests", headers=door.headers).json["requests"]) == 2


def test_the_same_key_is_the_same_file_and_other_bytes_are_a_conflict(door):
    first, again = door.put(rows(GOOD), key="upload-0001"), door.put(rows(GOOD), key="upload-0001")
    assert first.status_code == again.status_code == 202 and first.json["id"] == again.json["id"]
    for other in (door.put(rows(BAD), key="upload-0001"), door.put(rows(GOOD), "b.csv", key="upload-0001")):
        assert other.status_code in (409, 422) and other.json["code"] == "idempotency_conflict"
    assert len(door.get("/v1/files").json["files"]) == 1


def test_the_same_bytes_under_another_key_change_nothing_and_lead_to_the_same_outcome(door):
    places = []
    for key in ("upload-0001", "upload-0002"):
        places.append(door.put(rows(GOOD), key=key).headers["Location"])
        door.engine.take_uploads()
    first, second = (door.get(place).json for place in places)
    assert (first["state"], second["state"]) == ("taken", "repeated")
    assert first["exchange"] == second["exchange"] and second["rows"] == first["rows"]
    assert door.get(places[0] + "/outcome").data == door.get(places[1] + "/outcome").data


def test_a_form_with_its_manifest_is_a_file_too(door):
    body = rows(GOOD)
    beside = {"name": "r.csv", "sequence": None, "count": None, "control_sum": None, "bytes": len(body),
              "sha256": hashlib.sha256(body).hexdigest(), "created": "2026-12-01T09:00:00Z"}  # fmt: skip

    def send(**change: Any) -> Any:
        form = {"file": (io.BytesIO(body), "r.csv"), "manifest": json.dumps(beside | change)}
        headers = {**door.headers, "Idempotency-Key": str(uuid4())}
        return door.client.post("/v1/files?operation=receive_roster", data=form, headers=headers)

    assert send().status_code == 202
    assert send(sha256="0" * 64).json["code"] == "file_hash_wrong"
    assert send(bytes=len(body) + 1).json["code"] == "file_truncated"
    assert send(bytes=len(body) - 1).json["code"] == "file_hash_wrong"
    assert send(name="s.csv").json["code"] == send(count="2").json["code"] == "file_manifest_wrong"


def test_nobody_sees_the_file_of_another(door, client, engine):
    place = door.put(rows(GOOD)).headers["Location"]
    engine.take_uploads()
    other = Door(client, engine, "agent_idn_2")
    missing = other.get(f"/v1/files/{uuid4()}")
    for path in ("", "/rejected", "/outcome", "/acknowledgement", "/acknowledgement.sig"):
        answer = other.get(place + path)
        assert answer.status_code == 404 and answer.json["code"] == missing.json["code"]
    assert other.get("/v1/files").json["files"] == []
    assert client.get(place).status_code == 401


def test_the_list_is_paged_youngest_first(door):
    made = [door.put(rows(GOOD), f"r{n}.csv").json["id"] for n in range(5)]
    page = door.get("/v1/files?limit=2").json
    seen = [one["id"] for one in page["files"]]
    while page["next"]:
        page = door.get(f"/v1/files?limit=2&cursor={page['next']}").json
        seen += [one["id"] for one in page["files"]]
    assert seen == made[::-1]


@pytest.mark.parametrize(("query", "code"), [
    ("after=1", "unknown_field"), ("cursor=x", "cursor_invalid"), ("cursor=1", "cursor_invalid"),
    ("limit=0", "invalid_range"), ("limit=2&limit=3", "invalid_value"),
])  # fmt: skip
def test_the_list_is_asked_for_as_strictly_as_any(door, query, code):
    answer = door.get(f"/v1/files?{query}")
    assert answer.status_code in (400, 422) and answer.json["code"] == code


def test_what_is_no_operation_of_the_caller_s_is_said_so(door):
    for name in ("open_group", "decide", "receive_statement", "nothing"):
        answer = door.client.post(f"/v1/files?operation={name}&name=a.csv", data=b"x", headers={
            **door.headers, "Idempotency-Key": "upload-0001"})  # fmt: skip
        assert (answer.status_code, answer.json["code"]) == (422, "invalid_code")
    answer = door.client.post(
        "/v1/files?name=a.csv", data=b"x", headers={**door.headers, "Idempotency-Key": "unsaid-1"}
    )
    assert (answer.status_code, answer.json["code"]) == (422, "required")
    assert "operation" in answer.json["title"]


def test_the_acknowledgement_is_verified_by_openssh(door, settings, tmp_path):
    place = door.put(rows(GOOD)).headers["Location"]
    door.engine.take_uploads()
    said, signature = door.get(place + "/acknowledgement").data, door.get(place + "/acknowledgement.sig").data
    assert json.loads(said)["state"] == "taken"
    from hub.security.host_key import HostKey

    (tmp_path / "signers").write_text(f"hub {HostKey(settings.sftp_key).public}\n")
    (tmp_path / "ack.sig").write_bytes(signature)
    verify = ["ssh-keygen", "-Y", "verify", "-f", tmp_path / "signers", "-I", "hub", "-n", "hub-acknowledgement",
              "-s", tmp_path / "ack.sig"]  # fmt: skip
    assert subprocess.run(verify, input=said, capture_output=True).returncode == 0
    assert subprocess.run(verify, input=said.replace(b"taken", b"lost!"), capture_output=True).returncode != 0


def test_what_is_kept_is_sealed(door, settings):
    door.put(rows(GOOD))
    door.engine.take_uploads()
    for file in settings.var.rglob("*"):
        if file.is_file():
            assert b"RAHAYU" not in file.read_bytes(), file
