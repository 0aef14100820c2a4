"""When a partner's backlog will be worked off: how much waits, how much of it is late, and how fast it can go.

A partner that is away is forecast as if it came back now: that is what an operator is asked.
"""

import math
from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, case, func, select

from hub.exchange.mood import TRIPPED
from hub.partners import Register
from hub.partners.partner import Partner
from hub.store import tally
from hub.store.database import Database, Row, Statement
from hub.store.encoding import moment
from hub.store.ledger import Moment
from hub.store.statement import now_us
from hub.store.tables import exchange, exchange_subject, flow

LATE = 300.0  # seconds after which what waits counts as late
ARRIVING = 300.0  # seconds over which arrivals are counted
LATEST = 2_000  # exchanges, of all partners, of which the latest latency is taken
UNKNOWN = 1.0  # seconds that an exchange is taken to last with a partner who never answered

_waiting = Statement(
    select(
        exchange_subject.c.partner,
        exchange_subject.c.operation,
        func.count().label("n"),
        func.min(exchange_subject.c.created_at).label("since"),
        func.sum(case((exchange_subject.c.created_at <= bindparam("late"), 1), else_=0)).label("late"),
        func.sum(case((exchange_subject.c.created_at > bindparam("recent"), 1), else_=0)).label("arrived"),
    )
    .where(exchange_subject.c.state == "open")
    .group_by(exchange_subject.c.partner, exchange_subject.c.operation)
)
# Partners that are left alone because they failed, and how long they still rest.
_away = Statement(
    select(flow.c.partner, (flow.c.rests_until - now_us()).label("rests_us")).where(flow.c.failures >= TRIPPED)
)
_latest = (
    select(exchange.c.partner, exchange.c.direction, exchange.c.partner_us)
    .where(exchange.c.state == "settled")
    .order_by(exchange.c.settled_at.desc())
    .limit(LATEST)
    .subquery()
)
_latencies = Statement(
    select(_latest.c.partner, func.avg(_latest.c.partner_us))
    .where(_latest.c.direction == "out")
    .group_by(_latest.c.partner)
)


def rate(partner: Partner, latency: float | None) -> float:
    """Exchanges a second that *partner* can take: its slots at its *latency* (seconds), and no more than its limit."""
    slots = partner.limits.concurrency / max(UNKNOWN if latency is None else latency, 0.001)
    return min(float(partner.limits.per_second), slots)


def drained_in(exchanges: float, arriving: float, per_second: float) -> float | None:
    """Seconds until *exchanges* are worked off while *arriving* more come a second; None where they never will be."""
    return exchanges / (per_second - arriving) if per_second > arriving else None


class Forecast:
    """Tells of every partner on whom something waits; ``now`` gives the clocks of rows."""

    def __init__(self, database: Database, register: Register, now: Callable[[], Moment]) -> None:
        self._database, self._register, self._now = database, register, now

    def standing(self) -> dict[str, dict[str, Any]]:
        """By partner: ``backlog`` and ``late`` (subjects), ``late_share``, ``since`` when the oldest waits,
        ``per_second`` (exchanges), and ``drained_in_s``, None where more comes than goes."""
        wall = self._now().wall
        with self._database.reading() as tx:
            rows = tx.all(_waiting, late=wall - int(LATE * 1e6), recent=wall - int(ARRIVING * 1e6))
            if not rows:
                return {}
            away = {row["partner"]: max(row["rests_us"], 0) / 1e6 for row in tx.all(_away)}
            counted = tally.counted(tx, "exchange")
            latency = {
                partner: n and us / n / 1e6 for (partner, state), (n, us) in counted.items() if state == "settled"
            }
            latency |= {partner: float(us) / 1e6 for partner, us in tx.all(_latencies)}
        by_partner: dict[str, list[Row]] = {}
        for row in rows:
            by_partner.setdefault(row["partner"], []).append(row)
        found = {}
        for name, waiting in sorted(by_partner.items()):
            partner = self._register.partners.get(name)
            n, late = sum(int(r["n"]) for r in waiting), sum(int(r["late"]) for r in waiting)
            told = {
                "backlog": n, "late": late, "late_share": round(late / n, 4),
                "since": moment(min(r["since"] for r in waiting)).isoformat(),
                "away": name in away, "asked_again_in_s": round(away[name], 1) if name in away else None,
                "per_second": None, "drained_in_s": None,
            }  # fmt: skip
            if partner is not None:
                per_second = rate(partner, latency.get(name))
                todo = sum(math.ceil(r["n"] / _together(partner, r["operation"])) for r in waiting)
                arriving = sum(r["arrived"] / _together(partner, r["operation"]) for r in waiting) / ARRIVING
                seconds = drained_in(todo, arriving, per_second)
                told["per_second"] = round(per_second, 3)
                told["drained_in_s"] = None if seconds is None else round(seconds, 1)
            found[name] = told
        return found


def _together(partner: Partner, operation: str) -> int:
    """How many subjects go into one exchange at most."""
    known = partner.operations.get(operation)
    return known.batch.max if known is not None and known.batch is not None else 1
