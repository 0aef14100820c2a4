"""Webhooks: whoever asked to hear of an event is told of it, in the unit of work in which it happens.

Each telling is an exchange of the ledger like any other, frozen when the event happens: its bytes say what was true
then, and are never made anew.  They hold no personal data; who may look follows the link.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from hub.canonical.case import Case
from hub.canonical.errors import HubError
from hub.canonical.events import Event
from hub.canonical.ids import new_id
from hub.channels.guard import host_named
from hub.partners import Register
from hub.partners.partner import Partner
from hub.partners.webhooks import PREFIX, TELL, Listener, Secret, Subscription, audible, guard, listener
from hub.settings import Settings
from hub.store.database import Database, Row, Transaction, as_uuid
from hub.store.encoding import micros, moment
from hub.store.ledger import OPEN, Ledger, Moment
from hub.store.webhooks import LAST, Webhooks, shown

MOST = 20  # subscriptions of one caller
REPLAYED = 1_000  # tellings that one call has told again at most
BOTH = timedelta(hours=24)  # for which the old secret signs beside the new one
T = TypeVar("T")
TEST = "webhook.test"  # the event of a test delivery


def body_of(case: Case, event: Event, event_id: UUID) -> bytes:
    """What is told of *event*: its id, what and when, of which request or group, in what state, and where to look."""
    member = case.members.get(event.request) if event.request else None
    voucher = case.voucher if event.name.partition(".")[0] in ("voucher", "payment") else None
    about = f"/v1/pilgrims/{event.request}/timeline" if event.request else f"/v1/groups/{case.id}"
    return _written({
        "id": str(event_id),
        "type": event.name,
        "occurred_at": _time(event.happened),
        "group_no": case.group_no,
        "request_no": member.request_no if member else None,
        "state": member.state if member else voucher.state if voucher else case.state,
        "link": about,
    })  # fmt: skip


def _written(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


class Hooks:
    """Tells subscribers of events, and does what they ask about their subscriptions.

    Whatever takes *owner* is that caller's own: another's subscription is answered like one that there is not, with
    ``not_found``.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        ledger: Ledger,
        register: Register,
        webhooks: Webhooks,
        now: Callable[[], Moment],
        follow: Callable[[], None],
    ) -> None:
        self._settings, self._database, self._ledger, self._register = settings, database, ledger, register
        self._webhooks, self._now, self._follow = webhooks, now, follow
        self._listeners: dict[str, Listener] = {}

    # -- telling -----------------------------------------------------------------------------------------------------

    def tell(self, tx: Transaction, case: Case, event: Event, at: Moment) -> None:
        """Put *event*, which has just happened to *case*, before all who asked to hear of it."""
        heard = self._register.hearing(event.name, case)
        if not heard:
            return
        event_id = new_id()
        body = body_of(case, event, event_id)
        for one in heard:
            self._put(tx, at, one.id, event.name, event_id, body)

    def _put(self, tx: Transaction, at: Moment, partner: str, event: str, event_id: UUID, body: bytes) -> UUID:
        made = self._ledger.open(
            tx, at, partner=partner, operation=TELL.name, direction="out", state="waiting", body=body,
            name=f"{event}.{event_id.hex}",
        )  # fmt: skip
        tx.wake(partner)
        return made

    def listeners(self, tx: Transaction, partners: Mapping[str, Partner]) -> list[Listener]:
        """Every subscription as the partner that it is, of those whose owner is one of *partners*; what has not changed
        since the last time is the same partner."""
        found: dict[str, Listener] = {}
        for one in self._webhooks.all(tx):
            owner = partners.get(one.owner)
            if owner is not None:
                known = self._listeners.get(one.id)
                same = known is not None and known.subscription == one and known.owner is owner
                found[one.id] = known if known is not None and same else listener(one, owner, self._settings)
        self._listeners = found
        return list(found.values())

    # -- subscriptions -----------------------------------------------------------------------------------------------

    def subscribe(self, owner: str, url: str, events: Sequence[str]) -> tuple[dict[str, Any], str]:
        """Have *owner* told of *events* at *url*; answers the subscription and its secret, which is shown this once.

        Raises the code of what stands against the address, ``webhook_events``, ``webhook_exists``, ``webhook_many``.
        """
        self._allowed(owner, events)
        secret = _secret()

        def unit(tx: Transaction) -> dict[str, Any]:
            hosts = self._webhooks.hosts(tx).get(owner, frozenset())
            code = guard(self._settings, hosts).against(url)
            if code is not None:
                raise HubError(code)
            own = [one for one in self._webhooks.all(tx) if one.owner == owner]
            if any(one.url == url for one in own):
                raise HubError("webhook_exists")
            if len(own) >= MOST:
                raise HubError("webhook_many", limit=MOST)
            at = self._now()
            given = Subscription(
                id=new_id().hex, owner=owner, url=url, events=tuple(dict.fromkeys(events)), active=True,
                secrets=(Secret(secret),), hosts=hosts, created_at=at.wall,
            )  # fmt: skip
            self._webhooks.put(tx, given)
            self._ledger.audit(tx, at, owner, "webhook.add", given.id, None)
            return _told(given)

        return self._changed(unit), secret

    def subscriptions(self, owner: str) -> list[dict[str, Any]]:
        """The subscriptions of *owner*, without their secrets."""
        with self._database.reading() as tx:
            return [_told(one) for one in self._webhooks.all(tx) if one.owner == owner]

    def get(self, owner: str, id: UUID) -> dict[str, Any]:
        with self._database.reading() as tx:
            return _told(self._own(tx, owner, id))

    def change(
        self, owner: str, id: UUID, *, active: bool | None = None, events: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Pause or resume a subscription, or have it hear of other events.

        Nothing is kept for one that is paused: what happens meanwhile is looked up, not told.
        """
        if events is not None:
            self._allowed(owner, events)

        def changed(given: Subscription) -> Subscription:
            return replace(
                given,
                active=given.active if active is None else active,
                events=given.events if events is None else tuple(dict.fromkeys(events)),
            )

        return self._change(owner, id, changed, "webhook.change")

    def rotate(self, owner: str, id: UUID) -> tuple[dict[str, Any], str]:
        """A new secret, shown this once; what it takes the place of signs beside it for :data:`BOTH`."""
        secret = _secret()
        until = moment(self._now().wall) + BOTH

        def changed(given: Subscription) -> Subscription:
            return replace(given, secrets=(Secret(secret), Secret(given.secrets[0].text, until)))

        return self._change(owner, id, changed, "webhook.rotate"), secret

    def forget(self, owner: str, id: UUID) -> None:
        """End a subscription; what was still to be told is withdrawn."""

        def unit(tx: Transaction) -> None:
            self._own(tx, owner, id)
            at = self._now()
            for row in self._webhooks.open_of(tx, PREFIX + id.hex):
                self._ledger.move(tx, at, row, "settled", outcome="withdrawn")
            self._webhooks.delete(tx, id)
            self._ledger.audit(tx, at, owner, "webhook.delete", id.hex, None)

        self._changed(unit)

    def allow(self, owner: str, hosts: Iterable[str], forbidden: Iterable[str], who: str) -> list[str]:
        """Let caller *owner* name *hosts* in its addresses, and not *forbidden* any more; answers those it may name.

        Whatever is told there from now on is looked at anew.  Raises ``partner_unknown``, ``host_wrong``.
        """
        if owner not in self._register.partners:
            raise HubError("partner_unknown", partner=owner)
        named = [[host_named(text) for text in some] for some in (hosts, forbidden)]
        if any(host is None for some in named for host in some):
            raise HubError("host_wrong")
        good, bad = ([host for host in some if host] for some in named)

        def unit(tx: Transaction) -> list[str]:
            at = self._now()
            for action, some in (("webhook.allow", good), ("webhook.forbid", bad)):
                for host in some:
                    self._ledger.audit(tx, at, who[:40], action, f"{owner}/{host}"[:40], None)
            return sorted(self._webhooks.allow(tx, owner, good, bad))

        return self._changed(unit)

    def asked(self, given: Mapping[str, Any], who: str) -> list[str]:
        """:meth:`allow`, as a command asks for it beside a hub at work."""
        return self.allow(given["partner"], given["allow"], given["forbid"], who)

    # -- what was told -----------------------------------------------------------------------------------------------

    def deliveries(
        self, owner: str, id: UUID, *, state: str | None = None, before: UUID | None = None, most: int = 100
    ) -> list[dict[str, Any]]:
        """What was told, or is to be, the newest first; *before* is the id of the last one seen."""
        with self._database.reading() as tx:
            self._own(tx, owner, id)
            return [shown(row) for row in self._webhooks.told(tx, PREFIX + id.hex, state, before or LAST, most)]

    def test(self, owner: str, id: UUID) -> dict[str, Any]:
        """Tell of an event that never happened, by the same way as all others.  Raises ``webhook_paused``."""

        def unit(tx: Transaction) -> dict[str, Any]:
            if not self._own(tx, owner, id).active:
                raise HubError("webhook_paused")
            at, event_id = self._now(), new_id()
            body = {
                "id": str(event_id), "type": TEST, "occurred_at": _time(moment(at.business)), "group_no": None,
                "request_no": None, "state": None, "link": f"/v1/webhooks/{id}",
            }  # fmt: skip
            made = self._put(tx, at, PREFIX + id.hex, TEST, event_id, _written(body))
            return {"id": str(made), "event_id": str(event_id), "type": TEST}

        return self._database.unit(unit)

    def replay(self, owner: str, id: UUID, delivery: UUID) -> list[str]:
        """Tell once more what *delivery* told, under the same event's id; answers the ids of the new deliveries."""

        def unit(tx: Transaction) -> list[str]:
            self._own(tx, owner, id)
            row = self._webhooks.one_told(tx, PREFIX + id.hex, delivery)
            if row is None:
                raise HubError("not_found")
            return self._again(tx, owner, [row])

        return self._database.unit(unit)

    def replay_between(self, owner: str, id: UUID, since: datetime, until: datetime) -> list[str]:
        """As :meth:`replay`, of all that was begun from *since* until before *until*.  Raises ``webhook_range``."""

        def unit(tx: Transaction) -> list[str]:
            self._own(tx, owner, id)
            told = self._webhooks.told_between(
                tx, PREFIX + id.hex, micros(since), micros(until), REPLAYED + 1
            )  # fmt: skip
            if len(told) > REPLAYED or since >= until:
                raise HubError("webhook_range", limit=REPLAYED)
            return self._again(tx, owner, told)

        return self._database.unit(unit)

    def _again(self, tx: Transaction, owner: str, told: Sequence[Row]) -> list[str]:
        """Tell each event of *told* once; one that is being told already is told at once."""
        at, made = self._now(), []
        under_way = {row["name"] for row in told if row["state"] in OPEN}
        for row in {row["name"]: row for row in told}.values():
            if row["name"] in under_way:
                continue
            body = self._ledger.bytes_of(tx, as_uuid(row["id"]))
            event, _, event_id = row["name"].rpartition(".")
            made.append(str(self._put(tx, at, row["partner"], event, UUID(hex=event_id), body)))
            self._ledger.audit(tx, at, owner, "webhook.replay", as_uuid(row["id"]).hex, as_uuid(row["id"]))
        for row in told:
            if row["state"] == "waiting":
                self._ledger.move(tx, at, row, "waiting", code=row["code"], next_at=at.wall)
                tx.wake(row["partner"])
        return made

    # -- within ------------------------------------------------------------------------------------------------------

    def _allowed(self, owner: str, events: Sequence[str]) -> None:
        known = self._register.partners.get(owner)
        if known is None or not events or not set(events) <= set(audible(known)):
            raise HubError("webhook_events", field="events")

    def _own(self, tx: Transaction, owner: str, id: UUID, *, keep: bool = False) -> Subscription:
        found = self._webhooks.one(tx, id, owner, keep=keep)
        if found is None:
            raise HubError("not_found")
        return found

    def _change(
        self, owner: str, id: UUID, changed: Callable[[Subscription], Subscription], action: str
    ) -> dict[str, Any]:
        def unit(tx: Transaction) -> dict[str, Any]:
            given = self._own(tx, owner, id, keep=True)
            after = replace(changed(given), version=given.version + 1)
            self._webhooks.put(tx, after)
            self._ledger.audit(tx, self._now(), owner, action, id.hex, None)
            return _told(after)

        return self._changed(unit)

    def _changed(self, unit: Callable[[Transaction], T]) -> T:
        done = self._database.unit(unit)
        self._follow()
        return done


def _secret() -> str:
    return "whsec_" + secrets.token_urlsafe(32)


def _told(given: Subscription) -> dict[str, Any]:
    return {
        "id": str(UUID(hex=given.id)),
        "url": given.url,
        "events": list(given.events),
        "state": "active" if given.active else "paused",
        "created_at": moment(given.created_at).isoformat(),
        "secrets": [{"until": None if one.until is None else one.until.isoformat()} for one in given.secrets],
    }
