"""Webhooks: what callers asked to be told of, and the hosts to which they may have it sent."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0001"


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
