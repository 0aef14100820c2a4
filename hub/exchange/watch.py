"""The watch over contracts: what a partner shows now against what its adapter keeps.  It alarms and changes nothing."""

from collections.abc import Callable

from hub.channels.http import Http
from hub.channels.published import drifted
from hub.exchange.collect import Collected
from hub.partners.partner import Partner
from hub.settings import ConfigError
from hub.store.database import Database, Transaction
from hub.store.ledger import Ledger, Moment

DRIFTED = "contract_drifted"


class Watch:
    """Looks at a partner's contracts when a schedule says so; ``now`` gives the clocks for rows."""

    def __init__(self, database: Database, ledger: Ledger, now: Callable[[], Moment]) -> None:
        self._database, self._ledger, self._now = database, ledger, now
        self._http = Http()

    def look(self, partner: Partner) -> Collected:
        """Compare every contract that *partner* shows with the one we keep.

        One that differs is put before an engineer, once until it agrees again; one that cannot be had is the run's
        failure and nobody's alarm.
        """
        looked, code = 0, None
        for adapter in partner.adapters:
            called = [op for op in adapter.operations.values() if op.direction == "out" and op.channel != "files"]
            if adapter.published is None or not called:
                continue
            try:
                target = partner.target(called[0])
            except ConfigError as error:
                return Collected(looked, code=error.code)
            found = drifted(self._http, target, adapter.contract, adapter.published)
            if not isinstance(found, list):
                return Collected(looked, code=found.code)
            looked += 1
            if found:
                code = DRIFTED
            self._database.unit(lambda tx, a=adapter.id, f=found: self._tell(tx, partner.id, a, bool(f)))  # type: ignore[misc]
        return Collected(looked, code=code)

    def close(self) -> None:
        self._http.close()

    def _tell(self, tx: Transaction, partner: str, adapter: str, differs: bool) -> None:
        at, where = self._now(), adapter[:40]
        if not differs:
            self._ledger.resolve(tx, at, DRIFTED, partner, where)
        elif not self._ledger.raised_already(tx, DRIFTED, partner, where, 0):
            self._ledger.raise_incident(
                tx, at, "contract", DRIFTED, "engineer", partner=partner, operation=where, line=0
            )  # fmt: skip
