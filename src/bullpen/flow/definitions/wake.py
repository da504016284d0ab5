"""Going on with runs of workflows whose time has come, that were answered, or whose process was killed."""

import asyncio
import logging
from dataclasses import dataclass, field

from bullpen.domain.actor import Actor
from bullpen.domain.errors import BullpenError, Conflict
from bullpen.domain.ids import SessionId
from bullpen.flow.definitions.start import due_runs, hold_run, run_workflow
from bullpen.flow.workflows.work_item import Bench
from bullpen.kernel.durable import DurableEngine
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.queries import get_session, list_children

MOST_AT_ONCE = 4
AGAIN_SECONDS = 30.0  # until a run that could not be taken up is tried again
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Waker:
    """Wakes runs in one process. A run that another process of this machine has in hand is left to it."""

    bench: Bench
    engine: DurableEngine
    _going: dict[SessionId, "asyncio.Task[None]"] = field(
        default_factory=dict[SessionId, "asyncio.Task[None]"]
    )
    _refused: dict[SessionId, float] = field(default_factory=dict[SessionId, float])

    @property
    def busy(self) -> int:
        """How many runs it has in hand."""
        return len(self._going)

    async def look(self) -> tuple[SessionId, ...]:
        """Take up what can go on now; which runs those are."""
        means, clock = self.bench.means, asyncio.get_running_loop().time()
        async with means.database.view(means.actor) as uow:
            due = await due_runs(uow)
        ready = [one for one in due if one not in self._going and self._refused.get(one, 0.0) <= clock]
        chosen = tuple(ready[: MOST_AT_ONCE - len(self._going)])
        for session_id in chosen:
            task = asyncio.create_task(self._go_on(session_id))
            self._going[session_id] = task
            task.add_done_callback(lambda _done, one=session_id: self._going.pop(one, None))
        return chosen

    async def close(self) -> None:
        """Leave them; they can go on later."""
        tasks = tuple(self._going.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _go_on(self, session_id: SessionId) -> None:
        self._refused[session_id] = asyncio.get_running_loop().time() + AGAIN_SECONDS
        try:
            await self._run(session_id)
        except Conflict:
            return  # another process runs it, or it was done meanwhile
        except BullpenError as error:
            _LOG.warning("%s could not go on: %s", session_id, error.sentence)
            return
        self._refused.pop(session_id, None)

    async def _run(self, session_id: SessionId) -> None:
        means = self.bench.means
        async with hold_run(means, session_id):
            async with means.database.view(means.actor) as uow:
                session = await get_session(uow, session_id)
            await adopt_run(self.engine, means.database, means.actor, session_id)
            async with means.database.transaction(means.actor) as uow:
                run = await run_workflow(self.engine, uow, session)
            await run.result()


async def adopt_run(engine: DurableEngine, database: Database, actor: Actor, session_id: SessionId) -> None:
    """Go on with what another process had begun of a run; the caller holds the run (see ``hold_run``)."""
    async with database.view(actor) as uow:
        family = await _family(uow, session_id)
    await engine.adopt(family)


async def _family(uow: UnitOfWork, session_id: SessionId) -> list[SessionId]:
    """A run and the runs it started, and so on."""
    found = [session_id]
    for one in found:
        found.extend(child.id for child in await list_children(uow, one))
    return found
