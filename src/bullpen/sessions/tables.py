"""Rows of sessions and scratchpads."""

from sqlalchemy import Boolean, Column, Float, String

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
