"""What callers ask of the store, list by list and one by one, each within what its caller may see.

A list is paged by the key that it is in the order of: rows that come later are later in it, so whoever has read to the
end goes on from there another day.  A page may hold fewer rows than were asked for and not be the last.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, select

from hub.security.sealing import Sealer
from hub.store import shown
from hub.store.cases import kind_of
from hub.store.database import Database, Row, Statement, Transaction, among, as_uuid
from hub.store.encoding import micros
from hub.store.scope import Scope, confine
from hub.store.tables import exchange, exchange_subject, history, lookup, request, umrah_group, voucher

#: The facts that tell where a pilgrim is, on the way or inside.
MOVEMENTS = (
    "pilgrim.expected", "pilgrim.no_show", "pilgrim.entered", "pilgrim.turned_back", "pilgrim.checked_in",
    "pilgrim.checked_out", "pilgrim.exited", "pilgrim.deported",
)  # fmt: skip
#: Requests that one look-up may find: a passport that has travelled often, or a whole group.
FOUND = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a list is asked for: at most ``limit`` rows after ``after``, which must meet each of ``where``.

    ``where`` goes by the names of the list's conditions; a moment is given as one, None is no condition.
    """

    after: Any = None
    limit: int = 100
    where: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as callers are told them, and the position after which the next page begins; None at the end."""

    rows: list[dict[str, Any]]
    next: str | None


class _List:
    """One list: its rows, the key of its order, its conditions, and its statements, each compiled when first asked."""

    def __init__(
        self,
        rows: Select[Any],
        key: ColumnElement[Any],
        seen: Callable[[Scope], ColumnElement[bool]],
        where: Mapping[str, ColumnElement[bool]],
    ) -> None:
        self._rows, self._key, self._seen = rows, key, seen
        #: Whether ``created`` is read out of the ids.
        self.by_id = "created_from" in where and where["created_from"].compare(_made(key)["created_from"])
        self._where = {**where, "after": key > bindparam("after"), "from_": key >= bindparam("from_")}
        self._made: dict[tuple[str, frozenset[str]], Statement] = {}

    def read(self, tx: Transaction, scope: Scope, limit: int, **given: Any) -> list[Row]:
        given = {name: value for name, value in given.items() if value is not None}
        return tx.all(self.statement(scope, given), **given, **scope.values, most=limit)

    def statement(self, scope: Scope, names: Iterable[str]) -> Statement:
        """What is asked for *scope* under the conditions that are called *names*."""
        kind = scope.role, frozenset(names)
        found = self._made.get(kind)
        if found is None:
            conditions = [self._seen(scope), *(self._where[name] for name in sorted(kind[1]))]
            rows = self._rows.where(*conditions).order_by(self._key).limit(bindparam("most"))
            found = self._made[kind] = Statement(rows)
        return found


def _of_group(scope: Scope) -> ColumnElement[bool]:
    return scope.groups


def _of_request(scope: Scope) -> ColumnElement[bool]:
    return scope.requests


def _of_partner(scope: Scope) -> ColumnElement[bool]:
    return scope.exchanges


def _made(column: ColumnElement[Any]) -> dict[str, ColumnElement[bool]]:
    """When a row was made stands in its id, which begins with the time."""
    return {"created_from": column >= bindparam("created_from"), "created_to": column < bindparam("created_to")}


def _span(name: str, column: ColumnElement[Any]) -> dict[str, ColumnElement[bool]]:
    return {f"{name}_from": column >= bindparam(f"{name}_from"), f"{name}_to": column < bindparam(f"{name}_to")}


def _changed(of: ColumnElement[bool]) -> dict[str, ColumnElement[bool]]:
    """That something happened to a row: at or after a moment, before a moment."""
    return {
        name: exists(select(history.c.id).where(of, condition))
        for name, condition in _span("changed", history.c.recorded_at).items()
    }


def _last(of: ColumnElement[bool]) -> Any:
    return select(func.max(history.c.recorded_at)).where(of).scalar_subquery().label("changed_at")


_GROUP = (umrah_group.c.group_no, umrah_group.c.agent, umrah_group.c.company)
_its_group = umrah_group.c.id == request.c.group_id
_its_history = history.c.entity_id == request.c.id
_in_group = {"group": request.c.group_id == bindparam("group"), "state": request.c.state == bindparam("state")}
_requests_of = select(request, *_GROUP, _last(_its_history)).join(umrah_group, _its_group)
_request_where = {
    **_in_group,
    **_made(request.c.id),
    **_changed(_its_history),
    "id": request.c.id == bindparam("id"),
    "request_no": request.c.request_no == bindparam("request_no"),
    "group_no": (umrah_group.c.group_no == bindparam("group_no")) | (umrah_group.c.agent_ref == bindparam("group_no")),
}
_groups = _List(
    select(umrah_group, _last(history.c.group_id == umrah_group.c.id)),
    umrah_group.c.id,
    _of_group,
    {
        **_made(umrah_group.c.id),
        **_changed(history.c.group_id == umrah_group.c.id),
        "id": umrah_group.c.id == bindparam("id"),
        "group": umrah_group.c.id == bindparam("group"),
        "state": umrah_group.c.state == bindparam("state"),
    },
)
_requests = _List(_requests_of, request.c.id, _of_request, _request_where)
_found = _List(
    select(request, *_GROUP, _last(_its_history))
    .join(umrah_group, _its_group)
    .join(lookup, lookup.c.request_id == request.c.id),
    request.c.id,
    _of_request,
    {"kind": lookup.c.kind == bindparam("kind"), "hash": lookup.c.hash == bindparam("hash")},
)
_references = _List(
    _requests_of.where(request.c.referenced_at.is_not(None)),
    request.c.id,
    _of_request,
    {**_in_group, **_span("created", request.c.referenced_at)},
)
_issued = (history.c.entity_id == request.c.id) & (history.c.event == "visa.issued")
_visas = _List(
    _requests_of.where(exists(select(history.c.id).where(_issued))),
    request.c.id,
    _of_request,
    {
        **_in_group,
        **{
            name: exists(select(history.c.id).where(_issued, condition))
            for name, condition in _span("created", history.c.recorded_at).items()
        },
    },
)
_movements = _List(
    select(
        history.c.id, history.c.event, history.c.marks, history.c.happened_at, history.c.recorded_at,
        history.c.entity_id, history.c.group_id, request.c.request_no,
    )
    .join(umrah_group, umrah_group.c.id == history.c.group_id)
    .join(request, request.c.id == history.c.entity_id)
    .where(among(history.c.event, MOVEMENTS)),
    history.c.id,
    _of_request,
    {
        "group": history.c.group_id == bindparam("group"),
        "state": history.c.event == bindparam("state"),
        **_span("created", history.c.recorded_at),
    },
)  # fmt: skip
_invoices = _List(
    select(voucher, umrah_group.c.group_no, _last(history.c.entity_id == voucher.c.id)).join(
        umrah_group, umrah_group.c.id == voucher.c.group_id
    ),
    voucher.c.id,
    _of_group,
    {
        "id": voucher.c.id == bindparam("id"),
        "group": voucher.c.group_id == bindparam("group"),
        "state": voucher.c.state == bindparam("state"),
        **_span("created", voucher.c.issued_at),
        **_changed(history.c.entity_id == voucher.c.id),
    },
)
_exchange_where = {
    **_made(exchange.c.id),
    **_span("changed", exchange.c.settled_at),
    "id": exchange.c.id == bindparam("id"),
    "state": exchange.c.state == bindparam("state"),
}
_exchanges = _List(select(exchange), exchange.c.id, _of_partner, _exchange_where)
_subjects = Statement(
    select(exchange_subject)
    .where(exchange_subject.c.exchange_id == bindparam("id"))
    .order_by(exchange_subject.c.id)
    .limit(bindparam("most"))
)


class Views:
    """Answers callers out of the store.  What is personal is opened for those alone whose pilgrims they are."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database, self._sealer = database, sealer

    # -- groups ------------------------------------------------------------------------------------------------------

    def groups(self, scope: Scope, asked: Asked) -> Page:
        return self._page(_groups, scope, asked, shown.group)

    def programme(self, scope: Scope, group: UUID) -> dict[str, Any] | None:
        """What a group has bought, in the canonical form in which it was filed."""
        row = self._one(_groups, scope, id=group)
        if row is None:
            return None
        return {name: value for name, value in json.loads(row["programme"]).items() if name != "schema"}

    def bookings(self, scope: Scope, asked: Asked) -> Page:
        """The programme lines of groups that are asked for and confirmed; a position is a group and a line's place."""
        state = asked.where.get("state")
        return self._parts(_groups, scope, asked, lambda row: [
            booking for booking in shown.bookings(row) if state is None or booking["state"] == state
        ])  # fmt: skip

    # -- pilgrims and their requests ---------------------------------------------------------------------------------

    def requests(self, scope: Scope, asked: Asked) -> Page:
        return self._page(_requests, scope, asked, shown.request)

    def request(self, scope: Scope, request_id: UUID) -> dict[str, Any] | None:
        row = self._one(_requests, scope, id=request_id)
        return None if row is None else shown.request(row)

    def pilgrims(self, scope: Scope, asked: Asked) -> Page:
        return self._page(_requests, scope, asked, lambda row: self._pilgrim(scope, row))

    def pilgrim(self, scope: Scope, request_id: UUID) -> dict[str, Any] | None:
        row = self._one(_requests, scope, id=request_id)
        return None if row is None else self._pilgrim(scope, row)

    def references(self, scope: Scope, asked: Asked) -> Page:
        def told(row: Row) -> dict[str, Any]:
            number = self._opened(scope, row).get("reference_no")
            return {**shown.named(row), "reference_no": number, "issued": shown.iso(row["referenced_at"])}

        return self._page(_references, scope, asked, told)

    def visas(self, scope: Scope, asked: Asked) -> Page:
        return self._page(_visas, scope, asked, lambda row: self._visa(scope, row))

    def movements(self, scope: Scope, asked: Asked) -> Page:
        return self._page(_movements, scope, asked, shown.movement)

    def found(self, scope: Scope, kind: str, *values: str) -> list[dict[str, Any]]:
        """The requests that a number leads to, live ones first, then the newest.

        *kind* is ``request_no`` or ``group_no``, or what a request is known by in secret: a ``document`` (its number
        and who issued it), a ``visa``, a ``border`` or a ``reference`` number.
        """
        with self._view(scope) as tx:
            if kind in ("request_no", "group_no"):
                rows = _requests.read(tx, scope, FOUND, **{kind: values[0]})
            else:
                # The numbers of tests lie apart; whose they are, the scope says.
                kinds = (kind_of(kind, test=False), kind_of(kind, test=True))
                rows = [
                    row
                    for one in kinds
                    for row in _found.read(tx, scope, FOUND, kind=one, hash=self._sealer.lookup(one, *values))
                ]
        rows.sort(key=lambda row: (row["ended_at"] is None, as_uuid(row["id"]).int), reverse=True)
        return [shown.request(row) for row in rows]

    # -- money -------------------------------------------------------------------------------------------------------

    def invoices(self, scope: Scope, asked: Asked) -> Page:
        return self._page(_invoices, scope, asked, shown.invoice)

    def invoice(self, scope: Scope, invoice: UUID) -> dict[str, Any] | None:
        row = self._one(_invoices, scope, id=invoice)
        return None if row is None else shown.invoice(row)

    def payments(self, scope: Scope, asked: Asked) -> Page:
        """What banks have taken for invoices, and taken back; a position is an invoice and a payment's place."""
        return self._parts(_invoices, scope, asked, shown.payments)

    # -- what was exchanged ------------------------------------------------------------------------------------------

    def exchanges(self, scope: Scope, asked: Asked) -> Page:
        return self._page(_exchanges, scope, asked, shown.exchange)

    def exchange(self, scope: Scope, exchange_id: UUID, most: int = 1000) -> dict[str, Any] | None:
        """One exchange with at most *most* of its subjects."""
        with self._view(scope) as tx:
            rows = _exchanges.read(tx, scope, 1, id=exchange_id)
            if not rows:
                return None
            subjects = tx.all(_subjects, id=exchange_id, most=most)
        return {**shown.exchange(rows[0]), "about": [shown.subject(row) for row in subjects]}

    # -- reading -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _view(self, scope: Scope, *, lists: bool = False) -> Iterator[Transaction]:
        """A consistent view of the store for whoever may see *scope*; every question is asked within one."""
        with self._database.reading() as tx:
            confine(tx, scope, lists=lists)
            yield tx

    def _one(self, rows: _List, scope: Scope, **given: Any) -> Row | None:
        with self._view(scope) as tx:
            found = rows.read(tx, scope, 1, **given)
        return found[0] if found else None

    def _page(self, rows: _List, scope: Scope, asked: Asked, told: Callable[[Row], dict[str, Any]]) -> Page:
        with self._view(scope, lists=True) as tx:
            found = rows.read(tx, scope, asked.limit, after=asked.after, **_bound(rows, asked.where))
        last = _position(found[-1]["id"]) if len(found) == asked.limit else None
        return Page([told(row) for row in found], last)

    def _parts(self, rows: _List, scope: Scope, asked: Asked, parts: Callable[[Row], Sequence[dict[str, Any]]]) -> Page:
        """A page of what rows consist of; ``asked.after`` is the row that was begun, and how much of it was told."""
        begun, told = asked.after or (None, 0)
        where = {name: value for name, value in _bound(rows, asked.where).items() if name != "state"}
        # The row that was begun is read again, and may have nothing more to tell.
        most = asked.limit + (begun is not None)
        with self._view(scope, lists=True) as tx:
            found = rows.read(tx, scope, most, from_=begun, **where)
        page: list[dict[str, Any]] = []
        for row in found:
            its = parts(row)
            first = told if begun is not None and as_uuid(row["id"]) == begun else 0
            room = asked.limit - len(page)
            page += its[first : first + room]
            if len(its) - first > room:
                return Page(page, f"{as_uuid(row['id'])}.{first + room}")
        if len(found) < most:
            return Page(page, None)
        return Page(page, f"{as_uuid(found[-1]['id'])}.{len(parts(found[-1]))}")

    # -- what is personal --------------------------------------------------------------------------------------------

    def _opened(self, scope: Scope, row: Row) -> dict[str, Any]:
        if not scope.opens:
            return {}
        key = self._sealer.unwrap(row["wrapped"])
        opened: dict[str, Any] = json.loads(self._sealer.open(key, row["sealed"], as_uuid(row["id"]).bytes))
        return opened

    def _pilgrim(self, scope: Scope, row: Row) -> dict[str, Any]:
        opened = self._opened(scope, row)
        visa = opened.get("visa") or {}
        return {
            **shown.request(row),
            **{name: opened.get(name) for name in ("person", "document", "companion", "reference_no", "border_no")},
            "visa_no": visa.get("number"),
        }

    def _visa(self, scope: Scope, row: Row) -> dict[str, Any]:
        opened = self._opened(scope, row)
        visa = opened.get("visa") or {}
        return {
            **shown.named(row),
            "visa_no": visa.get("number"),
            **{name: visa.get(name) for name in ("issued_on", "enter_by", "stay_days")},
            "border_no": opened.get("border_no"),
        }


def _bound(rows: _List, where: Mapping[str, Any]) -> dict[str, Any]:
    """*where* as the statements of *rows* are given it: moments as microseconds, or as the ids made from then on."""

    def bound(name: str, value: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        at = max(micros(value), 0)
        return UUID(int=-(-at // 1000) << 80) if rows.by_id and name.startswith("created") else at

    return {name: bound(name, value) for name, value in where.items()}


def _position(key: Any) -> str:
    return str(key) if isinstance(key, int) else str(as_uuid(key))
