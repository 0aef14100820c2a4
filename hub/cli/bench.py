"""Commands that measure."""

import logging
import sys
from pathlib import Path
from typing import Any

import click
import structlog

from hub.cli.report import json_option, report
from hub.settings import load


@click.group("bench")
def bench() -> None:
    """Measure the hub on this machine, beside what it is held against."""


@bench.command("mapping", short_help="Measure the maps beside hand-written code.")
@click.option("--damaged", type=click.IntRange(1), metavar="COUNT", help="Instead, read COUNT damaged messages.")
@click.option("--seed", type=int, default=7, show_default=True, help="Which damage is done.")
@json_option
def bench_mapping(damaged: int | None, seed: int, json_file: Path | None) -> None:
    """Read and write SOAP, JSON, fixed-width and CSV messages by their maps and by hand-written code, in one run.

    Then a file of 100,000 records, in a process of its own, and 120 maps loaded.

    Ends with 1 if a bar is not met.
    """
    from hub.bench import mapping

    home = load(None).home
    if damaged is not None:
        # A partner whose counts are only warned of would be warned of thousands of times.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        logging.getLogger("hub.mapping").setLevel(logging.ERROR)
        told = mapping.damaged(home, damaged, seed)
        rows = [("ok", told["what"], f"{told['values']:,} values")]
        rows += [("ok", code, f"{count:,}") for code, count in told["errors"].items()]
        rows += [("error", name, f"{count:,}") for name, count in told["stray"].items()]
        report(told, json_file, ("", "outcome", "messages"), rows)
        if not told["met"]:
            sys.exit(1)
        return
    measured: dict[str, Any] = {
        "ratios": mapping.ratios(),
        "volume": mapping.volume(),
        "loading": mapping.loading(home),
    }
    rows = [
        (_level(one), one["what"], f"{one['map_us']} µs, by hand {one['hand_us']} µs: {one['ratio']}")
        for one in measured["ratios"]
    ]
    rows += [
        (_level(one), one["what"], f"{one['per_second']:,} a second, {one['megabytes']} MB")
        for one in measured["volume"]
    ]
    rows.append((_level(measured["loading"]), measured["loading"]["what"], f"{measured['loading']['seconds']} s"))
    report(measured, json_file, ("", "what", "measured"), rows)
    if any(level != "ok" for level, _, _ in rows):
        sys.exit(1)


def _level(one: dict[str, Any]) -> str:
    return "ok" if one["met"] else "error"
