"""A partner's desk: what comes in is kept, understood, decided once and answered.

The order is the point.  The raw bytes are committed before they are understood; the decision, with everything that
follows from it, is committed before anybody hears of it; and our key asked again gets what was decided then.
"""

import csv
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from hub.canonical.declare import Shape, shapes
from hub.canonical.errors import HubError
from hub.clock import Clock
from hub.mapping import Map
from hub.partners import Operation, Partner, Register
from hub.partners.sandbox import is_twin
from hub.simulate.chance import Chance
from hub.simulate.faults import AWAY, Faults
from hub.simulate.ledger import Books, Ledger
from hub.simulate.places import Line, Unreadable, reader
from hub.simulate.plan import Plan
from hub.simulate.script import Script, World

#: Outcomes by which nothing has come about.
WITHOUT_EFFECT = ("refused", "needs_data")
NOT_KNOWN, IN_PROGRESS = "not_known", "in_progress"
_REASONS = {
    "refused": ("previous_overstay", "document_reported", "not_eligible"),
    "needs_data": ("birth_place_unclear", "name_unclear", "document_unclear"),
}
_READ: Mapping[str, Callable[[str], Any]] = {
    "date": date.fromisoformat, "datetime": datetime.fromisoformat, "decimal": Decimal,
}  # fmt: skip


@dataclass(slots=True)
class Taken:
    """Something that came in.  ``lines`` are the values of the answer's lines; ``fault`` is how it goes wrong."""

    partner: Partner
    operation: Operation
    lead: str | None
    attempt: int = 0
    fault: str | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    keys: tuple[tuple[str, str, str], ...] = ()

    @property
    def away(self) -> bool:
        """Turned away before anything was done."""
        return self.fault in AWAY


class NotUnderstood(Exception):
    """What came in is not what the contract says.  It is in the books, and nothing was done."""


class Desk:
    """The desks of all partners: one set of books, one seed."""

    def __init__(
        self, register: Register, ledger: Ledger, clock: Clock, plan: Plan, chance: Chance, faults: Faults
    ) -> None:
        self.register, self.ledger, self.clock = register, ledger, clock
        self._plan, self._chance, self.faults = plan, chance, faults
        self._readers: dict[tuple[str, str], Callable[[bytes], list[Line]]] = {}
        self.scripts: dict[str, Script] = {}
        self._asks: dict[tuple[str, str], Operation] = {}
        for adapter in register.adapters.values():
            path = adapter.folder / "simulate.py"
            self.scripts[adapter.id] = Script(path if path.is_file() else None)
            for op in adapter.operations.values():
                if op.effect is not None:
                    self._readers[adapter.id, op.name] = reader(op.effect, adapter.contract)
                if op.enquiry is not None:
                    self._asks[adapter.id, op.enquiry] = op
        self._busy: set[tuple[str, str, str]] = set()
        self._busy_lock = threading.Lock()

    def plays(self, operation: Operation) -> bool:
        """Whether *operation* is one that partners take in."""
        return (operation.adapter, operation.name) in self._readers or (operation.adapter, operation.name) in self._asks

    def acts(self, operation: Operation) -> bool:
        """Whether the partners of *operation*'s adapter are played here at all."""
        return any(name == operation.adapter for name, _ in self._readers) or self.scripts[operation.adapter].written

    def busy(self) -> int:
        """How many lines are being answered just now."""
        return len(self._busy)

    def world(self, books: Books) -> World:
        # Whole seconds: no partner's format carries less.
        now = self.clock.now().replace(microsecond=0)
        return World(now, self._chance, self._plan, books, self.faults.wild, self._heard, self._table)

    def take(self, partner: Partner, operation: Operation, raw: bytes, name: str | None = None) -> Taken:
        """Keep, understand and decide.  Raises :class:`NotUnderstood`.  Whoever takes must call :meth:`finished`."""
        if (operation.adapter, operation.name) in self._asks:
            return self._enquired(partner, operation, raw)
        try:
            lines = self._readers[operation.adapter, operation.name](raw)
        except Unreadable:
            lines = []
        taken = Taken(partner, operation, lines[0].key if lines else None)
        taken.keys = tuple((partner.id, operation.name, line.key) for line in lines)
        with self._busy_lock:
            self._busy.update(taken.keys)
        try:
            received = self._keep(taken, raw, name, len(lines))
            if taken.away:
                return taken
            if not lines:
                raise NotUnderstood
            message = self._read(self.register.map(operation.adapter, operation.name, "request"), raw)
            with self.ledger.write() as books:
                self._decide(books, taken, lines, message, received)
        except BaseException:
            self.finished(taken)
            raise
        return taken

    def finished(self, taken: Taken) -> None:
        """The answer is on its way, or lost: an enquiry is answered from the books from now on."""
        with self._busy_lock:
            self._busy.difference_update(taken.keys)

    def reply(self, taken: Taken) -> bytes:
        """The answer in the partner's format, right but for the lines that ``fault`` loses or moves."""
        operation = taken.operation
        written = self.register.map(operation.adapter, operation.name, "reply")
        values = taken.lines
        if taken.fault == "partial":
            values = values[1:]
        elif taken.fault == "shuffled":
            values = values[::-1]
        elif taken.fault == "again":
            values = [*values, values[0]]
        elif taken.fault == "stranger":
            key = self._asks.get((operation.adapter, operation.name), operation).keyed or "key"
            values = [{**values[0], key: f"{values[0][key][:27]}-nobody"}, *values]
        if operation.each is None:
            return written.write(made(written.message, values[0]))
        line = shapes(written.message)[operation.each].part
        assert line is not None
        return written.write(written.message(**{operation.each: [made(line, each) for each in values]}))

    # ---- one by one

    def _keep(self, taken: Taken, raw: bytes, name: str | None, lines: int) -> int:
        partner, operation = taken.partner.id, taken.operation.name
        with self.ledger.write() as books:
            taken.attempt, bad = books.attempts(partner, operation, taken.lead)
            received = books.receive(partner, operation, self.clock.now(), raw, taken.lead, name)
            if name is None and taken.lead is not None:
                taken.fault = self.faults.answer(
                    partner, operation, taken.lead, taken.attempt, bad,
                    xml=taken.operation.channel == "soap", lines=lines,
                )  # fmt: skip
            if taken.fault is not None:
                books.spoil(received, taken.fault, taken.away)
        return received

    def _read(self, reads: Map, raw: bytes) -> Any:
        try:
            return reads.read(raw)
        except HubError:
            raise NotUnderstood from None

    def _decide(self, books: Books, taken: Taken, lines: list[Line], message: Any, received: int) -> None:
        partner, op = taken.partner.id, taken.operation
        world = self.world(books)
        travellers = _travellers(op, message)
        fresh: dict[str, dict[str, Any]] = {}
        for line in lines:
            known = books.known(partner, op.name, line.key)
            if known is not None:
                books.repeat(known)
                decision = known.decision
            else:
                earlier = books.earlier(partner, op.name, line.of)
                decision = fresh[line.key] = self._decision(partner, op, line, len(earlier), world.now)
                if line.key in travellers:
                    decision["traveller"] = travellers[line.key]
                books.decide(
                    partner, op.name, line.of, line.key, decision, world.now, received, earlier[0] if earlier else None
                )
            taken.lines.append(_answer(op, op, line.key, decision))
        self.scripts[op.adapter].received(world, partner, op.name, message, fresh)

    def _decision(self, partner: str, op: Operation, line: Line, earlier: int, now: datetime) -> dict[str, Any]:
        """What the seed says of this business effect, *earlier* times asked before under other keys.

        A twin is met by people who try out their own program: it says what they ask for, and else that all is well.
        """
        assert op.simulate is not None
        weights = dict(op.simulate.outcomes)
        if earlier:
            # Whoever comes back has brought what was missing.
            weights.pop("needs_data", None)
        if is_twin(partner):
            asked = (one for one in weights if one.replace("_", "").upper() in line.of.upper())
            outcome = next(asked, None) or max(weights, key=weights.__getitem__)
        else:
            outcome = self._chance.weighed(weights, "outcome", op.adapter, op.name, line.of)
        decision: dict[str, Any] = {"outcome": outcome, "at": now.isoformat()}
        if outcome in WITHOUT_EFFECT:
            decision["reason"] = self._chance.one_of(_REASONS[outcome], "reason", op.adapter, op.name, line.of)
        else:
            for name, form in op.simulate.make.items():
                digits = int(form.split()[1])
                decision[name] = self._chance.digits(digits, "make", op.adapter, name, line.of, earlier)
        return decision

    def _enquired(self, partner: Partner, operation: Operation, raw: bytes) -> Taken:
        asked = self._asks[operation.adapter, operation.name]
        taken = Taken(partner, operation, None)
        try:
            message = self._read(self.register.map(operation.adapter, operation.name, "request"), raw)
            taken.lead = key = str(getattr(message, asked.keyed or "key"))
        except NotUnderstood:
            self._keep(taken, raw, None, 0)
            raise
        self._keep(taken, raw, None, 1)
        if taken.away:
            return taken
        with self._busy_lock:
            busy = (partner.id, asked.name, key) in self._busy
        with self.ledger.read() as books:
            known = None if busy else books.known(partner.id, asked.name, key)
        decision = known.decision if known else {"outcome": IN_PROGRESS if busy else NOT_KNOWN}
        taken.lines.append(_answer(operation, asked, key, decision))
        return taken

    @cache  # noqa: B019  the desk lives as long as the process
    def _table(self, name: str) -> dict[str, dict[str, str]]:
        folder = next(iter(self.register.adapters.values())).folder
        with (folder.parents[2] / "mappings" / "tables" / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
            return {row["code"]: row for row in csv.DictReader(file)}

    def _heard(self, world: World, kind: str, key: str, facts: Mapping[str, Any]) -> None:
        for script in self.scripts.values():
            script.noted(world, kind, key, facts)


def _answer(op: Operation, asked: Operation, key: str, decision: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the answer to *op* on what was *asked* under our *key*."""
    values = {**decision, asked.keyed or "key": key}
    if op.happened is not None and "at" in decision:
        values[op.happened] = decision["at"]
    return values


def _travellers(op: Operation, message: Any) -> dict[str, str]:
    """Whom each of our keys is about, as issuing state and document number, where a line is one person's."""
    if op.per != "request":
        return {}
    field_, cls = op.keyed or "key", message.__class__
    for name, shape in shapes(cls).items():
        if shape.many and shape.part is not None and {field_, "document_no"} <= shapes(shape.part).keys():
            return {getattr(line, field_): line.issuing_state + line.document_no for line in getattr(message, name)}
    return {}


def made(cls: Any, values: Mapping[str, Any]) -> Any:
    """A canonical *cls* of those *values* that it has, dates and decimals read from text."""
    return cls(**{name: _typed(shape, values[name]) for name, shape in shapes(cls).items() if name in values})


def _typed(shape: Shape, value: Any) -> Any:
    read = _READ.get(shape.kind or "")
    return read(value) if read is not None and isinstance(value, str) else value


def contract_file(partner: Partner, name: str) -> Path | None:
    """A file of the contract that *partner* publishes."""
    folder = partner.adapter.folder
    path = folder / name
    return path if path.suffix in (".wsdl", ".xsd") and path.parent == folder and path.is_file() else None
