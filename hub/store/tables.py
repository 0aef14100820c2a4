"""The tables.  SQLAlchemy Core defines them; no ORM stands between a unit of work and its rows.

Conventions: ids are UUIDv7; ``*_at`` are UTC microseconds since 1970 (``*_at`` alone is wall time, ``happened_at``
and ``business_at`` are business time); ``marks``, ``body`` and the like are canonical JSON without personal data;
``sealed`` is the one sealed blob of a row (AES-256-GCM, the row's id as associated data) and ``wrapped`` its data key.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    Uuid,
)

metadata = MetaData()

#: A number that the store counts.  SQLite counts only what it calls INTEGER, which has room enough.
COUNTED = BigInteger().with_variant(Integer, "sqlite")

umrah_group = Table(
    "umrah_group",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("group_no", String(20), nullable=False, unique=True),
    Column("agent", String(40), nullable=False),
    Column("agent_ref", String(20), nullable=False),
    Column("company", String(40), nullable=False),
    Column("season", Integer, nullable=False),
    Column("state", String(24), nullable=False),
    Column("heads", Integer, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("due", BigInteger),
    Column("kept", Integer, nullable=False, default=0),
    Column("version", Integer, nullable=False),
    Column("programme", Text, nullable=False),
    Column("bookings", Text, nullable=False),
    Column("marks", Text, nullable=False),
    Index("umrah_group_agent_ref", "agent", "agent_ref", unique=True),
    Index("umrah_group_company", "company", "id"),
    Index("umrah_group_due", "due"),
)

request = Table(
    "request",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("request_no", String(13), nullable=False, unique=True),
    Column("group_id", Uuid, nullable=False),
    Column("member", Integer, nullable=False),
    Column("state", String(24), nullable=False),
    Column("companion", Uuid),
    Column("minor", Boolean, nullable=False),
    Column("due", BigInteger),
    Column("ended_at", BigInteger),
    Column("end_reason", String(40)),
    Column("marks", Text, nullable=False),
    Column("paid_at", BigInteger),
    Column("referenced_at", BigInteger),
    Column("partner_us", BigInteger, nullable=False, default=0),
    Column("wrapped", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("request_group", "group_id", "member", unique=True),
    Index("request_state", "state", "id"),
    Index("request_due", "due"),
    Index("request_referenced", "referenced_at"),
)

voucher = Table(
    "voucher",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("group_id", Uuid, nullable=False, unique=True),
    Column("bill_no", String(13), nullable=False, unique=True),
    Column("state", String(24), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("paid", BigInteger, nullable=False),
    Column("issued_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("due", BigInteger),
    Column("body", Text, nullable=False),
    Index("voucher_due", "due"),
)

history = Table(
    "history",
    metadata,
    Column("id", COUNTED, primary_key=True, autoincrement=True),
    Column("machine", String(8), nullable=False),
    Column("entity_id", Uuid, nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("event", String(30), nullable=False),
    Column("was", String(24), nullable=False),
    Column("now", String(24), nullable=False),
    Column("reason", String(40)),
    Column("corrects", Boolean, nullable=False),
    Column("marks", Text),
    Column("happened_at", BigInteger, nullable=False),
    Column("business_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("exchange_id", Uuid),
    Index("history_entity", "entity_id"),
    Index("history_group", "group_id"),
)

# Facts that came before their time, kept until the case has caught up with them.
fact = Table(
    "fact",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("group_id", Uuid, nullable=False),
    Column("event", String(30), nullable=False),
    Column("code", String(40), nullable=False),
    Column("kept_at", BigInteger, nullable=False),
    Column("exchange_id", Uuid),
    Column("wrapped", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("fact_group", "group_id"),
)

# Keyed hashes under which a request is found: document, visa, border, reference.
lookup = Table(
    "lookup",
    metadata,
    Column("kind", String(16), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("request_id", Uuid, nullable=False),
    PrimaryKeyConstraint("kind", "hash", "request_id"),
)

partner_ref = Table(
    "partner_ref",
    metadata,
    Column("partner", String(40), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("value", String(40), nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("entity", String(40), nullable=False),
    PrimaryKeyConstraint("partner", "kind", "value"),
)

# On PostgreSQL what is open stays in one small partition and what is done is put by month: the ids begin with the time.
exchange = Table(
    "exchange",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("open", Boolean, primary_key=True),
    Column("partner", String(40), nullable=False),
    Column("operation", String(40), nullable=False),
    Column("direction", String(3), nullable=False),
    Column("state", String(10), nullable=False),
    Column("outcome", String(24)),
    Column("code", String(40)),
    Column("owner", String(40)),
    Column("name", String(120)),
    Column("sequence", Integer),
    Column("records", Integer),
    Column("control", String(40)),
    Column("subjects", Integer, nullable=False, default=0),
    Column("done", Integer, nullable=False, default=0),
    Column("map_hash", String(64)),
    Column("sha256", String(64)),
    Column("answers", Uuid),
    Column("attempts", Integer, nullable=False, default=0),  # also the fencing number of a claim
    Column("worker", Integer),  # whose claim it is
    Column("lease_until", BigInteger),  # by the store's clock
    Column("urgency", Integer, nullable=False, default=0),
    Column("next_at", BigInteger),
    Column("partner_us", BigInteger, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("business_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Index("exchange_partner", "partner", "id"),
    Index("exchange_state", "state", "settled_at"),
    postgresql_partition_by="LIST (open)",
)
# What was frozen and waits to be sent, in the order in which it is claimed: a round costs the same however many there
# are.  No other index has this condition, so that a planner who has counted nobody has no other to take.
_frozen_waits = (exchange.c.direction == "out") & exchange.c.state.in_(("waiting", "held"))
Index(
    "exchange_ready",
    exchange.c.partner,
    exchange.c.urgency,
    exchange.c.id,
    sqlite_where=_frozen_waits,
    postgresql_where=_frozen_waits,
)

exchange_subject = Table(
    "exchange_subject",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("exchange_id", Uuid),
    Column("partner", String(40), nullable=False),
    Column("operation", String(40), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("subject_id", String(40), nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("lane", String(80), nullable=False),
    Column("key", String(36), nullable=False),
    Column("their_ref", String(40)),
    Column("state", String(10), nullable=False),
    Column("outcome", String(24)),
    Column("code", String(40)),
    Column("owner", String(40)),
    Column("enquires", Uuid),
    Column("attempts", Integer, nullable=False, default=0),
    Column("urgency", Integer, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("partner_us", BigInteger, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Index("subject_key", "key"),
    Index("subject_lane", "partner", "lane"),
)
_frozen = exchange_subject.c.exchange_id.is_not(None)
Index("subject_exchange", exchange_subject.c.exchange_id, sqlite_where=_frozen, postgresql_where=_frozen)
# A claim says "not settled" where the pages say "open", so that no index of theirs is ever taken for its own: to a
# planner that has counted on a quiet night, all indexes of open rows are empty and as good as each other.
_waiting = exchange_subject.c.exchange_id.is_(None) & exchange_subject.c.settled_at.is_(None)
Index(
    "subject_waiting",
    exchange_subject.c.partner,
    exchange_subject.c.urgency,
    exchange_subject.c.id,
    sqlite_where=_waiting,
    postgresql_where=_waiting,
)

# What waits on whom is asked all the time: of the open ones only, however many there have been.
Index(
    "subject_open",
    exchange_subject.c.operation,
    exchange_subject.c.partner,
    exchange_subject.c.created_at,
    exchange_subject.c.state,  # so that the index answers by itself
    sqlite_where=exchange_subject.c.state == "open",
    postgresql_where=exchange_subject.c.state == "open",
)
Index(
    "subject_open_group",
    exchange_subject.c.group_id,
    sqlite_where=exchange_subject.c.state == "open",
    postgresql_where=exchange_subject.c.state == "open",
)

# The bytes lie in the month of their exchange.
payload = Table(
    "payload",
    metadata,
    Column("exchange_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    postgresql_partition_by="RANGE (exchange_id)",
)

# How a partner is doing, for all the processes that send to it: its failures in a row, until when it is left alone, and
# when its next exchange would be due if they had been sent evenly (by the store's clock).
flow = Table(
    "flow",
    metadata,
    Column("partner", String(40), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("rests_until", BigInteger, nullable=False),
    Column("paced_to", BigInteger, nullable=False),
)

# The processes that deliver.  One that has ended gives its lock back, and its claims are taken over.
worker = Table(
    "worker",
    metadata,
    Column("id", COUNTED, primary_key=True, autoincrement=True),
    Column("role", String(10), nullable=False),
    Column("zone", String(80), nullable=False),
    Column("host", String(80), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("beat_at", BigInteger, nullable=False),
)

seen = Table(
    "seen",
    metadata,
    Column("partner", String(40), nullable=False),
    Column("key", String(200), nullable=False),
    Column("exchange_id", Uuid, nullable=False),
    Column("digest", LargeBinary(32)),  # of all that was told under the key
    Column("group_id", Uuid),  # whom it was taken to speak of
    PrimaryKeyConstraint("partner", "key"),
)

once = Table(
    "once",
    metadata,
    Column("caller", String(40), nullable=False),
    Column("key", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("http", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("caller", "key"),
)

# What a person must look at: money or a fact that belongs to nobody we know, a contradiction, a refusal of a file.
incident = Table(
    "incident",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("code", String(40), nullable=False),
    Column("owner", String(40), nullable=False),
    Column("partner", String(40)),
    Column("operation", String(40)),
    Column("event", String(30)),
    Column("group_id", Uuid),
    Column("request_id", Uuid),
    Column("exchange_id", Uuid),
    Column("line", Integer),
    Column("raised_at", BigInteger, nullable=False),
    Column("business_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Index("incident_open", "resolved_at", "kind"),
    Index("incident_exchange", "exchange_id"),
)

# What a person did about an exchange, a line that could not be sent, or an incident, and why; ``became`` is what bytes
# that were read again became.
intervention = Table(
    "intervention",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("recorded_at", BigInteger, nullable=False),
    Column("business_at", BigInteger, nullable=False),
    Column("person", String(40), nullable=False),
    Column("action", String(10), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("entity", Uuid, nullable=False),
    Column("was", String(10)),
    Column("became", Uuid),
    Index("intervention_entity", "entity"),
    Index("intervention_became", "became"),
)

# Subjects whose partner has yet to confirm, and until when (business time) it is given.
awaited = Table(
    "awaited",
    metadata,
    Column("subject", Uuid, primary_key=True),
    Column("exchange_id", Uuid, nullable=False),
    Column("partner", String(40), nullable=False),
    Column("operation", String(40), nullable=False),
    Column("expects", String(40), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("subject_id", String(40), nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("raised", Boolean, nullable=False),
    Index("awaited_group", "group_id", "partner", "expects"),
    Index("awaited_due", "raised", "due_at"),
    Index("awaited_exchange", "exchange_id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", COUNTED, primary_key=True, autoincrement=True),
    Column("recorded_at", BigInteger, nullable=False),
    Column("actor", String(40), nullable=False),
    Column("action", String(40), nullable=False),
    Column("entity", String(40)),
    Column("exchange_id", Uuid),
)

# What is laid over the partners' files while the hub runs; who did it is in the audit.
partner_overlay = Table(
    "partner_overlay",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("row", Text),
    Column("enabled", Boolean),
    Column("mode", String(4)),
    Column("suspended", Boolean),
    Column("certificates", Text),
    Column("origin", String(200), nullable=False),
    Column("line", Integer, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", String(40), nullable=False),
)

# What callers asked to be told of.  Sealed are the address and the secrets.
webhook = Table(
    "webhook",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner", String(40), nullable=False),
    Column("events", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("webhook_owner", "owner"),
)

# The hosts to which a caller may have events sent: an operator says so, one by one.
webhook_host = Table(
    "webhook_host",
    metadata,
    Column("owner", String(40), nullable=False),
    Column("host", String(260), nullable=False),
    PrimaryKeyConstraint("owner", "host"),
)

# Who may call, by the SHA-256 of a key that was shown once.
api_key = Table(
    "api_key",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("id", String(12), nullable=False, unique=True),
    Column("holder", String(40), nullable=False),
    Column("role", String(20), nullable=False),
    Column("label", String(80), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("used_on", String(10)),  # the day (UTC) of its last use
    Index("api_key_holder", "holder"),
)

sequence = Table(
    "sequence",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# Counts up to a watermark (``tally/…`` in ``sequence``), so that nobody counts whole tables.
tally = Table(
    "tally",
    metadata,
    Column("name", String(20), nullable=False),
    Column("part", String(40), nullable=False),
    Column("state", String(24), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("us", BigInteger, nullable=False),
    PrimaryKeyConstraint("name", "part", "state"),
)

run = Table(
    "run",
    metadata,
    Column("schedule", String(60), nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("late", Boolean, nullable=False, default=False),
    Column("files", Integer, nullable=False, default=0),
    Column("lines", Integer, nullable=False, default=0),
    Column("code", String(40)),
    PrimaryKeyConstraint("schedule", "due_at"),
)
Index(
    "run_running",
    run.c.schedule,
    run.c.due_at,
    sqlite_where=run.c.state == "running",
    postgresql_where=run.c.state == "running",
)

# The lines of a file that the cases have not been told yet, and those that belong to nobody we know.  Number 0 is what
# stands around them and holds the data key of all.
line = Table(
    "line",
    metadata,
    Column("exchange_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("wrapped", LargeBinary),
    Column("sealed", LargeBinary, nullable=False),
    PrimaryKeyConstraint("exchange_id", "number"),
)

# The files that partners have given us, by whatever way, and how far each has come.  What waits to be read has its
# bytes in ``payload`` under the same id.
file_in = Table(
    "file_in",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("partner", String(40), nullable=False),
    Column("operation", String(40), nullable=False),
    Column("name", String(120), nullable=False),
    Column("via", String(6), nullable=False),
    Column("state", String(8), nullable=False),
    Column("code", String(40)),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("number", BigInteger),  # what the partner says beside it: its number, its records, their control sum
    Column("count", BigInteger),
    Column("control", String(40)),
    Column("read", Integer, nullable=False, default=0),
    Column("accepted", Integer, nullable=False, default=0),
    Column("rejected", Integer, nullable=False, default=0),
    Column("exchange_id", Uuid),
    Column("outcome", Uuid),  # the exchange that gives its rows back
    Column("received_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("file_in_partner", "partner", "id"),
)
Index(
    "file_in_open",
    file_in.c.partner,
    file_in.c.id,
    sqlite_where=file_in.c.ended_at.is_(None),
    postgresql_where=file_in.c.ended_at.is_(None),
)

# A pilgrim's photo, sealed under the pilgrim's own key: messages carry its number (the claim check), never the bytes.
photo = Table(
    "photo",
    metadata,
    Column("request_id", Uuid, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)
