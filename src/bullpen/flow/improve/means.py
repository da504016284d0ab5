"""What an improve session works with: handed to its workflows once, by the wiring."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from bullpen.analysis.cache import ObservationCache
from bullpen.domain.actor import Actor
from bullpen.domain.ids import SessionId
from bullpen.flow.improve.timed_sandbox import TimedSandbox
from bullpen.kernel.settings import Settings
from bullpen.kernel.storage.database import Database
from bullpen.recipes.base import Catalogue
from bullpen.sandbox.base import MEBIBYTE, Limits


@dataclass(frozen=True, slots=True)
class Means:
    """Settings, records, a sandbox that works, and who asks. ``lanes`` bounds what runs side by side."""

    settings: Settings
    database: Database
    actor: Actor
    sandbox: TimedSandbox
    lanes: asyncio.Semaphore
    recipes: Catalogue
    cache: ObservationCache  # what analysers said of contents seen before

    @property
    def mirrors(self) -> Path:
        """Bullpen's own bare copies of repositories."""
        return self.settings.home / "mirrors"

    def folder(self, session_id: SessionId) -> "SessionFolder":
        """Where a session keeps its files."""
        return SessionFolder(self.settings.home / "sessions" / session_id)

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
