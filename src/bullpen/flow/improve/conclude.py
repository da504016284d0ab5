"""Conclude: look again, hold the branch against the gates, hand it over, write the reports."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import NotFound
from bullpen.domain.events.improve import BranchPublished, ReportWritten
from bullpen.domain.ids import SessionId
from bullpen.domain.session import Session, Stage
from bullpen.domain.test_report import TestReport
from bullpen.domain.work_item import ItemState
from bullpen.flow.improve.look import look, read_report
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.options import OPTIONS, ImproveOptions
from bullpen.flow.improve.session import OPENED, ImproveSession, OpenSessions
from bullpen.flow.reports.base import Ground, ReportFormat, RunReport
from bullpen.flow.reports.gather import gather
from bullpen.kernel.extend import ExtensionPoint
from bullpen.sandbox.base import MEBIBYTE
from bullpen.sessions import queries as session_queries
from bullpen.sessions.actions import reach_stage
from bullpen.vcs.commits import resolve_commit, update_ref
from bullpen.vcs.publish import publish_branch
from bullpen.vcs.source import open_source
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
        await look(means, session_id, session.opened, tip, "after", session.tests)
        await _reach(means, session_id, Stage.VALIDATION)
        await _publish(means, session, branch, tip)
    async with means.database.view(means.actor) as uow:
        items = await queries.list_items(uow, session_id)
    await write_reports(means, session_id)
    await _reach(means, session_id, Stage.DONE)
    states = [item.state for item in items]
    return Concluded(
        branch if changed else "",
        tip if changed else "",
        states.count(ItemState.DONE),
        states.count(ItemState.BLOCKED),
    )


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


async def read_run_report(means: Means, session_id: SessionId) -> RunReport:
    """All that is known of a session whose repository was looked at; the limits are those of now."""
    before = await read_report(means, session_id, "before")
    async with means.database.view(means.actor) as uow:
        session = await session_queries.get_session(uow, session_id)
        ground = _ground(means, session)
        return await gather(uow, session_id, ground, before, await _tested_again(means, session_id))


async def _tested_again(means: Means, session_id: SessionId) -> TestReport | None:
    stored = await asyncio.to_thread(means.folder(session_id).test_report("after").exists)
    return await read_report(means, session_id, "after") if stored else None


def _ground(means: Means, session: Session) -> Ground:
    opened = OPENED.validate_json(session.metadata["opened"])
    limits = _limits(means, OPTIONS.validate_json(session.options))
    return Ground(opened.name, opened.base, opened.mirror, opened.notes, limits)


def _limits(means: Means, options: ImproveOptions) -> dict[str, str]:
    """What the work was held to, in words for people."""
    settings, tests = means.settings, means.test_limits()
    return {
        "sandbox": settings.sandbox,
        "model": settings.model,
        "one run of the tests": f"{tests.wall_seconds:g} s, {tests.memory_bytes // MEBIBYTE} MiB of memory",
        "one agent on one item": f"{settings.agent_seconds:g} s",
        "attempts at one item": str(settings.attempts),
        "items taken on": f"at most {options.max_items}",
        "files looked at": f"up to {settings.file_bytes / 1e6:g} MB",
        "budget for models": str(options.budget) if options.budget.micro_usd else "none set",
    }


async def write_reports(means: Means, session_id: SessionId) -> list[Path]:
    """Every format there is, from the records; can be called again at any time."""
    report = await read_run_report(means, session_id)
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
    async with means.database.transaction(means.actor) as uow:
        await reach_stage(uow, session_id, stage)
