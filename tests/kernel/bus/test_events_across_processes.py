"""Events that another process wrote: in order, by a pattern, from any position, and again."""

import asyncio
import sys
from contextlib import aclosing

import pytest

from bullpen.domain.actor import Actor
from bullpen.domain.events.session import NoteWritten, SessionPaused
from bullpen.domain.ids import SessionId
from bullpen.kernel.bus.log import EventLog, Recorded
from bullpen.kernel.storage.database import Database

SESSION = SessionId("ses-1")
WITHIN_SECONDS = 60
WRITER = """
import asyncio, sys
from bullpen.domain.actor import local_person
from bullpen.domain.events.session import NoteWritten, SessionPaused
from bullpen.domain.ids import SessionId
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.storage.database import Database, open_store

async def main(url):
    database = Database(await open_store(url), EventLog())
    for number in range(5):
        async with database.transaction(local_person()) as uow:
            uow.record(SessionId("ses-1"), NoteWritten("task-1", str(number), "there"))
            uow.record(SessionId("ses-1"), SessionPaused("there"))
    await database.store.close()

asyncio.run(main(sys.argv[1]))
"""


async def followed(
    log: EventLog, database: Database, person: Actor, count: int, after: int, pattern: str
) -> list[Recorded]:
    """The next so many."""
    found: list[Recorded] = []
    async with (
        asyncio.timeout(WITHIN_SECONDS),
        aclosing(log.follow(database, person, SESSION, after, pattern)) as events,  # type: ignore[type-var]
    ):
        async for one in events:
            found.append(one)
            if len(found) == count:
                break
    return found


@pytest.mark.req("BUS-01")
async def test_another_process_is_followed_by_pattern_and_from_any_position(
    database: Database, database_url: str, log: EventLog, person: Actor
) -> None:
    waiting = asyncio.create_task(followed(log, database, person, 5, 0, "Note*"))
    writer = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, database_url)
    notes = await waiting
    assert await writer.wait() == 0
    assert [one.event for one in notes] == [NoteWritten("task-1", str(n), "there") for n in range(5)]
    again = await followed(EventLog(), database, person, 3, notes[1].position, "Note*")
    assert again == notes[2:]  # a subscriber that was killed goes on behind what it has dealt with
    every = await followed(EventLog(), database, person, 10, 0, "*")
    assert [type(one.event) for one in every] == [NoteWritten, SessionPaused] * 5
    assert [one.position for one in every] == sorted({one.position for one in every})
