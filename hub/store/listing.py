"""The ledger as a list: each exchange with what became of its subjects and whether it stands in the audit.

It holds no bytes and names nobody: partners, operations, our own keys and ids.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select

from hub.store.database import Row, Statement, Transaction, as_uuid
from hub.store.encoding import moment
from hub.store.tables import audit, exchange, exchange_subject

_COLUMNS = (
    exchange.c.id, exchange.c.partner, exchange.c.operation, exchange.c.direction, exchange.c.state, exchange.c.outcome,
    exchange.c.code, exchange.c.owner, exchange.c.name, exchange.c.sequence, exchange.c.attempts, exchange.c.next_at,
    exchange.c.created_at, exchange.c.settled_at,
)  # fmt: skip
_page = Statement(
    select(*_COLUMNS).where(exchange.c.id > bindparam("after")).order_by(exchange.c.id).limit(bindparam("most"))
)
_SUBJECT = (
    exchange_subject.c.exchange_id, exchange_subject.c.partner, exchange_subject.c.operation, exchange_subject.c.key,
    exchange_subject.c.kind, exchange_subject.c.subject_id, exchange_subject.c.state, exchange_subject.c.outcome,
    exchange_subject.c.code, exchange_subject.c.owner, exchange_subject.c.enquires, exchange_subject.c.not_before,
)  # fmt: skip
_subjects = Statement(
    select(*_SUBJECT)
    .where(exchange_subject.c.exchange_id > bindparam("after"), exchange_subject.c.exchange_id <= bindparam("last"))
    .order_by(exchange_subject.c.id)
)
_audited = Statement(
    select(audit.c.exchange_id, audit.c.action).where(
        audit.c.exchange_id > bindparam("after"), audit.c.exchange_id <= bindparam("last")
    )
)
_unfrozen = Statement(
    select(*_SUBJECT)
    .where(exchange_subject.c.exchange_id.is_(None), exchange_subject.c.settled_at.is_(None))
    .order_by(exchange_subject.c.id)
    .limit(bindparam("most"))
)
#: Before every id.
FIRST = UUID(int=0)


def exchanges(tx: Transaction, after: UUID, most: int, *, audited: bool = False) -> list[dict[str, Any]]:
    """The *most* exchanges that came after the one of id *after*, in the order in which they were made.

    With *audited* each tells under which names it stands in the audit; that reads the whole audit, page by page.
    """
    rows = tx.all(_page, after=after, most=most)
    if not rows:
        return []
    span = {"after": after, "last": as_uuid(rows[-1]["id"])}
    subjects: dict[UUID, list[dict[str, Any]]] = {}
    for row in tx.all(_subjects, **span):
        subjects.setdefault(as_uuid(row["exchange_id"]), []).append(_subject(row))
    actions: dict[UUID, list[str]] = {}
    for row in tx.all(_audited, **span) if audited else ():
        actions.setdefault(as_uuid(row["exchange_id"]), []).append(row["action"])
    return [
        {
            "id": str(as_uuid(row["id"])),
            **{name: row[name] for name in (
                "partner", "operation", "direction", "state", "outcome", "code", "owner", "name", "sequence",
                "attempts",
            )},
            "next": _iso(row["next_at"]),
            "created": _iso(row["created_at"]),
            "settled": _iso(row["settled_at"]),
            "subjects": subjects.get(as_uuid(row["id"]), []),
            **({"audit": actions.get(as_uuid(row["id"]), [])} if audited else {}),
        }
        for row in rows
    ]  # fmt: skip


def waiting(tx: Transaction, most: int) -> list[dict[str, Any]]:
    """The first *most* subjects that wait for an exchange of their own, the oldest first."""
    return [
        {"partner": row["partner"], "operation": row["operation"], **_subject(row)}
        for row in tx.all(_unfrozen, most=most)
    ]


def _subject(row: Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("key", "kind", "state", "outcome", "code", "owner")},
        "subject": row["subject_id"],
        "enquiry": row["enquires"] is not None,
        "not_before": _iso(row["not_before"]),
    }


def _iso(at: int | None) -> str | None:
    return None if at is None else moment(at).isoformat()
