"""Commands for those who write mapping files."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hub.canonical.declare import shapes
from hub.cli.report import FILE, as_json, json_option, report
from hub.settings import load


@click.group("map")
def map_() -> None:
    """The mapping files: how a partner's format and our messages correspond."""


@map_.command("check")
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


@map_.command("try")
@click.argument("map_file", type=FILE)
@click.argument("sample", type=FILE)
@click.option("--write", is_flag=True, help="SAMPLE is a message as JSON: write it in the partner's format.")
@click.option("--plain", is_flag=True, help="Show personal values as they are, not masked.")
def map_try(map_file: Path, sample: Path, write: bool, plain: bool) -> None:
    """Read SAMPLE, in the partner's format, by MAPFILE and show the message; or the other way, with --write.

    What does not fit is told with its line or place in SAMPLE.
    """
    from marshmallow import ValidationError

    from hub.canonical.schema import loads_strict, problems, schema_for
    from hub.mapping import MapError
    from hub.mapping import load as load_map

    one = load_map(map_file, home=load(None).home)
    data = sample.read_bytes()
    try:
        if write:
            sys.stdout.buffer.write(one.write(schema_for(one.message)().load(loads_strict(data))))
        else:
            message = one.read(data)
            click.echo(as_json(schema_for(type(message))().dump(message) if plain else _masked(message)))
    except MapError as wrong:
        raise click.ClickException(str(wrong)) from None
    except ValidationError as wrong:
        raise click.ClickException("\n".join(f"{p['field']}: {p['en']}" for p in problems(wrong))) from None


def _masked(value: Any) -> Any:
    """A message as plain data, with every field that identifies a person masked."""
    from hub.security.redaction import mask

    if isinstance(value, list):
        return [_masked(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value if value is None or isinstance(value, str | int | bool) else str(value)
    personal = {name for name, shape in shapes(type(value)).items() if shape.personal}
    return {
        field.name: mask(found) if field.name in personal and found is not None else _masked(found)
        for field in dataclasses.fields(value)
        if (found := getattr(value, field.name)) is not None
    }
