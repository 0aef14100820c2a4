"""A hub whose partners are where a test says, and a Ministry written from its contract alone."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.canonical.messages.desk import Filing
from hub.security.keys import Keys
from hub.settings import load
from tests.exchange.exchanging import AGENT, BANK, MISSION, POST, ROOT, START, Hub, filing
from tests.strangers.ministry import Ministry


@pytest.fixture
def make(tmp_path: Path, store_url: str) -> Iterator[Callable[..., Hub]]:
    """Makes a hub whose partners are at the addresses given; *store* is the URL of one that is not SQLite's."""
    made: list[Hub] = []

    def of(store: str = store_url, **addresses: str) -> Hub:
        var = tmp_path / "var"
        if not made:
            Keys.generate(var / "keys.json")
            now = {"business": START.isoformat(), "wall": datetime.now(UTC).isoformat()}
            (var / "clock.json").write_text(json.dumps(now))
        found = load(None, {"HUB_VAR": str(var), "HUB_CLOCK": str(var / "clock.json")})
        for partner in (AGENT, MISSION, BANK, POST, "post_med", "post_ynb", "post_wad", "bus_badr"):
            for side in ("to_partner", "from_partner"):
                (tmp_path / "files" / partner / side).mkdir(parents=True, exist_ok=True)
        given = {
            "FILES_ROOT": str(tmp_path / "files"), "MOFA_URL": "http://127.0.0.1:1", "BANKS_URL": "http://127.0.0.1:1",
            "HOUSING_URL": "http://127.0.0.1:1", **addresses,
        }  # fmt: skip
        secrets = {"BANK_HARAMAYN_SECRET": "s" * 64}
        more = {"addresses": given, "secrets": secrets, "database_url": store}
        more |= {"test_mode": True, "loopback_callbacks": True}
        made.append(Hub(dataclasses.replace(found, **more)))
        return made[-1]

    yield of
    for hub in made:
        hub.engine.stop()


@pytest.fixture
def hub(make: Callable[..., Hub]) -> Hub:
    """A hub whose partners are all out of reach."""
    return make()


@pytest.fixture
def ministry() -> Iterator[Any]:
    with Ministry(ROOT / "adapters" / "mofa" / "visa_reference") as found:
        yield found


@pytest.fixture
def member() -> Filing:
    return filing().members[0]
