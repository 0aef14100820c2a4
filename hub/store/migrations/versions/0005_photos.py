"""Photos of pilgrims."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
_ALL = "current_setting('hub.scope', true) = 'all'"
#: On PostgreSQL: a photo is seen by whoever sees its request.
_HELD = (
    "ALTER TABLE photo ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE photo FORCE ROW LEVEL SECURITY",
    f"CREATE POLICY hub_seen ON photo FOR SELECT USING ({_ALL} OR hub_request_seen(request_id))",
    f"CREATE POLICY hub_put ON photo FOR INSERT WITH CHECK ({_ALL})",
    f"CREATE POLICY hub_changed ON photo FOR UPDATE USING ({_ALL}) WITH CHECK ({_ALL})",
    f"CREATE POLICY hub_gone ON photo FOR DELETE USING ({_ALL})",
)


def upgrade() -> None:
    op.create_table(
        "photo",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in _HELD:
            op.execute(statement)
