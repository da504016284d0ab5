"""Reading sessions."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic_core import from_json
from sqlalchemy import select

from bullpen.domain.actor import Actor, Scope, shared_reader
from bullpen.domain.errors import NotFound, PermissionRefused
from bullpen.domain.ids import OrganizationId, SessionId
from bullpen.domain.session import Session, Share, Stage
from bullpen.kernel.clock import now
from bullpen.kernel.storage.database import Store
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.carried import CarriedFact, FactKind
from bullpen.sessions.tables import carried_fact, session, session_share

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


async def list_children(uow: UnitOfWork, session_id: str) -> Sequence[Session]:
    """Those that were forked from it or begun by it, the oldest first; archived ones too."""
    uow.actor.require(Scope.READ)
    statement = uow.rows_of(session).where(session.c.parent == session_id)
    return [_session(row) for row in await uow.fetch(statement.order_by(session.c.created_at, session.c.id))]


async def list_shares(uow: UnitOfWork, session_id: str = "") -> Sequence[Share]:
    """The links there are or were, the newest first; of one session if given."""
    uow.actor.require(Scope.RUN)
    statement = uow.rows_of(session_share)
    if session_id:
        statement = statement.where(session_share.c.session_id == session_id)
    rows = await uow.fetch(statement.order_by(session_share.c.made_at.desc(), session_share.c.id))
    return [_share(row) for row in rows]


async def reader_with(store: Store, token: str) -> Actor:
    """Whom a link's token stands for: somebody who may read one session, and nothing else.

    The only question that is asked before it is known for which organization.

    Raises:
        PermissionRefused: it opens nothing (any more); it is not told whether it ever did.
    """
    wanted = select(session_share).where(session_share.c.token_hash == token_hash(token))
    async with store.reading() as connection:
        rows = await connection.fetch(wanted)
    if not rows or not _share(rows[0]).opens_at(now()):
        raise PermissionRefused(
            "This link opens nothing (any more).", remedy="Ask whoever shared the session for a new one."
        )
    share = _share(rows[0])
    return shared_reader(OrganizationId(rows[0].organization_id), share.id, share.session_id)


async def list_carried(uow: UnitOfWork, project: str) -> Sequence[CarriedFact]:
    """What sessions of a project are told, by kind and key."""
    uow.actor.require(Scope.READ)
    row = carried_fact
    statement = uow.rows_of(row).where(row.c.project == project).order_by(row.c.kind, row.c.key)
    return [
        CarriedFact(
            FactKind(one.kind),
            one.key,
            one.text,
            SessionId(one.from_session),
            one.said_by,
            one.said_at,
            one.note,
        )
        for one in await uow.fetch(statement)
    ]


def token_hash(token: str) -> str:
    """What is stored of a token. It is random and long, so a plain digest cannot be searched for."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _share(row: Any) -> Share:
    return Share(row.id, SessionId(row.session_id), row.made_by, row.made_at, row.expires_at, row.revoked_at)


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
