"""Locks and semaphores under any sequence of asking, letting go and leases that end."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bullpen.domain.actor import local_person
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.storage.database import Database, open_store
from bullpen.kernel.sync import tables
from bullpen.kernel.sync.actions import release, require_lease, take
from bullpen.kernel.sync.base import Lease, Refused, Semaphore
from bullpen.kernel.sync.graph import stuck
from bullpen.kernel.sync.queries import picture

PERSON = local_person()
THINGS = (Semaphore("one"), Semaphore("two"), Semaphore("pool", 2))
moves = st.tuples(
    st.sampled_from(["take", "take", "take", "release", "expire"]),
    st.sampled_from("abcd"),
    st.sampled_from(THINGS),
)


async def play(database: Database, some: list[tuple[str, str, Semaphore]]) -> None:
    held: dict[tuple[str, str], Lease] = {}
    highest: dict[str, int] = {}
    for verb, holder, what in some:
        key = (what.name, holder)
        async with database.transaction(PERSON) as uow:
            if verb == "take":
                answer = await take(uow, what, holder)
                if isinstance(answer, Lease):
                    assert key not in held
                    assert answer.token > highest.get(what.name, 0)
                    highest[what.name] = answer.token
                    held[key] = answer
                elif key in held:
                    assert isinstance(answer, Refused)
            elif verb == "release" and key in held:
                await release(uow, held.pop(key))
            elif verb == "expire" and key in held:
                row = tables.hold.c
                mine = (row.name == what.name, row.holder == holder)
                await uow.run(uow.change_rows(tables.hold).where(*mine).values(until=1.0))
                del held[key]
        await check(database, held)


async def check(database: Database, held: dict[tuple[str, str], Lease]) -> None:
    """Never too many holders, never anybody stuck, and the database knows the same leases as we do."""
    async with database.view(PERSON) as uow:
        seen = await picture(uow)
        for lease in held.values():
            await require_lease(uow, lease)
    for what in THINGS:
        holders = {one.holder for one in seen.holds.get(what.name, ())}
        assert holders == {holder for name, holder in held if name == what.name}
        assert len(holders) <= what.capacity
    assert not stuck(seen.edges())


@pytest.mark.slow
@pytest.mark.req("COL-05")
@settings(max_examples=40)
@given(st.lists(moves, max_size=30))
def test_locks_hold_under_any_sequence(some: list[tuple[str, str, Semaphore]]) -> None:
    async def run(folder: str) -> None:
        store = await open_store(f"sqlite:///{Path(folder) / 'locks.db'}")
        await play(Database(store, EventLog()), some)
        await store.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(folder))
