"""The project's own tests, run on any commit, each result remembered by the tree it belongs to."""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from bullpen.domain.test_report import SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.kernel.extend import ExtensionPoint
from bullpen.kernel.json_text import dump, load
from bullpen.sandbox.base import Limits, Sandbox
from bullpen.testing.base import Environment, Runner, TestRequest
from bullpen.vcs.commits import tree_of
from bullpen.vcs.worktrees import Worktree, release_worktree, take_worktree

AGAIN = 2
MOST_AGAIN = 20  # more than this is no chance
REPORT: TypeAdapter[TestReport] = TypeAdapter(TestReport)
RUNNERS: ExtensionPoint[Runner] = ExtensionPoint("bullpen.testing.runners", "RUNNER")


@dataclass(slots=True)
class ProjectTests:
    """Runs tests in throw-away checkouts of commits of ``mirror``, never in a worktree somebody edits.

    The same selection on the same tree in the same environment is run once: a tree hash names its content, so the
    first result stands. Whole runs are kept in ``cache`` for later sessions, if there is one.
    """

    mirror: Path
    folder: Path
    cache: Path | None
    environment: Environment
    sandbox: Sandbox
    limits: Limits
    lanes: asyncio.Semaphore
    unsteady: set[str] = field(default_factory=set[str])
    _known: dict[str, TestReport] = field(default_factory=dict[str, TestReport])

    async def run(
        self, commit: str, select: Sequence[str] = (), *, coverage: bool = False, contexts: bool = False
    ) -> TestReport:
        """Run all tests, or those selected, of a commit."""
        tree = await tree_of(self.mirror, commit)
        key = _key(tree, self.environment, select, coverage=coverage, contexts=contexts)
        if key not in self._known and not select:
            await self._recall(key)
        if key not in self._known:
            async with self.lanes:
                self._known[key] = await self._run(commit, select, coverage=coverage, contexts=contexts)
            if self.cache and not select and self._known[key].end is SuiteEnd.FINISHED:
                await asyncio.to_thread(
                    write_whole, self.cache / key, dump(REPORT, self._known[key]).encode()
                )
        return self._known[key]

    async def run_against(
        self, commit: str, expected: frozenset[str], select: Sequence[str] = ()
    ) -> TestReport:
        """Run tests of a commit that should pass; see ``steadied``.

        Some tests only pass after others have run. Where those of a selection fail, the whole suite has the last word.
        """
        report = await self.steadied(commit, await self.run(commit, select), expected)
        if select and expected - report.passed() and report.end is SuiteEnd.FINISHED:
            return await self.steadied(commit, await self.run(commit), expected)
        return report

    async def steadied(self, commit: str, report: TestReport, expected: frozenset[str]) -> TestReport:
        """A report in which those of ``expected`` that did not pass were run again, alone, ``AGAIN`` times at most.

        A test that passes on a second try on the same tree is unsteady: it counts as passed, and is named in the notes
        and in ``unsteady``.
        """
        for _again in range(AGAIN):
            missed = sorted(expected - report.passed())
            if not missed or len(missed) > MOST_AGAIN or report.end is not SuiteEnd.FINISHED:
                break
            async with self.lanes:
                again = await self._run(commit, missed, coverage=False, contexts=False)
            passed = frozenset(missed) & again.passed()
            self.unsteady.update(passed)
            report = _with_passed(report, passed)
        return report

    async def _recall(self, key: str) -> None:
        """A result an earlier session kept; one that cannot be read is as good as none."""
        if self.cache is None:
            return
        try:
            self._known[key] = load(REPORT, await asyncio.to_thread((self.cache / key).read_bytes))
        except (OSError, ValueError):
            return

    async def _run(self, commit: str, select: Sequence[str], *, coverage: bool, contexts: bool) -> TestReport:
        owner = f"tests-{secrets.token_hex(8)}"  # never taken before, so it is handed over clean
        worktree = await take_worktree(self.mirror, self.folder, owner, commit)
        try:
            report = await self._report(worktree, select, coverage=coverage, contexts=contexts)
        finally:
            await release_worktree(worktree)
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
        report = await runner.run(replace(request, contexts=contexts), self.sandbox)
        return replace(report, selected=tuple(select))


def _with_passed(report: TestReport, ids: frozenset[str]) -> TestReport:
    if not ids:
        return report
    kept = [result for result in report.results if result.id not in ids]
    passed = [TestResult(one, TestOutcome.PASSED, message="passed when run again") for one in sorted(ids)]
    note = f"{len(ids)} unsteady tests passed when run again: {', '.join(sorted(ids)[:3])}"
    return replace(report, results=(*kept, *passed), notes=(*report.notes, note))


def _runner_for(root: Path) -> Runner | None:
    return next((runner for runner in RUNNERS.load_all().values() if runner.detect(root)), None)


def _key(
    tree: str, environment: Environment, select: Sequence[str], *, coverage: bool, contexts: bool
) -> str:
    parts = (tree, repr(environment), "\0".join(sorted(select)), str(coverage), str(contexts))
    digest = hashlib.sha256("\1".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{tree}-{digest[:32]}.json"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    draft.write_bytes(content)
    draft.replace(path)
