"""``hub chaos``: the storm, the checker on trial, and what came of both."""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hub.chaos.postgres import Postgres
from hub.chaos.show import Show
from hub.chaos.storm import RESUMED, storm
from hub.chaos.trials import TRIALS, trials


def run(
    *, kills: int, seed: int, store: str, plants: bool = True, var: Path | None = None, quiet: bool = False
) -> dict[str, Any]:
    """Kill *kills* times over as many seasons as that takes, try the checker with *plants*, and account for it.

    Where something is wrong the folders of it stay, below *var* or the system's folder for passing things, and ``kept``
    names the place.  Raises :class:`~hub.chaos.postgres.NoPostgres` where that store is asked for and not to be had.
    """
    top = Path(tempfile.mkdtemp(prefix="hub-chaos-", dir=var))
    found: dict[str, bool] = {}
    with contextlib.ExitStack() as held:
        show = held.enter_context(Show(quiet=quiet))
        server = held.enter_context(Postgres()) if store == "postgres" else None
        with show.stage("kills", kills) as progress:
            account = storm(kills, seed, top, progress, server)
        if plants:
            with show.stage("planted bugs", len(TRIALS) + 1) as progress:
                found = trials(top, progress, server)
    told = account.report()
    told["plants"], told["planted"], told["planted_found"] = found, len(found), sum(found.values())
    told["met"] = (
        not (told["lost"] or told["doubled"] or told["unexpected"])
        and (told["recovery_s"]["max"] or 0) <= RESUMED
        and all(found.values())
    )
    if told["met"]:
        shutil.rmtree(top)
    else:
        told["kept"] = str(top)
    return told
