"""Rosters: files of pilgrims, told again every day as they grow.  Every row is taken, or given back with its reason."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

from hub.canonical.declare import faults
from hub.canonical.entities import ArabicName, Companion, Document, Name, Person
from hub.canonical.errors import HubError
from hub.canonical.messages.desk import Filing
from hub.canonical.messages.roster import RosterOutcome, RosterRow, RowOutcome
from hub.exchange.intake import Intake
from hub.exchange.progress import Progress
from hub.exchange.receive import Also, Receipt, Receiver
from hub.mapping import Row
from hub.mapping.given_back import is_workbook, read_said
from hub.partners import Operation, Register
from hub.partners.partner import Partner
from hub.store.cases import Cases, Kept
from hub.store.database import Database, Transaction
from hub.store.files_in import LONGEST_NAME, RejectedRow
from hub.store.ledger import Ledger, Moment

ROWS = 50  # rows that share a unit of work


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of one row."""

    outcome: str
    request_no: str | None = None
    code: str | None = None
    where: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Out:
    """An outcome file as it goes out."""

    body: bytes = field(repr=False)
    name: str
    records: int
    map_hash: str


class Rosters:
    """Takes rosters and answers each with an outcome file in its own layout and order."""

    def __init__(
        self,
        database: Database,
        cases: Cases,
        ledger: Ledger,
        register: Register,
        receiver: Receiver,
        intake: Intake,
    ) -> None:
        self._database, self._cases, self._ledger = database, cases, ledger
        self._register, self._receiver, self._intake = register, receiver, intake

    def receive(
        self,
        agent: Partner,
        operation: Operation,
        body: bytes,
        name: str,
        also: Also | None = None,
        progress: Progress | None = None,
    ) -> Receipt:
        """Take roster *body*.  Cut off half-way and taken again, the rows already filed are found unchanged."""
        map_ = self._register.map(operation.adapter, operation.name, "request")
        order = agent.agent.date_order if agent.agent else None
        try:
            rows = list(map_.open_rows(body, date_order=order))
        except HubError as error:
            return self._receiver.refuse_file(agent, operation, error, body, name[:LONGEST_NAME])
        papers = {row.number: row.value.document_no for row in rows if row.value is not None}
        # Sent back with some of its rows taken out, a row's number would be another's.
        named = {
            row.number: papers[there]
            for row in rows
            if row.value is not None and (there := _row_named(row.value)) in papers
        }
        # Whoever travels in another's care comes after them, wherever they stand in the file.
        rows.sort(key=lambda row: row.value is not None and row.value.companion_no is not None)
        told = f"{operation.name}/{hashlib.sha256(body).hexdigest()}"
        outcomes: list[RowOutcome] = []

        def take(part: list[Row], rejected: int, tx: Transaction) -> list[RowOutcome] | Receipt:
            known = self._ledger.told_before(tx, agent.id, told)
            if known is not None:
                return Receipt("repeated", exchange=known)
            at = self._receiver.now()
            taken = [self._row(tx, agent, row, papers, at) for row in part]
            if progress is not None:
                read, rejected = len(outcomes) + len(taken), rejected + _rejected(taken)
                progress.rows(tx, read, read - rejected, rejected)
                progress.rejected(
                    tx, at, [_told(one) for one in taken if one.outcome == "rejected"], first=not outcomes
                )
            return taken

        rejected = 0
        for start in range(0, len(rows), ROWS):
            taken = self._database.unit(partial(take, rows[start : start + ROWS], rejected))
            if isinstance(taken, Receipt):
                return taken
            outcomes += taken
            rejected += _rejected(taken)
        outcomes.sort(key=lambda one: one.row)
        answer = self._register.map(operation.adapter, operation.name, "reply")
        said = answer.write(
            RosterOutcome(received=len(outcomes), accepted=len(outcomes) - rejected, rejected=rejected, rows=outcomes)
        )
        out = _Out(
            body=map_.given_back(body, *read_said(said), {"companion_no": named}),
            name=f"{_stem(name)}.{told.rpartition('/')[2][:8]}.outcome.{'xlsx' if is_workbook(body) else 'csv'}",
            records=len(outcomes),
            map_hash=answer.hash,
        )
        return self._database.unit(lambda tx: self._answer(tx, agent, operation, out, body, name, told, also, progress))

    def _answer(
        self,
        tx: Transaction,
        agent: Partner,
        operation: Operation,
        out: _Out,
        body: bytes,
        name: str,
        told: str,
        also: Also | None,
        progress: Progress | None,
    ) -> Receipt:
        """Note the roster as taken, and put its outcome file before the agent."""
        known = self._ledger.told_before(tx, agent.id, told)
        if known is not None:
            return Receipt("repeated", exchange=known)
        at = self._receiver.now()
        exchange = self._ledger.open(
            tx, at, partner=agent.id, operation=operation.name, direction="in", state="settled", body=body,
            name=name[:LONGEST_NAME], subjects=out.records, done=out.records, sha256=told.rpartition("/")[2],
        )  # fmt: skip
        if also is not None:
            also(tx, exchange)
        self._ledger.first_time(tx, agent.id, told, exchange)
        given_back = self._ledger.open(
            tx, at, partner=agent.id, operation=operation.name, direction="out", state="waiting", body=out.body,
            name=out.name, answers=exchange, records=out.records, map_hash=out.map_hash,
        )  # fmt: skip
        if progress is not None:
            progress.given_back(tx, given_back)
        tx.wake(agent.id)
        self._ledger.audit(tx, at, agent.id, operation.name, None, exchange)
        return Receipt("taken", exchange=exchange, lines=out.records)

    def _row(self, tx: Transaction, agent: Partner, row: Row, papers: Mapping[int, str], at: Moment) -> RowOutcome:
        value: RosterRow | None = row.value
        if value is None:
            fault = row.fault
            assert fault is not None
            return _given_back(row, _Taken("rejected", code=fault.code, where=fault.where))
        broken = next(iter(faults(value)), None)
        if broken is not None:
            return _given_back(row, _Taken("rejected", code="invalid_value", where={"field": broken.where}))
        number = _row_named(value)
        if number is not None:
            there = papers.get(number)
            if there is None or number == row.number:
                return _given_back(row, _Taken("rejected", code="companion_row_unknown"))
            value = replace(value, companion_no=there)
        return _given_back(row, self._upsert(tx, agent, value, at))

    def _upsert(self, tx: Transaction, agent: Partner, row: RosterRow, at: Moment) -> _Taken:
        """A pilgrim of one of the agent's groups: new, as told before, or changed."""
        group = self._cases.group_of_agent(tx, agent.id, row.group_no)
        kept = self._cases.load(tx, group) if group is not None else None
        if kept is None:
            return _Taken("rejected", code="unknown_group")
        filing = _filing(row)
        papers = filing.document.number, filing.document.issuing_state
        for request_id, pilgrim in kept.case.pilgrims.items():
            if (pilgrim.document.number, pilgrim.document.issuing_state) == papers:
                return self._again(tx, kept, request_id, filing, at, agent)
        if len(kept.case.members) >= kept.case.heads:
            return _Taken("rejected", code="group_full", where={"limit": kept.case.heads})
        filed = self._intake.file(tx, kept, filing, at, agent)
        if isinstance(filed, list):
            code, _, where = filed[0]
            return _Taken("rejected", code=code, where=where)
        return _Taken("accepted", kept.case.members[filed].request_no)

    def _again(
        self, tx: Transaction, kept: Kept, request_id: UUID, filing: Filing, at: Moment, agent: Partner
    ) -> _Taken:
        """A row of yesterday: unchanged it changes nothing; changed it corrects what may still be corrected."""
        pilgrim, number = kept.case.pilgrims[request_id], kept.case.members[request_id].request_no
        if (pilgrim.person, pilgrim.document, pilgrim.companion) == (filing.person, filing.document, filing.companion):
            return _Taken("unchanged", number)
        problems = self._intake.correct(tx, kept, request_id, filing, at, agent)
        return _Taken("rejected", number, problems[0][0], problems[0][2]) if problems else _Taken("accepted", number)


def _filing(row: RosterRow) -> Filing:
    ar = row.full_name_ar.split() if row.full_name_ar else []
    state = row.issuing_state or row.nationality
    return Filing(
        person=Person(
            name=Name(
                given=row.given_name, father=row.father_name, grandfather=row.grandfather_name, family=row.family_name
            ),
            name_ar=_arabic(ar),
            sex=row.sex,
            birth_date=row.birth_date,
            nationality=row.nationality,
            residence=row.residence or row.nationality,
            mobile=row.mobile,
        ),
        document=Document(
            number=row.document_no, issuing_state=state, issued_on=row.issued_on, expires_on=row.expires_on
        ),
        companion=Companion(number=row.companion_no, issuing_state=state, relation=row.companion_relation)
        if row.companion_no and row.companion_relation
        else None,
    )


def _row_named(row: RosterRow) -> int | None:
    """The row, as a spreadsheet numbers them, that a companion is named by; no passport has so short a number."""
    named = row.companion_no
    return int(named) if named is not None and named.isdigit() and len(named) <= 4 else None


def _arabic(parts: list[str]) -> ArabicName | None:
    """A full name in Arabic as its parts: the first is given, the last the family's, those between the forefathers'."""
    if not parts:
        return None
    return ArabicName(
        given=parts[0] if len(parts) > 1 else None,
        father=parts[1] if len(parts) > 2 else None,
        grandfather=" ".join(parts[2:-1]) or None,
        family=parts[-1],
    )


def _given_back(row: Row, taken: _Taken) -> RowOutcome:
    error = HubError(taken.code, **taken.where) if taken.code else None
    return RowOutcome(
        row=row.number,
        outcome=taken.outcome,
        request_no=taken.request_no,
        code=taken.code,
        reason_en=error.en if error else None,
        reason_ar=error.ar if error else None,
    )


def _told(one: RowOutcome) -> RejectedRow:
    return RejectedRow(one.row, one.code or "", one.reason_en or "", one.reason_ar or "")


def _rejected(outcomes: list[RowOutcome]) -> int:
    return sum(one.outcome == "rejected" for one in outcomes)


def _stem(name: str) -> str:
    """What the outcome file keeps of a roster's *name*: what every partner's folder can hold, whatever people type."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name.rpartition(".")[0])[:80].strip("-._") or "roster"
