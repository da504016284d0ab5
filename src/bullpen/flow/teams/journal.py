"""The record an agent keeps of its run, in the log of the team's session."""

from collections.abc import Sequence
from dataclasses import dataclass

from bullpen.domain.actor import Actor
from bullpen.domain.events import Event
from bullpen.domain.ids import SessionId, TaskId
from bullpen.kernel.bus.log import replay
from bullpen.kernel.storage.database import Database

MOST_EVENTS = 100_000


@dataclass(frozen=True, slots=True)
class SessionJournal:
    """See ``tools.base.Journal``."""

    database: Database
    actor: Actor
    session_id: SessionId

    async def past(self, task_id: TaskId, attempt: int) -> Sequence[Event]:
        """See ``Journal.past``."""
        async with self.database.view(self.actor) as uow:
            recorded = await replay(uow, self.session_id, limit=MOST_EVENTS, subject=task_id)
        return [one.event for one in recorded if getattr(one.event, "attempt", None) == attempt]

    async def append(self, *events: Event) -> None:
        """See ``Journal.append``."""
        async with self.database.transaction(self.actor) as uow:
            for event in events:
                uow.record(self.session_id, event)
