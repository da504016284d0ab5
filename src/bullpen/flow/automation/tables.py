"""Rows of automations that were enabled, and of their runs."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, String

from bullpen.kernel.storage.schema import AnyText, organization_table

automation = organization_table(
    "automation",
    Column("id", String(40), primary_key=True),  # derived from origin and name
    Column("name", String(80), nullable=False),
    Column("origin", AnyText, nullable=False),  # the repository its file is kept in; empty: Bullpen's home
    Column("path", AnyText, nullable=False),
    Column("text", AnyText, nullable=False),  # as a person allowed it; what is edited later is not run
    Column("digest", String(64), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("changed_by", String(80), nullable=False),
    Column("changed_at", Float(53), nullable=False),
    Column("memory", AnyText, nullable=False),  # of its triggers, as JSON
    Column("looked_at", Float(53), nullable=False),
)

automation_run = organization_table(
    "automation_run",
    Column("id", String(40), primary_key=True),  # derived from automation and key: a trigger begins one run
    Column("automation_id", String(40), nullable=False),
    Column("trigger", AnyText, nullable=False),  # as JSON
    Column("digest", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", AnyText, nullable=False),
    Column("session_id", String(40), nullable=False),
    Column("made_at", Float(53), nullable=False),
    Column("started_at", Float(53), nullable=False),  # 0: not yet
    Column("ended_at", Float(53), nullable=False),
    Column("holder", String(80), nullable=False),  # who does it; empty: nobody
    Column("held_until", Float(53), nullable=False),
    Column("stop", AnyText, nullable=False),  # why it is to end; empty: it is not
    Column("attempts", Integer, nullable=False),
    Index("ix_automation_run_of", "organization_id", "automation_id", "made_at"),
    Index("ix_automation_run_state", "organization_id", "state"),
)
