"""Conclude: look again, hold the branch against the gates, hand it over, write the reports."""

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from bullpen.analysis.queries import list_findings
from bullpen.domain.errors import BullpenError, NotFound, PermissionRefused
from bullpen.domain.events.improve import BranchPublished, ReportWritten, TimeSpent
from bullpen.domain.ids import SessionId
from bullpen.domain.session import STAGES, Session, Stage
from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.domain.tuning import Tuned
from bullpen.domain.work_item import ItemState
from bullpen.flow.improve.look import Moment, View, has_report, look, read_report
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.options import ImproveOptions, options_of
from bullpen.flow.improve.session import OPENED, ImproveSession, OpenSessions, tuned_of
from bullpen.flow.improve.wanted import require_wanted
from bullpen.flow.reports.base import Ground, ReportFormat, RunReport
from bullpen.flow.reports.gather import gather
from bullpen.kernel.extend import ExtensionPoint
from bullpen.kernel.json_text import load
from bullpen.sandbox.base import MEBIBYTE
from bullpen.sessions import queries as session_queries
from bullpen.sessions.actions import reach_stage
from bullpen.sessions.queries import get_session
from bullpen.vcs.commits import resolve_commit, update_ref
from bullpen.vcs.git import redact
from bullpen.vcs.publish import publish_branch
from bullpen.vcs.source import open_source
from bullpen.vcs.worktrees import prune_worktrees
from bullpen.work import queries

FORMATS: ExtensionPoint[ReportFormat] = ExtensionPoint("bullpen.flow.reports.formats", "FORMAT")


@dataclass(frozen=True, slots=True)
class Concluded:
    """What is handed over. ``problem`` and ``remedy`` say why the branch is only in Bullpen's own copy, if it is."""

    branch: str
    commit: str
    landed: int
    failed: int
    problem: str = ""
    remedy: str = ""


async def conclude(
    means: Means, sessions: OpenSessions, session_id: SessionId, tip: str, changed: bool
) -> Concluded:
    """The last step of a session; doing it again gives the same."""
    session = await sessions.get(session_id)
    branch = f"bullpen/{session_id}"
    refused: PermissionRefused | None = None
    if changed:
        await _reach(means, session_id, Stage.TESTING)
        await _look_again(means, sessions, session_id, tip)
        await _reach(means, session_id, Stage.VALIDATION)
        refused = await _publish(means, session, branch, tip)
    async with means.database.view(means.actor) as uow:
        items = await queries.list_items(uow, session_id)
    await _record_time(means, session_id)
    await write_reports(means, session_id)
    await prune_worktrees(session.mirror, means.folder(session_id).worktrees, ())
    await _reach(means, session_id, Stage.DONE)
    states = [item.state for item in items]
    return Concluded(
        branch if changed else "",
        tip if changed else "",
        states.count(ItemState.DONE),
        states.count(ItemState.BLOCKED),
        refused.sentence if refused else "",
        refused.remedy if refused else "",
    )


async def _record_time(means: Means, session_id: SessionId) -> None:
    watch = means.sandbox
    spent = TimeSpent(time.monotonic() - watch.started, watch.busy, watch.commands)
    async with means.database.transaction(means.actor) as uow:
        uow.record(session_id, spent)


async def _look_again(means: Means, sessions: OpenSessions, session_id: SessionId, tip: str) -> None:
    session, baseline = await sessions.with_baseline(session_id)
    async with means.database.view(means.actor) as uow:
        before = await list_findings(uow, session_id, "before")
    view = View(session.opened, tip, Moment.AFTER, tuple(before), expected=baseline.passed())
    await look(means, session_id, view, session.tests)


async def _publish(means: Means, session: ImproveSession, branch: str, tip: str) -> PermissionRefused | None:
    """Hand the branch over; why it stays in Bullpen's own copy, where the repository may not be written."""
    ref = f"refs/heads/{branch}"
    try:
        known = await resolve_commit(session.mirror, ref)
    except NotFound:
        known = None
    if known != tip:
        await update_ref(session.mirror, ref, tip, known)
    refused: PermissionRefused | None = None
    await require_wanted(means, session.id)  # from here on the person's repository changes
    try:
        published = await publish_branch(session.mirror, branch, await open_source(session.options.source))
        where = published.repository
    except PermissionRefused as error:
        where = session.mirror
        remedy = (
            f"The work is done. Fetch it where you may write: git fetch {quote(str(where))} {branch}:{branch}"
        )
        refused = PermissionRefused(error.sentence, remedy=remedy)
    async with means.database.transaction(means.actor) as uow:
        uow.record(session.id, BranchPublished(branch, tip, str(where)))
    return refused


async def read_run_report(means: Means, session_id: SessionId) -> RunReport:
    """All that is known of a session, wherever it broke off; the limits are those of now."""
    before = await _tested_before(means, session_id)
    async with means.database.view(means.actor) as uow:
        session = await session_queries.get_session(uow, session_id)
        ground = _ground(means, session)
        return await gather(uow, session_id, ground, before, await _tested_again(means, session_id))


async def _tested_before(means: Means, session_id: SessionId) -> TestReport:
    """How the tests were, with the coverage that was measured later on the same commit."""
    if not await has_report(means, session_id, Moment.BEFORE):
        return TestReport("none", (), SuiteEnd.NOT_STARTED, notes=("the tests were not run",))
    report = await read_report(means, session_id, Moment.BEFORE)
    if not await has_report(means, session_id, Moment.MEASURED):
        return report
    return replace(report, coverage=(await read_report(means, session_id, Moment.MEASURED)).coverage)


async def _tested_again(means: Means, session_id: SessionId) -> TestReport | None:
    stored = await has_report(means, session_id, Moment.AFTER)
    return await read_report(means, session_id, Moment.AFTER) if stored else None


def _ground(means: Means, session: Session) -> Ground:
    limits = _limits(means, options_of(session), tuned_of(means, session))
    if "opened" not in session.metadata:  # it failed before
        return Ground(redact(session.project.rstrip("/").rsplit("/", 1)[-1]), "", "", (), limits)
    opened = load(OPENED, session.metadata["opened"])
    return Ground(opened.name, opened.base, opened.mirror, opened.notes, limits)


def _limits(means: Means, options: ImproveOptions, tuned: Tuned) -> dict[str, str]:
    """What the work was held to, in words for people."""
    settings, tests = means.settings, means.test_limits()
    return {
        "sandbox": settings.sandbox,
        "model": settings.model,
        "one run of the tests": f"{tests.wall_seconds:g} s, {tests.memory_bytes // MEBIBYTE} MiB of memory",
        "one agent on one item": _time(tuned, settings.agent_seconds),
        "attempts at one item": str(tuned.retries + 1),
        "items taken on": f"at most {options.max_items}",
        "files looked at": f"up to {settings.file_bytes / 1e6:g} MB",
        "budget for models": str(options.budget) if options.budget.micro_usd else "none set",
    }


def _time(tuned: Tuned, as_set: float) -> str:
    if not tuned.timed:
        return f"{tuned.seconds or as_set:g} s"
    return f"{as_set:g} s; {', '.join(tuned.timed)}: {tuned.seconds:g} s"


async def write_reports(means: Means, session_id: SessionId) -> list[Path]:
    """Every format there is, from the records; can be called again at any time."""
    report = await read_run_report(means, session_id)
    folder = means.folder(session_id).reports
    written = [await asyncio.to_thread(_write, folder, kind, report) for kind in FORMATS.load_all().values()]
    async with means.database.transaction(means.actor) as uow:
        for kind, path in zip(FORMATS.names(), written, strict=True):
            uow.record(session_id, ReportWritten(kind, str(path)))
    return written


async def write_reports_if_possible(means: Means, session_id: SessionId) -> str:
    """The reports of a session that broke off; why there are none, if what broke it keeps them from being written."""
    try:
        await write_reports(means, session_id)
    except BullpenError as error:
        return error.sentence
    except OSError as error:
        return f"{error.filename or 'A report'} cannot be written: {error.strerror or error}."
    return ""


def _write(folder: Path, kind: ReportFormat, report: RunReport) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / kind.file_name
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(kind.render(report))
    draft.replace(path)
    return path


async def _reach(means: Means, session_id: SessionId, stage: Stage) -> None:
    """Go on to a stage unless it was passed already, by a step that was interrupted."""
    async with means.database.transaction(means.actor) as uow:
        if stage in STAGES[(await get_session(uow, session_id)).stage]:
            await reach_stage(uow, session_id, stage)
