"""The event log: written in the transaction of the rows it tells of, read in order from any position."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeVar

from sqlalchemy import insert, select

from bullpen.domain.actor import Actor
from bullpen.domain.events import Event
from bullpen.domain.ids import SessionId
from bullpen.kernel.bus import tables
from bullpen.kernel.bus.codec import decode, encode
from bullpen.kernel.clock import now
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.unit_of_work import Connection, PendingEvent, UnitOfWork

_INSERT = insert(tables.event)
E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stored event. ``position`` grows by commit order and is unique in the database."""

    position: int
    session_id: SessionId
    at: float
    actor_id: str
    event: Event


@dataclass(slots=True)
class EventLog:
    """Outbox, audit trail, live feed and replay in one."""

    _wakers: set[asyncio.Event] = field(default_factory=set[asyncio.Event])

    async def write(self, connection: Connection, actor: Actor, pending: Sequence[PendingEvent]) -> None:
        """See ``Outbox.write``."""
        at = now()
        rows = [
            {
                "organization_id": actor.organization_id,
                "session_id": entry.session_id,
                "subject": getattr(entry.event, "task_id", ""),
                "type": type(entry.event).__name__,
                "version": entry.event.version,
                "at": at,
                "actor_id": actor.id,
                "body": encode(entry.event),
            }
            for entry in pending
        ]
        await connection.run(_INSERT, rows)

    def committed(self) -> None:
        """See ``Outbox.committed``."""
        for waker in self._wakers:
            waker.set()

    async def follow(
        self, database: Database, actor: Actor, session_id: SessionId, after: int = 0, pattern: str = "*"
    ) -> AsyncIterator[Recorded]:
        """Events of a session as they come, from ``after`` on, for ever; ``pattern`` is a glob on type names."""
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            async with database.store.listening(waker.set):
                while True:
                    waker.clear()  # before the read: a commit in between sets it again
                    async with database.view(actor) as uow:
                        found = await replay(uow, session_id, after)
                    for recorded in found:
                        after = recorded.position
                        if fnmatchcase(type(recorded.event).__name__, pattern):
                            yield recorded
                    if not found:
                        await waker.wait()
        finally:
            self._wakers.discard(waker)


async def replay(
    uow: UnitOfWork, session_id: SessionId, after: int = 0, limit: int = 1000, subject: str = ""
) -> Sequence[Recorded]:
    """Up to ``limit`` events of a session behind a position, in order; only those about ``subject`` if given."""
    log = tables.event.c
    statement = (
        select(log.position, log.session_id, log.at, log.actor_id, log.type, log.body)
        .where(
            log.organization_id == uow.actor.organization_id,
            log.session_id == session_id,
            log.position > after,
        )
        .order_by(log.position)
        .limit(limit)
    )
    if uow.actor.only_session is not None:
        statement = statement.where(log.session_id == uow.actor.only_session)
    if subject:
        statement = statement.where(log.subject == subject)
    return [
        Recorded(position, session, at, actor, decode(kind, body))
        for position, session, at, actor, kind, body in await uow.fetch(statement)
    ]


async def recorded_of(uow: UnitOfWork, session_id: SessionId, kind: type[E]) -> list[E]:
    """All events of one type in a session, in order: what it has told of a matter so far."""
    log = tables.event.c
    statement = (
        select(log.type, log.body)
        .where(
            log.organization_id == uow.actor.organization_id,
            log.session_id == session_id,
            log.type == kind.__name__,
        )
        .order_by(log.position)
    )
    if uow.actor.only_session is not None:
        statement = statement.where(log.session_id == uow.actor.only_session)
    events = [decode(name, body) for name, body in await uow.fetch(statement)]
    return [event for event in events if isinstance(event, kind)]
