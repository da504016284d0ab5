"""The records agents keep, in the database: events of a task, variables on its session's scratchpad, files it read."""

from collections.abc import Sequence
from dataclasses import dataclass

from bullpen.domain.events import Event
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.session import ImproveSession
from bullpen.kernel.bus.log import replay
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.scratchpad import is_stale, note_file_read, read_variable, set_variable

MOST_EVENTS = 100_000


async def money_spent(means: Means, session: ImproveSession) -> Money:
    """What the session's agents have cost so far, in whatever process: by the replies of models in the log.

    A reply that is on its way is not in it yet.
    """
    async with means.database.view(means.actor) as uow:
        await count_money(uow, session)
    return Money(session.purse.spent)


async def count_money(uow: UnitOfWork, session: ImproveSession) -> None:
    """Bring the session's purse up to date. What was counted before is not read again."""
    purse = session.purse
    while recorded := await replay(uow, session.id, after := purse.counted_to):
        if purse.counted_to != after:
            continue  # somebody else of this process counted meanwhile
        purse.counted_to = recorded[-1].position
        for one in recorded:
            purse.count(one.event)


@dataclass(frozen=True, slots=True)
class DatabaseJournal:
    """See ``tools.base.Journal``."""

    means: Means
    session_id: SessionId

    async def past(self, task_id: TaskId, attempt: int) -> Sequence[Event]:
        """See ``Journal.past``."""
        async with self.means.database.view(self.means.actor) as uow:
            recorded = await replay(uow, self.session_id, limit=MOST_EVENTS, subject=task_id)
        return [one.event for one in recorded if getattr(one.event, "attempt", None) == attempt]

    async def append(self, *events: Event) -> None:
        """See ``Journal.append``."""
        async with self.means.database.transaction(self.means.actor) as uow:
            for event in events:
                uow.record(self.session_id, event)


@dataclass(frozen=True, slots=True)
class DatabaseScratchpad:
    """See ``tools.base.Scratchpad``: variables of one task, and the files it read."""

    means: Means
    session_id: SessionId
    task_id: TaskId
    who: str

    async def read(self, name: str) -> str | None:
        """See ``Scratchpad.read``; who read is recorded."""
        async with self.means.database.transaction(self.means.actor) as uow:
            found = await read_variable(uow, self.session_id, self.task_id, name, by=self.who)
        return found.value if found else None

    async def write(self, name: str, value: str) -> None:
        """See ``Scratchpad.write``."""
        async with self.means.database.transaction(self.means.actor) as uow:
            await set_variable(uow, self.session_id, self.task_id, name, value, by=self.who)

    async def note_read(self, path: str, sha256: str) -> None:
        """See ``Scratchpad.note_read``; who read is recorded."""
        async with self.means.database.transaction(self.means.actor) as uow:
            await note_file_read(uow, self.session_id, self.task_id, _storable(path), sha256, by=self.who)

    async def is_stale(self, path: str, sha256: str) -> bool:
        """See ``Scratchpad.is_stale``."""
        async with self.means.database.view(self.means.actor) as uow:
            return await is_stale(uow, self.session_id, self.task_id, _storable(path), sha256)


def _storable(path: str) -> str:
    """A path with the bytes that are no UTF-8 spelled out: no database takes surrogates."""
    return path.encode("utf-8", "backslashreplace").decode()
