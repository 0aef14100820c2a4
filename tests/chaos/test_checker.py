"""What the checker reads from bytes, and what it makes of lives, books and folders that do not agree."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.chaos import checker
from hub.chaos.checker import Acks, Finding, Hub, Line


def step(was: str, now: str, event: str = "x.y", machine: str = "request") -> dict[str, Any]:
    return {"machine": machine, "event": event, "was": was, "now": now}


def life(*states: str, **more: Any) -> dict[str, Any]:
    steps = [step(was, now) for was, now in zip(("NEW", *states), states, strict=False)]
    return {"state": states[-1], "steps": steps, "waits_on": [], "due": None, "reference_no": None} | more


def what(found: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(one.kind, one.what) for one in found]


@pytest.fixture
def books(tmp_path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(tmp_path / "partners.db")
    db.row_factory = sqlite3.Row
    db.executescript("""
        CREATE TABLE received (id INTEGER PRIMARY KEY, partner, operation, raw, lead, name, away DEFAULT 0);
        CREATE TABLE effect (id INTEGER PRIMARY KEY, partner, operation, our_key, decision);
        CREATE TABLE sent (id INTEGER PRIMARY KEY, partner, operation, kind, number, raw, acknowledged_at, planned);
        CREATE TABLE noted (kind, key);
    """)
    return db


def booked(db: sqlite3.Connection, key: str, **more: Any) -> None:
    """The house was asked for a room under *key*, and gave it."""
    raw = json.dumps({"reference": key, **more}).encode()
    db.execute(
        "INSERT INTO received (partner, operation, raw, lead) VALUES ('house', 'confirm_booking', ?, ?)", (raw, key)
    )
    db.execute("INSERT INTO effect (partner, operation, our_key, decision) VALUES ('house', 'confirm_booking', ?, ?)",
               (key, json.dumps({"outcome": "confirmed"})))  # fmt: skip


def exchange(key: str, **more: Any) -> dict[str, Any]:
    subject = {"key": key, "kind": "booking", "subject": "x", "state": "done", "outcome": "confirmed", "enquiry": False}
    return {
        "id": "e", "partner": "house", "operation": "confirm_booking", "direction": "out", "state": "settled",
        "owner": None, "next": None, "name": None, "created": "2026", "audit": ["confirm_booking"],
        "subjects": [subject | more.pop("subject", {})],
    } | more  # fmt: skip


def hub(*exchanges: dict[str, Any], **more: Any) -> Hub:
    return Hub("http://nobody.invalid", "key", exchanges=list(exchanges), **more)


def test_keys_and_effects_are_read_from_the_bytes_that_partners_were_sent() -> None:
    soap = b"""<e:Envelope xmlns:e="urn:e"><e:Body><Submit xmlns="urn:m"><Application><CorrelationId>k1</CorrelationId>
        <Passport><Number>N1</Number><IssuingState>PAK</IssuingState></Passport></Application></Submit></e:Body></e:Envelope>"""
    assert list(checker.READ["request_reference"](soap)) == [Line("k1", "PAKN1")]
    assert list(checker.READ["send_bill"](b'{"billNumber": "9001"}')) == [Line("9001", "9001")]
    assert list(checker.READ["send_manifest"](b"trip_key,a\nt1,1\nt1,2\nt2,3\n")) == [
        Line("t1", "t1"),
        Line("t2", "t2"),
    ]


@pytest.mark.parametrize(
    ("states", "wrong"),
    [
        (("DRAFT", "SUBMITTED", "ACCEPTED"), []),
        (("DRAFT", "ACCEPTED"), [("unexpected", "ACCEPTED without SUBMITTED")]),
    ],
)
def test_nobody_skips_a_state(states: tuple[str, ...], wrong: list[tuple[str, str]]) -> None:
    assert what(checker._life("r", life(*states))) == wrong


def test_a_life_that_jumps_or_does_not_end_where_it_says() -> None:
    jumps = {"state": "SUBMITTED", "steps": [step("NEW", "DRAFT"), step("OPEN", "SUBMITTED", "request.submitted")]}
    assert what(checker._life("r", jumps)) == [("unexpected", "request.submitted led from OPEN, and it was DRAFT")]
    assert what(checker._life("r", life("DRAFT") | {"state": "EXITED"})) == [
        ("unexpected", "the timeline ends in DRAFT, the request is EXITED")
    ]
    assert what(checker._life("r", None)) == [("lost", "a request without a timeline")]


def test_an_effect_that_the_hub_knows_and_has_audited_is_well(books: sqlite3.Connection) -> None:
    booked(books, "k1")
    assert what(checker._effects(books, hub(exchange("k1")), {}, frozenset())) == []


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (exchange("k2"), [("unexpected", "confirm_booking was done under a key that the hub does not know")]),
        (exchange("k1", audit=[]), [("unexpected", "confirm_booking stands in the ledger and not in the audit")]),
        (exchange("k1", subject={"state": "dead"}),
         [("lost", "confirm_booking was done, and the hub has given it up")]),
        (exchange("k1", subject={"outcome": "refused"}),
         [("unexpected", "confirm_booking: the partner's books say confirmed, the hub's refused")]),
    ],
)  # fmt: skip
def test_an_effect_that_the_hub_tells_otherwise(
    books: sqlite3.Connection, found: dict[str, Any], wrong: list[tuple[str, str]]
) -> None:
    booked(books, "k1")
    assert what(checker._effects(books, hub(found), {}, frozenset())) == wrong


def test_what_may_be_asked_once_is_counted_from_the_calls(books: sqlite3.Connection) -> None:
    booked(books, "k1")
    books.execute(
        "INSERT INTO received (partner, operation, raw, lead) SELECT partner, operation, raw, lead FROM received"
    )
    once = frozenset({"confirm_booking"})
    assert what(checker._effects(books, hub(exchange("k1")), {}, once)) == [
        ("doubled", "confirm_booking may be asked once, and was asked 2 times")
    ]


def test_other_bytes_under_a_key_are_right_only_after_the_partner_was_asked(books: sqlite3.Connection) -> None:
    booked(books, "k1")
    again = json.dumps({"reference": "k1", "heads": 2}).encode()
    books.execute(
        "INSERT INTO received (partner, operation, raw, lead) VALUES ('house', 'confirm_booking', ?, 'k1')", (again,)
    )
    assert what(checker._repeated(books)) == [("unexpected", "confirm_booking was sent again with other bytes")]
    books.execute(
        "INSERT INTO received (id, partner, operation, raw, lead) VALUES (0, 'house', 'find_booking', '', 'k1')"
    )
    books.execute("UPDATE received SET id = id + 10 WHERE id = 2")
    books.execute("UPDATE received SET id = 5 WHERE id = 0")
    assert what(checker._repeated(books)) == []


def test_sums_are_compared_bill_by_bill(books: sqlite3.Connection) -> None:
    def told(operation: str, amount: str) -> None:
        raw = json.dumps({"billNumber": "9001", "amount": amount})
        row = "INSERT INTO sent (operation, kind, raw, acknowledged_at, planned) VALUES (?, 'call', ?, 'now', '[]')"
        books.execute(row, (operation, raw))

    told("payment_notice", "10.00")
    told("payment_reversal", "4.00")
    for paid, wrong in (("6.00", []), ("5.00", ["lost"]), ("10.00", ["doubled"])):
        groups = {"g": {"voucher": {"bill_no": "9001", "paid": paid}}}
        assert [kind for kind, _ in what(checker._money(books, hub(groups=groups)))] == wrong


def test_a_file_that_was_taken_away_is_in_the_ledger_once_and_in_its_order(books: sqlite3.Connection) -> None:
    for number in (1, 2):
        books.execute(
            "INSERT INTO sent (partner, operation, kind, number, acknowledged_at, planned)"
            " VALUES ('post', 'receive_movements', 'file', ?, 'now', '[]')",
            (f"MOVE-post-{number:06}.txt",),
        )

    def read(number: int, at: str) -> dict[str, Any]:
        return {
            "id": "e", "partner": "post", "operation": "receive_movements", "direction": "in", "state": "settled",
            "name": f"MOVE-post-{number:06}.txt", "created": at, "audit": ["receive_movements"], "subjects": [],
        }  # fmt: skip

    one, two = read(1, "a"), read(2, "b")
    assert what(checker._told(books, hub(one, two))) == []
    assert what(checker._told(books, hub(one))) == [("lost", "a file was taken away, and the ledger does not have it")]
    assert [kind for kind, _ in what(checker._told(books, hub(one, two, two)))] == ["doubled", "unexpected"]
    assert what(checker._told(books, hub(read(1, "b"), read(2, "a")))) == [
        ("unexpected", "receive_movements was read in the order [2, 1]")
    ]


def test_whatever_is_open_says_who_acts_or_when() -> None:
    left = {"state": "open"}
    waiting = exchange("k1", state="waiting", subject=left)
    assert what(checker._open(hub(waiting | {"next": "2026"}), {})) == []
    assert what(checker._open(hub(waiting), {})) == [("lost", "confirm_booking is waiting, and nobody will act")]
    doubt = exchange("k1", state="in_doubt", subject=left)
    assert what(checker._open(hub(doubt), {})) == [("lost", "confirm_booking is in_doubt, and nobody will act")]
    asking = {"key": "k1", "enquiry": True, "subject": "x", "state": "open"}
    assert what(checker._open(hub(doubt, waiting=[asking]), {})) == []
    assert what(checker._open(hub(exchange("k1", subject=left)), {})) == [
        ("lost", "1 subjects are open in what is settled")
    ]
    assert what(checker._open(hub(), {"r-1": life("DRAFT", "SUBMITTED", "ACCEPTED")})) == [
        ("lost", "is ACCEPTED, and nobody will act")
    ]


def test_acknowledgements_are_held_against_what_is_there(tmp_path: Path) -> None:
    group = {"t": "ack", "who": "a", "path": "/v1/groups", "key": "file-1", "status": 201, "id": "g1"}
    path = tmp_path / "acks.jsonl"
    lines = [{"t": "intent", "who": "a", "path": "/v1/groups", "key": "file-1"}, group | {"requests": [["r1", "1"]]}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"t": "ack", "who')
    acks = Acks.of([path, tmp_path / "nobody.jsonl"])
    there = {"group_no": "G1", "requests": [{"id": "r1"}]}
    assert what(checker._acknowledged(acks, hub(groups={"g1": there}), {})) == []
    gone = there | {"requests": []}
    assert what(checker._acknowledged(acks, hub(groups={"g1": gone}), {})) == [
        ("lost", "an acknowledged request is not there")
    ]
    assert what(checker._acknowledged(acks, hub(groups={"g1": there, "g2": there}), {})) == [
        ("unexpected", "a group that no client was told of")
    ]


def test_a_file_is_what_its_manifest_says(tmp_path: Path) -> None:
    folder = tmp_path / "mission" / "to_partner" / "claimed"
    folder.mkdir(parents=True)
    (folder / "A.xml").write_bytes(b"whole")
    manifest = folder / "A.xml.manifest.json"
    manifest.write_text(json.dumps({"sha256": hashlib.sha256(b"whole").hexdigest()}))
    assert what(checker._written(tmp_path)) == []
    (folder / "A.xml").write_bytes(b"who")
    assert what(checker._written(tmp_path)) == [("unexpected", "a file has its name and is not whole")]
