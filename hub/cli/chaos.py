"""``hub chaos``: everything is killed, and the books are compared."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from hub.cli.report import json_option, report, to_stdout, words


@click.command(short_help="Kill everything, over and over, and compare the books.")
@click.option("--kills", type=click.IntRange(0), default=300, show_default=True, help="How often somebody is killed.")
@click.option("--seed", default=1, show_default=True, help="The same seed draws the same plan.")
@click.option("--store", type=click.Choice(["sqlite", "postgres"]), default="sqlite", show_default=True,
              help="The store of the hub that is killed.")  # fmt: skip
@click.option("--var", "var", type=click.Path(file_okay=False, exists=True, path_type=Path), metavar="DIR",
              help="Play the seasons in DIR instead of the system's temporary folder.")  # fmt: skip
@click.option("--storm-only", is_flag=True, help="Leave out the planted bugs and the full disk.")
@json_option
def chaos(kills: int, seed: int, store: str, var: Path | None, storm_only: bool, json_file: Path | None) -> None:
    """Play seasons in which hub, partners, clients and network are killed with -9, at any moment and at every edge of a
    commit, statement, send, receive, rename and fsync, while the network spoils every fifth call.

    Then somebody who shares no code with the hub compares what clients were told, and what partners did, with what the
    hub says. Ends with 1 if anything was lost, done twice or cannot be explained, if work was resumed too late, or if
    a bug that was planted to try the checker was not found.
    """
    from hub.chaos.postgres import NoPostgres
    from hub.chaos.run import run

    try:
        told = run(kills=kills, seed=seed, store=store, storm_only=storm_only, var=var, quiet=to_stdout(json_file))
    except NoPostgres as why:
        raise click.ClickException(str(why)) from None
    report(told, json_file, ("", "what", "figure"), list(_rows(told)))
    if not told["met"]:
        sys.exit(1)


def _rows(told: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name in ("lost", "doubled", "unexpected"):
        yield "error" if told[name] else "ok", name, str(told[name])
    recovery = told["recovery_s"]
    yield "ok", "recovery", f"p50 {recovery['p50']} s, max {recovery['max']} s"
    found, planted = told["planted_found"], told["planted"]
    yield "ok" if found == planted else "error", "planted bugs found", f"{found} of {planted}"
    full = told["disk_full"]
    yield (
        "ok" if full["ran"] else "",
        "full disk",
        (f"resumed after {words(full['resumed_s'])} s" if full["ran"] else f"not tried: {full['why']}"),
    )
    for name in (
        "kills",
        "accepted",
        "effects",
        "repeats",
        "in_doubt",
        "killed",
        "frozen",
        "stale_refused",
        "edges",
        "faults",
    ):
        yield "", name.replace("_", " "), words(told[name])
    for plant in (name for name, found in told["plants"].items() if not found):
        yield "error", "not found", plant
    for kind, what, where in told["findings"]:
        yield "error", kind, f"{what} ({where})"
    if "kept" in told:
        yield "", "kept", told["kept"]
