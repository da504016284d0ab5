"""What locks, semaphores and barriers promise on both databases."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

import bullpen
from bullpen.domain.actor import Actor, Scope
from bullpen.domain.errors import BullpenError, Conflict, InvalidInput, LimitExceeded
from bullpen.domain.events.session import NoteWritten
from bullpen.domain.ids import ActorId, OrganizationId, SessionId
from bullpen.kernel.bus.log import replay
from bullpen.kernel.storage.database import Database
from bullpen.kernel.sync import tables
from bullpen.kernel.sync.actions import accept_token, arrive, release, renew, require_lease, take
from bullpen.kernel.sync.base import Barrier, Deadlock, Lease, Opened, Refused, Semaphore, Waiting, lock
from bullpen.kernel.sync.queries import list_leases
from bullpen.kernel.sync.waiting import acquire, held, meet

HOLDER = Path(__file__).parents[1] / "kernel" / "sync" / "holder.py"
A_LOCK = lock("a")
pytestmark = pytest.mark.req("COL-05")


async def taken(
    database: Database, actor: Actor, what: Semaphore, holder: str, seconds: float = 60
) -> Lease | Waiting | Refused:
    async with database.transaction(actor) as uow:
        return await take(uow, what, holder, seconds)


async def leased(database: Database, actor: Actor, what: Semaphore, holder: str) -> Lease:
    lease = await taken(database, actor, what, holder)
    assert isinstance(lease, Lease)
    return lease


async def let_go(database: Database, actor: Actor, lease: Lease) -> None:
    async with database.transaction(actor) as uow:
        await release(uow, lease)


async def end_leases(database: Database, actor: Actor) -> None:
    """As if their time had passed."""
    async with database.transaction(actor) as uow:
        await uow.run(uow.change_rows(tables.hold).values(until=1.0))


async def test_one_has_a_lock_and_the_others_wait_in_order(database: Database, person: Actor) -> None:
    first = await leased(database, person, A_LOCK, "ann")
    assert isinstance(await taken(database, person, A_LOCK, "bob"), Waiting)
    assert isinstance(await taken(database, person, A_LOCK, "cid"), Waiting)
    await let_go(database, person, first)
    assert isinstance(await taken(database, person, A_LOCK, "cid"), Waiting)
    second = await leased(database, person, A_LOCK, "bob")
    assert second.token > first.token


async def test_a_semaphore_has_as_many_holders_as_it_may(database: Database, person: Actor) -> None:
    what = Semaphore("pool", 3)
    leases = [await leased(database, person, what, f"agent-{number}") for number in range(3)]
    waiting = await taken(database, person, what, "agent-3")
    assert isinstance(waiting, Waiting)
    assert waiting.on == ("agent-0", "agent-1", "agent-2")
    await let_go(database, person, leases[1])
    await leased(database, person, what, "agent-3")
    with pytest.raises(InvalidInput, match="pool is known with other members or another capacity"):
        await taken(database, person, Semaphore("pool", 4), "agent-4")


async def test_organizations_do_not_meet(database: Database, person: Actor) -> None:
    stranger = Actor(ActorId("stranger"), OrganizationId("elsewhere"), frozenset(Scope))
    await leased(database, person, A_LOCK, "ann")
    await leased(database, stranger, A_LOCK, "ann")
    async with database.view(stranger) as uow:
        assert len(await list_leases(uow)) == 1


async def test_a_lease_that_ended_is_anothers_and_the_old_token_is_refused(
    database: Database, person: Actor
) -> None:
    old = await leased(database, person, A_LOCK, "ann")
    async with database.transaction(person) as uow:
        await accept_token(uow, "a", old.token)
    await end_leases(database, person)
    new = await leased(database, person, A_LOCK, "bob")
    assert new.token > old.token
    async with database.transaction(person) as uow:
        await accept_token(uow, "a", new.token)
    for act in (require_lease, renew):
        with pytest.raises(Conflict, match=r"The lease of ann on a \(token \d+\) has ended"):
            async with database.transaction(person) as uow:
                await act(uow, old)
    with pytest.raises(Conflict, match=f"Token {old.token} of a is refused"):
        async with database.transaction(person) as uow:
            await accept_token(uow, "a", old.token)
    await let_go(database, person, old)  # changes nothing
    assert isinstance(await taken(database, person, A_LOCK, "cid"), Waiting)


async def test_a_write_under_a_lease_that_ended_is_not_done(database: Database, person: Actor) -> None:
    session = SessionId("ses-1")
    old = await leased(database, person, A_LOCK, "ann")
    await end_leases(database, person)

    async def write() -> None:
        async with database.transaction(person) as uow:
            uow.record(session, NoteWritten("task-1", "too late", "ann"))
            await require_lease(uow, old)

    with pytest.raises(Conflict, match="has ended"):
        await write()
    async with database.view(person) as uow:
        assert await replay(uow, session) == []


async def test_a_lease_longer_than_any_was_given_before_the_clock_was_set_back(
    database: Database, person: Actor
) -> None:
    await leased(database, person, A_LOCK, "ann")
    async with database.transaction(person) as uow:
        await uow.run(uow.change_rows(tables.hold).values(until=tables.hold.c.until + 1e6))
    await leased(database, person, A_LOCK, "bob")


async def test_renewing_keeps_the_token(database: Database, person: Actor) -> None:
    lease = await leased(database, person, A_LOCK, "ann")
    async with database.transaction(person) as uow:
        longer = await renew(uow, lease, 600)
    assert longer.token == lease.token
    assert longer.until > lease.until + 500


async def test_a_lease_whose_time_passed_is_kept_if_nobody_asked_for_it(
    database: Database, person: Actor
) -> None:
    lease = await leased(database, person, A_LOCK, "ann")
    await end_leases(database, person)
    async with database.transaction(person) as uow:
        await renew(uow, lease)
        await require_lease(uow, lease)
    assert isinstance(await taken(database, person, A_LOCK, "bob"), Waiting)


async def test_two_that_wait_for_each_other_the_younger_is_refused(database: Database, person: Actor) -> None:
    await leased(database, person, A_LOCK, "ann")
    held_by_bob = await leased(database, person, lock("b"), "bob")
    assert isinstance(await taken(database, person, A_LOCK, "bob"), Waiting)
    assert isinstance(await taken(database, person, lock("b"), "ann"), Waiting)  # closes the circle, is older
    refused = await taken(database, person, A_LOCK, "bob")
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("bob waits for a and thereby for ann, who wait for bob; it came last")
    await let_go(database, person, held_by_bob)
    await leased(database, person, lock("b"), "ann")


async def test_the_younger_that_closes_the_circle_is_refused_at_once(
    database: Database, person: Actor
) -> None:
    await leased(database, person, A_LOCK, "ann")
    await leased(database, person, lock("b"), "bob")
    assert isinstance(await taken(database, person, lock("b"), "ann"), Waiting)
    assert isinstance(await taken(database, person, A_LOCK, "bob"), Refused)


async def test_whoever_asks_for_what_it_holds_would_wait_for_itself(
    database: Database, person: Actor
) -> None:
    await leased(database, person, A_LOCK, "ann")
    with pytest.raises(Deadlock, match="ann holds a already"):
        await acquire(database, person, A_LOCK, "ann")


async def test_a_barrier_opens_for_all_and_closes_behind_them(database: Database, person: Actor) -> None:
    barrier = Barrier("start", frozenset({"ann", "bob", "cid"}))
    for expected in (0, 1):
        come = await asyncio.gather(*(meet(database, person, barrier, name) for name in barrier.members))
        assert come == [expected] * 3
    with pytest.raises(InvalidInput, match="dan is no member"):
        await meet(database, person, barrier, "dan")


async def test_a_barrier_with_one_missing_is_left_after_a_while(database: Database, person: Actor) -> None:
    barrier = Barrier("start", frozenset({"ann", "bob"}))
    with pytest.raises(LimitExceeded, match=r"ann waited 0\.05 s for start"):
        await meet(database, person, barrier, "ann", patience=0.05)
    async with database.transaction(person) as uow:
        waiting = await arrive(uow, barrier, "bob")
    assert waiting == Waiting("start", ("ann",), 0)


async def test_at_a_barrier_with_a_lock_that_the_missing_one_needs(database: Database, person: Actor) -> None:
    barrier = Barrier("start", frozenset({"ann", "bob"}))
    await leased(database, person, A_LOCK, "ann")
    async with database.transaction(person) as uow:
        assert isinstance(await arrive(uow, barrier, "ann"), Waiting)
    assert isinstance(await taken(database, person, A_LOCK, "bob"), Refused)
    async with database.transaction(person) as uow:
        assert await arrive(uow, barrier, "bob") == Opened("start", 0)


async def test_many_take_turns_and_nobody_meets_another_inside(database: Database, person: Actor) -> None:
    inside: list[str] = []
    most, tokens = 0, list[int]()

    async def one(name: str) -> None:
        nonlocal most
        async with held(database, person, A_LOCK, name) as lease:
            inside.append(name)
            most = max(most, len(inside))
            tokens.append(lease.token)
            await asyncio.sleep(0)
            inside.remove(name)

    await asyncio.gather(*(one(f"agent-{number}") for number in range(12)))
    assert most == 1
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 12


async def test_philosophers_all_eat(database: Database, person: Actor) -> None:
    """Five forks, taken left first by all: somebody gives way, and all have eaten in the end."""
    forks = [lock(f"fork-{number}") for number in range(5)]
    eaten: list[int] = []
    refused = 0

    async def philosopher(seat: int) -> None:
        nonlocal refused
        while seat not in eaten:
            try:
                async with held(database, person, forks[seat], f"p{seat}"):
                    await meet_all_once()
                    async with held(database, person, forks[(seat + 1) % 5], f"p{seat}"):
                        eaten.append(seat)
            except Deadlock:
                refused += 1

    seated = 0
    all_seated = asyncio.Event()

    async def meet_all_once() -> None:
        nonlocal seated
        seated += 1
        if seated == 5:
            all_seated.set()
        await all_seated.wait()

    await asyncio.gather(*(philosopher(seat) for seat in range(5)))
    assert sorted(eaten) == list(range(5))
    assert refused >= 1


def started(url: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path(bullpen.__file__).parents[1])}
    argv = [sys.executable, str(HOLDER), url, "a", "1.5"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
async def test_a_holder_that_is_killed_is_followed_by_one_with_a_higher_token(
    database: Database, person: Actor, database_url: str
) -> None:
    with started(database_url) as process:
        assert process.stdout is not None
        token, until = (await asyncio.to_thread(process.stdout.readline)).split()
        old = Lease("a", "the one that is killed", int(token), float(until))
        async with database.transaction(person) as uow:
            await require_lease(uow, old)
            await accept_token(uow, "a", old.token)
        process.send_signal(signal.SIGKILL)
    new = await acquire(database, person, A_LOCK, "the next", patience=60)
    assert new.token > old.token
    async with database.transaction(person) as uow:
        await accept_token(uow, "a", new.token)
    with pytest.raises(BullpenError, match="has ended"):
        async with database.transaction(person) as uow:
            await require_lease(uow, old)
    with pytest.raises(BullpenError, match=f"Token {old.token} of a is refused"):
        async with database.transaction(person) as uow:
            await accept_token(uow, "a", old.token)


async def test_the_clock_is_the_databases(database: Database, person: Actor) -> None:
    lease = await leased(database, person, A_LOCK, "ann")
    async with database.view(person) as uow:
        row = (await uow.fetch(sa.select(tables.hold.c.since)))[0]
    assert lease.until == pytest.approx(row.since + 60)
    assert row.since > 1.6e9
