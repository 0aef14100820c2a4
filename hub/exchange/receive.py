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
from typing import Any
from uuid import UUID

import structlog

from hub import turns
from hub.canonical.case import Case
from hub.canonical.entities import Document
from hub.canonical.errors import HubError
from hub.canonical.messages import MESSAGES
from hub.clock import Clock
from hub.exchange.advance import Advance
from hub.exchange.lines import Lines, lines_of
from hub.exchange.matching import Line, Matching
from hub.exchange.pressure import EVERY, Pressure
from hub.partners import Operation, Register
from hub.partners.partner import Partner
from hub.security.sealing import Sealer
from hub.store.awaiting import Awaiting
from hub.store.cases import Cases
from hub.store.database import Ahead, Database, Row, Transaction, as_uuid
from hub.store.ledger import Ledger, Moment

log = structlog.get_logger(__name__)

#: What else is written, with the exchange that bytes became, in the unit of work that takes them.
Also = Callable[[Transaction, UUID], None]


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

    def against(self, records: int, control: Decimal | None) -> HubError | None:
        """What the file itself holds otherwise; None where they agree.  *control* is None where it has no such sum."""
        if self.count is not None and self.count != records:
            return HubError("file_totals", place="manifest.count", expected=self.count, found=records)
        if self.control is not None and control is not None:
            try:
                agrees = Decimal(self.control) == control
            except ArithmeticError:
                agrees = False
            # The sum itself stays unsaid: of a file of one line it may be somebody's number.
            return None if agrees else HubError("file_totals", place="manifest.control_sum")
        return None


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
        self._register, self._clock, self._pressure = register, clock, pressure
        self.lines = Lines(cases, Matching(cases, ledger, sealer), advance, Awaiting(ledger))

    def now(self) -> Moment:
        return Moment.of(self._clock.wall(), self._clock.now())

    # -- once --------------------------------------------------------------------------------------------------------

    def once(
        self,
        once: Once | None,
        unit: Callable[[Transaction], Receipt],
        about: UUID | None = None,
        document: Document | None = None,
    ) -> Receipt:
        """Run *unit*; with a key, a second call answers what the first was answered, from the same commit.

        *about* is the request, and *document* the one, that *unit* will look for.
        """

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
            ahead = None if about is None else Ahead(
                about,
                None if once is None else (once.caller, once.key),
                None if document is None else self._cases.hash_of("document", document.number, document.issuing_state),
            )  # fmt: skip
            return self._answered(self._database.submit(guarded, ahead))
        except Refusal as refusal:
            return refusal.receipt

    def foresee(self, tx: Transaction, ahead: Sequence[Ahead]) -> None:
        """Read at once what units that share a commit are known to read."""
        self._cases.foresee(tx, [one.request for one in ahead])
        keys = [one.once for one in ahead if one.once is not None]
        if keys:
            self._ledger.foresee_answers(tx, keys)
        documents = [one.document for one in ahead if one.document is not None]
        if documents:
            self._cases.foresee_numbers(tx, "document", documents)

    def _answered(self, receipt: "Future[Receipt]") -> Receipt:
        """What *receipt* becomes; raises ``store_away`` as soon as nobody can say when.  A caller who then sends the
        same again is told what became of it, or has it done now."""
        while True:
            try:
                return turns.result(receipt, EVERY)
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
            message = self.read(partner, operation, body)
        except HubError as error:
            return self.unreadable(partner, operation, body, error, None)
        answer = MESSAGES[operation.answer] if operation.answer else None

        def unit(tx: Transaction) -> Receipt:
            at = self.now()
            exchange = self._ledger.open(
                tx, at, partner=partner.id, operation=operation.name, direction="in", state="settled", body=body,
                sha256=hashlib.sha256(body).hexdigest(),
            )  # fmt: skip
            if also is not None:
                also(tx, exchange)
            lines = lines_of(message, operation)
            told, taken = self.lines.tell(tx, partner, operation, message, lines, exchange, at)
            reply = None
            if answer is not None:
                case = self._one_case(tx, lines)
                said = answer.answer(message, case, taken)  # type: ignore[attr-defined]
                reply = self._register.map(operation.adapter, operation.name, "reply").write(said)
                self._ledger.keep(tx, at, exchange, "reply", reply)
            self._ledger.audit(tx, at, partner.id, operation.name, None, exchange)
            return Receipt(taken, 200, {"outcome": taken}, reply, [], exchange, len(told))

        return self.once(once, unit)

    def read(self, partner: Partner, operation: Operation, body: bytes) -> Any:
        """What *body* says.  Raises HubError, also for figures that disagree where the partner is held to them."""
        map_ = self._register.map(operation.adapter, operation.name, "request")
        message = map_.read(body, date_order=date_order(partner), counts=partner.counts)
        untrue: HubError | None = message.contradiction() if hasattr(message, "contradiction") else None
        if untrue is not None:
            if (partner.counts or map_.spec.counts) == "strict":
                raise untrue
            log.warning(untrue.code, partner=partner.id, operation=operation.name)
        return message

    def _one_case(self, tx: Transaction, lines: list[Line]) -> Case | None:
        group = lines[0].group if lines else None
        if group is None:
            return None
        kept = self._cases.load(tx, group)
        return kept.case if kept is not None else None

    # -- what cannot be read -----------------------------------------------------------------------------------------

    def unreadable(
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
        return self._database.unit(lambda tx: self.refuse_in(tx, self.now(), partner, operation, fault, body, name))

    def put_aside(self, partner: Partner, operation: str | None, code: str) -> None:
        """Tell whoever must act of a file of *partner* that was not taken.  Of one that breaks us, told once."""

        def unit(tx: Transaction) -> None:
            if operation and code == "internal" and self._ledger.raised_already(tx, code, partner.id, operation, 0):
                return
            self._ledger.raise_incident(
                tx, self.now(), "file", code, HubError(code).who, partner=partner.id, operation=operation, line=0,
            )  # fmt: skip

        self._database.unit(unit)

    def refuse_in(
        self,
        tx: Transaction,
        at: Moment,
        partner: Partner,
        operation: Operation,
        fault: HubError,
        body: bytes,
        name: str | None,
    ) -> Receipt:
        """Keep the bytes, put them before whoever must act, and say so; the same bytes again change nothing.

        A file that was being taken when it turned out to be wrong is taken no further.
        """
        digest, owner = hashlib.sha256(body).hexdigest(), partner.must_act(fault.code)
        begun = self._ledger.file_known(tx, partner.id, operation.name, digest)
        if begun is not None and begun["state"] != "settled":
            self._ledger.move(tx, at, begun, "dead", code=fault.code, owner=owner)
        if self._ledger.told_before(tx, partner.id, f"refused/{digest}") is None:
            exchange = as_uuid(begun["id"]) if begun is not None else self._ledger.open(
                tx, at, partner=partner.id, operation=operation.name, direction="in", state="dead", body=body,
                name=name, code=fault.code, sha256=digest, owner=owner,
            )  # fmt: skip
            self._ledger.first_time(tx, partner.id, f"refused/{digest}", exchange)
            self._ledger.raise_incident(
                tx, at, "file" if name else "exchange", fault.code, owner,
                partner=partner.id, operation=operation.name, exchange_id=exchange,
            )  # fmt: skip
        return refused(fault.code, **{"partner": partner.id, **fault.where})


def date_order(partner: Partner) -> str | None:
    return partner.agent.date_order if partner.agent else None
