"""Commands that look: at the installation, the promises, the partners and the schedules."""

import dataclasses
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.report import json_option, report, settings_option, the_register, to_stdout
from hub.settings import load

if TYPE_CHECKING:
    from hub.partners import Schedule


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


@partner.command("list", short_help="List every partner.")
@settings_option
@json_option
def partner_list(settings_file: Path | None, json_file: Path | None) -> None:
    """List every partner, how it is spoken to, and whether it can be reached with these settings."""
    partners = the_register(settings_file).partners.values()
    found = [
        {
            "id": p.id, "name": p.name, "role": p.role, "adapters": [a.id for a in p.adapters], "serves": p.serves,
            "missing": p.missing,
        }
        for p in partners
    ]  # fmt: skip
    rows = [
        (
            p.id, p.name["en"], p.name["ar"], p.role, ", ".join(a.id for a in p.adapters),
            "needs " + ", ".join(p.missing) if p.missing else "set",
        )
        for p in partners
    ]  # fmt: skip
    report(found, json_file, ("id", "name", "", "role", "adapters", "settings"), rows)


@partner.command("show", short_help="Show one partner.")
@click.argument("id")
@settings_option
@json_option
def partner_show(id: str, settings_file: Path | None, json_file: Path | None) -> None:
    """Show one partner: whom to ring, its limits, and everything that passes between it and the hub."""
    register = the_register(settings_file)
    found = register.partners.get(id)
    if found is None:
        raise click.BadParameter(f"no partner '{id}'; see `hub partner list`", param_hint="ID")
    operations = found.operations.values()
    facts = {
        "id": found.id, "name": found.name, "role": found.role, "serves": found.serves, "endpoint": found.endpoint,
        "zone": found.zone, "contact": found.contact, "limits": dataclasses.asdict(found.limits),
        "missing": found.missing,
    }  # fmt: skip
    if not to_stdout(json_file):
        for name, value in facts.items():
            click.echo(f"{name:<9} {_words(value)}")
    told = [
        {
            "name": op.name, "adapter": op.adapter, "direction": op.direction, "channel": op.channel, "when": op.when,
            "scheduled": op.scheduled, "repeat": op.repeat, "purpose": register.adapters[op.adapter].purpose,
            "gives": op.gives,
        }
        for op in operations
    ]  # fmt: skip
    rows = [
        (
            "to them" if op.direction == "out" else "to us", op.name, op.channel,
            op.when or ("on schedule" if op.scheduled else ""), op.repeat or "", register.adapters[op.adapter].purpose,
            _words(op.gives),
        )
        for op in operations
    ]  # fmt: skip
    report(
        facts | {"operations": told},
        json_file,
        ("", "operation", "channel", "when", "repeat", "purpose", "gives"),
        rows,
    )


@click.group()
def schedule() -> None:
    """What runs when."""


@schedule.command("list", short_help="List every schedule.")
@settings_option
@json_option
def schedule_list(settings_file: Path | None, json_file: Path | None) -> None:
    """List every schedule with its calendar and how late it may be."""
    schedules = the_register(settings_file).schedules.values()
    found = [
        {
            "name": s.name, "partner": s.partner.id, "operation": s.operation.name, "cron": s.cron, "zone": s.zone.key,
            "late_after_s": s.late_after, "controls": s.controls,
        }
        for s in schedules
    ]  # fmt: skip
    rows = [
        (s.name, s.partner.id, s.operation.name, s.cron, s.zone.key, f"{s.late_after / 60:g} min", _words(s.controls))
        for s in schedules
    ]
    report(found, json_file, ("schedule", "partner", "operation", "cron", "zone", "late after", "controls"), rows)


@schedule.command("next", short_help="Tell which runs come due next.")
@click.option("--count", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many runs.")
@settings_option
@json_option
def schedule_next(count: int, settings_file: Path | None, json_file: Path | None) -> None:
    """Tell which runs come due next, by business time."""
    from hub.clock import Clock

    now = Clock(load(settings_file).business_clock).now()
    due: list[tuple[datetime, Schedule]] = []
    for one in the_register(settings_file).schedules.values():
        at = one.next_after(now)
        for _ in range(count):
            if at is None:
                break
            due.append((at, one))
            at = one.next_after(at)
    due = sorted(due, key=lambda pair: (pair[0], pair[1].name))[:count]
    found = [{"due": at.isoformat(), "schedule": s.name, "partner": s.partner.id} for at, s in due]
    rows = [(f"{at.astimezone(s.zone):%Y-%m-%d %H:%M}", s.zone.key, s.name, s.partner.id) for at, s in due]
    report(found, json_file, ("due", "zone", "schedule", "partner"), rows)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_words(found)}" for name, found in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else "–" if value is None else str(value)
