"""Rows of attempts (which agent was given which task, why, and what came of it), and the records they add up to."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String

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
    Column(
        "performer", String(200), nullable=False, server_default=""
    ),  # whose record its outcome counts for
    Column("outcome", String(20), nullable=False, server_default=""),  # won or lost, once it was measured
    Index("ix_task_attempt_running", "organization_id", "state", "started_at"),
)

record = organization_table(
    "agent_record",
    Column("performer", String(200), primary_key=True),
    Column("skill", String(200), primary_key=True),
    Column("wins", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("fades", AnyText, nullable=False),
    Column("seconds", Float(53), nullable=False),  # of a job, the mean
    Column("cost", Float(53), nullable=False),  # of a job, the mean, millionths of a dollar
)
