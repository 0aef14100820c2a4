"""A hub with a group that is one payment short of the Ministry, and a Ministry written from its contract alone."""

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from hub.canonical.messages import Decision, GroupFiling
from hub.canonical.mrz import td3
from hub.canonical.schema import schema_for
from hub.clock import BusinessClock
from hub.exchange.engine import Engine
from hub.exchange.outbox import Work
from hub.exchange.receive import Receipt
from hub.settings import Settings
from hub.store.ledger import Moment
from hub.store.workers import Claim

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 12, 1, 9, tzinfo=UTC)
AGENT, COMPANY, BANK, MINISTRY, MISSION, POST = (
    "agent_idn_1", "company_1", "bank_haramayn", "mofa_visa", "mission_jakarta", "post_jed",
)  # fmt: skip


def filing(group_no: str = "G-1001", **changes: Any) -> GroupFiling:
    """The README's group, with every booking made already: nothing stands between it and its voucher."""
    body = json.loads((ROOT / "docs/examples/group.json").read_text("utf-8"))
    body["group_no"] = group_no
    for number, line in enumerate(body["programme"]["housing"] + body["programme"]["transport"]):
        line["brn"] = f"BRN{group_no}{number}"[:20]
    found: GroupFiling = schema_for(GroupFiling)().load({**body, **changes})
    for member in found.members:
        member.document.mrz = td3(member.document, member.person)
    return found


class Hub:
    """The engine without its threads, and what a test asks of it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine = Engine(settings)
        assert settings.business_clock is not None
        self.clock = BusinessClock(settings.business_clock)

    def restart(self) -> None:
        """The process dies and another takes its place."""
        self.engine.stop()
        self.engine = Engine(self.settings)
        self.engine._claims.enlist("test", "")

    def claim(self, partner: str = MINISTRY) -> Work:
        """Claim the next exchange of *partner*, as a process that then dies."""
        wanted = {partner: (self.engine.register.partners[partner], 1)}
        outbox = self.engine.dispatcher._outbox
        found = self.engine.database.unit(
            lambda tx: outbox.claim(tx, wanted, self.engine.dispatcher._now(), Claim(0, 2**62))
        )
        (work,) = found[partner].works
        return work

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        if self.settings.database_url:
            import psycopg

            with closing(psycopg.connect(self.settings.database_url)) as server:
                found = server.execute(sql.replace("?", "%s"), values).fetchall()  # type: ignore[arg-type]
            return [tuple(v.hex if isinstance(v, UUID) else v for v in row) for row in found]  # as SQLite has them
        with sqlite3.connect(self.settings.var / "hub.db") as connection:
            return connection.execute(sql, values).fetchall()

    def states(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT state FROM request ORDER BY member")]

    def incidents(self) -> list[tuple[str, str]]:
        return [
            (row[0], row[1])
            for row in self.rows("SELECT kind, code FROM incident WHERE resolved_at IS NULL ORDER BY id")
        ]

    def exchanges(self, operation: str) -> list[str]:
        return [r[0] for r in self.rows("SELECT state FROM exchange WHERE operation = ? ORDER BY id", operation)]

    def tell(self, partner: str, operation: str, body: bytes, **more: Any) -> Receipt:
        return self.engine.exchange.receive(partner, operation, body, **more)

    def open(self, given: GroupFiling | None = None, **more: Any) -> Receipt:
        return self.tell(AGENT, "open_group", b"{}", message=given or filing(), **more)

    def decide(self, request: str, outcome: str, by: str = COMPANY, **more: Any) -> Receipt:
        return self.tell(by, "decide", b"{}", message=Decision(outcome=outcome, **more), request=UUID(request))

    def pay(self, amount: str | None = None, ref: str = "PAY-1", bill: str | None = None) -> Receipt:
        number, minor = (self.rows("SELECT bill_no, amount FROM voucher") or [("9" * 13, 0)])[0]
        notice = {
            "reference": ref, "billNumber": bill or number, "amount": amount or f"{minor / 100:.2f}", "currency": "SAR",
            "paidAt": "2026-12-01T08:30:00Z", "valueDate": "2026-12-01", "channel": "ONLINE",
        }  # fmt: skip
        return self.tell(BANK, "payment_notice", json.dumps(notice).encode())

    def drain(self, partner: str = MINISTRY, seconds: float = 3.0) -> None:
        """Deliver all that is due, and what falls due within *seconds*."""
        until = time.monotonic() + seconds
        found = self.engine.register.partners[partner]
        while time.monotonic() < until:
            wait = self.engine.dispatcher.drain(found)
            if wait is None:
                return
            if wait:
                time.sleep(min(wait, 0.05))

    def later(self, seconds: float) -> None:
        """Wall time goes on, as far as retries are concerned."""
        now, jump = self.engine.now, int(seconds * 1e6)
        self.engine.dispatcher._now = lambda: Moment(now().wall + jump, now().business)

    def paid(self) -> list[str]:
        """A group filed, accepted and paid: its members are due at the Ministry."""
        requests = [r["id"] for r in self.open().body["requests"]]
        for request in requests:
            self.decide(request, "accept")
        assert self.pay().status == "taken"
        assert set(self.states()) == {"SENT_FOR_REFERENCE"}
        return requests
