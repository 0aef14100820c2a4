"""Which kind of store a setting names."""

from pathlib import Path

from hub.store.postgres import Postgres
from hub.store.sqlite import Sqlite

Backend = Sqlite | Postgres


def backend_of(store: Path | str) -> Backend:
    """The kind of store that *store* names: a file, or the URL of a PostgreSQL database."""
    return Sqlite(store) if isinstance(store, Path) else Postgres(store)
