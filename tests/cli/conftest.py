"""A hub on a bad night: the Ministry was away for three days, a bank talks nonsense, a border file could not be read,
and somebody paid a bill that nobody wrote."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from hub.canonical.errors import HubError
from hub.chaos.faults import FaultyPartner
from hub.exchange import delivery
from tests.exchange.conftest import make, ministry
from tests.exchange.exchanging import BANK, MINISTRY, POST, Hub
from tests.exchange.test_files import drop, movement, movement_file

__all__ = ["make", "ministry"]


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """A command sets the log of its process up; here the process is everybody's."""
    before, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    yield
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def night(make: Callable[..., Hub], ministry, tmp_path: Path, monkeypatch) -> Iterator[Hub]:
    """It is all over by now: whoever has things sent again is served."""
    with FaultyPartner(upstream=ministry.url) as line, FaultyPartner(lambda _: b"<html>") as bank:
        hub = make(MOFA_URL=line.url, BANKS_URL=bank.url)
        for request in hub.open().body["requests"]:
            hub.decide(request["id"], "accept")
        hub.engine.dispatcher.drain(hub.engine.register.partners[BANK])
        assert hub.pay().status == "taken"
        line.fault, line.effect = "refuse", False
        now = hub.engine.dispatcher._now
        hub.engine.dispatcher.drain(hub.engine.register.partners[MINISTRY])
        hub.later(delivery.GIVE_UP + 3600)
        for partner in (MINISTRY, BANK):
            hub.drain(partner, seconds=0.5)
        hub.engine.dispatcher._now = now
        line.fault, line.effect = None, True
        map_ = hub.engine.register.map("border/movements", "receive_movements", "request")
        with monkeypatch.context() as patched:

            def unreadable(*_args, **_more):
                raise HubError("map_unknown")

            patched.setattr(map_, "open_rows", unreadable)
            patched.setattr(map_, "read", unreadable)
            folder = tmp_path / "files" / POST / "from_partner"
            drop(folder, f"MOVE-{POST}-000001.txt", movement_file(movement("IN", "6000000001", "20270201013000")), 1)
            hub.engine.collect(hub.engine.register.partners[POST])
        assert hub.pay(bill="1234567890123", ref="PAY-2").status == "suspense"
        yield hub


@pytest.fixture
def settings_file(night: Hub, tmp_path: Path, monkeypatch) -> Path:
    for name in [name for name in os.environ if name.startswith("HUB_")]:
        monkeypatch.delenv(name)
    file = tmp_path / "hub.toml"
    var, addresses = night.settings.var, night.settings.addresses
    lines = [f'var = "{var}"', f'keys = "{var}/keys.json"', f'business_clock = "{var}/clock.json"', "test_mode = true"]
    lines += ["[addresses]", *(f'{name} = "{value}"' for name, value in addresses.items())]
    lines += ["[secrets]", *(f'{name} = "{value}"' for name, value in night.settings.secrets.items())]
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o600)
    return file
