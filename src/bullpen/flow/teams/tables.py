"""Rows of attempts: which agent was given which task, why, and what came of it."""

from sqlalchemy import BigInteger, Column, Float, Integer, String

from bullpen.kernel.storage.schema import AnyText, organization_table

attempt = organization_table(
    "task_attempt",
    Column("session_id", String(40), primary_key=True),
    Column("task_id", String(40), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("agent", String(80), nullable=False),
    Column("capabilities", AnyText, nullable=False),
    Column("reason", AnyText, nullable=False),
    Column("state", String(20), nullable=False),
    Column("summary", AnyText, nullable=False),
    Column("data", AnyText, nullable=False),
    Column("changes", AnyText, nullable=False),
    Column("cost", BigInteger, nullable=False),  # millionths of a dollar
    Column("started_at", Float(53), nullable=False),
    Column("ended_at", Float(53), nullable=False),
)
