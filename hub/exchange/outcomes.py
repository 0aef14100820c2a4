"""What became of every line of a file, and the file in which its rows go back: the sender's own, in its own order and
layout, with the reason beside each that was not taken.

What was not taken is noted in the commits that find it so, and nothing else is: the file itself is kept, and the rows
that go back are made from it when somebody wants them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hub.canonical.errors import HubError
from hub.exchange.receive import date_order
from hub.mapping import Map
from hub.mapping.given_back import is_workbook
from hub.partners import Operation, Register
from hub.store.database import Transaction, as_uuid
from hub.store.ledger import Ledger, Moment

#: What stands over what is said beside the rows.  It begins so that no column of a partner's own is called the same.
HEADING = ("Hub Outcome", "Hub Code", "Hub Reason", "Hub Reason (Arabic)")
_KIND = "rejected"


@dataclass(frozen=True, slots=True)
class Rejected:
    """What of a file was not taken, with its code: ``rows`` that say nothing that can be read, by their number in the
    file, and ``lines`` of the message, by theirs."""

    rows: dict[int, str] = field(default_factory=dict)
    lines: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """A file as it was kept, with what of it was not taken: all that the file which goes back is made from."""

    map: Map
    body: bytes = field(repr=False)
    order: str | None
    rejected: Rejected

    def given_back(self, *, only_rejected: bool = False) -> tuple[str, bytes]:
        """The ending and the bytes of the file that goes back, with all that is in it or with what was not taken."""
        said = dict(_said(self, only_rejected))
        ending = "txt" if self.map.format == "fixed" else "xlsx" if is_workbook(self.body) else "csv"
        return ending, self.map.given_back(self.body, HEADING, said)


class Outcomes:
    """Notes what was not taken of files, and gives their rows back."""

    def __init__(self, ledger: Ledger, register: Register) -> None:
        self._ledger, self._register = ledger, register

    def reject(
        self,
        tx: Transaction,
        at: Moment,
        exchange: UUID,
        *,
        rows: Mapping[int, str] | None = None,
        lines: Mapping[int, str] | None = None,
    ) -> None:
        """Note that *rows* or *lines* of the file that became *exchange* were not taken."""
        if rows or lines:
            self._ledger.keep(tx, at, exchange, _KIND, json.dumps({"rows": rows or {}, "lines": lines or {}}).encode())

    def rejected(self, tx: Transaction, exchange: UUID) -> Rejected:
        """All that was noted of the file that became *exchange*."""
        found = Rejected()
        for kept in map(json.loads, self._ledger.each_of(tx, exchange, _KIND)):
            found.rows.update((int(number), code) for number, code in kept["rows"].items())
            found.lines.update((int(number), code) for number, code in kept["lines"].items())
        return found

    def named(self, tx: Transaction, exchange: UUID) -> list[dict[str, Any]]:
        """The lines that were not taken, by their code, as an acknowledgement names them."""
        by_code: dict[str, list[int]] = {}
        for number, code in sorted(self.rejected(tx, exchange).lines.items()):
            by_code.setdefault(code, []).append(number)
        return [
            {"code": code, "reason": {"en": error.en, "ar": error.ar}, "lines": lines}
            for code, lines in by_code.items()
            for error in (HubError(code),)
        ]

    @staticmethod
    def of_rows(map_: Map, operation: Operation) -> bool:
        """Whether the layout of a file is one of rows, which can go back one by one."""
        return operation.each is not None and map_.streamed == operation.each

    def kept(self, tx: Transaction, file: Any) -> Kept:
        """What the outcome file of *file*, a row, is made from: outside the transaction, for that takes its time.

        Raises LookupError where its bytes are kept no longer, or would be read otherwise today.
        """
        operation = self._register.partners[file["partner"]].operations[file["operation"]]
        map_ = self._register.map(operation.adapter, operation.name, "request")
        became = self._ledger.file_known(tx, file["partner"], operation.name, file["sha256"])
        if became is None or became["map_hash"] != map_.hash:
            raise LookupError("the file was read by another map")
        exchange = as_uuid(became["id"])
        order = date_order(self._register.partners[file["partner"]])
        return Kept(map_, self._ledger.bytes_of(tx, exchange), order, self.rejected(tx, exchange))


def _said(kept: Kept, only_rejected: bool) -> Iterator[tuple[int, tuple[str, ...] | None]]:
    """What is said of each row, by its number in the file; None of one that is left out."""
    taken = None if only_rejected else ("accepted", "", "", "")
    lines = kept.rejected.lines
    reasons = {code: _reason(HubError(code)) for code in set(lines.values())}
    line = 0
    for row in kept.map.open_rows(kept.body, date_order=kept.order):
        if row.fault is not None:
            # Theirs is the only name of the field that they know.
            theirs = {"field": row.fault.place} if row.fault.place else {}
            yield row.number, _reason(HubError(row.fault.code, **row.fault.where | theirs))
            continue
        line += 1
        yield row.number, reasons[lines[line]] if line in lines else taken


def _reason(error: HubError) -> tuple[str, ...]:
    return "rejected", error.code, error.en, error.ar
