"""Reading sessions."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from bullpen.domain.actor import Scope
from bullpen.domain.errors import NotFound
from bullpen.domain.ids import SessionId
from bullpen.domain.session import Session, Stage
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.tables import session


async def get_session(uow: UnitOfWork, session_id: str) -> Session:
    """One session; NotFound if there is none of that id in the actor's organization."""
    found = await find_session(uow, session_id)
    if found is None:
        raise NotFound(
            f"There is no session {session_id}.", remedy="See `bullpen sessions` for those there are."
        )
    return found


async def find_session(uow: UnitOfWork, session_id: str) -> Session | None:
    """One session, or None if there is none of that id in the actor's organization."""
    uow.actor.require(Scope.READ)
    row = await uow.fetch_one(uow.rows_of(session).where(session.c.id == session_id))
    return None if row is None else _session(row)


async def list_sessions(
    uow: UnitOfWork, *, project: str = "", kind: str = "", archived: bool = False, limit: int = 100
) -> Sequence[Session]:
    """Newest first; of one project or kind if asked."""
    uow.actor.require(Scope.READ)
    statement = uow.rows_of(session).where(session.c.archived == archived)
    if project:
        statement = statement.where(session.c.project == project)
    if kind:
        statement = statement.where(session.c.kind == kind)
    rows = await uow.fetch(statement.order_by(session.c.created_at.desc(), session.c.id).limit(limit))
    return [_session(row) for row in rows]


def _session(row: Row[Any]) -> Session:
    return Session(
        id=SessionId(row.id),
        kind=row.kind,
        goal=row.goal,
        project=row.project,
        stage=Stage(row.stage),
        paused=row.paused,
        options=row.options,
        created_at=row.created_at,
        updated_at=row.updated_at,
        parent=row.parent,
        archived=row.archived,
        tags=tuple(json.loads(row.tags)),
        participants=tuple(json.loads(row.participants)),
        metadata=json.loads(row.facts),
    )
