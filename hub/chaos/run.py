"""``hub chaos``: the storm, the checker on trial, a full disk, and what came of them."""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hub.chaos import disk
from hub.chaos.postgres import Postgres
from hub.chaos.show import Show
from hub.chaos.storm import RESUMED, storm
from hub.chaos.trials import TRIALS, trials


def run(
    *, kills: int, seed: int, store: str, storm_only: bool = False, var: Path | None = None, quiet: bool = False
) -> dict[str, Any]:
    """Kill *kills* times over as many seasons as that takes; unless *storm_only*, try the checker with planted bugs and
    the hub with a full disk; and account for it.

    ``met`` says whether all is well.  Where it is not, the folders of it stay, below *var* or the system's folder for
    passing things, and ``kept`` names the place.  Raises :class:`~hub.chaos.postgres.NoPostgres` where that store is
    asked for and not to be had.
    """
    top = Path(tempfile.mkdtemp(prefix="hub-chaos-", dir=var))
    found: dict[str, bool] = {}
    full: dict[str, Any] = {"ran": False, "why": "only the storm was asked for"}
    with contextlib.ExitStack() as held:
        show = held.enter_context(Show(quiet=quiet))
        server = held.enter_context(Postgres()) if store == "postgres" else None
        with show.stage("kills", kills) as progress:
            account = storm(kills, seed, top, progress, server)
        if not storm_only:
            with show.stage("planted bugs", len(TRIALS) + 1) as progress:
                found = trials(top, progress, server)
            with show.stage("full disk", disk.ROUNDS) as progress:
                full = disk.starved(top, seed, progress, server=server is not None)
        if server is not None:
            shutil.copy(server.log, top / "postgres.log")
    told = account.report()
    told["plants"], told["planted"], told["planted_found"] = found, len(found), sum(found.values())
    told["disk_full"] = full
    told["findings"] += full.get("findings", [])
    told["met"] = (
        not told["findings"]
        and (told["recovery_s"]["max"] or 0) <= RESUMED
        and max(full.get("resumed_s", [0])) <= disk.RESUMED
        and all(found.values())
    )
    if told["met"]:
        shutil.rmtree(top)
    else:
        told["kept"] = str(top)
    return told
