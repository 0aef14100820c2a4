"""``hub demo``: a season from its seed to its last exit stamp, and the account of it."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hub import settings
from hub.demo import checker
from hub.demo.checker import Finding, Known
from hub.demo.doors import Doors, Record
from hub.demo.driver import Driver
from hub.demo.installation import Installation, Terms, write_durably
from hub.demo.pace import Pace
from hub.demo.season import FIRST_ARRIVAL, START, Season
from hub.demo.show import Show
from hub.demo.story import Story, choose, tell
from hub.demo.supervise import Children
from hub.simulate.ledger_check import count

#: Travellers are announced and missed so long before they come; until then it is all desks and ministries.
ANNOUNCED = timedelta(days=3)
#: Wall seconds between two looks while groups are still being filed.
_GLANCE = 0.25


def run(
    *,
    pilgrims: int,
    seed: int = 1,
    faults: str = "none",
    rate: float | None = None,
    var: Path | None = None,
    serve: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Make the season of *seed*, drive it to its end, and account for it.

    *faults* is none, some or storm: how partners fail; *rate* limits filing to so many pilgrims a second.  A season
    that *var* holds already is gone on with, on the terms it was begun with.  With *serve* the hub stays up until
    Ctrl-C.  Answers the report: ``lost``, ``doubled`` and ``unexplained`` are 0 when all is well; ``wall_s`` counts
    from the first filing until nothing is left to happen.
    """
    began = time.monotonic()
    folder = var or settings.load(None).var / f"season-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    installation = Installation.open(folder, Terms(pilgrims=pilgrims, seed=seed, faults=faults))
    season = installation.season()
    total = installation.terms.pilgrims
    with (
        Show(total, quiet=quiet) as show,
        contextlib.closing(Doors(installation.hub_url, installation.api_keys)) as hub,
        contextlib.closing(Doors(installation.simulators_url, {})) as simulators,
        contextlib.closing(Record(installation.var / "driver.jsonl")) as record,
    ):
        driver = Driver(installation, season, hub, record)
        show.stage_seconds["make"] = round(time.monotonic() - began, 3)
        with Children(installation) as children:
            report, findings, story = _drive(show, installation, season, hub, simulators, driver, children, rate)
            write_durably(installation.var / "result.json", json.dumps(report, indent=1))
            show.__exit__(None, None, None)
            show.summary(report, findings)
            if story is not None:
                show.story(*story)
            show.address(installation.hub_url, serve)
            if serve:
                with contextlib.suppress(KeyboardInterrupt):
                    threading.Event().wait()
    return report


def _drive(
    show: Show,
    installation: Installation,
    season: Season,
    hub: Doors,
    simulators: Doors,
    driver: Driver,
    children: Children,
    rate: float | None,
) -> tuple[dict[str, Any], list[Finding], Story | None]:
    pace = Pace(installation, hub, simulators, driver, show.watch, lambda: children.broken)
    glanced = 0.0

    def glance() -> None:
        nonlocal glanced
        if time.monotonic() - glanced > _GLANCE:
            driver.attend(pace.look())
            glanced = time.monotonic()

    show.stage("start")
    simulators.get(None, "/_status")
    hub.get(None, "/health")
    show.stage("file")
    filing = time.monotonic()
    driver.file_all(rate, glance)
    show.stage("visas")
    stuck = pace.run(before=START + FIRST_ARRIVAL - ANNOUNCED)
    show.stage("travel")
    stuck = stuck or pace.run()
    wall = time.monotonic() - filing
    show.stage("check")
    told = count(installation.var / "simulators.db")
    known = Known(
        filed={place: filed.id for place, filed in driver.filed.items()},
        groups=driver.groups(),
        now=pace.look(),
        rosters=driver.rosters,
        stay_at_home=frozenset(driver.stay_at_home),
        stuck=stuck,
    )
    findings = checker.check(season, told, known)
    story = tell(hub, choose(season, driver, known))
    show.stage(None)
    return _report(season, told, known, findings, show.stage_seconds, wall), findings, story


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
