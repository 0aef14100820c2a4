"""One partner on one page: what its desk and ours must know of each other."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hub.canonical.errors import catalogue
from hub.partners import Operation, Partner, Register
from hub.settings import ConfigError, Settings


def sheet(register: Register, one: Partner, settings: Settings) -> dict[str, Any]:
    """Everything about *one*, as data.  Secrets are named, never shown."""
    hub = settings.addresses.get("HUB_URL") or f"http://{settings.host}:{settings.port}"
    operations = list(one.operations.values())
    return {
        "id": one.id,
        "name": one.name,
        "is": one.mode if one.enabled else "off",
        "role": one.role,
        "zone": one.zone,
        "serves": one.serves,
        "contact": one.contact,
        "endpoints": [_endpoint(one, op, hub) for op in operations],
        "keys": [{"setting": name, "set": name not in one.missing} for name in one.needs],
        "signing": "HMAC-SHA256 over time, nonce and body" if any(op.wire.get("signed") for op in operations) else None,
        "calendar": [
            {
                "schedule": s.name, "what": s.what, "cron": s.cron, "zone": s.zone.key,
                "late_after_s": s.late_after, "controls": s.controls,
            }
            for s in register.schedules.values()
            if s.partner.id == one.id
        ],
        "cut_offs": [
            {"operation": op.name, "at_most": op.batch.max, "held_s": op.batch.within} for op in operations if op.batch
        ],
        "limits": dataclasses.asdict(one.limits),
        "contracts": [
            {
                "adapter": adapter.id, "file": adapter.contract.name,
                "sha256": hashlib.sha256(adapter.contract.read_bytes()).hexdigest(), "purpose": adapter.purpose,
            }
            for adapter in one.adapters
        ],
        "error_codes": [
            {"code": entry.code, "status": entry.status, "en": entry.en, "ar": entry.ar, "who": entry.who}
            for entry in _codes(operations)
        ],
    }  # fmt: skip


def lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The page as rows of a heading, once for what stands under it, and a text."""
    limits = found["limits"]
    parts: Mapping[str, Sequence[str]] = {
        "is": [f"{found['is']}; {found['role']}, zone {found['zone']}"],
        "serves": [f"{word}: {', '.join(codes)}" for word, codes in found["serves"].items()],
        "contact": [f"{name}: {value}" for name, value in found["contact"].items()],
        "endpoints": [_told(one) for one in found["endpoints"]],
        "keys": [f"{one['setting']}: {'set' if one['set'] else 'not set here'}" for one in found["keys"]]
        + ([found["signing"]] if found["signing"] else []),
        "calendar": [
            f"{one['what']}: {one['cron']} ({one['zone']}), late after {one['late_after_s'] / 60:g} min"
            for one in found["calendar"]
        ],
        "cut-offs": [
            f"{one['operation']}: at most {one['at_most']} together, held {one['held_s']:g} s"
            for one in found["cut_offs"]
        ],
        "limits": [
            f"{limits['concurrency']} calls at once, {limits['per_second']} a second, {limits['timeout']:g} s for one"
        ],
        "contracts": [f"{one['adapter']}: {one['file']}, sha256 {one['sha256']}" for one in found["contracts"]],
        "error codes": [
            text
            for one in found["error_codes"]
            for text in (f"{one['code']} ({one['status']}, {one['who']}): {one['en']}", one["ar"])
        ],
    }
    for heading, texts in parts.items():
        for number, text in enumerate(texts):
            yield ("" if number else heading), text


def _endpoint(one: Partner, op: Operation, hub: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operation": op.name, "direction": op.direction, "channel": op.channel, "when": op.when,
        "repeat": op.repeat, "outcomes": dict(op.gives),
    }  # fmt: skip
    if op.channel == "files":
        told["file"] = op.wire["name"].replace("{partner}", one.id)
    if op.direction == "in" and op.channel == "rest":
        return told | {"method": op.wire["method"], "address": f"{hub}/v1/partners/{one.id}{op.wire['path']}"}
    if op.direction == "in" and op.channel == "api":
        return told | {"address": f"{hub}/v1"}
    try:
        if op.channel == "files":
            told["address"] = str(one.folder("to_partner" if op.direction == "out" else "from_partner"))
        else:
            told["address"] = one.target(op).endpoint + op.wire.get("path", "")
    except ConfigError:
        told["address"] = (one.address or "") + op.wire.get("path", "")
    if op.channel in ("rest", "soap"):
        told["method"] = op.wire.get("method", "POST")
    return told


def _told(one: Mapping[str, Any]) -> str:
    way = "to them" if one["direction"] == "out" else "to us"
    where = " ".join(str(one[name]) for name in ("method", "address", "file") if one.get(name))
    outcomes = ", ".join(one["outcomes"])
    return f"{way}: {one['operation']} ({one['channel']}) {where}" + (f" → {outcomes}" if outcomes else "")


def _codes(operations: Sequence[Operation]) -> Iterator[Any]:
    """The codes that this partner's desk may have to act on."""
    files = any(op.channel == "files" and op.direction == "in" for op in operations)
    calls = any(op.channel in ("rest", "api") and op.direction == "in" for op in operations)
    sent = any(op.direction == "out" for op in operations)
    for entry in catalogue().values():
        if entry.who not in ("partner", "bank"):
            continue
        if entry.code.startswith("file_"):
            wanted = files
        elif entry.code.startswith("signature_"):
            wanted = calls
        elif entry.code.startswith(("partner_", "reply_")):
            wanted = sent
        else:
            wanted = files or calls
        if wanted:
            yield entry
