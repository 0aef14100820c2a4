"""Commands for those who write mapping files."""

import difflib
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hub.cli.report import FILE, as_json, json_option, report, settings_option, the_register, to_stdout, write_json
from hub.settings import load

if TYPE_CHECKING:
    from hub.mapping import Map

_PATH = click.Path(exists=True, path_type=Path)
Side = Literal["request", "reply"]


@click.group("map")
def map_() -> None:
    """The mapping files: how a partner's format and our messages correspond."""


@map_.command("check", short_help="Check maps: every fault with its line.")
@click.argument("paths", nargs=-1, type=_PATH)
@json_option
def map_check(paths: Sequence[Path], json_file: Path | None) -> None:
    """Check the maps in PATHS (files or folders), or all below mappings/: every fault at once, with file and line.

    Ends with 1 if any map does not load. A map without an example pair, or with a `draft:` line, is said to be a draft.
    """
    from hub.mapping import MapFaults
    from hub.mapping import load as load_map

    home = load(None).home
    found: list[dict[str, Any]] = []
    for path in _maps(paths, home):
        shown = path.resolve().relative_to(home).as_posix() if path.resolve().is_relative_to(home) else str(path)
        told: dict[str, Any] = {"file": shown, "level": "ok", "line": 0, "text": ""}
        try:
            one = load_map(path, home=home if path.resolve().is_relative_to(home) else None)
        except MapFaults as wrong:
            found += [told | {"level": f.level, "line": f.line, "text": f.text} for f in wrong.faults]
            continue
        why = "" if one.active else "; a draft: no example pair" if one.spec.draft is None else "; a draft"
        told["text"] = f"{one.format}, {one.message.__name__}{why}"
        found += [told, *(told | {"level": "warning", "line": w.line, "text": w.text} for w in one.warnings)]
    rows = [(f["level"], f"{f['file']}:{f['line']}" if f["line"] else f["file"], f["text"]) for f in found]
    report(found, json_file, ("", "map", "found"), rows)
    if any(f["level"] == "error" for f in found):
        sys.exit(1)


@map_.command("try", short_help="Show what a map makes of a sample.")
@click.argument("map_file", type=FILE)
@click.argument("sample", type=FILE)
@click.option("--back", is_flag=True, help="Write what was read back, and show where the bytes differ from SAMPLE.")
@click.option("--write", is_flag=True, help="SAMPLE is the canonical form (JSON): write it in the partner's format.")
@click.option("--plain", is_flag=True, help="Show personal values as they are, not masked.")
@click.option("--date-order", type=click.Choice(["DMY", "MDY", "YMD"]), help="How SAMPLE's sender writes dates.")
@json_option
def map_try(
    map_file: Path, sample: Path, back: bool, write: bool, plain: bool, date_order: str | None, json_file: Path | None
) -> None:
    """Read SAMPLE, in the partner's format, by MAP_FILE and show the message; or the other way, with --write.

    With --back the message is written again and held against SAMPLE, place by place; ends with 1 where they differ.
    What does not fit is told with its line or place in SAMPLE.
    """
    from hub.canonical.schema import dump, undump
    from hub.mapping import shown

    one = _loaded(map_file)
    data = sample.read_bytes()
    if write:
        sys.stdout.buffer.write(_written(one, data, undump))
        return
    message = _run(one, lambda: one.read(data, date_order=date_order))
    canonical = dump(message)
    told: dict[str, Any] = {"canonical": canonical if plain else masked(one.message, canonical)}
    if back:
        again = _run(one, lambda: one.write(message))
        was, now = (
            [f"{where}: {value}" for where, value in shown.wire(one, each, plain=plain)] for each in (data, again)
        )
        told["back"] = list(difflib.unified_diff(was, now, "sample", "written", lineterm="", n=1))
    write_json(told, json_file)
    if not to_stdout(json_file):
        click.echo(as_json(told["canonical"]))
        if back:
            _show_diff(told["back"])
    if told.get("back"):
        sys.exit(1)


@map_.command("new", short_help="Draft a map from a contract or a sample.")
@click.option("--from", "contract", required=True, type=FILE, help="A WSDL, XSD, OpenAPI document, or a sample file.")
@click.option("--operation", metavar="OP", help="Which operation of the contract (of a schema: which element).")
@click.option("--part", type=click.Choice(["request", "reply"]), default="request", help="What asks, or what answers.")
@click.option("--message", metavar="MESSAGE", help="Our message; left out, the one most alike is taken.")
@click.option("--to", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write the draft there.")
@json_option
def map_new(
    contract: Path, operation: str | None, part: Side, message: str | None, target: Path | None, json_file: Path | None
) -> None:
    """Draft a map: required places in wire order, guesses for known names, `todo` where only a person can know.

    It loads as it is, as a draft: `hub map check` lists what is still to do. What cannot be drafted is refused with the
    construct that stands in the way. Nothing is fetched, and no existing file is written over.
    """
    from hub.mapping.draft import Refused, draft

    if target is not None and target.exists():
        raise click.ClickException(f"{target} is there already: a map in use is never changed; write the next version")
    try:
        made = draft(contract, operation, part=part, message=message)
    except Refused as refused:
        raise click.ClickException(f"no draft of {contract.name}. {refused}") from None
    written = _place_draft(target, made.text, made.schemas) if target is not None else []
    told = {
        "message": made.message, "guessed": made.guessed, "format": made.format, "todo": made.todos,
        "schemas": list(made.schemas), "written": [str(path) for path in written], "map": made.text,
    }  # fmt: skip
    write_json(told, json_file)
    if target is None and not to_stdout(json_file):
        click.echo(made.text, nl=False)
    for path in written:
        click.echo(f"written: {path}", err=True)
    said = f"{made.message}{' (guessed)' if made.guessed else ''}; {made.todos} to decide"
    if made.schemas and len(written) < 2:
        said += f"; it needs {', '.join(made.schemas)} in the adapter's folder"
    click.echo(said, err=True)


@map_.command("diff", short_help="What a new map changes on the wire.")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@json_option
def map_diff(old: Path, new: Path, json_file: Path | None) -> None:
    """Compare the maps OLD and NEW: what the wire gains and loses, places, forms and codes, and which fields of ours.

    Ends with 0 where nothing changes, with 1 where something does.
    """
    from hub.mapping.diff import diff

    changes = diff(_loaded(old), _loaded(new))
    rows = [(c.kind, c.what, c.where, c.was, c.now) for c in changes]
    data = [{"kind": c.kind, "what": c.what, "where": c.where, "was": c.was, "now": c.now} for c in changes]
    report(data, json_file, ("", "", "where", "old", "new"), rows)
    if changes:
        sys.exit(1)


@map_.command("replay", short_help="A new map over recorded messages.")
@click.argument("map_file", type=FILE)
@click.option("--since", required=True, type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Business day.")
@click.option("--old", type=FILE, help="The map to compare with; left out, the one in use for that operation.")
@click.option("--partner", metavar="ID", help="Only what this partner sent or was sent.")
@settings_option
@json_option
def map_replay(
    map_file: Path, since: datetime, old: Path | None, partner: str | None, settings_file: Path | None,
    json_file: Path | None,
) -> None:  # fmt: skip
    """Run MAP_FILE and the map in use over what the ledger has recorded since a day: who would notice, and of what.

    Nothing is changed and nothing is sent; values that may be somebody's are masked. Ends with 1 where anything would
    be otherwise.
    """
    from hub.canonical.errors import HubError
    from hub.security.keys import Keys
    from hub.security.sealing import Sealer
    from hub.store.recorded import recorded

    settings = load(settings_file)
    register = the_register(settings_file)
    new = _loaded(map_file)
    key, operation, side = _named(new)
    known = register.adapters.get(key)
    if known is None or operation not in known.operations:
        raise click.ClickException(f"{new.name} belongs to no operation of an adapter: replay needs recorded messages")
    before = _loaded(old) if old is not None else register.maps.get((key, operation, side))
    if before is None:
        raise click.ClickException(f"no map is in use for {new.name}: name one with --old")
    messages = recorded(
        settings.store, Sealer(Keys.load(settings.keys)), operation=operation, kind=side,
        since=since.replace(tzinfo=UTC),
    )  # fmt: skip
    told = _Radius()
    try:
        for message in messages:
            row = register.partners.get(message.partner)
            if (
                row is None
                or all(each.id != key for each in row.adapters)
                or (partner is not None and message.partner != partner)
            ):
                continue
            order = row.agent.date_order if row.agent is not None else None
            told.take(before, new, message.partner, message.body, message.written, order)
    except HubError as wrong:
        if wrong.code != "store_missing":
            raise
        raise click.ClickException(f"{wrong.en} So nothing has been recorded.") from None
    report(told.data(before, new), json_file, ("partner", "", "messages", "what"), told.rows())
    if told.otherwise:
        sys.exit(1)


@map_.command("laws", short_help="Try the laws that every map keeps.")
@click.argument("paths", nargs=-1, type=_PATH)
@click.option("--examples", type=click.IntRange(1, 100_000), default=100, help="Messages to try on each map.")
@json_option
def map_laws(paths: Sequence[Path], examples: int, json_file: Path | None) -> None:
    """Try the laws on the maps in PATHS, or on all: what is written is read back, and damage is always located.

    Example pairs are held too. Ends with 1 where a law is broken. Drafts are passed over.
    """
    if find_spec("hypothesis") is None:
        raise click.ClickException("the laws are tried by hypothesis: pip install 'umrah-hub[test]'")
    from hub.mapping import MapFaults, laws
    from hub.mapping import load as load_map

    home = load(None).home
    found: list[dict[str, str]] = []
    for path in _maps(paths, home):
        try:
            one = load_map(path, home=home if path.resolve().is_relative_to(home) else None)
        except MapFaults as wrong:
            found.append({"map": str(path), "level": "error", "text": f"does not load: {wrong.faults[0]}"})
            continue
        if one.spec.draft is not None:
            found.append({"map": one.name, "level": "warning", "text": "a draft: decide what is still to do"})
            continue
        level, text = "ok", f"{examples} messages, {len(one.examples)} example pairs"
        try:
            laws.hold(one, examples=examples)
            for pair in one.examples:
                laws.example(one, pair)
        except Exception as broken:  # whatever a law raises is what is to be shown
            level, text = "error", _first_line(broken)
        found.append({"map": one.name, "level": level, "text": text})
    report(found, json_file, ("", "map", "found"), [(f["level"], f["map"], f["text"]) for f in found])
    if any(f["level"] == "error" for f in found):
        sys.exit(1)


# --- shared -------------------------------------------------------------------------------------------------------


def _maps(paths: Sequence[Path], home: Path) -> Iterator[Path]:
    """The map files in *paths*, folders searched through; all below mappings/ where none is named."""
    if not paths:
        yield from sorted(home.glob("mappings/*/*/*/*.yaml"))
    for path in paths:
        yield from sorted(path.glob("**/*.v*.yaml")) if path.is_dir() else (path,)


def _loaded(path: Path) -> "Map":
    from hub.mapping import MapFaults
    from hub.mapping import load as load_map

    home = load(None).home
    try:
        return load_map(path, home=home if path.resolve().is_relative_to(home) else None)
    except MapFaults as wrong:
        raise click.ClickException(str(wrong)) from None


def _run(one: "Map", step: Any) -> Any:
    from hub.canonical.errors import HubError
    from hub.mapping import MapError

    try:
        return step()
    except MapError as wrong:
        raise click.ClickException(str(wrong)) from None
    except HubError as wrong:
        raise click.ClickException(f"{wrong.code}: {wrong.en}") from None


def _written(one: "Map", data: bytes, undump: Any) -> bytes:
    import json

    try:
        message = undump(one.message, json.loads(data))
    except (ValueError, KeyError, TypeError):
        raise click.ClickException(f"SAMPLE is no {one.message.__name__} in its canonical form (JSON)") from None
    written: bytes = _run(one, lambda: one.write(message))
    return written


def masked(cls: type, found: dict[str, Any]) -> dict[str, Any]:
    """The canonical form of a *cls* with every value that identifies a person masked."""
    from hub.canonical.declare import shapes
    from hub.security.redaction import mask

    told: dict[str, Any] = {}
    for name, value in found.items():
        shape = shapes(cls).get(name)
        if shape is None or value is None:
            told[name] = value
        elif shape.part is not None:
            part = shape.part
            told[name] = [masked(part, item) for item in value] if shape.many else masked(part, value)
        else:
            told[name] = mask(value) if shape.personal else value
    return told


def _show_diff(lines: Sequence[str]) -> None:
    if not lines:
        click.secho("written back, every place is as in the sample", fg="green")
    for line in lines:
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        click.secho(line, fg=colour, bold=line.startswith(("+++", "---")) or None)


def _place_draft(target: Path, text: str, schemas: Any) -> list[Path]:
    """Write the draft, and its schemas into the adapter's folder where *target* tells which that is."""
    parts = target.resolve().parts
    written = [target]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    if "mappings" in parts[:-3]:
        at = len(parts) - 1 - parts[::-1].index("mappings")
        folder = Path(*parts[:at], "adapters", *parts[at + 1 : at + 3])
        for name, data in schemas.items():
            path = folder / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                written.append(path)
    return written


def _named(one: "Map") -> tuple[str, str, Side]:
    """The adapter, the operation and the side that a map is for, as its way below mappings/ says."""
    parts = one.name.split("/")
    if len(parts) != 4 or parts[3] not in ("request", "reply"):
        text = "a map to replay lies at mappings/FAMILY/ADAPTER/OPERATION/request.vN.yaml (or reply)"
        raise click.ClickException(f"{one.name}: {text}")
    return "/".join(parts[:2]), parts[2], "request" if parts[3] == "request" else "reply"


def _first_line(error: BaseException) -> str:
    text = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return re.sub(r"\s+", " ", text)[:300]


class _Radius:
    """What a new map would do otherwise, counted by partner."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Counter[str]] = {}
        self.places: dict[str, Counter[tuple[str, str]]] = {}
        self.shown: dict[tuple[str, str, str], tuple[str, str]] = {}

    @property
    def otherwise(self) -> bool:
        return any(n for found in self.verdicts.values() for verdict, n in found.items() if verdict in _OTHERWISE)

    def take(self, old: "Map", new: "Map", partner: str, body: bytes, written: bool, order: str | None) -> None:
        from hub.mapping.replay import compare

        outcome = compare(old, new, body, written=written, date_order=order)
        self.verdicts.setdefault(partner, Counter())[outcome.verdict] += 1
        counted = self.places.setdefault(partner, Counter())
        if outcome.why:
            counted[outcome.verdict, outcome.why] += 1
        for told in outcome.differences:
            counted["differs", told.place] += 1
            self.shown.setdefault((partner, "differs", told.place), (told.was, told.now))

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        for partner, found in sorted(self.verdicts.items()):
            yield partner, "recorded", str(found.total()), f"{found['same']} would be the same"
            for (verdict, what), n in self.places[partner].most_common():
                was, now = self.shown.get((partner, verdict, what), ("", ""))
                yield (
                    partner,
                    verdict,
                    str(n),
                    f"{what}: {was or 'nothing'} → {now or 'nothing'}" if was or now else what,
                )

    def data(self, old: "Map", new: "Map") -> dict[str, Any]:
        return {
            "old": {"map": old.name, "version": old.version, "hash": old.hash},
            "new": {"map": new.name, "version": new.version, "hash": new.hash},
            "partners": {
                partner: {
                    **{verdict: found[verdict] for verdict in ("same", *_OTHERWISE, "unread")},
                    "places": [
                        {"verdict": verdict, "what": what, "messages": n,
                         "example": self.shown.get((partner, verdict, what))}
                        for (verdict, what), n in self.places[partner].most_common()
                    ],
                }
                for partner, found in sorted(self.verdicts.items())
            },
        }  # fmt: skip


_OTHERWISE = ("differs", "refused", "mended")
