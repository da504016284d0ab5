"""Rows of findings."""

from sqlalchemy import Column, Integer, String

from bullpen.kernel.storage.schema import AnyText, organization_table

finding = organization_table(
    "finding",
    Column("session_id", String(40), primary_key=True),
    Column("moment", String(20), primary_key=True),  # before or after
    Column("number", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("rule", String(120), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("concern", String(40), nullable=False),
    Column("path", AnyText, nullable=False),
    Column("line", Integer, nullable=False),
    Column("body", AnyText, nullable=False),
)
