"""What the stores make of the statements: SQLite finds lists of ids by an index, PostgreSQL understands every one."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from hub import store as package
from hub.store import cases, ledger
from hub.store.database import Database, Statement
from hub.store.sqlite import Sqlite

LISTS = [
    pytest.param(statement, id=name)
    for module in (cases, ledger)
    for name, statement in vars(module).items()
    # Of the partners there are a few dozen, and a scan of them all is as good.
    if isinstance(statement, Statement) and statement.lists and "flow" not in statement.tables
]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store") / "hub.db"
    Database(path).close()
    return path


@pytest.mark.parametrize("statement", LISTS)
def test_a_list_of_ids_is_looked_up_in_an_index(store, statement):
    connection = Sqlite(store).look()
    named = dict.fromkeys(statement.pins.values()) | dict.fromkeys(statement.lists, '["0"]')
    plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement.sqlite, named).fetchall()]
    connection.close()
    assert [step for step in plan if step.startswith("SCAN") and "json_each" not in step] == []


def test_postgresql_understands_every_statement(postgres):
    import psycopg

    Database(postgres).close()
    wrong = []
    with psycopg.connect(postgres, autocommit=True) as connection:
        for module in pkgutil.iter_modules(package.__path__, "hub.store."):
            for name, statement in vars(importlib.import_module(module.name)).items():
                if not isinstance(statement, Statement):
                    continue
                sql = statement.postgresql
                named = dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)) | {one: [] for one in statement.lists}
                try:
                    connection.execute(f"EXPLAIN {sql}", named)
                except psycopg.Error as error:
                    wrong.append((module.name, name, str(error)))
    assert wrong == []
