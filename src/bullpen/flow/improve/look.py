"""Look: the project's tests as they are, and the roast."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from bullpen.analysis import actions as findings_actions
from bullpen.analysis.base import Persona, SourceTree
from bullpen.analysis.cache import ObservationCache
from bullpen.analysis.persona_cards import load_personas, speak
from bullpen.analysis.roast import Roast, roast
from bullpen.domain.events.improve import PersonaSpoke, RoastFinished, TestsRun
from bullpen.domain.finding import Finding, Severity
from bullpen.domain.ids import SessionId
from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import Opened, source_tree
from bullpen.flow.improve.project_tests import ProjectTests
from bullpen.vcs.worktrees import Worktree, release_worktree, reset_worktree, take_worktree

REPORT: TypeAdapter[TestReport] = TypeAdapter(TestReport)


@dataclass(frozen=True, slots=True)
class Looked:
    """Counts of a look at one commit; the report and the findings are stored."""

    passed: int
    failed: int
    findings: int
    seconds: float
    end: SuiteEnd


async def look(
    means: Means, session_id: SessionId, opened: Opened, commit: str, moment: str, tests: ProjectTests
) -> Looked:
    """Run the tests and the roast of ``commit`` side by side; store both under ``moment`` (before or after)."""
    started = time.monotonic()
    folder = means.folder(session_id)
    tree_of = await _checked_out(opened, folder.worktrees, f"look-{moment}", commit)
    async with asyncio.TaskGroup() as group:
        report_task = group.create_task(_tested(means, session_id, commit, moment, tests))
        group.create_task(_roast(means, opened, tree_of, commit, None))  # fills the cache while the tests run
    report = report_task.result()
    result = await _roast(means, opened, tree_of, commit, report)
    await release_worktree(tree_of)
    seconds = time.monotonic() - started
    await _store(means, session_id, moment, result, seconds)
    return Looked(len(report.passed()), len(report.failed()), len(result.findings), seconds, report.end)


async def read_report(means: Means, session_id: SessionId, moment: str) -> TestReport:
    """The stored result of the tests ``before`` or ``after``."""
    path = means.folder(session_id).test_report(moment)
    return REPORT.validate_json(await asyncio.to_thread(path.read_bytes))


async def _checked_out(opened: Opened, folder: Path, owner: str, commit: str) -> Worktree:
    worktree = await take_worktree(Path(opened.mirror), folder, owner, commit)
    await reset_worktree(worktree, commit)
    return worktree


async def _tested(
    means: Means, session_id: SessionId, commit: str, moment: str, tests: ProjectTests
) -> TestReport:
    path = means.folder(session_id).test_report(moment)
    if await asyncio.to_thread(path.exists):  # a step that was interrupted after its tests
        return await read_report(means, session_id, moment)
    report = await tests.run(commit, coverage=True)
    await asyncio.to_thread(_write_whole, path, REPORT.dump_json(report))
    async with means.database.transaction(means.actor) as uow:
        cover = report.coverage.share if report.coverage else None
        passed, failed = len(report.passed()), len(report.failed())
        uow.record(session_id, TestsRun(moment, passed, failed, report.seconds, report.end, cover))
    return report


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    draft.replace(path)


async def _roast(
    means: Means, opened: Opened, worktree: Worktree, commit: str, report: TestReport | None
) -> Roast:
    coverage = report.coverage if report else None
    tree: SourceTree = await source_tree(
        Path(opened.mirror), commit, worktree.path, means.settings.file_bytes, coverage
    )
    cache = ObservationCache(means.cache)
    return await roast(tree, means.sandbox, personas=load_personas(), cache=cache)


async def _store(means: Means, session_id: SessionId, moment: str, result: Roast, seconds: float) -> None:
    counts = Counter(found.severity for found in result.findings)
    info, low, medium, high, critical = (counts[severity] for severity in Severity)
    failures = tuple(f"{run.analyser}: {run.failure}" for run in result.failures)
    async with means.database.transaction(means.actor) as uow:
        await findings_actions.keep_findings(uow, session_id, moment, result.findings)
        by_severity = (info, low, medium, high, critical)
        uow.record(session_id, RoastFinished(moment, len(result.findings), by_severity, seconds, failures))
        if moment == "before":
            for persona in load_personas():
                if spoken := _words(persona, result.findings):
                    uow.record(session_id, spoken)


def _words(persona: Persona, findings: Sequence[Finding]) -> PersonaSpoke | None:
    mine = [found for found in findings if found.concern == persona.concern]
    if not mine:
        return None
    worst = max(mine, key=lambda found: (found.severity, found.fingerprint))
    return PersonaSpoke(persona.name, len(mine), worst.severity.name.lower(), speak(persona, worst))
