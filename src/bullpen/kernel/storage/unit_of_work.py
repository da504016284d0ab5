"""One transaction: rows and the events that tell of them, together or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Executable, Insert, Row, Select, Table, Update, false, insert, select, update

from bullpen.domain.actor import Actor
from bullpen.domain.events import Event
from bullpen.domain.ids import SessionId

Rows = Sequence[Row[*tuple[Any, ...]]]
AnySelect = Select[*tuple[Any, ...]]


class Connection(Protocol):
    """An open transaction of one of the databases."""

    async def fetch(self, statement: AnySelect) -> Rows:
        """All rows."""
        ...

    async def run(self, statement: Executable, rows: Sequence[Mapping[str, Any]] = ()) -> int:
        """Execute; with ``rows``, once for each. Returns the number of rows touched."""
        ...

    async def announce(self) -> None:
        """On commit, wake those who listen in other processes."""
        ...


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event waiting for its transaction's commit."""

    session_id: SessionId
    event: Event


@dataclass(slots=True)
class UnitOfWork:
    """What an action or a query is given: a transaction, the actor, and a place to record events.

    The organization's filter sits here: ``rows_of``, ``new_row`` and ``change_rows`` can only reach the actor's own.
    """

    connection: Connection
    actor: Actor
    pending: list[PendingEvent] = field(default_factory=list[PendingEvent])

    def record(self, session_id: SessionId, event: Event) -> None:
        """Tell a fact; it is stored when, and only if, this transaction commits."""
        self.pending.append(PendingEvent(session_id, event))

    def rows_of(self, table: Table) -> AnySelect:
        """Select from a table, only the organization's rows; for somebody a session was shared with, only that session's."""
        mine = select(table).where(table.c.organization_id == self.actor.organization_id)
        if self.actor.only_session is None:
            return mine
        key = table.c.get("id" if table.name == "session" else "session_id")
        return mine.where(false() if key is None else key == self.actor.only_session)

    def new_row(self, table: Table, **values: Any) -> Insert:
        """Insert a row for the organization."""
        return insert(table).values(organization_id=self.actor.organization_id, **values)

    def change_rows(self, table: Table) -> Update:
        """Update, only the organization's rows."""
        return update(table).where(table.c.organization_id == self.actor.organization_id)

    async def fetch(self, statement: AnySelect) -> Rows:
        """All rows of a query."""
        return await self.connection.fetch(statement)

    async def fetch_one(self, statement: AnySelect) -> Row[*tuple[Any, ...]] | None:
        """The first row, or None."""
        rows = await self.connection.fetch(statement)
        return rows[0] if rows else None

    async def run(self, statement: Executable, rows: Sequence[Mapping[str, Any]] = ()) -> int:
        """Execute a change; returns the number of rows touched."""
        return await self.connection.run(statement, rows)
