"""``hub doctor``: what is wrong with this installation, and what to do about it.

Every check reads and changes nothing, so it may be run beside a hub at work.
"""

import importlib.metadata
import os
import platform
import re
import socket
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography import x509

from hub import partners, settings
from hub.canonical.errors import HubError, catalogue, explain
from hub.channels.contract import check_contract
from hub.clock import Clock, ClockError
from hub.journey import Rules
from hub.partners import Register, RegisterFaults
from hub.security.keys import Keys
from hub.settings import ConfigError, Settings
from hub.store.database import looking
from hub.store.postgres import Postgres

Level = Literal["ok", "warning", "error"]

#: Patch releases below which the standard library has known holes that files from outside could reach
#: (CVE-2024-0450, CVE-2025-4517, CVE-2025-8194).
SOUND_PYTHON = {11: 17, 12: 15, 13: 16}
#: Free bytes below which the store's disk wants attention, and below which the hub should not start.
SPARE_DISK, LEAST_DISK = 2_000_000_000, 200_000_000
#: How long before a certificate ends a new one is to be had.
SOON = timedelta(days=30)
#: Each file of certificates of a partner's row: what it is, and what to do before it ends.
_CERTIFICATES = {
    "ca": (
        "the authority by which it is known",
        "Ask it for the new authority and put that into the file beside the old.",
    ),
    "cert": ("the certificate that we show it", "Have a new one issued, tell the partner, and put it into the file."),
    "signers": (
        "the certificate that it signs with",
        "Ask it for the new one and put that into the file beside the old.",
    ),
}
_FLOOR = re.compile(r"([A-Za-z0-9_.-]+)\s*(.*)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what was found, and, unless it is well, what to do."""

    level: Level
    area: str
    found: str
    todo: str = ""


def examine(path: Path | None, env: Mapping[str, str] = os.environ) -> list[Finding]:
    """Everything, in the order in which a hub needs it.  *path* is the settings file (None: the usual one)."""
    findings = [*_python(), *_packages(), *_zones()]
    if env.get("FLASK_DEBUG", "0") not in ("", "0", "false", "no"):
        findings.append(_of(HubError("debug_on", name="FLASK_DEBUG"), "web"))
    try:
        found = settings.load(path, env)
    except ConfigError as wrong:
        return [*findings, _of(wrong, "settings")]
    findings += _settings_file(settings.file_named(path, env) or found.home / "hub.toml")
    for check in (_disk, _keys, _store, _clock, _rules, _port):
        findings += check(found)
    try:
        register = partners.load(found)
    except RegisterFaults as wrong:
        todo = "Mend the file at that line; nothing is sent to anybody until all of them load."
        return findings + [Finding("error", "partners", str(fault), todo) for fault in wrong.faults]
    return [
        *findings,
        *_register(register),
        *_certificates(found, register),
        *_contracts(register),
        *_api_keys(found, register),
    ]


def _of(error: Any, area: str, level: Level = "error") -> Finding:
    """A coded error as a finding: the catalogue says both what is wrong and what to do."""
    entry = catalogue().get(error.code)
    text = explain(entry.en, error.where) if entry else str(error)
    first, _, rest = text.partition(". ")
    return Finding(level, area, first.rstrip(".") + ".", rest or "Put it right, then run `hub doctor` again.")


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    needed = SOUND_PYTHON.get(sys.version_info.minor)
    if needed is not None and sys.version_info.micro < needed:
        todo = f"Known holes are closed in 3.{sys.version_info.minor}.{needed}; update when you can, then `make setup`."
        yield Finding("warning", "python", f"Python {version}", todo)
    else:
        yield Finding("ok", "python", f"Python {version}")


def _packages() -> Iterator[Finding]:
    try:
        wanted = importlib.metadata.requires("umrah-hub") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("warning", "packages", "The hub runs from a checkout that is not installed.", "Run `make setup`.")
        return
    wrong = 0
    for line in (line for line in wanted if "extra ==" not in line):
        match = _FLOOR.match(line)
        assert match is not None
        name, rules = match[1], match[2].split(";")[0]
        try:
            have = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            have = ""
        if not have or not all(_meets(have, rule.strip()) for rule in rules.split(",") if rule.strip()):
            wrong += 1
            yield Finding(
                "error", "packages", f"{name} {have or 'is missing'}; {rules.strip()} is needed", "`make setup`"
            )
    if not wrong:
        yield Finding("ok", "packages", "Every library is there and new enough.")


def _meets(version: str, rule: str) -> bool:
    number = tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])
    wanted = tuple(int(part) for part in re.findall(r"\d+", rule))
    return number >= wanted if rule.startswith(">=") else number < wanted


def _zones() -> Iterator[Finding]:
    try:
        ZoneInfo("Asia/Riyadh")
    except ZoneInfoNotFoundError:
        yield Finding("error", "time", "There is no time zone data on this machine.", "`make setup` installs tzdata.")


def _settings_file(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("ok", "settings", "No settings file: the defaults and HUB_* of the environment apply.")
    elif path.stat().st_mode & 0o077:
        found = f"{path.name} can be read by others, and may hold secrets."
        yield Finding("error", "settings", found, f"chmod 600 {path}")
    else:
        yield Finding("ok", "settings", f"{path.name} is read, and by its owner only.")


def _disk(found: Settings) -> Iterator[Finding]:
    folder = found.var
    if not folder.exists():
        yield Finding("ok", "disk", f"{folder} is made when the hub first starts.")
        folder = next(parent for parent in folder.parents if parent.exists())
    if not os.access(folder, os.W_OK):
        yield Finding("error", "disk", f"{folder} cannot be written to.", "Give it to the user that runs the hub.")
    for place in (folder, *found.disks):
        if not place.exists():
            yield Finding("error", "disk", f"{place} is not there.", "Correct `disks` in the settings.")
            continue
        disk = os.statvfs(place)
        free, percent = disk.f_bavail * disk.f_frsize, 100 * disk.f_bavail / max(disk.f_blocks, 1)
        said = f"{free / 1e9:.1f} GB ({percent:.0f} %) free for {'the store' if place is folder else place}."
        if percent < found.intake_free or free < LEAST_DISK:
            todo = f"Make room: below {found.intake_free} % the hub takes nothing new; it goes on by itself."
            yield Finding("error", "disk", said, todo)
        elif percent < 2 * found.intake_free or free < SPARE_DISK:
            todo = f"Make room before {found.intake_free} % is reached: the hub then takes nothing new."
            yield Finding("warning", "disk", said, todo)
        else:
            yield Finding("ok", "disk", said)


def _keys(found: Settings) -> Iterator[Finding]:
    try:
        keys = Keys.load(found.keys)
    except HubError as wrong:
        yield _of(wrong, "keys")
    else:
        yield Finding("ok", "keys", f"Sealing keys: {len(keys.sealing)}, number {keys.current} in use; mode 0600.")


def _store(found: Settings) -> Iterator[Finding]:
    if isinstance(found.store, Path):
        yield from _file(found.store)
    else:
        yield from _server(found.store)


def _server(url: str) -> Iterator[Finding]:
    backend = Postgres(url)
    try:
        backend.prepare()
        with looking(url):
            pass
    except HubError as wrong:
        yield _of(wrong, "store")
    except Exception as wrong:
        # What the driver says may quote the address and who we are.
        said = f"The database cannot be reached ({type(wrong).__name__})."
        yield Finding("error", "store", said, "Look at HUB_DATABASE_URL, the server and the way to it.")
    else:
        yield Finding("ok", "store", "PostgreSQL: reached, this version's schema, and it keeps what it confirms.")


def _file(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("ok", "store", "No database yet: it is made when the hub first starts.")
        return
    if path.stat().st_mode & 0o077:
        yield Finding("error", "store", f"{path.name} can be read by others.", f"chmod 600 {path}")
    restore = "Stop the hub, keep a copy of the folder, restore the last backup."
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        with looking(path):
            pass
    except sqlite3.Error as wrong:
        yield Finding("error", "store", f"{path.name} cannot be opened ({wrong.sqlite_errorname}).", restore)
        return
    except HubError as wrong:
        yield _of(wrong, "store")
    if mode != "wal":
        said = f"{path.name} is in journal mode {mode}, not WAL."
        yield Finding("error", "store", said, "Something else has opened it; start the hub, it sets the mode back.")
    if sound != "ok":
        yield Finding("error", "store", f"{path.name} is damaged.", restore)
    elif mode == "wal":
        yield Finding("ok", "store", f"{path.name}: sound, in WAL mode; the writer commits with synchronous=FULL.")


def _clock(found: Settings) -> Iterator[Finding]:
    clock = Clock(found.business_clock)
    try:
        business, wall = clock.now(), clock.wall()
    except ClockError as wrong:
        yield _of(wrong, "clock")
        return
    made = Path(__file__).stat().st_mtime
    if wall.timestamp() < made - 86_400:
        todo = "Set the machine's clock and keep it by NTP: signatures are refused beyond 300 seconds."
        yield Finding("error", "clock", f"The wall clock ({wall:%Y-%m-%d %H:%M}Z) is older than the hub itself.", todo)
        return
    follows = "follows its file" if found.business_clock else "is wall time"
    yield Finding("ok", "clock", f"Business time {follows}: {business:%Y-%m-%d %H:%M}Z.")
    if found.business_clock and not found.test_mode:
        todo = "Take `business_clock` out of hub.toml: only a demonstration moves the clock."
        yield Finding("error", "clock", "A live installation follows a business clock file.", todo)


def _rules(found: Settings) -> Iterator[Finding]:
    try:
        Rules.load(found.rules)
    except HubError as wrong:
        yield _of(wrong, "rules")
    else:
        yield Finding("ok", "rules", "The season's rules load.")


def _port(found: Settings) -> Iterator[Finding]:
    with socket.socket() as probe:
        probe.settimeout(1)
        taken = probe.connect_ex((found.host, found.port)) == 0
    where = f"{found.host}:{found.port}"
    said = f"{where} answers: a hub at work, or something else that has its port." if taken else f"{where} is free."
    yield Finding("ok", "web", said)


def _register(register: Register) -> Iterator[Finding]:
    counts = f"{len(register.adapters)} adapters, {len(register.partners)} partners, {len(register.maps)} maps"
    yield Finding("ok", "partners", f"{counts} and {len(register.schedules)} schedules load.")
    spoken = {adapter.id for partner in register.enabled for adapter in partner.adapters}
    for id in sorted(register.adapters.keys() - spoken):
        if not register.speaking(id):
            todo = "`hub partner add`, or a row in partners.yaml; until then what it would send is sent to nobody."
            yield Finding("warning", "partners", f"No partner has adapter {id}.", todo)
    for id in sorted(register.drafts):
        todo = f"`hub adapter check {id}` says what is still to do."
        yield Finding("warning", "partners", f"Adapter {id} is a draft, which the hub leaves alone.", todo)
    wanting = [partner for partner in register.enabled if partner.missing]
    names = sorted({name for partner in wanting for name in partner.missing})
    if wanting:
        said = f"{len(wanting)} partners cannot be reached: {', '.join(names)} not set."
        todo = "Set HUB_ADDRESS_… or HUB_SECRET_… for each, or [addresses] and [secrets] of hub.toml."
        yield Finding("warning", "partners", said, todo)


def _certificates(found: Settings, register: Register) -> Iterator[Finding]:
    """Partners that can be reached today and cannot be soon, for want of a new certificate."""
    now, well = Clock(found.business_clock).wall(), 0
    for partner in register.enabled:
        if partner.missing:
            continue  # the register has said so
        for kind, path in partner.certificate_files.items():
            what, todo = _CERTIFICATES[kind]
            said = f"{partner.id}: {what} ({path.name})"
            try:
                ends = [one.not_valid_after_utc for one in x509.load_pem_x509_certificates(path.read_bytes())]
            except (OSError, ValueError):
                yield Finding("error", "certificates", f"{said} cannot be read.", f"Put a PEM file at {path}.")
                continue
            # Ours is as good as the first of its chain; of those that we trust the new one stands beside the old.
            end = min(ends) if kind == "cert" else max(ends)
            if end <= now:
                yield Finding("error", "certificates", f"{said} ended on {end:%Y-%m-%d}.", todo)
            elif end <= now + SOON:
                yield Finding("warning", "certificates", f"{said} ends on {end:%Y-%m-%d}.", todo)
            else:
                well += 1
    if well:
        yield Finding("ok", "certificates", f"Files with certificates good for {SOON.days} days or more: {well}.")


def _contracts(register: Register) -> Iterator[Finding]:
    wrong = spoken = 0
    for adapter in register.adapters.values():
        for operation in adapter.operations.values():
            if operation.channel != "soap":
                continue
            try:
                check_contract(operation.folder, operation.wire, operation.driver)
                spoken += 1
            except HubError as fault:
                wrong += 1
                yield _of(fault, f"contract {adapter.id}")
    if not wrong:
        yield Finding("ok", "contracts", f"{spoken} SOAP operations are in their WSDLs; no file differs from its hash.")


def _api_keys(found: Settings, register: Register) -> Iterator[Finding]:
    holders = set(found.api_keys.values())
    for name in sorted(holders - set(register.partners) - {"operator"}):
        todo = "Take the key out of [api_keys], or add the partner's row."
        yield Finding("warning", "api keys", f"A key is held by '{name}', who is no partner.", todo)
    if holders:
        yield Finding("ok", "api keys", f"Keys: {len(found.api_keys)}, holders: {len(holders)}; kept as SHA-256 only.")
    else:
        todo = "Make one for each agent and company with `hub key new`: see docs/access.md."
        yield Finding("warning", "api keys", "No API key is in the settings; `hub key list` tells the others.", todo)
