"""The one entrance: bytes, or a message of our own API, become facts of a case, in one unit of work.

Order of things: read by the partner's map (outside the unit), then in one commit: told before? whose is it? what does
the journey say? what does it cause?  and the answer.  Bytes that cannot be read, and lines that belong to nobody, are
kept and put before a person; nothing is dropped.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from hub.canonical.case import Case
from hub.canonical.errors import HubError, catalogue
from hub.canonical.messages import MESSAGES
from hub.clock import Clock
from hub.exchange.advance import Advance, Told
from hub.exchange.lines import event_of
from hub.exchange.pressure import EVERY, Pressure
from hub.mapping import Row as FileRow
from hub.partners import NOTHING, Operation, Register
from hub.partners.partner import Partner
from hub.security.sealing import Sealer
from hub.store.awaiting import Awaiting
from hub.store.cases import Cases, Kept
from hub.store.database import Database, Row, Transaction, as_uuid
from hub.store.encoding import moment
from hub.store.ledger import Ledger, Moment

log = structlog.get_logger(__name__)

#: Lines of a file that share a unit of work: enough to share a commit, few enough to let others in.
CHUNK = 200

#: What else is written, with the exchange that bytes became, in the unit of work that takes them.
Also = Callable[[Transaction, UUID], None]

#: How a field that identifies a request is looked up: the kind of number, and the fields whose values are hashed.
_LOOKUPS = {
    "reference_no": ("reference", ("reference_no",)),
    "visa_no": ("visa", ("visa_no",)),
    "border_no": ("border", ("border_no",)),
    "document_no": ("document", ("document_no", "issuing_state")),
}


@dataclass(frozen=True, slots=True)
class Once:
    """A caller's idempotency key with the digest of what it was first used for."""

    caller: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of something received.

    ``status``: taken, repeated (told before; nothing was done again), suspense (kept, but belongs to nobody we know),
    refused, conflict, or gap (a file whose forerunner is missing).  ``body`` is what an API caller is told, ``answer``
    the bytes that the partner's map makes of our answer, ``problems`` coded errors in English and Arabic; ``fault`` is
    why something was refused.
    """

    status: str
    http: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    answer: bytes | None = None
    problems: list[dict[str, Any]] = field(default_factory=list)
    exchange: UUID | None = None
    lines: int = 0
    fault: HubError | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What stands beside a file about it: its number, how many records it holds, their control sum."""

    sequence: int | None = None
    count: int | None = None
    control: str | None = None

    def against(self, message: Any, number: int | None, records: int) -> HubError | None:
        """What the file itself says otherwise; None where they agree."""
        if None not in (self.sequence, number) and self.sequence != number:
            return HubError("file_sequence_differs")
        if self.count is not None and self.count != records:
            return HubError("file_totals", place="manifest.count", expected=self.count, found=records)
        if self.control is not None and hasattr(message, "control"):
            try:
                agrees = Decimal(self.control) == Decimal(message.control())
            except ArithmeticError:
                agrees = False
            # The sum itself stays unsaid: of a file of one line it may be somebody's number.
            return None if agrees else HubError("file_totals", place="manifest.control_sum")
        return None


@dataclass(slots=True)
class _Line:
    """One line on its way to a case."""

    number: int
    value: Any
    group: UUID | None = None
    request: UUID | None = None
    line_id: str | None = None


class Refusal(Exception):
    """Rolls a unit back and is answered to the caller."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(receipt.status)
        self.receipt = receipt


def problem(code: str, where: str | None = None, **details: Any) -> dict[str, Any]:
    """One coded error as people outside are told it."""
    error = HubError(code, **details)
    return {"code": code, "field": where, "en": error.en, "ar": error.ar}


def refused(code: str, **details: Any) -> Receipt:
    error = HubError(code, **details)
    return Receipt("refused", error.entry.status, problems=[problem(code, **details)], fault=error)


class Receiver:
    """Everything that comes in."""

    def __init__(
        self,
        database: Database,
        cases: Cases,
        ledger: Ledger,
        register: Register,
        advance: Advance,
        sealer: Sealer,
        clock: Clock,
        pressure: Pressure,
    ) -> None:
        self._database, self._cases, self._ledger = database, cases, ledger
        self._register, self._advance, self._sealer, self._clock = register, advance, sealer, clock
        self._awaiting = Awaiting(ledger)
        self._pressure = pressure

    def now(self) -> Moment:
        return Moment.of(self._clock.wall(), self._clock.now())

    # -- once --------------------------------------------------------------------------------------------------------

    def once(self, once: Once | None, unit: Callable[[Transaction], Receipt]) -> Receipt:
        """Run *unit*; with a key, a second call answers what the first was answered, from the same commit."""

        def guarded(tx: Transaction) -> Receipt:
            if once is None:
                return unit(tx)
            row = self._ledger.answered_before(tx, once.caller, once.key)
            if row is not None:
                if row["digest"] != once.digest:
                    return refused("idempotency_conflict")
                return self._first_answer(tx, row)
            receipt = unit(tx)
            said = {
                "body": receipt.body,
                "exchange": receipt.exchange.hex if receipt.answer and receipt.exchange else None,
            }
            self._ledger.remember_answer(
                tx, self.now(), once.caller, once.key, once.digest, receipt.http, json.dumps(said, ensure_ascii=False)
            )
            return receipt

        try:
            return self._answered(self._database.submit(guarded))
        except Refusal as refusal:
            return refusal.receipt

    def _answered(self, receipt: "Future[Receipt]") -> Receipt:
        """What *receipt* becomes; raises ``store_away`` as soon as nobody can say when.  A caller who then sends the
        same again is told what became of it, or has it done now."""
        while True:
            try:
                return receipt.result(EVERY)
            except TimeoutError:
                if receipt.done():
                    continue
                if self._pressure.away:
                    raise self._pressure.closed("store") from None

    def _first_answer(self, tx: Transaction, row: Row) -> Receipt:
        said = json.loads(row["body"])
        exchange = UUID(hex=said["exchange"]) if said["exchange"] else None
        answer = self._ledger.bytes_of(tx, exchange, "reply") if exchange else None
        return Receipt("repeated", row["http"], said["body"], answer, exchange=exchange)

    # -- what partners tell ------------------------------------------------------------------------------------------

    def message(
        self,
        partner: Partner,
        operation: Operation,
        body: bytes,
        once: Once | None = None,
        also: Also | None = None,
    ) -> Receipt:
        """A message that a partner calls us with."""
        try:
            message = self._read(partner, operation, body)
        except HubError as error:
            return self._unreadable(partner, operation, body, error, None)
        answer = MESSAGES[operation.answer] if operation.answer else None

        def unit(tx: Transaction) -> Receipt:
            at = self.now()
            exchange = self._ledger.open(
                tx, at, partner=partner.id, operation=operation.name, direction="in", state="settled", body=body,
                sha256=hashlib.sha256(body).hexdigest(),
            )  # fmt: skip
            if also is not None:
                also(tx, exchange)
            lines = _lines(message, operation)
            told, taken = self._take(tx, partner, operation, message, lines, exchange, at)
            reply = None
            if answer is not None:
                case = self._one_case(tx, lines)
                said = answer.answer(message, case, taken)  # type: ignore[attr-defined]
                reply = self._register.map(operation.adapter, operation.name, "reply").write(said)
                self._ledger.keep(tx, at, exchange, "reply", reply)
            self._ledger.audit(tx, at, partner.id, operation.name, None, exchange)
            return Receipt(taken, 200, {"outcome": taken}, reply, [], exchange, len(told))

        return self.once(once, unit)

    def file(
        self,
        partner: Partner,
        operation: Operation,
        body: bytes,
        *,
        name: str,
        said: Said,
        also: Also | None = None,
    ) -> Receipt:
        """A file that a partner left for us.  Its lines are taken in chunks; a file whose taking was cut off goes on
        where it stopped.  Of a list that comes without a manifest, rows that cannot be read are put before a person and
        the others are taken."""
        rejected: list[FileRow] = []
        try:
            message, rejected = self._read_file(partner, operation, body)
        except HubError as error:
            return self._unreadable(partner, operation, body, error, name)
        number = getattr(message, operation.sequence) if operation.sequence else None
        lines = _lines(message, operation)
        differs = said.against(message, number, len(lines))
        if differs is not None:
            return self.refuse_file(partner, operation, differs, body, name)
        digest = hashlib.sha256(body).hexdigest()
        stream = f"in/{partner.id}/{operation.name}"

        def opening(tx: Transaction) -> Receipt | tuple[UUID, int]:
            at = self.now()
            known = self._ledger.file_known(tx, partner.id, operation.name, digest)
            if known is not None and known["state"] == "settled":
                return Receipt("repeated", exchange=as_uuid(known["id"]))
            if known is not None:
                return as_uuid(known["id"]), known["done"]
            if number is not None:
                wanted = (self._ledger.last_number(tx, stream) or 0) + 1
                if number > wanted:
                    if not self._ledger.raised_already(tx, "file_sequence_gap", partner.id, operation.name, wanted):
                        self._ledger.raise_incident(
                            tx, at, "file", "file_sequence_gap", "partner",
                            partner=partner.id, operation=operation.name, line=wanted,
                        )  # fmt: skip
                    return replace(refused("file_sequence_gap", sequence=wanted, partner=partner.id), status="gap")
                if number < wanted:
                    return self._refuse_in(
                        tx, at, partner, operation, HubError("file_sequence_repeated", sequence=number), body, name
                    )
                self._ledger.set_number(tx, stream, number)
                self._ledger.resolve(tx, at, "file_sequence_gap", partner.id, operation.name)
            self._ledger.mended(tx, at, partner.id, operation.name, name)
            exchange = self._ledger.open(
                tx, at, partner=partner.id, operation=operation.name, direction="in", state="leased", body=body,
                name=name, sequence=number, subjects=len(lines), sha256=digest,
            )  # fmt: skip
            if also is not None:
                also(tx, exchange)
            for row in rejected:
                self._reject(tx, partner, operation, row, exchange, at)
            return exchange, 0

        def chunk(tx: Transaction, taken: tuple[UUID, int] | None) -> Receipt | tuple[UUID, int]:
            opened = opening(tx) if taken is None else taken
            if isinstance(opened, Receipt):
                return opened
            at = self.now()
            exchange, done = opened
            part = lines[done : done + CHUNK]
            self._take(tx, partner, operation, message, part, exchange, at)
            done += len(part)
            self._ledger.progress(tx, exchange, done)
            if done < len(lines):
                return exchange, done
            self._ledger.move(tx, at, self._ledger.get(tx, exchange), "settled", outcome="read")
            self._ledger.audit(tx, at, partner.id, operation.name, None, exchange)
            return Receipt("taken", exchange=exchange, lines=len(lines))

        taken: tuple[UUID, int] | None = None  # how far it is durable: a unit may be run twice
        while True:
            found = self._database.unit(partial(chunk, taken=taken))
            if isinstance(found, Receipt):
                return found
            taken = found

    def _read(self, partner: Partner, operation: Operation, body: bytes) -> Any:
        """What *body* says.  Raises HubError, also for figures that disagree where the partner is held to them."""
        map_ = self._register.map(operation.adapter, operation.name, "request")
        message = map_.read(body, date_order=_date_order(partner), counts=partner.counts)
        untrue: HubError | None = message.contradiction() if hasattr(message, "contradiction") else None
        if untrue is not None:
            if (partner.counts or map_.spec.counts) == "strict":
                raise untrue
            log.warning(untrue.code, partner=partner.id, operation=operation.name)
        return message

    def _read_file(self, partner: Partner, operation: Operation, body: bytes) -> tuple[Any, list[FileRow]]:
        """What file *body* says, and the rows of it that say nothing that can be read.  Raises HubError."""
        map_ = self._register.map(operation.adapter, operation.name, "request")
        if map_.format != "csv" or operation.each is None or operation.wire.get("manifest") != "none":
            return self._read(partner, operation, body), []
        rows = list(map_.rows(body, date_order=_date_order(partner)))
        faults = [row.fault for row in rows if row.fault is not None]
        if faults and len(faults) == len(rows):
            raise faults[0]
        read = [row.value for row in rows if row.fault is None]
        return map_.message(**{operation.each: read}), [row for row in rows if row.fault is not None]

    def _reject(
        self, tx: Transaction, partner: Partner, operation: Operation, row: FileRow, exchange: UUID, at: Moment
    ) -> None:
        """Put a row before whoever must mend it, once, however often a cumulative file brings it again."""
        assert row.fault is not None
        code, line = row.fault.code, row.number
        if not self._ledger.raised_already(tx, code, partner.id, operation.name, line):
            self._ledger.raise_incident(
                tx, at, "file", code, HubError(code).who,
                partner=partner.id, operation=operation.name, exchange_id=exchange, line=line,
            )  # fmt: skip

    def _take(
        self,
        tx: Transaction,
        partner: Partner,
        operation: Operation,
        message: Any,
        lines: Sequence[_Line],
        exchange: UUID,
        at: Moment,
    ) -> tuple[list[Told], str]:
        """Tell the cases what *lines* say.  Answers what came of it and, in a word, what the partner is to be told."""
        by_group: dict[UUID, list[_Line]] = {}
        seen = suspense = 0
        for line in lines:
            self._find(tx, partner, operation, message, line)
            if operation.name in partner.confirms and line.group is not None:
                subject = line.request.hex if line.request else line.line_id
                self._awaiting.heard(tx, at, partner.id, operation.name, line.group, subject)
            told_as = self._told_as(tx, partner, operation, message, line, exchange)
            if told_as == "same":
                seen += 1
            elif told_as == "other":
                suspense += 1
                self._suspend(tx, partner, operation, line, exchange, at, "told_otherwise")
            elif operation.gives and line.group is None:
                suspense += 1
                self._suspend(tx, partner, operation, line, exchange, at)
            elif line.group is not None:
                by_group.setdefault(line.group, []).append(line)
        told: list[Told] = []
        for group, members in by_group.items():
            if operation.gives:
                kept = self._cases.load(tx, group)
                assert kept is not None
                told += self._tell(tx, partner, operation, message, kept, members, exchange, at)
        repeated = seen == len(lines) or (bool(told) and all(t.verdict == "repeated" for t in told))
        return told, "suspense" if suspense else "repeated" if lines and repeated else "taken"

    def _tell(
        self,
        tx: Transaction,
        partner: Partner,
        operation: Operation,
        message: Any,
        kept: Kept,
        lines: Sequence[_Line],
        exchange: UUID,
        at: Moment,
    ) -> list[Told]:
        events = []
        for line in lines:
            name = operation.gives.get(getattr(line.value, "outcome", "received"))
            if name == NOTHING:
                continue
            if name is None:
                self._suspend(tx, partner, operation, line, exchange, at, "outcome_unforeseen")
                continue
            events.append(
                event_of(
                    name,
                    line.value,
                    operation,
                    group=kept.case.id,
                    request=line.request,
                    line_id=line.line_id,
                    default=moment(at.business),
                    around=None if line.value is message else message,
                )
            )
        return self._advance.happen(tx, kept, events, at, exchange=exchange, partner=partner.id)

    def _told_as(
        self, tx: Transaction, partner: Partner, operation: Operation, message: Any, line: _Line, exchange: UUID
    ) -> str:
        """Whether *line* is new, or was told under its key before.  Hashed: it may hold a document's number."""
        if not operation.key:
            return "new"
        told = line.value
        values = [getattr(told, f) if hasattr(told, f) else getattr(message, f) for f in operation.key]
        if any(not hasattr(told, f) for f in operation.key):
            # The message's own number, told of several lines: the line is part of what it names.
            values.append(repr(told))
        key = f"{operation.name}/{self._sealer.fingerprint('seen', *map(str, values)).hex()}"
        digest = self._sealer.fingerprint("told", repr(told))
        return self._ledger.tell(tx, partner.id, key, exchange, digest, line.group)

    def _find(self, tx: Transaction, partner: Partner, operation: Operation, message: Any, line: _Line) -> None:
        """Whose *line* is: its group, and its request or programme line."""
        for kind, names in operation.find.items():
            for name in names:
                value = getattr(line.value, name, None) or getattr(message, name, None)
                if value is None:
                    continue
                if kind == "request":
                    self._find_request(tx, partner, name, line)
                elif kind == "voucher":
                    line.group = self._cases.group_of_bill(tx, value)
                elif kind in ("trip", "booking"):
                    row = self._ledger.subject_by_key(tx, value)
                    if row is not None and row["partner"] == partner.id:
                        line.group, line.line_id = as_uuid(row["group_id"]), row["subject_id"]
                if line.group is not None and not self._theirs(tx, partner, line.group):
                    line.group = line.request = line.line_id = None
                if line.group is not None:
                    return

    def _find_request(self, tx: Transaction, partner: Partner, name: str, line: _Line) -> None:
        kind, fields = _LOOKUPS[name]
        values = [getattr(line.value, f) for f in fields]
        found = self._cases.find(tx, kind, *values) if None not in values else ()
        if found:
            line.request, line.group, _ = found[0]

    def _theirs(self, tx: Transaction, partner: Partner, group: UUID) -> bool:
        """Whether *partner* may speak of the group: a mission of its own references, a bank of its companies' bills."""
        kept = self._cases.load(tx, group)
        assert kept is not None
        agent = kept.case.agent
        for word, code in (("mission", agent.mission), ("company", agent.company)):
            if word in partner.serves and code not in partner.serves[word]:
                return False
        return True

    def _suspend(
        self,
        tx: Transaction,
        partner: Partner,
        operation: Operation,
        line: _Line,
        exchange: UUID,
        at: Moment,
        code: str | None = None,
    ) -> None:
        code = code or ("payment_unknown_bill" if "voucher" in operation.find else "unknown_id")
        entry = catalogue().get(code)
        self._ledger.raise_incident(
            tx, at, "suspense", code, entry.who if entry else "operator",
            partner=partner.id, operation=operation.name, exchange_id=exchange, line=line.number,
        )  # fmt: skip

    def _one_case(self, tx: Transaction, lines: Sequence[_Line]) -> Case | None:
        group = lines[0].group if lines else None
        if group is None:
            return None
        kept = self._cases.load(tx, group)
        return kept.case if kept is not None else None

    # -- what cannot be read -----------------------------------------------------------------------------------------

    def _unreadable(
        self, partner: Partner, operation: Operation, body: bytes, error: HubError, name: str | None
    ) -> Receipt:
        receipt = self.refuse_file(partner, operation, error, body, name)
        place = getattr(error, "place", None)
        # Theirs is the only name of the field that they know.
        told = problem(error.code, place, **({**error.where, "field": place} if place else error.where))
        return replace(receipt, problems=[told])

    def refuse_file(
        self, partner: Partner, operation: Operation, fault: HubError, body: bytes, name: str | None
    ) -> Receipt:
        return self._database.unit(lambda tx: self._refuse_in(tx, self.now(), partner, operation, fault, body, name))

    def put_aside(self, partner: Partner, operation: str | None, code: str) -> None:
        """Tell whoever must act of a file of *partner* that was not taken.  Of one that breaks us, told once."""

        def unit(tx: Transaction) -> None:
            if operation and code == "internal" and self._ledger.raised_already(tx, code, partner.id, operation, 0):
                return
            self._ledger.raise_incident(
                tx, self.now(), "file", code, HubError(code).who, partner=partner.id, operation=operation, line=0,
            )  # fmt: skip

        self._database.unit(unit)

    def _refuse_in(
        self,
        tx: Transaction,
        at: Moment,
        partner: Partner,
        operation: Operation,
        fault: HubError,
        body: bytes,
        name: str | None,
    ) -> Receipt:
        """Keep the bytes, put them before whoever must act, and say so; the same bytes again change nothing."""
        digest = hashlib.sha256(body).hexdigest()
        if self._ledger.told_before(tx, partner.id, f"refused/{digest}") is None:
            owner = partner.must_act(fault.code)
            exchange = self._ledger.open(
                tx, at, partner=partner.id, operation=operation.name, direction="in", state="dead", body=body,
                name=name, code=fault.code, sha256=digest, owner=owner,
            )  # fmt: skip
            self._ledger.first_time(tx, partner.id, f"refused/{digest}", exchange)
            self._ledger.raise_incident(
                tx, at, "file" if name else "exchange", fault.code, owner,
                partner=partner.id, operation=operation.name, exchange_id=exchange,
            )  # fmt: skip
        return refused(fault.code, **{"partner": partner.id, **fault.where})


def _date_order(partner: Partner) -> str | None:
    return partner.agent.date_order if partner.agent else None


def _lines(message: Any, operation: Operation) -> list[_Line]:
    values = getattr(message, operation.each) if operation.each else [message]
    return [_Line(number, value) for number, value in enumerate(values, 1)]
