"""How pilgrims come in and what is decided about them.  A group filed over the API is taken whole or not at all."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from hub.canonical.case import Agent, Case, Member, Pilgrim
from hub.canonical.entities import Document
from hub.canonical.errors import HubError
from hub.canonical.events import Event
from hub.canonical.ids import bill_no, new_id, request_no
from hub.canonical.messages.desk import Decision, Filing, GroupFiling
from hub.exchange.advance import Advance, Told
from hub.exchange.receive import Once, Receipt, Receiver, Refusal, problem
from hub.journey import Applied, Conflict, Fault, Result, Rules, TooEarly, apply
from hub.partners import Register
from hub.partners.partner import Partner
from hub.store.cases import Cases, Kept, kind_in
from hub.store.database import Database, Transaction
from hub.store.encoding import moment
from hub.store.ledger import Ledger, Moment

_DESK = "agents/desk"
SKEW = timedelta(minutes=5)  # how far the clock of whoever decides may be from ours
#: Events by which somebody is filed, or filed anew.
_FILES = ("request.submitted", "request.corrected")
_DUPLICATE = Fault("duplicate_request", {"field": "document.number"})
#: What stands against something: the code of the catalogue, the field, and the places its text names.
Problem = tuple[str, str | None, dict[str, Any]]
_SUSPENDED: Problem = ("agent_suspended", None, {})


class Intake:
    """Groups filed, pilgrims added and corrected, decisions taken."""

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
            if _suspended(agent):
                raise Refusal(_refusal([_SUSPENDED]))
            standing = self.standing(tx, agent)
            if self._cases.group_of_agent(tx, agent.id, filing.group_no) is not None:
                raise Refusal(_refusal([("group_exists", "group_no", {})]))
            if len(filing.members) > filing.heads:
                raise Refusal(_refusal([("group_full", "members", {})]))
            exchange = self._ledger.open(
                tx, at, partner=agent.id, operation="open_group", direction="in", state="settled", body=body,
                sha256=hashlib.sha256(body).hexdigest(), subjects=len(filing.members),
            )  # fmt: skip
            case = self._new_case(tx, standing, filing, at)
            self._check(case, Event(name="group.opened", group=case.id, happened=moment(at.business)), at, None)
            unserved = self._unserved(case)
            if unserved:
                raise Refusal(_refusal(unserved))
            kept = self._cases.create(tx, case)
            self._advance.happen(
                tx, kept, [Event(name="group.opened", group=case.id, happened=moment(at.business))], at,
                exchange=exchange, partner=agent.id,
            )  # fmt: skip
            problems: list[Problem] = []
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

    def standing(self, tx: Transaction, agent: Partner, company: str | None = None) -> Agent:
        """An agent's terms as the register has them, with what is left of its quota; *company* is that of a group which
        is there already."""
        if agent.agent is None:
            raise HubError("forbidden")
        standing = self._cases.agent(agent.id, company)
        if standing.quota_left is not None:
            standing.quota_left -= self._ledger.last_number(tx, _filed(standing)) or 0
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

    def _unserved(self, case: Case) -> list[Problem]:
        """The programme lines that nobody could be asked to confirm."""
        wanted = [("housing.requested", "housing", case.programme.housing)]
        wanted.append(("transport.requested", "transport", case.programme.transport))  # type: ignore[arg-type]
        return [
            ("line_unserved", f"programme.{name}.{index}", {"field": line.line})
            for event, name, lines in wanted
            for operation in self._register.subscribers(event)
            for index, line in enumerate(lines)
            if line.brn is None and self._register.choose(operation, case, line.line) is None
        ]

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
    ) -> list[Problem]:
        """Draft and submit one member; answers what stands against it."""
        case, now = kept.case, moment(at.business)
        case.agent = self.standing(tx, agent, case.agent.company)
        drafted = Event(name="request.drafted", group=case.id, request=request_id, happened=now)
        submitted = Event(name="request.submitted", group=case.id, request=request_id, happened=now)
        self._advance.happen(tx, kept, [drafted], at, exchange=exchange, partner=agent.id)
        result = self._judge(tx, case, submitted, at)
        if isinstance(result, Conflict):
            return _faults(result, None)
        self._advance.happen(tx, kept, [submitted], at, exchange=exchange, partner=agent.id)
        self._ledger.next_number(tx, _filed(case.agent))
        return []

    def _judge(self, tx: Transaction, case: Case, event: Event, at: Moment) -> Result:
        """What the journey says of *event*, and, where it files somebody, the rule that no case can hold by itself: one
        live request a person."""
        if event.name in _FILES:
            assert event.request is not None
            document = case.pilgrims[event.request].document
            found = self._cases.find(tx, kind_in(case, "document"), document.number, document.issuing_state)
            if any(live and other != event.request for other, _, live in found):
                # Who else has it is nobody's business.
                return Conflict("duplicate_request", "the person has a live request", (_DUPLICATE,))
        case.focus = event.request
        return apply(case, event, self._rules, moment(at.business))

    # -- decisions ---------------------------------------------------------------------------------------------------

    def decide(self, partner: Partner, decision: Decision, request_id: UUID, body: bytes, once: Once | None) -> Receipt:
        """What a company, an agent or the health authority decides on one request."""

        def unit(tx: Transaction) -> Receipt:
            at = self._receiver.now()
            group = self._cases.group_of_request(tx, request_id)
            kept = self._cases.load(tx, group) if group is not None else None
            if kept is None:
                raise Refusal(_refusal([("not_found", None, {})]))
            if decision.happened and not kept.case.opened_at - SKEW <= decision.happened <= moment(at.business) + SKEW:
                raise Refusal(_refusal([("happened_impossible", "happened", {})]))
            operation = self._desk["decide"]
            exchange = self._ledger.open(
                tx, at, partner=partner.id, operation="decide", direction="in", state="settled", body=body, subjects=1,
            )  # fmt: skip
            was = self._replace(kept, request_id, decision.correction) if decision.correction is not None else None
            event = Event(
                name=operation.gives[decision.outcome],
                group=kept.case.id,
                request=request_id,
                happened=decision.happened or moment(at.business),
                data={"reason": decision.reason} if decision.reason else {},
            )
            corrected = None if was is None else (request_id, was)
            told = self._decided(tx, kept, event, at, exchange, partner, corrected)
            self._ledger.audit(tx, at, partner.id, decision.outcome, request_id.hex, exchange)
            member = kept.case.members[request_id]
            status = "repeated" if told.verdict == "repeated" else "taken"
            return Receipt(
                status, 200, {"id": str(request_id), "state": member.state, "outcome": status}, exchange=exchange
            )

        document = decision.correction.document if decision.correction is not None else None
        return self._receiver.once(once, unit, request_id, document)

    def _decided(
        self, tx: Transaction, kept: Kept, event: Event, at: Moment, exchange: UUID, partner: Partner,
        corrected: tuple[UUID, Document] | None,
    ) -> Told:  # fmt: skip
        """Apply *event*; what the journey has against it is the caller's to hear, not an operator's."""
        result = self._judge(tx, kept.case, event, at)
        if isinstance(result, Conflict):
            inside = "correction." if event.name in _FILES else ""
            against = [(code, field and inside + field, where) for code, field, where in _faults(result, None)]
            raise Refusal(_refusal(against))
        if isinstance(result, TooEarly):
            # A partner's fact may overtake another and is kept; a person decides on what is before them now.
            raise Refusal(_refusal([("decision_early", "outcome", {})]))
        (told,) = self._advance.happen(
            tx, kept, [event], at, exchange=exchange, partner=partner.id, judged=result, corrected=corrected
        )
        return told

    def _replace(self, kept: Kept, request_id: UUID, correction: Filing) -> Document:
        """Put *correction* in the place of what was filed, in the case alone; answers the document it was under."""
        pilgrim = kept.case.pilgrims[request_id]
        was = pilgrim.document
        pilgrim.person, pilgrim.document, pilgrim.companion = (
            correction.person,
            correction.document,
            correction.companion,
        )
        self._pair(kept, [request_id])
        return was

    # -- one member at a time ----------------------------------------------------------------------------------------

    def file(self, tx: Transaction, kept: Kept, filing: Filing, at: Moment, agent: Partner) -> UUID | list[Problem]:
        """File one more pilgrim of a group: its request, or what stands against it, and then nothing is written."""
        problems = self._against(tx, kept, filing, at, agent)
        if problems:
            return problems
        request_id = self._add(tx, kept, filing)
        self._pair(kept, [request_id])
        events = [
            Event(name=name, group=kept.case.id, request=request_id, happened=moment(at.business))
            for name in ("request.drafted", "request.submitted")
        ]
        self._advance.happen(tx, kept, events, at, partner=agent.id)
        self._ledger.next_number(tx, f"filed/{agent.id}")
        return request_id

    def _against(self, tx: Transaction, kept: Kept, filing: Filing, at: Moment, agent: Partner) -> list[Problem]:
        """What the journey has against submitting *filing*, asked of a member that is never written."""
        if _suspended(agent):
            return [_SUSPENDED]
        case, trial = kept.case, new_id()
        case.agent = self.standing(tx, agent, case.agent.company)
        case.members[trial] = Member(id=trial, request_no="", state="DRAFT")
        case.pilgrims[trial] = Pilgrim(person=filing.person, document=filing.document, companion=filing.companion)
        try:
            self._pair(kept, [trial])
            event = Event(name="request.submitted", group=case.id, request=trial, happened=moment(at.business))
            result = self._judge(tx, case, event, at)
        finally:
            del case.members[trial], case.pilgrims[trial]
            case.focus = None
        return _faults(result, None) if isinstance(result, Conflict) else []

    def correct(
        self, tx: Transaction, kept: Kept, request_id: UUID, filing: Filing, at: Moment, agent: Partner
    ) -> list[Problem]:
        """Correct one pilgrim of a group; answers what stands against it, and then nothing is written."""
        pilgrim, member = kept.case.pilgrims[request_id], kept.case.members[request_id]
        before = pilgrim.person, pilgrim.document, pilgrim.companion, member.companion
        was = self._replace(kept, request_id, filing)
        event = Event(name="request.corrected", group=kept.case.id, request=request_id, happened=moment(at.business))
        result = self._judge(tx, kept.case, event, at)
        if not isinstance(result, Applied):
            pilgrim.person, pilgrim.document, pilgrim.companion, member.companion = before
            return _faults(result, None) if isinstance(result, Conflict) else [("correction_late", None, {})]
        self._advance.happen(tx, kept, [event], at, partner=agent.id, judged=result, corrected=(request_id, was))
        return []


def _suspended(agent: Partner) -> bool:
    return agent.agent is not None and agent.agent.suspended


def _faults(conflict: Conflict, prefix: str | None) -> list[Problem]:
    """What the journey has against an event, as (code, field, places)."""
    if not conflict.faults:
        return [(conflict.code, prefix, {})]
    return [(f.code, f.where.get("field", prefix), dict(f.where)) for f in conflict.faults]


def _refusal(problems: list[Problem]) -> Receipt:
    told = [problem(code, field, **where) for code, field, where in problems]
    return Receipt("refused", max(HubError(code).entry.status for code, _, _ in problems), problems=told)


def _filed(standing: Agent) -> str:
    """The sequence that counts against an agent's quota; what is tried out counts for itself."""
    return f"filed/{standing.id}" + ("/test" if standing.test else "")
