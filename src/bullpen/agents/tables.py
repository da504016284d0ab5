"""Rows of the fleet: how each revision of an agent fares, what runs of it there are, and who registered."""

from sqlalchemy import Column, Float, Integer, String

from bullpen.kernel.storage.schema import AnyText, organization_table

agent_state = organization_table(
    "agent_state",
    Column("namespace", String(400), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("revision", String(12), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("tried", Integer, nullable=False),
    Column("well", Integer, nullable=False),
    Column("faults", Integer, nullable=False),
    Column("latency", Float(53), nullable=False),
    Column("last_sign", Float(53)),
    Column("last_error", AnyText, nullable=False),
    Column("lacking", AnyText, nullable=False),
    Column("rest_until", Float(53)),
    Column("stopped", AnyText, nullable=False),
    Column("skills", AnyText, nullable=False),
)

agent_run = organization_table(
    "agent_run",
    Column("id", String(40), primary_key=True),
    Column("namespace", String(400), nullable=False),
    Column("name", String(64), nullable=False),
    Column("since", Float(53), nullable=False),
    Column("until", Float(53), nullable=False),  # its time is up by then, also where its process was killed
)

agent_registration = organization_table(
    "agent_registration",
    Column("name", String(64), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("revision", String(12), nullable=False),
    Column("source", AnyText, nullable=False),  # the file or address it was read from
    Column("manifest", AnyText, nullable=False),  # of an agent without files of its own
    Column("registered_by", String(80), nullable=False),
    Column("registered_at", Float(53), nullable=False),
    Column("removed_at", Float(53)),
)
