"""The outbox: subjects become exchanges whose bytes are frozen, and exchanges are claimed for sending.

What a crash means is written before it can happen: bytes are frozen and the exchange is ``sending`` (``leased`` where a
second sending is harmless) in a commit before the first byte leaves.  Frozen bytes are never made anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from hub.canonical.case import Case, Envelope, Subject
from hub.canonical.declare import shapes
from hub.canonical.errors import catalogue
from hub.mapping import Map, MapError
from hub.partners import Operation, Register
from hub.partners.partner import Partner
from hub.store.awaiting import Awaiting
from hub.store.cases import Cases
from hub.store.database import Row, Transaction, as_uuid
from hub.store.encoding import moment
from hub.store.ledger import ABSURD, Ledger, Moment, Ready
from hub.store.statement import plain
from hub.store.workers import Claim

log = structlog.get_logger(__name__)

BLOCK = 1000  # numbers that a process takes at a time, for what may have gaps between them
MOST = 500  # subjects of a partner that are looked at
SPARE = 100  # … beyond those that fill its exchanges: what was put off stands before others, and is passed over


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """An exchange claimed for sending.  ``attempt`` is the fencing number of the claim; ``records`` and ``control`` are
    what a file's manifest says of it."""

    exchange: UUID
    attempt: int
    partner: Partner
    operation: Operation
    body: bytes = field(repr=False)
    key: str | None = None
    name: str | None = None
    sequence: int | None = None
    records: int | None = None
    control: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was claimed for a partner; ``again`` is when to look again (wall µs), None where nothing waits."""

    works: Sequence[Work]
    again: int | None


@dataclass(slots=True)
class _Ready:
    """What a partner has waiting, as it was read."""

    partner: Partner
    free: int
    frozen: list[Row]
    subjects: list[Row]
    next_at: int | None
    batches: list[list[Row]] = field(default_factory=list)
    again: int | None = None


@dataclass(slots=True)
class _Block:
    """Numbers of a stream that this process has for itself."""

    next: int
    end: int


class _Numbers:
    """The numbers of what is written in one unit.

    A partner expects its files without a gap: their number is the unit's, and given back with it.  What is not a file
    only needs a number that nobody else has: it comes from a block of this process, so that those who send to one
    partner side by side do not wait for each other.
    """

    def __init__(self, tx: Transaction, ledger: Ledger, blocks: dict[str, _Block]) -> None:
        self._tx, self._ledger, self._blocks = tx, ledger, blocks
        self._files: dict[str, int] = {}

    def next(self, partner: str, operation: Operation) -> int:
        """The number that the next exchange of *operation* would have."""
        stream = _stream(partner, operation)
        if operation.channel == "files":
            if stream not in self._files:
                self._files[stream] = self._ledger.last_number(self._tx, stream) or 0
            return self._files[stream] + 1
        block = self._blocks.get(stream)
        if block is None or block.next >= block.end:
            end = self._ledger.next_number(self._tx, stream, BLOCK, BLOCK)
            block = self._blocks[stream] = _Block(end - BLOCK + 1, end + 1)
            self._tx.on_rollback(self._blocks.clear)
        return block.next

    def take(self, partner: str, operation: Operation) -> None:
        """That number is used: of a file, only by one that is really sent."""
        stream = _stream(partner, operation)
        if operation.channel == "files":
            self._files[stream] += 1
        else:
            self._blocks[stream].next += 1

    def write(self) -> None:
        for stream, number in self._files.items():
            self._ledger.set_number(self._tx, stream, number)


def _stream(partner: str, operation: Operation) -> str:
    return f"out/{partner}/{operation.name}"


class Outbox:
    """Claims what may be sent to partners now."""

    def __init__(self, cases: Cases, ledger: Ledger, register: Register) -> None:
        self._cases, self._ledger, self._register = cases, ledger, register
        self._blocks: dict[str, _Block] = {}
        self._awaiting = Awaiting(ledger)

    def claim(
        self, tx: Transaction, wanted: Mapping[str, tuple[Partner, int]], at: Moment, claim: Claim
    ) -> dict[str, Claimed]:
        """Claim for each of *wanted* (the partner, and how many exchanges it may be sent now) what is most urgent.

        Everything is read before anything is written, so that the writes of all partners go out together.
        """
        looked = {p: (free, _looked_at(partner, free)) for p, (partner, free) in wanted.items()}
        found_ready = self._ledger.ready(tx, at, looked)
        waiting = [self._ready(tx, partner, free, found_ready[partner.id], at) for partner, free in wanted.values()]
        again = [as_uuid(row["id"]) for ready in waiting for row in ready.frozen]
        subjects = self._ledger.subjects_of_many(tx, again) if again else {}
        bodies = {exchange: self._ledger.bytes_of(tx, exchange) for exchange in again}
        chosen = [row for ready in waiting for batch in ready.batches for row in batch]
        self._cases.prefetch(tx, {as_uuid(row["group_id"]) for row in chosen})
        numbers = _Numbers(tx, self._ledger, self._blocks)
        found = {}
        for ready in waiting:
            works = []
            for row in ready.frozen:
                exchange = as_uuid(row["id"])
                works.append(
                    self._again(tx, ready.partner, row, subjects.get(exchange, []), bodies[exchange], at, claim)
                )
            for batch in ready.batches:
                work = self._freeze(tx, ready.partner, batch, at, claim, numbers)
                if work is None:
                    ready.again = at.wall  # all of them were withdrawn: look at those behind them
                else:
                    works.append(work)
            found[ready.partner.id] = Claimed(works, ready.again)
        numbers.write()
        return found

    def _ready(self, tx: Transaction, partner: Partner, free: int, found: Ready, at: Moment) -> _Ready:
        """What may be sent to *partner* now, *free* exchanges at most, by urgency; of the same urgency those frozen
        before go first."""
        frozen, next_at = [], found.next_at
        for row in found.exchanges:
            if row["operation"] in partner.operations:
                frozen.append(row)
            else:
                self._ledger.move(tx, at, row, "parked", code="operation_gone", owner="engineer")
        if frozen:
            next_at = at.wall
        elif found.exchanges:
            next_at = self._ledger.next_at(tx, partner.id)  # what was due is nobody's to send any more
        ready = _Ready(
            partner, free, [], [row for row in found.subjects if row["operation"] in partner.operations],
            next_at,
        )  # fmt: skip
        fresh, waits = _batches(ready.subjects, partner, at.wall)
        fresh.reverse()
        while len(ready.frozen) + len(ready.batches) < free:
            # After an outage most are frozen: whoever has come since and travels sooner does not wait for them, unless
            # they are files, whose numbers the partner expects in turn.
            first = frozen[0] if frozen else None
            if first is not None and (
                not fresh or first["urgency"] <= fresh[-1][0]["urgency"] or _numbered(partner, first)
            ):
                ready.frozen.append(frozen.pop(0))
            elif fresh:
                ready.batches.append(fresh.pop())
            else:
                later = [t for t in (waits, ready.next_at) if t is not None]
                ready.again = min(later) if later else None
                return ready
        ready.again = at.wall  # its slots are full; there may be more
        return ready

    def undeliverable(self, tx: Transaction, row: Row, code: str, at: Moment) -> None:
        """End a subject that cannot be sent, and put it before whoever can mend that."""
        entry = catalogue().get(code)
        owner = entry.who if entry else "engineer"
        self._ledger.settle_subject(tx, at, row, "dead", None, code=code, owner=owner)
        self._ledger.raise_incident(
            tx, at, "exchange", code, owner,
            partner=row["partner"], operation=row["operation"], group_id=as_uuid(row["group_id"]),
        )  # fmt: skip

    def against(self, tx: Transaction, partner: Partner, row: Row, at: Moment) -> str | None:
        """What stands against sending subject *row* now: ``unwanted`` where its case no longer wants it, or the code of
        what cannot be told or written; None where nothing does."""
        operation = partner.operations[row["operation"]]
        map_ = self._register.map(operation.adapter, operation.name, "request")
        try:
            line = _line(map_, self._case(tx, row), row)
        except Exception as error:  # what such a case breaks is ours to mend first
            log.error("project_failed", partner=row["partner"], operation=row["operation"], exc_info=error)
            return "internal"
        if line is None:
            return "unwanted"
        try:
            map_.write(_message(map_, [line], Envelope(partner=partner.id, sequence=1, at=moment(at.business))))
        except MapError as error:
            return error.code
        return None

    def _again(
        self, tx: Transaction, partner: Partner, row: Row, subjects: Sequence[Row], body: bytes, at: Moment,
        claim: Claim,
    ) -> Work:  # fmt: skip
        """An exchange that was frozen before, with the bytes it has."""
        operation = partner.operations[row["operation"]]
        return Work(
            exchange=as_uuid(row["id"]),
            attempt=self._ledger.claim(tx, at, row, _claimed(operation), claim),
            partner=partner,
            operation=operation,
            body=body,
            key=_key(operation, subjects),
            name=row["name"],
            sequence=row["sequence"],
            records=row["records"],
            control=row["control"],
        )

    def _freeze(
        self, tx: Transaction, partner: Partner, rows: Sequence[Row], at: Moment, claim: Claim, numbers: _Numbers
    ) -> Work | None:
        """Project, write and commit the bytes of one exchange.  A line whose case no longer wants it is withdrawn; one
        that cannot be told or written goes to a person, and the others go on without it."""
        operation = partner.operations[rows[0]["operation"]]
        map_ = self._register.map(operation.adapter, operation.name, "request")
        wanted = self._project(tx, rows, map_, at)
        numbered = hasattr(map_.message, "of") and bool(wanted)
        sequence = numbers.next(partner.id, operation) if numbered else None
        envelope = Envelope(partner=partner.id, sequence=sequence or 0, at=moment(at.business))
        written = self._write(tx, map_, wanted, envelope, at)
        if written is None:
            return None
        if sequence is not None:
            numbers.take(partner.id, operation)
        message, body = written
        name, records, control = None, None, None
        if operation.channel == "files":
            name = operation.file_name(partner.id, envelope.sequence)
            records, control = _records(message), message.control() if hasattr(message, "control") else None
        subjects = [row for row, _ in wanted]
        exchange = self._ledger.open(
            tx, at,
            partner=partner.id, operation=operation.name, direction="out", state=_claimed(operation), body=body,
            name=name, sequence=sequence, records=records, control=control, subjects=len(subjects),
            map_hash=map_.hash, attempts=1, urgency=min(row["urgency"] for row in subjects), worker=claim.worker,
            lease_until=claim.lease_until,
        )  # fmt: skip
        self._ledger.freeze(tx, subjects, exchange)
        if operation.expects:
            for row in subjects:
                self._awaiting.expect(tx, exchange, row, operation.expects.operation)
        return Work(
            exchange=exchange,
            attempt=1,
            partner=partner,
            operation=operation,
            body=body,
            key=_key(operation, subjects),
            name=name,
            sequence=sequence,
            records=records,
            control=control,
        )

    def _project(self, tx: Transaction, rows: Sequence[Row], map_: Map, at: Moment) -> list[tuple[Row, Any]]:
        wanted: list[tuple[Row, Any]] = []
        for row in rows:
            try:
                line = _line(map_, self._case(tx, row), row)
            except Exception as error:  # one case that cannot be told must not stop everybody behind it
                log.error("project_failed", partner=row["partner"], operation=row["operation"], exc_info=error)
                self.undeliverable(tx, row, "internal", at)
                continue
            if line is None:
                self._ledger.settle_subject(tx, at, row, "withdrawn", None)
            else:
                wanted.append((row, line))
        return wanted

    def _write(
        self, tx: Transaction, map_: Map, wanted: list[tuple[Row, Any]], envelope: Envelope, at: Moment
    ) -> tuple[Any, bytes] | None:
        """The message of *wanted* and its bytes; lines that cannot be written are taken out.  None if none is left."""
        while wanted:
            message = _message(map_, [line for _, line in wanted], envelope)
            try:
                return message, map_.write(message)
            except MapError as error:
                culprits = [pair for pair in wanted if not _can_write(map_, pair[1], envelope)] or list(wanted)
                for row, _ in culprits:
                    self.undeliverable(tx, row, error.code, at)
                wanted[:] = [pair for pair in wanted if pair not in culprits]
        return None

    def _case(self, tx: Transaction, row: Row) -> Case:
        kept = self._cases.load(tx, as_uuid(row["group_id"]))
        assert kept is not None
        kept.case.focus = UUID(hex=row["subject_id"]) if row["kind"] == "request" else None
        return kept.case


def _looked_at(partner: Partner, free: int) -> int:
    """How many subjects to look at for *free* exchanges: all that may be where lines wait for company."""
    batches = [operation.batch for operation in partner.operations.values() if operation.batch]
    if any(batch.within for batch in batches):
        return MOST
    return min(MOST, free * max((batch.max for batch in batches), default=1) + SPARE)


def _numbered(partner: Partner, row: Row) -> bool:
    return row["sequence"] is not None and partner.operations[row["operation"]].channel == "files"


def _claimed(operation: Operation) -> str:
    return "leased" if operation.repeat in ("safe", None) else "sending"


def _key(operation: Operation, subjects: Sequence[Row]) -> str | None:
    """The key that the partner honours for the whole of an exchange; one of several lines has them in its lines."""
    return subjects[0]["key"] if operation.repeat == "keyed" and len(subjects) == 1 else None


def _batches(rows: Sequence[Row], partner: Partner, now: int) -> tuple[list[list[Row]], int | None]:
    """What of *rows* may go now, an exchange each, the most urgent first; and when the first of the others may."""
    by_operation: dict[str, list[Row]] = {}
    for row in rows:
        by_operation.setdefault(row["operation"], []).append(row)
    found: list[list[Row]] = []
    later: list[int] = []
    for name, waiting in by_operation.items():
        batch = partner.operations[name].batch
        due = [r for r in waiting if r["not_before"] <= now or r["not_before"] > now + ABSURD]
        if batch is None:
            found += [[row] for row in due]
            later += [r["not_before"] for r in waiting if now < r["not_before"] <= now + ABSURD]
            continue
        # Who waits only for company may ride along; who was put off after a failure may not.
        riding = [r for r in waiting if not r["attempts"] or r["not_before"] <= now]
        at_hand = {r["id"] for r in due}
        while riding and (len(riding) >= batch.max or any(r["id"] in at_hand for r in riding)):
            found.append(riding[: batch.max])
            riding = riding[batch.max :]
        gone = {r["id"] for some in found for r in some}
        later += [r["not_before"] for r in waiting if r["id"] not in gone]
    found.sort(key=lambda some: (some[0]["urgency"], plain(some[0]["id"])))
    return found, min(later) if later else None


def _line(map_: Map, case: Case, row: Row) -> Any:
    line_class: Any = getattr(map_.message, "line", map_.message)
    return line_class.project(case, Subject(kind=row["kind"], id=row["subject_id"], key=row["key"]))


def _message(map_: Map, lines: list[Any], envelope: Envelope) -> Any:
    message: Any = map_.message
    return message.of(lines, envelope) if hasattr(message, "of") else lines[0]


def _can_write(map_: Map, line: Any, envelope: Envelope) -> bool:
    try:
        map_.write(_message(map_, [line], envelope))
    except MapError:
        return False
    return True


def _records(message: Any) -> int:
    """How many records a file holds: the length of its list, 1 for a message that has none."""
    cls: type = type(message)
    name = next((s.name for s in shapes(cls).values() if s.many), None)
    return 1 if name is None else len(getattr(message, name))
