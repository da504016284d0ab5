"""Waiting for locks, semaphores and barriers, and keeping a lease while something is done under it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from bullpen.domain.actor import Actor
from bullpen.domain.errors import Conflict, LimitExceeded, Unavailable
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.kernel.sync.actions import WAIT_SECONDS, arrive, release, renew, take, withdraw
from bullpen.kernel.sync.base import Barrier, Deadlock, Lease, Opened, Refused, Semaphore, Waiting
from bullpen.kernel.sync.queries import picture

T = TypeVar("T", Lease, Opened)
LOOK_SECONDS = 0.25  # between two looks where nobody wakes us: leases end without a sound
_Ask = Callable[[UnitOfWork, int | None], Awaitable[T | Waiting | Refused]]


async def acquire(
    database: Database,
    actor: Actor,
    what: Semaphore,
    holder: str,
    *,
    seconds: float = 60.0,
    patience: float | None = None,
) -> Lease:
    """Wait for it, at most ``patience`` seconds (None: as long as it takes), and hold it for ``seconds``.

    Raises:
        Deadlock: it would wait for itself, through others; the sentence names them.
        LimitExceeded: it was not to be had in time.
    """

    async def ask(uow: UnitOfWork, _generation: int | None) -> Lease | Waiting | Refused:
        return await take(uow, what, holder, seconds)

    return await _patiently(database, actor, what.name, holder, ask, patience)


async def meet(
    database: Database, actor: Actor, barrier: Barrier, member: str, *, patience: float | None = None
) -> int:
    """Wait at a barrier until all have come; which of its openings it was, from 0.

    Raises:
        Deadlock: somebody who is missing waits for this member.
        LimitExceeded: somebody did not come in time.
    """

    async def ask(uow: UnitOfWork, generation: int | None) -> Opened | Waiting | Refused:
        return await arrive(uow, barrier, member, generation)

    return (await _patiently(database, actor, barrier.name, member, ask, patience)).generation


@asynccontextmanager
async def held(
    database: Database,
    actor: Actor,
    what: Semaphore,
    holder: str,
    *,
    seconds: float = 60.0,
    patience: float | None = None,
) -> AsyncGenerator[Lease]:
    """Hold it while the block runs. The lease is kept as long as this process lives and the database answers.

    Whether it still holds is for ``require_lease`` to say, in the transaction that depends on it.
    """
    lease = await acquire(database, actor, what, holder, seconds=seconds, patience=patience)
    keeping = asyncio.create_task(_keep(database, actor, lease, seconds))
    try:
        yield lease
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        with suppress(Unavailable):  # then it ends by itself
            async with database.transaction(actor) as uow:
                await release(uow, lease)


async def _keep(database: Database, actor: Actor, lease: Lease, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds / 3)
        try:
            async with database.transaction(actor) as uow:
                await renew(uow, lease, seconds)
        except Unavailable:
            continue
        except Conflict:
            return  # it is lost; who depends on it is told by ``require_lease``


async def _patiently(
    database: Database, actor: Actor, name: str, holder: str, ask: _Ask[T], patience: float | None
) -> T:
    deadline = asyncio.timeout(patience)
    try:
        async with deadline:
            answer = await _answered(database, actor, holder, ask)
    except BaseException as error:
        await asyncio.shield(_leave(database, actor, name, holder))
        if not (isinstance(error, TimeoutError) and deadline.expired()):
            raise
        raise LimitExceeded(
            f"{holder} waited {patience:g} s for {name}.",
            remedy="Allow more time, or see who keeps it: others hold it or have not come.",
            code="waited-too-long",
        ) from None
    if isinstance(answer, Refused):
        raise Deadlock(answer.reason, remedy="Release what you hold, and ask again.")
    return answer


async def _answered(database: Database, actor: Actor, holder: str, ask: _Ask[T]) -> T | Refused:
    waker = asyncio.Event()
    generation: int | None = None
    async with database.store.listening(waker.set):
        while True:
            async with database.transaction(actor) as uow:
                answer = await ask(uow, generation)
            if not isinstance(answer, Waiting):
                return answer
            generation = answer.generation
            await _until_it_may(database, actor, answer, holder, waker)


async def _leave(database: Database, actor: Actor, name: str, holder: str) -> None:
    with suppress(Unavailable):  # its place goes by itself
        async with database.transaction(actor) as uow:
            await withdraw(uow, name, holder)


async def _until_it_may(
    database: Database, actor: Actor, waiting: Waiting, holder: str, waker: asyncio.Event
) -> None:
    """Sleep until asking again may come to something, or one's place must be kept."""
    loop = asyncio.get_running_loop()
    end = loop.time() + WAIT_SECONDS / 3
    while loop.time() < end:
        waker.clear()
        async with database.view(actor) as uow:
            seen = await picture(uow)
        mine, row = seen.waiting(waiting.name, holder), seen.resources[waiting.name]
        over = row.token > waiting.generation if row.members else seen.may_have(waiting.name, holder)
        if mine is None or mine.refused or over:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await waker.wait()
