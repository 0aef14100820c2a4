"""Whose a line is, whether it was told before, and what becomes of one that belongs to nobody we know."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hub.canonical.errors import catalogue
from hub.partners import Operation
from hub.partners.partner import Partner
from hub.partners.sandbox import is_twin, own_of
from hub.security.sealing import Sealer
from hub.store.cases import Cases, kind_of
from hub.store.database import Transaction, as_uuid
from hub.store.ledger import Ledger, Moment

#: How a field that identifies a request is looked up: the kind of number, and the fields whose values are hashed.
_LOOKUPS = {
    "reference_no": ("reference", ("reference_no",)),
    "visa_no": ("visa", ("visa_no",)),
    "border_no": ("border", ("border_no",)),
    "document_no": ("document", ("document_no", "issuing_state")),
}


@dataclass(slots=True)
class Line:
    """One line on its way to a case.

    ``group``, ``request`` and ``line_id`` are whose it was found to be; ``suspended`` says that it was put before a
    person, ``code`` why it was not taken.  They belong to one run of a unit of work: a second run begins with fresh
    lines.
    """

    number: int
    value: Any
    group: UUID | None = None
    request: UUID | None = None
    line_id: str | None = None
    suspended: bool = False
    code: str | None = None


class Matching:
    """Finds the case that a line speaks of, among those of which its partner may speak."""

    def __init__(self, cases: Cases, ledger: Ledger, sealer: Sealer) -> None:
        self._cases, self._ledger, self._sealer = cases, ledger, sealer

    def find(self, tx: Transaction, partner: Partner, operation: Operation, message: Any, line: Line) -> None:
        """Whose *line* is: its group, and its request or programme line; *message* is what it stands in."""
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

    def _find_request(self, tx: Transaction, partner: Partner, name: str, line: Line) -> None:
        kind, fields = _LOOKUPS[name]
        kind = kind_of(kind, test=is_twin(partner.id))
        values = [getattr(line.value, f) for f in fields]
        found = self._cases.find(tx, kind, *values) if None not in values else ()
        if found:
            line.request, line.group, _ = found[0]

    def _theirs(self, tx: Transaction, partner: Partner, group: UUID) -> bool:
        """Whether *partner* may speak of the group: a mission of its own references, a bank of its companies' bills."""
        kept = self._cases.load(tx, group)
        assert kept is not None
        agent = kept.case.agent
        if agent.test != is_twin(partner.id) and (partner.mode == "live" or is_twin(partner.id)):
            return False  # what is simulated says nothing of a real pilgrim, and nobody real of a simulated one
        for word, code in (("mission", agent.mission), ("company", own_of(agent.company))):
            if word in partner.serves and code not in partner.serves[word]:
                return False
        return True

    def told_as(
        self, tx: Transaction, partner: Partner, operation: Operation, message: Any, line: Line, exchange: UUID
    ) -> str:
        """Whether *line* is new, or was told under its key before, in the words of :meth:`Ledger.tell`.

        Hashed: it may hold a document's number.
        """
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

    def suspend(
        self,
        tx: Transaction,
        partner: Partner,
        operation: Operation,
        line: Line,
        exchange: UUID,
        at: Moment,
        code: str | None = None,
    ) -> None:
        """Put *line* before a person: it belongs to nobody known, or cannot be what it says (*code*)."""
        code = code or unknown(operation)
        entry = catalogue().get(code)
        line.suspended, line.code = True, code
        self._ledger.raise_incident(
            tx, at, "suspense", code, entry.who if entry else "operator",
            partner=partner.id, operation=operation.name, exchange_id=exchange, line=line.number,
        )  # fmt: skip


def unknown(operation: Operation) -> str:
    """The code of a line that belongs to nobody known."""
    return "payment_unknown_bill" if "voucher" in operation.find else "unknown_id"
