"""Who may call: keys in the store, agents suspended and certificates beside a partner, and, on PostgreSQL, rows that
are seen only under the scope that a connection has said.

The setting ``hub.scope`` is ``all`` for the hub itself, or the role of a caller; ``hub.partner`` is who that is, and
``hub.agents`` the agents of a mission.  A connection that has said nothing sees and writes nothing.  FORCE holds the
tables' owner to it too; a superuser, and a role with BYPASSRLS, are held to nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ALL = "current_setting('hub.scope', true) = 'all'"
_ROLE = "current_setting('hub.scope', true)"
_ME = "current_setting('hub.partner', true)"
_AGENTS = "string_to_array(current_setting('hub.agents', true), ' ')"
# Functions, so that the hub's own statements carry nothing of what is asked for a caller: subqueries are made ready at
# each run (measured: an INSERT of 22 µs of the server took 37 with them, and 25 so).  Inside, the policies of the
# table that is asked hold.
_MY_GROUP = f"({_ALL} OR hub_group_seen(group_id))"
_MY_REQUEST = f"{_ALL} OR hub_request_seen(request_id)"
_MY_EXCHANGE = f"{_ALL} OR hub_exchange_seen(exchange_id)"
_FUNCTIONS = {"hub_group_seen": "umrah_group", "hub_request_seen": "request", "hub_exchange_seen": "exchange"}
#: For each table, which rows a connection may see; what it may write is the hub's own to say.
SEEN = {
    "umrah_group": (
        f"{_ALL} OR ({_ROLE} = 'agent' AND agent = {_ME}) OR ({_ROLE} = 'company' AND company = {_ME})"
        f" OR ({_ROLE} = 'mission' AND agent = ANY ({_AGENTS}))"
    ),
    # A mission is told of a pilgrim by the reference; before there is one, the pilgrim is none of its business.
    "request": f"{_MY_GROUP} AND ({_ROLE} <> 'mission' OR referenced_at IS NOT NULL)",
    "voucher": _MY_GROUP,
    "history": _MY_GROUP,
    "fact": _MY_GROUP,
    "awaited": _MY_GROUP,
    "exchange_subject": _MY_GROUP,
    "lookup": _MY_REQUEST,
    "exchange": f"{_ALL} OR partner = {_ME}",
    "payload": _MY_EXCHANGE,
    "line": _MY_EXCHANGE,
    "once": f"{_ALL} OR caller = {_ME}",
    "partner_ref": f"{_ALL} OR partner = {_ME}",
    "incident": _ALL,
    "api_key": _ALL,
}
#: Partitions are read through their parents alone: held, and without a policy, by itself none shows a row to anybody.
_PARTITIONS = sa.text(
    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = ANY (ARRAY["
    "'exchange'::regclass, 'exchange_done'::regclass, 'payload'::regclass])"
)


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("holder", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("used_on", sa.String(length=10), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("api_key_holder", "api_key", ["holder"])
    op.add_column("partner_overlay", sa.Column("suspended", sa.Boolean(), nullable=True))
    op.add_column("partner_overlay", sa.Column("certificates", sa.Text(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        for name, table in _FUNCTIONS.items():
            # Bound to its table now: no search path leads it elsewhere later.
            asked = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE id = $1)"  # noqa: S608  names of our own
            op.execute(f"CREATE FUNCTION {name}(uuid) RETURNS boolean LANGUAGE sql STABLE BEGIN ATOMIC {asked}; END")
        for table, rows in SEEN.items():
            _held(table)
            op.execute(f"CREATE POLICY hub_seen ON {table} FOR SELECT USING ({rows})")
            op.execute(f"CREATE POLICY hub_put ON {table} FOR INSERT WITH CHECK ({_ALL})")
            op.execute(f"CREATE POLICY hub_changed ON {table} FOR UPDATE USING ({_ALL}) WITH CHECK ({_ALL})")
            op.execute(f"CREATE POLICY hub_gone ON {table} FOR DELETE USING ({_ALL})")
        for name in op.get_bind().execute(_PARTITIONS).scalars().all():
            _held(name)


def _held(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
