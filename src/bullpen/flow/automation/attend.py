"""Doing what is due: a process that looks at triggers, takes runs that wait, and does them."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from bullpen.domain.errors import AWAY, BullpenError, Conflict, Unavailable
from bullpen.domain.money import Money
from bullpen.domain.session import Stage
from bullpen.flow.automation.actions import claim_run, end_run, keep_run, leave_run
from bullpen.flow.automation.ceiling import read_ceiling
from bullpen.flow.automation.check import job_inputs
from bullpen.flow.automation.fire import allowed, limits_of
from bullpen.flow.automation.jobs.base import JOBS, Errand, Job, Result
from bullpen.flow.automation.model import Automation
from bullpen.flow.automation.queries import find_automation, list_open_runs
from bullpen.flow.automation.records import AutomationRun, Registered, RunState
from bullpen.flow.automation.watch import tick
from bullpen.flow.definitions.start import hold_run
from bullpen.flow.definitions.wake import Waker, adopt_run
from bullpen.flow.workflows.work_item import Bench
from bullpen.kernel.clock import now
from bullpen.kernel.durable import DurableEngine
from bullpen.sessions.actions import reach_stage
from bullpen.sessions.queries import find_session

LOOK_SECONDS = 1.0
KEEP_SECONDS = 2.0
END_SECONDS = 20.0  # what was told to end is given that long before it is left
MOST_AT_ONCE = 4
_LOG = logging.getLogger(__name__)
Say = Callable[[str, AutomationRun, str], None]


def _say_nothing(_what: str, _run: AutomationRun, _words: str) -> None:
    pass


@dataclass(slots=True)
class Attendant:
    """One process that does what is due. ``say`` is told when a run begins and ends."""

    bench: Bench
    engine: DurableEngine
    say: Say = _say_nothing
    holder: str = field(
        default_factory=lambda: f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
    )
    looks: int = 0  # made so far
    _doing: dict[str, "asyncio.Task[None]"] = field(default_factory=dict[str, "asyncio.Task[None]"])
    _waker: Waker = field(init=False)

    def __post_init__(self) -> None:
        self._waker = Waker(self.bench, self.engine)

    @property
    def busy(self) -> int:
        """How many runs and workflows it has in hand."""
        return len(self._doing) + self._waker.busy

    async def look(self) -> None:
        """Once: meet what is due, take what waits, wake what slept, and see how what waited ended."""
        means = self.bench.means
        await tick(means.database, means.actor, means.settings.home, now())
        await self._settle()
        while len(self._doing) < MOST_AT_ONCE:
            async with means.database.transaction(means.actor) as uow:
                run = await claim_run(uow, self.holder, now())
            if run is None:
                break
            task = asyncio.create_task(self._do(run))
            self._doing[run.id] = task
            task.add_done_callback(lambda _done, run_id=run.id: self._doing.pop(run_id, None))
        await self._waker.look()
        self.looks += 1

    async def until(self, stopping: asyncio.Event) -> None:
        """Look again and again. What keeps a look from being made, such as a database that is away, is told once."""
        told = ""
        while not stopping.is_set():
            try:
                await self.look()
            except BullpenError as error:
                if error.sentence != told:
                    told = error.sentence
                    _LOG.warning("automations are not looked at: %s", told)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)

    async def until_idle(self, stopping: asyncio.Event) -> None:
        """Until nothing waits to be begun and nothing is in hand, or it is to stop; looked at twice, to be sure."""
        means, quiet = self.bench.means, 0
        while not stopping.is_set() and quiet < 2:
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)
            async with means.database.view(means.actor) as uow:
                left = [one for one in await list_open_runs(uow) if one.state is not RunState.WAITING]
            idle = self.looks >= 2 and not self.busy and not left
            quiet = quiet + 1 if idle else 0

    async def close(self) -> None:
        """Leave what is in hand to others, or to the next start."""
        tasks = tuple(self._doing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._waker.close()

    async def _do(self, run: AutomationRun) -> None:
        means = self.bench.means
        try:
            async with hold_run(means, run.session_id):
                await adopt_run(self.engine, means.database, means.actor, run.session_id)
                state, words = await self._done(run)
        except asyncio.CancelledError:
            await asyncio.shield(self._leave(run))
            raise
        except Conflict:
            await self._leave(run)  # another process of this machine is at it still
            return
        except Unavailable as error:
            _LOG.warning("%s is left until its hold runs out: %s", run.id, error.sentence)
            return
        if state is None:
            return  # another holds it now
        async with means.database.transaction(means.actor) as uow:
            kept = await end_run(uow, run, self.holder, state, words, now())
        if kept:
            self.say(state.value, run, words)

    async def _leave(self, run: AutomationRun) -> None:
        means = self.bench.means
        with suppress(Unavailable):  # the database is away: the hold will run out
            async with means.database.transaction(means.actor) as uow:
                await leave_run(uow, run.id, self.holder)

    async def _done(self, run: AutomationRun) -> tuple[RunState | None, str]:
        means = self.bench.means
        async with means.database.view(means.actor) as uow:
            known = await find_automation(uow, run.automation_id)
        if known is None or known.source.digest != run.digest:
            return RunState.FAILED, "its text was changed before it began; it is told again by its trigger"
        self.say("running", run, run.trigger.says)
        try:
            return await self._supervised(run, known, allowed(known))
        except BullpenError as error:
            if error.code == AWAY:
                raise
            return RunState.FAILED, f"{error.sentence} {error.remedy}".strip()

    async def _supervised(
        self, run: AutomationRun, known: Registered, automation: Automation
    ) -> tuple[RunState | None, str]:
        """Do it, and meanwhile say that it is being done, until it ends, has to end, or is another's."""
        means = self.bench.means
        limits = limits_of(known, automation, read_ceiling(means.settings.home))
        stop = asyncio.Event()
        repo, budget = known.origin or automation.repo, Money.parse(limits.budget)
        errand = Errand(self.bench, self.engine, run.session_id, repo, budget, stop)
        job: Job[Any] = JOBS.load(automation.job)
        task = asyncio.ensure_future(job.run(errand, job_inputs(automation, run.trigger)))
        try:
            while not task.done():
                await asyncio.wait((task,), timeout=KEEP_SECONDS)
                why = await self._why_stop(run, limits.time)
                if why is None:
                    return None, ""
                if why and not task.done():
                    await self._stop(run, task, stop, why)
                    return (RunState.REPLACED if why.startswith("replaced") else RunState.FAILED), why
            return _state(task.result()), task.result().words
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _why_stop(self, run: AutomationRun, seconds: float) -> str | None:
        """Why it is to end, empty where it is not, None where another holds it."""
        means = self.bench.means
        async with means.database.transaction(means.actor) as uow:
            stop = await keep_run(uow, run.id, self.holder, now())
        late = now() - run.started_at > seconds
        return stop or (f"it took longer than {seconds:g} s" if late and stop is not None else stop)

    async def _stop(
        self, run: AutomationRun, task: "asyncio.Future[Result]", stop: asyncio.Event, why: str
    ) -> None:
        means = self.bench.means
        stop.set()
        await asyncio.wait((task,), timeout=END_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with means.database.transaction(means.actor) as uow:
            session = await find_session(uow, run.session_id)
            if session is not None and not session.stage.is_final:
                await reach_stage(uow, run.session_id, Stage.CANCELLED, why)

    async def _settle(self) -> None:
        """Runs that waited are over when their sessions are."""
        means = self.bench.means
        async with means.database.view(means.actor) as uow:
            waiting = [one for one in await list_open_runs(uow) if one.state is RunState.WAITING]
            sessions = [await find_session(uow, one.session_id) for one in waiting]
        for run, session in zip(waiting, sessions, strict=True):
            if session is not None and not session.stage.is_final:
                continue
            stage = session.stage if session else Stage.CANCELLED
            state = RunState.DONE if stage is Stage.DONE else RunState.FAILED
            async with means.database.transaction(means.actor) as uow:
                await end_run(uow, run, run.holder, state, f"its session is {stage.value}", now())
            self.say(state.value, run, stage.value)


def _state(result: Result) -> RunState:
    return {"done": RunState.DONE, "waiting": RunState.WAITING}.get(result.outcome, RunState.FAILED)


@asynccontextmanager
async def attending(
    bench: Bench, engine: DurableEngine, stopping: asyncio.Event, say: Say = _say_nothing
) -> AsyncGenerator[Attendant]:
    """While it is open, automations are begun and done, and workflows that slept go on; nothing new once it stops.

    Everything it leaves is taken up by another process, or by the next one.
    """
    attendant = Attendant(bench, engine, say)
    looking = asyncio.create_task(attendant.until(stopping))
    looking.add_done_callback(
        lambda _ended: stopping.set()
    )  # whoever waits must not wait for what has broken
    try:
        yield attendant
    finally:
        looking.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await looking
        finally:
            await attendant.close()
