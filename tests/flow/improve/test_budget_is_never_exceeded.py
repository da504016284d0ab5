"""Agents at work at the same moment never spend more together than the session's budget; on both databases."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.actor import Actor
from bullpen.domain.errors import LimitExceeded
from bullpen.domain.events.agent import ModelReplied
from bullpen.domain.events.improve import BudgetReleased, BudgetReserved
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.flow.improve.budget import Attempt, Purse, grant
from bullpen.flow.improve.budget_holds import money_for
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.improve.records import money_spent
from bullpen.flow.improve.session import ImproveSession
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.storage.database import Database, open_store

pytestmark = pytest.mark.req("AGT-07", "SCH-03")
SESSION = SessionId("ses-money")
BUDGET = Money(1_000)
DICE = random.Random(0)  # noqa: S311 - no secret


class Process:
    """One of several that work on a session: a connection and a count of its own."""

    def __init__(self, database: Database, person: Actor, budget: Money = BUDGET) -> None:
        self.means = SimpleNamespace(
            database=database, actor=person, settings=SimpleNamespace(agent_seconds=600.0)
        )
        options = ImproveOptions(".", budget=budget)
        self.session = ImproveSession(SESSION, options, None, None, 0.0)  # type: ignore[arg-type]

    def money(self, name: str, wanted: int | None, number: int = 1):
        limit = None if wanted is None else Money(wanted)
        return money_for(self.means, self.session, (TaskId(name), number), limit)  # type: ignore[arg-type]

    async def reply(self, name: str, cost: int, number: int = 1) -> None:
        async with self.means.database.transaction(self.means.actor) as uow:
            uow.record(SESSION, ModelReplied(TaskId(name), number, 1, "", (), 1, 1, cost))

    async def spent(self) -> int:
        return (await money_spent(self.means, self.session)).micro_usd  # type: ignore[arg-type]


@asynccontextmanager
async def processes(url: str, person: Actor, count: int) -> AsyncIterator[list[Process]]:
    stores = [await open_store(url) for _ in range(count)]
    yield [Process(Database(store, EventLog()), person) for store in stores]
    for store in stores:
        await store.close()


async def spend(process: Process, name: str, wanted: int | None, dice: random.Random) -> int:
    """An agent that uses up what it is given, now and then all of it; what it was given."""
    try:
        async with process.money(name, wanted) as given:
            assert given is not None
            left = given.micro_usd
            while left and dice.random() < 0.9:
                cost = dice.randint(1, left)
                await process.reply(name, cost)
                await asyncio.sleep(0)  # SQLite never waits of itself
                left -= cost
            return given.micro_usd
    except LimitExceeded:
        return 0


@pytest.mark.parametrize("seed", range(3))
async def test_many_at_once_spend_no_more_than_there_is(database_url: str, person: Actor, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - no secret
    async with processes(database_url, person, 3) as several:
        agents = [
            spend(several[number % 3], f"t{number}", dice.choice([None, 50, 200, 700]), dice)
            for number in range(18)
        ]
        given = await asyncio.gather(*agents)
        counted = {await one.spent() for one in several}
        assert len(counted) == 1
        assert 0 < counted.pop() <= BUDGET.micro_usd
        assert any(given)
        assert not any(one.session.purse.holds for one in several)


async def test_two_of_a_half_work_side_by_side_and_a_third_waits(database_url: str, person: Actor) -> None:
    async with processes(database_url, person, 2) as (here, there):
        async with here.money("a", 500) as first, there.money("b", 500) as second:
            assert first == second == Money(500)
            third = asyncio.create_task(spend(here, "c", 300, DICE))
            await here.reply("a", 100)
            assert not third.done()
        assert await third == 300


async def test_who_wants_nothing_waits_for_nobody_until_all_is_spent(
    database_url: str, person: Actor
) -> None:
    async with processes(database_url, person, 1) as (one,):
        async with one.money("a", None) as all_of_it, one.money("free", 0) as free:
            assert all_of_it == BUDGET
            assert free is not None
        await one.reply("a", 1_000)
        with pytest.raises(LimitExceeded, match="is used up"):
            async with one.money("free", 0):
                pass


async def test_who_goes_on_after_a_kill_has_its_own_money_still(database_url: str, person: Actor) -> None:
    """Nobody released it. The same attempt gets it again, with what it had spent; the next attempt gets the rest."""
    async with processes(database_url, person, 2) as (died, heir):
        await died.money("a", 600).__aenter__()
        await died.reply("a", 200)
        async with heir.money("a", 600) as again:
            assert again == Money(600)
        await died.money("b", None).__aenter__()
        async with heir.money("b", None, number=2) as other:
            assert other == Money(800)


async def test_without_a_budget_nothing_is_held(database: Database, person: Actor) -> None:
    one = Process(database, person, Money())
    async with one.money("a", 100) as given:
        assert given is None
    await one.spent()
    assert one.session.purse.counted_to == 0


async def test_what_was_held_by_the_dead_is_free_after_its_time() -> None:
    purse = Purse()
    purse.count(BudgetReserved(TaskId("a"), 1, 900, until=100.0))
    assert grant(purse, BUDGET, (TaskId("b"), 1), Money(200), at=99.0).waits
    assert grant(purse, BUDGET, (TaskId("b"), 1), Money(200), at=101.0).money == Money(200)


ATTEMPTS = st.tuples(st.sampled_from("abcd").map(TaskId), st.integers(1, 2))
STEPS = st.lists(
    st.tuples(ATTEMPTS, st.one_of(st.none(), st.integers(1, 900)), st.integers(0, 900)), max_size=60
)


@given(STEPS)
def test_whatever_happens_grants_fit_into_the_budget(
    steps: list[tuple[Attempt, int | None, int]],
) -> None:
    """An attempt asks, or goes on spending within its grant, or ends; those who died are begun again as others."""
    purse, at = Purse(), time.time()
    for attempt, wanted, cost in steps:
        hold = purse.holds.get(attempt)
        if hold is None:
            money = grant(purse, BUDGET, attempt, None if wanted is None else Money(wanted), at).money
            if money != Money():
                purse.count(BudgetReserved(*attempt, money.micro_usd, at + 1))
        elif cost > 600:
            purse.count(BudgetReleased(*attempt))
        else:
            mine = min(cost, hold.micro_usd - purse.by_attempt.get(attempt, 0))
            purse.count(ModelReplied(attempt[0], attempt[1], 1, "", (), 1, 1, max(0, mine)))
        assert purse.spent + purse.held(at, TaskId("nobody")) <= BUDGET.micro_usd
