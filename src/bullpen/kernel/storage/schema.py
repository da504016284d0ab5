"""Tables: one metadata for all, and a form that belongs to an organization."""

from typing import Any

from sqlalchemy import Column, MetaData, String, Table, Text
from sqlalchemy.sql.schema import SchemaItem
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class AnyText(TypeDecorator[str]):
    """Text from outside, such as the name of a file: what a database cannot hold is kept as ``\\xNN``."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """See ``storable``; applied to what is looked for, too, so a name is found as it was stored."""
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """The same text without lone surrogates and without NUL, which no database takes."""
    if not text.isascii():
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "backslashreplace")
    return text.replace("\0", "\\x00")


def organization_table(name: str, *items: SchemaItem) -> Table:
    """A table whose rows belong to an organization; ``organization_id`` leads its primary key."""
    return Table(name, metadata, Column("organization_id", String(40), primary_key=True), *items)
