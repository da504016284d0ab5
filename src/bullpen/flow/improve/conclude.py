"""Conclude: look again, hold the branch against the gates, hand it over, write the reports."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from bullpen.analysis.queries import list_findings
from bullpen.domain.errors import NotFound
from bullpen.domain.events.improve import BranchPublished, ReportWritten
from bullpen.domain.ids import SessionId
from bullpen.domain.session import STAGES, Stage
from bullpen.domain.work_item import ItemState
from bullpen.flow.improve.look import Moment, View, look
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.session import ImproveSession, OpenSessions
from bullpen.flow.reports.base import ReportFormat, RunReport
from bullpen.flow.reports.gather import gather
from bullpen.kernel.extend import ExtensionPoint
from bullpen.sessions.actions import reach_stage
from bullpen.sessions.queries import get_session
from bullpen.vcs.commits import resolve_commit, update_ref
from bullpen.vcs.publish import publish_branch
from bullpen.vcs.source import open_source
from bullpen.vcs.worktrees import prune_worktrees
from bullpen.work import queries

FORMATS: ExtensionPoint[ReportFormat] = ExtensionPoint("bullpen.flow.reports.formats", "FORMAT")


@dataclass(frozen=True, slots=True)
class Concluded:
    """What is handed over."""

    branch: str
    commit: str
    landed: int
    failed: int


async def conclude(
    means: Means, sessions: OpenSessions, session_id: SessionId, tip: str, changed: bool
) -> Concluded:
    """The last step of a session; doing it again gives the same."""
    session = await sessions.get(session_id)
    branch = f"bullpen/{session_id}"
    if changed:
        await _reach(means, session_id, Stage.TESTING)
        await _look_again(means, sessions, session_id, tip)
        await _reach(means, session_id, Stage.VALIDATION)
        await _publish(means, session, branch, tip)
    async with means.database.view(means.actor) as uow:
        items = await queries.list_items(uow, session_id)
    await write_reports(means, session_id)
    await prune_worktrees(session.mirror, means.folder(session_id).worktrees, ())
    await _reach(means, session_id, Stage.DONE)
    states = [item.state for item in items]
    return Concluded(
        branch if changed else "",
        tip if changed else "",
        states.count(ItemState.DONE),
        states.count(ItemState.BLOCKED),
    )


async def _look_again(means: Means, sessions: OpenSessions, session_id: SessionId, tip: str) -> None:
    session, baseline = await sessions.with_baseline(session_id)
    async with means.database.view(means.actor) as uow:
        before = await list_findings(uow, session_id, "before")
    view = View(session.opened, tip, Moment.AFTER, tuple(before), baseline.passed())
    await look(means, session_id, view, session.tests)


async def _publish(means: Means, session: ImproveSession, branch: str, tip: str) -> None:
    ref = f"refs/heads/{branch}"
    try:
        known = await resolve_commit(session.mirror, ref)
    except NotFound:
        known = None
    if known != tip:
        await update_ref(session.mirror, ref, tip, known)
    published = await publish_branch(session.mirror, branch, await open_source(session.options.source))
    async with means.database.transaction(means.actor) as uow:
        uow.record(session.id, BranchPublished(branch, tip, str(published.repository)))


async def write_reports(means: Means, session_id: SessionId) -> list[Path]:
    """Every format there is, from the records; can be called again at any time."""
    report = await gather(means, session_id)
    folder = means.folder(session_id).reports
    written = [await asyncio.to_thread(_write, folder, kind, report) for kind in FORMATS.load_all().values()]
    async with means.database.transaction(means.actor) as uow:
        for kind, path in zip(FORMATS.names(), written, strict=True):
            uow.record(session_id, ReportWritten(kind, str(path)))
    return written


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
