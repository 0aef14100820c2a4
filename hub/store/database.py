"""The database and its units of work.

A unit of work is a function that is handed a transaction, reads and writes, and is answered after COMMIT.  One writer
thread of a process runs all its units; units that wait together share a commit, and one that fails takes nothing of
the others with it (measured: 8 to 9 times the rate of a commit each).  A unit may be run more than once: whatever it
is to leave behind outside the transaction, it leaves by ``after_commit``.
"""

import contextlib
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog

from hub import turns
from hub.canonical.errors import HubError
from hub.store import migrations
from hub.store.backend import backend_of
from hub.store.postgres import Postgres
from hub.store.sqlite import Sqlite
from hub.store.statement import Statement, among, inserting, within
from hub.store.transaction import Connection, Interrupted, Later, News, Row, Transaction, write

__all__ = [
    "Ahead", "Database", "Row", "Statement", "Transaction", "among", "as_uuid", "inserting", "looking", "maybe_uuid",
    "store_at_fault", "within",
]  # fmt: skip

T = TypeVar("T")
log = structlog.get_logger(__name__)

BATCH = 64  # units that are taken up at once
GROUP_SECONDS = 0.02  # for which a commit may be put off while more are waiting
TRIES = 6  # runs of a unit that others are faster than
READERS = 8  # connections that read at once: a database has a hundred for all processes, and each door 64 threads
DOWN = 0.25  # seconds between attempts to reach a store that is gone; who asks in between is told at once

Unit = Callable[[Transaction], T]


def as_uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(hex=value)


def maybe_uuid(value: Any) -> UUID | None:
    return None if value is None else as_uuid(value)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a unit is known to read: that of all units that share a commit is read at once.

    The case of a request, the answer kept for a caller's key, and who is found under the hash of a document.
    """

    request: UUID
    once: tuple[str, str] | None
    document: bytes | None


class _Job(Generic[T]):
    __slots__ = ("ahead", "future", "hooks", "result", "unit")

    def __init__(self, unit: Unit[T], ahead: Ahead | None = None) -> None:
        self.unit, self.ahead = unit, ahead
        self.future: Future[T] = Future()
        self.result: Any = None
        self.hooks: Sequence[Callable[[], None]] = ()


class Database:
    """One store: a writer thread, and a few connections for the threads that read.

    *store* is a file for SQLite, a URL for PostgreSQL.  Raises HubError ``store_durability`` where the store's settings
    do not keep what they promise, ``store_version`` where another version of the hub made it.
    """

    def __init__(self, store: Path | str) -> None:
        self.store = store
        self._backend = backend_of(store)
        try:
            self._backend.prepare()
            migrations.ready(store)
        except Exception as error:
            # What the driver says of it may quote the address and who we are.
            if self._backend.lost(error):
                raise HubError("store_down") from None
            raise
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._readers: list[Connection] = []
        self._spare: list[Connection] = []
        self._reading = threading.BoundedSemaphore(READERS)
        self._forget: Callable[[set[UUID]], None] = lambda groups: None
        self._foresee: Callable[[Transaction, Sequence[Ahead]], None] = lambda tx, ahead: None
        self._wake: Callable[[str], None] = lambda partner: None
        self._serves: Callable[[str], bool] = lambda partner: True
        self._answered: Callable[[set[UUID]], None] = lambda requests: None
        self._busy = 0
        self._down_until = 0.0
        self._held: set[UUID] = set()
        self._foreseen: dict[Any, Any] = {}
        self._undone: list[Callable[[], None]] = []
        self._number: int | None = None
        self._writer: Connection | None = self._backend.connect(writing=True)
        self._closed = False
        #: Units put before the writer so far, about: who sees it grow between two of its own has company.
        self.submitted = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, name="hub-writer", daemon=True)
        self._thread.start()

    @property
    def shared(self) -> bool:
        """Whether other processes may write here too."""
        return self._backend.shared

    def on_rollback(self, forget: Callable[[set[UUID]], None]) -> None:
        """*forget* hears which groups a failed unit had touched, so that no cache keeps what was not written."""
        self._forget = forget

    def on_group(self, foresee: Callable[[Transaction, Sequence[Ahead]], None]) -> None:
        """*foresee* reads, before units that share a commit are run, what they are known to read."""
        self._foresee = foresee

    def on_news(
        self,
        wake: Callable[[str], None],
        serves: Callable[[str], bool],
        answered: Callable[[set[UUID]], None],
    ) -> None:
        """*wake* hears, after the commit, of each partner that has work and that this process *serves*; of the others
        the processes beside it are told, and what they tell is heard here.  *answered* hears of requests that were
        answered in any process, where others may write too."""
        self._wake, self._serves, self._answered = wake, serves, answered
        if isinstance(self._backend, Postgres):
            threading.Thread(
                target=self._backend.listen, args=(self._heard, self._stopping), name="hub-listen", daemon=True
            ).start()

    def _heard(self, news: News) -> None:
        for partner in sorted(news.work):
            if self._serves(partner):
                self._wake(partner)
        if news.answered:
            self._answered(news.answered)

    def hold(self, number: int) -> None:
        """Be known to live as process *number*, until the database is closed or this process ends."""

        def unit(tx: Transaction) -> None:
            assert self._writer is not None
            self._writer.hold(number)

        self._number = number
        self.unit(unit)

    def submit(self, unit: Unit[T], ahead: Ahead | None = None) -> "Future[T]":
        """Put *unit* before the writer; the future is answered after COMMIT, or with what the unit raised.

        *ahead* is what it is known to read.
        """
        if self._closed:
            raise RuntimeError("the database is closed")
        job = _Job(unit, ahead)
        self.submitted += 1
        self._jobs.put(job)
        return job.future

    def unit(self, unit: Unit[T]) -> T:
        """Run *unit* and wait until it is durable."""
        return turns.result(self.submit(unit))

    @property
    def idle(self) -> bool:
        """Nothing is waiting for the writer and nothing is being written."""
        return self._jobs.empty() and not self._busy

    # -- the writer --------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        taken: deque[_Job[Any] | None] = deque()
        while True:
            if not taken:
                self._busy = 0
                taken.append(self._jobs.get())
            self._busy = 1
            if taken[0] is None:
                self._busy = 0
                return
            jobs: list[_Job[Any]] = []
            try:
                self._run_group(taken, jobs)
            except BaseException as error:
                self._group_failed(jobs, error)

    def _take(self, taken: deque[_Job[Any] | None]) -> list[_Job[Any]]:
        """Those of *taken*, and of what waits, that are run next; the end stays where it is."""
        with contextlib.suppress(queue.Empty):
            while len(taken) < BATCH:
                taken.append(self._jobs.get_nowait())
        found: list[_Job[Any]] = []
        while taken and (job := taken[0]) is not None and len(found) < BATCH:
            found.append(job)
            taken.popleft()
        return found

    def _connection(self) -> Connection:
        if self._writer is None:
            if time.monotonic() < self._down_until:
                raise HubError("store_down")
            try:
                self._writer = self._backend.connect(writing=True)
                if self._number is not None:
                    self._writer.hold(self._number)
            except Exception:
                self._writer = None
                self._down_until = time.monotonic() + DOWN
                raise
        return self._writer

    def _run_group(self, taken: deque[_Job[Any] | None], jobs: list[_Job[Any]]) -> None:
        """Run *taken*, and what comes in meanwhile, in one commit, as far as its time goes; *jobs* is what was run."""
        jobs += self._take(taken)
        connection, later, news = self._begin()
        end, done = time.monotonic() + GROUP_SECONDS, 0
        while done < len(jobs):
            ahead = [job.ahead for job in jobs[done:] if job.ahead is not None]
            if ahead:
                self._foresee(Transaction(connection, later, self._held, self._foreseen), ahead)
            while done < len(jobs):
                self._run_one(connection, jobs[done], later, news)
                done += 1
                if time.monotonic() > end:
                    taken.extendleft(reversed(jobs[done:]))
                    del jobs[done:]
                    break
            else:
                jobs += self._take(taken)
        self._commit(connection, later, news)
        self._answer(jobs)

    def _begin(self) -> tuple[Connection, Later, News]:
        self._held, self._foreseen, self._undone = set(), {}, []
        connection = self._connection()
        connection.execute(self._backend.begin_writing)
        return connection, Later(), News()

    def _run_one(self, connection: Connection, job: _Job[Any], later: Later, news: News) -> None:
        """Run one unit.  What it raises is its own caller's; what the store raises is everybody's."""
        transaction = Transaction(connection, later, self._held, self._foreseen)
        try:
            job.result = job.unit(transaction)
            transaction.keep()
        except Interrupted:
            self._forget(transaction.touched)
            _run(transaction.undone)
            raise
        except BaseException as error:
            self._forget(transaction.touched)
            transaction.undo()
            _run(transaction.undone)
            job.hooks = ()
            job.future.set_exception(error)
            return
        job.hooks = transaction.hooks
        self._undone += transaction.undone
        news.add(transaction.news)

    def _commit(self, connection: Connection, later: Later, news: News) -> None:
        write(connection, later.take())
        ours = {partner for partner in news.work if not self.shared or self._serves(partner)}
        others = News(news.work - ours, news.answered)
        if self.shared and others:
            # Told inside the transaction, so that nobody hears of what is not there.
            connection.tell(others)
        connection.execute("COMMIT")
        for partner in ours:
            self._wake(partner)

    @staticmethod
    def _answer(jobs: Sequence[_Job[Any]]) -> None:
        for done in jobs:
            if not done.future.done():
                for hook in done.hooks:
                    hook()
                done.future.set_result(done.result)

    def _group_failed(self, jobs: Sequence[_Job[Any]], error: BaseException) -> None:
        """The group was not committed: each of its units is tried by itself, unless the store cannot take any."""
        self._roll_back(error)
        cause = _cause(error)
        hopeless = self._backend.full(cause) or self._backend.lost(cause) or isinstance(cause, HubError)
        for job in jobs:
            if job.future.done():
                continue
            if hopeless:
                self._tell(job, cause)
            else:
                self._alone(job, cause if len(jobs) == 1 else None)

    def _alone(self, job: _Job[Any], cause: BaseException | None) -> None:
        """Run *job* in a commit of its own, again while others are faster.  *cause* is what it failed of before.

        Whoever loses every race is told ``store_overtaken``: what the driver says of it quotes rows.
        """
        for run in range(TRIES):
            if cause is not None:
                if not self._backend.again(cause):
                    break
                time.sleep(random.uniform(0, 0.005 * 2**run))  # noqa: S311  spread, not secrecy
            try:
                connection, later, news = self._begin()
                self._run_one(connection, job, later, news)
                self._commit(connection, later, news)
            except BaseException as error:
                self._roll_back(error)
                cause = _cause(error)
            else:
                self._answer([job])
                return
        assert cause is not None
        self._tell(job, cause)

    def _tell(self, job: _Job[Any], cause: BaseException) -> None:
        if self._backend.full(cause):
            cause = HubError("disk_full")
        elif self._backend.lost(cause):
            cause = HubError("store_down")
        elif self._backend.again(cause):
            cause = HubError("store_overtaken")
        log.error("commit_failed", code=cause.code if isinstance(cause, HubError) else "store_failed", exc_info=cause)
        job.future.set_exception(cause)

    def _roll_back(self, error: BaseException) -> None:
        self._forget(self._held)
        _run(self._undone)
        self._undone = []
        if self._writer is None:
            return
        try:
            if self._backend.lost(_cause(error)):
                raise error
            self._writer.roll_back()
        except BaseException:
            self._writer.close()
            self._writer = None

    # -- reading -----------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A consistent view for reading, in the calling thread; it never waits for the writer."""
        with self._room():
            connection, _ = self._reader(self._begun)
            try:
                yield Transaction(connection)
            except Interrupted as broken:
                self._forsake(connection, broken.cause)
            finally:
                if connection in self._readers:
                    connection.execute("COMMIT")
                    self._spare.append(connection)

    def glance(self, statement: Statement, **values: Any) -> Row | None:
        """The one row that *statement* finds: a view of its own, for a third of what :meth:`reading` costs."""
        with self._room():
            connection, row = self._reader(lambda one: Transaction(one).one(statement, **values))
            self._spare.append(connection)
        return row

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """Whether this process is the only one at *name* now, and stays so inside; it never waits for another."""
        connection, mine = self._reader(lambda one: one.take(name))
        try:
            yield mine
        finally:
            try:
                if mine:
                    connection.give_back(name)
            except Exception as error:
                self._drop(connection)
                if not self._backend.lost(error):
                    raise
            else:
                self._spare.append(connection)

    def _room(self) -> contextlib.AbstractContextManager[Any]:
        """Room for one more that reads.  Calls that take turns read one at a time, and wait for no others."""
        return contextlib.nullcontext() if turns.taking() else self._reading

    def _begun(self, connection: Connection) -> None:
        connection.execute(self._backend.begin_reading)

    def _reader(self, first: Callable[[Connection], T]) -> tuple[Connection, T]:
        """A connection that nobody reads with, and what *first* has found on it; made anew where the store was away."""
        for fresh in (False, True):
            connection: Connection | None = None
            try:
                if not fresh:
                    with contextlib.suppress(IndexError):
                        connection = self._spare.pop()
                if connection is None:
                    connection = self._backend.connect(writing=False)
                    self._readers.append(connection)
                return connection, first(connection)
            except (Exception, Interrupted) as error:
                cause = _cause(error)
                if connection is not None:
                    self._drop(connection)
                if fresh or not self._backend.lost(cause):
                    if self._backend.lost(cause):
                        raise HubError("store_down") from cause
                    raise cause from None
        raise AssertionError("never reached")

    def _forsake(self, connection: Connection, cause: Exception) -> None:
        self._drop(connection)
        raise HubError("store_down") if self._backend.lost(cause) else cause

    def _drop(self, connection: Connection) -> None:
        self._readers.remove(connection)
        connection.close()

    def close(self) -> None:
        """Let the writer finish what waits, then close."""
        if self._closed:
            return
        self._closed = True
        self._stopping.set()
        self._jobs.put(None)
        self._thread.join()
        for connection in (*self._readers, self._writer):
            if connection is not None:
                connection.close()


def _run(hooks: Sequence[Callable[[], None]]) -> None:
    for hook in hooks:
        hook()


def _cause(error: BaseException) -> BaseException:
    return error.cause if isinstance(error, Interrupted) else error


def store_at_fault(error: BaseException) -> bool:
    """Whether a unit failed because the store could not take it, and not through anything of its own."""
    if isinstance(error, HubError):
        return error.code in ("disk_full", "store_down", "store_overtaken")
    return Sqlite.at_fault(error) or Postgres.at_fault(error)


@contextmanager
def looking(store: Path | str) -> Iterator[Transaction]:
    """A look at *store* beside whoever works with it.  Nothing is made, mended or disturbed.

    Raises HubError ``store_missing`` where there is none, ``store_version`` where another version made it.
    """
    backend = backend_of(store)
    if not backend.exists():
        raise HubError("store_missing", file=backend.name)
    connection = backend.look()
    try:
        migrations.fits(store, connection)
        connection.execute(backend.begin_reading)
        yield Transaction(connection)
    except Interrupted as broken:
        raise broken.cause from None
    finally:
        connection.close()
