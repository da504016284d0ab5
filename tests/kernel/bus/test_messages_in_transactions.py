"""What only the database can do for messages: one transaction with other rows; and clocks that jump."""

import asyncio

import pytest
import sqlalchemy as sa
from tests.kernel.bus.desk import ANN, Desk, message

from bullpen.domain.actor import Actor
from bullpen.domain.errors import Conflict, InvalidInput, LimitExceeded
from bullpen.domain.events.session import NoteWritten
from bullpen.domain.ids import LOCAL_ORGANIZATION, SessionId
from bullpen.kernel.bus.backends.base import LONGEST_PAUSE, Limits, Setup
from bullpen.kernel.bus.backends.database import DatabaseBackend, open_backend
from bullpen.kernel.bus.bus import open_bus_backend
from bullpen.kernel.bus.log import replay
from bullpen.kernel.storage.database import Database

SESSION = SessionId("ses-1")


@pytest.fixture
async def backend(database: Database) -> DatabaseBackend:
    return await open_backend(Setup(Limits(bound=3), database=database))


@pytest.fixture
def desk(backend: DatabaseBackend) -> Desk:
    return Desk(backend)


async def notes(database: Database, person: Actor) -> int:
    async with database.view(person) as uow:
        return len(await replay(uow, SESSION))


async def send_and_fail(desk: Desk, backend: DatabaseBackend, person: Actor) -> None:
    async with backend.database.transaction(person) as uow:
        uow.record(SESSION, NoteWritten("task-1", "sent", "me"))
        await backend.publish_within(uow, await desk.bus.routed(ANN, message("a")))
        raise ZeroDivisionError


@pytest.mark.req("BUS-02", "BUS-05")
async def test_a_message_goes_with_its_transaction_or_not_at_all(
    desk: Desk, backend: DatabaseBackend, person: Actor
) -> None:
    with pytest.raises(ZeroDivisionError):
        await send_and_fail(desk, backend, person)
    assert (await desk.depth(), await notes(backend.database, person)) == ((0, 0, 0), 0)
    got = asyncio.create_task(desk.take_soon())
    async with backend.database.transaction(person) as uow:
        uow.record(SESSION, NoteWritten("task-1", "sent", "me"))
        await backend.publish_within(uow, [message("a")])
    assert (await got).message.payload == "a"  # whoever waited was woken
    assert await notes(backend.database, person) == 1


async def handle_within(backend: DatabaseBackend, desk: Desk, person: Actor, *, late: bool) -> None:
    (delivery,) = await desk.take()
    if late:
        await backend.retry(delivery, 0)
    async with backend.database.transaction(person) as uow:
        uow.record(SESSION, NoteWritten("task-1", delivery.message.payload, "me"))
        await backend.ack_within(uow, delivery)


@pytest.mark.req("BUS-05")
async def test_what_was_done_and_that_it_was_done_are_one(
    desk: Desk, backend: DatabaseBackend, person: Actor
) -> None:
    await desk.send("a")
    with pytest.raises(Conflict, match=r"lease of .* has ended"):
        await handle_within(backend, desk, person, late=True)
    assert await notes(backend.database, person) == 0
    await handle_within(backend, desk, person, late=False)
    assert (await desk.depth(), await notes(backend.database, person)) == ((0, 0, 0), 1)


async def test_a_full_queue_refuses_within_a_transaction(
    desk: Desk, backend: DatabaseBackend, person: Actor
) -> None:
    await desk.send("a", "b")
    with pytest.raises(LimitExceeded):
        async with backend.database.transaction(person) as uow:
            await backend.publish_within(uow, [message("c"), message("d")])
    assert await desk.depth() == (2, 0, 0)


async def test_one_refused_call_does_not_harm_those_beside_it(desk: Desk) -> None:
    full = [message(str(number)) for number in range(4)]
    results = await asyncio.gather(
        desk.backend.publish(LOCAL_ORGANIZATION, full),
        desk.send("a"),
        desk.send("b", to="agent:bob"),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [LimitExceeded, list, list]
    assert (await desk.depth(), await desk.depth("agent:bob")) == ((1, 0, 0), (1, 0, 0))


async def test_a_cancelled_call_does_not_harm_those_beside_it(desk: Desk) -> None:
    tasks = [asyncio.create_task(desk.send(str(number))) for number in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert set(await desk.take_all()) >= {"1", "2"}


@pytest.mark.req("BUS-05")
@pytest.mark.parametrize("jump", [10.0**9, -(10.0**9), LONGEST_PAUSE, -LONGEST_PAUSE])
async def test_a_clock_that_jumps_loses_nothing_and_marks_what_comes_twice(
    database: Database, jump: float
) -> None:
    times = [10.0**6 + 1]
    backend = await open_backend(Setup(Limits(lease_seconds=60), database=database))
    backend.clock = lambda: times[0]
    desk = Desk(backend)
    await desk.send("a", "b")
    (first,) = await desk.take()
    await desk.backend.retry((await desk.take())[0], 100)
    times[0] += jump
    await desk.send("c")
    times[0] += LONGEST_PAUSE + 200  # at the latest
    taken = await desk.take(limit=5)
    assert [(one.message.payload, one.deliveries) for one in taken] == [("a", 2), ("b", 2), ("c", 1)]
    await desk.backend.ack([first])
    assert await desk.depth() == (0, 2, 0)


async def test_answers_that_nobody_waits_for_are_forgotten(desk: Desk) -> None:
    old = message("a", reply_to="reply:msg-1", deadline=1.0)
    late = message("b", to="reply:msg-1", deadline=1.0)
    await desk.backend.publish(LOCAL_ORGANIZATION, [late])
    assert await desk.depth("reply:msg-1") == (1, 0, 0)
    await desk.bus.reply(ANN, old, "too late")  # sends nothing
    await desk.backend.drop(LOCAL_ORGANIZATION, "reply:msg-2")
    assert await desk.depth("reply:msg-1") == (0, 0, 0)


async def test_an_envelope_that_cannot_be_read_becomes_a_dead_letter(
    desk: Desk, backend: DatabaseBackend
) -> None:
    await desk.send("a", "b")
    async with backend.database.store.writing("test") as connection:
        await connection.run(sa.text("update message set body = '{\"id\": 7}' where position = 1"))
    assert await desk.take_all() == ["b"]
    (letter,) = await backend.dead_letters(LOCAL_ORGANIZATION, "agent:ann")
    assert letter.reason.startswith("the envelope cannot be read: ")
    assert letter.message.payload == '{"id": 7}'
    assert await backend.purge(LOCAL_ORGANIZATION, "agent:ann", [letter.id]) == 1


async def test_the_database_is_the_default_and_must_be_given(database: Database) -> None:
    assert isinstance(await open_bus_backend(Setup(database=database)), DatabaseBackend)
    with pytest.raises(InvalidInput, match="none was given"):
        await open_bus_backend(Setup())
