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
        "signing": [
            text for kind, text in _signing(one).items() if any(op.wire.get("signed") == kind for op in operations)
        ],
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
            for entry in _codes(register, operations)
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
        + found["signing"],
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
            f"{one['code']} ({one['status']}, {one['who']}): {one['en']} · {one['ar']}" for one in found["error_codes"]
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
    if op.direction == "in" and op.channel == "soap":
        address = f"{hub}/v1/soap/{one.id}/{op.adapter}"
        return told | {"method": op.wire["operation"], "address": address, "contract": f"{address}?wsdl"}
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


def _signing(one: Partner) -> Mapping[str, str]:
    """How calls are signed, by the word that the manifest has for it."""
    token = f"UsernameToken, PasswordDigest, user {one.id}"
    by = "X.509 signature over Body and Timestamp" if one.signers else token
    digest = "HMAC-SHA256 in hex of 't.n.' and the body"
    return {
        "hmac": f"X-Hub-Signature: t=UNIX SECONDS,n=NONCE,v1={digest}; within 300 s, once",
        "wsse": f"WS-Security: {by}; within 300 s, once",
    }


def _codes(register: Register, operations: Sequence[Operation]) -> Iterator[Any]:
    """The codes that this partner's desk may have to act on."""
    inward = [op for op in operations if op.direction == "in"]
    channels = {op.channel for op in inward}
    formats = {register.map(op.adapter, op.name, "request").format for op in inward if op.channel != "api"}
    told = {event.partition(".")[0] for op in inward for event in op.gives.values()}
    sent, paid = len(inward) < len(operations), "payment" in told
    booked, travels = bool(told & {"housing", "transport"}), bool(told & {"pilgrim", "visa", "reference"})
    #: By the beginning of a code, the longer first, whether it can concern whoever has these operations.
    concerns = {
        "signature_soap_": "soap" in channels, "signature_missing": bool(channels & {"rest", "api"}),
        "signature_wrong": bool(channels & {"rest", "api"}), "signature_": bool(channels & {"rest", "api", "soap"}),
        "soap_fault": any(op.channel == "soap" for op in operations if op not in inward), "soap_": "soap" in channels,
        "xml_": "xml" in formats, "edifact_": "edifact" in formats,
        "mt_": any(one.startswith("mt9") for one in formats), "file_": "files" in channels,
        "map_length": bool(formats & {"fixed", "csv"}), "map_record": bool(formats & {"fixed", "csv", "edifact"}),
        "partner_": sent, "reply_": sent, "acknowledgement_": sent,
        "payment_": paid, "refund_": paid, "reversal_": paid, "settlement_": paid, "money_": paid, "currency_": paid,
        "callback_": False, "certificate_failed": False,  # of those who subscribe to webhooks, and of agents
        "booking_": booked, "brn_": booked, "unknown_line": booked,
        "border_": travels, "exit_": travels, "stay_": travels, "visa_": travels, "reference_": travels,
        "unknown_request": travels, "unknown_id": travels or booked,
    }  # fmt: skip
    for entry in catalogue().values():
        prefix = next((one for one in concerns if entry.code.startswith(one)), None)
        if entry.who in ("partner", "bank") and (bool(inward) if prefix is None else concerns[prefix]):
            yield entry
