"""The first schema."""

from alembic import op

from hub.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE TABLE exchange_open PARTITION OF exchange FOR VALUES IN (true)")
        op.execute("CREATE TABLE exchange_done PARTITION OF exchange FOR VALUES IN (false) PARTITION BY RANGE (id)")
        op.execute("CREATE TABLE exchange_done_other PARTITION OF exchange_done DEFAULT")
        op.execute("CREATE TABLE payload_other PARTITION OF payload DEFAULT")
