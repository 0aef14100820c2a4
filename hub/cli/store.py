"""Commands that keep the store in order: its schema, what it promises, and what it keeps for how long."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub.canonical.errors import HubError
from hub.cli.report import json_option, report, settings_option
from hub.cli.stores import store
from hub.settings import Settings, load

__all__ = ["store"]

if TYPE_CHECKING:
    from hub.store.database import Database


@store.command("upgrade", short_help="Bring the store's tables up to this version.")
@settings_option
@json_option
def upgrade(settings_file: Path | None, json_file: Path | None) -> None:
    """Bring the store's tables up to this version of the hub, all or nothing. Make a backup first.

    The hub must be stopped. A store that is up to date is left as it is.
    """
    from hub.store import migrations
    from hub.store.backend import backend_of

    found = load(settings_file)
    with _alone(found):
        backend = backend_of(found.store)
        backend.prepare()
        with contextlib.closing(backend.connect(writing=True)) as connection:
            before = migrations.revision(connection)
        migrations.upgrade(found.store)
    told = {"before": before, "now": migrations.HEAD}
    report(told, json_file, ("schema", "revision"), [("before", before or "none"), ("now", migrations.HEAD)])


@store.command("check", short_help="Look whether the store is as the hub needs it.")
@settings_option
@json_option
def check(settings_file: Path | None, json_file: Path | None) -> None:
    """Look whether the store can be reached, keeps what it confirms and has this version's tables; changes nothing."""
    from hub.store import migrations
    from hub.store.backend import backend_of
    from hub.store.database import looking

    found = load(settings_file)
    backend = backend_of(found.store)
    if backend.shared:
        backend.prepare()
    with looking(found.store):
        pass
    told = {"store": backend.dialect, "revision": migrations.HEAD}
    report(told, json_file, ("store", "found"), list(told.items()))


@store.command("retain", short_help="End what was done longer ago than is kept.")
@click.option("--months", type=click.IntRange(1), help="Whole months to keep, instead of `retention` in the settings.")
@settings_option
@json_option
def retain(months: int | None, settings_file: Path | None, json_file: Path | None) -> None:
    """End exchanges that were done more months ago than are kept, and their bytes. The hub does so daily by itself.

    So end files that were read, and the photos of pilgrims whose request has ended. What is open stays, however old it
    is; so do subjects, histories and the audit. On SQLite the hub must be stopped.
    """
    from hub.store import retention

    found = load(settings_file)
    with _alone(found), _opened(found) as database:
        kept = found.retention if months is None else months
        ended = retention.keep(database, datetime.now(UTC).date(), kept)
    rows = [("months kept", str(kept)), *(("ended", one) for one in ended)]
    report({"months": kept, "ended": ended}, json_file, ("retention", "what"), rows)


@contextlib.contextmanager
def _alone(found: Settings) -> Iterator[None]:
    """On SQLite nobody else may be at work."""
    from hub.exchange import control

    if found.database_url:
        yield
        return
    if not found.var.exists():
        raise HubError("store_missing", file="hub.db")
    with control.take(found):
        yield


@contextlib.contextmanager
def _opened(found: Settings) -> "Iterator[Database]":
    from hub.store.database import Database

    database = Database(found.store)
    try:
        yield database
    finally:
        database.close()
