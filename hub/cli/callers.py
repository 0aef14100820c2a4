"""Commands about those who call us: onboarding agents, and the hosts to which they may have events sent."""

import csv
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hub.cli.report import FILE, faults_told, json_option, report, settings_option, the_register
from hub.settings import Settings, load

TOGETHER = 500  # rows that share a change: each change checks all partners that there are
_ANSWER = ("line", "id", "outcome", "reason", "key")


@click.command("onboard", short_help="Add agents from one CSV, each with a key.")
@click.argument("file", type=FILE)
@click.option(
    "--answers",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help="Where to write what became of each row, with its key: a new file, for you alone (0600).",
)
@settings_option
@json_option
def onboard(file: Path, answers: Path, settings_file: Path | None, json_file: Path | None) -> None:
    """Add every agent of CSV FILE that fits, in test mode, and give each a key.

    A row needs id, name_en, name_ar, country, mission, company, desk and phone; the other columns are those of `hub
    partner import`. Each row is accepted or refused with the reason, and no row stops another. The keys stand in the
    answer file and nowhere else. The same file again, after being cut off, gives a key to whoever has none.
    """
    from hub.partners import flat

    rows, faults = flat.read(file.read_bytes(), the_register(settings_file).partners, file.name, flat.AGENT)
    whole = [fault for fault in faults if fault.line == 1]
    if whole:
        raise click.ClickException("\n".join(f"{file.name}: {fault.text}" for fault in whole))
    became: list[dict[str, Any]] = [
        {"line": line, "id": "", "outcome": "refused", "reason": text, "key": ""}
        for line, text in {fault.line: fault.text for fault in reversed(faults)}.items()
    ]
    # Before a key is made: one that could not be written down would be lost.
    with os.fdopen(os.open(answers, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", newline="") as out:
        written = csv.DictWriter(out, _ANSWER)
        written.writeheader()
        written.writerows(map(_safe, became))
        with click.progressbar(length=len(rows), label="agents", file=sys.stderr) as bar:
            for start in range(0, len(rows), TOGETHER):
                part = [asdict(one) for one in rows[start : start + TOGETHER]]
                told = asked(load(settings_file), "onboard", part)
                written.writerows(map(_safe, told))
                out.flush()
                os.fsync(out.fileno())
                became += told
                bar.update(len(part))
    became.sort(key=lambda one: int(one["line"]))
    counts = {name: sum(one["outcome"] == name for one in became) for name in ("accepted", "unchanged", "refused")}
    shown = [{name: one[name] for name in _ANSWER if name != "key"} for one in became]
    refused = [(str(one["line"]), str(one["id"]), str(one["reason"])) for one in became if one["outcome"] == "refused"]
    report({"counts": counts, "rows": shown}, json_file, ("line", "id", "why it was refused"), refused)
    click.echo(", ".join(f"{n} {name}" for name, n in counts.items()) + f"; keys in {answers.name}", err=True)


@click.command("callbacks", short_help="To which hosts a caller may have events sent.")
@click.argument("id")
@click.option("--allow", multiple=True, metavar="HOST", help="hooks.agent.example, with :PORT where it is not 443.")
@click.option("--forbid", multiple=True, metavar="HOST", help="Nothing is sent there from now on.")
@settings_option
@json_option
def callbacks(
    id: str, allow: Sequence[str], forbid: Sequence[str], settings_file: Path | None, json_file: Path | None
) -> None:
    """Say to which hosts caller ID may have events sent, and show them.

    A webhook's address must be https, at one of these hosts; and what the host's name leads to is looked at each time.
    """
    given = {"partner": id, "allow": list(allow), "forbid": list(forbid)}
    found = asked(load(settings_file), "callbacks", given)
    report({"partner": id, "hosts": found}, json_file, ("host",), [(host,) for host in found])


def asked(found: Settings, name: str, given: Any) -> Any:
    """Have the hub at work do *name* or, where none is at work or the ledger is on PostgreSQL, do it ourselves."""
    from hub.canonical.errors import HubError
    from hub.exchange import control
    from hub.exchange.engine import Engine
    from hub.security.redaction import configure_logging

    configure_logging("ERROR")
    try:
        with faults_told():
            engine = Engine(found, delivers=False)
    except HubError as held:
        if held.code != "hub_running":
            raise
        return control.ask(found, name, given)
    try:
        return engine.asks[name](given, control.name_of(os.getuid()))
    finally:
        engine.stop()


def _safe(row: dict[str, Any]) -> dict[str, str]:
    """Cells that no spreadsheet takes for a formula."""
    cells = {name: str(row[name]) for name in _ANSWER}
    return {n: "'" + text if text[:1] in "=+-@\t\0" and n != "key" and text else text for n, text in cells.items()}
