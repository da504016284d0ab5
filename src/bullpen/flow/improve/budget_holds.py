"""Holding money for an agent before it works, in one transaction with the look at what is left."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bullpen.domain.errors import LimitExceeded
from bullpen.domain.events.improve import BudgetReleased, BudgetReserved
from bullpen.domain.money import Money
from bullpen.flow.improve.budget import NOTHING, Attempt, Grant, grant
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.records import count_money
from bullpen.flow.improve.session import ImproveSession
from bullpen.kernel.clock import now

LOOK_SECONDS = 0.2  # between two looks at whether others have left some
SLACK_SECONDS = 60.0  # beyond an agent's time, after which nobody waits for what it was given


@asynccontextmanager
async def money_for(
    means: Means, session: ImproveSession, attempt: Attempt, wanted: Money | None
) -> AsyncGenerator[Money | None]:
    """What an attempt may spend, held for it while in here; None where the session has no budget.

    ``wanted`` is its own limit, None where it has none, nothing where it costs nothing. Waits while agents at work hold
    what it needs.

    Raises:
        LimitExceeded: the session's budget is used up.
    """
    if session.options.budget == NOTHING:
        yield None
        return
    given = await _hold(means, session, attempt, wanted)
    try:
        yield given
    finally:
        if wanted != NOTHING:
            await asyncio.shield(_release(means, session, attempt))


async def _hold(means: Means, session: ImproveSession, attempt: Attempt, wanted: Money | None) -> Money:
    while True:
        given = await _try(means, session, attempt, wanted)
        if given.money != NOTHING:
            return given.money
        if not given.waits:
            raise LimitExceeded(
                f"The budget of {session.options.budget} is used up.",
                remedy="Run again with a larger --budget.",
            )
        await asyncio.sleep(LOOK_SECONDS)


async def _try(means: Means, session: ImproveSession, attempt: Attempt, wanted: Money | None) -> Grant:
    """One look and, where there is enough, the hold: writers take turns, so nobody else can get the same money."""
    async with means.database.transaction(means.actor) as uow:
        await count_money(uow, session)
        given = grant(session.purse, session.options.budget, attempt, wanted, now())
        if given.money != NOTHING and wanted != NOTHING:
            until = now() + means.settings.agent_seconds + SLACK_SECONDS
            uow.record(session.id, BudgetReserved(*attempt, given.money.micro_usd, until))
    return given


async def _release(means: Means, session: ImproveSession, attempt: Attempt) -> None:
    async with means.database.transaction(means.actor) as uow:
        uow.record(session.id, BudgetReleased(*attempt))
