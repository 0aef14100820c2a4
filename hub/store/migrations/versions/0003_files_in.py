"""The files that partners have given us, and how far each has come."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
_ALL = "current_setting('hub.scope', true) = 'all'"
#: On PostgreSQL: a file is its partner's.
_HELD = (
    "ALTER TABLE file_in ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE file_in FORCE ROW LEVEL SECURITY",
    f"CREATE POLICY hub_seen ON file_in FOR SELECT USING ({_ALL} OR partner = current_setting('hub.partner', true))",
    f"CREATE POLICY hub_put ON file_in FOR INSERT WITH CHECK ({_ALL})",
    f"CREATE POLICY hub_changed ON file_in FOR UPDATE USING ({_ALL}) WITH CHECK ({_ALL})",
    f"CREATE POLICY hub_gone ON file_in FOR DELETE USING ({_ALL})",
)


def upgrade() -> None:
    op.create_table(
        "file_in",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner", sa.String(length=40), nullable=False),
        sa.Column("operation", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("via", sa.String(length=6), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=True),
        sa.Column("control", sa.String(length=40), nullable=True),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("exchange_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.Uuid(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("file_in_partner", "file_in", ["partner", "id"])
    unfinished = sa.text("ended_at IS NULL")
    op.create_index("file_in_open", "file_in", ["partner", "id"], sqlite_where=unfinished, postgresql_where=unfinished)
    if op.get_bind().dialect.name == "postgresql":
        for statement in _HELD:
            op.execute(statement)
