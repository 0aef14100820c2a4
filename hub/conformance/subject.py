"""An adapter under examination: what its folder, its maps and their examples are."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hub import mapping
from hub.canonical.schema import undump
from hub.mapping import Map, MapFaults
from hub.partners import Adapter, Fault, Operation, Register, alone
from hub.partners.sources import sources
from hub.settings import Settings


class Finding(NamedTuple):
    """What is wrong in one place, and what to do about it."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


class Example(NamedTuple):
    """A sample of the partner's and what we make of it."""

    sample: Path
    message: Any
    date_order: str | None


@dataclass(slots=True)
class MapFile:
    """One file of ``mappings/<adapter>/<operation>/``: its map, or what is wrong with it."""

    path: Path
    shown: str
    operation: str
    side: str
    map: Map | None
    faults: tuple[Any, ...] = ()


@dataclass
class Subject:
    """Adapter *id* as it stands on disk.  ``laws`` is how many messages each map's laws are tried with."""

    id: str
    settings: Settings
    register: Register
    faults: tuple[Fault, ...]
    laws: int

    @classmethod
    def of(cls, settings: Settings, id: str, laws: int) -> "Subject":
        """Raises KeyError for an adapter that there is not."""
        register, faults = alone(settings, id)
        return cls(id, settings, register, faults, laws)

    @property
    def adapter(self) -> Adapter | None:
        """None where the manifest cannot be read at all."""
        return self.register.adapters.get(self.id)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        return tuple(self.adapter.operations.values()) if self.adapter else ()

    @cached_property
    def maps(self) -> tuple[MapFile, ...]:
        """Every map file of the adapter, drafts and old versions too."""
        home = self.folder.parents[2]
        found = []
        for path in sorted((home / "mappings" / self.id).glob("*/*.yaml")):
            shown, side = path.relative_to(home).as_posix(), path.name.partition(".")[0]
            one = MapFile(path, shown, path.parent.name, side, None)
            try:
                one.map = mapping.load(path, home=home)
            except MapFaults as wrong:
                one.faults = tuple(fault for fault in wrong.faults if fault.level == "error")
            found.append(one)
        return tuple(found)

    @property
    def sound(self) -> Iterator[tuple[MapFile, Map]]:
        """The maps that load and are no drafts."""
        return ((one, one.map) for one in self.maps if one.map is not None and one.map.spec.draft is None)

    def in_use(self, operation: Operation, side: Literal["request", "reply"]) -> Map | None:
        """The active map of one side of *operation*."""
        return self.register.maps.get((self.id, operation.name, side))

    def examples(self, one: Map) -> list[Example]:
        """The example pairs of a map.  A pair that cannot be read at all is left out: its own rule tells it."""
        found = []
        for sample in one.examples:
            canonical = sample.with_name(sample.name.removesuffix(sample.suffix) + ".canonical.json")
            try:
                given = json.loads(canonical.read_text("utf-8"))
                order, _ = given.pop("date_order", None), given.pop("only", None)
                found.append(Example(sample, undump(one.message, {"schema": 1, **given}), order))
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def told(self, text: str) -> Finding:
        """A finding about the manifest as a whole."""
        return Finding(self.manifest, 1, text)

    @cached_property
    def folder(self) -> Path:
        """Where the adapter lies."""
        places = (one.folder / "adapters" / self.id for one in sources(self.settings, []))
        return next(place for place in places if (place / "adapter.yaml").is_file())

    @property
    def manifest(self) -> str:
        return self.adapter.path if self.adapter else f"adapters/{self.id}/adapter.yaml"
