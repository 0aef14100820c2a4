"""``hub chaos``: the storm, and what came of it."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hub.chaos.show import Show
from hub.chaos.storm import RESUMED, storm


def run(*, kills: int, seed: int, store: str, var: Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Kill *kills* times over as many seasons as that takes, and account for it.

    Folders of what was found stay below *var*, or the system's folder for passing things, and are named in ``kept``.
    """
    top = Path(tempfile.mkdtemp(prefix="hub-chaos-", dir=var))
    with Show(quiet=quiet) as show, show.stage("kills", kills) as progress:
        account = storm(kills, seed, store, top, progress)
    told = account.report()
    if not told["kept"]:
        shutil.rmtree(top)
    told["met"] = not (
        told["lost"] or told["doubled"] or told["unexpected"] or (told["recovery_s"]["max"] or 0) > RESUMED
    )
    return told
