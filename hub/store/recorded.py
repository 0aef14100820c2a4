"""The bytes that have crossed the wire, read out of the store of a hub that may be running."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal

from sqlalchemy import bindparam, select

from hub.security.sealing import Sealer
from hub.store.database import Statement, as_uuid, looking
from hub.store.encoding import micros, moment
from hub.store.tables import exchange, payload

_recorded = Statement(
    select(
        exchange.c.partner, exchange.c.direction, exchange.c.business_at,
        payload.c.id, payload.c.wrapped, payload.c.sealed,
    )
    .join(payload, payload.c.exchange_id == exchange.c.id)
    .where(
        exchange.c.operation == bindparam("operation"),
        exchange.c.business_at >= bindparam("since"),
        payload.c.kind == bindparam("kind"),
    )
    .order_by(exchange.c.id, payload.c.id)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message as it stood on the wire.  ``body`` may identify people: it goes into no log and no report."""

    partner: str
    written: bool
    at: datetime
    body: bytes


def recorded(
    store: Path | str, sealer: Sealer, *, operation: str, kind: Literal["request", "reply"], since: datetime
) -> Iterator[Recorded]:
    """The recorded messages of *operation* since *since* (business time), the oldest first; nothing is disturbed.

    ``written`` says that the hub wrote it: requests of outgoing exchanges, replies to incoming ones.  Raises HubError
    where *store* is none that this version reads.
    """
    with looking(store) as tx:
        rows = tx.each(_recorded, operation=operation, since=micros(since), kind=kind)
        # The pieces of a large body follow each other and have one key.
        for wrapped, pieces in groupby(rows, itemgetter("wrapped")):
            key, body = sealer.unwrap(wrapped), b""
            for row in pieces:
                body += sealer.open(key, row["sealed"], as_uuid(row["id"]).bytes)
            yield Recorded(
                partner=row["partner"],
                written=(row["direction"] == "out") == (kind == "request"),
                at=moment(row["business_at"]),
                body=body,
            )
