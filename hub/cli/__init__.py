"""``hub``: one command line for those who run the hub, those who write adapters, and those who want to see it work.

A command imports what it needs when it runs: ``hub --help`` answers at once.
"""

import sys

import click

from hub.canonical.errors import HubError
from hub.cli import (
    adapters,
    bench,
    callers,
    chaos,
    errors,
    exchanges,
    keys,
    looking,
    maps,
    messages,
    partners,
    running,
    store,
    stores,
)
from hub.settings import ConfigError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="umrah-hub", prog_name="hub")
def hub() -> None:
    """Moves an Umrah pilgrim's visa request between all who act on it, from the agent's desk to the exit stamp.

    \b
    See it work     hub demo, then hub promises
    Run it          hub doctor, hub serve, hub schedule next, hub backup
    Mend it         hub incident list, hub exchange list, hub exchange replay, hub errors
    Connect others  hub adapter new, hub adapter check, hub partner add, hub key new, hub map try

    Every command that reports takes --json FILE. Settings come from hub.toml and HUB_* in the environment; `hub doctor`
    says which are missing.
    """


def main() -> None:
    """The entry point: a coded error, or a file that the system refuses, ends with what is wrong and 1, not a trace."""
    try:
        hub(prog_name="hub", standalone_mode=True)
    except (ConfigError, HubError) as error:
        told = error if isinstance(error, HubError) else HubError(error.code, **error.where)
        click.echo(f"{told.code}: {told.en}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(f"{error.filename}: {error.strerror}", err=True)
        sys.exit(1)


for _command in (
    running.serve, running.worker, running.scheduler, running.tickets, running.sftp, running.simulate, running.demo,
    running.keys, looking.doctor, looking.promises, looking.schedule, partners.partner, keys.key, adapters.adapter,
    exchanges.exchange, exchanges.incident, errors.errors,
    maps.map_, bench.bench, chaos.chaos, stores.backup, stores.restore, store.store,
):  # fmt: skip
    hub.add_command(_command)
maps.map_.add_command(messages.fields)
for _command in (callers.onboard, callers.callbacks, callers.certify, callers.promote):
    partners.partner.add_command(_command)
