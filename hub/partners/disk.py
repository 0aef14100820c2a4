"""What the sources hold: adapters, partners, maps, purposes and schedules, each file read once and every fault kept."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from hub import mapping
from hub.mapping import Map, MapFaults
from hub.partners import documents, manifest, partner, schedules
from hub.partners.documents import Document, Fault, did_you_mean
from hub.partners.fit import Side
from hub.partners.manifest import Adapter
from hub.partners.partner import Partner
from hub.partners.schedules import Purpose, Schedule
from hub.partners.sources import Source
from hub.settings import Settings

_MAP_FILE = re.compile(r"(request|reply)\.v([1-9][0-9]*)\.yaml")
T = TypeVar("T")
Sources = tuple[Source, ...]


def adapters(sources: Sources, faults: list[Fault]) -> tuple[dict[str, Adapter], dict[str, str]]:
    """Every adapter that may be used, and of the drafts where each is."""
    found: dict[str, Adapter] = {}
    drafts: dict[str, str] = {}
    for path, document in _documents(sources, "adapters/*/*/adapter.yaml", faults):
        if manifest.is_draft(document):
            drafts[f"{path.parent.parent.name}/{path.parent.name}"] = document.path
            continue
        adapter = manifest.adapter(document, path.parent, faults)
        if adapter is not None:
            _put(found, adapter.id, adapter, f"the adapter '{adapter.id}'", document.fault(["adapter"], ""), faults)
    return found, drafts


def adapter(source: Source, id: str, faults: list[Fault]) -> Adapter | None:
    """One adapter, a draft or not; None if a fault forbids to go on with it."""
    path = source.folder / "adapters" / id / "adapter.yaml"
    document = documents.read(path, source.path(path), faults)
    return None if document is None else manifest.adapter(document, path.parent, faults)


def partners(
    sources: Sources,
    settings: Settings,
    known: Mapping[str, Adapter],
    drafts: Collection[str],
    faults: list[Fault],
) -> dict[str, Partner]:
    found: dict[str, Partner] = {}
    for _, document in _documents(sources, "adapters/*/partners.yaml", faults):
        for one in partner.rows(document, known, settings, faults, drafts=drafts):
            put_partner(found, one, faults)
    return found


def put_partner(found: dict[str, Partner], one: Partner, faults: list[Fault]) -> None:
    """Take *one* into *found*, unless its id is taken."""
    first = found.setdefault(one.id, one)
    if first is not one:
        said = f"the id '{one.id}' is taken (by {first.path}:{first.line})"
        faults.append(Fault(one.path, one.line, said))


def maps(
    sources: Sources, known: Mapping[str, Adapter], drafts: Collection[str], faults: list[Fault]
) -> dict[tuple[str, str, Side], Map]:
    """The highest active version of every map; those of no operation are faults, those of drafts are left alone."""
    found: dict[tuple[str, str, Side], tuple[int, Map]] = {}
    for source in sources:
        for path in sorted(source.folder.glob("mappings/*/*/*/*.yaml")):
            adapter, operation = f"{path.parts[-4]}/{path.parts[-3]}", path.parts[-2]
            if adapter in drafts:
                continue
            shown = source.path(path)
            named = _MAP_FILE.fullmatch(path.name)
            wrong = _misplaced(adapter, operation, known) or (
                None if named else "a map is called request.v1.yaml or reply.v1.yaml, with its version"
            )
            if wrong or named is None:
                faults.append(Fault(shown, 1, wrong or ""))
                continue
            try:
                one = mapping.load(path, home=source.folder)
            except MapFaults as refused:
                faults += [Fault(shown, fault.line, fault.text) for fault in refused.faults if fault.level == "error"]
                continue
            side: Side = "request" if named[1] == "request" else "reply"
            version = int(named[2])
            if one.active and version > found.get((adapter, operation, side), (0,))[0]:
                found[adapter, operation, side] = version, one
    return {name: one for name, (_, one) in found.items()}


def _misplaced(adapter: str, operation: str, known: Mapping[str, Adapter]) -> str | None:
    if adapter not in known:
        return f"there is no adapter '{adapter}'{did_you_mean(adapter, known)}"
    operations = known[adapter].operations
    if operation not in operations:
        return f"{adapter} has no operation '{operation}'{did_you_mean(operation, operations)}"
    return None


def purposes(sources: Sources, faults: list[Fault]) -> dict[str, Purpose]:
    found: dict[str, Purpose] = {}
    for _, document in _documents(sources, "mappings/purposes.yaml", faults):
        for one in schedules.purposes(document, faults):
            _put(found, one.name, one, f"a purpose '{one.name}'", document.fault((one.name,), ""), faults)
    return found


def timetable(sources: Sources, known: Mapping[str, Partner], faults: list[Fault]) -> dict[str, Schedule]:
    found: dict[str, Schedule] = {}
    for _, document in _documents(sources, "schedules/*.yaml", faults):
        for one in schedules.schedules(document, known, faults):
            _put(found, one.name, one, f"a schedule '{one.name}'", document.fault((one.name,), ""), faults)
    return found


def _documents(sources: Sources, pattern: str, faults: list[Fault]) -> Iterator[tuple[Path, Document]]:
    for source in sources:
        for path in sorted(source.folder.glob(pattern)):
            document = documents.read(path, source.path(path), faults)
            if document is not None:
                yield path, document


def _put(found: dict[str, T], name: str, one: T, what: str, at: Fault, faults: list[Fault]) -> None:
    if name in found:
        faults.append(Fault(at.path, at.line, f"{what} is in another file too"))
    else:
        found[name] = one
