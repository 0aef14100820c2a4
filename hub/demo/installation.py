"""The installation of one demonstration: a folder with settings, keys, plan and clock, made once and gone on with."""

import hashlib
import json
import os
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub import partners, settings
from hub.clock import BusinessClock
from hub.demo.programmes import Market, hotels
from hub.demo.season import START, Office, Season, make
from hub.security.keys import Keys

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a demonstration was begun with.  It is gone on with on the same terms, whatever the command says later."""

    pilgrims: int
    seed: int
    faults: str
    database_url: str = field(default="", repr=False)


class Installation:
    """The folder *var* of a demonstration.

    ``api_keys`` are the raw keys of every agent, company and authority, by partner; ``hub_port`` and
    ``simulators_port`` are free loopback ports found once, so that whoever dies comes back at the same address.
    """

    def __init__(self, var: Path, kept: Mapping[str, Any], register: partners.Register) -> None:
        self.var = var
        self.terms = Terms(**kept["terms"])
        self.hub_port: int = kept["hub_port"]
        self.simulators_port: int = kept["simulators_port"]
        self.api_keys: Mapping[str, str] = kept["api_keys"]
        self.register = register
        self.clock = BusinessClock(var / "clock.json")

    @classmethod
    def open(cls, var: Path, terms: Terms) -> "Installation":
        """The installation in *var*, made now on *terms* where there is none."""
        var = var.resolve()
        kept = var / "demo.json"
        register = partners.load(settings.load(None, {}))
        if not kept.exists():
            var.mkdir(parents=True, exist_ok=True)
            var.chmod(0o700)
            _make(var, terms, register)
        return cls(var, json.loads(kept.read_text("utf-8")), register)

    @property
    def settings_file(self) -> Path:
        return self.var / "hub.toml"

    @property
    def hub_url(self) -> str:
        return f"http://127.0.0.1:{self.hub_port}"

    @property
    def simulators_url(self) -> str:
        return f"http://127.0.0.1:{self.simulators_port}"

    @property
    def files(self) -> Path:
        """Where the folders of partners that pass files lie, one a partner."""
        return self.var / "files"

    def season(self) -> Season:
        """The season of the terms: the same at every call."""
        register = self.register
        offices = [
            Office(p.id, p.agent.country, p.agent.company, p.agent.date_order)
            for p in register.enabled
            if p.agent is not None
        ]
        carriers = sorted(c for p in register.enabled for c in p.serves.get("company_code", ()))
        houses = hotels(settings.load(None, {}).home / "mappings" / "tables" / "hotels.csv")
        return make(self.terms.seed, self.terms.pilgrims, offices, Market.of(houses, carriers))

    def write_plan(self, season: Season, stay_at_home: Iterable[str]) -> None:
        """``plan.json`` for the simulators; who is in *stay_at_home* (by key) does not set out, whatever their fate."""
        plan = season.plan()
        for key in stay_at_home:
            plan["travellers"][key]["fate"] = "never_travels"
        write_durably(self.var / "plan.json", json.dumps(plan))


def write_durably(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace file *path* by *text*, whole or not at all."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _make(var: Path, terms: Terms, register: partners.Register) -> None:
    hub_port, simulators_port = _free_ports(2)
    holders = [p.id for p in register.enabled if p.role in ("agent", "company", "health")]
    api_keys = {holder: f"demo-{secrets.token_hex(24)}" for holder in (*holders, OPERATOR)}
    addresses, shared = {}, {}
    for partner in register.enabled:
        for name in partner.needs:
            if partner.signed_with and name in partner.signed_with:
                shared[name] = secrets.token_hex(32)
            elif name.endswith("_ROOT"):
                addresses[name] = str(var / "files")
            else:
                addresses[name] = f"http://127.0.0.1:{simulators_port}/{name.removesuffix('_URL').lower()}"
    if not (var / "keys.json").exists():
        Keys.generate(var / "keys.json")
    for partner in register.enabled:
        if any(op.channel == "files" for op in partner.operations.values()):
            for box in ("to_partner", "from_partner"):
                (var / "files" / partner.id / box).mkdir(parents=True, exist_ok=True)
    toml = [
        'var = "."', 'host = "127.0.0.1"', f"port = {hub_port}", 'keys = "keys.json"',
        'business_clock = "clock.json"', "test_mode = true", f"database_url = {json.dumps(terms.database_url)}",
        "calls_per_second = 0",
        *_table("addresses", addresses), *_table("secrets", shared),
        *_table("api_keys", {hashlib.sha256(key.encode()).hexdigest(): who for who, key in api_keys.items()}),
    ]  # fmt: skip
    write_durably(var / "hub.toml", "\n".join(toml) + "\n", 0o600)
    # Not by BusinessClock.set: the season may lie before today, and a clock that runs already does not go back.
    begun = {"business": START.isoformat(), "wall": datetime.now(UTC).isoformat()}
    write_durably(var / "clock.json", json.dumps(begun))
    kept = {
        "terms": asdict(terms),
        "hub_port": hub_port,
        "simulators_port": simulators_port,
        "api_keys": api_keys,
    }
    # Last, for it says that everything else is there.
    write_durably(var / "demo.json", json.dumps(kept), 0o600)


def _table(name: str, values: Mapping[str, str]) -> list[str]:
    # A JSON string is a TOML basic string.
    return [f"[{name}]", *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in sorted(values.items()))]


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
