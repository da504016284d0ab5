"""The agents there are now, from everywhere: folders, a repository, plugins, and those that registered."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bullpen.agents.actions import note_agents
from bullpen.agents.discovery import Discovery, Key, Registration, Source, clash_of, discover
from bullpen.agents.fleet import Fleet
from bullpen.agents.ledger import RecordedLedger
from bullpen.agents.means import Means
from bullpen.agents.namespaces import find_namespaces, sources_of
from bullpen.agents.plugins import find_plugins
from bullpen.agents.queries import list_states
from bullpen.agents.registering import registered_agents
from bullpen.agents.registry import Quarantined, load_roster
from bullpen.domain.actor import Actor
from bullpen.kernel.clock import now
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Places:
    """Where agents are looked for. ``folders`` come first, then the ``repository``, plugins, and who registered."""

    folders: tuple[Source, ...] = ()
    repository: Path | None = None
    plugins: bool = True
    registered: bool = True


@dataclass(slots=True)
class Found:
    """A fleet, and what its next look need not read again."""

    fleet: Fleet
    places: Places
    database: Database
    actor: Actor
    discovery: Discovery = field(default_factory=Discovery)

    async def look(self) -> frozenset[Key]:
        """Look again: the keys of agents that are new, changed or gone. Health is that of all processes."""
        before = dict(self.fleet.agents)
        self.discovery, refused = await asyncio.to_thread(_look, self.places, self.discovery)
        agents = dict(self.discovery.agents)
        async with self.database.transaction(self.actor) as uow:
            if self.places.registered:
                refused += await _add_registered(uow, agents)
            await note_agents(uow, agents.values())
            agents = await _with_generations(uow, agents)
        quarantined = (*self.discovery.quarantined, *refused)
        self.fleet.register(Discovery(agents, quarantined))
        await self.fleet.refresh()
        keys = before.keys() | agents.keys()
        return frozenset(key for key in keys if _revision(before, key) != _revision(agents, key))


@asynccontextmanager
async def open_fleet(
    database: Database, actor: Actor, places: Places, means: Means | None = None
) -> AsyncGenerator[Found]:
    """The agents of all places, with their health as it is kept; ``look`` sees what came since.

    What is faulty is in ``fleet.quarantined`` with its reason, and stops nobody.
    """
    fleet = Fleet(means or Means(), clock=now, ledger=RecordedLedger(database, actor))
    found = Found(fleet, places, database, actor)
    await found.look()
    try:
        yield found
    finally:
        await fleet.cleanup()


def _look(places: Places, before: Discovery) -> tuple[Discovery, list[Quarantined]]:
    """Folders, repository and plugins: all that is read from files."""
    refused: list[Quarantined] = []
    sources = [*places.folders]
    if places.repository is not None:
        namespaces, faulty = find_namespaces(places.repository)
        sources += sources_of(places.repository, namespaces)
        refused += faulty
    if places.plugins:
        plugins = find_plugins()
        sources += plugins.sources
        refused += plugins.quarantined
    return discover(sources, before, taken=load_roster(places.repository).cards), refused


async def _add_registered(uow: UnitOfWork, agents: dict[Key, Registration]) -> list[Quarantined]:
    """Those on the list, if nobody else has their name."""
    found, refused = await registered_agents(uow)
    taken = frozenset(load_roster().cards)
    for one in found:
        same = agents.get((one.namespace, one.name))
        clash = None if same and same.revision == one.revision else clash_of(one, agents, taken, one.name)
        if clash is None:
            agents[one.namespace, one.name] = one
        else:
            refused.append(clash)
    return refused


async def _with_generations(uow: UnitOfWork, agents: Mapping[Key, Registration]) -> dict[Key, Registration]:
    states = await list_states(uow, now())
    return {
        key: replace(one, generation=states[*key, one.revision].generation) for key, one in agents.items()
    }


def _revision(agents: Mapping[Key, Registration], key: Key) -> str:
    return agents[key].revision if key in agents else ""
