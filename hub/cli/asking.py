"""How a command has something done that one process alone may do: by the hub at work, or by itself."""

import os
from pathlib import Path
from typing import Any

from hub.cli.report import faults_told
from hub.settings import load


def asked(settings_file: Path | None, name: str, given: Any) -> Any:
    """Have the hub at work do *name*, of :attr:`~hub.exchange.engine.Engine.asks`, or, where none is at work or the
    ledger is on PostgreSQL, do it ourselves; what is to be sent is left to those that deliver.

    Raises what it raises, ``hub_silent`` where the hub at work does not answer.
    """
    from hub.canonical.errors import HubError
    from hub.exchange import control
    from hub.exchange.engine import Engine
    from hub.security.redaction import configure_logging

    found = load(settings_file)
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
