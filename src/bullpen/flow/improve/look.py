"""Look: the project's tests as they are, and the roast."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from bullpen.analysis import actions as findings_actions
from bullpen.analysis.base import Persona
from bullpen.analysis.persona_cards import load_personas, speak
from bullpen.analysis.roast import Roast, roast
from bullpen.domain.events.improve import PersonaSpoke, RoastFinished, TestsRun
from bullpen.domain.finding import Finding, Severity
from bullpen.domain.ids import SessionId
from bullpen.domain.test_report import Coverage, SuiteEnd, TestReport
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import Opened, source_tree
from bullpen.flow.improve.project_tests import REPORT, ProjectTests, write_whole
from bullpen.flow.improve.surroundings import with_surroundings
from bullpen.flow.improve.unfinished import why_unfinished
from bullpen.kernel.json_text import dump, load
from bullpen.vcs.worktrees import Worktree, release_worktree, reset_worktree, take_worktree


@dataclass(frozen=True, slots=True)
class Looked:
    """Counts of a look at one commit; the report and the findings are stored."""

    passed: int
    failed: int
    findings: int
    seconds: float
    end: SuiteEnd
    failures: tuple[str, ...] = ()  # analysers that could not look, and why


class Moment(StrEnum):
    """When a look is taken. MEASURED is the same commit as BEFORE, with the lines each test ran."""

    BEFORE = "before"
    MEASURED = "measured"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class View:
    """A commit to look at, and what is known of its findings already."""

    opened: Opened
    commit: str
    moment: Moment
    known: tuple[Finding, ...] = ()
    contexts: bool = False  # also which test ran which line
    expected: frozenset[str] = frozenset()  # tests that should pass; those that do not are tried again


async def roast_ahead(means: Means, session_id: SessionId, opened: Opened) -> None:
    """Let the analysers look while something else is prepared: what they see is in the cache when it is asked for."""
    view = View(opened, opened.base, Moment.BEFORE)
    worktree = await _checked_out(means, session_id, "look-ahead", view)
    await _roast(means, worktree, view, {})
    await release_worktree(worktree)


async def look(
    means: Means,
    session_id: SessionId,
    view: View,
    tests: ProjectTests,
    ahead: asyncio.Task[None] | None = None,
) -> Looked:
    """Run the tests and the roast of a commit side by side, and store both.

    The first look goes without coverage, because tracing makes a suite slower and the first change needs none. A roast
    that looks ``ahead`` is waited for, so that nothing is looked at twice.
    """
    started = time.monotonic()
    worktree = await _checked_out(means, session_id, f"look-{view.moment}", view)
    durations = await _durations(means, session_id, view)
    async with asyncio.TaskGroup() as group:
        tested = group.create_task(_tested(means, session_id, view, tests))
        roasted = group.create_task(
            _roast(means, worktree, view, durations, ahead=ahead)
        )  # what it finds out is in the cache from now on
    report = tested.result()
    result = (
        roasted.result()
        if report.coverage is None
        else await _roast(means, worktree, view, durations, report.coverage)
    )
    await release_worktree(worktree)
    await _store(means, session_id, view, result, time.monotonic() - started)
    return Looked(
        len(report.passed()),
        len(report.failed()),
        len(result.findings),
        time.monotonic() - started,
        report.end,
        _failures(result),
    )


async def read_report(means: Means, session_id: SessionId, moment: Moment) -> TestReport:
    """The stored result of the tests at a moment."""
    path = means.folder(session_id).test_report(moment)
    return load(REPORT, await asyncio.to_thread(path.read_bytes))


async def has_report(means: Means, session_id: SessionId, moment: Moment) -> bool:
    """Whether the tests of a moment have been run and stored."""
    return await asyncio.to_thread(means.folder(session_id).test_report(moment).exists)


async def _checked_out(means: Means, session_id: SessionId, owner: str, view: View) -> Worktree:
    folder = means.folder(session_id).worktrees
    worktree = await take_worktree(Path(view.opened.mirror), folder, owner, view.commit)
    await reset_worktree(worktree, view.commit)
    return worktree


async def _tested(means: Means, session_id: SessionId, view: View, tests: ProjectTests) -> TestReport:
    if await has_report(means, session_id, view.moment):  # a step that was interrupted after its tests
        return await read_report(means, session_id, view.moment)
    traced = view.moment is not Moment.BEFORE
    report = await tests.run(view.commit, coverage=traced, contexts=view.contexts)
    report = await tests.steadied(view.commit, report, view.expected)
    unfinished = why_unfinished(report.end, means.test_limits())
    report = replace(report, notes=(*report.notes, unfinished)) if unfinished else report
    path = means.folder(session_id).test_report(view.moment)
    await asyncio.to_thread(write_whole, path, dump(REPORT, report).encode())
    async with means.database.transaction(means.actor) as uow:
        cover = report.coverage.share if report.coverage else None
        passed, failed = len(report.passed()), len(report.failed())
        told = TestsRun(view.moment, passed, failed, report.seconds, report.end, cover, note=unfinished)
        uow.record(session_id, told)
    return report


async def _durations(means: Means, session_id: SessionId, view: View) -> Mapping[str, float]:
    """How long each test took in the run before all work: the only one that is not slowed down by tracing."""
    if view.moment is Moment.BEFORE or not await has_report(means, session_id, Moment.BEFORE):
        return {}
    report = await read_report(means, session_id, Moment.BEFORE)
    return {one.id: one.seconds for one in report.results}


async def _roast(
    means: Means,
    worktree: Worktree,
    view: View,
    durations: Mapping[str, float],
    coverage: Coverage | None = None,
    ahead: asyncio.Task[None] | None = None,
) -> Roast:
    if ahead is not None:
        await ahead
    tree = await source_tree(worktree.mirror, view.commit, worktree.path, means.settings.file_bytes, coverage)
    tree = await with_surroundings(means, tree, Path(view.opened.mirror), view.opened.base, durations)
    return await roast(tree, means.sandbox, cache=means.cache, known=view.known)


async def _store(means: Means, session_id: SessionId, view: View, result: Roast, seconds: float) -> None:
    counts = Counter(found.severity for found in result.findings)
    info, low, medium, high, critical = (counts[severity] for severity in Severity)
    stored = Moment.AFTER if view.moment is Moment.AFTER else Moment.BEFORE
    async with means.database.transaction(means.actor) as uow:
        await findings_actions.keep_findings(uow, session_id, stored, result.findings)
        by_severity = (info, low, medium, high, critical)
        uow.record(
            session_id,
            RoastFinished(view.moment, len(result.findings), by_severity, seconds, _failures(result)),
        )
        if view.moment is Moment.BEFORE:
            for persona in load_personas():
                if spoken := _words(persona, result.findings):
                    uow.record(session_id, spoken)


def _failures(result: Roast) -> tuple[str, ...]:
    return tuple(f"{run.analyser}: {run.failure}" for run in result.failures)


def _words(persona: Persona, findings: Sequence[Finding]) -> PersonaSpoke | None:
    mine = [found for found in findings if found.concern == persona.concern]
    if not mine:
        return None
    worst = max(mine, key=lambda found: (found.severity, found.fingerprint))
    return PersonaSpoke(persona.name, len(mine), worst.severity.name.lower(), speak(persona, worst))
