"""What an improve session works with: handed to its workflows once, by the wiring."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bullpen.analysis.cache import ObservationCache
from bullpen.domain.actor import Actor
from bullpen.domain.ids import SessionId
from bullpen.domain.tuning import Tuned
from bullpen.flow.improve.timed_sandbox import TimedSandbox
from bullpen.kernel.settings import Settings
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.recipes.base import Catalogue
from bullpen.sandbox.base import MEBIBYTE, Limits

Adapt = Callable[[UnitOfWork, SessionId, Tuned], Awaitable[Tuned]]
Learn = Callable[[UnitOfWork, SessionId], Awaitable[object]]


def settings_as_set(settings: Settings) -> Tuned:
    """What the person has set of that which may be adapted."""
    return Tuned(retries=settings.attempts - 1, parallel=settings.batch, seconds=settings.agent_seconds)


async def as_set(_uow: UnitOfWork, _session_id: SessionId, plain: Tuned) -> Tuned:
    """Nothing is adapted: the settings are as the person set them."""
    return plain


async def nothing_learned(_uow: UnitOfWork, _session_id: SessionId) -> None:
    """Nobody asks what a session teaches."""


@dataclass(frozen=True, slots=True)
class Means:
    """Settings, records, a sandbox that works, and who asks. ``lanes`` bounds what runs side by side.

    ``adapt`` gives the settings a session begins with, out of what is set; ``learn`` takes in one that has ended.
    """

    settings: Settings
    database: Database
    actor: Actor
    sandbox: TimedSandbox
    lanes: asyncio.Semaphore
    recipes: Catalogue
    cache: ObservationCache  # what analysers said of contents seen before
    adapt: Adapt = as_set
    learn: Learn = nothing_learned

    @property
    def mirrors(self) -> Path:
        """Bullpen's own bare copies of repositories."""
        return self.settings.home / "mirrors"

    def folder(self, session_id: SessionId) -> "SessionFolder":
        """Where a session keeps its files."""
        return SessionFolder(self.settings.home / "sessions" / session_id)

    def as_set(self) -> Tuned:
        """What the person has set of that which may be adapted."""
        return settings_as_set(self.settings)

    def test_limits(self) -> Limits:
        """What one run of the project's tests may use."""
        memory = self.settings.memory_mib * MEBIBYTE
        return Limits(memory_bytes=memory, wall_seconds=self.settings.test_seconds)


@dataclass(frozen=True, slots=True)
class SessionFolder:
    """The files of one session; all can be made again except the reports."""

    path: Path

    @property
    def worktrees(self) -> Path:
        """Checkouts agents work in and tests run in."""
        return self.path / "worktrees"

    @property
    def reports(self) -> Path:
        """What people get."""
        return self.path / "reports"

    def test_report(self, moment: str) -> Path:
        """The result of a run of the tests, kept as JSON."""
        return self.path / f"tests-{moment}.json"
