"""What people and machines ask of the store: counts, timelines, lists.  Reads only, beside the writer."""

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, case, func, select, true

from hub.canonical.errors import HubError
from hub.canonical.money import from_minor
from hub.journey import Spent, Turns, spent
from hub.security.sealing import Sealer
from hub.store import tally
from hub.store.database import Database, Row, Statement, Transaction, among, as_uuid, within
from hub.store.encoding import from_json, micros, moment
from hub.store.promise import steps_of
from hub.store.scope import ALL, Owned, Scope, confine
from hub.store.tables import exchange, exchange_subject, history, incident, request, run, sequence, umrah_group, voucher

STATES = ("waiting", "leased", "sending", "in_doubt", "held", "parked", "dead", "settled")

# Said so that no index of all exchanges is taken for it: most subjects without one were withdrawn long ago.
_nowhere = case((exchange_subject.c.exchange_id.is_(None), 1), else_=0) == 1
_open_subjects = Statement(
    select(exchange_subject.c.partner, func.count())
    .where(exchange_subject.c.state == "open")
    .group_by(exchange_subject.c.partner)
)
# What is frozen and open is in somebody's slots or between two attempts: few, whatever the backlog.
_frozen_subjects = Statement(
    select(exchange_subject.c.partner, func.count())
    .join(exchange, exchange.c.id == exchange_subject.c.exchange_id)
    .where(exchange.c.open == true(), among(exchange.c.state, tally.OPEN), exchange_subject.c.state == "open")
    .group_by(exchange_subject.c.partner)
)
_oldest = Statement(
    select(exchange_subject.c.partner, func.min(exchange_subject.c.created_at))
    .where(exchange_subject.c.state == "open")
    .group_by(exchange_subject.c.partner)
)
_incidents = Statement(
    select(incident.c.kind, incident.c.code, func.count())
    .where(incident.c.resolved_at.is_(None))
    .group_by(incident.c.kind, incident.c.code)
)
_attention = Statement(
    select(incident.c.code, incident.c.owner, incident.c.partner, func.count(), func.min(incident.c.raised_at))
    .where(incident.c.resolved_at.is_(None), incident.c.kind != "suspense")
    .group_by(incident.c.code, incident.c.owner, incident.c.partner)
    .order_by(func.min(incident.c.raised_at))
)
_incident_rows = Statement(
    select(incident).where(incident.c.resolved_at.is_(None)).order_by(incident.c.id).limit(bindparam("most"))
)
_edges = tuple(
    Statement(select(func.min(table.c.due)).where(table.c.due.is_not(None)))
    for table in (request, voucher, umrah_group)
)
_unsettled = (
    Statement(
        select(exchange.c.id)
        .where(exchange.c.open == true(), among(exchange.c.state, ("waiting", "leased", "sending", "in_doubt")))
        .limit(1)
    ),
    Statement(select(exchange_subject.c.id).where(exchange_subject.c.state == "open", _nowhere).limit(1)),
)
# The five-minute clock is told of the latest references, so that asking costs the same however many there have been.
_spans = Statement(
    select(request.c.paid_at, request.c.referenced_at, request.c.partner_us)
    .where(request.c.referenced_at.is_not(None))
    .order_by(request.c.referenced_at.desc())
    .limit(10_000)
)
_number = Statement(select(sequence.c.value).where(sequence.c.name == bindparam("name")))
_group = Owned(lambda scope: select(umrah_group).where(umrah_group.c.id == bindparam("id"), scope.groups))
_voucher = Statement(select(voucher).where(voucher.c.group_id == bindparam("id")))
_members = Statement(
    select(request.c.id, request.c.member, request.c.request_no, request.c.state, request.c.end_reason, request.c.marks)
    .where(request.c.group_id == bindparam("id"))
    .order_by(request.c.member)
)
_request = Owned(
    lambda scope: (
        select(
            request,
            umrah_group.c.agent,
            umrah_group.c.company,
            umrah_group.c.group_no,
            umrah_group.c.due.label("group_due"),
        )
        .join(umrah_group, umrah_group.c.id == request.c.group_id)
        .where(request.c.id == bindparam("id"), scope.requests)
    )
)
_owner = Owned(
    lambda scope: (
        select(umrah_group.c.agent, umrah_group.c.company)
        .join(request, request.c.group_id == umrah_group.c.id)
        .where(request.c.id == bindparam("id"), scope.requests)
    )
)
_standing = Statement(
    select(request.c.id, request.c.state, request.c.wrapped, request.c.sealed).where(within(request.c.id, "ids"))
)
_history = Statement(
    select(history)
    .where((history.c.entity_id == bindparam("id")) | (history.c.entity_id == bindparam("group_id")))
    .order_by(history.c.id)
)
_history_voucher = Statement(
    select(history)
    .where(history.c.group_id == bindparam("group_id"), history.c.machine == "voucher")
    .order_by(history.c.id)
)
_waits = Statement(
    select(
        exchange_subject.c.partner,
        exchange_subject.c.operation,
        exchange_subject.c.created_at,
        exchange.c.state,
        exchange.c.owner,
        exchange.c.code,
    )
    .join(exchange, exchange.c.id == exchange_subject.c.exchange_id, isouter=True)
    .where(
        exchange_subject.c.group_id == bindparam("group_id"),
        exchange_subject.c.state == "open",
        among(exchange_subject.c.subject_id, (bindparam("subject"), bindparam("voucher"))),
    )
)
_runs = Statement(select(run).order_by(run.c.due_at.desc(), run.c.schedule).limit(bindparam("most")))


@dataclass(frozen=True, slots=True)
class Found:
    """A group as its agent, its company and operators see it; ``owner`` is (agent, company)."""

    owner: tuple[str, str]
    body: dict[str, Any]


class Reading:
    """Answers questions about the store.  ``busy`` says whether the engine has anything in its hands.

    As it is made it sees every case, as the hub itself does; what answers a caller reads by :meth:`of`.
    """

    _scope = ALL

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        business: Callable[[], datetime],
        busy: Callable[[], bool],
        turns: Turns,
    ) -> None:
        self._database, self._sealer, self._business, self._busy = database, sealer, business, busy
        self._turns = turns
        #: Set by whoever runs the timetable: when the next schedule is due.
        self.next_schedule: Callable[[], datetime | None] = lambda: None

    def of(self, scope: Scope) -> "Reading":
        """The same for whoever may see *scope*: of groups and requests outside of it this one knows nothing."""
        own = copy.copy(self)
        own._scope = scope
        return own

    @contextmanager
    def _view(self, *, lists: bool = False) -> Iterator[Transaction]:
        """A consistent view of what is in scope; on PostgreSQL the server holds every statement to it."""
        with self._database.reading() as tx:
            confine(tx, self._scope, lists=lists)
            yield tx

    def alive(self) -> None:
        """Raises where the store cannot be read."""
        with self._database.reading() as tx:
            tx.one(_number, name="ticked")

    # -- now ---------------------------------------------------------------------------------------------------------

    def now(self) -> dict[str, Any]:
        """The hub at one glance: states, exchanges by partner, what is open, the five-minute clock."""
        busy = self._busy()
        with self._database.reading() as tx:
            counts = tally.states(tx)
            exchanges = _exchanges(tx)
            incidents = [{"kind": r[0], "code": r[1], "n": r[2]} for r in tx.all(_incidents)]
            edges = [r[0] for s in _edges if (r := tx.one(s)) is not None and r[0] is not None]
            ticked = tx.one(_number, name="ticked")
            unsettled = any(tx.one(statement) is not None for statement in _unsettled)
            spans = sorted(
                (r["referenced_at"] - r["paid_at"] - r["partner_us"]) / 1e6 for r in tx.all(_spans) if r["paid_at"]
            )
        schedule = self.next_schedule()
        return {
            "business_at": self._business().isoformat(),
            "ticked_to": moment(ticked[0]).isoformat() if ticked else None,
            "quiet": not busy and not self._busy() and not unsettled,
            "states": counts["request"],
            "groups": counts["group"],
            "vouchers": counts["voucher"],
            "exchanges": exchanges,
            "next_edge": moment(min(edges)).isoformat() if edges else None,
            "next_schedule": schedule.isoformat() if schedule else None,
            "suspense": sum(i["n"] for i in incidents if i["kind"] == "suspense"),
            "incidents": [{"code": i["code"], "n": i["n"]} for i in incidents if i["kind"] != "suspense"],
            "seconds_to_reference": _quantiles(spans),
        }

    def waiting_since(self) -> dict[str, datetime]:
        """For each partner on whom something waits, when (wall time) the oldest of it began to."""
        with self._database.reading() as tx:
            return {partner: moment(since) for partner, since in tx.all(_oldest)}

    def attention(self) -> list[dict[str, Any]]:
        """What waits for a person, suspense apart: code, who must act, the partner it is about, how many, and since
        when (wall time); the oldest first."""
        with self._database.reading() as tx:
            return [
                {"code": code, "owner": owner, "partner": partner, "n": n, "since": moment(since)}
                for code, owner, partner, n, since in tx.all(_attention)
            ]

    def state(self, request_id: UUID) -> tuple[str, str | None]:
        """A request's state and its reference number.  Raises HubError ``not_found``."""
        row = self._database.glance(_standing, ids=[request_id])
        if row is None:
            raise HubError("not_found")
        return row["state"], self._reference_no(row)

    def states(self, request_ids: Sequence[UUID]) -> dict[UUID, tuple[str, str | None]]:
        """The state and the reference number of each of *request_ids* that there is."""
        with self._database.reading() as tx:
            rows = tx.all(_standing, ids=request_ids)
        return {as_uuid(row["id"]): (row["state"], self._reference_no(row)) for row in rows}

    def _reference_no(self, row: Row) -> str | None:
        data = self._sealer.open(self._sealer.unwrap(row["wrapped"]), row["sealed"], as_uuid(row["id"]).bytes)
        found: str | None = json.loads(data).get("reference_no")
        return found

    # -- lists and lives ---------------------------------------------------------------------------------------------

    def owner_of(self, request_id: UUID) -> tuple[str, str] | None:
        """The agent and the company of a request; None where there is none such in scope."""
        row = self._database.glance(_owner.under(self._scope), id=request_id, **self._scope.values)
        return None if row is None else (row["agent"], row["company"])

    def group(self, group_id: UUID) -> Found | None:
        """The group as its agent and its company see it; None where there is none such in scope."""
        with self._view() as tx:
            row = tx.one(_group.under(self._scope), id=group_id, **self._scope.values)
            if row is None:
                return None
            bill = tx.one(_voucher, id=group_id)
            members = tx.all(_members, id=group_id)
        body = {
            "id": str(group_id),
            "group_no": row["group_no"],
            "agent_group_no": row["agent_ref"],
            "state": row["state"],
            "blocked": from_json(row["marks"]).get("blocked"),
            "voucher": None if bill is None else _bill(bill),
            "bookings": from_json(row["bookings"]),
            "requests": [_member(m) for m in members],
        }
        return Found((row["agent"], row["company"]), body)

    def requests(
        self,
        *,
        agent: str | None = None,
        company: str | None = None,
        state: str | None = None,
        after: UUID | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Requests in scope in the order of their filing, those of one agent or one company where it asks."""
        where = [
            column == bindparam(name)
            for name, column, value in (
                ("agent", umrah_group.c.agent, agent),
                ("company", umrah_group.c.company, company),
                ("state", request.c.state, state),
            )
            if value is not None
        ]
        if after is not None:
            where.append(request.c.id > bindparam("after"))
        names = (self._scope.role, *sorted(str(w.left.key) for w in where))
        statement = _listing(names, [*where, self._scope.requests])
        given = {"agent": agent, "company": company, "state": state, "after": after, "most": limit}
        asked = {k: v for k, v in given.items() if v is not None} | self._scope.values
        with self._view(lists=True) as tx:
            rows = tx.all(statement, **asked)
        return [{**_member(r), "group": str(as_uuid(r["group_id"]))} for r in rows]

    def timeline(self, request_id: UUID) -> dict[str, Any] | None:
        """A pilgrim's whole way: every state with when it happened and when we learned it, what it waits on, when
        (business time) the clock itself moves it, its group or its bill, and the five-minute clock with its stages."""
        with self._view() as tx:
            row = tx.one(_request.under(self._scope), id=request_id, **self._scope.values)
            if row is None:
                return None
            group_id = as_uuid(row["group_id"])
            steps = [*tx.all(_history, id=request_id, group_id=group_id), *tx.all(_history_voucher, group_id=group_id)]
            bill = tx.one(_voucher, id=group_id)
            waits = tx.all(
                _waits,
                group_id=group_id,
                subject=request_id.hex,
                voucher="" if bill is None else as_uuid(bill["id"]).hex,
            )
        steps.sort(key=lambda s: s["id"])
        now = datetime.now(UTC)
        clock = spent(steps_of(steps, request_id), self._turns.at(now), micros(now))
        sealed = self._sealer.open(self._sealer.unwrap(row["wrapped"]), row["sealed"], request_id.bytes)
        pilgrim = json.loads(sealed)
        dues = [at for at in (row["due"], row["group_due"], None if bill is None else bill["due"]) if at is not None]
        return {
            "id": str(request_id),
            "request_no": row["request_no"],
            "group_no": row["group_no"],
            "state": row["state"],
            "end_reason": row["end_reason"],
            "name": pilgrim["person"]["name"],
            "name_ar": pilgrim["person"].get("name_ar"),
            "nationality": pilgrim["person"]["nationality"],
            "reference_no": pilgrim.get("reference_no"),
            "visa_no": (pilgrim.get("visa") or {}).get("number"),
            "border_no": pilgrim.get("border_no"),
            "due": moment(min(dues)).isoformat() if dues else None,
            "turn": None if clock.waits_for is None else {
                "who": clock.waits_for, "since": moment(clock.spells[-1].since).isoformat(),
            },
            "waits_on": [
                {
                    "partner": w["partner"], "operation": w["operation"], "state": w["state"] or "waiting",
                    "who": w["owner"] or "partner", "since": moment(w["created_at"]).isoformat(),
                    "owner": w["owner"], "code": w["code"],
                }
                for w in waits
            ],
            "clock": _clock(clock, row["partner_us"]),
            "steps": [
                {
                    "machine": s["machine"],
                    "event": s["event"],
                    "was": s["was"],
                    "now": s["now"],
                    "reason": s["reason"],
                    "corrects": bool(s["corrects"]),
                    "happened": moment(s["happened_at"]).isoformat(),
                    "learned": moment(s["business_at"]).isoformat(),
                    "recorded": moment(s["recorded_at"]).isoformat(),
                }
                for s in steps
            ],
        }  # fmt: skip

    def runs(self, limit: int = 100) -> list[dict[str, Any]]:
        """The latest runs of the timetable, the newest first."""
        with self._database.reading() as tx:
            rows = tx.all(_runs, most=limit)
        return [
            {
                "schedule": r["schedule"],
                "due_at": moment(r["due_at"]).isoformat(),
                "state": r["state"],
                "started_at": moment(r["started_at"]).isoformat() if r["started_at"] else None,
                "ended_at": moment(r["ended_at"]).isoformat() if r["ended_at"] else None,
                "late": bool(r["late"]),
                "files": r["files"],
                "lines": r["lines"],
                "code": r["code"],
            }
            for r in rows
        ]

    def incidents(self, limit: int = 500) -> list[dict[str, Any]]:
        """What waits for a person: kind, code, who must act, and where."""
        with self._database.reading() as tx:
            rows = tx.all(_incident_rows, most=limit)
        return [
            {
                "id": str(as_uuid(r["id"])),
                "kind": r["kind"],
                "code": r["code"],
                "owner": r["owner"],
                "partner": r["partner"],
                "operation": r["operation"],
                "event": r["event"],
                "request": None if r["request_id"] is None else str(as_uuid(r["request_id"])),
                "group": None if r["group_id"] is None else str(as_uuid(r["group_id"])),
                "exchange": None if r["exchange_id"] is None else str(as_uuid(r["exchange_id"])),
                "line": r["line"],
                "raised": moment(r["raised_at"]).isoformat(),
            }
            for r in rows
        ]


_listings: dict[tuple[str, ...], Statement] = {}


def _listing(names: tuple[str, ...], where: list[Any]) -> Statement:
    found = _listings.get(names)
    if found is None:
        found = _listings[names] = Statement(
            select(
                request.c.id, request.c.member, request.c.request_no, request.c.state, request.c.end_reason,
                request.c.marks, request.c.group_id,
            )
            .join(umrah_group, umrah_group.c.id == request.c.group_id)
            .where(*where)
            .order_by(request.c.id)
            .limit(bindparam("most"))
        )  # fmt: skip
    return found


def _exchanges(tx: Transaction) -> dict[str, dict[str, int]]:
    found = tally.exchanges(tx)
    for statement, sign in ((_open_subjects, 1), (_frozen_subjects, -1)):
        for partner, n in tx.all(statement):
            found.setdefault(partner, Counter())["waiting"] += sign * n
    names = (*STATES, "sent", "refused", "retried")
    return {partner: {name: counts[name] for name in names} for partner, counts in sorted(found.items())}


def _member(row: Row) -> dict[str, Any]:
    marks = from_json(row["marks"])
    return {
        "id": str(as_uuid(row["id"])),
        "request_no": row["request_no"],
        "member": row["member"],
        "state": row["state"],
        "reason": row["end_reason"] or marks.get("reason"),
        "attempt": marks.get("attempt", 1),
    }


def _clock(clock: Spent, partner_us: int) -> dict[str, Any]:
    """The clock of one request: its three figures in seconds, and each stay in a stage.  ``partner_s`` is what of the
    promise was the partner's own time."""

    def seconds(us: int | None) -> float | None:
        return None if us is None else round(us / 1e6, 3)

    return {
        "promise_s": seconds(clock.promise),
        "partner_s": seconds(partner_us) if clock.referenced is not None else None,
        "machine_s": seconds(clock.machine),
        "wall_s": seconds(clock.wall),
        "stopped": clock.ended is not None,
        "waits_for": clock.waits_for,
        "stages": [
            {
                "stage": spell.stage.name,
                "turn": spell.stage.turn,
                "since": moment(spell.since).isoformat(),
                "until": None if spell.until is None else moment(spell.until).isoformat(),
                "spent_s": seconds(spell.us),
                "budget_s": spell.stage.seconds,
                "over": spell.stage.seconds is not None and spell.us > spell.stage.seconds * 1_000_000,
            }
            for spell in clock.spells
        ],
    }


def _bill(row: Row) -> dict[str, Any]:
    return {
        "bill_no": row["bill_no"],
        "state": row["state"],
        "amount": str(from_minor(row["amount"], row["currency"])),
        "paid": str(from_minor(row["paid"], row["currency"])),
        "currency": row["currency"],
        "expires_at": moment(row["expires_at"]).isoformat() if row["expires_at"] else None,
    }


def _quantiles(sorted_spans: list[float]) -> dict[str, Any]:
    n = len(sorted_spans)

    def at(q: float) -> float | None:
        return None if not n else round(max(sorted_spans[min(n - 1, int(q * n))], 0.0), 3)

    return {"p50": at(0.5), "p99": at(0.99), "max": at(1.0), "n": n}
