"""Rows of work items, task trees, approvals and evidence."""

from sqlalchemy import Column, Float, Integer, String

from bullpen.kernel.storage.schema import AnyText, organization_table

work_item = organization_table(
    "work_item",
    Column("session_id", String(40), primary_key=True),
    Column("id", String(40), primary_key=True),
    Column("draft", AnyText, nullable=False),
    Column("state", String(20), nullable=False),
    Column("priority", AnyText, nullable=False),
    Column("score", Float(53), nullable=False),
    Column("quality", Float(53), nullable=False),
    Column("depends_on", AnyText, nullable=False),
    Column("owner", String(80), nullable=False, default=""),
    Column("reason", AnyText, nullable=False, default=""),
    Column("change", String(64), nullable=False, default=""),
    Column("position", Integer, nullable=False),
)

work_item_step = organization_table(
    "work_item_step",
    Column("session_id", String(40), primary_key=True),
    Column("item_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Float(53), nullable=False),
    Column("by", String(80), nullable=False),
    Column("state", String(20), nullable=False),
    Column("note", AnyText, nullable=False),
)

task = organization_table(
    "task",
    Column("session_id", String(40), primary_key=True),
    Column("id", String(40), primary_key=True),
    Column("parent", String(40), nullable=False),
    Column("title", AnyText, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("role", String(40), nullable=False),
    Column("state", String(20), nullable=False),
    Column("depends_on", AnyText, nullable=False),
    Column("capabilities", AnyText, nullable=False),
    Column("acceptance", AnyText, nullable=False),
    Column("complexity", Float(53), nullable=False),
    Column("position", Integer, nullable=False),
    Column("item", String(40), nullable=False),
    Column("note", AnyText, nullable=False),
    Column("started_at", Float(53), nullable=False),
    Column("ended_at", Float(53), nullable=False),
)

approval = organization_table(
    "approval",
    Column("session_id", String(40), primary_key=True),
    Column("id", String(40), primary_key=True),
    Column("subject", AnyText, nullable=False),
    Column("risk", String(20), nullable=False),
    Column("reason", AnyText, nullable=False),
    Column("answer", String(20), nullable=False),
    Column("asked_at", Float(53), nullable=False),
    Column("deadline", Float(53), nullable=False),
    Column("answered_by", String(80), nullable=False, default=""),
)

evidence = organization_table(
    "evidence",
    Column("session_id", String(40), primary_key=True),
    Column("item_id", String(40), primary_key=True),
    Column("commit", String(64), nullable=False),
    Column("body", AnyText, nullable=False),
)
