"""The ledger: exchanges, their subjects and their bytes, in rows.

An exchange in ``waiting`` may be sent; ``leased`` is claimed and has sent nothing; ``sending`` may have sent
something; ``in_doubt`` waits for an answer to an enquiry; ``held`` waits for a person to mend a setting, ``parked`` for
a person to decide; ``settled`` and ``dead`` are done.  A subject without an exchange is waiting to be frozen into one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, false, func, null, or_, select, true, update

from hub.canonical.ids import new_id
from hub.security.sealing import Sealer
from hub.store.database import Row, Statement, Transaction, among, as_uuid, inserting, maybe_uuid, within
from hub.store.encoding import micros
from hub.store.statement import Upsert
from hub.store.tables import audit, exchange, exchange_subject, incident, once, payload, seen, sequence
from hub.store.workers import Claim

#: Microseconds that nothing is ever put off for: what is due later was written while the clock was ahead, and is due.
ABSURD = 3 * 3600 * 1_000_000
#: Bytes of one row of a payload: a file is kept in as many as it takes, under one data key.
PIECE = 1 << 20
#: Exchanges of a partner among which the one is looked for that is due next.
FIRST = 200
OPEN = ("waiting", "leased", "sending", "in_doubt", "held", "parked")
DONE = ("settled", "dead")

_exchange_insert = inserting(exchange)
_exchange_get = Statement(select(exchange).where(exchange.c.id == bindparam("id")).with_for_update())
_exchanges_get = Statement(
    select(exchange).where(within(exchange.c.id, "ids")).order_by(exchange.c.id).with_for_update()
)
# Where a row lies is said in as many words: with a parameter PostgreSQL looks through all months (half the time of it).
_claims_get = Statement(
    select(exchange)
    .where(exchange.c.open == true(), within(exchange.c.id, "ids"))
    .order_by(exchange.c.id)
    .with_for_update()
)


def _moving(where: ColumnElement[bool]) -> Statement:
    columns = (
        "open",
        "state",
        "outcome",
        "code",
        "owner",
        "attempts",
        "next_at",
        "worker",
        "lease_until",
        "settled_at",
    )
    moved = update(exchange).where(exchange.c.id == bindparam("exchange_id"), exchange.c.open == where)
    values: dict[str, Any] = {c: bindparam(c) for c in columns}
    return Statement(moved.values({**values, "partner_us": exchange.c.partner_us + bindparam("spent")}), exact=True)


_open_move, _done_move = _moving(true()), _moving(false())
_exchange_spent = Statement(
    update(exchange)
    .where(exchange.c.id == bindparam("exchange_id"), exchange.c.open == true())
    .values(partner_us=exchange.c.partner_us + bindparam("spent"))
)
_waits = (
    exchange.c.open == true(),
    among(exchange.c.state, ("waiting", "held")),
    exchange.c.direction == "out",
)
_of_partner = exchange.c.partner == bindparam("partner")
_exchanges_ready = Statement(
    select(exchange)
    .where(
        _of_partner,
        *_waits,
        or_(exchange.c.next_at <= bindparam("now_at"), exchange.c.next_at > bindparam("absurd_at")),
    )
    .order_by(exchange.c.urgency, exchange.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_claimed = ("leased", "sending")
_busy_lane = exchange_subject.alias("busy")
_subjects_ready = Statement(
    select(exchange_subject)
    .where(
        exchange_subject.c.partner == bindparam("partner"),
        exchange_subject.c.exchange_id.is_(None),
        exchange_subject.c.settled_at.is_(None),
        ~select(_busy_lane.c.id)
        .where(
            _busy_lane.c.partner == exchange_subject.c.partner,
            _busy_lane.c.lane == exchange_subject.c.lane,
            _busy_lane.c.settled_at.is_(None),
            or_(_busy_lane.c.exchange_id.is_not(None), _busy_lane.c.id < exchange_subject.c.id),
        )
        .offset(0)  # looked up row by row, in the order of the index, however long the backlog is
        .exists(),
    )
    .order_by(exchange_subject.c.urgency, exchange_subject.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=exchange_subject)
)
# Of those that come first: what is put off was tried, and what was tried comes first.
_first_waiting = (
    select(exchange.c.next_at)
    .where(_of_partner, *_waits)
    .order_by(exchange.c.urgency, exchange.c.id)
    .limit(FIRST)
    .subquery()
)
_next_exchange = Statement(select(func.min(_first_waiting.c.next_at)))


def _partners_of(column: ColumnElement[str], *where: ColumnElement[bool]) -> Select[Any]:
    """Each value of *column* among the rows *where*, by one step of its index a value: a backlog costs nothing more."""
    first = select(func.min(column).label("partner")).where(*where).cte("step", recursive=True)
    following = select(func.min(column)).where(column > first.c.partner, *where).scalar_subquery()
    steps = first.union_all(select(following).where(first.c.partner.is_not(None)))
    return select(steps.c.partner).where(steps.c.partner.is_not(None))


_unfrozen = (exchange_subject.c.exchange_id.is_(None), exchange_subject.c.settled_at.is_(None))
_partners_unfrozen = Statement(_partners_of(exchange_subject.c.partner, *_unfrozen))
_partners_frozen = Statement(_partners_of(exchange.c.partner, *_waits))
_open_work = Statement(
    select(exchange_subject.c.partner, exchange_subject.c.operation)
    .where(*_unfrozen)
    .union(
        select(exchange.c.partner, exchange.c.operation).where(
            exchange.c.open == true(),
            among(exchange.c.state, ("waiting", "held", *_claimed)),
            exchange.c.direction == "out",
        )
    )
)
_subject_insert = inserting(exchange_subject)
_subject_freeze = Statement(
    update(exchange_subject)
    .where(exchange_subject.c.id == bindparam("subject_row"))
    .values(exchange_id=bindparam("frozen_in"), attempts=exchange_subject.c.attempts + 1)
)
_subject_settle = Statement(
    update(exchange_subject)
    .where(exchange_subject.c.id == bindparam("subject_row"))
    .values({c: bindparam(c) for c in ("state", "outcome", "code", "owner", "their_ref", "settled_at")})
    .values(partner_us=exchange_subject.c.partner_us + bindparam("spent"))
)
_subject_free = Statement(
    update(exchange_subject)
    .where(exchange_subject.c.id == bindparam("subject_row"))
    .values(exchange_id=null(), not_before=bindparam("not_before"))
)
_subject_get = Statement(select(exchange_subject).where(exchange_subject.c.id == bindparam("id")))
_subjects_of = Statement(
    select(exchange_subject)
    .where(exchange_subject.c.exchange_id == bindparam("exchange_id"))
    .order_by(exchange_subject.c.id)
)
_subjects_of_many = Statement(
    select(exchange_subject).where(within(exchange_subject.c.exchange_id, "ids")).order_by(exchange_subject.c.id)
)
_subject_spent = Statement(
    update(exchange_subject)
    .where(exchange_subject.c.id == bindparam("subject_row"))
    .values(partner_us=exchange_subject.c.partner_us + bindparam("spent"))
)
_subject_open_of = Statement(
    select(func.count())
    .select_from(exchange_subject)
    .where(exchange_subject.c.exchange_id == bindparam("in_exchange"), exchange_subject.c.state == "open")
)
_subject_by_key = Statement(
    select(exchange_subject)
    .where(exchange_subject.c.key == bindparam("key"), exchange_subject.c.enquires.is_(None))
    .order_by(exchange_subject.c.id.desc())
    .limit(1)
)
_enquiry_open = Statement(
    select(exchange_subject.c.id)
    .where(
        exchange_subject.c.key == bindparam("key"),
        exchange_subject.c.enquires == bindparam("enquires"),
        exchange_subject.c.state == "open",
    )
    .limit(1)
)
_enquiries_of = Statement(
    select(func.count())
    .select_from(exchange_subject)
    .where(exchange_subject.c.key == bindparam("key"), exchange_subject.c.enquires == bindparam("enquires"))
)
_payload_insert = inserting(payload)
_payload_get = Statement(
    select(payload)
    .where(payload.c.exchange_id == bindparam("exchange_id"), payload.c.kind == bindparam("kind"))
    .order_by(payload.c.id)
)
_seen_insert = inserting(seen, ignore=True)
_seen_get = Statement(select(seen).where(seen.c.partner == bindparam("partner"), seen.c.key == bindparam("key")))
_seen_put = inserting(seen, replace=True)
_once_insert = inserting(once)
_onces_get = Statement(select(once).where(within(once.c.caller, "callers"), within(once.c.key, "keys")))
_once_get = Statement(select(once).where(once.c.caller == bindparam("caller"), once.c.key == bindparam("key")))
_incident_insert = inserting(incident)
_incident_same = Statement(
    select(incident.c.id).where(
        and_(
            incident.c.code == bindparam("code"),
            incident.c.partner == bindparam("partner"),
            incident.c.operation == bindparam("operation"),
            incident.c.line == bindparam("line"),
            incident.c.resolved_at.is_(None),
        )
    )
)
_incident_resolve = Statement(
    update(incident)
    .where(
        incident.c.code == bindparam("of_code"),
        incident.c.partner == bindparam("of_partner"),
        incident.c.operation == bindparam("of_operation"),
        incident.c.resolved_at.is_(None),
    )
    .values(resolved_at=bindparam("resolved"))
)
_incident_mended = Statement(
    update(incident)
    .where(
        incident.c.kind == "file",
        incident.c.resolved_at.is_(None),
        incident.c.exchange_id.in_(
            select(exchange.c.id).where(
                exchange.c.partner == bindparam("of_partner"),
                exchange.c.operation == bindparam("of_operation"),
                exchange.c.name == bindparam("of_name"),
                exchange.c.state == "dead",
            )
        ),
    )
    .values(resolved_at=bindparam("resolved"))
)
_audit_insert = inserting(audit)
_sequence_get = Statement(select(sequence.c.value).where(sequence.c.name == bindparam("name")).with_for_update())
_sequence_next = Upsert(
    lambda insert: (
        insert(sequence)
        .values(name=bindparam("name"), value=bindparam("first"))
        .on_conflict_do_update(index_elements=["name"], set_={"value": sequence.c.value + bindparam("step")})
        .returning(sequence.c.value)
    )
)
_sequence_put = inserting(sequence, replace=True)
_file_by_hash = Statement(
    select(exchange)
    .where(
        exchange.c.partner == bindparam("partner"),
        exchange.c.operation == bindparam("operation"),
        exchange.c.direction == "in",
        exchange.c.sha256 == bindparam("sha256"),
        exchange.c.state != "dead",
    )
    .order_by(exchange.c.id)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, on the two clocks that rows carry, in microseconds."""

    wall: int
    business: int

    @classmethod
    def of(cls, wall: datetime, business: datetime) -> "Moment":
        return cls(micros(wall), micros(business))


@dataclass(frozen=True, slots=True)
class Ready:
    """What may be sent to a partner, the most urgent first: exchanges with the bytes they have, subjects that are still
    to be frozen (the first of each free lane), and when (wall µs) the next exchange that waits is due."""

    exchanges: list[Row]
    subjects: list[Row]
    next_at: int | None


class Ledger:
    """Reads and writes of the ledger inside a unit of work."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    # -- exchanges ---------------------------------------------------------------------------------------------------

    def open(
        self,
        tx: Transaction,
        at: Moment,
        *,
        partner: str,
        operation: str,
        direction: str,
        state: str,
        body: bytes | None,
        **more: Any,
    ) -> UUID:
        """Write a new exchange and the bytes it carries; answers its id."""
        exchange_id = new_id()
        values: dict[str, Any] = {
            "id": exchange_id, "open": state not in DONE, "partner": partner, "operation": operation,
            "direction": direction, "state": state, "outcome": None, "code": None, "owner": None, "name": None,
            "sequence": None, "records": None, "control": None, "subjects": 0, "done": 0, "map_hash": None,
            "sha256": None, "answers": None, "attempts": 0, "worker": None, "lease_until": None, "urgency": 0,
            "next_at": at.wall, "partner_us": 0, "created_at": at.wall, "business_at": at.business,
            "settled_at": at.wall if state in DONE else None,
        }  # fmt: skip
        tx.put(_exchange_insert, **{**values, **more})
        if body is not None:
            self.keep(tx, at, exchange_id, "request", body)
        return exchange_id

    def get(self, tx: Transaction, exchange_id: UUID) -> Row:
        row = tx.one(_exchange_get, id=exchange_id)
        if row is None:
            raise LookupError("no such exchange")
        return row

    def get_many(self, tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, Row]:
        """Exchanges by their ids, kept from other writers until the commit."""
        return {as_uuid(row["id"]): row for row in tx.all(_exchanges_get, ids=list(ids))}

    def claimed(self, tx: Transaction, ids: Sequence[UUID]) -> tuple[dict[UUID, Row], dict[UUID, list[Row]]]:
        """Exchanges that were claimed, as far as they are still open, kept from other writers until the commit; and the
        subjects of each."""
        exchanges, subjects = tx.several((_claims_get, {"ids": ids}), (_subjects_of_many, {"ids": ids}))
        found: dict[UUID, list[Row]] = {}
        for row in subjects:
            found.setdefault(as_uuid(row["exchange_id"]), []).append(row)
        return {as_uuid(row["id"]): row for row in exchanges}, found

    def move(
        self,
        tx: Transaction,
        at: Moment,
        row: Row,
        state: str,
        *,
        outcome: str | None = None,
        code: str | None = None,
        owner: str | None = None,
        next_at: int | None = None,
        spent: int = 0,
    ) -> None:
        """Put an exchange into *state*; whoever had claimed it has not any more.  What waits for a person names its
        *owner*; *spent* is the partner's own time (µs) that is added to the exchange's."""
        if owner is None and state in ("held", "parked", "dead"):
            raise ValueError(f"{state}: who must act?")
        self._move(tx, at, row, state, outcome, code, owner, row["attempts"], next_at, None, None, spent)

    def claim(self, tx: Transaction, at: Moment, row: Row, state: str, claim: Claim) -> int:
        """Claim an exchange that was frozen before; answers the fencing number of the claim."""
        attempt: int = row["attempts"] + 1
        self._move(tx, at, row, state, None, None, None, attempt, None, claim.worker, claim.lease_until, 0)
        return attempt

    def _move(
        self, tx: Transaction, at: Moment, row: Row, state: str, outcome: str | None, code: str | None,
        owner: str | None, attempts: int, next_at: int | None, worker: int | None, lease_until: int | None, spent: int,
    ) -> None:  # fmt: skip
        tx.put(
            _open_move if row["open"] else _done_move,
            exchange_id=as_uuid(row["id"]), open=state not in DONE, state=state,
            outcome=outcome, code=code, owner=owner, attempts=attempts, next_at=next_at, worker=worker,
            lease_until=lease_until, settled_at=at.wall if state in DONE else None, spent=spent,
        )  # fmt: skip

    def spent(self, tx: Transaction, exchange_id: UUID, subjects: Iterable[Row], spent_us: int) -> None:
        """Add the partner's own time to an exchange and to each of its *subjects*."""
        tx.put(_exchange_spent, exchange_id=exchange_id, spent=spent_us)
        for subject in subjects:
            tx.put(_subject_spent, subject_row=as_uuid(subject["id"]), spent=spent_us)

    def ready(self, tx: Transaction, at: Moment, wanted: Mapping[str, tuple[int, int]]) -> dict[str, "Ready"]:
        """What may be sent to each of *wanted*, of which so many exchanges, and so many subjects, are looked at."""
        asked: list[tuple[Statement, dict[str, Any]]] = []
        for partner, (exchanges, subjects) in wanted.items():
            due = {"now_at": at.wall, "absurd_at": at.wall + ABSURD}
            asked.append((_exchanges_ready, {"partner": partner, "most": exchanges, **due}))
            asked.append((_subjects_ready, {"partner": partner, "most": subjects}))
            asked.append((_next_exchange, {"partner": partner}))
        found = iter(tx.several(*asked))
        return {partner: Ready(next(found), next(found), next(found)[0][0]) for partner in wanted}

    def next_at(self, tx: Transaction, partner: str) -> int | None:
        row = tx.one(_next_exchange, partner=partner)
        return None if row is None else row[0]

    def partners_waiting(self, tx: Transaction) -> list[str]:
        found = {row[0] for row in tx.all(_partners_unfrozen)} | {row[0] for row in tx.all(_partners_frozen)}
        return sorted(found)

    def open_work(self, tx: Transaction) -> list[tuple[str, str]]:
        """Each partner and operation for which something is to be sent, or may be on its way."""
        return [(row[0], row[1]) for row in tx.all(_open_work)]

    def file_known(self, tx: Transaction, partner: str, operation: str, sha256: str) -> Row | None:
        return tx.one(_file_by_hash, partner=partner, operation=operation, sha256=sha256)

    # -- subjects ----------------------------------------------------------------------------------------------------

    def add_subject(
        self,
        tx: Transaction,
        at: Moment,
        *,
        partner: str,
        operation: str,
        kind: str,
        subject_id: str,
        group_id: UUID,
        lane: str,
        key: str,
        urgency: int,
        not_before: int,
        enquires: UUID | None = None,
    ) -> None:
        tx.put(
            _subject_insert,
            id=new_id(), exchange_id=None, partner=partner, operation=operation, kind=kind, subject_id=subject_id,
            group_id=group_id, lane=lane, key=key, their_ref=None, state="open", outcome=None, code=None, owner=None,
            enquires=enquires, attempts=0, urgency=urgency, not_before=not_before, partner_us=0, created_at=at.wall,
            settled_at=None,
        )  # fmt: skip

    def freeze(self, tx: Transaction, rows: list[Row], exchange_id: UUID) -> None:
        for row in rows:
            tx.put(_subject_freeze, subject_row=as_uuid(row["id"]), frozen_in=exchange_id)

    def free(self, tx: Transaction, row: Row, not_before: int) -> None:
        """Give a subject back to be frozen into another exchange, under the same key."""
        tx.put(_subject_free, subject_row=as_uuid(row["id"]), not_before=not_before)

    def settle_subject(
        self,
        tx: Transaction,
        at: Moment,
        row: Row,
        state: str,
        outcome: str | None,
        *,
        code: str | None = None,
        owner: str | None = None,
        their_ref: str | None = None,
        spent: int = 0,
    ) -> None:
        """Be done with a subject; *spent* is the partner's own time (µs) that is added to its."""
        tx.put(
            _subject_settle,
            subject_row=as_uuid(row["id"]), state=state, outcome=outcome, code=code, owner=owner,
            their_ref=their_ref, settled_at=at.wall, spent=spent,
        )  # fmt: skip

    def subject_spent(self, tx: Transaction, subject: UUID, spent_us: int) -> None:
        tx.put(_subject_spent, subject_row=subject, spent=spent_us)

    def subject(self, tx: Transaction, subject_id: UUID) -> Row:
        row = tx.one(_subject_get, id=subject_id)
        if row is None:
            raise LookupError("no such subject")
        return row

    def subjects_of(self, tx: Transaction, exchange_id: UUID) -> list[Row]:
        return tx.all(_subjects_of, exchange_id=exchange_id)

    def subjects_of_many(self, tx: Transaction, exchange_ids: Iterable[UUID]) -> dict[UUID, list[Row]]:
        found: dict[UUID, list[Row]] = {}
        for row in tx.all(_subjects_of_many, ids=list(exchange_ids)):
            found.setdefault(as_uuid(row["exchange_id"]), []).append(row)
        return found

    def open_subjects(self, tx: Transaction, exchange_id: UUID) -> int:
        row = tx.one(_subject_open_of, in_exchange=exchange_id)
        return 0 if row is None else int(row[0])

    def subject_by_key(self, tx: Transaction, key: str) -> Row | None:
        return tx.one(_subject_by_key, key=key)

    def enquired(self, tx: Transaction, subject: Row) -> bool:
        """Whether an enquiry about *subject* is already open."""
        return tx.one(_enquiry_open, key=subject["key"], enquires=as_uuid(subject["id"])) is not None

    def enquiries(self, tx: Transaction, subject: Row) -> int:
        """How often *subject* was asked about."""
        row = tx.one(_enquiries_of, key=subject["key"], enquires=as_uuid(subject["id"]))
        return 0 if row is None else int(row[0])

    # -- bytes -------------------------------------------------------------------------------------------------------

    def keep(self, tx: Transaction, at: Moment, exchange_id: UUID, kind: str, body: bytes) -> None:
        """Seal the bytes that crossed the wire: ``request`` for the message itself, ``reply`` for its answer."""
        wrapped, key = self._sealer.new_data_key()
        for start in range(0, len(body) or 1, PIECE):
            row_id = new_id()
            tx.put(
                _payload_insert,
                id=row_id, exchange_id=exchange_id, kind=kind, recorded_at=at.wall, wrapped=wrapped,
                sealed=self._sealer.seal(key, body[start : start + PIECE], row_id.bytes),
            )  # fmt: skip

    def bytes_of(self, tx: Transaction, exchange_id: UUID, kind: str = "request") -> bytes:
        """The bytes that were kept last."""
        rows = tx.all(_payload_get, exchange_id=exchange_id, kind=kind)
        if not rows:
            raise LookupError("no such bytes")
        wrapped = rows[-1]["wrapped"]
        key = self._sealer.unwrap(wrapped)
        return b"".join(
            self._sealer.open(key, row["sealed"], as_uuid(row["id"]).bytes) for row in rows if row["wrapped"] == wrapped
        )

    def each_of(self, tx: Transaction, exchange_id: UUID, kind: str) -> list[bytes]:
        """Whatever was kept as *kind*, the oldest first, each as it was kept."""
        found = []
        for wrapped, rows in groupby(tx.all(_payload_get, exchange_id=exchange_id, kind=kind), itemgetter("wrapped")):
            key = self._sealer.unwrap(wrapped)
            found.append(b"".join(self._sealer.open(key, row["sealed"], as_uuid(row["id"]).bytes) for row in rows))
        return found

    # -- once and only once ------------------------------------------------------------------------------------------

    def first_time(self, tx: Transaction, partner: str, key: str, exchange_id: UUID) -> bool:
        """Note that *partner* told us *key*; False where it had told it before."""
        row = {"partner": partner, "key": key, "exchange_id": exchange_id, "digest": None, "group_id": None}
        return tx.run(_seen_insert, **row).rowcount == 1

    def told_before(self, tx: Transaction, partner: str, key: str) -> UUID | None:
        row = tx.one(_seen_get, partner=partner, key=key)
        return None if row is None else as_uuid(row["exchange_id"])

    def tell(
        self, tx: Transaction, partner: str, key: str, exchange_id: UUID, digest: bytes, group: UUID | None
    ) -> Literal["new", "same", "nobody", "other"]:
        """Note what *partner* tells under *key*, by its *digest*, and of which *group*.

        ``same``: told before, or told before of somebody else in the same words.  ``nobody``: told before in the same
        words, and then as now of nobody we know.  ``other``: told before in other words of another group.  What was
        told before of nobody we knew is new when it is known of whom; and so are other words of the same group, for the
        journey knows best what they change.
        """
        row = tx.one(_seen_get, partner=partner, key=key)
        if row is not None:
            before = maybe_uuid(row["group_id"])
            if row["digest"] == digest and (before is not None or group is None):
                return "nobody" if before is None else "same"
            if before is not None and before != group:
                return "other"
        tx.put(_seen_put, partner=partner, key=key, exchange_id=exchange_id, digest=digest, group_id=group)
        return "new"

    def foresee_answers(self, tx: Transaction, asked: Sequence[tuple[str, str]]) -> None:
        """Read at once what will be asked for next: the answers kept for keys of callers."""
        tx.foreseen.update(dict.fromkeys(asked))
        rows = tx.all(_onces_get, callers=list({caller for caller, _ in asked}), keys=[key for _, key in asked])
        tx.foreseen.update({(row["caller"], row["key"]): row for row in rows})

    def answered_before(self, tx: Transaction, caller: str, key: str) -> Row | None:
        if (caller, key) in tx.foreseen:
            known: Row | None = tx.foreseen[caller, key]
            return known
        return tx.one(_once_get, caller=caller, key=key)

    def remember_answer(
        self, tx: Transaction, at: Moment, caller: str, key: str, digest: str, http: int, body: str
    ) -> None:
        tx.foreseen.pop((caller, key), None)
        tx.put(_once_insert, caller=caller, key=key, digest=digest, http=http, body=body, recorded_at=at.wall)

    def next_number(self, tx: Transaction, name: str, first: int = 1, step: int = 1) -> int:
        """The next number of a gapless sequence, which belongs to this unit and is given back if it fails; with *step*
        the last of so many."""
        return int(tx.run(_sequence_next, name=name, first=first, step=step).fetchone()[0])

    def last_number(self, tx: Transaction, name: str) -> int | None:
        row = tx.one(_sequence_get, name=name)
        return None if row is None else row[0]

    def set_number(self, tx: Transaction, name: str, value: int) -> None:
        tx.put(_sequence_put, name=name, value=value)

    # -- people ------------------------------------------------------------------------------------------------------

    def raise_incident(self, tx: Transaction, at: Moment, kind: str, code: str, owner: str, **where: Any) -> None:
        """Put something before a person; *kind* is suspense (belongs to nobody known), conflict, file, exchange
        or overdue (not confirmed by its partner)."""
        values: dict[str, Any] = {
            "partner": None, "operation": None, "event": None, "group_id": None, "request_id": None,
            "exchange_id": None, "line": None,
        }  # fmt: skip
        tx.put(
            _incident_insert,
            id=new_id(), kind=kind, code=code, owner=owner, raised_at=at.wall, business_at=at.business,
            resolved_at=None, **{**values, **where},
        )  # fmt: skip

    def raised_already(self, tx: Transaction, code: str, partner: str, operation: str, line: int) -> bool:
        return tx.one(_incident_same, code=code, partner=partner, operation=operation, line=line) is not None

    def resolve(self, tx: Transaction, at: Moment, code: str, partner: str, operation: str) -> None:
        tx.put(_incident_resolve, of_code=code, of_partner=partner, of_operation=operation, resolved=at.wall)

    def mended(self, tx: Transaction, at: Moment, partner: str, operation: str, name: str) -> None:
        """A file that was refused has come again, right: nobody need look at the wrong one any more."""
        tx.put(_incident_mended, of_partner=partner, of_operation=operation, of_name=name, resolved=at.wall)

    def audit(
        self, tx: Transaction, at: Moment, actor: str, action: str, entity: str | None, exchange_id: UUID | None
    ) -> None:
        """Who did what to what, in the same commit as the change itself."""
        tx.put(_audit_insert, recorded_at=at.wall, actor=actor, action=action, entity=entity, exchange_id=exchange_id)
