"""``hub demo``: a season from its seed to its last exit stamp, and the account of it."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hub import settings
from hub.canonical.errors import HubError
from hub.demo import checker
from hub.demo.checker import Finding, Known
from hub.demo.doors import DoorClosed, Doors, Record
from hub.demo.driver import Driver, Unexpected
from hub.demo.installation import OPERATOR, Installation, Terms
from hub.demo.pace import Pace
from hub.demo.rosters import NoOutcome
from hub.demo.season import FIRST_ARRIVAL, START, Season
from hub.demo.show import Show
from hub.demo.story import choose, tell
from hub.demo.supervise import Children
from hub.simulate.ledger_check import count

#: Travellers are announced and missed so long before they come; until then it is all desks and ministries.
ANNOUNCED = timedelta(days=3)


def run(
    *,
    pilgrims: int,
    seed: int = 1,
    faults: str = "none",
    rate: float | None = None,
    var: Path | None = None,
    serve: bool = False,
    quiet: bool = False,
    database_url: str = "",
) -> dict[str, Any]:
    """Make the season of *seed*, drive it to its end, and account for it.

    *faults* is none, some or storm: how partners fail; *rate* limits filing to so many pilgrims a second.  A season
    that *var* holds already is gone on with, on the terms it was begun with.  With *serve* the hub stays up until
    Ctrl-C.  *database_url* names an empty PostgreSQL database to keep the ledger in.  Raises HubError
    ``demo_child_down`` when the hub or the simulators cannot be kept running.

    Answers the report: ``lost``, ``doubled`` and ``unexplained`` are 0 when all is well; ``wall_s`` counts
    from the first filing until nothing is left to happen.
    """
    began = time.monotonic()
    folder = var or settings.load(None).var / f"season-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    installation = Installation.open(folder, Terms(pilgrims, seed, faults, database_url))
    with contextlib.ExitStack() as held:
        children = held.enter_context(Children(installation))
        hub = held.enter_context(contextlib.closing(
            Doors(installation.hub_url, installation.api_keys, lambda: children.broken is not None)
        ))  # fmt: skip
        simulators = held.enter_context(contextlib.closing(
            Doors(installation.simulators_url, {}, lambda: children.broken is not None)
        ))  # fmt: skip
        record = held.enter_context(contextlib.closing(Record(installation.var / "driver.jsonl")))
        season = installation.season()
        driver = Driver(installation, season, hub, record)
        with Show(installation.terms, quiet=quiet) as show:
            show.stage_seconds["make"] = round(time.monotonic() - began, 3)
            try:
                stuck, wall = _drive(show, Pace(installation, hub, simulators, driver, show.watch), driver, rate)
                show.stage("check")
                known = _known(driver, hub, stuck)
            except DoorClosed:
                name = children.broken or "hub"
                raise HubError("demo_child_down", name=name, file=f"{name}.log") from None
            told = count(installation.var / "simulators.db", settings.load(installation.settings_file, {}))
            findings = checker.check(season, told, known)
            story = tell(hub, choose(season, driver, known))
            show.stage(None)
        report = _report(season, told, known, findings, show.stage_seconds, wall)
        show.summary(report, findings)
        if story is not None:
            show.story(*story)
        show.address(installation.hub_url, serve)
        if serve:
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
    return report


def _drive(show: Show, pace: Pace, driver: Driver, rate: float | None) -> tuple[str | None, float]:
    """File everybody and let the season pass; why it could not come to its end, if so, and the wall seconds it took."""
    show.stage("start")
    pace.start()
    show.stage("file")
    began = time.monotonic()
    try:
        driver.file_all(rate, pace.glance)
        show.stage("visas")
        stuck = pace.run(before=START + FIRST_ARRIVAL - ANNOUNCED)
        show.stage("travel")
        stuck = stuck or pace.run()
    except (Unexpected, NoOutcome) as wrong:
        # What has come about so far is still held against the partners' books.
        stuck = str(wrong)
    return stuck, time.monotonic() - began


def _known(driver: Driver, hub: Doors, stuck: str | None) -> Known:
    return Known(
        filed={place: filed.id for place, filed in driver.filed.items()},
        groups=driver.groups(),
        now=hub.get(OPERATOR, "/v1/operations/now"),
        rosters=driver.rosters,
        stay_at_home=frozenset(driver.stay_at_home),
        stuck=stuck,
    )


def _report(
    season: Season,
    told: Mapping[str, Any],
    known: Known,
    findings: Sequence[Finding],
    stage_seconds: Mapping[str, float],
    wall: float,
) -> dict[str, Any]:
    kinds = Counter(finding.kind for finding in findings)
    pilgrims = sum(1 for _ in season.travellers)
    figures = known.now["seconds_to_reference"]
    return {
        "pilgrims": pilgrims,
        "states": dict(known.now["states"]),
        "references": sum(facts["reference"] == "issued" for facts in told["travellers"].values()),
        "visas": sum(facts["visa"] == "printed" for facts in told["travellers"].values()),
        "exited": known.now["states"].get("EXITED", 0),
        "exchanges": {
            partner: {name: counts.get(name, 0) for name in ("sent", "refused", "retried", "dead")}
            for partner, counts in known.now["exchanges"].items()
        },
        "lost": kinds["lost"],
        "doubled": kinds["doubled"],
        "unexplained": kinds["unexplained"],
        "seconds_to_reference": {name: figures[name] for name in ("p50", "p99", "max")},
        "stage_seconds": dict(stage_seconds),
        "wall_s": round(wall, 3),
        "pilgrims_per_s": round(pilgrims / wall, 2),
    }
