"""The five-minute clock at work: counts what was kept, and tells whoever must act of what is about to be broken."""

from collections.abc import Callable
from typing import Any

import structlog

from hub.canonical.errors import HubError
from hub.journey import Stage, Turns
from hub.partners import Register
from hub.store import promise
from hub.store.database import Database, Transaction
from hub.store.encoding import moment
from hub.store.ledger import Ledger, Moment
from hub.store.tally import Tally

log = structlog.get_logger(__name__)

EVERY = 5  # seconds between looks
PIECES = 20  # pieces added at a look: a store that was never counted is caught up with in many looks, not in one


class Promise:
    """Looks after the clock of all requests; ``now`` gives the clocks for rows.

    ``look`` may be called by any process at any time: what another has counted or told is not counted or told again.
    """

    def __init__(
        self, database: Database, ledger: Ledger, register: Register, turns: Turns, now: Callable[[], Moment]
    ) -> None:
        self._database, self._ledger, self._register, self._now = database, ledger, register, now
        self._turns, self._tally = turns, Tally(database)

    def look(self) -> None:
        """Add what was done to the counts, and put up and take down the alarms."""
        wall = self._now().wall
        for _ in range(PIECES):
            if not (self._tally.catch_up(wall) | promise.catch_up(self._database, self._tally, self._turns, wall)):
                break
        self._alarm()

    def standing(self) -> dict[str, Any]:
        """How the promise is kept: the figures of all requests, and what is late now, by partner and operation.

        ``share`` counts what waits beyond the promise now as broken already.
        """
        at = self._now()
        budgets = self._turns.at(moment(at.wall))
        with self._database.reading() as tx:
            found = promise.figures(tx, budgets, at.wall)
            timed = self._timed(tx, at)
            late = promise.late(tx, budgets, timed, at.wall)
            before = at.wall - budgets.promise * 1_000_000
            broken = sum(
                promise.waiting_since_before(tx, partner, operation, before)[0]
                for partner, operation, stage in timed
                if "SENT_FOR_REFERENCE" in stage.states
            )
        kept, n = (found["figures"]["promise"][key] for key in ("kept", "n"))
        found["open_broken"] = broken
        found["share"] = round(kept / (n + broken), 6) if n + broken else None
        found["late"] = [
            {
                "partner": one.partner, "operation": one.operation, "stage": one.stage, "percent": one.percent,
                "budget_s": one.seconds, "n": one.n, "since": moment(one.since).isoformat(),
            }
            for one in late
        ]  # fmt: skip
        return found

    # -- alarms ------------------------------------------------------------------------------------------------------

    def _timed(self, tx: Transaction, at: Moment) -> list[tuple[str, str, Stage]]:
        """What waits for an answer, with the stage whose budget it uses up."""
        budgets = self._turns.at(moment(at.wall))
        timed = []
        for partner, name in promise.open_operations(tx):
            known = self._register.partners.get(partner)
            operation = known.operations.get(name) if known else None
            stage = budgets.asked(operation.when) if operation and operation.when else None
            if stage is not None:
                timed.append((partner, name, stage))
        return timed

    def _alarm(self) -> None:
        """Bring what is told into line with what is late: one alarm for a partner's operation, not one a request."""
        at = self._now()
        budgets = self._turns.at(moment(at.wall))
        with self._database.reading() as tx:
            late = promise.late(tx, budgets, self._timed(tx, at), at.wall)
            up = promise.alarms(tx)
        # A broken promise has been near: only the worse of the two is told.
        worst: dict[tuple[str, str], str] = {}
        for one in sorted(late, key=lambda one: one.percent):
            worst[one.partner, one.operation] = one.code
        wanted = {(code, *where) for where, code in worst.items()}
        if wanted != up:
            self._database.unit(lambda tx: self._tell(tx, at, wanted))

    def _tell(self, tx: Transaction, at: Moment, wanted: set[tuple[str, str, str]]) -> None:
        up = promise.alarms(tx)
        for code, partner, operation in sorted(up - wanted):
            self._ledger.resolve(tx, at, code, partner, operation)
        for code, partner, operation in sorted(wanted - up):
            log.warning(code, partner=partner, operation=operation)
            self._ledger.raise_incident(
                tx, at, promise.ALARM, code, HubError(code).who, partner=partner, operation=operation, line=0
            )
