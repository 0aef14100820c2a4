"""From a file to a map: find what belongs to it, check everything, compile it."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from hub.canonical.messages import MESSAGES
from hub.mapping import check as checks
from hub.mapping import grammar, loader, xsd
from hub.mapping.compiled import Map
from hub.mapping.errors import Fault, MapFaults
from hub.mapping.model import Spec
from hub.security import xml

_FILE = re.compile(r"(?P<stem>[A-Za-z_][\w-]*)(?:\.v(?P<version>[1-9][0-9]*))?\.yaml")


def load(path: Path | str, *, home: Path | None = None, messages: Mapping[str, type] = MESSAGES) -> Map:
    """The map in *path*, completely checked and compiled.

    *home* is the folder that holds ``mappings/`` and ``adapters/``; left out, it is found above *path*.  *messages* are
    the classes that ``message:`` may name.  Raises :class:`MapFaults` with every fault of the file at once, OSError
    where it cannot be read.
    """
    path = Path(path)
    spec = _place(path, home)
    faults: list[Fault] = []

    def report(line: int, text: str) -> None:
        faults.append(Fault(spec.shown, line, text))

    def warn(line: int, text: str) -> None:
        faults.append(Fault(spec.shown, line, text, "warning"))

    data = path.read_bytes()
    declared = None
    try:
        tree = loader.parse(data)
    except loader.Unreadable as error:
        raise MapFaults([Fault(spec.shown, error.line, error.text)]) from None
    if grammar.read(tree, spec, messages, _folders(path, home), report):
        if spec.schema is not None:
            try:
                spec.validator = xml.schema(spec.schema)
                declared = xsd.read(spec.schema)
            except (xml.XmlRefused, ValueError) as error:
                report(spec.lines["schema"], f"{spec.schema.name} cannot be read: {error}")
        checks.check(spec, declared, report, warn)
    warnings = tuple(sorted(fault for fault in faults if fault.level == "warning"))
    if len(warnings) < len(faults):
        raise MapFaults(sorted(set(faults)))
    digest = hashlib.sha256(data)
    for name in sorted(spec.tables):
        for theirs, ours in spec.tables[name].read.items():
            digest.update(f"\0{name}\0{theirs}\0{ours}".encode())
    return Map(spec, digest=digest.hexdigest(), examples=examples(path), warnings=warnings, declared=declared)


def check(
    paths: Iterable[Path | str], *, home: Path | None = None, messages: Mapping[str, type] = MESSAGES
) -> list[Fault]:
    """Every fault and warning of the maps in *paths*, in their order: what ``hub map check`` prints."""
    found: list[Fault] = []
    for path in paths:
        try:
            found += load(path, home=home, messages=messages).warnings
        except MapFaults as error:
            found += error.faults
        except OSError as error:
            found.append(Fault(str(path), 1, f"cannot be read: {error.strerror}"))
    return found


def examples(path: Path) -> tuple[Path, ...]:
    """The partner's samples that belong to the map in *path*, each with ``.canonical.json`` beside it.

    They lie in ``examples/`` next to the map and their names begin with the map's (``request.xml``,
    ``request-single-name.xml``); where one message alone has maps in the folder, any name will do.
    ``request.v2-….xml`` belongs to version 2 only.
    """
    match = _FILE.fullmatch(path.name)
    if match is None:
        return ()
    stems = {m["stem"] for other in path.parent.glob("*.yaml") if (m := _FILE.fullmatch(other.name))}
    found = []
    for canonical in sorted((path.parent / "examples").glob("*.canonical.json")):
        stem = canonical.name.removesuffix(".canonical.json")
        owner = max((own for own in stems if _begins(stem, own)), key=len, default=None)
        if owner != match["stem"] and not (owner is None and len(stems) == 1):
            continue
        version = re.match(rf"{re.escape(match['stem'])}\.v([0-9]+)", stem)
        if version is not None and version[1] != match["version"]:
            continue
        found += [
            sample
            for sample in sorted(canonical.parent.glob(f"{stem}.*"))
            if sample.name == stem + sample.suffix and sample.suffix in (".xml", ".json", ".txt", ".csv", ".xlsx")
        ]
    return tuple(found)


def _begins(stem: str, own: str) -> bool:
    return re.match(rf"{re.escape(own)}(?![A-Za-z0-9_])", stem) is not None


def _place(path: Path, home: Path | None) -> Spec:
    parts = path.resolve().parts
    match = _FILE.fullmatch(path.name)
    stem, version = (match["stem"], int(match["version"] or 1)) if match else (path.stem, 1)
    if "mappings" in parts:
        inside = parts[len(parts) - 1 - parts[::-1].index("mappings") :]
        name, shown = "/".join((*inside[1:-1], stem)), "/".join(inside)
    else:
        name, shown = stem, "/".join(parts[-2:])
    return Spec(path=path, shown=shown, name=name, version=version, message=object, message_line=1, format="xml")


def _folders(path: Path, home: Path | None) -> tuple[Path, Path]:
    """Where code tables lie, and where the adapter's contract does."""
    parts = path.resolve().parts
    if "mappings" not in parts:
        return path.parent / "tables", path.parent
    at = len(parts) - 1 - parts[::-1].index("mappings")
    root = home if home is not None else Path(*parts[:at])
    return Path(*parts[: at + 1]) / "tables", root / "adapters" / Path(*parts[at + 1 : at + 3])
