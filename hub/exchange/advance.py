"""A fact meets a case: the journey decides, and all that follows is written in the unit at hand.

This is the one place where a case moves.  States, history, kept facts, incidents and the exchanges that the fact
causes are rows of the same commit.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import bindparam, delete, select

from hub.canonical.case import Case
from hub.canonical.entities import Document
from hub.canonical.errors import catalogue
from hub.canonical.events import Event
from hub.canonical.ids import new_id
from hub.exchange.moves import Moves
from hub.journey import AlreadyTrue, Applied, Conflict, Rules, TooEarly, apply, evolve
from hub.partners import Operation, Register
from hub.security.sealing import Sealer
from hub.store.cases import Cases, Changes, Kept, kind_in
from hub.store.database import Statement, Transaction, as_uuid, inserting, maybe_uuid
from hub.store.encoding import from_json, moment, to_json
from hub.store.ledger import Ledger, Moment
from hub.store.tables import fact

Verdict = Literal["applied", "repeated", "kept", "conflict"]


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one event that somebody told us."""

    event: Event
    verdict: Verdict
    code: str | None = None


_fact_insert = inserting(fact)
_facts_of = Statement(select(fact).where(fact.c.group_id == bindparam("group_id")).order_by(fact.c.id))
_fact_delete = Statement(delete(fact).where(fact.c.id == bindparam("fact_id")))
#: Events that give a pilgrim a number: the fact that holds it, and the kind under which it is found.
_GIVES = {"reference.issued": ("reference_no", "reference"), "visa.issued": ("visa_no", "visa")}


class Advance:
    """Applies events to cases and routes what they cause; *hear* is told of each event that moved one."""

    def __init__(
        self,
        cases: Cases,
        ledger: Ledger,
        register: Register,
        rules: Rules,
        sealer: Sealer,
        moves: Moves,
        hear: Callable[[Transaction, Case, Event, Moment], None],
    ) -> None:
        self._cases, self._ledger, self._register, self._rules = cases, ledger, register, rules
        self._sealer, self._moves, self._hear = sealer, moves, hear

    def happen(
        self,
        tx: Transaction,
        kept: Kept,
        events: Iterable[Event],
        at: Moment,
        *,
        exchange: UUID | None = None,
        partner: str | None = None,
        spent_us: int = 0,
        judged: Applied | AlreadyTrue | None = None,
        corrected: tuple[UUID, Document] | None = None,
    ) -> list[Told]:
        """Apply *events*, and what follows from them, to the case; save it; answer what came of each event told.

        ``exchange`` and ``partner`` are who told us; ``spent_us`` the partner's own time, for the five-minute clock;
        ``judged`` is what the journey has said of the one event already, of the case as it is; ``corrected`` the
        request whose personal part the case holds anew, and the document that it was under.
        """
        changes = Changes()
        if corrected is not None:
            self._cases.reindex(tx, kept, *corrected)
            changes.sealed.add(corrected[0])
        told = [self._tell(tx, kept, event, at, changes, exchange, partner, spent_us, judged) for event in events]
        if kept.kept_facts and any(t.verdict == "applied" for t in told):
            self._try_kept(tx, kept, at, changes)
        if changes.group or changes.voucher or changes.members or changes.sealed:
            self._cases.save(tx, kept, changes)
        self._moves.moved(tx, kept.case, changes.members)
        return told

    def _tell(
        self,
        tx: Transaction,
        kept: Kept,
        event: Event,
        at: Moment,
        changes: Changes,
        exchange: UUID | None,
        partner: str | None,
        spent_us: int,
        judged: Applied | AlreadyTrue | None,
    ) -> Told:
        verdict = self._apply(tx, kept, event, at, changes, exchange, spent_us, judged)
        if isinstance(verdict, Applied):
            return Told(event, "applied")
        if isinstance(verdict, AlreadyTrue):
            return Told(event, "repeated")
        if isinstance(verdict, TooEarly):
            self._keep(tx, kept, event, verdict.code, at, changes, exchange)
            return Told(event, "kept", verdict.code)
        self._conflict(tx, kept.case, event, verdict, at, exchange, partner)
        return Told(event, "conflict", verdict.code)

    def _apply(
        self,
        tx: Transaction,
        kept: Kept,
        event: Event,
        at: Moment,
        changes: Changes,
        exchange: UUID | None,
        spent_us: int,
        judged: Applied | AlreadyTrue | None = None,
    ) -> Applied | AlreadyTrue | TooEarly | Conflict:
        case = kept.case
        case.focus = event.request
        result = judged or self._anothers(tx, case, event) or apply(case, event, self._rules, moment(at.business))
        if isinstance(result, Applied):
            evolve(case, result)
            changes.note(result)
            self._moves.note(tx, result)
            self._cases.record(tx, kept, result, business=at.business, wall=at.wall, exchange=exchange)
            if self._cases.learn(tx, kept, event) and event.request is not None:
                changes.sealed.add(event.request)
            for one in (event, *result.events):
                self._time(tx, kept, one, at, changes, spent_us)
                self._route(tx, case, one, at)
                self._hear(tx, case, one, at)
        return result

    def foresee(self, tx: Transaction, lines: Iterable[object]) -> None:
        """Look up at once whose the numbers are that *lines* give, before what they tell happens."""
        told = list(lines)
        for fact_name, kind in _GIVES.values():
            numbers = {number for line in told if (number := getattr(line, fact_name, None))}
            if numbers:
                self._cases.foresee_numbers(tx, kind, [self._cases.hash_of(kind, number) for number in numbers])

    def _anothers(self, tx: Transaction, case: Case, event: Event) -> Conflict | None:
        """A reference or visa number names one pilgrim; one that was given to another stands against *event*."""
        given = _GIVES.get(event.name)
        number = event.facts.get(given[0]) if given else None
        if given and number and self._cases.anothers(tx, kind_in(case, given[1]), number, event.request):
            return Conflict("number_of_another", "the number was given to somebody else before")
        return None

    def _time(self, tx: Transaction, kept: Kept, event: Event, at: Moment, changes: Changes, spent_us: int) -> None:
        if event.request is None:
            return
        if event.name == "request.paid":
            self._cases.paid(tx, kept, event.request, at.wall)
        elif event.name == "reference.issued":
            changes.referenced[event.request] = at.wall, spent_us
            changes.sealed.add(event.request)

    # -- facts before their time -------------------------------------------------------------------------------------

    def _keep(
        self, tx: Transaction, kept: Kept, event: Event, code: str, at: Moment, changes: Changes, exchange: UUID | None
    ) -> None:
        row_id = new_id()
        wrapped, key = self._sealer.new_data_key()
        body = to_json(
            {
                "request": event.request,
                "line": event.line,
                "happened": event.happened,
                "data": dict(event.data),
                "facts": dict(event.facts),
            }
        ).encode()
        tx.put(
            _fact_insert,
            id=row_id, group_id=kept.case.id, event=event.name, code=code, kept_at=at.wall, exchange_id=exchange,
            wrapped=wrapped, sealed=self._sealer.seal(key, body, row_id.bytes),
        )  # fmt: skip
        kept.kept_facts += 1
        changes.group = True

    def _try_kept(self, tx: Transaction, kept: Kept, at: Moment, changes: Changes) -> None:
        """Try the kept facts again, in the order they were told, as long as one of them moves the case."""
        moved = True
        while moved and kept.kept_facts:
            moved = False
            for row in tx.all(_facts_of, group_id=kept.case.id):
                event = self._event(kept.case.id, row)
                exchange = maybe_uuid(row["exchange_id"])
                result = self._apply(tx, kept, event, at, changes, exchange, 0)
                if isinstance(result, TooEarly):
                    continue
                tx.put(_fact_delete, fact_id=as_uuid(row["id"]))
                kept.kept_facts -= 1
                changes.group = True
                if isinstance(result, Applied):
                    moved = True
                elif isinstance(result, Conflict):
                    self._conflict(tx, kept.case, event, result, at, exchange, None)

    def _event(self, group_id: UUID, row: object) -> Event:
        sealed = row["sealed"]  # type: ignore[index]
        row_id, name = as_uuid(row["id"]), row["event"]  # type: ignore[index]
        key = self._sealer.unwrap(row["wrapped"])  # type: ignore[index]
        body = from_json(self._sealer.open(key, sealed, row_id.bytes).decode())
        return Event(
            name=name,
            group=group_id,
            request=body["request"],
            line=body["line"],
            happened=body["happened"],
            data=body["data"],
            facts=body["facts"],
        )

    def _conflict(
        self,
        tx: Transaction,
        case: Case,
        event: Event,
        conflict: Conflict,
        at: Moment,
        exchange: UUID | None,
        partner: str | None,
    ) -> None:
        entry = catalogue().get(conflict.code)
        self._ledger.raise_incident(
            tx, at, "conflict", conflict.code, entry.who if entry else "operator",
            partner=partner, event=event.name, group_id=case.id, request_id=event.request, exchange_id=exchange,
        )  # fmt: skip

    # -- routing -----------------------------------------------------------------------------------------------------

    def _route(self, tx: Transaction, case: Case, event: Event, at: Moment) -> None:
        """Content-based router: each operation that subscribes to *event* gets a subject at this case's partner."""
        for operation in self._register.subscribers(event.name):
            subject_id, lane = _subject(operation, case, event)
            partner = self._register.choose(operation, case, subject_id)
            if partner is None and not self._register.awaited(operation, case, subject_id):
                continue
            if partner is None:
                self._ledger.raise_incident(
                    tx, at, "exchange", "no_partner", "operator",
                    operation=operation.name, event=event.name, group_id=case.id, request_id=event.request,
                )  # fmt: skip
                continue
            within = operation.batch.within if operation.batch else 0.0
            self._ledger.add_subject(
                tx,
                at,
                partner=partner.id,
                operation=operation.name,
                kind=operation.per or "request",
                subject_id=subject_id,
                group_id=case.id,
                lane=lane,
                key=case.voucher.bill_no if operation.per == "voucher" and case.voucher else new_id().hex,
                urgency=case.arrives_on.toordinal(),
                not_before=at.wall + int(within * 1e6),
            )
            tx.wake(partner.id)


def _subject(operation: Operation, case: Case, event: Event) -> tuple[str, str]:
    """What a line of *operation* is about, and the lane in which it keeps its order."""
    if operation.per in ("booking", "trip"):
        assert event.line is not None
        return event.line, f"{case.id.hex}/{event.line}"
    if operation.per == "voucher":
        assert case.voucher is not None
        return case.voucher.id.hex, case.voucher.id.hex
    if operation.per == "group":
        return case.id.hex, case.id.hex
    assert event.request is not None
    return event.request.hex, event.request.hex
