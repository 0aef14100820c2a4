"""Rows as callers are told them: plain words, moments in ISO 8601, amounts as decimals; nothing that is sealed."""

from typing import Any

from hub.canonical.money import from_minor
from hub.store.database import Row, as_uuid
from hub.store.encoding import from_json, moment


def iso(at: int | None) -> str | None:
    return None if at is None else moment(at).isoformat()


def born(row: Row) -> str:
    """When a row was made, as its id says."""
    return moment((as_uuid(row["id"]).int >> 80) * 1000).isoformat()


def group(row: Row) -> dict[str, Any]:
    return {
        "id": str(as_uuid(row["id"])),
        **{name: row[name] for name in ("group_no", "agent", "company", "season", "heads", "state")},
        "agent_group_no": row["agent_ref"],
        "created": born(row),
        "changed": iso(row["changed_at"]),
    }


def bookings(row: Row) -> list[dict[str, Any]]:
    return [
        {
            "group": str(as_uuid(row["id"])),
            "group_no": row["group_no"],
            "kind": "housing" if line.startswith("H") else "transport",
            **{name: booking[name] for name in ("line", "state", "brn")},
        }
        for line, booking in from_json(row["bookings"]).items()
    ]


def named(row: Row) -> dict[str, Any]:
    return {
        "request": str(as_uuid(row["id"])),
        "request_no": row["request_no"],
        "group": str(as_uuid(row["group_id"])),
        "state": row["state"],
    }


def request(row: Row) -> dict[str, Any]:
    marks = from_json(row["marks"])
    return {
        "id": str(as_uuid(row["id"])),
        "request_no": row["request_no"],
        "group": str(as_uuid(row["group_id"])),
        "group_no": row["group_no"],
        "member": row["member"],
        "state": row["state"],
        "reason": row["end_reason"] or marks.get("reason"),
        "attempt": marks.get("attempt", 1),
        "created": born(row),
        "changed": iso(row["changed_at"]),
    }


def movement(row: Row) -> dict[str, Any]:
    marks = from_json(row["marks"]) if row["marks"] else {}
    return {
        "id": row["id"],
        "request": str(as_uuid(row["entity_id"])),
        "request_no": row["request_no"],
        "group": str(as_uuid(row["group_id"])),
        "kind": row["event"].removeprefix("pilgrim."),
        "port": marks.get("port") or marks.get("exit_port"),
        "happened": iso(row["happened_at"]),
        "learned": iso(row["recorded_at"]),
    }


def invoice(row: Row) -> dict[str, Any]:
    return {
        "id": str(as_uuid(row["id"])),
        "group": str(as_uuid(row["group_id"])),
        **{name: row[name] for name in ("group_no", "bill_no", "state", "currency")},
        "amount": str(from_minor(row["amount"], row["currency"])),
        "paid": str(from_minor(row["paid"], row["currency"])),
        "lines": [{"kind": kind, "amount": str(amount)} for kind, amount in from_json(row["body"])["lines"]],
        "issued": iso(row["issued_at"]),
        "expires": iso(row["expires_at"]),
        "changed": iso(row["changed_at"]),
    }


def payments(row: Row) -> list[dict[str, Any]]:
    body = from_json(row["body"])
    settled = body["marks"].get("settled", [])
    return [
        {
            "invoice": str(as_uuid(row["id"])),
            "group": str(as_uuid(row["group_id"])),
            "bill_no": row["bill_no"],
            "bank_reference": reference,
            "amount": str(amount),
            "currency": row["currency"],
            "kind": "reversal" if amount < 0 else "payment",
            "settled": reference in settled,
        }
        for reference, amount in body["payments"].items()
    ]


def exchange(row: Row) -> dict[str, Any]:
    return {
        "id": str(as_uuid(row["id"])),
        **{name: row[name] for name in (
            "partner", "operation", "direction", "state", "outcome", "code", "owner", "name", "sequence", "attempts",
        )},
        "subjects": row["subjects"],
        "created": iso(row["created_at"]),
        "settled": iso(row["settled_at"]),
    }  # fmt: skip


def subject(row: Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("kind", "key", "their_ref", "state", "outcome", "code", "owner")},
        "subject": row["subject_id"],
    }
