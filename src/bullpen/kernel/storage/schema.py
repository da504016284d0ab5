"""Tables: one metadata for all, and a form that belongs to an organization."""

from sqlalchemy import Column, MetaData, String, Table
from sqlalchemy.sql.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def organization_table(name: str, *items: SchemaItem) -> Table:
    """A table whose rows belong to an organization; ``organization_id`` leads its primary key."""
    return Table(name, metadata, Column("organization_id", String(40), primary_key=True), *items)
