"""What the stores make of the statements: SQLite finds lists of ids by an index, PostgreSQL understands every one."""

import importlib
import pkgutil
import re
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from hub import store as package
from hub.store import cases, ledger, reading, views
from hub.store.database import Database, Statement
from hub.store.postgres import Postgres
from hub.store.scope import Scope
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


#: The lists of whoever has groups, page by page.
OWN = [
    pytest.param(rows.statement(Scope(role, "somebody"), names), index, id=f"{role} {name} {' '.join(names)}".strip())
    for name, rows in (("groups", views._groups), ("requests", views._requests), ("invoices", views._invoices))
    for role, index in (("agent", "umrah_group_agent_ref"), ("company", "umrah_group_company"))
    for names in ((), ("after",))
]


@pytest.mark.parametrize(("statement", "index"), OWN)
def test_a_list_looks_at_ones_own_groups_and_not_at_everybodys(store, statement, index):
    named = dict.fromkeys(re.findall(r":(\w+)", statement.sqlite), "0") | {"most": 100}
    with closing(Sqlite(store).look()) as connection:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement.sqlite, named).fetchall()]
    assert [step for step in plan if step.startswith("SCAN")] == []
    assert any(f"umrah_group USING INDEX {index} (" in step for step in plan), plan


@pytest.mark.parametrize(("statement", "index"), [one for one in OWN if one.id.split()[1] == "groups"])
def test_postgresql_looks_at_ones_own_groups_too(postgres, statement, index):
    import psycopg

    Database(postgres).close()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("SET hub.scope = 'all'")
        connection.execute(
            "INSERT INTO umrah_group (id, group_no, agent, agent_ref, company, season, state, heads, opened_at, kept,"
            " version, programme, bookings, marks) SELECT gen_random_uuid(), i, i % 500, i, i % 500, 1448, 'OPEN', 1,"
            " 1, 0, 0, '{}', '{}', '{}' FROM generate_series(1, 5000) AS i"
        )
        connection.execute("ANALYZE umrah_group")
    named = {"tenant": "7", "after": UUID(int=0), "most": 100}
    with closing(Postgres(postgres).connect(writing=True)) as reader:
        plan = "\n".join(row[0] for row in reader.execute(f"EXPLAIN {statement.postgresql}", named).fetchall())
    assert index in plan, plan


def test_postgresql_plans_a_callers_list_for_that_caller_and_a_look_up_once(migrated):
    scope, planned = Scope("company", "somebody"), {}
    with closing(Database(migrated)) as database:
        listed = views.Views(database, None)
        look = reading.Reading(database, None, None, None, None).of(scope)
        for _ in range(10):
            listed.requests(scope, views.Asked(after=UUID(int=0), limit=500, where={}))
            look.owner_of(UUID(int=0))
        (connection,) = database._spare
        rows = connection.execute(
            "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements"
        ).fetchall()
        planned = {row[0]: (row[1], row[2]) for row in rows}
    (of_list,) = (plans for sql, plans in planned.items() if "request.request_no" in sql and "LIMIT" in sql)
    (of_one,) = (plans for sql, plans in planned.items() if "umrah_group.company" in sql and "LIMIT" not in sql)
    assert of_list == (0, 10) and of_one[0] > 0


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


#: What is asked in every round, and what answers it: nothing is sorted, and nothing is read that is not wanted.
CLAIMS = [
    pytest.param(ledger._subjects_ready, ["subject_waiting", "subject_lane"], id="subjects"),
    pytest.param(ledger._exchanges_ready, ["exchange_ready"], id="exchanges"),
    pytest.param(ledger._next_exchange, ["exchange_ready"], id="the next one that is due"),
]
_ROUND = {"partner": "ministry", "most": 500, "now_at": 1, "absurd_at": 2}


@pytest.mark.parametrize(("statement", "indexes"), CLAIMS)
def test_a_claim_takes_its_own_indexes_on_sqlite(store, statement, indexes):
    with closing(Sqlite(store).look()) as connection:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement.sqlite, _ROUND).fetchall()]
    assert [index for index in indexes if not any(f"INDEX {index} " in step for step in plan)] == [], plan
    assert [step for step in plan if "TEMP B-TREE" in step] == []


@pytest.mark.parametrize("counted", ["never", "when nothing was there", "when all were done"])
@pytest.mark.parametrize(("statement", "indexes"), CLAIMS)
def test_a_claim_takes_its_own_indexes_whatever_the_planner_last_counted(postgres, counted, statement, indexes):
    """What waits in the morning was counted by nobody: all indexes of open rows look empty, and as good as another."""
    import psycopg

    Database(postgres).close()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("SET hub.scope = 'all'")
        if counted == "when all were done":
            connection.execute(
                "INSERT INTO exchange_subject (id, exchange_id, partner, operation, kind, subject_id, group_id, lane,"
                " key, state, attempts, urgency, not_before, partner_us, created_at, settled_at) SELECT"
                " gen_random_uuid(), gen_random_uuid(), 'ministry', 'ask', 'request', i, gen_random_uuid(), i, i,"
                " 'done', 1, 1, 1, 1, 1, 1 FROM generate_series(1, 2000) AS i"
            )
            connection.execute(
                "INSERT INTO exchange (id, open, partner, operation, direction, state, subjects, done, attempts,"
                " urgency, partner_us, created_at, business_at) SELECT gen_random_uuid(), true, 'ministry', 'ask',"
                " 'out', 'parked', 1, 0, 1, 1, 1, 1, 1 FROM generate_series(1, 2000) AS i"
            )
        if counted != "never":
            connection.execute("ANALYZE exchange_subject")
            connection.execute("ANALYZE exchange")
        connection.execute(
            "INSERT INTO exchange (id, open, partner, operation, direction, state, subjects, done, attempts, urgency,"
            " partner_us, created_at, business_at, next_at) SELECT gen_random_uuid(), true, 'ministry', 'ask', 'out',"
            " 'waiting', 1, 0, 1, 1, 1, 1, 1, 1 FROM generate_series(1, 10000) AS i"
        )
    with closing(Postgres(postgres).connect(writing=True)) as writer:
        plan = "\n".join(row[0] for row in writer.execute(f"EXPLAIN {statement.postgresql}", _ROUND).fetchall())
    # The index of a partition is named after its columns: it is known by what it belongs to.
    with psycopg.connect(postgres) as connection:
        own = dict(connection.execute(
            "SELECT child.relname, parent.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
            " JOIN pg_class parent ON parent.oid = inhparent WHERE child.relkind = 'i'"
        ).fetchall())  # fmt: skip
    used = {own.get(name, name) for name in re.findall(r"using (\w+) on", plan)}
    assert used == set(indexes), plan
    assert "Sort" not in plan
