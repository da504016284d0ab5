"""The only wiring: settings, storage, sandbox, models, workflows. Each part is imported when it is first opened."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bullpen.domain.actor import Actor, local_person
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.settings import Settings
from bullpen.kernel.storage.database import Database, open_store
from bullpen.sandbox.base import Probe

if TYPE_CHECKING:
    from bullpen.flow.improve.means import Means
    from bullpen.flow.team_folder import TeamPlace
    from bullpen.flow.teams.run import OnProgress
    from bullpen.flow.workflows.work_item import Bench
    from bullpen.kernel.durable import DurableEngine


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
    try:
        yield Records(settings, Database(store, log), log, local_person())
    finally:
        await store.close()


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
    from bullpen.models.registry import Models
    from bullpen.recipes.base import catalogue
    from bullpen.sandbox.choose import choose_sandbox

    sandbox, probe = await choose_sandbox(settings.sandbox)
    async with open_records(settings) as records:
        count = settings.parallel or os.cpu_count() or 1
        workers = CodemodWorkers(count)
        recipes = offloaded(catalogue(), workers)
        timed, cache = TimedSandbox(sandbox), ObservationCache(settings.home / "cache" / "observations")
        means = Means(
            settings, records.database, records.actor, timed, asyncio.Semaphore(count), recipes, cache
        )
        crew = Crew(means, Models(_aliases(settings.model)), load_roster())
        warming = asyncio.create_task(workers.warm())
        try:
            yield Workshop(records, means, Bench(means, crew, OpenSessions(means)), probe)
        finally:
            warming.cancel()
            workers.close()
            cache.close()


@asynccontextmanager
async def open_engine(workshop: Workshop, executor: str) -> "AsyncGenerator[DurableEngine]":
    """The durable engine with all workflows, for one executor. What the executor left is taken up on entering."""
    from bullpen.flow.workflows.improve import improve
    from bullpen.flow.workflows.work_item import work_item
    from bullpen.kernel.durable import DurableEngine

    settings = workshop.means.settings
    url = settings.database_url or f"sqlite:///{settings.home / 'engine.db'}"
    workflows = {"improve": partial(improve, workshop.bench), "work_item": partial(work_item, workshop.bench)}
    engine = DurableEngine(url, executor, workflows)
    await engine.launch()
    try:
        yield engine
    finally:
        await engine.close()


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
    async with open_records(settings) as records:
        models = Models(_aliases(settings.model))
        yield TeamPlace(records.database, records.actor, sandbox, models, settings.home, on_progress)


def _aliases(model: str) -> dict[str, str]:
    """``default`` means the model that is set; a bare provider name means its only or first model."""
    named = {"playbook": "playbook:rules"}
    return {**named, "default": named.get(model, model)}
