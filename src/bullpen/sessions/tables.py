"""Rows of sessions, scratchpads, links to shared sessions, and what is carried between sessions."""

from sqlalchemy import Boolean, Column, Float, Index, String

from bullpen.kernel.storage.schema import AnyText, organization_table

session = organization_table(
    "session",
    Column("id", String(40), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("goal", AnyText, nullable=False),
    Column("project", AnyText, nullable=False),
    Column("stage", String(20), nullable=False),
    Column("paused", Boolean, nullable=False, default=False),
    Column("archived", Boolean, nullable=False, default=False),
    Column("options", AnyText, nullable=False),
    Column("parent", String(40), nullable=False, default=""),
    Column("tags", AnyText, nullable=False, default="[]"),
    Column("participants", AnyText, nullable=False, default="[]"),
    Column("facts", AnyText, nullable=False, default="{}"),
    Column("created_at", Float(53), nullable=False),
    Column("updated_at", Float(53), nullable=False),
)

scratchpad_variable = organization_table(
    "scratchpad_variable",
    Column("session_id", String(40), primary_key=True),
    Column("task_id", String(40), primary_key=True),
    Column("name", String(120), primary_key=True),
    Column("type", String(40), nullable=False),
    Column("value", AnyText, nullable=False),
    Column("set_by", String(80), nullable=False),
    Column("set_at", Float(53), nullable=False),
)

scratchpad_file = organization_table(
    "scratchpad_file",
    Column("session_id", String(40), primary_key=True),
    Column("task_id", String(40), primary_key=True),
    Column("path", AnyText, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("read_at", Float(53), nullable=False),
)

session_share = organization_table(
    "session_share",
    Column("id", String(40), primary_key=True),
    Column("session_id", String(40), nullable=False),
    Column("token_hash", String(64), nullable=False),  # SHA-256; the token itself is kept nowhere
    Column("made_by", String(80), nullable=False),
    Column("made_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
    Column("revoked_at", Float(53), nullable=False, default=0.0),  # 0: not revoked
    Index("ix_session_share_token", "token_hash", unique=True),
)

carried_fact = organization_table(
    "carried_fact",
    Column("id", String(40), primary_key=True),  # derived from project, kind and key
    Column("project", AnyText, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("key", AnyText, nullable=False),
    Column("text", AnyText, nullable=False),
    Column("from_session", String(40), nullable=False),
    Column("said_by", String(80), nullable=False),
    Column("said_at", Float(53), nullable=False),
    Column("note", AnyText, nullable=False),
)
