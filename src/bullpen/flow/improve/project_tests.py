"""The project's own tests, run on any commit, each result remembered by the tree it belongs to."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.kernel.extend import ExtensionPoint
from bullpen.sandbox.base import Limits, Sandbox
from bullpen.testing.base import Environment, Runner, TestRequest
from bullpen.vcs.git import git
from bullpen.vcs.worktrees import Worktree, release_worktree, reset_worktree, take_worktree

RUNNERS: ExtensionPoint[Runner] = ExtensionPoint("bullpen.testing.runners", "RUNNER")


@dataclass(slots=True)
class ProjectTests:
    """Runs tests in throw-away checkouts of commits of ``mirror``, never in a worktree somebody edits.

    The same selection on the same tree is run once: a tree hash names its content, so the first result stands.
    """

    mirror: Path
    folder: Path
    environment: Environment
    sandbox: Sandbox
    limits: Limits
    lanes: asyncio.Semaphore
    runs: int = 0
    seconds: float = 0.0
    _known: dict[str, TestReport] = field(default_factory=dict[str, TestReport])
    _turn: int = 0

    async def run(
        self, commit: str, select: Sequence[str] = (), *, coverage: bool = False, contexts: bool = False
    ) -> TestReport:
        """Run all tests, or those selected, of a commit."""
        tree = (await git(self.mirror, "rev-parse", f"{commit}^{{tree}}")).text
        key = _key(tree, select, coverage=coverage, contexts=contexts)
        if key in self._known:
            return self._known[key]
        async with self.lanes:
            if key not in self._known:
                self._known[key] = await self._run(commit, select, coverage=coverage, contexts=contexts)
        return self._known[key]

    async def _run(self, commit: str, select: Sequence[str], *, coverage: bool, contexts: bool) -> TestReport:
        self._turn += 1
        worktree = await take_worktree(self.mirror, self.folder, f"tests-{self._turn}", commit)
        try:
            await reset_worktree(worktree, commit)
            report = await self._report(worktree, select, coverage=coverage, contexts=contexts)
        finally:
            await release_worktree(worktree)
        self.runs += 1
        self.seconds += report.seconds
        return report

    async def _report(
        self, worktree: Worktree, select: Sequence[str], *, coverage: bool, contexts: bool
    ) -> TestReport:
        runner = _runner_for(worktree.path)
        if runner is None:
            return TestReport(
                "none", (), SuiteEnd.NO_TESTS, notes=("no tests that Bullpen knows how to run",)
            )
        request = TestRequest(
            worktree.path, self.environment, tuple(select), coverage=coverage, limits=self.limits
        )
        return await runner.run(replace(request, contexts=contexts), self.sandbox)


def _runner_for(root: Path) -> Runner | None:
    return next((runner for runner in RUNNERS.load_all().values() if runner.detect(root)), None)


def _key(tree: str, select: Sequence[str], *, coverage: bool, contexts: bool) -> str:
    chosen = hashlib.sha256("\0".join(sorted(select)).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{tree}:{chosen}:{coverage}:{contexts}"
