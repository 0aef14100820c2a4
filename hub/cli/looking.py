"""Commands that look: at the installation, the promises, the partners and the schedules."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from hub.cli.report import json_option, report, settings_option, the_register, to_stdout, words
from hub.settings import load


@click.command(short_help="Say what is wrong here, and what to do.")
@settings_option
@json_option
def doctor(settings_file: Path | None, json_file: Path | None) -> None:
    """Say what is wrong with this installation, and what to do about it.

    Looks at Python and the libraries, settings, disk, keys, store, clock, rules, contracts with their hashes, manifests
    and maps. Changes nothing; may be run beside a hub at work. Ends with 1 if anything stops the hub from working.
    """
    from hub.doctor import examine

    findings = examine(settings_file)
    rows = [(f.level, f.area, f.found, f.todo) for f in findings]
    report([dataclasses.asdict(f) for f in findings], json_file, ("", "area", "found", "what to do"), rows)
    if any(f.level == "error" for f in findings):
        sys.exit(1)


@click.command(short_help="What is promised, and what was measured.")
@json_option
def promises(json_file: Path | None) -> None:
    """Print what the system promises, the command that shows each, and the figure last measured."""
    from hub.promises import promises as read

    found = read()
    rows = [
        (p.id, p.promise, p.shown_by or "", f"{p.figure} ({p.on})" if p.on else p.figure, p.lacks or "") for p in found
    ]
    columns = ("", "promise", "shown by", "last measured", "still lacks")
    report([dataclasses.asdict(p) | {"figure": p.figure} for p in found], json_file, columns, rows)


@click.group()
def partner() -> None:
    """Who the hub exchanges with."""


@partner.command("list")
@settings_option
@json_option
def partner_list(settings_file: Path | None, json_file: Path | None) -> None:
    """List every partner, how it is spoken to, and whether it can be reached with these settings."""
    found = [
        {
            "id": p.id, "name": p.name, "role": p.role, "adapters": [a.id for a in p.adapters],
            "serves": p.serves, "missing": p.missing,
        }
        for p in the_register(settings_file).partners.values()
    ]  # fmt: skip
    rows = [
        (p["id"], p["name"]["en"], p["name"]["ar"], p["role"], ", ".join(p["adapters"]),
         "needs " + ", ".join(p["missing"]) if p["missing"] else "set")
        for p in found
    ]  # fmt: skip
    report(found, json_file, ("id", "name", "", "role", "adapters", "settings"), rows)


@partner.command("show")
@click.argument("id")
@settings_option
@json_option
def partner_show(id: str, settings_file: Path | None, json_file: Path | None) -> None:
    """Show one partner: whom to ring, its limits, and everything that passes between it and the hub."""
    register = the_register(settings_file)
    found = register.partners.get(id)
    if found is None:
        raise click.BadParameter(f"no partner '{id}'; see `hub partner list`", param_hint="ID")
    operations = [
        {
            "name": op.name, "adapter": op.adapter, "direction": op.direction, "channel": op.channel,
            "when": op.when or ("on schedule" if op.scheduled else None), "repeat": op.repeat,
            "purpose": register.adapters[op.adapter].purpose, "gives": dict(op.gives),
        }
        for op in found.operations.values()
    ]  # fmt: skip
    facts = {
        "id": found.id, "name": dict(found.name), "role": found.role, "serves": dict(found.serves),
        "endpoint": found.endpoint, "zone": found.zone, "contact": dict(found.contact),
        "limits": {"concurrency": found.limits.concurrency, "per_second": found.limits.per_second,
                   "timeout": found.limits.timeout},
        "missing": found.missing, "operations": operations,
    }  # fmt: skip
    if not to_stdout(json_file):
        click.echo(f"{found.name['en']} / {found.name['ar']}")
        for name in ("role", "serves", "endpoint", "zone", "contact", "limits", "missing"):
            value = facts[name]
            said = (
                ", ".join(f"{k} {words(v)}" for k, v in value.items()) if isinstance(value, Mapping) else words(value)
            )
            click.echo(f"  {name:<9} {said or '–'}")
    rows = [
        ("→" if op["direction"] == "out" else "←", op["name"], op["channel"], op["when"] or "", op["repeat"] or "",
         op["purpose"], ", ".join(f"{k}: {v}" for k, v in op["gives"].items()))
        for op in operations
    ]  # fmt: skip
    report(facts, json_file, ("", "operation", "channel", "when", "repeat", "purpose", "gives"), rows)


@click.group()
def schedule() -> None:
    """What runs when."""


@schedule.command("list")
@settings_option
@json_option
def schedule_list(settings_file: Path | None, json_file: Path | None) -> None:
    """List every schedule with its calendar and how late it may be."""
    found = [
        {
            "name": s.name, "partner": s.partner.id, "operation": s.operation.name, "cron": s.cron,
            "zone": s.zone.key, "late_after_s": s.late_after, "controls": s.controls,
        }
        for s in the_register(settings_file).schedules.values()
    ]  # fmt: skip
    rows = [(*(str(s[k]) for k in ("name", "partner", "operation", "cron", "zone")), f"{s['late_after_s'] / 60:g} min",
             ", ".join(s["controls"])) for s in found]  # fmt: skip
    report(found, json_file, ("schedule", "partner", "operation", "cron", "zone", "late after", "controls"), rows)


@schedule.command("next")
@click.option("--count", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many runs.")
@settings_option
@json_option
def schedule_next(count: int, settings_file: Path | None, json_file: Path | None) -> None:
    """Tell which runs come due next, by business time."""
    from hub.clock import Clock
    from hub.timetable import upcoming

    now = Clock(load(settings_file).business_clock).now()
    due = upcoming(the_register(settings_file).schedules.values(), now, count)
    found = [{"due": at.isoformat(), "schedule": s.name, "partner": s.partner.id} for at, s in due]
    rows = [(f"{at.astimezone(s.zone):%Y-%m-%d %H:%M}", s.zone.key, s.name, s.partner.id) for at, s in due]
    report(found, json_file, ("due", "zone", "schedule", "partner"), rows)
