"""Commands that run something: the hub, the simulators, the demonstration."""

import contextlib
import dataclasses
import functools
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.canonical.errors import HubError
from hub.cli.report import faults_told, json_option, settings_option, the_register, to_stdout, write_json
from hub.settings import Settings, load

if TYPE_CHECKING:
    from hub.exchange.engine import Engine
    from hub.web.sftp import SftpDoor


_zones = click.option("--zone", "zones", multiple=True, metavar="ZONE",
                      help="Only partners of this zone, those that can be reached from here; repeatable.")  # fmt: skip


@click.command(short_help="Run the hub.")
@settings_option
@click.option("--port", type=click.IntRange(0, 65535), help="Port instead of the one in the settings.")
@click.option("--shared-port", is_flag=True, help="Let other hubs with this option listen at the same port.")
@click.option("--door", is_flag=True, help="Only the doors and the pages: `hub worker` delivers, `hub scheduler` keeps "
              "the timetable. For a ledger on PostgreSQL.")  # fmt: skip
@_zones
def serve(settings_file: Path | None, port: int | None, shared_port: bool, door: bool, zones: tuple[str, ...]) -> None:
    """Run the hub: doors, pages, deliveries, inboxes and the timetable, in this one process.

    It goes on where it was stopped, however it was stopped. SIGTERM and Ctrl-C end it gently. With the ledger on
    PostgreSQL any number may run side by side.
    """
    from hub.timetable import Timetable
    from hub.web.server import open_server

    found = load(settings_file)
    if port is not None:
        found = dataclasses.replace(found, port=port)
    if (door or zones) and not found.database_url:
        raise HubError("store_not_shared")
    with _engine(found, delivers=not door, zones=zones) as engine:
        server = open_server(engine, shared=shared_port)
        files = _sftp(engine, found.host, found.sftp_port) if found.sftp_port else None
        timetable = Timetable(engine)
        with _ended_by_sigterm():
            engine.start()
            if not door:
                timetable.start()
            click.echo(server.address, err=True)
            server.run()
        server.close()
        if files is not None:
            files.close()
        timetable.stop()


@click.command(short_help="Deliver, beside other processes.")
@settings_option
@_zones
def worker(settings_file: Path | None, zones: tuple[str, ...]) -> None:
    """Send to partners and take in their files, beside `hub serve` and other workers, on a ledger on PostgreSQL.

    As many as wanted, on as many machines as wanted. One that dies gives up what it had claimed within a second: what
    may have been sent is asked about, the rest is sent by the others. SIGTERM ends it gently.
    """
    found = load(settings_file)
    if not found.database_url:
        raise HubError("store_not_shared")
    with _engine(found, delivers=True, zones=zones) as engine, _ended_by_sigterm():
        engine.start()
        click.echo(f"worker {engine.worker}", err=True)
        threading.Event().wait()


@click.command(short_help="Keep the timetable, beside other processes.")
@settings_option
@_zones
def scheduler(settings_file: Path | None, zones: tuple[str, ...]) -> None:
    """Run what is due by the calendar, beside `hub serve --door` and workers, on a ledger on PostgreSQL.

    Two or more may run: one at a time does what is due, and another takes over when it is gone.
    """
    from hub.timetable import Timetable

    found = load(settings_file)
    if not found.database_url:
        raise HubError("store_not_shared")
    with _engine(found, delivers=False, zones=zones) as engine, _ended_by_sigterm():
        engine.start()
        timetable = Timetable(engine)
        timetable.start()
        click.echo("scheduler", err=True)
        try:
            threading.Event().wait()
        finally:
            timetable.stop()


@click.command(short_help="Only the SFTP door, beside other processes.")
@settings_option
@click.option("--port", type=click.IntRange(0, 65535), help="Port instead of the one in the settings.")
@click.option("--show-key", is_flag=True, help="Only print the hub's own key, as known_hosts wants it, and its "
              "fingerprint; it is made where there is none.")  # fmt: skip
def sftp(settings_file: Path | None, port: int | None, show_key: bool) -> None:
    """Take files from partners by SFTP and let them fetch theirs, beside `hub serve` and workers, on a ledger on
    PostgreSQL. `hub serve` does it by itself where `sftp_port` is set.

    Partners come with the keys of their rows (`ssh_keys`); there are no passwords and there is no shell.
    """
    found = load(settings_file)
    if show_key:
        from hub.security.host_key import HostKey

        key = HostKey(found.sftp_key)
        click.echo(key.public)
        click.echo(key.fingerprint)
        return
    if not found.database_url:
        raise HubError("store_not_shared")
    with _engine(found, delivers=False, zones=()) as engine, _ended_by_sigterm():
        engine.start()
        files = _sftp(engine, found.host, found.sftp_port if port is None else port)
        try:
            threading.Event().wait()
        finally:
            files.close()


def _sftp(engine: "Engine", host: str, port: int) -> "SftpDoor":
    from hub.web.sftp import SftpDoor

    door = SftpDoor(engine, host, port)
    click.echo(f"{door.address} {door.fingerprint}", err=True)
    return door


@click.command(short_help="Issue the tickets of a Celery fleet.")
@settings_option
@_zones
def tickets(settings_file: Path | None, zones: tuple[str, ...]) -> None:
    """Tell a Celery fleet, through RabbitMQ, which partners have work, and take in the files that partners leave.

    The fleet sends (`celery -A hub.fleet worker`), beside doors and schedulers on a ledger on PostgreSQL. Run two: a
    ticket that is lost or there twice loses and doubles nothing.
    """
    try:
        from hub.fleet.tickets import Issuer, fleet
    except ImportError:
        raise HubError("fleet_library") from None

    found = load(settings_file)
    issuer = functools.partial(Issuer, fleet(found))
    with _engine(found, delivers=True, zones=zones, dispatcher=issuer) as engine, _ended_by_sigterm():
        engine.start()
        click.echo(f"tickets {engine.worker}", err=True)
        threading.Event().wait()


@contextlib.contextmanager
def _engine(found: Settings, *, delivers: bool, zones: tuple[str, ...], **more: Any) -> "Iterator[Engine]":
    from hub.exchange.engine import Engine, collect_seldom
    from hub.security.redaction import configure_logging

    configure_logging()
    with faults_told():
        engine = Engine(found, delivers=delivers, zones=zones, **more)
    collect_seldom()
    try:
        yield engine
    finally:
        engine.stop()


@click.command(short_help="Play every partner.")
@settings_option
@click.option("--seed", default=1, show_default=True, help="The same seed decides the same.")
@click.option("--faults", type=click.Choice(["none", "some", "storm"]), default="none", show_default=True,
              help="How often partners fail, answer late, twice or not at all.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to answer at; 0 takes a free one.")
@click.option("--sandbox", is_flag=True, help="Play the twins that agents in test mode meet, and nobody else.")
def simulate(settings_file: Path | None, seed: int, faults: str, port: int, sandbox: bool) -> None:
    """Play every partner: ministry, missions, banks, houses, carriers and border posts.

    A process of its own, with a ledger of its own (var/simulators.db) and no code of the hub's exchanges.
    """
    from hub.security.redaction import configure_logging
    from hub.simulate.process import run

    configure_logging()
    found = load(settings_file)
    with faults_told():
        register = the_register(settings_file)
        if not sandbox:
            run(found, found.var, seed, faults, port, register)
            return
        from hub.partners.sandbox import is_twin

        place = found.var / "sandbox"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        run(found, place, seed, faults, port, register.just(*(one for one in register.enabled if is_twin(one.id))))


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
