"""Commands that look: at the installation, the promises and the schedules."""

import dataclasses
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub.cli.report import json_option, report, settings_option, the_register, words
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
            "name": s.name, "partner": s.partner.id, "operation": s.what, "cron": s.cron, "zone": s.zone.key,
            "late_after_s": s.late_after, "controls": s.controls,
        }
        for s in schedules
    ]  # fmt: skip
    rows = [
        (s.name, s.partner.id, s.what, s.cron, s.zone.key, f"{s.late_after / 60:g} min", words(s.controls))
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
