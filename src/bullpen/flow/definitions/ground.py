"""Where a run stands: the repository it is about, and one checkout that its steps share."""

from collections.abc import Mapping
from pathlib import Path

from bullpen.domain.ids import SessionId
from bullpen.flow.definitions.base import Work
from bullpen.flow.definitions.records import Asked
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import Opened, open_repository
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.improve.project_tests import ProjectTests
from bullpen.flow.improve.session import ENVIRONMENT, OPENED, ImproveSession
from bullpen.kernel.json_text import dump, load
from bullpen.sessions.actions import note_facts
from bullpen.sessions.queries import get_session
from bullpen.testing.base import Environment
from bullpen.testing.environment import prepare_environment
from bullpen.vcs.worktrees import Worktree, take_worktree


async def open_ground(means: Means, root: SessionId, asked: Asked) -> Opened:
    """The repository of a run, copied once; later runs go on from the same commit."""
    known = await _facts(means, root)
    if "opened" in known:
        return load(OPENED, known["opened"])
    opened = await open_repository(means, root, ImproveOptions(asked.source))
    async with means.database.transaction(means.actor) as uow:
        await note_facts(uow, root, opened=dump(OPENED, opened))
    return opened


async def shared_worktree(means: Means, root: SessionId, opened: Opened) -> Worktree:
    """The checkout as the steps before left it."""
    folder = means.folder(root).worktrees
    return await take_worktree(Path(opened.mirror), folder, f"workflow-{root}", opened.base)


async def own_worktree(work: Work) -> Worktree:
    """The checkout of a step."""
    means = work.bench.means
    known = await _facts(means, work.root)
    return await shared_worktree(means, work.root, load(OPENED, known["opened"]))


async def agent_session(work: Work) -> ImproveSession:
    """What agents and tests need to know of the project; its environment is prepared the first time."""
    means = work.bench.means
    known = await _facts(means, work.root)
    opened = load(OPENED, known["opened"])
    tests = ProjectTests(
        mirror=Path(opened.mirror),
        folder=means.folder(work.root).worktrees,
        cache=means.settings.home / "cache" / "tests",
        environment=await _environment(work, opened, known),
        sandbox=means.sandbox,
        limits=means.test_limits(),
        lanes=means.lanes,
    )
    async with means.database.view(means.actor) as uow:
        started = (await get_session(uow, work.session_id)).created_at
    return ImproveSession(work.session_id, ImproveOptions(opened.location), opened, tests, started)


async def _environment(work: Work, opened: Opened, known: Mapping[str, str]) -> Environment:
    means = work.bench.means
    if "environment" in known:
        return load(ENVIRONMENT, known["environment"])
    checkout = Path(opened.checkout) if opened.checkout else None
    wanted, home = means.settings.python or None, means.settings.home
    found = await prepare_environment(work.workspace, home, means.sandbox, wanted, checkout=checkout)
    async with means.database.transaction(means.actor) as uow:
        await note_facts(uow, work.root, environment=dump(ENVIRONMENT, found))
    return found


async def _facts(means: Means, session_id: SessionId) -> Mapping[str, str]:
    async with means.database.view(means.actor) as uow:
        return (await get_session(uow, session_id)).metadata
