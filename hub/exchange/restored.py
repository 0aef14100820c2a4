"""A ledger that was restored, made ready to go on: what may have been sent since its backup is asked about first.

The partners have gone on without us.  An exchange that waits in the backup may have been sent after it, and so may a
subject that stood in no exchange yet.  Both are put where a process that died in the middle of sending leaves them, and
the start of the hub does the rest: it enquires, sends again under the same key, or leaves it to a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, func, insert, select, update

from hub.canonical.errors import HubError
from hub.canonical.ids import new_id
from hub.partners import Operation, Register, load
from hub.settings import Settings
from hub.store import overlay
from hub.store.encoding import micros
from hub.store.ledger import Moment
from hub.store.tables import audit, exchange, exchange_subject, incident, partner_overlay, sequence

#: Numbers that people and partners know a group, its bill and a request by.  What was given out after the backup must
#: not be given to somebody else: a payment would find the wrong bill.
NUMBERS = ("group", "request")
SKIPPED = 1_000_000
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was done: exchanges that are in doubt now, subjects that are, and where the streams of files stand.

    ``received`` and ``sent`` have the last number of each numbered stream, by ``partner/operation``.
    """

    exchanges: int
    subjects: int
    received: Mapping[str, int]
    sent: Mapping[str, int]


def prepare(
    connection: Connection, register: Register, at: Moment, *, made_at: datetime, actor: str, sent: Mapping[str, int]
) -> Prepared:
    """Prepare the ledger behind *connection*, in its transaction, for *actor*, who restores a backup *made_at*.

    *sent* has the last number that a partner has received of a numbered stream of ours (``partner/operation``), where
    somebody asked the partner.  Raises ``stream_unknown`` for a stream that the ledger does not have, ``stream_back``
    for a number below the ledger's own.
    """
    _free_claims(connection)
    exchanges = connection.execute(
        update(exchange)
        .where(exchange.c.direction == "out", exchange.c.state.in_(("waiting", "leased", "held", "sending")))
        .values(state="sending", code="restored", owner=None, next_at=None)
    ).rowcount
    subjects = _ask_about_the_unfrozen(connection, register, at)
    _skip_numbers(connection)
    _set_sent(connection, sent)
    connection.execute(
        insert(incident).values(
            id=new_id(), kind="store", code="restored", owner="operator", raised_at=at.wall, business_at=at.business
        )
    )
    _audit(connection, at.wall, actor, "store.restore", made_at.isoformat(timespec="seconds"))
    return Prepared(exchanges, subjects, _streams(connection, "in/"), _streams(connection, "out/"))


def register_in(connection: Connection, settings: Settings) -> Register:
    """The partners as the ledger behind *connection* has them: the files, and what was laid over them in it."""
    rows = connection.execute(select(partner_overlay).order_by(partner_overlay.c.id)).mappings()
    return load(settings, [overlay.overlaid(dict(row)) for row in rows])


def moved(connection: Connection, actor: str, at: datetime) -> None:
    """Make ready a ledger that *actor* has brought here with nothing sent meanwhile."""
    _free_claims(connection)
    _audit(connection, micros(at), actor, "store.copy", None)


def _free_claims(connection: Connection) -> None:
    """Workers are counted anew here: nobody must take the claim of another of the same number for its own."""
    connection.execute(update(exchange).where(exchange.c.worker.is_not(None)).values(worker=None, lease_until=None))


def _audit(connection: Connection, at: int, actor: str, action: str, entity: str | None) -> None:
    values = {"recorded_at": at, "actor": actor, "action": action, "entity": entity, "exchange_id": None}
    connection.execute(insert(audit).values(values))


def _ask_about_the_unfrozen(connection: Connection, register: Register, at: Moment) -> int:
    """Give each subject that must not simply be sent an exchange of its own, without bytes, that is being sent."""
    found = connection.execute(
        select(
            exchange_subject.c.id, exchange_subject.c.partner, exchange_subject.c.operation, exchange_subject.c.urgency
        ).where(
            exchange_subject.c.exchange_id.is_(None),
            exchange_subject.c.state == "open",
            exchange_subject.c.enquires.is_(None),
        )
    ).all()
    asked = [row for row in found if _to_be_asked(register, row.partner, row.operation)]
    freeze = (
        update(exchange_subject)
        .where(exchange_subject.c.id == bindparam("subject_row"))
        .values(exchange_id=bindparam("frozen_in"))
    )
    for start in range(0, len(asked), _BATCH):
        pairs = [(row, new_id()) for row in asked[start : start + _BATCH]]
        connection.execute(insert(exchange), [_placeholder(exchange_id, row, at) for row, exchange_id in pairs])
        connection.execute(freeze, [{"subject_row": row.id, "frozen_in": exchange_id} for row, exchange_id in pairs])
    return len(asked)


def _to_be_asked(register: Register, partner: str, name: str) -> bool:
    """Whether a second sending could do harm, or the partner can tell us that there is nothing left to send.  Of an
    operation that no manifest names any more nobody can say, so it is asked about when the manifest is back."""
    known = register.partners.get(partner)
    operation: Operation | None = known.operations.get(name) if known else None
    return operation is None or operation.enquiry is not None or operation.repeat == "never"


def _placeholder(exchange_id: UUID, subject: Any, at: Moment) -> dict[str, Any]:
    return {
        "id": exchange_id, "open": True, "partner": subject.partner, "operation": subject.operation, "direction": "out",
        "state": "sending", "code": "restored", "subjects": 1, "urgency": subject.urgency, "next_at": None,
        "created_at": at.wall, "business_at": at.business,
    }  # fmt: skip


def _skip_numbers(connection: Connection) -> None:
    connection.execute(update(sequence).where(sequence.c.name.in_(NUMBERS)).values(value=sequence.c.value + SKIPPED))
    there = set(connection.execute(select(sequence.c.name).where(sequence.c.name.in_(NUMBERS))).scalars())
    for name in NUMBERS:
        if name not in there:
            connection.execute(insert(sequence).values(name=name, value=SKIPPED))


def _set_sent(connection: Connection, sent: Mapping[str, int]) -> None:
    there = _streams(connection, "out/")
    for stream, number in sent.items():
        name = "out/" + stream
        if stream not in there:
            raise HubError("stream_unknown", name=stream)
        if number < there[stream]:
            raise HubError("stream_back", name=stream, found=number, expected=there[stream])
        connection.execute(update(sequence).where(sequence.c.name == name).values(value=number))


def _streams(connection: Connection, side: str) -> dict[str, int]:
    found = connection.execute(
        select(sequence.c.name, sequence.c.value)
        .where(func.substr(sequence.c.name, 1, len(side)) == side)
        .order_by(sequence.c.name)
    )
    return {name.removeprefix(side): value for name, value in found}
