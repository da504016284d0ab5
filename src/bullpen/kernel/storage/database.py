"""The database port: transactions with their events, on SQLite or PostgreSQL."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from bullpen.domain.actor import Actor
from bullpen.domain.errors import InvalidInput, PermissionRefused
from bullpen.kernel.storage.unit_of_work import Connection, PendingEvent, UnitOfWork


class Store(Protocol):
    """An open database."""

    def writing(self, organization: str) -> AbstractAsyncContextManager[Connection]:
        """A transaction that commits on leaving, and rolls back on an exception.

        Those of one organization take turns, so what is read in it stays true until it ends. Do not wait for anything
        but the database in it.

        Raises:
            Conflict: a row of the same key exists.
            Unavailable: the disk is full, the file or the server cannot be written.
        """
        ...

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """A view of one moment; changes made through it are refused."""
        ...

    def listening(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """While it is open, ``wake`` is called after another process has committed events, and now and then besides."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


class Outbox(Protocol):
    """Stores events inside the transaction and wakes those who wait for them after it."""

    async def write(self, connection: Connection, actor: Actor, pending: Sequence[PendingEvent]) -> None:
        """Store them, in order, in the same transaction."""
        ...

    def committed(self) -> None:
        """The transaction is durable: tell those who wait."""
        ...


@dataclass(frozen=True, slots=True)
class Database:
    """Opens units of work."""

    store: Store
    outbox: Outbox

    @asynccontextmanager
    async def transaction(self, actor: Actor) -> AsyncGenerator[UnitOfWork]:
        """Everything in it, rows and events, is committed on leaving, or nothing is.

        Raises:
            PermissionRefused: a session was shared with the actor, to be read.
        """
        if actor.only_session is not None:
            raise PermissionRefused("A shared session can be read, not changed.")
        async with self.store.writing(actor.organization_id) as connection:
            uow = UnitOfWork(connection, actor)
            yield uow
            if uow.pending:
                await self.outbox.write(connection, actor, uow.pending)
                await connection.announce()
        if uow.pending:
            self.outbox.committed()

    @asynccontextmanager
    async def view(self, actor: Actor) -> AsyncGenerator[UnitOfWork]:
        """For queries only."""
        async with self.store.reading() as connection:
            yield UnitOfWork(connection, actor)


async def open_store(url: str) -> Store:
    """Open ``sqlite:///path`` or ``postgresql://…`` and bring its tables up to date.

    Raises:
        InvalidInput: another kind of URL.
        Unavailable: the database does not answer or is newer than this program.
    """
    if url.startswith("sqlite:///"):
        from bullpen.kernel.storage.sqlite import SqliteStore

        return SqliteStore.open(url)
    if url.startswith("postgresql"):
        from bullpen.kernel.storage.postgres import PostgresStore

        return await PostgresStore.open(url)
    raise InvalidInput(
        f"The database URL {url.split('://', maxsplit=1)[0]}://… is of no kind Bullpen knows.",
        remedy="Use sqlite:///PATH or postgresql://USER@HOST/NAME.",
    )
