"""The schema of the store, made and changed by alembic alone.

A store that is empty is brought up to date when it is first opened.  One that another version of the hub made is left
alone until an operator says so (``hub store upgrade``): a backup comes first.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.canonical.errors import HubError
from hub.store.backend import backend_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

HEAD = "0007"
_HERE = Path(__file__).parent


def url_of(store: Path | str) -> str:
    """*store* as SQLAlchemy names it."""
    if isinstance(store, Path):
        return f"sqlite:///{store}"
    scheme, _, rest = store.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else store


def engine_of(store: Path | str) -> "Engine":
    """A SQLAlchemy engine on *store*, for what moves whole tables."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    engine = create_engine(url_of(store), poolclass=NullPool)
    if isinstance(store, Path):

        @event.listens_for(engine, "connect")
        def _safe(raw: Any, record: object) -> None:
            raw.isolation_level = None
            raw.execute("PRAGMA journal_mode=WAL")
            raw.execute("PRAGMA synchronous=FULL")

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            # The driver would begin only at the first INSERT, and a schema half made would stay.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def ready(store: Path | str) -> None:
    """Make sure that *store* has this version's tables.  An empty one is given them.

    Raises HubError ``store_version`` where another version made it.
    """

    backend = backend_of(store)
    connection = backend.connect(writing=True)
    try:
        there = revision(connection)
        if there is None and not _any_table(connection):
            upgrade(store)
        elif there != HEAD:
            raise HubError("store_version", file=backend.name, found=there or "0000", expected=HEAD)
        if backend.dialect == "postgresql":
            from hub.store import partitions

            partitions.ahead(connection)
    finally:
        connection.close()


def fits(store: Path | str, connection: Any) -> None:
    """Raises HubError ``store_version`` where another version of the hub made the store behind *connection*."""
    there = revision(connection)
    if there != HEAD:
        name = store.name if isinstance(store, Path) else "PostgreSQL"
        raise HubError("store_version", file=name, found=there or "0000", expected=HEAD)


def revision(connection: Any) -> str | None:
    """The revision of the schema behind *connection*; None where there is none."""
    if "alembic_version" not in _tables(connection):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def upgrade(store: Path | str) -> None:
    """Bring *store* up to this version, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE))
    engine = engine_of(store)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Two processes that start together on an empty database: one makes it, the other finds it made.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7226337)")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _tables(connection: Any) -> set[str]:
    if connection.dialect == "sqlite":
        sql = "SELECT name FROM sqlite_master WHERE type = 'table'"
    else:
        sql = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    return {row[0] for row in connection.execute(sql).fetchall()}


def _any_table(connection: Any) -> bool:
    return bool(_tables(connection))
