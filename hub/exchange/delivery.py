"""Delivery: from subjects to frozen bytes, from bytes to a partner, from its answer to what it means for each subject.

What a crash means is written before it can happen: bytes are frozen and the exchange is ``sending`` (``leased`` where a
second sending is harmless) in a commit before the first byte leaves.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from hub.canonical.case import Case, Envelope, Subject
from hub.canonical.errors import HubError, catalogue
from hub.canonical.events import Event
from hub.channels import Answered, AuthFailed, ConfigError, Failure, OutcomeUnknown, Throttled, Unavailable
from hub.exchange.advance import Advance
from hub.exchange.lines import event_of
from hub.mapping import MapError
from hub.partners import NOTHING, Operation, Register
from hub.partners.partner import Partner
from hub.store.cases import Cases, Kept
from hub.store.database import Row, Transaction, as_uuid
from hub.store.encoding import moment
from hub.store.ledger import Ledger, Moment

log = structlog.get_logger(__name__)

MOST = 500  # subjects looked at for one exchange
BACKOFF = (0.25, 30.0)  # seconds: first and longest ceiling of the full-jitter wait
GIVE_UP = 72 * 3600.0  # seconds after which what could never be delivered becomes a dead letter
HELD = 60.0  # seconds between looks at what waits for a person to mend a setting
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Work:
    """An exchange claimed for sending."""

    exchange: UUID
    partner: Partner
    operation: Operation
    body: bytes = field(repr=False)
    key: str | None
    name: str | None
    sequence: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer read by its map: the lines that speak of subjects, or why it could not be read."""

    lines: Sequence[Any] = ()
    unreadable: str | None = None


def backoff(attempts: int) -> float:
    """Seconds to wait before the next attempt: full jitter under a doubling ceiling.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """
    first, longest = BACKOFF
    return random.uniform(0, min(longest, first * 2 ** min(attempts, 16)))  # noqa: S311  spread, not secrecy


class Delivery:
    """Claims, freezes and settles; sending itself is the channel's."""

    def __init__(self, cases: Cases, ledger: Ledger, register: Register, advance: Advance) -> None:
        self._cases, self._ledger, self._register, self._advance = cases, ledger, register, advance

    # -- claiming ----------------------------------------------------------------------------------------------------

    def claim(self, tx: Transaction, partner: Partner, at: Moment) -> Work | int | None:
        """The next exchange to send to *partner*, claimed; or when to look again (wall µs); or None: nothing waits."""
        row = self._ledger.ready(tx, at, partner.id)
        if row is not None:
            return self._resend(tx, partner, row, at)
        while True:
            rows = self._ledger.subjects_ready(tx, partner.id, MOST)
            batch = _batch(rows, partner, at.wall)
            if isinstance(batch, list):
                work = self._freeze(tx, partner, batch, at)
                if work is not None:
                    return work
                continue  # all of them were withdrawn: look at the next ones
            later = [t for t in (batch, self._ledger.next_at(tx, partner.id)) if t is not None]
            return min(later) if later else None

    def _resend(self, tx: Transaction, partner: Partner, row: Row, at: Moment) -> Work:
        operation = partner.operations[row["operation"]]
        self._ledger.move(tx, at, row, _claimed(operation), tried=True)
        subjects = self._ledger.subjects_of(tx, as_uuid(row["id"]))
        return Work(
            exchange=as_uuid(row["id"]),
            partner=partner,
            operation=operation,
            body=self._ledger.bytes_of(tx, as_uuid(row["id"])),
            key=subjects[0]["key"] if operation.repeat == "keyed" and len(subjects) == 1 else None,
            name=row["name"],
            sequence=row["sequence"],
            count=row["subjects"],
        )

    def _freeze(self, tx: Transaction, partner: Partner, rows: list[Row], at: Moment) -> Work | None:
        """Project, write and commit the bytes of one exchange.  A line whose case no longer wants it is withdrawn; one
        that cannot be written goes to a person, and the others go on without it."""
        operation = partner.operations[rows[0]["operation"]]
        map_ = self._register.map(operation.adapter, operation.name, "request")
        line_class: Any = getattr(map_.message, "line", map_.message)
        wanted: list[tuple[Row, Any]] = []
        for row in rows:
            try:
                line = line_class.project(self._case(tx, row), _subject_of(row))
            except Exception as error:  # one case that cannot be told must not stop everybody behind it
                log.error("project_failed", partner=partner.id, operation=operation.name, exc_info=error)
                self._undeliverable(tx, row, "internal", at)
                continue
            if line is None:
                self._ledger.settle_subject(tx, at, row, "withdrawn", None)
            else:
                wanted.append((row, line))
        stream = f"out/{partner.id}/{operation.name}"
        sequence = (self._ledger.last_number(tx, stream) or 0) + 1 if hasattr(map_.message, "of") else None
        envelope = Envelope(partner=partner.id, sequence=sequence or 0, at=moment(at.business))
        body = self._write(tx, map_, wanted, envelope, at)
        if body is None:
            return None
        if sequence is not None:
            # Taken only for an exchange that is really sent, or the partner would see a gap.
            self._ledger.set_number(tx, stream, sequence)
        name = operation.file_name(partner.id, envelope.sequence) if operation.channel == "files" else None
        exchange = self._ledger.open(
            tx, at,
            partner=partner.id, operation=operation.name, direction="out", state=_claimed(operation), body=body,
            name=name, sequence=sequence, subjects=len(wanted), map_hash=map_.hash, attempts=1,
            urgency=min(row["urgency"] for row, _ in wanted),
        )  # fmt: skip
        self._ledger.freeze(tx, [row for row, _ in wanted], exchange)
        keyed = operation.repeat == "keyed" and len(wanted) == 1
        return Work(
            exchange, partner, operation, body, wanted[0][0]["key"] if keyed else None, name, sequence, len(wanted)
        )

    def _write(
        self, tx: Transaction, map_: Any, wanted: list[tuple[Row, Any]], envelope: Envelope, at: Moment
    ) -> bytes | None:
        """The bytes of *wanted*; lines that cannot be written are taken out of it.  None when none is left."""
        while wanted:
            try:
                return map_.write(_message(map_.message, [line for _, line in wanted], envelope))  # type: ignore[no-any-return]
            except MapError as error:
                culprits = [pair for pair in wanted if not _can_write(map_, pair[1], envelope)] or list(wanted)
                for row, _ in culprits:
                    self._undeliverable(tx, row, error.code, at)
                wanted[:] = [pair for pair in wanted if pair not in culprits]
        return None

    def _undeliverable(self, tx: Transaction, row: Row, code: str, at: Moment) -> None:
        entry = catalogue().get(code)
        owner = entry.who if entry else "engineer"
        self._ledger.settle_subject(tx, at, row, "dead", None, code=code, owner=owner)
        self._ledger.raise_incident(
            tx, at, "exchange", code, owner,
            partner=row["partner"], operation=row["operation"], group_id=as_uuid(row["group_id"]),
        )  # fmt: skip

    def _case(self, tx: Transaction, row: Row) -> Case:
        kept = self._kept(tx, row)
        kept.case.focus = UUID(hex=row["subject_id"]) if row["kind"] == "request" else None
        return kept.case

    def _kept(self, tx: Transaction, row: Row) -> Kept:
        kept = self._cases.load(tx, as_uuid(row["group_id"]))
        assert kept is not None
        return kept

    # -- settling ----------------------------------------------------------------------------------------------------

    def read(self, work: Work, answered: Answered) -> Reply:
        """The answer as its map reads it.  Pure; done outside the unit of work."""
        operation = work.operation
        if operation.channel == "files":
            return Reply()
        try:
            message = self._register.map(operation.adapter, operation.name, "reply").read(answered.body)
        except HubError as error:
            return Reply(unreadable=error.code)
        return Reply(lines=getattr(message, operation.each) if operation.each else [message])

    def settle(self, tx: Transaction, work: Work, result: Answered | Failure, reply: Reply, at: Moment) -> None:
        """Write what became of *work*: for each subject, and for the exchange."""
        row = self._ledger.get(tx, work.exchange)
        if row["state"] not in ("leased", "sending"):
            return  # somebody else has settled it since
        if not isinstance(result, Answered):
            self._failed(tx, work, row, result, at)
            return
        self._ledger.spent(tx, work.exchange, result.spent)
        self._ledger.audit(tx, at, work.partner.id, work.operation.name, None, work.exchange)
        subjects = self._ledger.subjects_of(tx, work.exchange)
        if work.operation.channel == "files":
            self._delivered(tx, work, row, subjects, at)
            return
        self._ledger.keep(tx, at, work.exchange, "reply", result.body)
        ours = {s["key"]: s for s in subjects if s["state"] == "open"}
        paired = [(ours.pop(key), line) for line in reply.lines if (key := _key(work, line)) in ours]
        if not paired:
            code = reply.unreadable or "reply_not_ours"
            self._failed(tx, work, row, OutcomeUnknown(code, "the answer cannot be read as one to us"), at)
            return
        self._answered(tx, work, paired, at)
        for subject in ours.values():
            self._omitted(tx, work, row, subject, at)
        self._close(tx, row, at)

    def _delivered(self, tx: Transaction, work: Work, row: Row, subjects: Iterable[Row], at: Moment) -> None:
        event = work.operation.gives.get("delivered")
        by_group: dict[UUID, list[Row]] = {}
        for subject in subjects:
            self._ledger.settle_subject(tx, at, subject, "done", "delivered")
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
        self._ledger.move(tx, at, row, "settled", outcome="delivered")

    def _answered(self, tx: Transaction, work: Work, paired: list[tuple[Row, Any]], at: Moment) -> None:
        """What the partner said of each subject.  An enquiry speaks of the subject that it asks about."""
        for asked, line in paired:
            subject = asked
            if asked["enquires"] is not None:
                subject = self._ledger.subject(tx, as_uuid(asked["enquires"]))
                self._ledger.settle_subject(tx, at, asked, "done", line.outcome)
                self._ledger.subject_spent(tx, as_uuid(subject["id"]), asked["partner_us"])
                if subject["state"] != "open":
                    continue
                if line.outcome == "in_progress":
                    self._enquire(
                        tx, work.partner, subject, at, at.wall + int(backoff(asked["attempts"] + 1) * _SECOND)
                    )
                    continue
                if line.outcome == "not_known":
                    self._again(tx, work.partner, subject, at)
                    continue
            self._means(tx, work, subject, line, asked["partner_us"] if subject is not asked else 0, at)

    def _means(self, tx: Transaction, work: Work, subject: Row, line: Any, spent_us: int, at: Moment) -> None:
        name = work.operation.gives.get(getattr(line, "outcome", "received"))
        kept = self._kept(tx, subject)
        self._ledger.settle_subject(
            tx, at, subject, "done", getattr(line, "outcome", "received"), their_ref=getattr(line, "brn", None)
        )
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
            total = subject["partner_us"] + spent_us
            self._advance.happen(tx, kept, [event], at, exchange=work.exchange, partner=work.partner.id, spent_us=total)
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
        """The partner does not know *subject*: a new exchange, under the same key; without a key a person decides."""
        operation = partner.operations[subject["operation"]]
        before = as_uuid(subject["exchange_id"])
        if operation.repeat == "never":
            self._ledger.move(tx, at, self._ledger.get(tx, before), "parked", code="outcome_unknown", owner="operator")
            return
        self._ledger.free(tx, subject, at.wall)
        self._close(tx, self._ledger.get(tx, before), at)
        self._wake(tx, partner)

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
        self._wake(tx, partner)

    def _close(self, tx: Transaction, row: Row, at: Moment) -> None:
        """Settle an exchange with no open subject left; while one is being asked about it stays in doubt."""
        if row["state"] in ("settled", "dead", "parked"):
            return
        if self._ledger.open_subjects(tx, as_uuid(row["id"])):
            self._ledger.move(tx, at, row, "in_doubt", code="outcome_unknown")
        else:
            self._ledger.move(tx, at, row, "settled", outcome="answered")

    # -- failing -----------------------------------------------------------------------------------------------------

    def _failed(self, tx: Transaction, work: Work, row: Row, failure: Failure, at: Moment) -> None:
        log.info("not_delivered", partner=work.partner.id, operation=work.operation.name, code=failure.code)
        if isinstance(failure, AuthFailed | ConfigError):
            self._ledger.move(
                tx, at, row, "held", code=failure.code, owner="engineer", next_at=at.wall + int(HELD * _SECOND)
            )
        elif isinstance(failure, OutcomeUnknown):
            self._in_doubt(tx, work.partner, work.operation, row, failure.code, at)
        else:
            self._not_done(tx, work, row, failure, at)

    def _not_done(self, tx: Transaction, work: Work, row: Row, failure: Unavailable | Throttled, at: Moment) -> None:
        if at.wall - row["created_at"] > GIVE_UP * _SECOND:
            self._dead(tx, row, failure.code, at)
            return
        wait = backoff(row["attempts"])
        if isinstance(failure, Throttled) and failure.retry_after is not None:
            wait += failure.retry_after
        self._ledger.move(tx, at, row, "waiting", code=failure.code, next_at=at.wall + int(wait * _SECOND))

    def _dead(self, tx: Transaction, row: Row, code: str, at: Moment) -> None:
        for subject in self._ledger.subjects_of(tx, as_uuid(row["id"])):
            if subject["state"] == "open":
                self._ledger.settle_subject(tx, at, subject, "dead", None, code=code, owner="operator")
        self._ledger.move(tx, at, row, "dead", code=code, owner="operator")
        self._ledger.raise_incident(
            tx, at, "exchange", code, "operator",
            partner=row["partner"], operation=row["operation"], exchange_id=as_uuid(row["id"]),
        )  # fmt: skip

    def park(self, tx: Transaction, work: Work, code: str, at: Moment) -> None:
        """Put an exchange before an engineer as it is; its lane waits, everything else goes on."""
        row = self._ledger.get(tx, work.exchange)
        self._ledger.move(tx, at, row, "parked", code=code, owner="engineer")
        self._ledger.raise_incident(
            tx, at, "exchange", code, "engineer",
            partner=work.partner.id, operation=work.operation.name, exchange_id=work.exchange,
        )  # fmt: skip

    def _in_doubt(
        self, tx: Transaction, partner: Partner, operation: Operation, row: Row, code: str, at: Moment
    ) -> None:
        """Something may have been done.  Ask first; without an enquiry resend only under the partner's key, or where a
        second sending is harmless; else park for a person."""
        subjects = [s for s in self._ledger.subjects_of(tx, as_uuid(row["id"])) if s["state"] == "open"]
        wait = at.wall + int(backoff(row["attempts"]) * _SECOND)
        if operation.enquiry:
            self._ledger.move(tx, at, row, "in_doubt", code=code)
            for subject in subjects:
                self._enquire(tx, partner, subject, at, wait)
        elif operation.repeat in ("safe", "keyed"):
            self._ledger.move(tx, at, row, "waiting", code=code, next_at=wait)
        else:
            self._ledger.move(tx, at, row, "parked", code=code, owner="operator")

    def recover(self, tx: Transaction, at: Moment) -> None:
        """What a process that died left behind: ``leased`` was never sent, of ``sending`` the outcome is unknown."""
        for row in self._ledger.left_open(tx):
            partner = self._register.partners[row["partner"]]
            operation = partner.operations.get(row["operation"])
            if row["state"] == "leased" or operation is None:
                self._ledger.move(tx, at, row, "waiting", code="interrupted", next_at=at.wall)
            else:
                self._in_doubt(tx, partner, operation, row, "interrupted", at)

    def _wake(self, tx: Transaction, partner: Partner) -> None:
        tx.after_commit(lambda: self._advance.wake(partner.id))


def _claimed(operation: Operation) -> str:
    return "leased" if operation.repeat in ("safe", None) else "sending"


def _batch(rows: list[Row], partner: Partner, now: int) -> list[Row] | int | None:
    """Which of *rows* go into one exchange now; or when the first of them may; or None."""
    by_operation: dict[str, list[Row]] = {}
    for row in rows:
        by_operation.setdefault(row["operation"], []).append(row)
    later: list[int] = []
    for name, waiting in by_operation.items():
        batch = partner.operations[name].batch
        due = [r for r in waiting if r["not_before"] <= now]
        if batch is None:
            if due:
                return due[:1]
        elif due or len(waiting) >= batch.max:
            # Who waits only for company may ride along; who was put off after a failure may not.
            return [r for r in waiting if not r["attempts"] or r["not_before"] <= now][: batch.max]
        later.append(min(r["not_before"] for r in waiting))
    return min(later) if later else None


def _message(message: type, lines: list[Any], envelope: Envelope) -> Any:
    return message.of(lines, envelope) if hasattr(message, "of") else lines[0]


def _can_write(map_: Any, line: Any, envelope: Envelope) -> bool:
    try:
        map_.write(_message(map_.message, [line], envelope))
    except MapError:
        return False
    return True


def _key(work: Work, line: Any) -> str | None:
    """Our key in a line of an answer."""
    if hasattr(line, "key"):
        return str(line.key)
    return getattr(line, work.operation.keyed or "", None)


def _subject_of(row: Row) -> Subject:
    return Subject(kind=row["kind"], id=row["subject_id"], key=row["key"])


def _request_of(row: Row) -> UUID | None:
    return UUID(hex=row["subject_id"]) if row["kind"] == "request" else None


def _line_of(row: Row) -> str | None:
    return row["subject_id"] if row["kind"] in ("booking", "trip") else None
