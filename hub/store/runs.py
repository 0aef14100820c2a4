"""Rows of the timetable: runs, the watermark, and the due times of cases."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select, update

from hub.store.database import Statement, Transaction, as_uuid, inserting
from hub.store.encoding import moment
from hub.store.tables import request, run, sequence, umrah_group, voucher

_insert = inserting(run, ignore=True)
_state = Statement(
    select(run.c.state).where(run.c.schedule == bindparam("schedule"), run.c.due_at == bindparam("due_at"))
)
_end = Statement(
    update(run)
    .where(run.c.schedule == bindparam("of_schedule"), run.c.due_at == bindparam("of_due_at"))
    .values({c: bindparam(c) for c in ("state", "ended_at", "files", "lines", "code")})
)
_running = Statement(select(run.c.schedule, run.c.due_at).where(run.c.state == "running"))
_cover = Statement(
    update(run)
    .where(run.c.schedule == bindparam("of_schedule"), run.c.due_at == bindparam("of_due_at"), run.c.state == "running")
    .values(state="covered", late=True)
)
_number = Statement(select(sequence.c.value).where(sequence.c.name == bindparam("name")))
_set_number = inserting(sequence, replace=True)
_due_requests = Statement(
    select(request.c.group_id, request.c.id, request.c.due)
    .where(request.c.due <= bindparam("now_at"))
    .order_by(request.c.due)
    .limit(bindparam("most"))
)
_due_vouchers = Statement(
    select(voucher.c.group_id, voucher.c.due)
    .where(voucher.c.due <= bindparam("now_at"))
    .order_by(voucher.c.due)
    .limit(bindparam("most"))
)
_due_groups = Statement(
    select(umrah_group.c.id, umrah_group.c.due)
    .where(umrah_group.c.due <= bindparam("now_at"))
    .order_by(umrah_group.c.due)
    .limit(bindparam("most"))
)


#: A due time of a case: machine, group, request and when, in microseconds of business time.
Edge = tuple[str, UUID, UUID | None, int]


class Runs:
    """Reads and writes of the timetable inside a unit of work."""

    def ticked(self, tx: Transaction, name: str) -> datetime | None:
        """Up to when timetable *name* has done everything."""
        row = tx.one(_number, name=name)
        return None if row is None else moment(row[0])

    def set_ticked(self, tx: Transaction, name: str, value: int) -> None:
        tx.put(_set_number, name=name, value=value)

    def begin(self, tx: Transaction, schedule: str, due_at: int, at: int, late: bool) -> bool:
        """Fire (schedule, due time); False where that has been done.  A run that died half-way is begun again."""
        row = {"schedule": schedule, "due_at": due_at, "state": "running", "started_at": at, "ended_at": None}
        if tx.run(_insert, **row, late=late, files=0, lines=0, code=None).rowcount == 1:
            return True
        there = tx.one(_state, schedule=schedule, due_at=due_at)
        return there is not None and there[0] == "running"

    def covered(self, tx: Transaction, schedule: str, due_at: int, by: int) -> None:
        """A firing that was missed while nobody was awake, or was put off, and that a later one has made good."""
        tx.put(
            _insert, schedule=schedule, due_at=due_at, state="covered", started_at=None, ended_at=None, late=True,
            files=0, lines=0, code=None,
        )  # fmt: skip
        tx.put(_cover, of_schedule=schedule, of_due_at=due_at)

    def running(self, tx: Transaction) -> list[tuple[str, int]]:
        """What was begun and not ended: schedule and due time."""
        return [(row[0], row[1]) for row in tx.all(_running)]

    def end(
        self, tx: Transaction, schedule: str, due_at: int, at: int, files: int, lines: int, code: str | None
    ) -> None:
        tx.put(
            _end, of_schedule=schedule, of_due_at=due_at, state="failed" if code else "done", ended_at=at, files=files,
            lines=lines, code=code,
        )  # fmt: skip

    def edges(self, tx: Transaction, now: int, most: int) -> list[Edge]:
        """The due times that have come, the earliest first."""
        found: list[Edge] = [
            ("request", as_uuid(r[0]), as_uuid(r[1]), r[2]) for r in tx.all(_due_requests, now_at=now, most=most)
        ]
        found += [("voucher", as_uuid(r[0]), None, r[1]) for r in tx.all(_due_vouchers, now_at=now, most=most)]
        found += [("group", as_uuid(r[0]), None, r[1]) for r in tx.all(_due_groups, now_at=now, most=most)]
        return sorted(found, key=lambda edge: edge[3])[:most]
