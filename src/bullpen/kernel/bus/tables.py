"""The event log."""

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
