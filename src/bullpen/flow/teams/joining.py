"""Agents that come while a team works: the folders are watched, and what appears there joins or is set aside."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bullpen.agents.discovery import watch
from bullpen.agents.opening import Found
from bullpen.agents.registry import Quarantined
from bullpen.flow.teams.members import Bench, fleet_member
from bullpen.flow.teams.state import Newcomers

REFRESH_SECONDS = 5.0  # between two looks at what other processes know of the agents


@dataclass(slots=True)
class Joining:
    """Who of a fleet takes part, and who was told to be set aside."""

    found: Found
    bench: Bench
    changed: asyncio.Event
    told: frozenset[Quarantined]
    refreshed_at: float = field(default_factory=time.monotonic)

    async def newcomers(self) -> Newcomers:
        """See ``TeamMeans.newcomers``."""
        if self.changed.is_set():
            self.changed.clear()
            return await self._look()
        if time.monotonic() - self.refreshed_at > REFRESH_SECONDS:
            self.refreshed_at = time.monotonic()
            await self.found.fleet.refresh()
        return Newcomers()

    async def _look(self) -> Newcomers:
        keys = await self.found.look()
        fleet = self.found.fleet
        members = [fleet_member(fleet, key, self.bench) for key in sorted(keys) if key in fleet.agents]
        refused = [one for one in fleet.quarantined if one not in self.told]
        self.told = frozenset(fleet.quarantined)
        return Newcomers(members, [aside(one) for one in refused])


@asynccontextmanager
async def joining(found: Found, bench: Bench, folders: Sequence[Path]) -> AsyncGenerator[Joining]:
    """Watch the folders as long as the context lasts."""
    changed = asyncio.Event()
    there = [folder for folder in folders if folder.is_dir()]
    watching = asyncio.create_task(_note_changes(there, changed))
    try:
        yield Joining(found, bench, changed, frozenset(found.fleet.quarantined))
    finally:
        watching.cancel()
        await asyncio.wait({watching})


def aside(one: Quarantined) -> str:
    """The line that tells of an agent that cannot be used."""
    return f"set aside: {one.source}: {one.reason}"


async def _note_changes(folders: Sequence[Path], changed: asyncio.Event) -> None:
    if not folders:
        return
    async for _ in watch(folders):
        changed.set()
