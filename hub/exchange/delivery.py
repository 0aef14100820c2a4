"""Delivery: what a partner's answer, or its silence, means for each subject of an exchange."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from hub.canonical.errors import HubError
from hub.canonical.events import Event
from hub.channels import Answered, AuthFailed, ConfigError, Failure, OutcomeUnknown, Throttled, Unavailable
from hub.exchange.advance import Advance
from hub.exchange.lines import event_of
from hub.exchange.outbox import Work
from hub.partners import NOTHING, Operation, Register
from hub.partners.partner import Partner
from hub.store.awaiting import Awaiting
from hub.store.cases import Cases, Kept
from hub.store.database import Row, Transaction, as_uuid
from hub.store.encoding import moment
from hub.store.interventions import REPLAY, Interventions
from hub.store.ledger import Ledger, Moment

log = structlog.get_logger(__name__)

BACKOFF = 0.25  # seconds: the first ceiling of the full-jitter wait
GIVE_UP = 72 * 3600.0  # seconds after which what could never be delivered becomes a dead letter
LONGEST_WAIT = 3600.0  # seconds for which a partner may put us off at a time; it may mean years and not know it
HELD = 60.0  # seconds between looks at what waits for a person to mend a setting
#: Outcomes that leave open what was decided: an enquiry may bring them, and what brings them otherwise is asked about.
UNDECIDED = ("not_known", "in_progress")
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer read by its map: the lines that speak of subjects, or why it could not be read."""

    lines: Sequence[Any] = ()
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What came of sending a work."""

    work: Work
    result: Answered | Failure
    reply: Reply


def backoff(attempts: int, longest: float = 30.0) -> float:
    """Seconds to wait before the next attempt: full jitter under a doubling ceiling, which is at most *longest*.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """
    return random.uniform(0, min(longest, BACKOFF * 2 ** min(attempts, 16)))  # noqa: S311  spread, not secrecy


class Delivery:
    """Settles exchanges: delivered, answered line by line, in doubt, held, parked or dead."""

    def __init__(self, cases: Cases, ledger: Ledger, register: Register, advance: Advance) -> None:
        self._cases, self._ledger, self._register, self._advance = cases, ledger, register, advance
        self._awaiting, self._interventions = Awaiting(ledger), Interventions()

    def _kept(self, tx: Transaction, row: Row) -> Kept:
        kept = self._cases.load(tx, as_uuid(row["group_id"]))
        assert kept is not None
        return kept

    # -- settling ----------------------------------------------------------------------------------------------------

    def read(self, work: Work, answered: Answered) -> Reply:
        """The answer as its map reads it.  Pure; done outside the unit of work."""
        operation = work.operation
        if operation.handed_over:
            return Reply()
        try:
            message = self._register.map(operation.adapter, operation.name, "reply").read(answered.body)
        except HubError as error:
            # A door of somebody's network answers for the partner more often than the partner answers wrongly.
            html = answered.body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))
            return Reply(unreadable="reply_html" if html else error.code)
        return Reply(lines=getattr(message, operation.each) if operation.each else [message])

    def settle(self, tx: Transaction, done: Sequence[Done], at: Moment) -> None:
        """Write what became of works that this process has claimed: for each subject, and for each exchange."""
        rows, subjects = self._ledger.claimed(tx, [one.work.exchange for one in done])
        ours = [one for one in done if self._still_ours(rows.get(one.work.exchange), one.work)]
        about = {as_uuid(s["group_id"]) for one in ours for s in subjects.get(one.work.exchange, ())}
        self._cases.prefetch(tx, about)
        self._advance.foresee(tx, (line for one in ours for line in one.reply.lines))
        for one in ours:
            self._settle(tx, one, rows[one.work.exchange], subjects.get(one.work.exchange, []), at)

    def _still_ours(self, row: Row | None, work: Work) -> bool:
        """Whether the claim under which *work* was sent still holds.  A process that was stopped for longer than its
        lease comes back with the fencing number of then, and is not believed."""
        if row is not None and row["state"] in ("leased", "sending") and row["attempts"] == work.attempt:
            return True
        log.warning("claim_lost", partner=work.partner.id, exchange=work.exchange)
        return False

    def _settle(self, tx: Transaction, one: Done, row: Row, subjects: Sequence[Row], at: Moment) -> None:
        work, result, reply = one.work, one.result, one.reply
        if not isinstance(result, Answered):
            self._failed(tx, work, row, subjects, result, at)
            return
        spent_us = int(result.spent * 1e6)
        self._ledger.audit(tx, at, work.partner.id, work.operation.name, None, work.exchange)
        if work.operation.handed_over:
            self._delivered(tx, work, row, subjects, at, spent_us)
            return
        self._ledger.keep(tx, at, work.exchange, "reply", result.body)
        ours = {s["key"]: s for s in subjects if s["state"] == "open"}
        said: dict[str | None, list[Any]] = {}
        for line in reply.lines:
            said.setdefault(_key(work, line), []).append(line)
        meant = [(key, lines) for key, lines in said.items() if key in ours]
        paired = [(ours.pop(key), lines[0]) for key, lines in meant if _decides(ours[key], lines)]
        if not paired:
            self._ledger.spent(tx, work.exchange, subjects, spent_us)
            code = reply.unreadable or ("reply_undecided" if meant else "reply_not_ours")
            self._failed(tx, work, row, subjects, OutcomeUnknown(code, "the answer does not say what became of it"), at)
            return
        self._answered(tx, work, paired, spent_us, at)
        if not ours:
            self._ledger.move(tx, at, row, "settled", outcome="answered", spent=spent_us)
            return
        self._ledger.spent(tx, work.exchange, ours.values(), spent_us)
        for subject in ours.values():
            self._omitted(tx, work, row, subject, at)
        self._close(tx, self._ledger.get(tx, work.exchange), at)

    def _delivered(
        self, tx: Transaction, work: Work, row: Row, subjects: Iterable[Row], at: Moment, spent_us: int = 0
    ) -> None:
        event = work.operation.gives.get("delivered")
        by_group: dict[UUID, list[Row]] = {}
        for subject in subjects:
            self._ledger.settle_subject(tx, at, subject, "done", "delivered", spent=spent_us)
            by_group.setdefault(as_uuid(subject["group_id"]), []).append(subject)
        if event is not None:
            for group_id, members in by_group.items():
                kept = self._kept(tx, members[0])
                events = [
                    Event(
                        name=event,
                        group=group_id,
                        request=_request_of(s),
                        line=_line_of(s),
                        happened=moment(at.business),
                    )
                    for s in members
                ]
                self._advance.happen(tx, kept, events, at, exchange=work.exchange, partner=work.partner.id)
        if work.operation.expects:
            self._awaiting.begin(tx, at, work.exchange, work.operation.expects.within)
        self._ledger.move(tx, at, row, "settled", outcome="delivered", spent=spent_us)

    def _answered(self, tx: Transaction, work: Work, paired: list[tuple[Row, Any]], spent_us: int, at: Moment) -> None:
        """What the partner said of each subject.  An enquiry speaks of the subject that it asks about."""
        for asked, line in paired:
            subject, spent = asked, spent_us
            if asked["enquires"] is not None:
                subject, spent = self._ledger.subject(tx, as_uuid(asked["enquires"])), asked["partner_us"] + spent_us
                self._ledger.settle_subject(tx, at, asked, "done", line.outcome, spent=spent_us)
                if subject["state"] != "open" or line.outcome in UNDECIDED:
                    self._ledger.subject_spent(tx, as_uuid(subject["id"]), spent)
                if subject["state"] != "open":
                    continue
                if line.outcome == "in_progress":
                    self._ask_later(tx, work.partner, subject, at)
                    continue
                if subject["exchange_id"] is not None:
                    # The enquiry ends the doubt of another exchange: whoever looks at that one sees by what.
                    self._ledger.audit(
                        tx, at, work.partner.id, work.operation.name, None, as_uuid(subject["exchange_id"])
                    )
                if line.outcome == "not_known":
                    self._again(tx, work.partner, subject, at)
                    continue
            self._means(tx, work, subject, line, spent, at)

    def _means(self, tx: Transaction, work: Work, subject: Row, line: Any, spent: int, at: Moment) -> None:
        """What *line* says of *subject*, on which the partner has *spent* so much more of its own time (µs)."""
        name = work.operation.gives.get(getattr(line, "outcome", "received"))
        kept = self._kept(tx, subject)
        self._ledger.settle_subject(
            tx, at, subject, "done", getattr(line, "outcome", "received"), their_ref=getattr(line, "brn", None),
            spent=spent,
        )  # fmt: skip
        if work.operation.expects and name == NOTHING:
            self._awaiting.begin(tx, at, as_uuid(subject["exchange_id"]), work.operation.expects.within)
        elif work.operation.expects:
            self._awaiting.drop(tx, subject)
        if name is None:
            self._ledger.raise_incident(
                tx, at, "exchange", "partner_refuses", "operator",
                partner=work.partner.id, operation=work.operation.name, group_id=kept.case.id,
                exchange_id=work.exchange,
            )  # fmt: skip
        elif name != NOTHING:
            event = event_of(
                name, line, work.operation, group=kept.case.id, request=_request_of(subject), line_id=_line_of(subject),
                default=moment(at.business),
            )  # fmt: skip
            self._advance.happen(
                tx, kept, [event], at, exchange=work.exchange, partner=work.partner.id,
                spent_us=subject["partner_us"] + spent,
            )  # fmt: skip
        if subject["exchange_id"] is not None and as_uuid(subject["exchange_id"]) != work.exchange:
            self._close(tx, self._ledger.get(tx, as_uuid(subject["exchange_id"])), at)

    def _omitted(self, tx: Transaction, work: Work, row: Row, subject: Row, at: Moment) -> None:
        """The answer does not speak of *subject*: ask singly; without an enquiry its key, else a person, decides."""
        enquires = subject["enquires"]
        if enquires is not None:
            self._ledger.settle_subject(tx, at, subject, "done", None)
            self._enquire(tx, work.partner, self._ledger.subject(tx, as_uuid(enquires)), at, at.wall)
        elif work.operation.enquiry:
            self._enquire(tx, work.partner, subject, at, at.wall)
        elif work.operation.repeat in ("safe", "keyed"):
            self._again(tx, work.partner, subject, at)
        else:
            self._ledger.move(tx, at, row, "parked", code="outcome_unknown", owner="operator")

    def _again(self, tx: Transaction, partner: Partner, subject: Row, at: Moment) -> None:
        """The partner does not know *subject*: a new exchange, under the same key; without a key, and where it never
        knows what it was sent, a person decides."""
        operation = partner.operations[subject["operation"]]
        before, repeated = as_uuid(subject["exchange_id"]), subject["attempts"] > 1
        if operation.repeat == "never" or (repeated and self._given_up(tx, subject, at, of=before)):
            self._ledger.move(tx, at, self._ledger.get(tx, before), "parked", code="outcome_unknown", owner="operator")
            return
        wait = backoff(subject["attempts"] - 1, operation.longest_wait) if repeated else 0.0
        self._ledger.free(tx, subject, at.wall + int(wait * _SECOND))
        self._close(tx, self._ledger.get(tx, before), at)
        tx.wake(partner.id)

    def _ask_later(self, tx: Transaction, partner: Partner, subject: Row, at: Moment) -> None:
        """The partner is still at it: ask ever more seldom, and in the end leave it to a person."""
        if self._given_up(tx, subject, at, of=subject["exchange_id"]):
            self._unanswered(tx, subject, at)
            return
        wait = backoff(self._ledger.enquiries(tx, subject) + 1)
        self._enquire(tx, partner, subject, at, at.wall + int(wait * _SECOND))

    def _unanswered(self, tx: Transaction, subject: Row, at: Moment) -> None:
        """Nobody is asked about *subject* any more: a person decides about its exchange."""
        if subject["state"] == "open" and subject["exchange_id"] is not None:
            before = self._ledger.get(tx, as_uuid(subject["exchange_id"]))
            self._ledger.move(tx, at, before, "parked", code="outcome_unknown", owner="operator")

    def _enquire(self, tx: Transaction, partner: Partner, subject: Row, at: Moment, not_before: int) -> None:
        operation = partner.operations[subject["operation"]]
        assert operation.enquiry is not None
        if self._ledger.enquired(tx, subject):
            return
        self._ledger.add_subject(
            tx, at,
            partner=partner.id, operation=operation.enquiry, kind=subject["kind"], subject_id=subject["subject_id"],
            group_id=as_uuid(subject["group_id"]), lane="enquiry/" + subject["key"], key=subject["key"],
            urgency=subject["urgency"], not_before=not_before, enquires=as_uuid(subject["id"]),
        )  # fmt: skip
        tx.wake(partner.id)

    def _close(self, tx: Transaction, row: Row, at: Moment) -> None:
        """Settle an exchange with no open subject left; while one is being asked about it stays in doubt."""
        if row["state"] in ("settled", "dead", "parked"):
            return
        if self._ledger.open_subjects(tx, as_uuid(row["id"])):
            self._ledger.move(tx, at, row, "in_doubt", code="outcome_unknown")
        else:
            self._ledger.move(tx, at, row, "settled", outcome="answered")

    # -- failing -----------------------------------------------------------------------------------------------------

    def _failed(
        self, tx: Transaction, work: Work, row: Row, subjects: Sequence[Row], failure: Failure, at: Moment
    ) -> None:
        log.info("not_delivered", partner=work.partner.id, operation=work.operation.name, code=failure.code)
        if isinstance(failure, AuthFailed | ConfigError):
            self._ledger.move(
                tx, at, row, "held",
                code=failure.code, owner=HubError(failure.code).who, next_at=at.wall + int(HELD * _SECOND),
            )  # fmt: skip
        elif isinstance(failure, OutcomeUnknown) and failure.code == "internal":
            self.park(tx, work, failure.code, at)  # a fault of ours would break the enquiry too
        elif isinstance(failure, OutcomeUnknown):
            if work.operation.repeat == "safe" and self._given_up(tx, row, at):
                self._dead(tx, row, failure.code, at)
            else:
                self._in_doubt(tx, work.partner, work.operation, row, subjects, failure.code, at)
        else:
            self._not_done(tx, work, row, failure, at)

    def _not_done(self, tx: Transaction, work: Work, row: Row, failure: Unavailable | Throttled, at: Moment) -> None:
        status = failure.status if isinstance(failure, Unavailable) else None
        said = None if status is None else f"status {status}"
        if self._given_up(tx, row, at):
            self._dead(tx, row, failure.code, at, said)
            return
        wait = backoff(row["attempts"], work.operation.longest_wait)
        if isinstance(failure, Throttled) and failure.retry_after is not None:
            wait += min(failure.retry_after, LONGEST_WAIT)
        next_at = at.wall + int(wait * _SECOND)
        self._ledger.move(tx, at, row, "waiting", code=failure.code, outcome=said, next_at=next_at)

    def _dead(self, tx: Transaction, row: Row, code: str, at: Moment, said: str | None = None) -> None:
        for subject in self._ledger.subjects_of(tx, as_uuid(row["id"])):
            if subject["state"] != "open":
                continue
            self._ledger.settle_subject(tx, at, subject, "dead", None, code=code, owner="operator")
            if subject["enquires"] is not None:
                self._unanswered(tx, self._ledger.subject(tx, as_uuid(subject["enquires"])), at)
        self._ledger.move(tx, at, row, "dead", code=code, owner="operator", outcome=said)
        partner, operation, line = row["partner"], row["operation"], None
        if not row["subjects"]:
            # Nobody's journey hangs on it: one incident speaks for all that its partner does not take.
            line = 0
            if self._ledger.raised_already(tx, code, partner, operation, line):
                return
        self._ledger.raise_incident(
            tx, at, "exchange", code, "operator",
            partner=partner, operation=operation, exchange_id=as_uuid(row["id"]), line=line,
        )  # fmt: skip

    def park(self, tx: Transaction, work: Work, code: str, at: Moment) -> None:
        """Put an exchange before an engineer as it is; its lane waits, everything else goes on."""
        row = self._ledger.get(tx, work.exchange)
        if not self._still_ours(row, work):
            return
        self._ledger.move(tx, at, row, "parked", code=code, owner="engineer")
        self._ledger.raise_incident(
            tx, at, "exchange", code, "engineer",
            partner=work.partner.id, operation=work.operation.name, exchange_id=work.exchange,
        )  # fmt: skip

    def _in_doubt(
        self, tx: Transaction, partner: Partner, operation: Operation, row: Row, subjects: Sequence[Row], code: str,
        at: Moment,
    ) -> None:  # fmt: skip
        """Something may have been done.  Ask first; without an enquiry resend only under the partner's key, or where a
        second sending is harmless; else park for a person."""
        wait = at.wall + int(backoff(row["attempts"], operation.longest_wait) * _SECOND)
        if operation.enquiry:
            self._ledger.move(tx, at, row, "in_doubt", code=code)
            for subject in subjects:
                if subject["state"] == "open":
                    self._enquire(tx, partner, subject, at, wait)
        elif operation.repeat in ("safe", "keyed") and not self._given_up(tx, row, at):
            self._ledger.move(tx, at, row, "waiting", code=code, next_at=wait)
        else:
            self._ledger.move(tx, at, row, "parked", code=code, owner="operator")

    def recover(self, tx: Transaction, rows: Iterable[Row], at: Moment) -> None:
        """Take over claims that nobody is at any more: ``leased`` was never sent, of ``sending`` the outcome is
        unknown."""
        for row in rows:
            partner = self._register.partners.get(row["partner"])
            operation = partner.operations.get(row["operation"]) if partner else None
            if partner is None or operation is None:
                continue
            if row["state"] == "leased":
                self._ledger.move(tx, at, row, "waiting", code="interrupted", next_at=at.wall)
            else:
                subjects = self._ledger.subjects_of(tx, as_uuid(row["id"]))
                self._in_doubt(tx, partner, operation, row, subjects, "interrupted", at)
            tx.wake(partner.id)

    def miss(self, tx: Transaction, at: Moment) -> None:
        """Put before an engineer the operations that have open work and are not there any more."""
        for name, gone in self._ledger.open_work(tx):
            known = self._register.partners.get(name)
            if known is not None and gone in known.operations:
                continue
            # It keeps its place until the manifest is back; what was being sent is asked about then.
            if not self._ledger.raised_already(tx, "operation_gone", name, gone, 0):
                self._ledger.raise_incident(
                    tx, at, "exchange", "operation_gone", "engineer", partner=name, operation=gone, line=0
                )

    def _given_up(self, tx: Transaction, row: Row, at: Moment, of: Any = None) -> bool:
        """Whether *row* has been tried long enough, counted anew from when a person had its exchange tried again."""
        if at.wall - row["created_at"] <= GIVE_UP * _SECOND:
            return False
        begun = self._interventions.last(tx, as_uuid(of or row["id"]), REPLAY)
        return begun is None or at.wall - begun > GIVE_UP * _SECOND

    # -- a person's decisions ----------------------------------------------------------------------------------------

    def ask(self, tx: Transaction, partner: Partner, row: Row, at: Moment) -> None:
        """Ask the partner about every subject of exchange *row* of which it has not spoken."""
        self._ledger.move(tx, at, row, "in_doubt", code=row["code"])
        for subject in self._ledger.subjects_of(tx, as_uuid(row["id"])):
            if subject["state"] == "open":
                self._enquire(tx, partner, subject, at, at.wall)

    def told(self, tx: Transaction, partner: Partner, row: Row, line: Any, at: Moment) -> None:
        """Settle exchange *row* as its partner told a person outside.

        *line* is how an answer would have said it of each subject; None where there are no answers: it was delivered.
        """
        operation, exchange = partner.operations[row["operation"]], as_uuid(row["id"])
        work = Work(exchange=exchange, partner=partner, operation=operation, body=b"", attempt=row["attempts"])
        subjects = [s for s in self._ledger.subjects_of(tx, exchange) if s["state"] == "open"]
        if line is None:
            self._delivered(tx, work, row, subjects, at)
            return
        for subject in subjects:
            self._means(tx, work, subject, line, 0, at)
        self._ledger.move(tx, at, row, "settled", outcome="answered")


def _key(work: Work, line: Any) -> str | None:
    """Our key in a line of an answer."""
    if hasattr(line, "key"):
        return str(line.key)
    return getattr(line, work.operation.keyed or "", None)


def _decides(subject: Row, lines: Sequence[Any]) -> bool:
    """Whether *lines* of an answer settle *subject*: they do not contradict each other, and say what was decided.

    "I do not know it" to what was just asked for is the answer to another question, from somewhere between us.
    """
    first = lines[0]
    if any(line != first for line in lines):
        return False
    return subject["enquires"] is not None or getattr(first, "outcome", None) not in UNDECIDED


def _request_of(row: Row) -> UUID | None:
    return UUID(hex=row["subject_id"]) if row["kind"] == "request" else None


def _line_of(row: Row) -> str | None:
    return row["subject_id"] if row["kind"] in ("booking", "trip") else None
