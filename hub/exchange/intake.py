"""How pilgrims come in and what is decided about them: groups filed, rosters uploaded, decisions taken.

The API's filings are taken whole or not at all; of a roster every row is taken or given back with its reason.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hub.canonical.case import Agent, Case, Member, Pilgrim
from hub.canonical.declare import faults
from hub.canonical.entities import ArabicName, Companion, Document, Name, Person
from hub.canonical.errors import HubError
from hub.canonical.events import Event
from hub.canonical.ids import bill_no, new_id, request_no
from hub.canonical.messages.desk import Decision, Filing, GroupFiling
from hub.canonical.messages.roster import RosterOutcome, RosterRow, RowOutcome
from hub.exchange.advance import Advance, Told
from hub.exchange.receive import Once, Receipt, Receiver, Refusal, problem
from hub.journey import Applied, Conflict, Rules, TooEarly, apply
from hub.mapping import Map, Row
from hub.partners import Operation, Register
from hub.partners.partner import Partner
from hub.store.cases import Cases, Kept, moment
from hub.store.database import Database, Transaction
from hub.store.ledger import Ledger, Moment

_DESK = "agents/desk"
ROWS = 50  # rows of a roster that share a unit of work


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of one row of a roster."""

    outcome: str
    request_no: str | None = None
    code: str | None = None
    where: dict[str, Any] | None = None


class Intake:
    """Groups, rosters and decisions."""

    def __init__(
        self,
        database: Database,
        cases: Cases,
        ledger: Ledger,
        register: Register,
        rules: Rules,
        advance: Advance,
        receiver: Receiver,
    ) -> None:
        self._database, self._cases, self._ledger, self._register = database, cases, ledger, register
        self._rules, self._advance, self._receiver = rules, advance, receiver
        self._desk = register.adapters[_DESK].operations

    # -- a group filed over the API ----------------------------------------------------------------------------------

    def open_group(self, agent: Partner, filing: GroupFiling, body: bytes, once: Once | None) -> Receipt:
        """A group with its programme and the members it has so far; all of it, or none."""

        def unit(tx: Transaction) -> Receipt:
            at = self._receiver.now()
            standing = self.standing(tx, agent)
            if self._cases.group_of_agent(tx, agent.id, filing.group_no) is not None:
                raise Refusal(_refusal([("group_exists", "group_no", {})]))
            exchange = self._ledger.open(
                tx, at, partner=agent.id, operation="open_group", direction="in", state="settled", body=body,
                sha256=hashlib.sha256(body).hexdigest(), subjects=len(filing.members),
            )  # fmt: skip
            case = self._new_case(tx, standing, filing, at)
            self._check(case, Event(name="group.opened", group=case.id, happened=moment(at.business)), at, None)
            kept = self._cases.create(tx, case)
            self._advance.happen(
                tx, kept, [Event(name="group.opened", group=case.id, happened=moment(at.business))], at,
                exchange=exchange, partner=agent.id,
            )  # fmt: skip
            problems: list[tuple[str, str | None, dict[str, Any]]] = []
            added = [self._add(tx, kept, member) for member in filing.members]
            self._pair(kept, added)
            for index, request_id in enumerate(added):
                problems += [
                    (code, f"members.{index}{'.' + field if field else ''}", where)
                    for code, field, where in self._submit(tx, kept, request_id, at, exchange, agent)
                ]
            if problems:
                raise Refusal(_refusal(problems))
            self._ledger.audit(tx, at, agent.id, "open_group", case.id.hex, exchange)
            return Receipt(
                "taken",
                201,
                {
                    "id": str(case.id),
                    "group_no": case.group_no,
                    "state": case.state,
                    "requests": [
                        {"id": str(i), "request_no": m.request_no, "state": m.state, "member": n}
                        for n, (i, m) in enumerate((i, case.members[i]) for i in added)
                    ],
                },
                exchange=exchange,
            )

        return self._receiver.once(once, unit)

    def standing(self, tx: Transaction, agent: Partner) -> Agent:
        """An agent's terms as the register has them, with what is left of its quota."""
        if agent.agent is None:
            raise HubError("forbidden")
        standing = self._cases.agent(agent.id)
        if standing.quota_left is not None:
            standing.quota_left -= self._ledger.last_number(tx, f"filed/{agent.id}") or 0
        return standing

    def _new_case(self, tx: Transaction, standing: Agent, filing: GroupFiling, at: Moment) -> Case:
        serial = self._ledger.next_number(tx, "group")
        return Case(
            id=new_id(),
            group_no=f"G{serial:09}",
            agent_ref=filing.group_no,
            season=filing.season,
            state="NEW",
            agent=standing,
            heads=filing.heads,
            programme=filing.programme,
            opened_at=moment(at.business),
            marks={"voucher_id": new_id(), "bill_no": bill_no(serial)},
        )

    def _check(self, case: Case, event: Event, at: Moment, prefix: str | None) -> None:
        """Refuse the filing with everything that the journey has against *event*."""
        result = apply(case, event, self._rules, moment(at.business))
        if isinstance(result, Conflict):
            raise Refusal(_refusal(_faults(result, prefix)))

    # -- members -----------------------------------------------------------------------------------------------------

    def _add(self, tx: Transaction, kept: Kept, filing: Filing) -> UUID:
        """A new member, not yet anything: its first event makes it a draft."""
        request_id = new_id()
        member = Member(id=request_id, request_no=request_no(self._ledger.next_number(tx, "request")), state="NEW")
        pilgrim = Pilgrim(person=filing.person, document=filing.document, companion=filing.companion)
        self._cases.add(tx, kept, member, pilgrim)
        return request_id

    def _pair(self, kept: Kept, requests: Sequence[UUID]) -> None:
        """Resolve whom each pilgrim names as companion to a member of the same group."""
        by_document = {(p.document.number, p.document.issuing_state): i for i, p in kept.case.pilgrims.items()}
        for request_id in requests:
            named = kept.case.pilgrims[request_id].companion
            if named is not None:
                found = by_document.get((named.number, named.issuing_state))
                kept.case.members[request_id].companion = None if found == request_id else found

    def _submit(
        self, tx: Transaction, kept: Kept, request_id: UUID, at: Moment, exchange: UUID, agent: Partner
    ) -> list[tuple[str, str | None, dict[str, Any]]]:
        """Draft and submit one member; answers what stands against it."""
        case, now = kept.case, moment(at.business)
        case.agent = self.standing(tx, agent)
        document = case.pilgrims[request_id].document
        others = self._cases.find(tx, "document", document.number, document.issuing_state)
        if any(live and other != request_id for other, _, live in others):
            # Who else has it is nobody's business.
            return [("duplicate_request", "document.number", {})]
        drafted = Event(name="request.drafted", group=case.id, request=request_id, happened=now)
        submitted = Event(name="request.submitted", group=case.id, request=request_id, happened=now)
        self._advance.happen(tx, kept, [drafted], at, exchange=exchange, partner=agent.id)
        case.focus = request_id
        result = apply(case, submitted, self._rules, now)
        if isinstance(result, Conflict):
            return _faults(result, None)
        self._advance.happen(tx, kept, [submitted], at, exchange=exchange, partner=agent.id)
        self._ledger.next_number(tx, f"filed/{agent.id}")
        return []

    # -- decisions ---------------------------------------------------------------------------------------------------

    def decide(self, partner: Partner, decision: Decision, request_id: UUID, body: bytes, once: Once | None) -> Receipt:
        """What a company, an agent or the health authority decides on one request."""

        def unit(tx: Transaction) -> Receipt:
            at = self._receiver.now()
            group = self._cases.group_of_request(tx, request_id)
            kept = self._cases.load(tx, group) if group is not None else None
            if kept is None:
                raise Refusal(_refusal([("not_found", None, {})]))
            operation = self._desk["decide"]
            exchange = self._ledger.open(
                tx, at, partner=partner.id, operation="decide", direction="in", state="settled", body=body, subjects=1,
            )  # fmt: skip
            if decision.correction is not None:
                self._correct(tx, kept, request_id, decision.correction)
            event = Event(
                name=operation.gives[decision.outcome],
                group=kept.case.id,
                request=request_id,
                happened=decision.happened or moment(at.business),
                data={"reason": decision.reason} if decision.reason else {},
            )
            told = self._decided(tx, kept, event, at, exchange, partner)
            self._ledger.audit(tx, at, partner.id, decision.outcome, request_id.hex, exchange)
            member = kept.case.members[request_id]
            status = "repeated" if told.verdict == "repeated" else "taken"
            return Receipt(
                status, 200, {"id": str(request_id), "state": member.state, "outcome": status}, exchange=exchange
            )

        return self._receiver.once(once, unit)

    def _decided(self, tx: Transaction, kept: Kept, event: Event, at: Moment, exchange: UUID, partner: Partner) -> Told:
        """Apply *event*; what the journey has against it is the caller's to hear, not an operator's."""
        kept.case.focus = event.request
        result = apply(kept.case, event, self._rules, moment(at.business))
        if isinstance(result, Conflict):
            raise Refusal(_refusal(_faults(result, None)))
        if isinstance(result, TooEarly):
            # A partner's fact may overtake another and is kept; a person decides on what is before them now.
            raise Refusal(_refusal([(result.code, None, {})]))
        (told,) = self._advance.happen(tx, kept, [event], at, exchange=exchange, partner=partner.id)
        return told

    def _correct(self, tx: Transaction, kept: Kept, request_id: UUID, correction: Filing) -> None:
        pilgrim = kept.case.pilgrims[request_id]
        pilgrim.person, pilgrim.document, pilgrim.companion = (
            correction.person,
            correction.document,
            correction.companion,
        )
        self._pair(kept, [request_id])
        self._cases.rewrite(tx, kept, request_id)

    # -- rosters -----------------------------------------------------------------------------------------------------

    def roster(self, agent: Partner, operation: Operation, body: bytes, name: str) -> Receipt:
        """A roster file: every row accepted, unchanged or rejected, and said so in a file that goes back."""
        map_ = self._register.map(operation.adapter, operation.name, "request")
        order = agent.agent.date_order if agent.agent else None
        try:
            rows = list(map_.open_rows(body, date_order=order))
        except HubError as error:
            return self._receiver.refuse_file(agent, operation, error.code, body, name)
        answer = self._register.map(operation.adapter, operation.name, "reply")
        digest = hashlib.sha256(body).hexdigest()
        outcomes: list[RowOutcome] = []

        def unit(part: list[Row], last: bool, tx: Transaction) -> Receipt | None:
            at = self._receiver.now()
            known = self._ledger.told_before(tx, agent.id, f"{operation.name}/{digest}")
            if known is not None:
                return Receipt("repeated", exchange=known)
            outcomes.extend(self._row(tx, agent, row, at) for row in part)
            return self._answer(tx, agent, operation, answer, outcomes, body, name, digest, at) if last else None

        parts = [rows[i : i + ROWS] for i in range(0, len(rows), ROWS)] or [[]]
        receipt = None
        for index, part in enumerate(parts, 1):
            receipt = self._database.unit(lambda tx, p=part, i=index: unit(p, i == len(parts), tx))  # type: ignore[misc]
            if receipt is not None:
                break
        assert receipt is not None
        return receipt

    def _answer(
        self,
        tx: Transaction,
        agent: Partner,
        operation: Operation,
        answer: Map,
        outcomes: list[RowOutcome],
        body: bytes,
        name: str,
        digest: str,
        at: Moment,
    ) -> Receipt:
        rejected = sum(o.outcome == "rejected" for o in outcomes)
        told = RosterOutcome(
            received=len(outcomes), accepted=len(outcomes) - rejected, rejected=rejected, rows=outcomes
        )
        exchange = self._ledger.open(
            tx, at, partner=agent.id, operation=operation.name, direction="in", state="settled", body=body, name=name,
            subjects=len(outcomes), done=len(outcomes), sha256=digest,
        )  # fmt: skip
        self._ledger.first_time(tx, agent.id, f"{operation.name}/{digest}", exchange)
        self._ledger.open(
            tx, at, partner=agent.id, operation=operation.name, direction="out", state="waiting",
            body=answer.write(told), name=f"{name.rpartition('.')[0]}.{digest[:8]}.outcome.csv", answers=exchange,
            subjects=len(outcomes), map_hash=answer.hash,
        )  # fmt: skip
        tx.after_commit(lambda: self._advance.wake(agent.id))
        self._ledger.audit(tx, at, agent.id, operation.name, None, exchange)
        return Receipt("taken", exchange=exchange, lines=len(outcomes))

    def _row(self, tx: Transaction, agent: Partner, row: Row, at: Moment) -> RowOutcome:
        """One row of a roster.  Nothing is written before everything that can stand against it was asked, so that a row
        given back leaves nothing behind."""
        value: RosterRow | None = row.value
        if value is None:
            fault = row.fault
            assert fault is not None
            return _given_back(row, _Taken("rejected", code=fault.code, where=fault.where))
        broken = next(iter(faults(value)), None)
        if broken is not None:
            return _given_back(row, _Taken("rejected", code="invalid_value", where={"field": broken.where}))
        return _given_back(row, self._upsert(tx, agent, value, at))

    def _upsert(self, tx: Transaction, agent: Partner, row: RosterRow, at: Moment) -> _Taken:
        group = self._cases.group_of_agent(tx, agent.id, row.group_no)
        kept = self._cases.load(tx, group) if group is not None else None
        if kept is None:
            return _Taken("rejected", code="unknown_group")
        case, filing = kept.case, _filing(row)
        there = next(
            (
                i
                for i, p in case.pilgrims.items()
                if (p.document.number, p.document.issuing_state)
                == (filing.document.number, filing.document.issuing_state)
            ),
            None,
        )
        if there is not None:
            return self._told_again(tx, kept, there, filing, at, agent)
        if len(case.members) >= case.heads:
            return _Taken("rejected", code="group_full", where={"limit": case.heads})
        stands_against = self._trial(tx, kept, filing, at, agent)
        if stands_against:
            code, _, where = stands_against[0]
            return _Taken("rejected", code=code, where=where)
        request_id = self._add(tx, kept, filing)
        self._pair(kept, [request_id])
        now = moment(at.business)
        events = [
            Event(name=name, group=case.id, request=request_id, happened=now)
            for name in ("request.drafted", "request.submitted")
        ]
        self._advance.happen(tx, kept, events, at, partner=agent.id)
        self._ledger.next_number(tx, f"filed/{agent.id}")
        return _Taken("accepted", case.members[request_id].request_no)

    def _trial(
        self, tx: Transaction, kept: Kept, filing: Filing, at: Moment, agent: Partner
    ) -> list[tuple[str, str | None, dict[str, Any]]]:
        """What the journey would have against submitting *filing*, asked of a member that is never written."""
        document = filing.document
        if any(live for _, _, live in self._cases.find(tx, "document", document.number, document.issuing_state)):
            return [("duplicate_request", None, {})]
        case, trial = kept.case, new_id()
        case.agent = self.standing(tx, agent)
        case.members[trial] = Member(id=trial, request_no="", state="DRAFT")
        case.pilgrims[trial] = Pilgrim(person=filing.person, document=document, companion=filing.companion)
        try:
            self._pair(kept, [trial])
            case.focus = trial
            event = Event(name="request.submitted", group=case.id, request=trial, happened=moment(at.business))
            result = apply(case, event, self._rules, moment(at.business))
        finally:
            del case.members[trial], case.pilgrims[trial]
            case.focus = None
        return _faults(result, None) if isinstance(result, Conflict) else []

    def _told_again(
        self, tx: Transaction, kept: Kept, request_id: UUID, filing: Filing, at: Moment, agent: Partner
    ) -> _Taken:
        """A row of yesterday: unchanged it changes nothing; changed it corrects a request that waits for that."""
        pilgrim, member = kept.case.pilgrims[request_id], kept.case.members[request_id]
        same = (pilgrim.person, pilgrim.document, pilgrim.companion) == (
            filing.person,
            filing.document,
            filing.companion,
        )
        if same:
            return _Taken("unchanged", member.request_no)
        event = Event(name="request.corrected", group=kept.case.id, request=request_id, happened=moment(at.business))
        kept.case.focus = request_id
        before = pilgrim.person, pilgrim.document, pilgrim.companion
        pilgrim.person, pilgrim.document, pilgrim.companion = filing.person, filing.document, filing.companion
        result = apply(kept.case, event, self._rules, moment(at.business))
        if not isinstance(result, Applied):
            pilgrim.person, pilgrim.document, pilgrim.companion = before
            return _Taken("rejected", member.request_no, getattr(result, "code", "correction_late"))
        self._correct(tx, kept, request_id, filing)
        self._advance.happen(tx, kept, [event], at, partner=agent.id)
        return _Taken("accepted", member.request_no)


def _filing(row: RosterRow) -> Filing:
    ar = row.full_name_ar.split() if row.full_name_ar else []
    state = row.issuing_state or row.nationality
    return Filing(
        person=Person(
            name=Name(
                given=row.given_name, father=row.father_name, grandfather=row.grandfather_name, family=row.family_name
            ),
            name_ar=_arabic(ar),
            sex=row.sex,
            birth_date=row.birth_date,
            nationality=row.nationality,
            residence=row.residence or row.nationality,
            mobile=row.mobile,
        ),
        document=Document(
            number=row.document_no, issuing_state=state, issued_on=row.issued_on, expires_on=row.expires_on
        ),
        companion=Companion(number=row.companion_no, issuing_state=state, relation=row.companion_relation)
        if row.companion_no and row.companion_relation
        else None,
    )


def _arabic(parts: list[str]) -> ArabicName | None:
    """A full name in Arabic as its parts: the first is given, the last the family's, those between the forefathers'."""
    if not parts:
        return None
    return ArabicName(
        given=parts[0] if len(parts) > 1 else None,
        father=parts[1] if len(parts) > 2 else None,
        grandfather=" ".join(parts[2:-1]) or None,
        family=parts[-1],
    )


def _given_back(row: Row, taken: _Taken) -> RowOutcome:
    error = HubError(taken.code, **(taken.where or {})) if taken.code else None
    theirs = row.theirs
    return RowOutcome(
        row=row.number,
        group_no=_shown(theirs.get("group_no")),
        document_no=_shown(theirs.get("document_no")),
        outcome=taken.outcome,
        request_no=taken.request_no,
        code=taken.code,
        reason_en=error.en if error else None,
        reason_ar=error.ar if error else None,
    )


def _shown(cell: str | None) -> str | None:
    """A cell as its row goes back: so much of it as tells the row by."""
    return "".join(c for c in cell if c.isprintable())[:60] or None if cell else None


def _faults(conflict: Conflict, prefix: str | None) -> list[tuple[str, str | None, dict[str, Any]]]:
    """What the journey has against an event, as (code, field, places)."""
    if not conflict.faults:
        return [(conflict.code, prefix, {})]
    return [(f.code, f.where.get("field", prefix), dict(f.where)) for f in conflict.faults]


def _refusal(problems: list[tuple[str, str | None, dict[str, Any]]]) -> Receipt:
    told = [problem(code, field, **where) for code, field, where in problems]
    return Receipt("refused", max(HubError(code).entry.status for code, _, _ in problems), problems=told)
