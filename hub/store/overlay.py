"""What is laid over the partners' files, in the database: partners added live, switched on or off, or to test."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hub.canonical.errors import HubError
from hub.partners import Overlaid
from hub.store.database import Row, Statement, Transaction, inserting, looking
from hub.store.tables import audit, partner_overlay, sequence

#: The sequence that counts the changes: who has seen its value has seen them all.
VERSION = "partners"

_rows = Statement(select(partner_overlay).order_by(partner_overlay.c.id))
_put = inserting(partner_overlay, replace=True)
_version = Statement(select(sequence.c.value).where(sequence.c.name == VERSION))
_set_version = inserting(sequence, replace=True)
_audit = inserting(audit)


def version(tx: Transaction) -> int:
    """How often the overlay has changed."""
    row = tx.one(_version)
    return 0 if row is None else int(row[0])


def rows(tx: Transaction) -> list[Overlaid]:
    return [overlaid(row) for row in tx.all(_rows)]


def put(tx: Transaction, at: int, was: Iterable[Overlaid], now: Iterable[Overlaid], actor: str) -> int:
    """Write what differs between *was* and *now*, each with who did it; answers the new version.

    *at* is wall time in microseconds.
    """
    before = {one.id: one for one in was}
    for one in now:
        old = before.get(one.id)
        if one == old:
            continue
        tx.put(
            _put, id=one.id, row=None if one.row is None else json.dumps(one.row, ensure_ascii=False),
            enabled=one.enabled, mode=one.mode, suspended=one.suspended,
            certificates=None if one.certificates is None else " ".join(one.certificates),
            origin=one.origin, line=one.line, changed_at=at, changed_by=actor,
        )  # fmt: skip
        for action in _actions(old, one):
            tx.put(_audit, recorded_at=at, actor=actor, action=action, entity=one.id, exchange_id=None)
    number = version(tx) + 1
    tx.put(_set_version, name=VERSION, value=number)
    return number


def stored(store: Path | str) -> list[Overlaid]:
    """The overlay of *store*, read beside whoever has it open; none where there is no store yet."""
    try:
        with looking(store) as tx:
            return rows(tx)
    except HubError as error:
        if error.code == "store_missing":
            return []
        raise


def overlaid(row: Row | Mapping[str, Any]) -> Overlaid:
    """What a row of the table says."""
    return Overlaid(
        id=row["id"],
        row=None if row["row"] is None else json.loads(row["row"]),
        enabled=None if row["enabled"] is None else bool(row["enabled"]),
        mode=row["mode"],
        suspended=None if row["suspended"] is None else bool(row["suspended"]),
        certificates=None if row["certificates"] is None else tuple(row["certificates"].split()),
        origin=row["origin"],
        line=row["line"],
    )


def _actions(old: Overlaid | None, new: Overlaid) -> Iterable[str]:
    if new.row is not None and (old is None or old.row is None):
        yield "partner.add"
    if new.enabled is not None and new.enabled != (old.enabled if old else None):
        yield "partner.enable" if new.enabled else "partner.disable"
    if new.mode is not None and new.mode != (old.mode if old else None):
        yield f"partner.{new.mode}"
    if new.suspended is not None and new.suspended != (old.suspended if old else None):
        yield "partner.suspend" if new.suspended else "partner.resume"
    if new.certificates is not None and new.certificates != (old.certificates if old else None):
        yield "partner.certificates"
