"""What PostgreSQL itself keeps apart: for the owner of the tables, and for a role that only works with them."""

import dataclasses
import importlib
import os
import pkgutil
import re

import psycopg
import pytest
from sqlalchemy import bindparam, func, make_url, select, update

from hub import store
from hub.canonical.errors import HubError
from hub.exchange.engine import Engine
from hub.store.copying import copied, filling, reading
from hub.store.database import Database, Statement
from hub.store.scope import ALL, Scope, confine
from hub.store.tables import exchange, history, metadata, payload, request, umrah_group, voucher
from hub.web.access import identity
from hub.web.app import create_app

from .conftest import key_of
from .test_access import file, filing

#: What belongs to no tenant: the hub's own figures, turns and partners, which hold nothing of a pilgrim.
OPEN = {"audit", "flow", "intervention", "partner_overlay", "run", "seen", "sequence", "tally", "worker"}
CASES = (umrah_group, request, voucher, history, exchange, payload)


@pytest.fixture
def owned(databases):
    """The URL of an empty database, of a role that owns it and is no superuser; and of one that only works in it."""
    name = f"hub_test_{os.urandom(6).hex()}"
    roles = [f"{name}_owner", f"{name}_app"]
    for role in roles:
        databases.run(f"CREATE ROLE {role} LOGIN PASSWORD 'x' NOSUPERUSER NOBYPASSRLS")
    made = databases.make(migrated=False)
    databases.run(f"ALTER DATABASE {make_url(made).database} OWNER TO {roles[0]}")
    urls = [make_url(made).set(username=role, password="x").render_as_string(hide_password=False) for role in roles]
    yield urls
    databases.drop(made)
    for role in roles:
        databases.run(f"DROP ROLE {role}")


def grant(owner):
    """What docs/access.md lets the working role do."""
    app = make_url(owner).username.replace("_owner", "_app")
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {app}")
        connection.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {app}")


@pytest.fixture
def engine(settings, owned, group):
    """A hub whose ledger the owner made, with a group of two agents."""
    made = Engine(dataclasses.replace(settings, database_url=owned[0]))
    client = create_app(made).test_client()
    for serial, agent in enumerate(("agent_idn_1", "agent_pak_1")):
        key = made.keyring.new(agent, None, "", None, "tester")["key"]
        file(client, key, filing(group, serial, 3))
    yield made
    made.stop()


def counts(connection):
    return {table.name: connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0] for table in CASES}


def test_a_connection_that_says_nothing_sees_and_writes_nothing(engine, owned):
    grant(owned[0])
    for url in owned:
        with psycopg.connect(url, autocommit=True) as connection:
            assert set(counts(connection).values()) == {0}
            assert connection.execute("SELECT count(*) FROM api_key").fetchone() == (0,)
            assert connection.execute("UPDATE request SET state = 'EXITED'").rowcount == 0
            assert connection.execute("DELETE FROM umrah_group").rowcount == 0
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("INSERT INTO lookup VALUES ('document', '\\x00', gen_random_uuid())")
            connection.execute("SET hub.scope = 'all'")
            seen = counts(connection)
            assert (seen["umrah_group"], seen["request"]) == (2, 6)
            # By itself no partition shows what its parent does.
            assert seen["payload"] and seen["exchange"]
            for (part,) in connection.execute("SELECT inhrelid::regclass::text FROM pg_inherits").fetchall():
                if not part.startswith(("exchange", "payload")) or "_pkey" in part or "_idx" in part:
                    continue
                kind = connection.execute("SELECT relkind FROM pg_class WHERE oid = %s::regclass", (part,)).fetchone()
                if kind[0] in ("r", "p"):
                    assert connection.execute(f"SELECT count(*) FROM {part}").fetchone() == (0,), part


@pytest.mark.parametrize("role", ["agent", "company", "mission"])
def test_a_statement_that_forgets_its_scope_sees_ones_own_alone(engine, role):
    """Under a caller's scope the server holds even a statement without a condition to the caller's rows."""
    partner = {"agent": "agent_idn_1", "company": "company_1", "mission": "mission_jakarta"}[role]
    agents = engine.register.agents_of(engine.register.partners["mission_jakarta"])
    everything = Statement(
        select(umrah_group.c.agent, request.c.id).join(request, request.c.group_id == umrah_group.c.id)
    )
    ids = Statement(select(history.c.group_id))
    with engine.database.reading() as tx:
        rows = tx.all(everything)
        assert {row[0] for row in rows} == {"agent_idn_1", "agent_pak_1"}
        first = min(row[1] for row in rows if row[0] == "agent_idn_1")
    referenced = Statement(update(request).where(request.c.id == bindparam("id")).values(referenced_at=1))
    engine.database.unit(lambda tx: tx.run(referenced, id=first).rowcount)
    with engine.database.reading() as tx:
        confine(tx, Scope(role, partner, agents if role == "mission" else ()))
        rows = tx.all(everything)
        assert {row[0] for row in rows} == {"agent_idn_1"}
        # A mission's are those with a reference.
        assert len(rows) == (1 if role == "mission" else 3)
        assert len({row[0] for row in tx.all(ids)}) == 1


@pytest.mark.parametrize("scope", [Scope("administrator", "adel"), Scope("body", "bank_haramayn"), Scope("none")])
def test_who_has_no_cases_sees_none(engine, scope):
    with engine.database.reading() as tx:
        confine(tx, scope)
        for table in (umrah_group, request, voucher, history):
            assert tx.one(Statement(select(func.count()).select_from(table)))[0] == 0, table.name


def test_a_scope_ends_with_its_transaction(engine):
    """The connection goes back to those that others read with."""
    count = Statement(select(func.count()).select_from(request))
    for _ in range(12):
        with engine.database.reading() as tx:
            confine(tx, Scope("agent", "agent_of_nobody"))
            assert tx.one(count)[0] == 0
        with engine.database.reading() as tx:
            confine(tx, ALL)
            assert tx.one(count)[0] == 6


def test_the_hub_works_as_a_role_that_owns_nothing(engine, owned, settings, group):
    """Filing, deciding and reading, with every table held."""
    engine.stop()
    grant(owned[0])
    other = Engine(dataclasses.replace(settings, database_url=owned[1]))
    try:
        client = create_app(other).test_client()
        id = file(client, key_of("agent_idn_1"), filing(group, 7, 2))["requests"][0]["id"]
        headers = {"Authorization": f"Bearer {key_of('company_1')}", "Idempotency-Key": "a-decision"}
        decided = client.post(f"/v1/requests/{id}/decisions", data=b'{"outcome": "accept"}', headers=headers)
        assert decided.status_code == 200, decided.json
        assert client.get(f"/v1/pilgrims/{id}/timeline", headers=headers).json["state"] == "ACCEPTED"
        listed = client.get("/v1/requests", headers=headers).json["requests"]
        assert len(listed) == 5
        assert other.reading.of(Scope("agent", "agent_pak_1")).timeline(identity(id)) is None
    finally:
        other.stop()


def test_every_table_is_held_or_named_here_as_open(engine, owned):
    """Held to its owner too: FORCE.  A table that a later migration adds is thought about."""
    with psycopg.connect(owned[0]) as connection:
        rows = connection.execute(
            "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relkind IN ('r', 'p') "
            "AND relnamespace = 'public'::regnamespace"
        ).fetchall()
    held = dict(rows)
    tables = set(metadata.tables)
    assert {name for name in tables if not held[name]} == OPEN & tables
    assert all(held[name] for name in held if name.startswith(("exchange_", "payload_")))


def test_a_store_that_is_held_is_copied_whole(engine, owned, tmp_path, databases):
    """Its owner copies it out and in: PostgreSQL copies nothing into a table under FORCE."""
    with reading(owned[0]) as source, filling(tmp_path / "away.db") as target:
        copied(source, target, lambda table, rows: None)
    with psycopg.connect(owned[0], autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    with reading(tmp_path / "away.db") as source, filling(owned[0]) as target:
        copied(source, target, lambda table, rows: None)
    with psycopg.connect(owned[0], autocommit=True) as connection:
        assert set(counts(connection).values()) == {0}
        connection.execute("SET hub.scope = 'all'")
        assert counts(connection)["request"] == 6


def test_another_versions_store_is_brought_up_to_date(databases, postgres):
    """From the first schema, with rows in it."""
    from alembic import command
    from alembic.config import Config

    from hub.store import migrations

    config = Config()
    config.set_main_option("script_location", str(migrations._HERE))
    made = migrations.engine_of(postgres)
    with made.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with pytest.raises(HubError) as caught:
        Database(postgres)
    assert caught.value.code == "store_version"
    migrations.upgrade(postgres)
    Database(postgres).close()


def test_under_the_policies_every_statement_still_finds_its_rows_by_an_index(engine, owned, databases):
    """A policy that is planned as a hash of a whole table would be one for each caller's call."""
    options = "-c enable_seqscan=off -c random_page_cost=1.1 -c jit=off -c hub.scope=all"
    free = make_url(owned[0]).set(username=databases._url.username, password=databases._url.password)
    wrong, looked = [], 0
    with (
        psycopg.connect(free.render_as_string(hide_password=False), autocommit=True, options=options) as unheld,
        psycopg.connect(owned[0], autocommit=True, options=options) as held,
    ):
        for module in pkgutil.iter_modules(store.__path__, "hub.store."):
            for name, statement in vars(importlib.import_module(module.name)).items():
                if not isinstance(statement, Statement):
                    continue
                before, after = (_scans(connection, statement.postgresql) for connection in (unheld, held))
                wrong += [(module.name, name, scan) for scan in after - before]
                looked += 1
    assert wrong == []
    assert looked > 100


def _scans(connection, sql):
    """The tables that *sql* is planned to read whole."""
    named = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    sql = re.sub(r"%\((\w+)\)s", lambda found: f"${named.index(found[1]) + 1}", sql).replace("%%", "%")
    plan = [row[0] for row in connection.execute(f"EXPLAIN (COSTS OFF, GENERIC_PLAN) {sql}").fetchall()]
    return {line.strip() for line in plan if "Seq Scan" in line}
