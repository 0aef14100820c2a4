"""What the five-minute clock has to say of all requests together: how long they took, and what takes too long now.

How long each took is worked out once, from its history, when its reference number is there, and added to a histogram
by day (``tally``); nothing is written for it while a request is on its way.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta, timezone
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select

from hub.journey import Budgets, Spent, Stage, Step, Turns, spent
from hub.store.database import Database, Row, Statement, Transaction, as_uuid
from hub.store.encoding import moment
from hub.store.tables import exchange_subject, history, incident, request
from hub.store.tally import SETTLES, Key, Piece, Tally, counted, mark

#: What is told apart: payment to reference, the same without the partner's own time, machine time and wall time from
#: submission.
FIGURES = ("promise", "own", "machine", "wall")
#: Upper bounds of the histogram, in seconds; what is longer is in the last, without one.
BOUNDS = (1, 5, 15, 30, 60, 120, 180, 300, 600, 1800, 3600)
#: Requests whose clock is read at a time.
REQUESTS = 500
#: What is late is counted up to so many of an operation: beyond, everybody knows.
MOST_LATE = 10_000
ALARM = "clock"  # the kind of its incidents
NEAR, BROKEN = "promise_near", "promise_broken"
_RIYADH = timezone(timedelta(hours=3))
_MARK = "tally/clock"

_next_referenced = (
    select(request.c.referenced_at)
    .where(request.c.referenced_at > bindparam("after"))
    .order_by(request.c.referenced_at)
    .limit(REQUESTS)
    .subquery()
)
_referenced_until = Statement(
    select(func.max(_next_referenced.c.referenced_at)).where(_next_referenced.c.referenced_at <= bindparam("old"))
)
_referenced = Statement(
    select(request.c.id, request.c.group_id, request.c.paid_at, request.c.referenced_at, request.c.partner_us).where(
        request.c.referenced_at > bindparam("after"), request.c.referenced_at <= bindparam("until")
    )
)
_steps = Statement(
    select(history.c.entity_id, history.c.machine, history.c.event, history.c.was, history.c.now, history.c.recorded_at)
    .where(history.c.group_id == bindparam("group_id"))
    .order_by(history.c.id)
)
_open = Statement(
    select(exchange_subject.c.partner, exchange_subject.c.operation)
    .where(exchange_subject.c.state == "open")
    .group_by(exchange_subject.c.partner, exchange_subject.c.operation)
)
_oldest_first = (
    select(exchange_subject.c.created_at)
    .where(
        exchange_subject.c.state == "open",
        exchange_subject.c.partner == bindparam("partner"),
        exchange_subject.c.operation == bindparam("operation"),
        exchange_subject.c.created_at <= bindparam("before"),
    )
    .order_by(exchange_subject.c.created_at)
    .limit(MOST_LATE)
    .subquery()
)
_late = Statement(select(func.count(), func.min(_oldest_first.c.created_at)))
_alarms = Statement(
    select(incident.c.code, incident.c.partner, incident.c.operation).where(
        incident.c.resolved_at.is_(None), incident.c.kind == ALARM
    )
)


@dataclass(frozen=True, slots=True)
class Late:
    """What waits for a partner's answer beyond a part of its stage's budget: ``n`` (at most :data:`MOST_LATE`) have
    waited so many ``percent`` of ``seconds`` and not yet the next alarm; the oldest since ``since`` (wall µs)."""

    partner: str
    operation: str
    stage: str
    seconds: int
    percent: int
    n: int
    since: int

    @property
    def code(self) -> str:
        return BROKEN if self.percent >= 100 else NEAR


def catch_up(database: Database, tally: Tally, turns: Turns, wall: int) -> bool:
    """Add the clocks of the next requests that have their reference number; answers whether there were any."""
    with database.reading() as tx:
        after = mark(tx, _MARK)
        row = tx.one(_referenced_until, after=after, old=wall - SETTLES)
        if row is None or row[0] is None:
            return False
        until = row[0]
        found = _histograms(tx, turns, after, until)
    return tally.add(Piece(_MARK, after, until, {f"clock/{figure}": counts for figure, counts in found.items()}))


def figures(tx: Transaction, budgets: Budgets, wall: int) -> dict[str, Any]:
    """How long requests took, of each figure: how many there are (``n``), how many of them kept the promise, their
    share, mean seconds, and how many took no longer than each bound; of all, and of ``today`` alone: the day in Riyadh
    of *wall* (µs)."""
    found: dict[str, Any] = {}
    today = moment(wall).astimezone(_RIYADH).date()
    for figure in FIGURES:
        rows = counted(tx, f"clock/{figure}")
        whole = _figure(rows)
        whole["today"] = {k: v for k, v in _figure(_of_day(rows, today)).items() if k != "within"}
        found[figure] = whole
    return {"seconds": budgets.promise, "figures": found}


def open_operations(tx: Transaction) -> list[tuple[str, str]]:
    """Each partner and operation of which something waits for an answer."""
    return [(row[0], row[1]) for row in tx.all(_open)]


def late(tx: Transaction, budgets: Budgets, stages: Collection[tuple[str, str, Stage]], wall: int) -> list[Late]:
    """What waits too long at *wall* (µs), of *stages*: (partner, operation, the timed stage it belongs to)."""
    found = []
    for partner, operation, stage in stages:
        beyond = 0
        for percent in reversed(budgets.alarms):
            before = wall - (stage.seconds or 0) * percent * 10_000
            n, since = waiting_since_before(tx, partner, operation, before)
            if n > beyond:
                found.append(Late(partner, operation, stage.name, stage.seconds or 0, percent, n - beyond, since))
                beyond = n
    return found


def waiting_since_before(tx: Transaction, partner: str, operation: str, before: int) -> tuple[int, int]:
    """How many (at most :data:`MOST_LATE`) have waited since *before* (wall µs) or longer; the oldest since when."""
    row = tx.one(_late, partner=partner, operation=operation, before=before)
    return (0, 0) if row is None or row[1] is None else (row[0], row[1])


def alarms(tx: Transaction) -> set[tuple[str, str, str]]:
    """The alarms that are up: code, partner, operation."""
    return {(row["code"], row["partner"], row["operation"]) for row in tx.all(_alarms)}


def steps_of(rows: Iterable[Row], request_id: UUID) -> list[Step]:
    """The rows of a group's history that the clock of one request goes by."""
    return [
        Step(row["machine"], row["event"], row["was"], row["now"], row["recorded_at"])
        for row in rows
        if row["machine"] != "request" or as_uuid(row["entity_id"]) == request_id
    ]


# ------------------------------------------------------------------------------------------------------------------


def _histograms(tx: Transaction, turns: Turns, after: int, until: int) -> dict[str, dict[Key, tuple[int, int]]]:
    counts: dict[str, Counter[Key]] = {figure: Counter() for figure in FIGURES}
    took: dict[str, Counter[Key]] = {figure: Counter() for figure in FIGURES}
    groups: dict[UUID, list[Row]] = {}
    for row in tx.all(_referenced, after=after, until=until):
        group = as_uuid(row["group_id"])
        if group not in groups:
            groups[group] = tx.all(_steps, group_id=group)
        at = moment(row["referenced_at"])
        budgets, day = turns.at(at), at.astimezone(_RIYADH).date().isoformat()
        clock = spent(steps_of(groups[group], as_uuid(row["id"])), budgets, row["referenced_at"])
        for figure, us in _figures(row, clock).items():
            if us is None:
                continue
            key = day, _bucket(us)
            counts[figure][key] += 1
            took[figure][key] += us
            counts[figure][day, "kept"] += us <= budgets.promise * 1_000_000
    return {figure: {key: (n, took[figure][key]) for key, n in found.items()} for figure, found in counts.items()}


def _figures(row: Row, clock: Spent) -> dict[str, int | None]:
    promise = None if row["paid_at"] is None else max(row["referenced_at"] - row["paid_at"], 0)
    own = None if promise is None else max(promise - row["partner_us"], 0)
    return {"promise": promise, "own": own, "machine": clock.machine, "wall": clock.wall}


def _bucket(us: int) -> str:
    at = bisect_left(BOUNDS, us / 1_000_000)
    return str(BOUNDS[at]) if at < len(BOUNDS) else "inf"


def _of_day(rows: dict[Key, tuple[int, int]], day: date) -> dict[Key, tuple[int, int]]:
    return {key: value for key, value in rows.items() if key[0] == day.isoformat()}


def _figure(rows: dict[Key, tuple[int, int]]) -> dict[str, Any]:
    by_bucket: Counter[str] = Counter()
    us = kept = 0
    for (_, bucket), (n, took) in rows.items():
        if bucket == "kept":
            kept += n
        else:
            by_bucket[bucket] += n
            us += took
    n, within, so_far = by_bucket.total(), {}, 0
    for bound in (*map(str, BOUNDS), "inf"):
        so_far += by_bucket[bound]
        within[bound] = so_far
    return {
        "n": n,
        "kept": kept,
        "share": round(kept / n, 6) if n else None,
        "mean_s": round(us / n / 1e6, 3) if n else None,
        "sum_s": round(us / 1e6, 6),
        "within": within,
    }
