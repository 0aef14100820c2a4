"""API keys in the store: who may call, by the SHA-256 of a key that was shown once.

A key is looked up by its digest and remembered for :data:`LIVES` seconds, so that a revocation holds in every process
within a second and a busy caller costs the store two looks a second.
"""

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update

from hub.canonical.errors import HubError
from hub.partners import Register
from hub.security import api_keys
from hub.store.database import Database, Row, Statement, Transaction, inserting
from hub.store.encoding import maybe_micros, micros, moment
from hub.store.tables import api_key, audit, sequence

#: Seconds for which what was found under a digest is taken as still so.
LIVES = 0.5
#: Digests that are remembered at once; with more, all are forgotten.
MOST = 20_000
#: Keys of one holder that live at once: the one in use and the one that takes its place.
LIVE = 2
#: Whoever works at the hub itself, and is no partner of it.
STAFF = ("operator", "auditor", "administrator")

_by_digest = Statement(select(api_key).where(api_key.c.digest == bindparam("digest")))
_by_id = Statement(select(api_key).where(api_key.c.id == bindparam("id")))
_of_holder = Statement(select(api_key).where(api_key.c.holder == bindparam("holder")).order_by(api_key.c.created_at))
_every = Statement(select(api_key).order_by(api_key.c.holder, api_key.c.created_at))
_put = inserting(api_key)
_revoke = Statement(
    update(api_key)
    .where(api_key.c.digest == bindparam("digest"), api_key.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"))
)
_expire = Statement(update(api_key).where(api_key.c.digest == bindparam("digest")).values(expires_at=bindparam("at")))
_used = Statement(update(api_key).where(api_key.c.digest == bindparam("digest")).values(used_on=bindparam("day")))
_audit = inserting(audit)
_turn = inserting(sequence, replace=True)


@dataclass(frozen=True, slots=True)
class Key:
    """One key as the store has it, without what is secret of it.  Moments are wall time; ``used_on`` is a day (UTC)."""

    id: str
    holder: str
    role: str
    label: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    used_on: str | None

    def lives(self, at: datetime) -> bool:
        return self.revoked is None and (self.expires is None or at < self.expires)

    def told(self, at: datetime) -> dict[str, Any]:
        """This key as JSON, and whether it is ``live`` at wall time *at*, ``expired`` or ``revoked``."""
        state = "revoked" if self.revoked else "live" if self.lives(at) else "expired"
        times = {
            name: None if value is None else value.isoformat()
            for name, value in (("created", self.created), ("expires", self.expires), ("revoked", self.revoked))
        }
        return asdict(self) | times | {"state": state}


class Keyring:
    """The keys of one store.  ``wall`` tells wall time; *register* knows the partners that may hold keys."""

    def __init__(self, database: Database, register: Register, wall: Callable[[], datetime]) -> None:
        self._database, self._register, self._wall = database, register, wall
        self._found: dict[str, tuple[float, Key | None]] = {}
        self._days: dict[str, str] = {}

    # -- at the door -------------------------------------------------------------------------------------------------

    def find(self, digest: str) -> Key | None:
        """The live key whose SHA-256 is *digest*; None for one that is unknown, expired or revoked."""
        since, key = self._found.get(digest, (0.0, None))
        if time.monotonic() - since > LIVES:
            since, key = time.monotonic(), self._look(digest)
            # Digests of nobody are not kept: whoever guesses fills nothing with it.
            if key is not None:
                if len(self._found) >= MOST:
                    self._found.clear()
                self._found[digest] = (since, key)
            else:
                self._found.pop(digest, None)
        if key is None or not key.lives(self._wall()):
            return None
        self._note(digest, key)
        return key

    def _look(self, digest: str) -> Key | None:
        row = self._database.glance(_by_digest, digest=digest)
        # The index has compared it already, by a hash that tells nothing of the key; this takes the same time for all.
        return _key(row) if row is not None and hmac.compare_digest(row["digest"], digest) else None

    def _note(self, digest: str, key: Key) -> None:
        """Keep the day of a key's last use, once a day: nobody waits for it."""
        today = self._wall().date().isoformat()
        if key.used_on == today or self._days.get(digest) == today:
            return
        if len(self._days) >= MOST:
            self._days.clear()
        self._days[digest] = today
        self._database.submit(lambda tx: tx.put(_used, digest=digest, day=today))

    # -- for whoever gives them out ----------------------------------------------------------------------------------

    def asked(self, given: Mapping[str, Any], who: str) -> dict[str, Any]:
        """Do what a command or an administrator asks, for *who*: ``do`` is ``new``, ``rotate``, ``revoke`` or ``list``.

        Raises ``key_holder_unknown``, ``key_role_wrong``, ``key_too_many`` or ``key_unknown``.
        """
        doing: Mapping[str, Callable[..., dict[str, Any]]] = {
            "new": self.new, "rotate": self.rotate, "revoke": self.revoke, "list": self.list,
        }  # fmt: skip
        return doing[given["do"]](**{name: value for name, value in given.items() if name != "do"}, who=who)

    def new(self, holder: str, role: str | None, label: str, days: int | None, who: str) -> dict[str, Any]:
        """A key for *holder*: a partner, or a person with a *role* of :data:`STAFF`; for *days*, or until revoked.

        ``key`` of what is answered is the key itself, which is kept nowhere.
        """
        role = self._role(holder, role)
        if len(label) > 80:
            raise HubError("invalid_range", field="label")
        return self._database.unit(lambda tx: self._make(tx, holder, role, label, days, who))

    def first_ones(self, holders: Sequence[str], label: str, who: str) -> dict[str, str]:
        """A key for each of *holders*, all of them partners, that has none that lives; by holder, in one commit."""

        def unit(tx: Transaction) -> dict[str, str]:
            now = self._wall()
            without = [
                one for one in holders if not any(_key(row).lives(now) for row in tx.all(_of_holder, holder=one))
            ]
            return {one: self._make(tx, one, self._role(one, None), label, None, who)["key"] for one in without}

        return self._database.unit(unit)

    def rotate(self, id: str, hours: int, days: int | None, who: str) -> dict[str, Any]:
        """A new key beside key *id*, which lives on for *hours*: its holder changes over meanwhile."""

        def unit(tx: Transaction) -> dict[str, Any]:
            now, (digest, old) = self._wall(), self._one(tx, id)
            if not old.lives(now):
                raise HubError("api_key_unknown", name=id)
            made = self._make(tx, old.holder, old.role, old.label, days, who)
            end = now + timedelta(hours=hours)
            if old.expires is None or end < old.expires:
                tx.run(_expire, digest=digest, at=micros(end))
            return made | {"replaces": old.id, "until": min(end, old.expires or end).isoformat()}

        return self._done(self._database.unit(unit))

    def revoke(self, id: str, who: str) -> dict[str, Any]:
        """End key *id*: no process takes it any more within a second."""

        def unit(tx: Transaction) -> dict[str, Any]:
            digest, _ = self._one(tx, id)
            at = micros(self._wall())
            if tx.run(_revoke, digest=digest, at=at).rowcount:
                tx.put(_audit, recorded_at=at, actor=who, action="key.revoke", entity=id, exchange_id=None)
            return self._one(tx, id)[1].told(self._wall())

        return self._done(self._database.unit(unit))

    def list(self, holder: str | None, who: str) -> dict[str, Any]:
        """Every key, or those of *holder*, without what is secret of them."""
        with self._database.reading() as tx:
            rows = tx.all(_every) if holder is None else tx.all(_of_holder, holder=holder)
        return {"keys": [_key(row).told(self._wall()) for row in rows]}

    def _make(self, tx: Transaction, holder: str, role: str, label: str, days: int | None, who: str) -> dict[str, Any]:
        now = self._wall()
        # One at a time, whoever else gives out keys: two that look at once would both see room for one more.
        tx.run(_turn, name="keys", value=0)
        if sum(_key(row).lives(now) for row in tx.all(_of_holder, holder=holder)) >= LIVE:
            raise HubError("key_too_many", partner=holder, limit=LIVE)
        key, digest = api_keys.new_key()
        ends = None if days is None else now + timedelta(days=days)
        made = Key(digest[:12], holder, role, label, now, ends, None, None)
        tx.put(
            _put, digest=digest, id=made.id, holder=holder, role=role, label=label, created_at=micros(now),
            expires_at=maybe_micros(ends), revoked_at=None, used_on=None,
        )  # fmt: skip
        tx.put(_audit, recorded_at=micros(now), actor=who, action="key.new", entity=made.id, exchange_id=None)
        return made.told(now) | {"key": key}

    def _role(self, holder: str, role: str | None) -> str:
        partner = self._register.partners.get(holder)
        if partner is None and role is None:
            raise HubError("key_holder_unknown", partner=holder)
        if partner is not None:
            if role not in (None, partner.calls_as):
                raise HubError("key_role_wrong", partner=holder, expected=partner.calls_as)
            return partner.calls_as
        if role not in STAFF:
            raise HubError("key_holder_unknown", partner=holder)
        return role

    def _one(self, tx: Transaction, id: str) -> tuple[str, Key]:
        row = tx.one(_by_id, id=id)
        if row is None:
            raise HubError("api_key_unknown", name=id)
        return row["digest"], _key(row)

    def _done(self, told: dict[str, Any]) -> dict[str, Any]:
        # Here it holds at once; elsewhere when what is remembered there has had its time.
        self._found.clear()
        return told


def _key(row: Row) -> Key:
    def at(name: str) -> datetime | None:
        return None if row[name] is None else moment(row[name]).astimezone(UTC)

    created = at("created_at")
    assert created is not None
    return Key(
        id=row["id"], holder=row["holder"], role=row["role"], label=row["label"], created=created,
        expires=at("expires_at"), revoked=at("revoked_at"), used_on=row["used_on"],
    )  # fmt: skip
