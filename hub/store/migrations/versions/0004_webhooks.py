"""Webhooks: what callers asked to be told of, and the hosts to which they may have it sent."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ALL = "current_setting('hub.scope', true) = 'all'"
_OWN = f"{_ALL} OR owner = current_setting('hub.partner', true)"
#: Written out: the names of tables are no values that could be bound.
_SEEN = (
    "ALTER TABLE webhook ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE webhook FORCE ROW LEVEL SECURITY",
    f"CREATE POLICY hub_seen ON webhook FOR SELECT USING ({_OWN})",
    f"CREATE POLICY hub_put ON webhook FOR INSERT WITH CHECK ({_ALL})",
    f"CREATE POLICY hub_changed ON webhook FOR UPDATE USING ({_ALL}) WITH CHECK ({_ALL})",
    f"CREATE POLICY hub_gone ON webhook FOR DELETE USING ({_ALL})",
    "ALTER TABLE webhook_host ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE webhook_host FORCE ROW LEVEL SECURITY",
    f"CREATE POLICY hub_seen ON webhook_host FOR SELECT USING ({_OWN})",
    f"CREATE POLICY hub_put ON webhook_host FOR INSERT WITH CHECK ({_ALL})",
    f"CREATE POLICY hub_changed ON webhook_host FOR UPDATE USING ({_ALL}) WITH CHECK ({_ALL})",
    f"CREATE POLICY hub_gone ON webhook_host FOR DELETE USING ({_ALL})",
)


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
        for statement in _SEEN:
            op.execute(statement)
