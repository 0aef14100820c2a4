"""Cases: read out of their rows, moved on by the journey, written back.

Only the writer thread touches cases.  It keeps the last few thousand opened ones; a row's ``version`` says whether
a kept one still is the truth, and where other processes write too the row is locked until the commit.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, case, delete, exists, func, select, update

from hub.canonical.case import Agent, Booking, Case, Member, Pilgrim, Voucher
from hub.canonical.declare import canonical, plain, text
from hub.canonical.entities import Companion, Document, Person, Programme, Visa, VoucherLine
from hub.canonical.events import Event
from hub.canonical.money import from_minor, to_minor
from hub.canonical.schema import dump, undump
from hub.journey import Applied
from hub.security.sealing import Sealer
from hub.store.database import Row, Statement, Transaction, as_uuid, inserting, maybe_uuid, within
from hub.store.encoding import from_json, maybe_micros, maybe_moment, micros, moment, to_json
from hub.store.tables import history, lookup, request, umrah_group, voucher

KEPT = 4000


@canonical
class _Sealed:
    """The personal part of a request as it is sealed in its row."""

    person: Person = plain()
    document: Document = plain()
    companion: Companion | None = plain(default=None)
    reference_no: str | None = text(12, default=None)
    visa: Visa | None = plain(default=None)
    border_no: str | None = text(12, default=None)


@dataclass(slots=True)
class Kept:
    """An opened case with what its rows need beside it: version, data keys, member numbers."""

    case: Case
    version: int
    kept_facts: int = 0
    wrapped: dict[UUID, bytes] = field(default_factory=dict)
    numbers: dict[UUID, int] = field(default_factory=dict)


_groups = Statement(
    select(umrah_group).where(within(umrah_group.c.id, "ids")).order_by(umrah_group.c.id).with_for_update()
)
_version = Statement(select(umrah_group.c.version).where(umrah_group.c.id == bindparam("id")).with_for_update())
_versions = Statement(
    select(umrah_group.c.id, umrah_group.c.version)
    .where(within(umrah_group.c.id, "ids"))
    .order_by(umrah_group.c.id)
    .with_for_update()
)
_group_insert = inserting(umrah_group)
_group_update = Statement(
    update(umrah_group)
    .where(umrah_group.c.id == bindparam("group_id"), umrah_group.c.version == bindparam("was_version"))
    .values({c: bindparam(c) for c in ("state", "due", "kept", "version", "programme", "bookings", "marks")}),
    exact=True,
)
_group_touch = Statement(
    update(umrah_group)
    .where(umrah_group.c.id == bindparam("group_id"), umrah_group.c.version == bindparam("was_version"))
    .values(version=bindparam("version")),
    exact=True,
)
_members = Statement(select(request).where(within(request.c.group_id, "ids")).order_by(request.c.member))
_request_insert = inserting(request)
# The group stands in the condition too, so that reading another group's members need not wait for these.
_one_request = (request.c.id == bindparam("request_id"), request.c.group_id == bindparam("of_group"))
_STATE = ("state", "companion", "minor", "due", "ended_at", "end_reason", "marks")
_request_state = Statement(update(request).where(*_one_request).values({c: bindparam(c) for c in _STATE}))
# … and the first time that it had its reference number, with the partner's own part of it, where this is it.
_request_whole = Statement(
    update(request)
    .where(*_one_request)
    .values({c: bindparam(c) for c in (*_STATE, "sealed")})
    .values(
        referenced_at=func.coalesce(request.c.referenced_at, bindparam("referenced")),
        partner_us=case((request.c.referenced_at.is_(None), bindparam("spent")), else_=request.c.partner_us),
    )
)
_request_paid = Statement(
    update(request).where(*_one_request, request.c.paid_at.is_(None)).values(paid_at=bindparam("at"))
)
_vouchers = Statement(select(voucher).where(within(voucher.c.group_id, "ids")))
_voucher_write = inserting(voucher, replace=True)
_history_insert = inserting(history)
#: What stands before the kinds under which the numbers of tests are found.
TRIED = "test."
_lookup_insert = inserting(lookup, ignore=True)
_lookup_delete = Statement(
    delete(lookup).where(
        lookup.c.kind == bindparam("of_kind"),
        lookup.c.hash == bindparam("of_hash"),
        lookup.c.request_id == bindparam("of_request"),
    )
)
_lookup_find = Statement(
    select(lookup.c.request_id).where(lookup.c.kind == bindparam("kind"), lookup.c.hash == bindparam("hash"))
)
_lookups_find = Statement(select(lookup).where(lookup.c.kind == bindparam("kind"), within(lookup.c.hash, "hashes")))
_standing = Statement(select(request.c.group_id, request.c.ended_at).where(request.c.id == bindparam("id")))
_group_of_request = Statement(select(request.c.group_id).where(request.c.id == bindparam("id")))
_groups_of_requests = Statement(select(request.c.id, request.c.group_id).where(within(request.c.id, "ids")))
_group_of_bill = Statement(select(voucher.c.group_id).where(voucher.c.bill_no == bindparam("bill_no")))
_group_of_agent = Statement(
    select(umrah_group.c.id).where(
        umrah_group.c.agent == bindparam("agent"), umrah_group.c.agent_ref == bindparam("agent_ref")
    )
)
_returned = exists(
    select(history.c.id).where(history.c.entity_id == request.c.id, history.c.event == "request.returned")
)
_undecided = Statement(
    select(request.c.id, umrah_group.c.company, umrah_group.c.agent_ref, _returned.label("returned"))
    .join(umrah_group, umrah_group.c.id == request.c.group_id)
    .where(within(umrah_group.c.company, "companies"), request.c.state == "SUBMITTED")
    .order_by(request.c.id)
)


def kind_of(kind: str, *, test: bool) -> str:
    """Under which *kind* a number is found: those of a *test* are apart, so that neither what is tried out nor what is
    real is ever mistaken for the other."""
    return TRIED + kind if test else kind


def kind_in(case: Case, kind: str) -> str:
    """Under which *kind* the numbers of *case* are found."""
    return kind_of(kind, test=case.agent.test)


class Cases:
    """Opens, moves on and writes cases inside a unit of work.

    ``agent_of`` gives an agent's present standing, which is the register's to know, not the tables'.
    """

    def __init__(self, sealer: Sealer, agent_of: Callable[[str, str | None], Agent]) -> None:
        self._sealer = sealer
        self._agent_of = agent_of
        self._kept: OrderedDict[UUID, Kept] = OrderedDict()

    def forget(self, groups: set[UUID]) -> None:
        """Drop kept cases whose unit was rolled back."""
        for group in groups:
            self._kept.pop(group, None)

    def agent(self, agent_id: str, company: str | None = None) -> Agent:
        """An agent's present standing, as the register has it; *company* is that of a group which is there already."""
        return self._agent_of(agent_id, company)

    # -- finding -----------------------------------------------------------------------------------------------------

    def load(self, tx: Transaction, group_id: UUID) -> Kept | None:
        """The case of *group_id*, with every member's personal part opened; None where there is no such group."""
        tx.touched.add(group_id)
        kept = self._kept.get(group_id)
        if kept is None or group_id not in tx.held:
            if kept is not None:
                row = tx.one(_version, id=group_id)
                kept = kept if row is not None and row[0] == kept.version else None
            if kept is None:
                self._open(tx, [group_id])
                kept = self._kept.get(group_id)
            if kept is None:
                return None
            tx.held.add(group_id)
        self._kept.move_to_end(group_id)
        kept.case.focus = None
        return kept

    def prefetch(self, tx: Transaction, group_ids: Iterable[UUID]) -> None:
        """Read the cases that will be loaded next at once, in one order everywhere, so that nobody waits in a ring."""
        wanted = {group for group in group_ids if group not in self._kept or group not in tx.held}
        tx.touched |= wanted
        known = sorted(wanted & self._kept.keys())
        versions = {as_uuid(row[0]): row[1] for row in tx.all(_versions, ids=known)} if known else {}
        stale = wanted - {group for group in known if versions.get(group) == self._kept[group].version}
        if stale:
            self._open(tx, sorted(stale))
        tx.held |= wanted & self._kept.keys()

    def _keep(self, kept: Kept) -> None:
        self._kept[kept.case.id] = kept
        self._kept.move_to_end(kept.case.id)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def foresee(self, tx: Transaction, requests: Sequence[UUID]) -> None:
        """Open the cases of *requests*, which will be loaded next."""
        found = {as_uuid(row[0]): as_uuid(row[1]) for row in tx.all(_groups_of_requests, ids=requests)}
        for request_id, group_id in found.items():
            tx.foreseen[request_id] = group_id
        self.prefetch(tx, found.values())

    def foresee_numbers(self, tx: Transaction, kind: str, hashes: Sequence[bytes]) -> None:
        """Look up at once what will be asked for next: numbers of *kind*, by their hashes."""
        tx.foreseen.update(((kind, digest), []) for digest in hashes)
        for row in tx.all(_lookups_find, kind=kind, hashes=hashes):
            tx.foreseen[kind, row["hash"]].append(as_uuid(row["request_id"]))

    def hash_of(self, kind: str, *values: str) -> bytes:
        """Under which a document, visa, border or reference number is found."""
        return self._sealer.lookup(kind, *values)

    def _found(self, tx: Transaction, kind: str, digest: bytes) -> Sequence[UUID]:
        known: Sequence[UUID] | None = tx.foreseen.get((kind, digest))
        return known if known is not None else [as_uuid(r[0]) for r in tx.all(_lookup_find, kind=kind, hash=digest)]

    def anothers(self, tx: Transaction, kind: str, number: str, request_id: UUID | None) -> bool:
        """Whether *number* is somebody else's than *request_id*'s."""
        return any(found != request_id for found in self._found(tx, kind, self.hash_of(kind, number)))

    def group_of_request(self, tx: Transaction, request_id: UUID) -> UUID | None:
        known: UUID | None = tx.foreseen.get(request_id)
        if known is not None:
            return known
        row = tx.one(_group_of_request, id=request_id)
        return None if row is None else as_uuid(row[0])

    def group_of_bill(self, tx: Transaction, bill_no: str) -> UUID | None:
        row = tx.one(_group_of_bill, bill_no=bill_no)
        return None if row is None else as_uuid(row[0])

    def group_of_agent(self, tx: Transaction, agent: str, agent_ref: str) -> UUID | None:
        row = tx.one(_group_of_agent, agent=agent, agent_ref=agent_ref)
        return None if row is None else as_uuid(row[0])

    def undecided(self, tx: Transaction, companies: Sequence[str]) -> list[Row]:
        """The requests that wait for one of *companies*, each with its group's number; whether it was ``returned``."""
        return tx.all(_undecided, companies=companies)

    def find(self, tx: Transaction, kind: str, *values: str) -> list[tuple[UUID, UUID, bool]]:
        """(request, its group, whether it is live) found under a document, visa, border or reference number:
        live ones first, then the newest."""
        found = []
        # One by one, by their ids: joined, they could be told from nothing that others have put off.
        for told in self._found(tx, kind, self.hash_of(kind, *values)):
            row = tx.one(_standing, id=told)
            if row is not None:
                found.append((told, as_uuid(row["group_id"]), row["ended_at"] is None))
        return sorted(found, key=lambda one: (one[2], one[0].int), reverse=True)

    def index(self, tx: Transaction, kind: str, request_id: UUID, *values: str) -> None:
        digest = self.hash_of(kind, *values)
        tx.foreseen.pop((kind, digest), None)
        tx.put(_lookup_insert, kind=kind, hash=digest, request_id=request_id)

    # -- opening -----------------------------------------------------------------------------------------------------

    def _open(self, tx: Transaction, group_ids: Sequence[UUID]) -> None:
        """Read cases out of their rows, and keep them."""
        for group_id in group_ids:
            self._kept.pop(group_id, None)
        ids = {"ids": group_ids}
        groups, members, vouchers = tx.several((_groups, ids), (_members, ids), (_vouchers, ids))
        opened = {as_uuid(row["id"]): self._group(row) for row in groups}
        for r in members:
            kept = opened[as_uuid(r["group_id"])]
            request_id = as_uuid(r["id"])
            kept.case.members[request_id] = Member(
                id=request_id,
                request_no=r["request_no"],
                state=r["state"],
                companion=maybe_uuid(r["companion"]),
                minor=bool(r["minor"]),
                due=maybe_moment(r["due"]),
                ended_at=maybe_moment(r["ended_at"]),
                end_reason=r["end_reason"],
                marks=from_json(r["marks"]),
            )
            kept.wrapped[request_id] = r["wrapped"]
            kept.numbers[request_id] = r["member"]
            kept.case.pilgrims[request_id] = self._unseal(request_id, r["wrapped"], r["sealed"])
        for v in vouchers:
            opened[as_uuid(v["group_id"])].case.voucher = _voucher(v)
        for kept in opened.values():
            self._keep(kept)

    def _group(self, row: Row) -> Kept:
        case = Case(
            id=as_uuid(row["id"]),
            group_no=row["group_no"],
            agent_ref=row["agent_ref"],
            season=row["season"],
            state=row["state"],
            agent=self.agent(row["agent"], row["company"]),
            heads=row["heads"],
            programme=undump(Programme, json.loads(row["programme"])),
            opened_at=moment(row["opened_at"]),
            due=maybe_moment(row["due"]),
            bookings={name: Booking(**b) for name, b in from_json(row["bookings"]).items()},
            marks=from_json(row["marks"]),
        )
        return Kept(case, row["version"], row["kept"])

    def _unseal(self, request_id: UUID, wrapped: bytes, sealed: bytes) -> Pilgrim:
        key = self._sealer.unwrap(wrapped)
        kept = undump(_Sealed, json.loads(self._sealer.open(key, sealed, request_id.bytes)))
        return Pilgrim(
            person=kept.person,
            document=kept.document,
            companion=kept.companion,
            reference_no=kept.reference_no,
            visa=kept.visa,
            border_no=kept.border_no,
        )

    def _seal(self, request_id: UUID, wrapped: bytes, pilgrim: Pilgrim) -> bytes:
        body = dump(
            _Sealed(
                person=pilgrim.person,
                document=pilgrim.document,
                companion=pilgrim.companion,
                reference_no=pilgrim.reference_no,
                visa=pilgrim.visa,
                border_no=pilgrim.border_no,
            )
        )
        data = to_json(body).encode()
        return self._sealer.seal(self._sealer.unwrap(wrapped), data, request_id.bytes)

    # -- making ------------------------------------------------------------------------------------------------------

    def create(self, tx: Transaction, case: Case) -> Kept:
        """Write a new group.  Its members are added by :meth:`add`."""
        tx.touched.add(case.id)
        tx.held.add(case.id)
        tx.put(_group_insert, **self._group_values(case, 0, 0), opened_at=micros(case.opened_at), **_identity(case))
        kept = Kept(case, 0)
        self._keep(kept)
        return kept

    def add(self, tx: Transaction, kept: Kept, member: Member, pilgrim: Pilgrim) -> None:
        """Write a new member of *kept* with its own data key, findable by document."""
        wrapped, _ = self._sealer.new_data_key()
        number = len(kept.numbers)
        kept.case.members[member.id] = member
        kept.case.pilgrims[member.id] = pilgrim
        kept.wrapped[member.id] = wrapped
        kept.numbers[member.id] = number
        tx.put(
            _request_insert,
            id=member.id,
            request_no=member.request_no,
            group_id=kept.case.id,
            member=number,
            **_member_values(member),
            paid_at=None,
            referenced_at=None,
            partner_us=0,
            wrapped=wrapped,
            sealed=self._seal(member.id, wrapped, pilgrim),
        )
        kind = kind_in(kept.case, "document")
        self.index(tx, kind, member.id, pilgrim.document.number, pilgrim.document.issuing_state)

    def reindex(self, tx: Transaction, kept: Kept, request_id: UUID, was: Document) -> None:
        """Let a member whose personal part was corrected be found by its present document.

        The document that it *was* under may be another person's, who is neither kept out nor mistaken for it.
        """
        document = kept.case.pilgrims[request_id].document
        kind = kind_in(kept.case, "document")
        digest = self.hash_of(kind, was.number, was.issuing_state)
        tx.foreseen.pop((kind, digest), None)
        tx.put(_lookup_delete, of_kind=kind, of_hash=digest, of_request=request_id)
        self.index(tx, kind, request_id, document.number, document.issuing_state)

    # -- moving on ---------------------------------------------------------------------------------------------------

    def record(
        self, tx: Transaction, kept: Kept, applied: Applied, *, business: int, wall: int, exchange: UUID | None
    ) -> None:
        """Append the transitions of *applied* to the history.  The rows themselves are written by :meth:`save`."""
        for t in applied.transitions:
            tx.put(
                _history_insert,
                machine=t.machine, entity_id=t.id, group_id=kept.case.id, event=t.event, was=t.was, now=t.now,
                reason=t.reason, corrects=t.corrects, marks=None if not t.marks else _marks_told(t.marks),
                happened_at=micros(t.happened), business_at=business, recorded_at=wall, exchange_id=exchange,
            )  # fmt: skip

    def learn(self, tx: Transaction, kept: Kept, event: Event) -> bool:
        """Put the identifying facts of an applied *event* into the pilgrim's sealed part.  True where any was new."""
        facts, request_id = event.facts, event.request
        if not facts or request_id is None:
            return False
        pilgrim, changed = kept.case.pilgrims[request_id], False
        if facts.get("reference_no") and pilgrim.reference_no != facts["reference_no"]:
            pilgrim.reference_no, changed = facts["reference_no"], True
            self.index(tx, kind_in(kept.case, "reference"), request_id, facts["reference_no"])
        if facts.get("visa_no") and event.name == "visa.issued":
            pilgrim.visa, changed = _visa(event, kept.case.members[request_id].marks["stay_days"]), True
            self.index(tx, kind_in(kept.case, "visa"), request_id, facts["visa_no"])
        if facts.get("border_no") and pilgrim.border_no != facts["border_no"]:
            pilgrim.border_no, changed = facts["border_no"], True
            self.index(tx, kind_in(kept.case, "border"), request_id, facts["border_no"])
        return changed

    def paid(self, tx: Transaction, kept: Kept, request_id: UUID, at: int) -> None:
        """Note when (wall µs) a request was first paid: the five-minute clock begins."""
        tx.put(_request_paid, request_id=request_id, of_group=kept.case.id, at=at)

    def save(self, tx: Transaction, kept: Kept, changed: "Changes") -> None:
        """Write what *changed*, under the version that was read: where another writer was faster, all is done again."""
        case = kept.case
        if changed.group:
            values = {k: v for k, v in self._group_values(case, kept.version + 1, kept.kept_facts).items() if k != "id"}
            tx.put(_group_update, group_id=case.id, was_version=kept.version, **values)
        else:
            tx.put(_group_touch, group_id=case.id, was_version=kept.version, version=kept.version + 1)
        kept.version += 1
        for request_id in changed.members | changed.sealed:
            values = {"request_id": request_id, "of_group": case.id, **_member_values(case.members[request_id])}
            if request_id in changed.sealed:
                sealed = self._seal(request_id, kept.wrapped[request_id], case.pilgrims[request_id])
                referenced, spent = changed.referenced.get(request_id, (None, 0))
                tx.put(_request_whole, **values, sealed=sealed, referenced=referenced, spent=spent)
            else:
                tx.put(_request_state, **values)
        if changed.voucher and case.voucher is not None:
            tx.put(_voucher_write, **_voucher_values(case.id, case.voucher))

    @staticmethod
    def _group_values(case: Case, version: int, kept_facts: int) -> dict[str, Any]:
        return {
            "state": case.state,
            "due": maybe_micros(case.due),
            "kept": kept_facts,
            "version": version,
            "programme": to_json(dump(case.programme)),
            "bookings": to_json(
                {n: {"line": b.line, "state": b.state, "brn": b.brn} for n, b in case.bookings.items()}
            ),
            "marks": to_json(case.marks),
        }


@dataclass(slots=True)
class Changes:
    """Which rows of a case a unit has changed: its group's, its voucher's, its members' states, and their personal
    parts.  ``referenced`` says who was given a reference number: when (wall µs), and the partner's part of that time.
    """

    group: bool = False
    voucher: bool = False
    members: set[UUID] = field(default_factory=set)
    sealed: set[UUID] = field(default_factory=set)
    referenced: dict[UUID, tuple[int, int]] = field(default_factory=dict)

    def note(self, applied: Applied) -> None:
        for t in applied.transitions:
            if t.machine == "request":
                self.members.add(t.id)
            elif t.machine == "voucher":
                self.voucher = True
            else:
                self.group = True
                self.voucher |= "voucher" in t.marks


def _identity(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "group_no": case.group_no,
        "agent": case.agent.id,
        "agent_ref": case.agent_ref,
        "company": case.agent.company,
        "season": case.season,
        "heads": case.heads,
    }


def _member_values(member: Member) -> dict[str, Any]:
    return {
        "state": member.state,
        "companion": member.companion,
        "minor": member.minor,
        "due": maybe_micros(member.due),
        "ended_at": maybe_micros(member.ended_at),
        "end_reason": member.end_reason,
        "marks": to_json(member.marks),
    }


def _marks_told(marks: Mapping[str, Any]) -> str:
    return to_json({name: value for name, value in marks.items() if name not in ("voucher", "bookings")})


def _voucher(row: Any) -> Voucher:
    body = from_json(row["body"])
    return Voucher(
        id=as_uuid(row["id"]),
        bill_no=row["bill_no"],
        state=row["state"],
        currency=row["currency"],
        amount=from_minor(row["amount"], row["currency"]),
        paid=from_minor(row["paid"], row["currency"]),
        lines=[VoucherLine(kind=kind, amount=amount) for kind, amount in body["lines"]],
        issued_at=maybe_moment(row["issued_at"]),
        expires_at=maybe_moment(row["expires_at"]),
        due=maybe_moment(row["due"]),
        payments=body["payments"],
        marks=body["marks"],
    )


def _voucher_values(group_id: UUID, v: Voucher) -> dict[str, Any]:
    return {
        "id": v.id,
        "group_id": group_id,
        "bill_no": v.bill_no,
        "state": v.state,
        "currency": v.currency,
        "amount": to_minor(v.amount, v.currency),
        "paid": to_minor(v.paid, v.currency),
        "issued_at": maybe_micros(v.issued_at),
        "expires_at": maybe_micros(v.expires_at),
        "due": maybe_micros(v.due),
        "body": to_json(
            {"lines": [[line.kind, line.amount] for line in v.lines], "payments": v.payments, "marks": v.marks}
        ),
    }


def _visa(event: Event, stay_days: int) -> Visa:
    return Visa(
        number=event.facts["visa_no"],
        issued_on=event.data.get("issued_on") or event.happened.date(),
        enter_by=event.data.get("enter_by"),
        stay_days=stay_days,
        mrz=event.facts.get("visa_mrz"),
    )
