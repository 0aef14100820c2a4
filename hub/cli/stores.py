"""Commands about the store as a whole: backup, restore, and moving it."""

import dataclasses
import os
import pwd
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.report import FILE, faults_told, json_option, report, settings_option
from hub.settings import load

if TYPE_CHECKING:
    from hub.exchange.restored import Prepared
    from hub.settings import Settings
    from hub.store.backup import Backup, Tables
    from hub.store.copying import Progress


@click.command(short_help="Write the whole store into one sealed file, beside a hub at work.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Take the place of a FILE that is there.")
@settings_option
@json_option
def backup(file: Path, replace: bool, settings_file: Path | None, json_file: Path | None) -> None:
    """Write the whole store, as it is at this moment, into FILE: compressed, sealed, readable by you alone.

    The hub goes on meanwhile, here and on other machines. FILE is sealed under the installation's keys, which are not
    in it: keep both, apart from each other. Look at it with `hub restore FILE --verify`.
    """
    from hub.security.keys import Keys
    from hub.store import backup as files
    from hub.store import copying

    found = load(settings_file)
    keys, began = Keys.load(found.keys), time.monotonic()
    with (
        copying.reading(found.store) as store,
        _shown(sum(store.count(t) for t in copying.tables())) as tell,
    ):
        told = files.write(store, file, keys, datetime.now(UTC), tell, replace=replace)
    _report_tables({"file": str(file), "bytes": file.stat().st_size, **told}, began, json_file)
    _say(f"Wrote {file}. The keys are not in it: without key {told['key']} of the keys file it cannot be opened.")


@click.command(short_help="Check a backup, or bring it back into an empty store.")
@click.argument("file", type=FILE)
@click.option("--verify", is_flag=True, help="Only check FILE: every byte, count and digest. No store is touched.")
@click.option("--sent", metavar="PARTNER/OPERATION=NUMBER", multiple=True,
              help="The last number of a stream of files that the partner has, if you asked. Repeatable.")  # fmt: skip
@settings_option
@json_option
def restore(
    file: Path, verify: bool, sent: tuple[str, ...], settings_file: Path | None, json_file: Path | None
) -> None:
    """Bring the store back from FILE, into the empty one that the settings name; then start the hub.

    All or nothing: every count and digest is compared again in the new store. What may have been sent since the backup
    is in doubt, and the hub asks the partners before it sends any of it. docs/backup.md says what is to be done about
    what came in since.
    """
    from hub.security.keys import Keys
    from hub.store.backup import Backup

    found = load(settings_file)
    began, numbers = time.monotonic(), dict(map(_stream, sent))
    with file.open("rb") as source:
        kept = Backup(source, Keys.load(found.keys))
        told = {"file": str(file), **kept.header}
        if verify:
            with _shown(kept.header["rows"]) as tell:
                tables, opened = kept.verify(tell)
            _report_tables({**told, "tables": tables, "opened": opened}, began, json_file)
            _say(f"{file} is whole: every chunk, count and digest agrees, and {opened} sealed rows were opened.")
            return
        tables, prepared = _restore(found, kept, numbers)
    _report_tables({**told, "tables": tables, "prepared": dataclasses.asdict(prepared)}, began, json_file)
    _say(
        f"Restored what was there at {kept.header['made_at']}. {prepared.exchanges} exchanges and {prepared.subjects} "
        "subjects may have been sent since: the hub asks about them before it sends any."
    )
    for stream, number in prepared.received.items():
        _say(f"Files of {stream} after number {number} must come again.")
    for stream, number in prepared.sent.items():
        _say(f"The next file of {stream} has number {number + 1}: ask the partner which it had last, see --sent.")


def _restore(found: "Settings", kept: "Backup", sent: Mapping[str, int]) -> "tuple[Tables, Prepared]":
    from hub.clock import Clock
    from hub.exchange import control, restored
    from hub.store import copying
    from hub.store.ledger import Moment

    clock, made_at = Clock(found.business_clock), datetime.fromisoformat(kept.header["made_at"])
    with (
        control.take(found), faults_told(), copying.filling(found.store, kept.oldest) as store_,
        _shown(kept.header["rows"]) as tell,
    ):  # fmt: skip
        tables = kept.restore(store_, tell)
        register = restored.register_in(store_.connection, found)
        at = Moment.of(clock.wall(), clock.now())
        return tables, restored.prepare(store_.connection, register, at, made_at=made_at, actor=_who(), sent=sent)


@click.group()
def store() -> None:
    """The store as a whole."""


@store.command("copy", short_help="Move a store of the embedded default to PostgreSQL.")
@click.option("--to", required=True, metavar="URL", help="An empty database: postgresql://USER@HOST/NAME. `${NAME}` "
              "in it is a secret of the settings; a password may come from PGPASSWORD or ~/.pgpass.")  # fmt: skip
@settings_option
@json_option
def copy(to: str, settings_file: Path | None, json_file: Path | None) -> None:
    """Copy the whole store to the empty one at URL, compare every row's digest, and put the old file aside.

    The hub must be stopped. Afterwards name the new store in HUB_DATABASE_URL. The old file stays as hub.db.moved, and
    must not be run again: both would send what is open.
    """
    from hub.exchange import control, restored
    from hub.store import copying

    found = load(settings_file)
    began, old, target = time.monotonic(), found.var / "hub.db", copying.store_at(found.expand(to))
    with control.take(found):
        with copying.reading(old) as source, copying.filling(target, source.oldest()) as store_:
            with _shown(sum(source.count(t) for t in copying.tables())) as tell:
                digests = copying.copied(source, store_, tell)
            restored.moved(store_.connection, _who(), datetime.now(UTC))
        aside = copying.put_aside(old)
    tables = {name: digest.told() for name, digest in digests.items()}
    _report_tables({"tables": tables}, began, json_file)
    _say(f"Every row is there. The old store is {aside} now; name the new one in HUB_DATABASE_URL.")


def _report_tables(told: Mapping[str, Any], began: float, json_file: Path | None) -> None:
    rows, seconds = sum(t["rows"] for t in told["tables"].values()), time.monotonic() - began
    figures = {"rows_total": rows, "seconds": round(seconds, 3), "rows_per_s": round(rows / seconds)}
    shown = [(name, str(t["rows"]), t["sha256_sum"][:16]) for name, t in told["tables"].items()]
    shown.append(("all", str(rows), f"{figures['rows_per_s']} rows/s"))
    report({**told, **figures}, json_file, ("table", "rows", "digest"), shown)


def _say(text: str) -> None:
    click.echo(text, err=True)


@contextmanager
def _shown(rows: int) -> "Iterator[Progress]":
    """How far it is, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda table, more: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rows", total=rows)
        yield lambda table, more: bar.update(task, advance=more, description=table)


def _stream(given: str) -> tuple[str, int]:
    name, _, number = given.partition("=")
    if "/" not in name or not number.isascii() or not number.isdigit():
        raise click.BadParameter(f"'{given}' is not PARTNER/OPERATION=NUMBER", param_hint="--sent")
    return name, int(number)


def _who() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name[:40]
    except KeyError:
        return f"uid {os.getuid()}"
