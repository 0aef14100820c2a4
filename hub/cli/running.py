"""Commands that run something: the hub, the simulators, the demonstration."""

import contextlib
import dataclasses
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from hub.cli.report import faults_told, json_option, settings_option, the_register, to_stdout, write_json
from hub.settings import load


@click.command(short_help="Run the hub.")
@settings_option
@click.option("--port", type=click.IntRange(0, 65535), help="Port instead of the one in the settings.")
@click.option("--shared-port", is_flag=True, help="Let other hubs with this option listen at the same port.")
def serve(settings_file: Path | None, port: int | None, shared_port: bool) -> None:
    """Run the hub: doors, pages, deliveries, inboxes and the timetable, in this one process.

    It goes on where it was stopped, however it was stopped. SIGTERM and Ctrl-C end it gently.
    """
    from hub.exchange.engine import Engine
    from hub.security.redaction import configure_logging
    from hub.timetable import Timetable
    from hub.web.server import open_server

    configure_logging()
    found = load(settings_file)
    if port is not None:
        found = dataclasses.replace(found, port=port)
    with faults_told():
        engine = Engine(found)
    try:
        server = open_server(engine, shared=shared_port)
        timetable = Timetable(engine)
        with _ended_by_sigterm():
            engine.start()
            timetable.start()
            click.echo(server.address, err=True)
            server.run()
        server.close()
        timetable.stop()
    finally:
        engine.stop()


@click.command(short_help="Play every partner.")
@settings_option
@click.option("--seed", default=1, show_default=True, help="The same seed decides the same.")
@click.option("--faults", type=click.Choice(["none", "some", "storm"]), default="none", show_default=True,
              help="How often partners fail, answer late, twice or not at all.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to answer at; 0 takes a free one.")
def simulate(settings_file: Path | None, seed: int, faults: str, port: int) -> None:
    """Play every partner: ministry, missions, banks, houses, carriers and border posts.

    A process of its own, with a ledger of its own (var/simulators.db) and no code of the hub's exchanges.
    """
    from hub.security.redaction import configure_logging
    from hub.simulate.process import run

    configure_logging()
    found = load(settings_file)
    with faults_told():
        run(found, found.var, seed, faults, port, the_register(settings_file))


@click.command(short_help="See a season go from request to exit stamp.")
@click.option("--pilgrims", type=click.IntRange(1), default=200, show_default=True, help="How many pilgrims to invent.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same season.")
@click.option("--faults", type=click.Choice(["none", "some", "storm"]), default="none", show_default=True,
              help="How often partners fail, answer late, twice or not at all.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="File so many pilgrims a second.")
@click.option("--var", "var", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Keep the season in DIR, and go on with the one there. Otherwise a fresh folder.")  # fmt: skip
@click.option("--serve", "keep", is_flag=True, help="Stay up at the end, so that the pages can be looked at.")
@click.option("--database", "database_url", default="", metavar="URL",
              help="Keep the ledger in this empty PostgreSQL database instead of a file.")  # fmt: skip
@json_option
def demo(
    pilgrims: int, seed: int, faults: str, rate: float | None, var: Path | None, keep: bool, database_url: str,
    json_file: Path | None,
) -> None:  # fmt: skip
    """Make a season of invented pilgrims and drive it through the public doors, from request to exit stamp.

    Starts the simulators and the hub as processes of their own. Ends with what became of everybody, one pilgrim's
    story in English and Arabic, and 1 if anything was lost, done twice or cannot be explained.
    """
    from hub.demo.run import run

    report = run(
        pilgrims=pilgrims,
        seed=seed,
        faults=faults,
        rate=rate,
        var=var,
        serve=keep,
        quiet=to_stdout(json_file),
        database_url=database_url,
    )
    write_json(report, json_file)
    if report["lost"] or report["doubled"] or report["unexplained"]:
        sys.exit(1)


@click.command(short_help="Make the keys of a new installation.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def keys(file: Path) -> None:
    """Make the sealing, look-up and signing keys of a new installation in FILE, readable by you alone.

    Without them nothing that the hub stores can be read again: keep a copy apart from the store. Never overwrites.
    """
    from hub.security.keys import Keys

    Keys.generate(file)
    click.echo(f"Made {file}. Keep a copy apart from the store: what is sealed cannot be opened without it.")


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends what runs inside as Ctrl-C does."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
