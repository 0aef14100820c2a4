"""Commands for those who write mapping files."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hub.cli.report import FILE, as_json, json_option, report
from hub.settings import load


@click.group("map")
def map_() -> None:
    """The mapping files: how a partner's format and our messages correspond."""


@map_.command("check", short_help="Check maps: every fault with its line.")
@click.argument("files", nargs=-1, type=FILE)
@json_option
def map_check(files: Sequence[Path], json_file: Path | None) -> None:
    """Check map FILES, or all below mappings/: every fault at once, each with its file and line.

    Ends with 1 if any map does not load. A map without an example pair is a draft, and is said to be one.
    """
    from hub.mapping import MapFaults
    from hub.mapping import load as load_map

    home = load(None).home
    found: list[dict[str, Any]] = []
    for path in files or sorted(home.glob("mappings/*/*/*/*.yaml")):
        shown = path.resolve().relative_to(home).as_posix() if path.resolve().is_relative_to(home) else str(path)
        told: dict[str, Any] = {"file": shown, "level": "ok", "line": 0, "text": ""}
        try:
            one = load_map(path, home=home)
        except MapFaults as wrong:
            found += [told | {"level": f.level, "line": f.line, "text": f.text} for f in wrong.faults]
            continue
        told["text"] = f"{one.format}, {one.message.__name__}" + ("" if one.active else "; a draft: no example pair")
        found += [told, *(told | {"level": "warning", "line": w.line, "text": w.text} for w in one.warnings)]
    rows = [(f["level"], f"{f['file']}:{f['line']}" if f["line"] else f["file"], f["text"]) for f in found]
    report(found, json_file, ("", "map", "found"), rows)
    if any(f["level"] == "error" for f in found):
        sys.exit(1)


@map_.command("try", short_help="Show what a map makes of a sample.")
@click.argument("map_file", type=FILE)
@click.argument("sample", type=FILE)
@click.option("--write", is_flag=True, help="SAMPLE is the canonical form (JSON): write it in the partner's format.")
@click.option("--plain", is_flag=True, help="Show personal values as they are, not masked.")
@click.option("--date-order", type=click.Choice(["DMY", "MDY", "YMD"]), help="How SAMPLE's sender writes dates.")
def map_try(map_file: Path, sample: Path, write: bool, plain: bool, date_order: str | None) -> None:
    """Read SAMPLE, in the partner's format, by MAP_FILE and show the message; or the other way, with --write.

    What does not fit is told with its line or place in SAMPLE.
    """
    from hub.mapping import MapError, MapFaults, try_sample
    from hub.mapping import load as load_map

    try:
        one = load_map(map_file, home=load(None).home)
        found = try_sample(one, sample.read_bytes(), back=write, date_order=date_order)
    except (MapError, MapFaults) as wrong:
        raise click.ClickException(str(wrong)) from None
    except (ValueError, KeyError, TypeError):
        raise click.ClickException(f"SAMPLE is no {one.message.__name__} in its canonical form (JSON)") from None
    if write:
        sys.stdout.buffer.write(found)
    else:
        click.echo(as_json(found if plain else _masked(one.message, found)))


def _masked(cls: type, found: Mapping[str, Any]) -> dict[str, Any]:
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
            told[name] = [_masked(part, item) for item in value] if shape.many else _masked(part, value)
        else:
            told[name] = mask(value) if shape.personal else value
    return told
