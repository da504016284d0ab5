"""Saying that somebody is waited for, and that nobody is any more. No event: it is over within seconds, and what follows,
who was given the task, has its own.
"""

from sqlalchemy import delete

from bullpen.domain.actor import Scope
from bullpen.flow.wishes import tables
from bullpen.flow.wishes.queries import FRESH_SECONDS, WORDS, Wish
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork

FORGOTTEN_SECONDS = 100 * FRESH_SECONDS  # after that a row of a process that is gone is swept away


async def keep_wish(uow: UnitOfWork, wish: Wish, at: float) -> None:
    """Begin to wait, or go on with it."""
    uow.actor.require(Scope.RUN)
    row = tables.agent_wish.c
    mine = (row.session_id == wish.session, row.task_id == wish.task, row.attempt == wish.number)
    if await uow.run(uow.change_rows(tables.agent_wish).where(*mine).values(renewed_at=at)):
        return
    values = {
        "session_id": wish.session,
        "task_id": wish.task,
        "attempt": wish.number,
        "capabilities": dump(WORDS, wish.capabilities),
        "path": wish.path,
        "rule": wish.rule,
        "not_by": dump(WORDS, tuple(sorted(wish.not_by))),
        "since": wish.since,
    }
    await uow.run(uow.new_row(tables.agent_wish, renewed_at=at, **values))
    gone = (row.organization_id == uow.actor.organization_id, row.renewed_at < at - FORGOTTEN_SECONDS)
    await uow.run(delete(tables.agent_wish).where(*gone))


async def drop_wish(uow: UnitOfWork, wish: Wish) -> None:
    """Nobody is waited for any more."""
    uow.actor.require(Scope.RUN)
    row = tables.agent_wish.c
    mine = (row.session_id == wish.session, row.task_id == wish.task, row.attempt == wish.number)
    of_us = row.organization_id == uow.actor.organization_id
    await uow.run(delete(tables.agent_wish).where(of_us, *mine))
