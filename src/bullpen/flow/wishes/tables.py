"""Rows of attempts that wait for an agent. A row that is not renewed is of a process that is gone."""

from sqlalchemy import Column, Float, Integer, String

from bullpen.kernel.storage.schema import AnyText, organization_table

agent_wish = organization_table(
    "agent_wish",
    Column("session_id", String(40), primary_key=True),
    Column("task_id", String(40), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("capabilities", AnyText, nullable=False),
    Column("path", AnyText, nullable=False),
    Column("rule", AnyText, nullable=False),
    Column("not_by", AnyText, nullable=False),
    Column("since", Float(53), nullable=False),
    Column("renewed_at", Float(53), nullable=False),
)
