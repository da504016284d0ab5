"""Asking for locks, semaphores and barriers, keeping them, letting go: each in the caller's transaction.

Nothing here waits; see ``waiting.py`` for that. What must be undone by nobody is not done by somebody whose lease is
over: ``require_lease`` for rows of this database, ``accept_token`` for what is written elsewhere.
"""

from typing import Any

from sqlalchemy import Row, Table, delete

from bullpen.domain.actor import Scope
from bullpen.domain.errors import Conflict, InvalidInput, NotFound
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.kernel.sync import tables
from bullpen.kernel.sync.base import (
    LONGEST_HOLDER,
    LONGEST_LEASE,
    Barrier,
    Lease,
    Opened,
    Refused,
    Semaphore,
    Waiting,
    ended,
)
from bullpen.kernel.sync.clock import database_time
from bullpen.kernel.sync.graph import victims
from bullpen.kernel.sync.queries import MEMBERS, Picture, is_over, picture

WAIT_SECONDS = 10.0  # after which whoever waits, and does not ask again, has gone


async def take(
    uow: UnitOfWork, what: Semaphore, holder: str, seconds: float = 60.0
) -> Lease | Waiting | Refused:
    """Ask for it. Who comes first is served first; ask again at least every ``WAIT_SECONDS`` to keep one's place.

    Raises:
        InvalidInput: the lease is too long, or the name stands for something else.
    """
    uow.actor.require(Scope.RUN)
    _check(holder, seconds)
    seen = await _swept(uow)
    seen = await _known(uow, seen, what.name, what.capacity, "")
    if seen.held_by(what.name, holder):
        return Refused(what.name, f"{holder} holds {what.name} already, and would wait for itself.")
    mine = seen.waiting(what.name, holder)
    if mine is not None and mine.refused:
        await withdraw(uow, what.name, holder)
        return Refused(what.name, mine.refused)
    if seen.may_have(what.name, holder):
        return await _grant(uow, seen, what.name, holder, seconds)
    await _queue(uow, seen, what.name, holder)
    return await _unless_stuck(uow, what.name, holder)


async def arrive(
    uow: UnitOfWork, barrier: Barrier, member: str, generation: int | None = None
) -> Opened | Waiting | Refused:
    """Come to a barrier, or, with the ``generation`` of the first answer, ask whether it has opened since.

    Raises:
        InvalidInput: it is no member, or the name stands for something else.
    """
    uow.actor.require(Scope.RUN)
    if member not in barrier.members:
        raise InvalidInput(f"{member} is no member of the barrier {barrier.name}.")
    seen = await _swept(uow)
    seen = await _known(uow, seen, barrier.name, 0, dump(MEMBERS, tuple(sorted(barrier.members))))
    turn: int = seen.resources[barrier.name].token
    if generation is not None and turn > generation:
        return Opened(barrier.name, generation)
    mine = seen.waiting(barrier.name, member)
    if mine is not None and mine.refused:
        await withdraw(uow, barrier.name, member)
        return Refused(barrier.name, mine.refused)
    if set(seen.missing(barrier.name)) <= {member}:
        await _delete(uow, tables.wait, barrier.name)
        await _set(uow, barrier.name, token=turn + 1)
        await uow.connection.announce()
        return Opened(barrier.name, turn)
    await _queue(uow, seen, barrier.name, member)
    return await _unless_stuck(uow, barrier.name, member)


async def renew(uow: UnitOfWork, lease: Lease, seconds: float = 60.0) -> Lease:
    """Keep it for ``seconds`` from now; also where its time has passed, as long as nobody else was given it.

    Raises:
        Conflict: (``lease-ended``) it was released, or somebody else has asked for it since its time passed.
    """
    uow.actor.require(Scope.RUN)
    _check(lease.holder, seconds)
    until = await database_time(uow) + seconds
    if not await uow.run(uow.change_rows(tables.hold).where(*_of(lease)).values(until=until)):
        raise ended(lease)
    return Lease(lease.name, lease.holder, lease.token, until)


async def release(uow: UnitOfWork, lease: Lease) -> None:
    """Let go of it; nothing where the lease is over."""
    uow.actor.require(Scope.RUN)
    mine = tables.hold.c.organization_id == uow.actor.organization_id
    if await uow.run(delete(tables.hold).where(mine, *_of(lease))):
        await uow.connection.announce()


async def withdraw(uow: UnitOfWork, name: str, holder: str) -> None:
    """Wait for it no more."""
    uow.actor.require(Scope.RUN)
    await _delete(uow, tables.wait, name, holder)


async def require_lease(uow: UnitOfWork, lease: Lease) -> float:
    """Refuse to go on under a lease that is over; the rest of the transaction is then done by its holder alone.

    Returns the time by the database's clock.

    Raises:
        Conflict: (``lease-ended``) it is over.
    """
    at = await database_time(uow)
    row = await uow.fetch_one(uow.rows_of(tables.hold).where(*_of(lease)))
    if row is None or is_over(row.until, at):
        raise ended(lease)
    return at


async def accept_token(uow: UnitOfWork, name: str, token: int) -> None:
    """Guard what is written elsewhere: once a token was accepted, lower ones never are.

    Raises:
        Conflict: (``lease-ended``) a later holder has written.
        NotFound: nobody ever asked for ``name``.
    """
    row = await uow.fetch_one(uow.rows_of(tables.resource).where(tables.resource.c.name == name))
    if row is None:
        raise NotFound(f"There is nothing called {name} to be held.")
    if token < row.seen or token > row.token:
        raise Conflict(
            f"Token {token} of {name} is refused: {row.seen} was used, {row.token} is the newest.",
            remedy="The lease has ended and somebody else went on: ask for it again.",
            code="lease-ended",
        )
    if token > row.seen:
        await _set(uow, name, seen=token)


def _check(holder: str, seconds: float) -> None:
    if not 0 < len(holder) <= LONGEST_HOLDER:
        raise InvalidInput(f"A holder's name has 1 to {LONGEST_HOLDER} characters.")
    if not 0 < seconds <= LONGEST_LEASE:
        raise InvalidInput(f"A lease lasts up to {LONGEST_LEASE:.0f} s, not {seconds:g} s.")


async def _swept(uow: UnitOfWork) -> Picture:
    """What holds now; rows that are over go."""
    seen = await picture(uow)
    for table in (tables.hold, tables.wait):
        rows = table.c
        over = (rows.until <= seen.at) | (rows.until > seen.at + LONGEST_LEASE + 1)
        await uow.run(delete(table).where(rows.organization_id == uow.actor.organization_id, over))
    return seen


async def _known(uow: UnitOfWork, seen: Picture, name: str, capacity: int, members: str) -> Picture:
    row = seen.resources.get(name)
    if row is None:
        new = uow.new_row(tables.resource, name=name, capacity=capacity, members=members, token=0, seen=0)
        await uow.run(new)
        return await picture(uow)
    if (row.capacity, row.members) != (capacity, members):
        raise InvalidInput(
            f"{name} is known with other members or another capacity ({row.capacity}).",
            remedy="Ask with the same, or give it another name.",
        )
    return seen


async def _grant(uow: UnitOfWork, seen: Picture, name: str, holder: str, seconds: float) -> Lease:
    token, until = await _next_token(uow, name), seen.at + seconds
    await _delete(uow, tables.wait, name, holder)
    await uow.run(uow.new_row(tables.hold, name=name, holder=holder, token=token, since=seen.at, until=until))
    return Lease(name, holder, token, until)


async def _next_token(uow: UnitOfWork, name: str) -> int:
    await _set(uow, name, token=tables.resource.c.token + 1)
    row = await uow.fetch_one(uow.rows_of(tables.resource).where(tables.resource.c.name == name))
    if row is None:
        raise NotFound(f"There is nothing called {name} to be held.")
    return row.token


async def _queue(uow: UnitOfWork, seen: Picture, name: str, holder: str) -> None:
    """Get in line; whoever is in it keeps its place."""
    until, row = seen.at + WAIT_SECONDS, tables.wait.c
    if seen.waiting(name, holder) is not None:
        mine = (row.name == name, row.holder == holder)
        await uow.run(uow.change_rows(tables.wait).where(*mine).values(until=until))
        return
    resource = seen.resources[name]
    ticket = resource.token if resource.members else await _next_token(uow, name)
    values = {"ticket": ticket, "since": seen.at, "until": until, "refused": ""}
    await uow.run(uow.new_row(tables.wait, name=name, holder=holder, **values))


async def _unless_stuck(uow: UnitOfWork, name: str, holder: str) -> Waiting | Refused:
    """Look for a deadlock, and break it: whoever is to be refused hears of it when it asks again, the asker now."""
    seen = await picture(uow)
    own = ""
    for row in [row for one in victims(seen.edges(), seen.since()) for row in _waits_of(seen, one)]:
        reason = _why(seen, row)
        if (row.name, row.holder) == (name, holder):
            own = reason
            await withdraw(uow, name, holder)
        else:
            mine = (tables.wait.c.name == row.name, tables.wait.c.holder == row.holder)
            await uow.run(uow.change_rows(tables.wait).where(*mine).values(refused=reason))
            await uow.connection.announce()
    if own:
        return Refused(name, own)
    row = seen.resources[name]
    others = seen.missing(name) if row.members else tuple(one.holder for one in seen.holds.get(name, ()))
    return Waiting(name, others, row.token)


def _waits_of(seen: Picture, holder: str) -> list[Row[Any]]:
    return [one for rows in seen.waits.values() for one in rows if one.holder == holder and not one.refused]


def _why(seen: Picture, row: Row[Any]) -> str:
    others = " and ".join(sorted(seen.edge(row).on)[:5])
    return (
        f"{row.holder} waits for {row.name} and thereby for {others}, who wait for {row.holder}; "
        f"it came last, so it gives way."
    )


def _of(lease: Lease) -> tuple[Any, ...]:
    row = tables.hold.c
    return (row.name == lease.name, row.holder == lease.holder, row.token == lease.token)


async def _set(uow: UnitOfWork, name: str, **values: Any) -> None:
    await uow.run(uow.change_rows(tables.resource).where(tables.resource.c.name == name).values(**values))


async def _delete(uow: UnitOfWork, table: Table, name: str, holder: str = "") -> None:
    mine = [table.c.organization_id == uow.actor.organization_id, table.c.name == name]
    if holder:
        mine.append(table.c.holder == holder)
    await uow.run(delete(table).where(*mine))
