"""Safe replay: what a person may have done again, and what would come of it, told before it is done.

Nothing here guesses.  What the partner may have done is enquired where it can be; what it must not be told twice goes
again only singly, on a person's word.  Bytes and keys are those that were frozen.  Who decided, and why, is written in
the commit of the change itself.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from marshmallow import ValidationError

from hub.canonical.declare import shapes
from hub.canonical.errors import HubError
from hub.canonical.schema import schema_for
from hub.exchange.delivery import Delivery
from hub.exchange.outbox import Outbox
from hub.exchange.receive import Also, Receipt
from hub.partners import Operation, Register
from hub.partners.manifest import DELIVERED
from hub.partners.partner import Partner
from hub.store.awaiting import Awaiting
from hub.store.database import Database, Transaction, as_uuid
from hub.store.interventions import REPLAY, RESOLVE, SETTLE, WITHDRAW, Filter, Found, Interventions
from hub.store.ledger import Ledger, Moment

log = structlog.get_logger(__name__)

MOST = 100  # exchanges that one command touches, unless its caller says otherwise
LIMIT = 5000  # and the most that a caller may say
TOGETHER = 50  # of them that share a commit: few enough to let others in

#: What would come of replaying an exchange.
AGAIN, DONE, ENQUIRE, UNSAFE, READ, UNDER_WAY, UNWANTED, BROKEN, GONE, THEIRS, QUESTION = VERDICTS = (
    "again", "done", "enquire", "unsafe", "read", "under_way", "unwanted", "broken", "gone", "theirs", "question",
)  # fmt: skip
#: Refusals that no map or setting of ours can mend: the file and what stood beside it disagree, or its place is taken.
_THEIRS = frozenset({"file_totals", "file_sequence_differs", "file_sequence_repeated", "file_truncated"})
#: States in which a person may decide; in all others the hub has it in hand, or it is over.
_DECIDABLE = ("parked", "held", "in_doubt", "dead")
#: What an answer must hold for the case to go on: without its number a reference would lead nowhere.
_NEEDS = {
    "reference.issued": "reference_no", "visa.issued": "visa_no", "housing.confirmed": "brn",
    "transport.confirmed": "brn",
}  # fmt: skip
# What may be somebody's number or address: a passport's, a visa's, a telephone's, an e-mail.
_PERSONAL = re.compile(r"@|\+\d{3}|\b[A-Za-z]{1,2}\d{6,9}\b|\b\d{9,}\b|<<")
Read = Callable[..., Receipt]


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange of a replay and what is to come of it; ``code`` names what stands in the way, ``became`` the
    exchange that its bytes became, ``done`` whether something was done."""

    found: Found = field(repr=False)
    verdict: str
    code: str | None = None
    became: UUID | None = None
    done: bool = False

    def told(self) -> dict[str, Any]:
        became = None if self.became is None else str(self.became)
        told = self.found.told()
        return told | {"verdict": self.verdict, "code": self.code or told["code"], "became": became, "done": self.done}


def reasoned(reason: str | None) -> str:
    """*reason*, fit to be kept.  Raises ``reason_missing``, or ``reason_personal`` for what looks like a number or an
    address of somebody."""
    text = " ".join((reason or "").split())
    if not 5 <= len(text) <= 200:
        raise HubError("reason_missing", limit=200)
    if _PERSONAL.search(text):
        raise HubError("reason_personal")
    return text


class Replay:
    """A person's decisions on what is parked, held, dead or in suspense.

    :meth:`plan` and :meth:`replay` take part in a unit of work; the others are units of work.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        register: Register,
        outbox: Outbox,
        delivery: Delivery,
        read: Read,
        now: Callable[[], Moment],
    ) -> None:
        self._database, self._ledger, self._register = database, ledger, register
        self._outbox, self._delivery, self._read, self._now = outbox, delivery, read, now
        self._interventions, self._awaiting = Interventions(), Awaiting(ledger)

    # -- what would come of it ---------------------------------------------------------------------------------------

    def preview(self, wanted: Filter, most: int = MOST) -> list[Step]:
        """What :meth:`run` would do.  Raises as it does; changes nothing."""
        return self._each(wanted, most, self.plan)

    def _each(self, wanted: Filter, most: int, do: Callable[[Transaction, Sequence[Found]], list[Step]]) -> list[Step]:
        """*do* for all that *wanted* means, in units of work that let others in."""
        with self._database.reading() as tx:
            ids = [found.id for found in self.meant(tx, wanted, most)]

        def part(tx: Transaction, start: int) -> list[Step]:
            here = ids[start : start + TOGETHER]
            self._ledger.get_many(tx, here)  # what is decided must hold until it is written
            # What is no longer there has gone on by itself since it was found.
            known = (self._interventions.one(tx, id) for id in here)
            return do(tx, [found for found in known if found is not None])

        starts = range(0, len(ids), TOGETHER)
        return [step for start in starts for step in self._database.unit(lambda tx, start=start: part(tx, start))]  # type: ignore[misc]

    def meant(self, tx: Transaction, wanted: Filter, most: int = MOST) -> list[Found]:
        """What *wanted* means.

        Raises ``replay_unfiltered`` where nothing narrows it, ``exchange_unknown`` for an id that there is not, and
        ``replay_too_many`` where more than *most* are meant.
        """
        if not wanted.ids and not wanted.given:
            raise HubError("replay_unfiltered")
        most = min(most, LIMIT)
        found = self._interventions.find(tx, wanted, max(most + 1, len(wanted.ids)))
        if wanted.ids and len(found) < len(set(wanted.ids)):
            raise HubError("exchange_unknown")
        if len(found) > most:
            raise HubError("replay_too_many", limit=most)
        return found

    def plan(self, tx: Transaction, found: Sequence[Found]) -> list[Step]:
        """What would come of replaying *found*."""
        return [self._verdict(tx, one) for one in found]

    def _verdict(self, tx: Transaction, found: Found) -> Step:
        partner = self._register.partners.get(found.row["partner"])
        operation = partner.operations.get(found.row["operation"]) if partner else None
        state = found.row["state"]
        if state in ("waiting", "leased", "sending"):
            return Step(found, UNDER_WAY)
        if state == "settled" or self._interventions.became(tx, found.id) is not None:
            return Step(found, DONE)
        if partner is None or operation is None:
            return Step(found, GONE, "operation_gone")
        if not found.out:
            return self._verdict_in(tx, found, partner, operation)
        return self._verdict_unsent(tx, found, partner) if found.unsent else self._verdict_out(
            tx, found, partner, operation
        )  # fmt: skip

    def _verdict_in(self, tx: Transaction, found: Found, partner: Partner, operation: Operation) -> Step:
        """Bytes of theirs that we refused."""
        row = found.row
        if row["sha256"] and self._ledger.file_known(tx, partner.id, operation.name, row["sha256"]) is not None:
            return Step(found, DONE)  # they sent the same again, and it was taken
        return Step(found, THEIRS if row["code"] in _THEIRS else READ)

    def _verdict_unsent(self, tx: Transaction, found: Found, partner: Partner) -> Step:
        """A line that could not be told or written, and so never left."""
        if self._interventions.taken_over(tx, found.row):
            return Step(found, DONE)
        against = self._outbox.against(tx, partner, found.row, self._now())
        if against == "unwanted":
            return Step(found, UNWANTED)
        return Step(found, AGAIN) if against is None else Step(found, BROKEN, against)

    def _verdict_out(self, tx: Transaction, found: Found, partner: Partner, operation: Operation) -> Step:
        row = found.row
        subjects = self._ledger.subjects_of(tx, found.id)
        if any(s["enquires"] is not None for s in subjects):
            return Step(found, QUESTION)  # what it asked about stands before a person by itself
        pending = [s for s in subjects if s["state"] in ("open", "dead")]
        if subjects and not pending:
            return Step(found, DONE)
        doubtful = row["state"] in ("parked", "in_doubt") and row["code"] != "operation_gone"
        if doubtful and operation.enquiry and not self._nobody_knows(tx, found, pending):
            asked = all(self._interventions.enquired(tx, s) for s in pending)
            return Step(found, UNDER_WAY if asked and row["state"] == "in_doubt" else ENQUIRE)
        # What is past, or taken over by a later attempt, must not be told once more with the rest of its exchange.
        at = self._now()
        past = [s for s in pending if s["state"] == "dead" and self._interventions.taken_over(tx, s)]
        if pending and len(past) == len(pending):
            return Step(found, DONE)
        unwanted = [s for s in pending if s not in past and self._outbox.against(tx, partner, s, at) == "unwanted"]
        if pending and len(past) + len(unwanted) == len(pending):
            return Step(found, UNWANTED)
        if past or unwanted or (doubtful and operation.repeat == "never"):
            return Step(found, UNSAFE)
        return Step(found, AGAIN)

    def _nobody_knows(self, tx: Transaction, found: Found, pending: Sequence[Any]) -> bool:
        """Whether the partner was asked about all of *pending* since they were last sent, and knew none of them."""
        sent = self._interventions.last(tx, found.id, REPLAY) or 0
        return all(self._interventions.not_known_since(tx, s, sent) for s in pending)

    # -- doing it ----------------------------------------------------------------------------------------------------

    def run(self, wanted: Filter, who: str, reason: str, *, most: int = MOST, unsafe: bool = False) -> list[Step]:
        """Replay *wanted* for *who*: first what is to be sent or asked, then bytes that are read again.

        Raises what :meth:`meant` does, ``reason_missing`` and ``reason_personal``, and ``replay_unsafe`` where *unsafe*
        is said of more than one exchange.
        """
        told = reasoned(reason)
        if unsafe and len(set(wanted.ids)) != 1:
            raise HubError("replay_unsafe")
        steps = self._each(wanted, most, lambda tx, found: self.replay(tx, found, who, told, unsafe=unsafe))
        return [self._read_again(step, who, told) if step.verdict == READ else step for step in steps]

    def replay(
        self, tx: Transaction, found: Sequence[Found], who: str, reason: str, *, unsafe: bool = False
    ) -> list[Step]:
        """The part of :meth:`run` that is a unit of work; what is to be read again is left to the caller."""
        at = self._now()
        return [self._do(tx, at, step, who, reason, unsafe) for step in self.plan(tx, found)]

    def _do(self, tx: Transaction, at: Moment, step: Step, who: str, reason: str, unsafe: bool) -> Step:
        found, row = step.found, step.found.row
        if step.verdict not in (AGAIN, ENQUIRE) and not (step.verdict == UNSAFE and unsafe):
            return step
        partner = self._register.partners[row["partner"]]
        if found.unsent:
            self._interventions.reopen(tx, at, row)
        elif step.verdict == ENQUIRE:
            self._reopen(tx, at, found)
            self._delivery.ask(tx, partner, row, at)
        else:
            self._reopen(tx, at, found)
            self._ledger.move(tx, at, row, "waiting", code=row["code"], next_at=at.wall)
        self._closed(tx, at, found, who, REPLAY, reason)
        tx.wake(partner.id)
        return Step(found, step.verdict, done=True)

    def _reopen(self, tx: Transaction, at: Moment, found: Found) -> None:
        for subject in self._ledger.subjects_of(tx, found.id):
            if subject["state"] == "dead":
                self._interventions.reopen(tx, at, subject)

    def _closed(self, tx: Transaction, at: Moment, found: Found, who: str, action: str, reason: str) -> None:
        self._interventions.closed(tx, at, found)
        self._interventions.note(tx, at, who, action, reason, found.id, found.row["state"])
        self._ledger.audit(tx, at, who[:40], f"exchange.{action}", found.id.hex, None if found.unsent else found.id)

    def _read_again(self, step: Step, who: str, reason: str) -> Step:
        """Take the bytes of a refused message or file as if they came now; refused again, nothing has changed."""
        found, row = step.found, step.found.row

        def also(tx: Transaction, became: UUID) -> None:
            at = self._now()
            self._interventions.closed(tx, at, found)
            self._interventions.note(tx, at, who, REPLAY, reason, found.id, row["state"], became)
            self._ledger.audit(tx, at, who[:40], f"exchange.{REPLAY}", found.id.hex, found.id)

        with self._database.reading() as tx:
            body = self._ledger.bytes_of(tx, found.id)
        receipt = self._take(row, body, also)
        if receipt is None:
            return Step(found, UNDER_WAY)
        if receipt.status in ("refused", "gap"):
            return Step(found, BROKEN, receipt.problems[0]["code"] if receipt.problems else None)
        return Step(found, READ, became=receipt.exchange, done=receipt.status != "repeated")

    def _take(self, row: Any, body: bytes, also: Also | None) -> Receipt | None:
        """Take *body* as if it came now; None where another process is at it."""
        with self._database.alone("again/" + hashlib.sha256(body).hexdigest()) as mine:
            return self._read(row["partner"], row["operation"], body, name=row["name"], also=also) if mine else None

    def resume(self) -> None:
        """Go on with files that were being read again when a process died."""
        with self._database.reading() as tx:
            rows = self._interventions.unfinished(tx)
            cut_off = [(row, self._ledger.bytes_of(tx, as_uuid(row["id"]))) for row in rows]
        for row, body in cut_off:
            try:
                self._take(row, body, None)
            except HubError as error:  # a disk that is full now must not keep the hub from its work
                log.warning("reading_again_waits", partner=row["partner"], code=error.code)

    # -- other decisions ---------------------------------------------------------------------------------------------

    def settle(self, id: UUID, outcome: str, who: str, reason: str, says: dict[str, Any] | None = None) -> Found:
        """Settle exchange *id* as the partner told *who* outside the hub: *outcome* of all that is open in it.

        *says* are further fields of the answer that the partner would have given (``reference_no``); they go where its
        answer would have gone, and into no other row.  Raises ``exchange_unknown``, ``decision_unfit``, and
        ``outcome_impossible`` where the operation has no such outcome or its answer needs more.
        """
        told = reasoned(reason)
        return self._database.unit(lambda tx: self._settle(tx, id, outcome, who, told, says or {}))

    def _settle(self, tx: Transaction, id: UUID, outcome: str, who: str, reason: str, says: dict[str, Any]) -> Found:
        at, found = self._now(), self._decidable(tx, id)
        partner = self._register.partners.get(found.row["partner"])
        operation = partner.operations.get(found.row["operation"]) if partner else None
        if found.unsent or not found.out or partner is None or operation is None:
            raise HubError("decision_unfit", state=found.row["state"])
        self._reopen(tx, at, found)
        open_ = [s for s in self._ledger.subjects_of(tx, id) if s["state"] == "open"]
        if any(s["enquires"] is not None for s in open_) or (says and len(open_) != 1):
            raise HubError("decision_unfit", state=found.row["state"])
        line = None if operation.handed_over else self._said(operation, outcome, says, open_)
        if operation.handed_over and (outcome != DELIVERED or says):
            raise HubError("outcome_impossible", operation=operation.name)
        self._unasked(tx, at, open_)
        self._delivery.told(tx, partner, found.row, line, at)
        self._closed(tx, at, found, who, SETTLE, reason)
        tx.wake(partner.id)
        return found

    def _said(self, operation: Operation, outcome: str, says: dict[str, Any], subjects: Sequence[Any]) -> Any:
        """The line of an answer that says *outcome*."""
        message: Any = self._register.map(operation.adapter, operation.name, "reply").message
        line_class = shapes(message)[operation.each].part if operation.each else message
        schema = schema_for(line_class or message)()
        given = {**says, "outcome": outcome}
        for name in ("key", operation.keyed):
            if name in schema.fields and subjects:
                given[str(name)] = subjects[0]["key"]
        try:
            line = schema.load(given)
        except ValidationError:
            raise HubError("outcome_impossible", operation=operation.name) from None
        needed = _NEEDS.get(operation.gives.get(outcome, ""))
        if outcome not in operation.gives or (needed and getattr(line, needed, None) is None):
            raise HubError("outcome_impossible", operation=operation.name)
        return line

    def withdraw(self, id: UUID, who: str, reason: str) -> Found:
        """Let exchange *id*, or a line that could not be sent, rest for good; the case stays as it is.

        Raises ``exchange_unknown`` and ``decision_unfit``.
        """
        told = reasoned(reason)
        return self._database.unit(lambda tx: self._withdraw(tx, id, who, told))

    def _withdraw(self, tx: Transaction, id: UUID, who: str, reason: str) -> Found:
        at, found = self._now(), self._decidable(tx, id)
        subjects = [found.row] if found.unsent else self._ledger.subjects_of(tx, id)
        pending = [s for s in subjects if s["state"] in ("open", "dead")]
        self._unasked(tx, at, pending)
        for subject in pending:
            self._awaiting.drop(tx, subject)
            self._ledger.settle_subject(tx, at, subject, "withdrawn", None)
        if found.out and not found.unsent:
            self._ledger.move(tx, at, found.row, "settled", outcome="withdrawn", code=found.row["code"])
        # What came in and was refused stays refused, or the same bytes would count as taken when they come again.
        self._closed(tx, at, found, who, WITHDRAW, reason)
        tx.wake(found.row["partner"])
        return found

    def _unasked(self, tx: Transaction, at: Moment, subjects: Sequence[Any]) -> None:
        for subject in subjects:
            for enquiry in self._interventions.open_enquiries(tx, subject):
                self._ledger.settle_subject(tx, at, enquiry, "withdrawn", None)

    def _decidable(self, tx: Transaction, id: UUID) -> Found:
        self._ledger.get_many(tx, [id])  # nobody else moves it until this is written
        found = self._interventions.one(tx, id)
        if found is None:
            raise HubError("exchange_unknown")
        if found.row["state"] not in _DECIDABLE:
            raise HubError("decision_unfit", state=found.row["state"])
        return found

    def resolve(self, id: UUID, who: str, reason: str) -> None:
        """Take incident *id* off the list: somebody has seen to it.  Raises ``incident_unknown``."""
        told = reasoned(reason)

        def unit(tx: Transaction) -> None:
            at, row = self._now(), self._interventions.incident(tx, id)
            if row is None:
                raise HubError("incident_unknown")
            self._interventions.resolve(tx, at, id)
            self._interventions.note(tx, at, who, RESOLVE, told, id, row["kind"])
            self._ledger.audit(tx, at, who[:40], f"incident.{RESOLVE}", id.hex, None)

        self._database.unit(unit)

    # -- asked through the socket of the hub at work -----------------------------------------------------------------

    def asked(self, given: dict[str, Any], who: str) -> Any:
        """Do what a command asks for *who*; JSON in, JSON out."""
        match given:
            case {"do": "replay", "filter": wanted, "most": most, "dry_run": True}:
                return summary(self.preview(_filter(wanted), most))
            case {"do": "replay", "filter": wanted, "most": most, "reason": reason, "unsafe": unsafe}:
                return summary(self.run(_filter(wanted), who, reason, most=most, unsafe=unsafe))
            case {"do": "settle", "id": id, "outcome": outcome, "says": says, "reason": reason}:
                return self.settle(UUID(id), outcome, who, reason, says).told()
            case {"do": "withdraw", "id": id, "reason": reason}:
                return self.withdraw(UUID(id), who, reason).told()
            case {"do": "resolve", "id": id, "reason": reason}:
                self.resolve(UUID(id), who, reason)
                return {"id": id}
            case _:
                raise HubError("bad_request")


def summary(steps: Sequence[Step]) -> dict[str, Any]:
    """A replay, or its preview, as people and programs are told it."""
    return {"counts": dict(Counter(step.verdict for step in steps)), "exchanges": [step.told() for step in steps]}


def _filter(given: dict[str, Any]) -> Filter:
    return Filter(**{**given, "ids": tuple(UUID(id) for id in given.get("ids", ()))})
