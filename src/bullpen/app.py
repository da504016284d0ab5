"""The only wiring: settings, storage, sandbox, models, workflows. Each part is imported when it is first opened."""

import asyncio
import gc
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from secrets import token_bytes
from typing import TYPE_CHECKING

from bullpen.domain.actor import Actor, local_person
from bullpen.domain.ids import SessionId
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.settings import Settings
from bullpen.kernel.storage.database import Database, open_store
from bullpen.sandbox.base import Probe, Tidy

if TYPE_CHECKING:
    from pathlib import Path

    from bullpen.agents.means import Means as AgentMeans
    from bullpen.agents.opening import Found
    from bullpen.flow.improve.means import Means
    from bullpen.flow.team_folder import TeamPlace
    from bullpen.flow.teams.state import OnProgress
    from bullpen.flow.workflows.work_item import Bench
    from bullpen.kernel.bus.backends.base import Backend
    from bullpen.kernel.durable import DurableEngine, Fleet, TakenOver


@dataclass(frozen=True, slots=True)
class Records:
    """The database, and the log that feeds from it."""

    settings: Settings
    database: Database
    log: EventLog
    actor: Actor


@dataclass(frozen=True, slots=True)
class Workshop:
    """Everything a session runs with."""

    records: Records
    means: "Means"
    bench: "Bench"
    probe: Probe


@asynccontextmanager
async def open_records(settings: Settings) -> AsyncGenerator[Records]:
    """The records, for commands that only look or answer."""
    log = EventLog()
    store = await open_store(settings.database)
    if not gc.get_freeze_count():
        gc.freeze()  # a look through all that is loaded would make every twelfth list of sessions wait for 20 ms
    try:
        yield Records(settings, Database(store, log), log, local_person())
    finally:
        await store.close()


@asynccontextmanager
async def open_bus(records: Records) -> "AsyncGenerator[Backend]":
    """Where messages wait: the broker that is set, else the database of the records.

    Raises:
        NotFound: no backend of that name; the message lists those there are.
        Missing: its package is not installed.
        Unavailable: the broker does not answer, or would forget messages when it is killed.
    """
    from bullpen.kernel.bus.backends.base import Setup
    from bullpen.kernel.bus.bus import open_bus_backend

    backend = await open_bus_backend(Setup(url=records.settings.bus, database=records.database))
    try:
        yield backend
    finally:
        await backend.close()


@asynccontextmanager
async def open_workshop(settings: Settings) -> AsyncGenerator[Workshop]:
    """Records, a sandbox that works, and the agents.

    Raises:
        Missing: no sandbox works on this machine; the message says how to get one.
    """
    from bullpen.agents.registry import load_roster
    from bullpen.analysis.cache import ObservationCache
    from bullpen.flow.improve.crew import Crew
    from bullpen.flow.improve.means import Means
    from bullpen.flow.improve.recipe_workers import CodemodWorkers, offloaded
    from bullpen.flow.improve.session import OpenSessions
    from bullpen.flow.improve.timed_sandbox import TimedSandbox
    from bullpen.flow.workflows.work_item import Bench
    from bullpen.insights.actions import adapt_settings, learn_from
    from bullpen.models.registry import Models
    from bullpen.recipes.base import catalogue
    from bullpen.sandbox.choose import choose_sandbox

    sandbox, probe = await choose_sandbox(settings.sandbox)
    async with open_records(settings) as records:
        count = lanes(settings)
        workers = CodemodWorkers(count)
        recipes = offloaded(catalogue(), workers)
        timed, cache = TimedSandbox(sandbox), ObservationCache(settings.home / "cache" / "observations")
        means = Means(
            settings,
            records.database,
            records.actor,
            timed,
            asyncio.Semaphore(count),
            recipes,
            cache,
            partial(adapt_settings, enabled=settings.adapt),
            learn_from,
        )
        crew = Crew(means, Models(_aliases(settings.model)), load_roster(), _agent_means(settings))
        warming = asyncio.create_task(workers.warm())
        try:
            yield Workshop(records, means, Bench(means, crew, OpenSessions(means)), probe)
        finally:
            warming.cancel()
            workers.close()
            cache.close()
            if isinstance(sandbox, Tidy):
                await sandbox.tidy()


@asynccontextmanager
async def open_engine(
    workshop: Workshop, label: str, *, on_lost: Callable[[str], None], worker: bool = False
) -> "AsyncGenerator[DurableEngine]":
    """The durable engine with all workflows, for one executor. What the executor left is taken up on entering.

    On PostgreSQL it joins those who work on the same database; ``worker`` says that it also goes on with sessions of
    its home whose process died. ``on_lost`` is called, from another thread, when this process must not work any more:
    it has to end at once.
    """
    from bullpen.flow.definitions.run import run_definition, run_step
    from bullpen.flow.workflows.improve import improve
    from bullpen.flow.workflows.work_item import work_item
    from bullpen.kernel.durable import DurableEngine

    settings = workshop.means.settings
    url = settings.database_url or f"sqlite:///{settings.home / 'engine.db'}"
    bodies = {
        "improve": improve,
        "work_item": work_item,
        "definition": run_definition,
        "definition_step": run_step,
    }
    workflows = {name: partial(body, workshop.bench) for name, body in bodies.items()}
    fleet = _fleet(workshop, label, on_lost, worker=worker) if is_shared(settings) else None
    engine = DurableEngine(url, label, workflows, fleet)
    await engine.launch()
    gc.freeze()  # much more is loaded now; going through it again and again took a tenth of this process's time
    try:
        yield engine
    finally:
        await engine.close()


def is_shared(settings: Settings) -> bool:
    """Whether several processes, also on several machines, may work on the same database."""
    return settings.database.startswith("postgresql")


def lanes(settings: Settings) -> int:
    """How many items one process works on at the same time."""
    return settings.parallel or os.cpu_count() or 1


def _agent_means(settings: Settings) -> "AgentMeans":
    """Their keys, by name; and for remote agents a door that nobody reaches from outside: they must answer at once."""
    from bullpen.agents.callbacks import Callbacks
    from bullpen.agents.means import Means as AgentMeans
    from bullpen.kernel.secrets import find_secret

    return AgentMeans(partial(find_secret, settings), Callbacks(token_bytes(32), ""))


def _fleet(workshop: Workshop, label: str, on_lost: Callable[[str], None], *, worker: bool) -> "Fleet":
    """Work is shared by those who can do the same: who have the same exchange, or the same home."""
    from bullpen.kernel.durable import RELEASE, Fleet, items_queue
    from bullpen.kernel.executors import home_identity, this_process
    from bullpen.vcs.exchange import exchange_identity

    settings = workshop.means.settings
    home = home_identity(settings.home)
    loop = asyncio.get_running_loop()

    def tell(taken: "TakenOver") -> None:
        asyncio.run_coroutine_threadsafe(_record_taken(workshop.records, taken), loop)

    me = this_process(label, home, lanes(settings), RELEASE)
    place = exchange_identity(settings.exchange) if settings.exchange else home
    return Fleet(me, items_queue(place), tell, on_lost, orphans=worker)


async def _record_taken(records: Records, taken: "TakenOver") -> None:
    """In the log of the session the run belongs to; a run's id begins with it."""
    from bullpen.domain.events.improve import WorkReclaimed
    from bullpen.sessions.queries import find_session

    session_id = SessionId(taken.run.partition(":")[0])
    async with records.database.transaction(records.actor) as uow:
        if await find_session(uow, session_id) is not None:
            uow.record(session_id, WorkReclaimed(taken.run, taken.executor, taken.attempts))


@asynccontextmanager
async def open_agents(records: Records, repository: "Path | None" = None) -> "AsyncGenerator[Found]":
    """The agents there are beside the roster: of the person's own folder, of a repository, of plugins, and those
    that registered.
    """
    from bullpen.agents.discovery import Source
    from bullpen.agents.opening import Places, open_fleet

    places = Places((Source(records.settings.agent_folder),), repository)
    async with open_fleet(records.database, records.actor, places) as found:
        yield found


@asynccontextmanager
async def open_team_place(settings: Settings, on_progress: "OnProgress") -> "AsyncGenerator[TeamPlace]":
    """What a team of a folder runs with: records, a sandbox that works, models.

    Raises:
        Missing: no sandbox works on this machine; the message says how to get one.
    """
    from bullpen.flow.team_folder import TeamPlace
    from bullpen.models.registry import Models
    from bullpen.sandbox.choose import choose_sandbox

    sandbox, _ = await choose_sandbox(settings.sandbox)
    async with open_records(settings) as records, open_bus(records) as bus:
        models = Models(_aliases(settings.model))
        place = (records.database, records.actor, sandbox, models, settings.home, on_progress, bus)
        yield TeamPlace(*place, agents=settings.agent_folder)


def _aliases(model: str) -> dict[str, str]:
    """``default`` means the model that is set; a bare provider name means its only or first model."""
    named = {"playbook": "playbook:rules"}
    return {**named, "default": named.get(model, model)}
