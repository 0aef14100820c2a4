"""An agent in test mode meets simulated bodies only, and what is simulated never speaks for anybody real."""

import dataclasses
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from hub.canonical.errors import HubError
from hub.exchange import pressure, sandbox
from hub.exchange.engine import Engine
from hub.partners import Overlaid
from tests.exchange.exchanging import AGENT, BANK, COMPANY, Hub, filing

pytestmark = pytest.mark.both_stores
TWIN_BANK, TWIN_COMPANY, TWIN_MINISTRY = f"test_{BANK}", f"test_{COMPANY}", "test_mofa_visa"


@pytest.fixture
def hub(make, tmp_path: Path) -> Hub:
    """A hub with a sandbox, whose simulators are all out of reach, and an agent in test mode."""
    hub: Hub = make(SIMULATED_URL="http://127.0.0.1:1", SIMULATED_ROOT=str(tmp_path / "simulated"))
    secrets = {**hub.settings.secrets, "SIMULATED_SECRET": "z" * 64}
    hub.settings = dataclasses.replace(hub.settings, secrets=secrets)
    hub.restart()
    hub.engine.change_partners([Overlaid(id=AGENT, mode="test")], "test")
    return hub


def decided(hub: Hub, state: str) -> None:
    end = time.monotonic() + 30
    while set(hub.states()) != {state} and time.monotonic() < end:
        time.sleep(0.02)
    assert set(hub.states()) == {state}


def accepted(hub: Hub) -> None:
    """The company that the hub plays has done its part."""
    decided(hub, "ACCEPTED")
    end = time.monotonic() + 30
    while not hub.rows("SELECT 1 FROM voucher") and time.monotonic() < end:
        time.sleep(0.02)


def asked(hub: Hub) -> set[str]:
    return {row[0] for row in hub.rows("SELECT DISTINCT partner FROM exchange_subject")}


def pay(hub: Hub, bank: str, ref: str) -> str:
    number, minor = hub.rows("SELECT bill_no, amount FROM voucher ORDER BY id DESC")[0]
    notice = {
        "reference": ref, "billNumber": number, "amount": f"{minor / 100:.2f}", "currency": "SAR",
        "paidAt": "2026-12-01T08:30:00Z", "valueDate": "2026-12-01", "channel": "ONLINE",
    }  # fmt: skip
    hub.tell(bank, "payment_notice", json.dumps(notice).encode())
    return hub.rows("SELECT state FROM voucher ORDER BY id DESC")[0][0]


def test_a_test_goes_to_twins_and_a_played_company_and_to_nobody_else(hub):
    hub.open()
    accepted(hub)
    assert asked(hub) == {TWIN_BANK}
    assert hub.rows("SELECT company FROM umrah_group") == [(TWIN_COMPANY,)]
    assert pay(hub, TWIN_BANK, "P1") == "PAID"
    assert asked(hub) == {TWIN_BANK, TWIN_MINISTRY}
    twin = hub.engine.register.partners[TWIN_MINISTRY]
    target = twin.target(twin.operations["request_reference"])
    assert target.endpoint == f"http://127.0.0.1:1/{TWIN_MINISTRY}" and twin.mode == "test"
    assert hub.engine.register.partners[TWIN_BANK].secret() == "z" * 64


def test_nobody_real_speaks_of_a_test_nor_anybody_simulated_of_what_is_real(hub):
    hub.open()
    accepted(hub)
    assert pay(hub, BANK, "P1") != "PAID"
    assert hub.incidents() == [("suspense", "payment_unknown_bill")]
    hub.engine.change_partners([Overlaid(id=AGENT, mode="live")], "test")
    # The same people, now in earnest: what was tried out stands in nobody's way.
    for one in hub.open(filing("G-2")).body["requests"]:
        hub.decide(one["id"], "accept")
    assert pay(hub, TWIN_BANK, "P2") != "PAID"
    assert pay(hub, BANK, "P3") == "PAID"
    assert {BANK, "mofa_visa"} <= asked(hub)


def test_what_was_filed_in_test_stays_a_test(hub):
    hub.open()
    accepted(hub)
    hub.engine.change_partners([Overlaid(id=AGENT, mode="live")], "test")
    hub.restart()
    assert pay(hub, TWIN_BANK, "P1") == "PAID"
    assert asked(hub) == {TWIN_BANK, TWIN_MINISTRY}


def test_without_a_sandbox_a_test_goes_to_nobody(make):
    hub = make()
    hub.engine.change_partners([Overlaid(id=AGENT, mode="test")], "test")
    assert not [one for one in hub.engine.register.partners if one.startswith("test_")]
    receipt = hub.open()
    assert receipt.status in ("taken", "refused") and asked(hub) == set()


def test_a_group_that_asks_for_it_is_returned_once(hub):
    hub.open(filing("G-3-RETURN"))
    decided(hub, "RETURNED")


def test_a_decision_that_the_store_refuses_is_made_when_it_takes_it(hub, monkeypatch):
    monkeypatch.setattr(pressure, "EVERY", 0.0)
    monkeypatch.setattr(sandbox, "PAUSE", 0.01)
    room, tried = threading.Event(), threading.Semaphore(0)

    def statvfs(folder):
        played = threading.current_thread().name.startswith("hub-sandbox")
        if played:
            tried.release()
        return SimpleNamespace(f_blocks=10_000, f_bavail=5_000 if room.is_set() or not played else 0)

    hub.engine.pressure._statvfs = statvfs
    hub.open()
    for _ in range(10):
        assert tried.acquire(timeout=30)
    assert set(hub.states()) == {"SUBMITTED"}
    room.set()
    accepted(hub)


def test_a_company_that_waits_for_the_store_holds_up_no_end(hub, monkeypatch):
    monkeypatch.setattr(sandbox, "PAUSE", 3600.0)
    waits = threading.Event()

    def away(*args, **given):
        waits.set()
        raise HubError("store_down")

    hub.engine._company._receive = away
    hub.open()
    assert waits.wait(30)
    hub.engine._company.close()


@pytest.mark.parametrize("filed", ["G-4", "G-4-RETURN", "G-4-RETURN and corrected"])
def test_what_was_not_decided_when_the_hub_stopped_is_decided_at_the_next_start(hub, monkeypatch, filed):
    monkeypatch.setattr(sandbox, "PAUSE", 3600.0)
    number, _, corrected = filed.partition(" ")
    company = hub.engine._company
    receive = company._receive

    def away(*args, **given):
        raise HubError("store_down")

    company._receive = receive if corrected else away
    requests = hub.open(filing(number)).body["requests"]
    if corrected:
        decided(hub, "RETURNED")
        company._receive = away
        for one, member in zip(requests, filing().members, strict=True):
            hub.decide(one["id"], "correct", AGENT, correction=member)
    hub.engine.stop()
    assert set(hub.states()) == {"SUBMITTED"}
    hub.engine = Engine(hub.settings)
    hub.engine.start()
    decided(hub, "RETURNED" if number.endswith("-RETURN") and not corrected else "ACCEPTED")


def test_twins_are_collected_from_by_the_calendar_too(hub):
    names = set(hub.engine.register.schedules)
    collected = {one.name for one in hub.engine.register.schedules.values() if one.operation}
    assert {f"test_{name}" for name in collected if not name.startswith("test_")} <= names


def test_a_real_company_and_a_real_mission_see_no_test(hub):
    from hub.store.scope import Scope

    hub.open()
    accepted(hub)
    engine: Engine = hub.engine
    register = engine.register
    mission = register.partners["mission_jakarta"]
    assert AGENT not in register.agents_of(mission)
    group = hub.rows("SELECT agent, company FROM umrah_group")
    assert group == [(AGENT, TWIN_COMPANY)] and COMPANY not in group[0]
    assert Scope("company", COMPANY) != Scope("company", TWIN_COMPANY)
