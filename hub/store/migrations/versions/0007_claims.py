"""What was frozen is claimed in its order without being sorted, and a partner's exchanges are found page by page."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_WAITS = sa.text("direction = 'out' AND state IN ('waiting', 'held')")


def upgrade() -> None:
    op.drop_index("exchange_partner", "exchange")
    op.create_index("exchange_partner", "exchange", ["partner", "id"])
    op.create_index(
        "exchange_ready", "exchange", ["partner", "urgency", "id"], sqlite_where=_WAITS, postgresql_where=_WAITS
    )
