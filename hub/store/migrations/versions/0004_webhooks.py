"""Webhooks: what callers asked to be told of, and the hosts to which they may have it sent."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ALL = "current_setting('hub.scope', true) = 'all'"
_OWN = f"{_ALL} OR owner = current_setting('hub.partner', true)"


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("webhook_owner", "webhook", ["owner"])
    op.create_table(
        "webhook_host",
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("host", sa.String(length=260), nullable=False),
        sa.PrimaryKeyConstraint("owner", "host"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("webhook", "webhook_host"):
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY hub_seen ON {table} FOR SELECT USING ({_OWN})")
            op.execute(f"CREATE POLICY hub_put ON {table} FOR INSERT WITH CHECK ({_ALL})")
            op.execute(f"CREATE POLICY hub_changed ON {table} FOR UPDATE USING ({_ALL}) WITH CHECK ({_ALL})")
            op.execute(f"CREATE POLICY hub_gone ON {table} FOR DELETE USING ({_ALL})")
