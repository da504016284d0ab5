"""Cancel an improve session: whoever works on it stops, what is known is reported, nothing of it goes on.

The session's stage says it, so it holds for every process and through every crash. Who runs a session holds its lock;
who cancels one tidies up when that lock is free, which a killed process leaves so.
"""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import SessionId
from bullpen.domain.session import Session, Stage
from bullpen.flow.improve.away import forget_exchange, is_away
from bullpen.flow.improve.conclude import write_reports_if_possible
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.plan import root_task
from bullpen.flow.improve.session import OPENED
from bullpen.flow.summaries.post import conclude_records
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.actions import cancel_session, note_facts
from bullpen.sessions.queries import get_session
from bullpen.vcs.folders import file_lock
from bullpen.vcs.worktrees import prune_worktrees
from bullpen.work.actions.tasks import cancel_task
from bullpen.work.queries import list_tasks

TIDIED = "cancelled"  # the fact that says that nothing is left to tidy up


async def cancel(uow: UnitOfWork, session: Session, reason: str) -> None:
    """Say that a session is over, and why, if a reason is given.

    Raises:
        InvalidInput: it is of a kind that cannot be cancelled.
        Conflict: it has come to another end.
    """
    if session.kind != "improve":
        raise InvalidInput(f"{session.id} is a {session.kind}; only improve sessions are cancelled.")
    said = reason.strip().rstrip(".") or f"cancelled by {uow.actor.id}"
    await cancel_session(uow, session.id, f"{said[:1].upper()}{said[1:]}.")


def works_on(means: Means, session_id: SessionId) -> AbstractAsyncContextManager[None]:
    """Held by a process for as long as it runs a session."""
    return file_lock(_lock(means, session_id), shared=True)


async def tidy_cancelled(means: Means, session_id: SessionId, *, seconds: float = 60.0) -> str:
    """What is left to do of a cancelled session when nobody works on it any more; why there is no report, if so.

    Doing it twice changes nothing.

    Raises:
        Unavailable: after ``seconds`` a process still works on it; that one tidies up when it stops.
    """
    async with file_lock(_lock(means, session_id), seconds=seconds):
        async with means.database.transaction(means.actor) as uow:
            session = await get_session(uow, session_id)
            if session.stage is not Stage.CANCELLED or session.metadata.get(TIDIED):
                return ""
            await _cancel_tasks(uow, session_id)
        await _forget_files(means, session)
        unwritten = await write_reports_if_possible(means, session_id)
        await conclude_records(means.database, means.actor, means.settings.home, session_id)
        async with means.database.transaction(means.actor) as uow:
            await note_facts(uow, session_id, **{TIDIED: "yes"})
        return unwritten


async def _cancel_tasks(uow: UnitOfWork, session_id: SessionId) -> None:
    root = root_task(session_id)
    if any(task.id == root and not task.state.is_final for task in await list_tasks(uow, session_id)):
        await cancel_task(uow, session_id, root, "the session was cancelled")


async def _forget_files(means: Means, session: Session) -> None:
    if "opened" not in session.metadata:
        return
    opened = load(OPENED, session.metadata["opened"])
    await forget_exchange(means, session.id, opened)
    mirror = means.mirrors / Path(opened.mirror).name
    if is_away(means, session.metadata) and not mirror.is_dir():
        return
    await prune_worktrees(mirror, means.folder(session.id).worktrees, ())


def _lock(means: Means, session_id: SessionId) -> Path:
    return means.folder(session_id).path / "working.lock"
