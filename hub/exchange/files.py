"""Files that partners leave for us: read in a stream, checked, staged line by line, and only then told to the cases.

A file is opened as an exchange, with its bytes, before a line of it is stored.  Its lines are stored in chunks, each a
commit; what was cut off goes on behind the last line that is there.  When the last was read, the file is judged as a
whole (its totals, what stands beside it, its number); one that is wrong is refused with all that was stored of it, and
no case has heard of it.  Then the cases are told, chunk by chunk.
"""

import hashlib
import io
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from itertools import islice
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from hub.canonical.declare import shapes
from hub.canonical.errors import HubError
from hub.exchange.matching import Line
from hub.exchange.outcomes import Outcomes
from hub.exchange.progress import Progress
from hub.exchange.receive import Also, Receipt, Receiver, Said, date_order, refused
from hub.mapping import Map, Rows
from hub.partners import Operation, Register
from hub.partners.partner import Partner
from hub.store.database import Database, Transaction, as_uuid
from hub.store.files_in import LONGEST_NAME
from hub.store.ledger import PIECE, Ledger, Moment
from hub.store.staging import Staged, Staging

#: Lines that are stored in one commit: some ten milliseconds of the writer's time.
STAGED = 2_000
#: Chunks that may wait for the writer while the next is read: it is never idle, and little is held in memory.
_AHEAD = 2
#: Lines after which a thread that reads, or seals, lets others run.
_READ, _SEALED = 256, 500
#: Lines whose cases are told in one commit: enough to share it, few enough to let others in.
CHUNK = 200


@dataclass(frozen=True, slots=True)
class File:
    """A file at hand: whose, what it is, what stands beside it, and what else is written when it is taken."""

    partner: Partner
    operation: Operation
    body: bytes
    digest: str
    name: str
    said: Said
    map: Map
    also: Also | None = None
    progress: Progress | None = None
    #: Rows that say nothing that can be read, of a list that is taken without them.
    rejected: list[tuple[int, str]] = field(default_factory=list)
    #: Lines that were not taken, with their codes: they belong to nobody we know, or contradict what is known.
    untaken: dict[int, str] = field(default_factory=dict)

    @property
    def each(self) -> str:
        assert self.operation.each is not None
        return self.operation.each


class Files:
    """Takes files: all of one or nothing, each line once."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        register: Register,
        receiver: Receiver,
        staging: Staging,
        outcomes: Outcomes,
    ) -> None:
        self._database, self._ledger, self._register = database, ledger, register
        self._receiver, self.staging, self._outcomes = receiver, staging, outcomes

    def receive(
        self,
        partner: Partner,
        operation: Operation,
        body: bytes,
        *,
        name: str,
        said: Said,
        also: Also | None = None,
        progress: Progress | None = None,
    ) -> Receipt:
        """A file that *partner* left for us; one whose taking was cut off goes on where it stopped.

        Of a list that comes without a manifest, rows that cannot be read are put before a person and the others are
        taken.
        """
        map_ = self._register.map(operation.adapter, operation.name, "request")
        digest = hashlib.sha256(body).hexdigest()
        file = File(partner, operation, body, digest, name[:LONGEST_NAME], said, map_, also, progress)
        if operation.each is None:
            return self._one(file)
        staged = self.stage(file)
        return staged if isinstance(staged, Receipt) else self._tell(file, staged)

    def _one(self, file: File) -> Receipt:
        """A file that is one message has no lines to store: it is taken in one unit."""
        partner, operation = file.partner, file.operation
        try:
            message = self._receiver.read(partner, operation, file.body)
        except HubError as error:
            return self._receiver.unreadable(partner, operation, file.body, error, file.name)
        number = getattr(message, operation.sequence) if operation.sequence else None
        differs = _misnumbered(file, number) or file.said.against(1, _control(file.map, message))
        if differs is not None:
            return self._receiver.refuse_file(partner, operation, differs, file.body, file.name)

        def unit(tx: Transaction) -> Receipt:
            at = self._receiver.now()
            known = self._ledger.file_known(tx, partner.id, operation.name, file.digest)
            if known is not None:
                return Receipt("repeated", exchange=as_uuid(known["id"]))
            stands = self._out_of_turn(tx, at, file, number)
            if stands is not None:
                return stands
            self._count_on(tx, at, file, number)
            exchange = self._open(
                tx, at, file, number, state="settled", body=file.body, outcome="read", subjects=1, done=1
            )
            if file.also is not None:
                file.also(tx, exchange)
            line = Line(1, message)
            self._receiver.lines.tell(tx, partner, operation, message, [line], exchange, at)
            untaken = _untaken([line])
            self._outcomes.reject(tx, at, exchange, lines=untaken)
            if file.progress is not None:
                file.progress.rows(tx, 1, 1 - len(untaken), len(untaken))
            self._ledger.audit(tx, at, partner.id, operation.name, None, exchange)
            return Receipt("taken", exchange=exchange, lines=1)

        return self._database.unit(unit)

    # -- in ----------------------------------------------------------------------------------------------------------

    def stage(self, file: File) -> Staged | Receipt:
        """Read, check and store all of *file*; its receipt where there is nothing to tell of it, or not yet."""
        partner, operation = file.partner, file.operation
        staged: Staged | None = None
        try:
            reading = _Reading(file, self._receiver, self._database)
            part = reading.next()
            differs = _misnumbered(file, reading.number)
            if differs is None:
                opened = self._database.unit(partial(self._begin, file, reading.number))
                if isinstance(opened, Receipt):
                    return opened
                staged, whole = opened
                if whole:
                    return staged
                self._store(file, reading, part, staged)
                differs = file.said.against(reading.count, reading.control)
        except _Wrong as wrong:
            refuse = partial(self._receiver.unreadable, partner, operation, file.body, wrong.fault, file.name)
            return self._dropped(staged, refuse)
        if differs is not None:
            refuse = partial(self._receiver.refuse_file, partner, operation, differs, file.body, file.name)
            return self._dropped(staged, refuse)
        assert staged is not None
        receipt = self._database.unit(partial(self._whole, file, staged, reading))
        if receipt is not None and receipt.status == "refused":
            return self._dropped(staged, lambda: receipt)
        return receipt or staged

    def _begin(self, file: File, number: int | None, tx: Transaction) -> tuple[Staged, bool] | Receipt:
        """Open the exchange of *file*, or find what is stored of it already; True where that is all."""
        at, partner, operation = self._receiver.now(), file.partner, file.operation
        known = self._ledger.file_known(tx, partner.id, operation.name, file.digest)
        if known is not None and known["state"] == "settled":
            return Receipt("repeated", exchange=as_uuid(known["id"]))
        if known is not None:
            staged = self.staging.resume(tx, as_uuid(known["id"]))
            if known["records"] is None and known["map_hash"] != file.map.hash:
                # What another map read may be other lines.
                while self.staging.drop(tx, staged.exchange):
                    pass
                staged = replace(staged, last=0)
            return staged, known["records"] is not None
        stands = self._out_of_turn(tx, at, file, number)
        if stands is not None:
            return stands
        small = len(file.body) <= PIECE
        exchange = self._open(tx, at, file, number, state="leased", body=file.body if small else None)
        return self.staging.begin(tx, exchange, int(small)), False

    def _open(self, tx: Transaction, at: Moment, file: File, number: int | None, **more: Any) -> UUID:
        return self._ledger.open(
            tx, at, partner=file.partner.id, operation=file.operation.name, direction="in",
            name=file.name, sequence=number, sha256=file.digest, map_hash=file.map.hash, **more,
        )  # fmt: skip

    def _store(self, file: File, reading: "_Reading", part: list[Any], staged: Staged) -> None:
        """Store what is not there yet.  Chunks are read and sealed while those before them are written."""
        written: deque[Future[None]] = deque()
        for write in self._writes(file, reading, part, staged):
            written.append(self._database.submit(write))
            if len(written) > _AHEAD:
                written.popleft().result()
        for future in written:
            future.result()

    def _writes(
        self, file: File, reading: "_Reading", part: list[Any], staged: Staged
    ) -> Iterator[Callable[[Transaction], None]]:
        """What is still to be stored, each a unit of work: the bytes first, in pieces, then the lines, in chunks."""
        at = self._receiver.now()
        for start in range(staged.pieces * PIECE, len(file.body), PIECE):
            piece = self.staging.piece(staged, file.body[start : start + PIECE])
            yield partial(self.staging.keep, at=at, staged=staged, piece=piece)
        while part:
            first = max(reading.count - len(part), staged.last) + 1
            new = part[len(part) - 1 - reading.count + first :]
            rows: list[tuple[int, bytes]] = []
            for start in range(0, len(new), _SEALED):
                rows += self.staging.sealed(staged, first + start, new[start : start + _SEALED])
                _give_way(self._database)
            if rows:
                yield partial(self._put, file, staged.exchange, rows)
            part = reading.next()

    def _put(self, file: File, exchange: UUID, rows: list[tuple[int, bytes]], tx: Transaction) -> None:
        self.staging.put(tx, exchange, rows)
        if file.progress is not None:
            file.progress.rows(tx, rows[-1][0], 0, 0)

    def _whole(self, file: File, staged: Staged, reading: "_Reading", tx: Transaction) -> Receipt | None:
        """All of *file* is stored and right: its number counts from now on, and its lines may be told."""
        at, partner, operation = self._receiver.now(), file.partner, file.operation
        if self._ledger.get(tx, staged.exchange)["records"] is not None:
            return None
        number = reading.number
        stands = self._out_of_turn(tx, at, file, number)
        if stands is not None:
            return stands
        self._count_on(tx, at, file, number)
        self._outcomes.reject(tx, at, staged.exchange, rows=dict(reading.rejected))
        for line, code in reading.rejected:
            # Once, however often a cumulative file brings it again.
            if not self._ledger.raised_already(tx, code, partner.id, operation.name, line):
                self._ledger.raise_incident(
                    tx, at, "file", code, HubError(code).who,
                    partner=partner.id, operation=operation.name, exchange_id=staged.exchange, line=line,
                )  # fmt: skip
        if file.also is not None:
            file.also(tx, staged.exchange)
        self.staging.whole(tx, staged, reading.around(), reading.count, file.map.hash)
        return None

    def _dropped(self, staged: Staged | None, refuse: Callable[[], Receipt]) -> Receipt:
        """Refuse a file and take away what was stored of it, its key last."""
        if staged is None:
            return refuse()
        while self._database.unit(partial(self.staging.drop, exchange_id=staged.exchange)):
            pass
        receipt = refuse()
        self._database.unit(partial(self.staging.finished, exchange_id=staged.exchange))
        return receipt

    # -- in their order ----------------------------------------------------------------------------------------------

    def _out_of_turn(self, tx: Transaction, at: Moment, file: File, number: int | None) -> Receipt | None:
        """What a file is told that has a forerunner missing, or comes under a number that was used; else None."""
        if number is None:
            return None
        partner, operation = file.partner, file.operation
        wanted = (self._ledger.last_number(tx, _stream(file)) or 0) + 1
        if number > wanted:
            if not self._ledger.raised_already(tx, "file_sequence_gap", partner.id, operation.name, wanted):
                self._ledger.raise_incident(
                    tx, at, "file", "file_sequence_gap", "partner",
                    partner=partner.id, operation=operation.name, line=wanted,
                )  # fmt: skip
            gap = refused("file_sequence_gap", expected=wanted, found=number, sequence=wanted, partner=partner.id)
            return replace(gap, status="gap")
        if number < wanted:
            fault = HubError("file_sequence_repeated", found=number, sequence=number)
            return self._receiver.refuse_in(tx, at, partner, operation, fault, file.body, file.name)
        return None

    def _count_on(self, tx: Transaction, at: Moment, file: File, number: int | None) -> None:
        """A file is right and in its turn: what was amiss with it, or waited for it, is mended."""
        partner, operation = file.partner.id, file.operation.name
        if number is not None:
            self._ledger.set_number(tx, _stream(file), number)
            self._ledger.resolve(tx, at, "file_sequence_gap", partner, operation)
        self._ledger.mended(tx, at, partner, operation, file.name)

    # -- out ---------------------------------------------------------------------------------------------------------

    def _tell(self, file: File, staged: Staged) -> Receipt:
        with self._database.reading() as tx:
            message: Any = self.staging.head(tx, staged, file.map.message)
            known = self._outcomes.rejected(tx, staged.exchange)  # also what was found before it was cut off
        file.untaken.update(known.lines)
        while True:
            tell = partial(self._tell_some, file, staged, message, len(known.rows))
            receipt: Receipt | None = self._database.unit(tell)
            if receipt is not None:
                return receipt

    def _tell_some(self, file: File, staged: Staged, message: Any, unread: int, tx: Transaction) -> Receipt | None:
        """Tell the next lines; the receipt with the last of them.  So many rows were *unread*: nothing can be told."""
        at, exchange, operation = self._receiver.now(), staged.exchange, file.operation
        row = self._ledger.get(tx, exchange)
        if row["state"] == "settled":
            return Receipt("repeated", exchange=exchange)
        kind: Any = shapes(file.map.message)[file.each].part
        was, count = row["done"], row["records"]
        part = [Line(number, value) for number, value in self.staging.next(tx, staged, was, CHUNK, kind)]
        now = part[-1].number if part else count
        if now - was != len(part):
            raise LookupError("lines of the file are missing")
        if not self.staging.advance(tx, exchange, was, now):
            return None
        self._receiver.lines.tell(tx, file.partner, operation, message, part, exchange, at)
        untaken = _untaken(part)
        self._outcomes.reject(tx, at, exchange, lines=untaken)
        tx.after_commit(lambda: file.untaken.update(untaken))
        if file.progress is not None:
            rejected = len(file.untaken) + sum(number not in file.untaken for number in untaken)
            file.progress.rows(tx, count + unread, now - rejected, rejected + unread)
        self.staging.told(tx, exchange, was, now, [line.number for line in part if line.suspended])
        if now < count:
            return None
        self.staging.finished(tx, exchange)
        if file.progress is not None and self._outcomes.of_rows(file.map, operation):
            file.progress.given_back(tx, exchange)
        self._ledger.move(tx, at, self._ledger.get(tx, exchange), "settled", outcome="read")
        self._ledger.audit(tx, at, file.partner.id, operation.name, None, exchange)
        return Receipt("taken", exchange=exchange, lines=count)


def _untaken(lines: Iterable[Line]) -> dict[int, str]:
    return {line.number: line.code for line in lines if line.code is not None}


class _Wrong(Exception):
    """The bytes are no such file, or not all of it can be read: the partner's fault and not the store's."""

    def __init__(self, fault: HubError) -> None:
        super().__init__(fault.code)
        self.fault = fault


class _Reading:
    """A file being read: its lines, some at a time, with what is known of it when the last was given.

    ``count`` is how many lines were given, ``control`` their sum by the message's own rule, ``rejected`` the rows that
    say nothing that can be read, as number and code.  Everything that is wrong comes as :class:`_Wrong`.
    """

    def __init__(self, file: File, receiver: Receiver, database: Database) -> None:
        self._database = database
        self.count, self.rejected = 0, file.rejected
        self._file = file
        self._first_fault: HubError | None = None
        self._rows: Rows | None = None
        self._message: Any = None
        try:
            if file.map.streamed == file.each and not hasattr(file.map.message, "contradiction"):
                order = date_order(file.partner)
                self._rows = file.map.open_rows(io.BytesIO(file.body), date_order=order)
                self._lines = self._stream()
            else:
                self._message = receiver.read(file.partner, file.operation, file.body)
                self._lines = iter(getattr(self._message, file.each))
        except HubError as fault:
            raise _Wrong(fault) from None
        self.control = Decimal(0) if hasattr(file.map.message, "control") else None

    @property
    def number(self) -> int | None:
        """The file's own, as far as it is known: it may stand at its end."""
        name = self._file.operation.sequence
        if name is None:
            return None
        number: int | None = getattr(self._message, name, None) if self._rows is None else self._rows.head.get(name)
        return number

    def next(self) -> list[Any]:
        """The next lines, none at the end."""
        try:
            part = list(islice(self._lines, STAGED))
            if not part and not self.count and self._first_fault is not None:
                raise self._first_fault
        except HubError as fault:
            raise _Wrong(fault) from None
        self.count += len(part)
        if self.control is not None:
            self.control += _control(self._file.map, SimpleNamespace(**{self._file.each: part})) or 0
        return part

    def around(self) -> Any:
        """The message without its lines, when the last was given."""
        return replace(self._message, **{self._file.each: []}) if self._rows is None else self._rows.around()

    def _stream(self) -> Iterator[Any]:
        assert self._rows is not None
        operation = self._file.operation
        forgiving = self._file.map.format == "csv" and operation.wire.get("manifest") == "none"
        for number, row in enumerate(self._rows):
            if number % _READ == 0:
                _give_way(self._database)
            if row.fault is None:
                yield row.value
            elif forgiving:
                self._first_fault = self._first_fault or row.fault
                self.rejected.append((row.number, row.fault.code))
            else:
                raise row.fault


def _give_way(database: Database) -> None:
    """Let the writer run.  Threads that compute are parted only every five milliseconds, and it asks at each of its
    statements, so that whoever waits for it would wait for us."""
    if not database.idle:
        time.sleep(0.00005)


def _control(map_: Map, message: Any) -> Decimal | None:
    """The control sum of *message*, which need hold no more than the lines; None where its kind has none."""
    rule = getattr(map_.message, "control", None)
    return None if rule is None else Decimal(rule(message))


def _misnumbered(file: File, number: int | None) -> HubError | None:
    if None in (file.said.sequence, number) or file.said.sequence == number:
        return None
    return HubError("file_sequence_differs")


def _stream(file: File) -> str:
    return f"in/{file.partner.id}/{file.operation.name}"
