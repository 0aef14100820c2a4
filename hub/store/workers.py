"""The processes that send, what each has claimed, and how partners are doing for all of them.

A claim says who is at an exchange, and until when it may be thought to be at it by the store's own clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, select, true, update

from hub.store.database import Row, Statement, Transaction, among, inserting, within
from hub.store.statement import Upsert, now_us
from hub.store.tables import exchange, flow, worker

#: In ``rests_until``: failures were counted by somebody who did not have the row in hand, and nobody has looked since.
OWED = -1
_claimed = ("leased", "sending")
_claimants = Statement(
    select(exchange.c.worker)
    .where(exchange.c.open == true(), exchange.c.direction == "out", among(exchange.c.state, _claimed))
    .distinct()
)
_claimed_by = Statement(
    select(exchange)
    .where(
        exchange.c.open == true(),
        exchange.c.direction == "out",
        among(exchange.c.state, _claimed),
        exchange.c.worker.is_not_distinct_from(bindparam("worker")),
    )
    .order_by(exchange.c.id)
    .with_for_update(skip_locked=True)
)
_overdue = Statement(
    select(exchange)
    .where(
        exchange.c.open == true(),
        exchange.c.direction == "out",
        among(exchange.c.state, _claimed),
        exchange.c.lease_until < bindparam("now_at"),
    )
    .order_by(exchange.c.id)
    .with_for_update(skip_locked=True)
)
_in_hand = Statement(
    select(exchange.c.partner, func.count())
    .where(
        exchange.c.open == true(),
        exchange.c.direction == "out",
        within(exchange.c.partner, "partners"),
        among(exchange.c.state, _claimed),
    )
    .group_by(exchange.c.partner)
)
_now = Statement(select(now_us()))
_flow_new = inserting(flow, ignore=True)
_flow_put = inserting(flow, replace=True)
_flow_failed = Statement(
    update(flow)
    .where(flow.c.partner == bindparam("of_partner"))
    .values(failures=flow.c.failures + bindparam("more"), rests_until=OWED)
)
_flows_seen = Statement(select(flow).where(within(flow.c.partner, "partners")))
_flows = Statement(select(flow).where(within(flow.c.partner, "partners")).with_for_update(skip_locked=True))
_worker_new = Upsert(
    lambda insert: (
        insert(worker)
        .values({c.name: bindparam(c.name) for c in worker.columns if c.name != "id"})
        .returning(worker.c.id)
    )
)
_worker_beat = Statement(update(worker).where(worker.c.id == bindparam("worker_id")).values(beat_at=bindparam("beat")))
_worker_gone = Statement(delete(worker).where(worker.c.id == bindparam("worker_id")))


@dataclass(frozen=True, slots=True)
class Claim:
    """Who claims, and until when (µs, the store's clock) it may be thought to be at it."""

    worker: int
    lease_until: int


def clock(tx: Transaction) -> int:
    """The store's own clock, in microseconds: workers' clocks differ."""
    row = tx.one(_now)
    assert row is not None
    return int(row[0])


def enlist(tx: Transaction, at: int, role: str, zone: str, host: str, pid: int) -> int:
    """Note a process that delivers; answers its number."""
    given = {"role": role, "zone": zone[:80], "host": host[:80], "pid": pid, "started_at": at, "beat_at": at}
    return int(tx.run(_worker_new, **given).fetchone()[0])


def beat(tx: Transaction, worker_id: int, at: int) -> None:
    tx.put(_worker_beat, worker_id=worker_id, beat=at)


def dismiss(tx: Transaction, worker_id: int) -> None:
    tx.put(_worker_gone, worker_id=worker_id)


def claimants(tx: Transaction) -> list[int | None]:
    """The processes that have claims."""
    return [row[0] for row in tx.all(_claimants)]


def claimed_by(tx: Transaction, worker_id: int | None) -> list[Row]:
    return tx.all(_claimed_by, worker=worker_id)


def expired(tx: Transaction, now: int) -> list[Row]:
    """Claims whose lease has run out: their process hangs, or does not know that it has them."""
    return tx.all(_overdue, now_at=now)


def look(
    tx: Transaction, shared: Sequence[str], own: Sequence[str], counted: Sequence[str]
) -> tuple[int, dict[str, Row], dict[str, int]]:
    """The store's clock; how partners are doing; and how many exchanges of those *counted* are claimed, by whomever.

    *shared* ones are kept for this unit, and left out where another process is looking at them.
    """
    asked: list[tuple[Statement, dict[str, Any]]] = [
        (_now, {}), (_flows, {"partners": shared}), (_flows_seen, {"partners": own})
    ]  # fmt: skip
    if counted:  # else nobody looks at exchanges, and what was put off stays so until the claim does
        asked.append((_in_hand, {"partners": counted}))
    clock_, kept, seen, *claimed = tx.several(*asked)
    in_hand = {row[0]: row[1] for rows in claimed for row in rows}
    return int(clock_[0][0]), {row["partner"]: row for row in (*kept, *seen)}, in_hand


def start_flow(tx: Transaction, partner: str) -> None:
    tx.put(_flow_new, partner=partner, failures=0, rests_until=0, paced_to=0)


def set_flow(tx: Transaction, partner: str, failures: int, rests_until: int, paced_to: int) -> None:
    tx.put(_flow_put, partner=partner, failures=failures, rests_until=rests_until, paced_to=paced_to)


def count_failures(tx: Transaction, partner: str, failures: int) -> None:
    """Failures of a partner at whose row another process is looking: whoever looks next draws the rest from them."""
    if failures:
        tx.put(_flow_failed, of_partner=partner, more=failures)
