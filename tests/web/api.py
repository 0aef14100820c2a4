"""A hub on a socket with a group that has come all the way, for whoever looks at its API from outside."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import requests

from hub.canonical.events import Event
from hub.exchange.engine import Engine
from hub.security import api_keys
from hub.security.keys import Keys
from hub.settings import load
from hub.web.server import open_server

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 12, 1, 9, tzinfo=UTC)
CALLERS = (
    "agent_idn_1", "agent_idn_2", "company_1", "company_2", "health_authority", "mission_jakarta", "operator",
)  # fmt: skip
SECRET = "s" * 64
NOBODY = "0198c2f0-aaaa-7000-8000-000000000001"


def key_of(name: str) -> str:
    return name + "k" * 32


def example() -> dict[str, Any]:
    """The README's own group."""
    found: dict[str, Any] = json.loads((ROOT / "docs/examples/group.json").read_text("utf-8"))
    return found


class Hub:
    """A hub behind its real server.  What it would send stays: there is nobody to answer."""

    def __init__(self, engine: Engine, url: str) -> None:
        self.engine, self.url = engine, url
        self.session = requests.Session()
        self.session.trust_env = False

    def call(self, who: str | None, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """One call; a POST has a key of its own unless one is given."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if who is not None:
            headers.setdefault("Authorization", f"Bearer {key_of(who)}")
        if method == "POST":
            headers.setdefault("Idempotency-Key", uuid4().hex)
        given: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.session.request(method, self.url + path, headers=headers, timeout=30, **given)

    def get(self, who: str | None, path: str, **headers: str) -> requests.Response:
        return self.call(who, "GET", path, **headers)

    def post(self, who: str | None, path: str, body: Any, **headers: str) -> requests.Response:
        return self.call(who, "POST", path, body, **headers)

    def happen(self, name: str, group: str, request: str | None = None, line: str | None = None, **told: Any) -> None:
        """What a partner would tell: ``data`` and, of a person, ``facts``."""
        event = Event(
            name=name, group=UUID(group), request=UUID(request) if request else None, line=line,
            happened=told.pop("happened", self.engine.clock.now()), **told,
        )  # fmt: skip
        assert self.engine.database.unit(lambda tx: self.engine.happen(tx, event.group, event)), name

    def travelled(self) -> dict[str, Any]:
        """The example's group as it was filed, and come as far as one can by now: accepted, paid, referenced, the first
        of its pilgrims with a visa and in the Kingdom."""
        filed = self.post("agent_idn_1", "/v1/groups", example()).json()
        group, ids = filed["id"], [one["id"] for one in filed["requests"]]
        for one in ids:
            assert self.post("company_1", f"/v1/requests/{one}/decisions", {"outcome": "accept"}).status_code == 200
        for line in ("H1", "H2"):
            self.happen("housing.confirmed", group, line=line, data={"brn": f"BRN{line}"})
        for line in ("T1", "T2"):
            self.happen("transport.confirmed", group, line=line, data={"brn": f"BRN{line}"})
        (invoice,) = self.get("agent_idn_1", "/v1/invoices").json()["invoices"]
        paid = {"bank_ref": "BANK/2026 1", "amount": invoice["amount"], "currency": invoice["currency"]}
        self.happen("payment.received", group, data=paid)
        for one, number in zip(ids, ("4000000001", "4000000002"), strict=True):
            self.happen("reference.issued", group, one, facts={"reference_no": number})
        self.happen("mission.received", group, ids[0])
        self.happen("visa.issued", group, ids[0], facts={"visa_no": "6000000001"})
        self.happen("pilgrim.expected", group, ids[0], data={"port": "JED", "carrier": "SV"})
        self.happen("pilgrim.entered", group, ids[0], facts={"border_no": "7000000001"}, data={"port": "JED"})
        return filed


@contextmanager
def served(folder: Path, **changes: Any) -> Iterator[Hub]:
    """A hub whose store and keys are in *folder*; *changes* are settings."""
    var = folder / "var"
    Keys.generate(var / "keys.json")
    (var / "clock.json").write_text(json.dumps({"business": START.isoformat(), "wall": datetime.now(UTC).isoformat()}))
    settings = dataclasses.replace(
        load(None, {"HUB_VAR": str(var), "HUB_CLOCK": str(var / "clock.json")}),
        addresses={"FILES_ROOT": str(folder / "files")}, secrets={"BANK_HARAMAYN_SECRET": SECRET},
        api_keys={api_keys.digest(key_of(name)): name for name in CALLERS}, test_mode=True, port=0, **changes,
    )  # fmt: skip
    engine = Engine(settings)
    server = open_server(engine)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield Hub(engine, server.address.rstrip("/"))
    finally:
        server.close()
        thread.join(10)
        engine.stop()
