"""What a partner has yet to confirm: an outcome file, a booking's status, what became of a transfer.

A row stands for one subject until the partner speaks of it.  It is there before the first byte leaves, for a partner
may be faster than our own note of the delivery; its time runs from that note on.  What is past its time is put before
whoever must ring the partner, once an exchange, and the incident ends by itself when the last of them is heard of.
"""

from uuid import UUID

from sqlalchemy import and_, bindparam, delete, func, or_, select, true, update

from hub.canonical.errors import HubError
from hub.store.database import Row, Statement, Transaction, as_uuid, inserting
from hub.store.ledger import Ledger, Moment
from hub.store.tables import awaited, incident

OVERDUE = "acknowledgement_overdue"
MOST = 200  # exchanges told overdue in one unit of work
NEVER = 2**62  # when that falls due which has not been delivered

_put = inserting(awaited, replace=True)
_of = and_(
    awaited.c.partner == bindparam("of_partner"),
    awaited.c.expects == bindparam("by_operation"),
    awaited.c.group_id == bindparam("of_group"),
    or_(
        awaited.c.subject_id == bindparam("of_subject"), awaited.c.kind == "voucher", awaited.c.kind == "group"
    ),
)  # fmt: skip
_heard = Statement(select(awaited.c.subject, awaited.c.exchange_id, awaited.c.raised).where(_of).with_for_update())
_drop = Statement(delete(awaited).where(awaited.c.subject == bindparam("heard_of")))
_begin = Statement(
    update(awaited)
    .where(awaited.c.exchange_id == bindparam("of_exchange"), awaited.c.due_at == NEVER)
    .values(due_at=bindparam("due_then"))
)
_still_raised = Statement(
    select(func.count())
    .select_from(awaited)
    .where(awaited.c.exchange_id == bindparam("of_exchange"), awaited.c.raised.is_(True))
)
_resolve = Statement(
    update(incident)
    .where(
        incident.c.exchange_id == bindparam("of_exchange"), incident.c.code == OVERDUE, incident.c.resolved_at.is_(None)
    )
    .values(resolved_at=bindparam("resolved"))
)
_raised_for = Statement(
    select(incident.c.id)
    .where(
        incident.c.exchange_id == bindparam("of_exchange"), incident.c.code == OVERDUE, incident.c.resolved_at.is_(None)
    )
    .limit(1)
)
_due = Statement(
    select(awaited.c.exchange_id, awaited.c.partner, awaited.c.operation)
    .where(awaited.c.raised.is_(False), awaited.c.due_at <= bindparam("now_at"))
    .group_by(awaited.c.exchange_id, awaited.c.partner, awaited.c.operation)
    .order_by(func.min(awaited.c.due_at))
    .limit(bindparam("most"))
)
_raise = Statement(
    update(awaited)
    .where(awaited.c.exchange_id == bindparam("of_exchange"), awaited.c.due_at <= bindparam("now_at"))
    .values(raised=true())
)
_first = Statement(select(func.min(awaited.c.due_at)).where(awaited.c.raised.is_(False)))
_rows = Statement(
    select(awaited.c.subject_id, awaited.c.kind, awaited.c.expects, awaited.c.due_at, awaited.c.raised)
    .where(awaited.c.exchange_id == bindparam("of_exchange"))
    .order_by(awaited.c.due_at)
)


class Awaiting:
    """Confirmations that partners owe us."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def expect(self, tx: Transaction, exchange: UUID, subject: Row, by: str) -> None:
        """*subject* goes out in *exchange*, and its partner is to speak of it by operation *by*."""
        tx.put(
            _put,
            subject=as_uuid(subject["id"]), exchange_id=exchange, partner=subject["partner"],
            operation=subject["operation"], expects=by, kind=subject["kind"], subject_id=subject["subject_id"],
            group_id=as_uuid(subject["group_id"]), due_at=NEVER, raised=False,
        )  # fmt: skip

    def begin(self, tx: Transaction, at: Moment, exchange: UUID, within: float) -> None:
        """*exchange* was taken by its partner, who has *within* seconds of business time."""
        tx.put(_begin, of_exchange=exchange, due_then=at.business + int(within * 1_000_000))

    def drop(self, tx: Transaction, subject: Row) -> None:
        """Nothing more is to be heard of *subject*: it was refused, or withdrawn."""
        tx.put(_drop, heard_of=as_uuid(subject["id"]))

    def heard(
        self, tx: Transaction, at: Moment, partner: str, operation: str, group: UUID, subject: str | None
    ) -> None:
        """*partner* has spoken, by *operation*, of *subject* of *group*, whatever it said."""
        found = tx.all(_heard, of_partner=partner, by_operation=operation, of_group=group, of_subject=subject or "")
        late = set()
        for row in found:
            tx.put(_drop, heard_of=as_uuid(row["subject"]))
            if row["raised"]:
                late.add(as_uuid(row["exchange_id"]))
        for exchange in late:
            if not self._raised(tx, exchange):
                tx.put(_resolve, of_exchange=exchange, resolved=at.wall)

    def next_due(self, tx: Transaction) -> int | None:
        """When (business µs) the first confirmation falls due that nobody has been told of."""
        row = tx.one(_first)
        return None if row is None else row[0]

    def overdue(self, tx: Transaction, at: Moment) -> int:
        """Put before a person what should have been confirmed by now; answers how many exchanges there were."""
        rows = tx.all(_due, now_at=at.business, most=MOST)
        for row in rows:
            exchange = as_uuid(row["exchange_id"])
            tx.put(_raise, of_exchange=exchange, now_at=at.business)
            # Heard of by another process meanwhile, there is nothing left to tell of.
            if self._raised(tx, exchange) and tx.one(_raised_for, of_exchange=exchange) is None:
                self._ledger.raise_incident(
                    tx, at, "overdue", OVERDUE, HubError(OVERDUE).who,
                    partner=row["partner"], operation=row["operation"], exchange_id=exchange,
                )  # fmt: skip
        return len(rows)

    @staticmethod
    def _raised(tx: Transaction, exchange: UUID) -> bool:
        left = tx.one(_still_raised, of_exchange=exchange)
        return left is not None and bool(left[0])

    def of(self, tx: Transaction, exchange: UUID) -> list[Row]:
        """What is still to be confirmed of *exchange*."""
        return tx.all(_rows, of_exchange=exchange)
