"""A company's own groups are found without looking at everybody's."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index("umrah_group_company", "umrah_group", ["company", "id"])
