"""The event log, and the messages between agents."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from bullpen.kernel.storage.schema import metadata

event = Table(
    "event",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("organization_id", String(40), nullable=False),
    Column("session_id", String(40), nullable=False),
    Column("subject", String(40), nullable=False),  # the task it is about, or empty
    Column("type", String(80), nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("actor_id", String(80), nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_event_session", "organization_id", "session_id", "position"),
    Index("ix_event_subject", "organization_id", "session_id", "subject", "position"),
)

message = Table(
    "message",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("organization_id", String(40), nullable=False),
    Column("queue", String(120), nullable=False),
    Column("id", String(80), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("deadline", Float(53), nullable=False),
    Column("body", Text, nullable=False),
    Column("deliveries", Integer, nullable=False),  # over its whole life
    Column("attempts", Integer, nullable=False),  # since it was last put into its queue
    Column("free_at", Float(53), nullable=False),  # seconds of the backend's clock; 0: never held
    Column("token", String(40), nullable=False),  # of the lease, or empty
    Index("ix_message_id", "organization_id", "queue", "id", unique=True),
    Index("ix_message_order", "organization_id", "queue", "priority", "position"),
    sqlite_autoincrement=True,  # a position is never used again: a late acknowledgement hits nobody else
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("organization_id", String(40), primary_key=True),
    Column("queue", String(120), primary_key=True),
    Column("id", String(80), primary_key=True),
    Column("body", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("at", Float(53), nullable=False),
)
