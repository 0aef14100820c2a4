"""Commands about those who call us: onboarding agents, and the hosts to which they may have events sent."""

import csv
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hub.cli.asking import asked
from hub.cli.report import FILE, json_option, report, settings_option, the_register
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
        written = csv.DictWriter(out, _ANSWER, lineterminator="\n")
        written.writeheader()
        written.writerows(map(_safe, became))
        with click.progressbar(length=len(rows), label="agents", file=sys.stderr) as bar:
            for start in range(0, len(rows), TOGETHER):
                part = [asdict(one) for one in rows[start : start + TOGETHER]]
                told = asked(settings_file, "onboard", part)
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
    found = asked(settings_file, "callbacks", given)
    report({"partner": id, "hosts": found}, json_file, ("host",), [(host,) for host in found])


@click.command("certify", short_help="Walk an agent's client through the cases of the door.")
@click.argument("id")
@click.option("--url", help="Where the hub is; otherwise where these settings put it.")
@click.option("--key-file", type=FILE, metavar="FILE", help="The agent's API key; otherwise one is made, and revoked.")
@click.option("--patience", type=click.FloatRange(1), default=90.0, show_default=True,
              help="Seconds given to what simulated bodies do.")  # fmt: skip
@click.option("--page", "page_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the report as a page (HTML) too, to be kept or printed.")  # fmt: skip
@settings_option
@json_option
def certify(
    id: str,
    url: str | None,
    key_file: Path | None,
    patience: float,
    page_file: Path | None,
    settings_file: Path | None,
    json_file: Path | None,
) -> None:
    """Walk through the cases of the door as agent ID, in test mode, and write a dated, sealed report.

    It calls the hub over HTTP only: a bad key, a bad body, a group, the same call again, the same key for another call,
    another's group, a roster, a webhook, acceptance, payment, a reference number, a correction. The hub must be at
    work, and so must `hub simulate --sandbox`. The report, var/certificates/ID.json, is what `hub partner promote ID`
    asks for.
    """
    import json

    from hub.canonical.errors import HubError
    from hub.conformance.caller import Kit, sealed
    from hub.conformance.page import page
    from hub.security.keys import Keys

    found, known = load(settings_file), the_register(settings_file).partners.get(id)
    if known is None:
        raise HubError("partner_unknown", partner=id)
    if known.role != "agent" or known.mode != "test":
        raise HubError("certify_live", partner=id)
    group = json.loads((found.home / "docs/examples/group.json").read_text("utf-8"))
    made = None
    if key_file is None:
        given = {"do": "new", "holder": id, "role": None, "label": "certifying", "days": 1}
        made = asked(settings_file, "key", given)
    key = made["key"] if made else (key_file or Path()).read_text("utf-8").strip()
    told: list[tuple[str, str, str]] = []
    try:
        kit = Kit(url or f"http://{found.host}:{found.port}", id, key, group, patience)
        done = kit.report(lambda one: told.append((_IS[one.passed], one.case, one.seen)))
    finally:
        if made:
            asked(settings_file, "key", {"do": "revoke", "id": made["id"]})
    file = _certificate(found, id)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = sealed(done, Keys.load(found.keys))
    file.write_text(written, encoding="utf-8")
    if page_file is not None:
        page_file.write_text(page(written, known.name), encoding="utf-8")
    report(done, json_file, ("is", "case", "what was seen"), told)
    click.echo(f"{'passed' if done['passed'] else 'failed'} {done['at']}; {file}", err=True)
    if not done["passed"]:
        sys.exit(1)


@click.command("promote", short_help="Take an agent from test to live.")
@click.argument("id")
@click.option("--report", "file", type=FILE, help="The sealed report, if it is not where `certify` puts it.")
@settings_option
def promote(id: str, file: Path | None, settings_file: Path | None) -> None:
    """Switch agent ID to live, on the strength of a report of `hub partner certify` that passed within 30 days."""
    from datetime import UTC, datetime

    from hub.canonical.errors import HubError
    from hub.conformance.caller import passed
    from hub.exchange.control import change
    from hub.partners import Overlaid
    from hub.security.keys import Keys

    found, known = load(settings_file), the_register(settings_file).partners.get(id)
    if known is None or known.role != "agent":
        raise HubError("partner_unknown", partner=id)
    shown = passed(file or _certificate(found, id), id, Keys.load(found.keys), datetime.now(UTC))
    change(found, [Overlaid(id=id, mode="live")])
    click.echo(f"{id}: live, on the report of {shown['at']}")


_IS = {True: "ok", False: "failed", None: "left out"}


def _certificate(found: Settings, id: str) -> Path:
    return found.var / "certificates" / f"{id}.json"


def _safe(row: dict[str, Any]) -> dict[str, str]:
    """Cells that no spreadsheet takes for a formula."""
    cells = {name: str(row[name]) for name in _ANSWER}
    return {n: "'" + text if text[:1] in "=+-@\t\0" and n != "key" and text else text for n, text in cells.items()}
