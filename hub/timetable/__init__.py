"""The timetable: what is due, by the calendar, by a case's own clock or for a partner to confirm, found out from rows
and done once.

APScheduler only wakes :meth:`Timetable.tick`; what is due is worked out from the stored watermark, so that a late,
lost or doubled waking loses and doubles nothing.  A firing is a row, unique by (schedule, due time).
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from hub.canonical.events import Event
from hub.clock import Clock
from hub.exchange import promise
from hub.exchange.collect import Collected
from hub.exchange.engine import Engine
from hub.partners import Schedule
from hub.store.database import Transaction, store_at_fault
from hub.store.encoding import micros, moment
from hub.store.runs import Edge, Runs

log = structlog.get_logger(__name__)

EVERY = 0.05  # seconds between looks at the clock; a look that finds nothing due costs microseconds
EDGES = 200  # due times of cases that share a unit of work
FIRST_LOOK = timedelta(days=1)  # how far back a timetable that never ran looks for what it should have run


class Timetable:
    """Fires schedules and the due times of cases; ``tick(now)`` may be called by anyone, at any time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Those that reach other partners keep a watermark of their own.
        self._name = "/".join(["ticked", *sorted(engine.zones)])
        self._clock: Clock = engine.clock
        self._runs = Runs()
        self._triggers = {
            s.name: CronTrigger.from_crontab(s.cron, timezone=s.zone) for s in engine.register.schedules.values()
        }
        self._next: dict[str, datetime | None] = {}
        self._ticked: datetime | None = None
        self._broken: set[Edge] = set()
        self._put_off: dict[str, list[datetime]] = {}
        self._ticking = threading.Lock()
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        engine.reading.next_schedule = self.next_due

    @property
    def _schedules(self) -> list[Schedule]:
        return [
            s for s in self._engine.register.schedules.values() if s.partner.enabled and self._engine.reaches(s.partner)
        ]

    def start(self) -> None:
        """Wake up regularly, in the background, until :meth:`stop`."""
        # A waking that finds the one before still at work is told off by APScheduler and is of no consequence here.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler.add_job(self._wake, "interval", seconds=EVERY, id="tick")
        self._scheduler.add_job(self._look, "interval", seconds=promise.EVERY, id="promise")
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def next_due(self) -> datetime | None:
        """When the next schedule fires, whichever process keeps the timetable."""
        if not self._engine.database.shared:
            return self._first(self._next)
        with self._engine.database.reading() as tx:
            ticked = self._runs.ticked(tx, self._name)
        return self._first(self._following(ticked or self._clock.now()))

    @staticmethod
    def _first(due: Mapping[str, datetime | None]) -> datetime | None:
        return min((at for at in due.values() if at is not None), default=None)

    def _wake(self) -> None:
        try:
            self.tick(self._clock.now())
        except Exception as error:
            log.error("tick_failed", exc_info=error)

    def _look(self) -> None:
        try:
            self._engine.promise.look()
        except Exception as error:
            log.error("promise_look_failed", exc_info=error)

    def tick(self, now: datetime) -> None:
        """Do all that is due at business time *now*: first the schedules, whose files may bring older news, then the
        due times of cases."""
        with self._ticking, self._engine.database.alone(self._name) as mine:
            if not mine:
                self._ticked = None  # another process is at it, and moves the watermark
                return
            if self._engine.database.shared:
                self._ticked = None
            watermark = self._watermark(now)
            self._make_good(now)
            if not self._anything_due(now):
                self._remember(now)
                return
            for schedule in self._schedules:
                fires = list(self._fires(schedule, watermark, now))
                if fires:
                    self._run(schedule, fires, now)
            while self._edges(now):
                pass
            while self._engine.tell_overdue(micros(now)):
                pass
            self._remember(now, force=True)

    # -- what is due -------------------------------------------------------------------------------------------------

    def _watermark(self, now: datetime) -> datetime:
        """Everything due up to here has been done."""
        if self._ticked is None:
            with self._engine.database.reading() as tx:
                self._ticked = self._runs.ticked(tx, self._name) or now - FIRST_LOOK
                self._put_off = {}
                for name, due in self._runs.running(tx):
                    self._put_off.setdefault(name, []).append(moment(due))
            self._look_ahead(self._ticked)
        return self._ticked

    def _look_ahead(self, after: datetime) -> None:
        self._next = self._following(after)

    def _following(self, after: datetime) -> dict[str, datetime | None]:
        just_after = after + timedelta(microseconds=1)
        return {s.name: self._triggers[s.name].get_next_fire_time(None, just_after) for s in self._schedules}

    def _anything_due(self, now: datetime) -> bool:
        first = self._first(self._next)
        if first is not None and first <= now:
            return True
        if self._engine.confirmations_due(micros(now)):
            return True
        with self._engine.database.reading() as tx:
            return bool(self._due(tx, now, 1))

    def _fires(self, schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
        at = self._next.get(schedule.name)
        trigger = self._triggers[schedule.name]
        while at is not None and at <= until:
            if at > after:
                yield at
            at = trigger.get_next_fire_time(at, at + timedelta(microseconds=1))

    def _remember(self, now: datetime, *, force: bool = False) -> None:
        """Move the watermark.  Written only when something was done or a second of business time has passed."""
        if force or self._ticked is None or now - self._ticked > timedelta(seconds=1):
            self._ticked = now
            self._look_ahead(now)
            self._engine.database.unit(lambda tx: self._runs.set_ticked(tx, self._name, micros(now)))

    # -- doing it ----------------------------------------------------------------------------------------------------

    def _run(self, schedule: Schedule, fires: list[datetime], now: datetime) -> None:
        """Run *schedule* for the last of *fires* and of what was put off; those before it were missed while nobody was
        awake, and it covers them."""
        fires = sorted({*self._put_off.pop(schedule.name, ()), *fires})
        due = micros(fires[-1])
        late = (now - fires[-1]).total_seconds() > schedule.late_after

        def begin(tx: Transaction) -> bool:
            for missed in fires[:-1]:
                self._runs.covered(tx, schedule.name, micros(missed), due)
            return self._runs.begin(tx, schedule.name, due, micros(self._clock.wall()), late)

        if not self._engine.database.unit(begin):
            return
        try:
            found = self._engine.run(schedule)
        except Exception as error:
            if store_at_fault(error):
                raise
            log.error("run_failed", schedule=schedule.name, exc_info=error)
            found = Collected(code="internal")
        if found.stopped:
            self._put_off[schedule.name] = fires
            return
        self._engine.database.unit(
            lambda tx: self._runs.end(
                tx, schedule.name, due, micros(self._clock.wall()), found.files, found.lines, found.code
            )
        )

    def _make_good(self, now: datetime) -> None:
        """Run what was begun and could not be ended: cut off by a crash, or put off because intake was stopped."""
        for schedule in self._schedules if self._put_off else ():
            if schedule.name in self._put_off and not self._engine.stopped(schedule):
                self._run(schedule, [], now)

    def _edges(self, now: datetime) -> bool:
        """Tell cases whose due time has come; answers whether that moved any, and so whether there may be more."""
        database = self._engine.database
        try:
            return database.unit(lambda tx: self._tell(tx, self._due(tx, now, EDGES)))
        except Exception as error:
            if store_at_fault(error):
                raise
        # One of them breaks us: the others must not wait for it.
        with database.reading() as tx:
            due = self._due(tx, now, EDGES)
        for edge in due:
            try:
                database.unit(lambda tx, edge=edge: self._tell(tx, [edge]))  # type: ignore[misc]
            except Exception as error:
                if store_at_fault(error):
                    raise
                log.error("due_failed", group=edge[1], request=edge[2], exc_info=error)
                self._broken.add(edge)
                self._engine.broken(edge[1], edge[2], "clock.due")
        return True

    def _due(self, tx: Transaction, now: datetime, most: int) -> list[Edge]:
        """The due times that have come, without those that broke us since this process began."""
        found = self._runs.edges(tx, micros(now), most + len(self._broken))
        return [edge for edge in found if edge not in self._broken][:most]

    def _tell(self, tx: Transaction, edges: list[Edge]) -> bool:
        moved = False
        for machine, group, request, due in edges:
            event = Event(
                name="clock.due", group=group, request=request, happened=moment(due), data={"machine": machine}
            )
            moved |= self._engine.happen(tx, group, event)
        return moved
