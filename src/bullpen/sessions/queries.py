"""Reading sessions."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from bullpen.domain.actor import Scope
from bullpen.domain.errors import NotFound
from bullpen.domain.session import Session, Stage
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.tables import session

_STAGES = {stage.value: stage for stage in Stage}


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


def _session(row: Any) -> Session:
    """Thousands are listed at once, so the row is taken apart in one go, in the order of the table's columns."""
    (
        _,
        name,
        kind,
        goal,
        project,
        stage,
        paused,
        archived,
        options,
        parent,
        tags,
        people,
        facts,
        made,
        touched,
    ) = row
    return Session(
        name,
        kind,
        goal,
        project,
        _STAGES[stage],
        paused,
        options,
        made,
        touched,
        parent,
        archived,
        _texts(tags),
        _texts(people),
        from_json(facts) if facts != "{}" else {},
    )


@lru_cache(maxsize=1024)
def _texts(stored: str) -> tuple[str, ...]:
    return tuple(from_json(stored))
