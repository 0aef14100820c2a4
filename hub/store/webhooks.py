"""What callers asked to be told of, the hosts they may name, and what became of each telling."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, select, true

from hub.partners.webhooks import Secret, Subscription
from hub.security.sealing import Sealer
from hub.store.database import Row, Statement, Transaction, among, as_uuid, inserting
from hub.store.encoding import maybe_micros, maybe_moment, moment
from hub.store.ledger import OPEN
from hub.store.statement import Upsert
from hub.store.tables import exchange, sequence, webhook, webhook_host

#: The sequence that counts the changes: who has seen its value has seen them all.
VERSION = "webhooks"

_rows = Statement(select(webhook).order_by(webhook.c.id))
_of_id = select(webhook).where(webhook.c.id == bindparam("id"))
_one, _one_kept = Statement(_of_id), Statement(_of_id.with_for_update())
_put = inserting(webhook, replace=True)
_delete = Statement(delete(webhook).where(webhook.c.id == bindparam("hook")))
_hosts = Statement(select(webhook_host).order_by(webhook_host.c.owner, webhook_host.c.host))
_host_put = inserting(webhook_host, ignore=True)
_host_delete = Statement(
    delete(webhook_host).where(webhook_host.c.owner == bindparam("of_owner"), webhook_host.c.host == bindparam("gone"))
)
_version = Statement(select(sequence.c.value).where(sequence.c.name == bindparam("name")))
_next_version = Upsert(
    lambda insert: (
        insert(sequence)
        .values(name=bindparam("name"), value=1)
        .on_conflict_do_update(index_elements=["name"], set_={"value": sequence.c.value + 1})
    )
)
_of_partner = (
    select(exchange)
    .where(exchange.c.partner == bindparam("partner"), exchange.c.id < bindparam("before"))
    .order_by(exchange.c.id.desc())
    .limit(bindparam("most"))
)
_told = Statement(_of_partner)
#: What a subscriber calls the states of an exchange, and those that each of its words means.
STATES = {"delivered": ("settled",), "given_up": ("dead",), "waiting": OPEN}
_told_in = {name: Statement(_of_partner.where(among(exchange.c.state, states))) for name, states in STATES.items()}
_one_told = Statement(
    select(exchange).where(exchange.c.partner == bindparam("partner"), exchange.c.id == bindparam("id"))
)
_told_between = Statement(
    select(exchange)
    .where(
        exchange.c.partner == bindparam("partner"),
        exchange.c.created_at >= bindparam("since"),
        exchange.c.created_at < bindparam("until"),
    )
    .order_by(exchange.c.id)
    .limit(bindparam("most"))
)
_open_of = Statement(
    select(exchange).where(exchange.c.open == true(), exchange.c.partner == bindparam("partner")).with_for_update()
)
LAST = UUID(int=2**128 - 1)


def version(tx: Transaction) -> int:
    """How often anything here has changed."""
    row = tx.one(_version, name=VERSION)
    return 0 if row is None else int(row[0])


def changed(tx: Transaction) -> None:
    """Have every process read again."""
    tx.run(_next_version, name=VERSION)


class Webhooks:
    """Reads and writes of subscriptions inside a unit of work.  Opens each version of a row once."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._opened: dict[UUID, tuple[int, Subscription]] = {}

    def all(self, tx: Transaction) -> list[Subscription]:
        """Every subscription, each with the hosts that its owner may name now."""
        hosts = self.hosts(tx)
        found: dict[UUID, tuple[int, Subscription]] = {}
        for row in tx.all(_rows):
            id, number = as_uuid(row["id"]), row["version"]
            known = self._opened.get(id)
            found[id] = known if known is not None and known[0] == number else (number, self._open(row))
        self._opened = found
        return [replace(one, hosts=hosts.get(one.owner, frozenset())) for _, one in found.values()]

    def one(self, tx: Transaction, id: UUID, owner: str, *, keep: bool = False) -> Subscription | None:
        """Subscription *id* of *owner*; None where it has none of that id.  *keep* it from other writers."""
        row = tx.one(_one_kept if keep else _one, id=id)
        if row is None or row["owner"] != owner:
            return None
        return replace(self._open(row), hosts=self.hosts(tx).get(owner, frozenset()))

    def put(self, tx: Transaction, given: Subscription) -> None:
        """Write *given*, and have every process read it."""
        id = UUID(hex=given.id)
        wrapped, key = self._sealer.new_data_key()
        body = json.dumps({
            "schema": 1, "url": given.url, "secrets": [[one.text, maybe_micros(one.until)] for one in given.secrets],
        })  # fmt: skip
        tx.put(
            _put,
            id=id, owner=given.owner, events=json.dumps(given.events), active=given.active,
            created_at=given.created_at, version=given.version, wrapped=wrapped,
            sealed=self._sealer.seal(key, body.encode(), id.bytes),
        )  # fmt: skip
        changed(tx)

    def delete(self, tx: Transaction, id: UUID) -> None:
        tx.put(_delete, hook=id)
        changed(tx)

    def _open(self, row: Row) -> Subscription:
        id = as_uuid(row["id"])
        body = json.loads(self._sealer.open(self._sealer.unwrap(row["wrapped"]), row["sealed"], id.bytes))
        return Subscription(
            id=id.hex,
            owner=row["owner"],
            url=body["url"],
            events=tuple(json.loads(row["events"])),
            active=bool(row["active"]),
            secrets=tuple(Secret(text, maybe_moment(until)) for text, until in body["secrets"]),
            hosts=frozenset(),
            created_at=row["created_at"],
            version=row["version"],
        )

    # -- hosts -------------------------------------------------------------------------------------------------------

    def hosts(self, tx: Transaction) -> Mapping[str, frozenset[str]]:
        """The hosts that each caller may name."""
        found: dict[str, set[str]] = {}
        for row in tx.all(_hosts):
            found.setdefault(row["owner"], set()).add(row["host"])
        return {owner: frozenset(hosts) for owner, hosts in found.items()}

    def allow(self, tx: Transaction, owner: str, hosts: Iterable[str], forbidden: Iterable[str]) -> frozenset[str]:
        """Let *owner* name *hosts*, and not *forbidden* any more; answers those that it may name now."""
        for host in hosts:
            tx.put(_host_put, owner=owner, host=host)
        for host in forbidden:
            tx.put(_host_delete, of_owner=owner, gone=host)
        changed(tx)
        return self.hosts(tx).get(owner, frozenset())

    # -- what became of them -----------------------------------------------------------------------------------------

    def told(self, tx: Transaction, partner: str, state: str | None, before: UUID, most: int) -> list[Row]:
        """The exchanges of listener *partner*, the newest first; only those in *state*, of :data:`STATES`, if given."""
        return tx.all(_told if state is None else _told_in[state], partner=partner, before=before, most=most)

    def one_told(self, tx: Transaction, partner: str, exchange_id: UUID) -> Row | None:
        return tx.one(_one_told, partner=partner, id=exchange_id)

    def told_between(self, tx: Transaction, partner: str, since: int, until: int, most: int) -> list[Row]:
        """The exchanges of listener *partner* that were made between two wall times (µs), the oldest first."""
        return tx.all(_told_between, partner=partner, since=since, until=until, most=most)

    def open_of(self, tx: Transaction, partner: str) -> list[Row]:
        """What is still to be told to listener *partner*."""
        return tx.all(_open_of, partner=partner)


def shown(row: Row) -> dict[str, Any]:
    """A telling as its subscriber sees it: the event, how often it was tried, and what its door said last."""
    event, _, event_id = row["name"].rpartition(".")
    said = row["outcome"] or ""
    status = said.removeprefix("status ") if said.startswith("status ") else None
    ended = row["settled_at"]
    return {
        "id": str(as_uuid(row["id"])),
        "event_id": str(UUID(hex=event_id)),
        "type": event,
        "state": next(name for name, states in STATES.items() if row["state"] in states),
        "attempts": row["attempts"],
        "status": int(status) if status else None,
        "code": row["code"],
        "created_at": moment(row["created_at"]).isoformat(),
        "next_at": None if row["next_at"] is None else moment(row["next_at"]).isoformat(),
        "ended_at": None if ended is None else moment(ended).isoformat(),
    }
