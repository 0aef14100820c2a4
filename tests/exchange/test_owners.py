"""Whatever waits for a person says for whom: by every way that leads there, and by construction."""

import ast
from pathlib import Path

import pytest

from hub.canonical.errors import WHO
from hub.chaos.faults import FaultyPartner
from hub.exchange import delivery, mood
from tests.exchange.exchanging import MINISTRY, POST
from tests.exchange.test_adversity import says
from tests.exchange.test_files import movement_file
from tests.exchange.test_replay import broken_answers, never

HUB = Path(delivery.__file__).parents[1]
WAITING = ("held", "parked", "dead")


def owners(hub) -> set[tuple[str, str | None]]:
    """State and owner of all that waits for somebody: exchanges, subjects, incidents."""
    found = set(hub.rows("SELECT state, owner FROM exchange WHERE state IN ('held', 'parked', 'dead')"))
    found |= set(hub.rows("SELECT state, owner FROM exchange_subject WHERE state = 'dead'"))
    return found | {("incident", r[0]) for r in hub.rows("SELECT owner FROM incident")}


def held(make, ministry, monkeypatch):
    hub = make()
    hub.engine.settings.addresses.pop("MOFA_URL")
    hub.paid()
    hub.drain(seconds=0.3)
    return hub


def unauthorised(make, ministry, monkeypatch):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        hub.paid()
        line.fault, line.effect = "status_401", False
        hub.drain(seconds=0.3)
    return hub


def broken(make, ministry, monkeypatch):
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    broken_answers(hub, monkeypatch)
    return hub


def gone(make, ministry, monkeypatch):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        hub.paid()
        line.fault, line.effect = "refuse", False
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    partner = hub.engine.register.partners[MINISTRY]
    monkeypatch.setitem(
        partner.__dict__, "operations", {n: o for n, o in partner.operations.items() if n != "request_reference"}
    )
    hub.later(60)
    hub.drain(seconds=0.3)
    return hub


def nobody_there(make, ministry, monkeypatch):
    hub = make()
    hub.paid()
    hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
    hub.later(delivery.GIVE_UP + 60)
    hub.drain(seconds=0.3)
    return hub


def for_ever_at_it(make, ministry, monkeypatch):
    with FaultyPartner(says("PENDING")) as partner:
        hub = make(MOFA_URL=partner.url)
        hub.paid()
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        hub.later(delivery.GIVE_UP + 60)
        hub.drain()
    return hub


def nobody_answers_the_question(make, ministry, monkeypatch):
    monkeypatch.setattr(mood, "REST", (0.0, 0.0))
    with FaultyPartner(says("PENDING")) as partner:
        hub = make(MOFA_URL=partner.url)
        hub.paid()
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        partner.fault = "status_503"
        hub.later(10)
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        hub.later(delivery.GIVE_UP + 60)
        hub.drain()
    return hub


def never_and_unknown(make, ministry, monkeypatch):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        never(hub, enquiry=False)
        hub.paid()
        line.fault = "reset"
        hub.drain(seconds=0.3)
    return hub


def never_and_not_known(make, ministry, monkeypatch):
    with FaultyPartner(upstream=ministry.url) as line:
        hub = make(MOFA_URL=line.url)
        never(hub, enquiry=True)
        hub.paid()
        line.fault, line.effect = "reset", False
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        line.fault, line.effect = None, True
        hub.drain()
    return hub


def never_and_omitted(make, ministry, monkeypatch):
    hub = make(MOFA_URL=ministry.url)
    never(hub, enquiry=False)
    hub.paid()
    ((key,),) = hub.rows("SELECT key FROM exchange_subject WHERE operation = 'request_reference' LIMIT 1")
    ministry.withheld.add(key)
    hub.drain(seconds=0.3)
    return hub


def keyed_and_never_answered(make, ministry, monkeypatch):
    with FaultyPartner(lambda _: b"<html>") as line:
        hub = make(BANKS_URL=line.url)
        for request in hub.open().body["requests"]:
            hub.decide(request["id"], "accept")
        bank = hub.engine.register.partners["bank_haramayn"]
        hub.engine.dispatcher.drain(bank)
        hub.later(73 * 3600)
        hub.engine.dispatcher.drain(bank)
    return hub


def untellable(make, ministry, monkeypatch):
    from hub.canonical.messages.mofa import Application

    monkeypatch.setattr(Application, "project", classmethod(lambda *_: 1 / 0))
    hub = make(MOFA_URL=ministry.url)
    hub.paid()
    hub.drain(seconds=0.3)
    return hub


def unreadable(make, ministry, monkeypatch):
    hub = make()
    hub.tell(POST, "receive_movements", movement_file(count=9), name="f")
    return hub


@pytest.mark.parametrize(
    ("way", "ends"),
    [
        (held, {("held", "operator")}),
        (unauthorised, {("held", "operator")}),
        (broken, {("parked", "engineer"), ("incident", "engineer")}),
        (gone, {("parked", "engineer")}),
        (nobody_there, {("dead", "operator"), ("incident", "operator")}),
        (for_ever_at_it, {("parked", "operator")}),
        (nobody_answers_the_question, {("parked", "operator"), ("dead", "operator"), ("incident", "operator")}),
        (never_and_unknown, {("parked", "operator")}),
        (never_and_not_known, {("parked", "operator")}),
        (never_and_omitted, {("parked", "operator")}),
        (keyed_and_never_answered, {("parked", "operator")}),
        (untellable, {("dead", "engineer"), ("incident", "engineer")}),
        (unreadable, {("dead", "partner"), ("incident", "partner")}),
    ],
)
def test_by_every_way_to_a_person_it_is_said_to_whom(make, ministry, monkeypatch, way, ends):
    hub = way(make, ministry, monkeypatch)
    assert owners(hub) == ends
    assert {owner for _, owner in ends} <= set(WHO)


def _calls(name: str):
    for path in HUB.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                yield path, node


def test_no_line_of_ours_puts_anything_before_nobody():
    """The ways above are all there are: whoever adds another names an owner, or it does not get past here."""
    waits = []
    for path, call in (*_calls("move"), *_calls("settle_subject"), *_calls("open")):
        said = {word.arg: word.value for word in call.keywords}
        states = [*call.args, said.get("state")]
        if any(isinstance(state, ast.Constant) and state.value in WAITING for state in states):
            waits.append((path.stem, call.lineno))
            assert "owner" in said, f"{path}:{call.lineno}"
    assert len(waits) >= 10
    for path, call in _calls("raise_incident"):
        assert len(call.args) == 5, f"{path}:{call.lineno}: tx, at, kind, code, owner"


def test_the_ledger_refuses_what_names_nobody(hub):
    ledger, at = hub.engine._ledger, hub.engine.now()
    for state in WAITING:
        with pytest.raises(ValueError, match="who must act"):
            ledger.move(None, at, {"id": "0" * 32, "attempts": 0}, state)
