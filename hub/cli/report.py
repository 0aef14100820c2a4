"""How a command reports: a table for people, lines for pipes, JSON for programs."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hub.settings import load

if TYPE_CHECKING:
    from hub.partners import Register

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_LEVELS = {"ok": "green", "warning": "yellow", "error": "red"}


def settings_option(command: F) -> F:
    return click.option(
        "--settings", "settings_file", type=FILE, metavar="FILE",
        help="Settings file instead of hub.toml in the home folder; HUB_SETTINGS names one too.",
    )(command)  # fmt: skip


def json_option(command: F) -> F:
    return click.option(
        "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True), metavar="FILE",
        help="Write the report as JSON to FILE too; `-` writes it to standard output instead of the table.",
    )(command)  # fmt: skip


@contextlib.contextmanager
def faults_told() -> Iterator[None]:
    """Ends the command with every fault of the partners' files where what runs inside meets them."""
    from hub.partners import RegisterFaults

    try:
        yield
    except RegisterFaults as wrong:
        raise click.ClickException(f"{wrong}\nNothing is sent to anybody until these are mended.") from None


def the_register(path: Path | None) -> "Register":
    """The partners as this installation has them now: its files, and what is laid over them."""
    from hub import partners
    from hub.store import overlay

    found = load(path)
    with faults_told():
        return partners.load(found, overlay.stored(found.store))


def to_stdout(json_file: Path | None) -> bool:
    return str(json_file) == "-"


def as_json(data: Any) -> str:
    return json.dumps(
        data, ensure_ascii=False, indent=1, default=lambda v: dict(v) if isinstance(v, Mapping) else str(v)
    )


def write_json(data: Any, json_file: Path | None) -> None:
    if json_file is None:
        return
    if to_stdout(json_file):
        click.echo(as_json(data))
    else:
        json_file.write_text(as_json(data) + "\n", encoding="utf-8")


def report(data: Any, json_file: Path | None, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Show *rows* as a table, and write *data* as JSON where it was asked for; with ``-`` the JSON alone is written.

    Into a pipe goes a line a row, its cells apart by tabs.
    """
    write_json(data, json_file)
    if to_stdout(json_file):
        return
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            click.echo("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_LEVELS.get(cell, "")) for cell in row))
    Console().print(table)


def words(value: Any) -> str:
    """*value* as people read it in a cell."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {words(found)}" for name, found in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else "–" if value is None else str(value)
