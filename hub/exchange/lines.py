"""What the lines of a message tell the cases: from a line to the canonical event it means, with no code for any one
partner."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any
from uuid import UUID

from hub.canonical.declare import shapes
from hub.canonical.events import Event
from hub.exchange.advance import Advance, Told
from hub.exchange.matching import Line, Matching, unknown
from hub.partners import NOTHING, Operation
from hub.partners.partner import Partner
from hub.store.awaiting import Awaiting
from hub.store.cases import Cases, Kept
from hub.store.database import Transaction
from hub.store.encoding import moment
from hub.store.ledger import Moment


@cache
def _split(cls: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The field names of *cls* that are plain, and those that identify somebody."""
    leaves = [s for s in shapes(cls).values() if s.part is None]
    return tuple(s.name for s in leaves if not s.personal), tuple(s.name for s in leaves if s.personal)


def event_of(
    name: str,
    line: Any,
    operation: Operation,
    *,
    group: UUID,
    request: UUID | None,
    line_id: str | None,
    default: datetime,
    around: Any = None,
) -> Event:
    """The event *name* as *line* tells it; *around* is the message the line stands in, *default* when it happened if
    the line does not say."""
    line_class: type = type(line)
    plain, personal = _split(line_class)
    data = {f: v for f in plain if (v := getattr(line, f)) is not None}
    if around is not None:
        around_class: type = type(around)
        data = {f: v for f in _split(around_class)[0] if (v := getattr(around, f)) is not None} | data
    happened = getattr(line, operation.happened, None) if operation.happened else None
    return Event(
        name=name,
        group=group,
        request=request,
        line=line_id,
        happened=_moment(happened) or default,
        data=data,
        facts={f: v for f in personal if (v := getattr(line, f)) is not None},
    )


def _moment(value: datetime | date | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime.combine(value, time(12), UTC)


def lines_of(message: Any, operation: Operation) -> list[Line]:
    """The lines of *message*, numbered from 1; one that is not a list of them is its own only line."""
    values = getattr(message, operation.each) if operation.each else [message]
    return [Line(number, value) for number, value in enumerate(values, 1)]


class Lines:
    """Tells the cases what a partner's lines say."""

    def __init__(self, cases: Cases, matching: Matching, advance: Advance, awaiting: Awaiting) -> None:
        self._cases, self._matching, self._advance = cases, matching, advance
        self._awaiting = awaiting

    def tell(
        self,
        tx: Transaction,
        partner: Partner,
        operation: Operation,
        message: Any,
        lines: Sequence[Line],
        exchange: UUID,
        at: Moment,
    ) -> tuple[list[Told], str]:
        """Tell the cases what *lines* say; *message* is what they stand in.

        Answers what came of it and, in a word, what the partner is to be told: taken, repeated or suspense.
        """
        by_group: dict[UUID, list[Line]] = {}
        seen = 0
        for line in lines:
            self._matching.find(tx, partner, operation, message, line)
            if operation.name in partner.confirms and line.group is not None:
                subject = line.request.hex if line.request else line.line_id
                self._awaiting.heard(tx, at, partner.id, operation.name, line.group, subject)
            told_as = self._matching.told_as(tx, partner, operation, message, line, exchange)
            if told_as in ("same", "nobody"):
                seen += 1
                # It stands before a person already, and its sender must not take it for mended.
                line.code = unknown(operation) if told_as == "nobody" and operation.gives else None
            elif told_as == "other":
                self._matching.suspend(tx, partner, operation, line, exchange, at, "told_otherwise")
            elif operation.gives and line.group is None:
                self._matching.suspend(tx, partner, operation, line, exchange, at)
            elif line.group is not None:
                by_group.setdefault(line.group, []).append(line)
        suspense = any(line.suspended for line in lines)
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
        lines: Iterable[Line],
        exchange: UUID,
        at: Moment,
    ) -> list[Told]:
        events, meant = [], []
        for line in lines:
            name = operation.gives.get(getattr(line.value, "outcome", "received"))
            if name == NOTHING:
                continue
            if name is None:
                self._matching.suspend(tx, partner, operation, line, exchange, at, "outcome_unforeseen")
                continue
            meant.append(line)
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
        told = self._advance.happen(tx, kept, events, at, exchange=exchange, partner=partner.id)
        for line, one in zip(meant, told, strict=True):
            line.code = one.code if one.verdict == "conflict" else None
        return told
