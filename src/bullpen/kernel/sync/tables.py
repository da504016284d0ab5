"""Rows of what is waited for, who has it, and who waits."""

from sqlalchemy import BigInteger, Column, Float, Integer, String, Text

from bullpen.kernel.storage.schema import AnyText, organization_table

resource = organization_table(
    "sync_resource",
    Column("name", String(200), primary_key=True),
    Column("capacity", Integer, nullable=False),  # of a barrier 0
    Column("members", Text, nullable=False),  # of a barrier, as JSON; otherwise empty
    Column("token", BigInteger, nullable=False),  # the newest; of a barrier, how often it has opened
    Column("seen", BigInteger, nullable=False),  # the highest a guarded write came with
)

hold = organization_table(
    "sync_hold",
    Column("name", String(200), primary_key=True),
    Column("holder", String(120), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("since", Float(53), nullable=False),  # seconds of the database's clock
    Column("until", Float(53), nullable=False),
)

wait = organization_table(
    "sync_wait",
    Column("name", String(200), primary_key=True),
    Column("holder", String(120), primary_key=True),
    Column("ticket", BigInteger, nullable=False),  # the order of service; at a barrier, for which opening
    Column("since", Float(53), nullable=False),
    Column("until", Float(53), nullable=False),
    Column("refused", AnyText, nullable=False),  # why it will not get it, or empty
)
