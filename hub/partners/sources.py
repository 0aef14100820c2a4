"""Where adapters come from: the home folder, the folders that the settings name, and installed packages.

Each source is a folder laid out as the home folder is (``adapters/``, ``mappings/``, ``schedules/``).  A package says
that it is one by an entry point of the group ``hub.adapters`` whose value is the package::

    [options.entry_points]
    hub.adapters =
        ferries = ferries_of_the_gulf

Nothing of the package is run to find its folder.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from hub.partners.documents import Fault
from hub.settings import Settings

GROUP = "hub.adapters"


@dataclass(frozen=True, slots=True)
class Source:
    """A folder that holds adapters.  ``shown`` stands before the path of its files in what people read."""

    folder: Path
    shown: str = ""

    def path(self, path: Path) -> str:
        return self.shown + path.relative_to(self.folder).as_posix()


def sources(settings: Settings, faults: list[Fault]) -> tuple[Source, ...]:
    """Every source of this installation, the home folder first.  One that is not there is a fault."""
    found = [Source(settings.home)]
    for folder in settings.adapters:
        if folder.is_dir():
            found.append(Source(folder, f"{folder.name}/"))
        else:
            faults.append(Fault("hub.toml", 1, f"'adapters' names {folder.name}, which is no folder"))
    for point in sorted(entry_points(group=GROUP)):
        package = next(_folders(point), None)
        if package is None:
            said = f"the package '{point.module}' of entry point '{point.name}' ({GROUP}) is not to be found"
            faults.append(Fault(point.value, 1, said))
        else:
            found.append(Source(package, f"{point.name}:"))
    return tuple(dict.fromkeys(found))


def _folders(point: EntryPoint) -> Iterator[Path]:
    try:
        spec = importlib.util.find_spec(point.module)
    except (ImportError, ValueError):
        return
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(place).resolve()
