"""Rows of what finished runs taught: runs, waves, the settings that follow, and how those came about."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String

from bullpen.kernel.storage.schema import AnyText, organization_table

finished_run = organization_table(
    "finished_run",
    Column("session_id", String(40), primary_key=True),
    Column("task_id", String(40), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("project", AnyText, nullable=False),
    Column("kind", String(80), nullable=False),
    Column("shape", String(40), nullable=False),
    Column("agent", String(80), nullable=False),
    Column("role", String(40), nullable=False),
    Column("model", AnyText, nullable=False),
    Column("recipe", String(80), nullable=False),
    Column("rule", AnyText, nullable=False),
    Column("size", String(40), nullable=False),
    Column("succeeded", Boolean, nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("cost", BigInteger, nullable=False),  # millionths of a dollar
    Column("rework", Integer, nullable=False),
    Column("at", Float(53), nullable=False),
    Index("ix_finished_run_at", "organization_id", "at"),
)

finished_wave = organization_table(
    "finished_wave",
    Column("session_id", String(40), primary_key=True),
    Column("wave", Integer, primary_key=True),
    Column("width", Integer, nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("conflicts", Integer, nullable=False),
    Column("at", Float(53), nullable=False),
)

learned_session = organization_table(
    "learned_session",
    Column("session_id", String(40), primary_key=True),
    Column("run", String(40), nullable=False),  # the run of it that had ended as it was taken in
)

tuning = organization_table(
    "tuning",
    Column("body", AnyText, nullable=False),  # see ``queries.Tuning``
)

setting_change = organization_table(
    "setting_change",
    Column("id", String(40), primary_key=True),
    Column("at", Float(53), nullable=False),
    Column("name", String(100), nullable=False),
    Column("before", AnyText, nullable=False),
    Column("after", AnyText, nullable=False),
    Column("how", String(20), nullable=False),
    Column("by", String(80), nullable=False),
    Column("reason", AnyText, nullable=False),
    Column("session_id", String(40), nullable=False),
)
