"""What a person looks for in the ledger, and what they did about it: exchanges by filter, incidents, and why.

Nothing here opens a payload: lists and reports hold states, codes, numbers and owners only.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, case, exists, func, null, or_, select, true, update

from hub.canonical.ids import new_id
from hub.store.database import Row, Statement, Transaction, among, as_uuid, inserting, maybe_uuid
from hub.store.encoding import moment
from hub.store.ledger import Moment
from hub.store.tables import awaited, exchange, exchange_subject, incident, intervention

REPLAY, SETTLE, WITHDRAW, RESOLVE = "replay", "settle", "withdraw", "resolve"

_incident_of = exists().where(incident.c.exchange_id == exchange.c.id, incident.c.resolved_at.is_(None))
# A line that died before it was frozen has no exchange; its incident says where it happened.
_incident_of_line = exists().where(
    incident.c.group_id == exchange_subject.c.group_id,
    incident.c.partner == exchange_subject.c.partner,
    incident.c.operation == exchange_subject.c.operation,
    incident.c.exchange_id.is_(None),
    incident.c.kind == "exchange",
    incident.c.resolved_at.is_(None),
)
_waits = or_(among(exchange.c.state, ("parked", "held")), and_(exchange.c.state == "dead", _incident_of))
_unsent = (
    exchange_subject.c.exchange_id.is_(None),
    exchange_subject.c.state == "dead",
    exchange_subject.c.enquires.is_(None),
)
_exchange = Statement(select(exchange).where(exchange.c.id == bindparam("id")))
_line = Statement(select(exchange_subject).where(exchange_subject.c.id == bindparam("id"), *_unsent))
_insert = inserting(intervention)
_last = Statement(
    select(intervention.c.recorded_at)
    .where(intervention.c.entity == bindparam("of_entity"), intervention.c.action == bindparam("of_action"))
    .order_by(intervention.c.id.desc())
    .limit(1)
)
_became = Statement(
    select(intervention.c.became).where(
        intervention.c.entity == bindparam("of_entity"), intervention.c.became.is_not(None)
    )
)
_done_about = Statement(
    select(intervention).where(intervention.c.entity == bindparam("of_entity")).order_by(intervention.c.id)
)
_unfinished = Statement(
    select(exchange)
    .join(intervention, intervention.c.became == exchange.c.id)
    .where(exchange.c.open == true(), exchange.c.state == "leased", exchange.c.direction == "in")
)
_reopen = Statement(
    update(exchange_subject)
    .where(exchange_subject.c.id == bindparam("subject_row"), exchange_subject.c.state == "dead")
    .values(state="open", outcome=null(), code=null(), owner=null(), settled_at=null(), not_before=bindparam("from_at"))
)
_later = Statement(
    select(exchange_subject.c.id)
    .where(
        exchange_subject.c.group_id == bindparam("of_group"),
        exchange_subject.c.partner == bindparam("of_partner"),
        exchange_subject.c.operation == bindparam("of_operation"),
        exchange_subject.c.subject_id == bindparam("of_subject"),
        exchange_subject.c.lane == bindparam("of_lane"),
        exchange_subject.c.enquires.is_(None),
        exchange_subject.c.id > bindparam("than"),
        among(exchange_subject.c.state, ("open", "done")),
    )
    .limit(1)
)
_asked = Statement(
    select(exchange_subject)
    .where(exchange_subject.c.key == bindparam("key"), exchange_subject.c.enquires == bindparam("about"))
    .order_by(exchange_subject.c.id)
)
_about = exchange_subject.alias("about")
# The questions that were asked about an exchange, and never answered, go with it.
_of_exchange = Statement(
    update(incident)
    .where(
        incident.c.resolved_at.is_(None),
        or_(
            incident.c.exchange_id == bindparam("of_exchange"),
            incident.c.exchange_id.in_(
                select(exchange_subject.c.exchange_id)
                .join(_about, exchange_subject.c.enquires == _about.c.id)
                .where(_about.c.exchange_id == bindparam("of_exchange"))
            ),
        ),
    )
    .values(resolved_at=bindparam("resolved"))
)
_of_line = Statement(
    update(incident)
    .where(
        incident.c.group_id == bindparam("of_group"),
        incident.c.partner == bindparam("of_partner"),
        incident.c.operation == bindparam("of_operation"),
        incident.c.code == bindparam("of_code"),
        incident.c.exchange_id.is_(None),
        incident.c.resolved_at.is_(None),
    )
    .values(resolved_at=bindparam("resolved"))
)
_incident = Statement(select(incident).where(incident.c.id == bindparam("id"), incident.c.resolved_at.is_(None)))
_one_incident = Statement(
    update(incident).where(incident.c.id == bindparam("of_incident")).values(resolved_at=bindparam("resolved"))
)
_subjects = Statement(
    select(exchange_subject)
    .where(exchange_subject.c.exchange_id == bindparam("of_exchange"))
    .order_by(exchange_subject.c.id)
)
_incidents_of = Statement(
    select(incident)
    .where(incident.c.exchange_id == bindparam("of_exchange"), incident.c.resolved_at.is_(None))
    .order_by(incident.c.id)
)
_awaited = Statement(
    select(func.count(), func.sum(case((awaited.c.raised.is_(True), 1), else_=0))).where(
        awaited.c.exchange_id == bindparam("of_exchange")
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which exchanges are meant: by id, or all that agree with what is given.  Without a ``state`` those are meant that
    wait for a person.  ``since`` and ``until`` are when they were made, in microseconds of wall time."""

    ids: tuple[UUID, ...] = ()
    partner: str | None = None
    operation: str | None = None
    state: str | None = None
    code: str | None = None
    owner: str | None = None
    since: int | None = None
    until: int | None = None

    @property
    def given(self) -> dict[str, Any]:
        names = ("partner", "operation", "state", "code", "owner", "since", "until")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Found:
    """An exchange, or a line that could not be sent and so has none: ``unsent``."""

    id: UUID
    row: Row
    unsent: bool = False

    @property
    def out(self) -> bool:
        return self.unsent or self.row["direction"] == "out"

    def told(self) -> dict[str, Any]:
        """What a list says of it."""
        row = self.row
        return {
            "id": str(self.id),
            "kind": "line" if self.unsent else "exchange",
            "direction": "out" if self.out else "in",
            "partner": row["partner"],
            "operation": row["operation"],
            "state": row["state"],
            "code": row["code"],
            "owner": row["owner"],
            "subjects": 1 if self.unsent else row["subjects"],
            "attempts": row["attempts"],
            "sequence": None if self.unsent else row["sequence"],
            "created": moment(row["created_at"]).isoformat(timespec="seconds"),
        }


class Interventions:
    """Reads for people, and rows about what they did."""

    # -- finding -----------------------------------------------------------------------------------------------------

    def find(self, tx: Transaction, wanted: Filter, most: int) -> list[Found]:
        """What *wanted* means, the oldest first, at most *most*; an id of nothing is left out."""
        if wanted.ids:
            known = (self.one(tx, id) for id in dict.fromkeys(wanted.ids))
            return [found for found in known if found is not None][:most]
        given = wanted.given
        found = [
            Found(as_uuid(row["id"]), row) for row in tx.all(_listing(exchange, frozenset(given)), most=most, **given)
        ]
        if wanted.state in (None, "dead"):
            statement = _listing(exchange_subject, frozenset(given))
            found += [Found(as_uuid(row["id"]), row, unsent=True) for row in tx.all(statement, most=most, **given)]
        return sorted(found, key=lambda one: one.id)[:most]

    def one(self, tx: Transaction, id: UUID) -> Found | None:
        row = tx.one(_exchange, id=id)
        if row is not None:
            return Found(id, row)
        row = tx.one(_line, id=id)
        return None if row is None else Found(id, row, unsent=True)

    def life(self, tx: Transaction, found: Found) -> dict[str, Any]:
        """Everything that may be said of *found*: its subjects, what was asked, what waits, who did what and why."""
        subjects = [found.row] if found.unsent else tx.all(_subjects, of_exchange=found.id)
        owed = tx.one(_awaited, of_exchange=found.id)
        return found.told() | {
            "subjects": [
                {
                    "kind": s["kind"], "id": str(UUID(hex=s["subject_id"])) if s["kind"] == "request" else None,
                    "group": str(as_uuid(s["group_id"])), "state": s["state"], "outcome": s["outcome"],
                    "code": s["code"], "owner": s["owner"], "attempts": s["attempts"],
                    "asked": [a["outcome"] or a["state"] for a in tx.all(_asked, key=s["key"], about=as_uuid(s["id"]))],
                }
                for s in subjects
            ],
            "awaited": owed[0] if owed else 0,
            "overdue": (owed[1] or 0) if owed else 0,
            "incidents": [_told(row) for row in tx.all(_incidents_of, of_exchange=found.id)],
            "done": [
                {
                    "action": row["action"], "person": row["person"], "reason": row["reason"], "was": row["was"],
                    "became": None if row["became"] is None else str(as_uuid(row["became"])),
                    "recorded": moment(row["recorded_at"]).isoformat(timespec="seconds"),
                }
                for row in tx.all(_done_about, of_entity=found.id)
            ],
        }  # fmt: skip

    def incidents(
        self, tx: Transaction, most: int, partner: str | None = None, code: str | None = None, owner: str | None = None
    ) -> list[dict[str, Any]]:
        """What waits for a person, the oldest first."""
        given = {"partner": partner, "code": code, "owner": owner}
        given = {name: value for name, value in given.items() if value is not None}
        rows = tx.all(_listing(incident, frozenset(given)), most=most, **given)
        return [_told(row) for row in rows]

    # -- facts that a decision rests on ------------------------------------------------------------------------------

    def last(self, tx: Transaction, entity: UUID, action: str) -> int | None:
        """When (wall µs) somebody last did *action* about *entity*."""
        row = tx.one(_last, of_entity=entity, of_action=action)
        return None if row is None else int(row[0])

    def became(self, tx: Transaction, entity: UUID) -> UUID | None:
        """The exchange that the bytes of *entity* became when they were read again."""
        row = tx.one(_became, of_entity=entity)
        return None if row is None else maybe_uuid(row[0])

    def taken_over(self, tx: Transaction, subject: Row) -> bool:
        """Whether a later attempt for the same thing is under way or done."""
        later = tx.one(
            _later, of_group=as_uuid(subject["group_id"]), of_partner=subject["partner"],
            of_operation=subject["operation"], of_subject=subject["subject_id"], of_lane=subject["lane"],
            than=as_uuid(subject["id"]),
        )  # fmt: skip
        return later is not None

    def not_known_since(self, tx: Transaction, subject: Row, since: int) -> bool:
        """Whether the partner, asked after *since* (wall µs), did not know *subject*, and nothing was heard after."""
        asked = tx.all(_asked, key=subject["key"], about=as_uuid(subject["id"]))
        return bool(asked) and asked[-1]["outcome"] == "not_known" and asked[-1]["settled_at"] > since

    def enquired(self, tx: Transaction, subject: Row) -> bool:
        """Whether the partner is being asked about *subject*."""
        return any(row["state"] == "open" for row in tx.all(_asked, key=subject["key"], about=as_uuid(subject["id"])))

    def unfinished(self, tx: Transaction) -> list[Row]:
        """Files that are being read again and that a process which died left half taken."""
        return tx.all(_unfinished)

    # -- writing -----------------------------------------------------------------------------------------------------

    def note(
        self,
        tx: Transaction,
        at: Moment,
        person: str,
        action: str,
        reason: str,
        entity: UUID,
        was: str | None,
        became: UUID | None = None,
    ) -> None:
        tx.put(
            _insert,
            id=new_id(), recorded_at=at.wall, business_at=at.business, person=person[:40], action=action,
            reason=reason, entity=entity, was=was, became=became,
        )  # fmt: skip

    def reopen(self, tx: Transaction, at: Moment, subject: Row) -> None:
        """A dead subject is open again, under its key."""
        tx.put(_reopen, subject_row=as_uuid(subject["id"]), from_at=at.wall)

    def open_enquiries(self, tx: Transaction, subject: Row) -> list[Row]:
        """Enquiries about *subject* that nobody has begun to ask."""
        asked = tx.all(_asked, key=subject["key"], about=as_uuid(subject["id"]))
        return [row for row in asked if row["state"] == "open" and row["exchange_id"] is None]

    def closed(self, tx: Transaction, at: Moment, found: Found) -> None:
        """Somebody has acted on *found*: nobody else need."""
        if not found.unsent:
            tx.run(_of_exchange, of_exchange=found.id, resolved=at.wall)
            return
        row = found.row
        tx.put(
            _of_line, of_group=as_uuid(row["group_id"]), of_partner=row["partner"], of_operation=row["operation"],
            of_code=row["code"], resolved=at.wall,
        )  # fmt: skip

    def incident(self, tx: Transaction, id: UUID) -> Row | None:
        """An open incident."""
        return tx.one(_incident, id=id)

    def resolve(self, tx: Transaction, at: Moment, id: UUID) -> None:
        tx.put(_one_incident, of_incident=id, resolved=at.wall)


def _told(row: Row) -> dict[str, Any]:
    return {
        "id": str(as_uuid(row["id"])),
        "kind": row["kind"],
        "code": row["code"],
        "owner": row["owner"],
        "partner": row["partner"],
        "operation": row["operation"],
        "event": row["event"],
        "group": None if row["group_id"] is None else str(as_uuid(row["group_id"])),
        "request": None if row["request_id"] is None else str(as_uuid(row["request_id"])),
        "exchange": None if row["exchange_id"] is None else str(as_uuid(row["exchange_id"])),
        "line": row["line"],
        "raised": moment(row["raised_at"]).isoformat(timespec="seconds"),
    }


_listings: dict[tuple[str, frozenset[str]], Statement] = {}


def _listing(table: Any, names: frozenset[str]) -> Statement:
    """The rows of *table* that agree with the named filters and, where no state is named, wait for a person."""
    found = _listings.get((table.name, names))
    if found is None:
        same = sorted(names - {"since", "until"})
        where = [table.c[name] == bindparam(name) for name in same]
        if "since" in names:
            where.append(table.c.created_at >= bindparam("since"))
        if "until" in names:
            where.append(table.c.created_at < bindparam("until"))
        if table is exchange_subject:
            where += [*_unsent, _incident_of_line]
        elif table is incident:
            where.append(incident.c.resolved_at.is_(None))
        elif "state" not in names:
            where.append(_waits)
        statement = select(table).where(*where).order_by(table.c.id).limit(bindparam("most"))
        found = _listings[table.name, names] = Statement(statement)
    return found
