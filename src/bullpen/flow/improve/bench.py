"""What the tools of an agent call while it works on one item: tests, analysers, worktree, gates."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bullpen.analysis.roast import quick_check
from bullpen.domain.errors import NotFound
from bullpen.domain.finding import Finding
from bullpen.domain.test_report import TestReport
from bullpen.domain.verdict import GateResult
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import source_tree
from bullpen.flow.improve.prove import candidate_commit
from bullpen.flow.improve.select import expected_of, touching_tests
from bullpen.flow.improve.session import ImproveSession
from bullpen.sandbox.changes import Mark, scan
from bullpen.testing.base import TestRequest
from bullpen.vcs.trees import read_file
from bullpen.vcs.worktrees import Worktree, restore_tree, snapshot_tree


@dataclass(frozen=True, slots=True)
class ItemWorktree:
    """See ``tools.base.Worktree``: the checkout one agent edits."""

    worktree: Worktree
    tip: str
    _last: list[tuple[dict[str, Mark], str]] = field(default_factory=list[tuple[dict[str, Mark], str]])

    async def snapshot(self) -> str:
        """See ``Worktree.snapshot``; while no file's inode, size or change time moved, the last one holds."""
        marks = await asyncio.to_thread(scan, self.worktree.path)
        if not self._last or self._last[0][0] != marks:
            self._last[:] = [(marks, await snapshot_tree(self.worktree))]
        return self._last[0][1]

    async def restore(self, tree: str) -> None:
        """See ``Worktree.restore``."""
        await restore_tree(self.worktree, tree or self.tip)

    async def original(self, path: str) -> bytes | None:
        """See ``Worktree.original``."""
        try:
            return await read_file(self.worktree.mirror, self.tip, path)
        except NotFound:
            return None


@dataclass(frozen=True, slots=True)
class ItemTests:
    """See ``tools.base.TestBench``: runs on a checkout of what the worktree holds, never in the worktree itself.

    Asked for all tests, it runs those that touch the change; the merge queue runs them all.
    """

    session: ImproveSession
    worktree: ItemWorktree

    async def run(self, request: TestRequest) -> TestReport:
        """See ``TestBench.run``."""
        tree = await self.worktree.snapshot()
        tests, tip = self.session.tests, self.worktree.tip
        commit = await candidate_commit(tests.mirror, tree, tip)
        select = request.select or await touching_tests(self.session, tip, tree)
        expected = expected_of(self.session.baseline, select) if self.session.baseline else frozenset[str]()
        return await tests.run_against(commit, expected, select)


@dataclass(frozen=True, slots=True)
class ItemInspector:
    """See ``tools.base.Inspector``: looks at the worktree as it is."""

    means: Means
    worktree: ItemWorktree
    rules: tuple[str, ...]
    known: tuple[Finding, ...]

    async def inspect(self, root: Path, paths: Sequence[str]) -> Sequence[Finding]:
        """See ``Inspector.inspect``."""
        tree = await self.worktree.snapshot()
        files = await source_tree(self.worktree.worktree.mirror, tree, root, self.means.settings.file_bytes)
        there = [path for path in (paths or list(files.files)) if path in files.files]
        found = await quick_check(
            files, there, self.means.sandbox, rules=self.rules, known=self.known, cache=self.means.cache
        )
        return found.findings


@dataclass(frozen=True, slots=True)
class ItemGates:
    """See ``tools.base.Gates``: results over evidence that was collected before the judge was asked."""

    results: tuple[GateResult, ...]

    async def evaluate(self) -> Sequence[GateResult]:
        """See ``Gates.evaluate``."""
        return self.results
