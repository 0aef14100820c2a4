"""A hub behind its doors: the real engine on SQLite in a folder of its own, callers with keys, banks with secrets."""

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from hub.clock import BusinessClock
from hub.exchange.engine import Engine
from hub.security import api_keys
from hub.security.keys import Keys
from hub.settings import Settings, load
from hub.web.app import create_app

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 12, 1, 9, tzinfo=UTC)
CALLERS = ("agent_idn_1", "agent_idn_2", "company_1", "company_2", "health_authority", "operator")
SECRETS = {"BANK_HARAMAYN_SECRET": "s" * 64, "BANK_TAWFIQ_SECRET": "t" * 64}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation of its own; the key of a caller is its name and 32 times ``k``."""
    var = tmp_path / "var"
    Keys.generate(var / "keys.json")
    # Before START by the wall clock or after it: what follows the file is at START.
    (var / "clock.json").write_text(json.dumps({"business": START.isoformat(), "wall": datetime.now(UTC).isoformat()}))
    found = load(None, {"HUB_VAR": str(var), "HUB_CLOCK": str(var / "clock.json")})
    for post in ("post_jed", "post_med", "post_ynb", "post_wad"):
        (tmp_path / "files" / post / "from_partner").mkdir(parents=True)
    keys = {api_keys.digest(key_of(name)): name for name in CALLERS}
    return dataclasses.replace(
        found, addresses={"FILES_ROOT": str(tmp_path / "files")}, secrets=SECRETS, api_keys=keys, test_mode=True
    )


def key_of(name: str) -> str:
    return name + "k" * 32


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """The engine, taking in but not sending: nobody is there to answer."""
    engine = Engine(settings)
    yield engine
    engine.stop()


@pytest.fixture
def clock(settings: Settings) -> BusinessClock:
    assert settings.business_clock is not None
    return BusinessClock(settings.business_clock)


@pytest.fixture
def client(engine: Engine) -> FlaskClient:
    return create_app(engine).test_client()


CALLS = itertools.count(1)  # of all callers: one that is gone may leave its id to the next


class As:
    """One caller at the doors."""

    def __init__(self, client: FlaskClient, name: str) -> None:
        self._client, self._headers = client, {"Authorization": f"Bearer {key_of(name)}"}

    def get(self, path: str) -> Any:
        return self._client.get(path, headers=self._headers)

    def post(self, path: str, body: Any, key: str | None = None) -> Any:
        """POST *body* (JSON unless bytes); without *key* each call has its own."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**self._headers, "Idempotency-Key": key or f"call-{next(CALLS):012}"}
        return self._client.post(path, data=data, headers=headers, content_type="application/json")


@pytest.fixture
def as_(client: FlaskClient) -> Callable[[str], As]:
    return lambda name: As(client, name)


@pytest.fixture
def group() -> dict[str, Any]:
    """The README's own example."""
    found: dict[str, Any] = json.loads((ROOT / "docs/examples/group.json").read_text("utf-8"))
    return found
