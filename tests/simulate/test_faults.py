"""What goes wrong on purpose: planned, bounded, and said afterwards."""

import socket
import time
from collections import Counter
from typing import Any

import pytest
import requests

from hub.channels import Answered, OutcomeUnknown, Outgoing, Target, Throttled, open_channel
from hub.simulate import ledger_check
from hub.simulate.chance import Chance
from hub.simulate.faults import AWAY, CALLS, FILES, MOST, SPOILT, SPOILT_BATCH, SPOILT_XML, Faults
from tests.simulate.conftest import NAMESPACE, START, Played, application, submission
from tests.simulate.test_ministry import HEADERS, results
from tests.simulate.test_partners import BILL, movements, printed, travels


def _as(played: Played, **decided: str | None) -> None:
    """Let one kind of fault happen every time (an answer: the first time a key is asked)."""
    faults = played.simulators._desk.faults  # type: ignore[union-attr]
    for name, kind in decided.items():
        if name == "answer":
            faults.answer = lambda *a, kind=kind, **k: kind if a[3] == 0 else None
        else:
            setattr(faults, name, lambda *a, kind=kind, **k: kind)


def test_the_same_seed_plans_the_same_and_none_plans_nothing() -> None:
    def plan(level: str, seed: int) -> list[Any]:
        faults = Faults(level, Chance(seed))
        return [faults.answer("p", "o", f"k{n}", 0, 0, xml=True, lines=2) for n in range(2000)]

    assert plan("storm", 1) == plan("storm", 1) != plan("storm", 2)
    assert set(plan("none", 1)) == {None}
    for level, share in (("some", 0.05), ("storm", 0.30)):
        kinds = Counter(plan(level, 1))
        assert abs(1 - kinds.pop(None) / 2000 - share) < 0.03
        assert set(kinds) <= {*AWAY, *SPOILT, *SPOILT_XML, *SPOILT_BATCH}
    assert set(plan("storm", 1)) == {None, *AWAY, *SPOILT, *SPOILT_XML, *SPOILT_BATCH}


def test_what_went_wrong_often_enough_goes_right() -> None:
    faults = Faults("storm", Chance(1))
    assert all(faults.answer("p", "o", f"k{n}", 5, MOST, xml=False, lines=1) is None for n in range(500))


def test_files_and_calls_are_told_badly_in_every_way() -> None:
    faults = Faults("storm", Chance(1))
    assert {faults.file("p", f"f{n}", totals=True) for n in range(200)} == {None, *FILES}
    assert "wrong_totals" not in {faults.file("p", f"f{n}", totals=False) for n in range(200)}
    assert {faults.call("p", "o", f"n{n}") for n in range(200)} == {None, *CALLS}


@pytest.mark.parametrize("kind", [kind for kind in (*AWAY, *SPOILT, *SPOILT_XML) if kind not in ("other", "delay")])
def test_channel_meets_each_fault_and_the_key_gets_its_answer_afterwards(played: Played, kind: str) -> None:
    played.start()
    _as(played, answer=kind)
    desk = played.simulators._desk  # type: ignore[union-attr]
    ministry = desk.register.partners["mofa_visa"]
    operation = ministry.operations["request_reference"]
    target = Target(
        "mofa_visa", "soap", f"{played.url}/mofa", 10, 1, operation.wire | {"wsdl": ministry.adapter.contract.name},
        operation.folder, not_done=operation.not_done,
    )  # fmt: skip
    body = submission(application("k-1", "A0000001"))
    element = body.partition(b"<s:Body>")[2].removesuffix(b"</s:Body></s:Envelope>")
    bare = element.replace(b"<v:SubmitApplications", f'<v:SubmitApplications xmlns:v="{NAMESPACE}"'.encode(), 1)
    channel = open_channel("soap")
    reads = desk.register.map("mofa/visa_reference", "request_reference", "reply")

    def send() -> Any:
        return channel.send(target, Outgoing(bare, None, None, None, None, None, time.monotonic() + 10))

    first = send()
    if kind == "refuse":
        assert isinstance(first, Throttled) and first.retry_after == 1
    elif kind in ("closed", "reset", "truncated"):
        assert isinstance(first, OutcomeUnknown)
    else:
        assert isinstance(first, Answered)
        with pytest.raises(Exception):  # noqa: B017  whatever the map says of it, it is no answer
            reads.read(first.body)
    effects = ledger_check.count(played.ledger)["effects"]
    assert bool(effects) is (kind not in AWAY)
    second = send()
    channel.close()
    assert isinstance(second, Answered) and reads.read(second.body).results[0].key == "k-1"
    told = ledger_check.count(played.ledger)
    assert told["repeats"] == (kind not in AWAY) and told["turned_away"] == (kind in AWAY)


def test_partial_shuffled_and_foreign_answers(played: Played) -> None:
    played.start()

    def send(*keys: str) -> list[str]:
        body = submission(*(application(key, f"A{key[2:]:0>7}") for key in keys))
        return list(results(requests.post(f"{played.url}/mofa", data=body, headers=HEADERS, timeout=10)))

    assert send("k-1", "k-2", "k-3") == ["k-1", "k-2", "k-3"]
    _as(played, answer="partial")
    assert send("k-4", "k-5", "k-6") == ["k-5", "k-6"] and send("k-4", "k-5", "k-6") == ["k-4", "k-5", "k-6"]
    _as(played, answer="shuffled")
    assert send("k-7", "k-8") == ["k-8", "k-7"]
    _as(played, answer="again")
    assert send("k-11", "k-12") == ["k-11", "k-12"] and send("k-11", "k-12") == ["k-11", "k-12"]
    _as(played, answer="stranger")
    assert send("k-13", "k-14") == ["k-13-nobody", "k-13", "k-14"]
    _as(played, answer="other")
    assert send("k-9") == ["k-11", "k-12"] and send("k-9") == ["k-9"]


def test_notice_told_twice_has_one_number(played: Played) -> None:
    played.start()
    _as(played, call="twice")
    played.bill(BILL)
    played.settled()
    notices = played.hub.told("/notices")
    assert len(notices) == 2 and notices[0] == notices[1]
    assert ledger_check.count(played.ledger)["bills"][BILL]["payments"] == 1


def test_money_for_a_bill_that_nobody_has_is_planned(played: Played) -> None:
    played.start()
    played.simulators._desk.faults.wild = lambda *_: True  # type: ignore[union-attr, method-assign]
    played.bill(BILL)
    played.settled()
    (planned,) = ledger_check.count(played.ledger)["suspense"]
    strange = next(n for n in played.hub.told("/notices") if n["billNumber"] != BILL)
    assert (planned["partner"], planned["operation"]) == ("bank_haramayn", "payment_notice")
    assert (planned["number"], planned["kind"]) == (strange["reference"], "unknown_bill")


@pytest.mark.parametrize("kind", FILES)
def test_bad_file_is_followed_by_the_right_one_of_the_same_number(played: Played, kind: str) -> None:
    played.plan(travellers={"IDNPF000001": travels("normal"), "IDNPF000003": travels("normal")})
    played.start()
    assert len(printed(played, "PF000001", "PF000003")) == 2
    _as(played, file=kind)
    assert played.go(START.replace(day=20, hour=18))["uncollected"] == 1
    name, path = "MOVE-post_jed-000001.txt", played.var / "files/post_jed/from_partner"
    first = (path / name).read_bytes()
    # The next day's file waits for this one to be put right, unless it was right already.
    waiting = played.go(START.replace(day=21, hour=18))["uncollected"]
    assert waiting == (2 if kind == "duplicate" else 1)
    refused = []
    inbox = played.inbox("post_jed")
    inbox._on_refused = lambda _, code, *__: refused.append(code)
    taken = [(a.name, a.body, inbox.done(a)) for a in inbox.arrivals()]
    assert refused == (["file_truncated"] if kind == "truncated" else [])
    played.until(lambda: (path / name).exists())
    second = next(body for found, body, _ in played.collect("post_jed") if found == name)
    if kind == "duplicate":
        assert first == second == taken[0][1]
    elif kind == "truncated":
        assert second.startswith(first) and len(movements(second)) == 2
    else:
        assert first.splitlines()[-1] == second.splitlines()[-1] and len(first.splitlines()) < len(second.splitlines())
    played.until(lambda: (path / "MOVE-post_jed-000002.txt").exists() or kind == "duplicate")
    (bad, *_) = ledger_check.count(played.ledger)["bad_files"]
    assert bad == {"partner": "post_jed", "operation": "receive_movements", "name": name, "kind": kind}


def test_a_death_between_the_manifest_and_the_data_keeps_no_file_back(played: Played) -> None:
    played.plan(travellers={"IDNPF000001": travels("normal")})
    played.start()
    assert printed(played, "PF000001")
    path = played.var / "files/post_jed/from_partner/MOVE-post_jed-000001.txt"
    path.with_name(path.name + ".manifest.json").write_text("{}")
    assert played.go(START.replace(day=20, hour=18))["uncollected"] == 1
    ((name, body, _),) = played.collect("post_jed")
    assert name == path.name and movements(body)


def test_dropped_connection_is_a_reset(played: Played) -> None:
    played.start()
    _as(played, answer="reset")
    body = submission(application("k-1", "A0000001"))
    with socket.create_connection(("127.0.0.1", played.simulators.port)) as raw:  # type: ignore[union-attr]
        raw.sendall(b"POST /mofa HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        with pytest.raises(ConnectionResetError):
            raw.recv(100)
