"""Begin a run of a workflow, take one up again, and find those whose time has come."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bullpen.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from bullpen.domain.ids import SessionId, new_id
from bullpen.domain.session import Session, Stage
from bullpen.flow.definitions.base import Wait
from bullpen.flow.definitions.library import find_source, project_sources, sources_by_name, with_children
from bullpen.flow.definitions.model import Definition, Plain, Source
from bullpen.flow.definitions.records import ASKED, KIND, Asked, create_run, waits_of
from bullpen.flow.improve.means import Means
from bullpen.kernel.clock import now
from bullpen.kernel.durable import DurableEngine, Run
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.actions import note_facts, reach_stage
from bullpen.sessions.queries import get_session, list_sessions
from bullpen.vcs.folders import file_lock
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.source import open_source
from bullpen.work.queries import list_approvals

MOST_RUNS = 100_000


async def sources_of(mirrors: Path, repo: str) -> dict[str, Source]:
    """Every workflow for a repository, by name: as its files are committed. ``mirrors`` are Bullpen's own copies."""
    mirror = await fetch_mirror(await open_source(repo), mirrors)
    return sources_by_name(await project_sources(mirror.path, mirror.base))


async def new_run(
    means: Means, repo: str, name: str, params: Mapping[str, str] | None = None, session_id: str = ""
) -> Session:
    """The session of a run that has not begun; it keeps the texts of its workflows as they are now.

    Raises:
        NotFound: there is no such workflow.
        InvalidInput: it is faulty, or has no such param.
        Conflict: there is a session of that id.
    """
    known = await sources_of(means.mirrors, repo)
    find_source(known, name)
    texts = with_children(known, name)
    asked = Asked(name, repo, texts)
    values = _typed(asked.definition, params or {})
    chosen = SessionId(session_id or new_id("ses"))
    async with means.database.transaction(means.actor) as uow:
        if chosen in {one.id for one in await list_sessions(uow, limit=MOST_RUNS)}:
            raise Conflict(f"There is a session {chosen} already.", remedy="Choose another id.")
        return await create_run(uow, Asked(name, repo, texts, values), session_id=chosen)


def _typed(definition: Definition, params: Mapping[str, str]) -> dict[str, Plain]:
    """Texts of a command line as the types of the defaults."""
    found: dict[str, Plain] = {}
    for name, text in params.items():
        if name not in definition.params:
            there = ", ".join(sorted(definition.params)) or "none"
            raise InvalidInput(f"{definition.name} has no param {name!r}; it has: {there}.")
        found[name] = _of_type(name, text, definition.params[name])
    return found


def _of_type(name: str, text: str, like: Plain) -> Plain:
    try:
        if isinstance(like, bool):
            return {"true": True, "false": False}[text.lower()]
        return type(like)(text)
    except (KeyError, ValueError) as error:
        kind = (
            "true or false"
            if isinstance(like, bool)
            else "a number"
            if isinstance(like, float)
            else "a whole number"
        )
        raise InvalidInput(f"The param {name} must be {kind}, not {text!r}.") from error


@asynccontextmanager
async def hold_run(means: Means, session_id: SessionId) -> AsyncGenerator[None]:
    """Let no other process of this machine run the session meanwhile.

    Raises:
        Conflict: another one does.
    """
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(file_lock(means.folder(session_id).path / "run.lock", seconds=0))
        except Unavailable as error:
            raise Conflict(f"{session_id} is being run.", remedy="Wait for it to end.") from error
        yield


async def run_workflow(engine: DurableEngine, uow: UnitOfWork, session: Session) -> Run:
    """Run a session, or join its run if that was interrupted; one whose run came to an end begins the next.

    Raises:
        Conflict: it is done.
    """
    if session.kind != KIND:
        raise NotFound(f"{session.id} is no run of a workflow.", remedy="See `bullpen workflows runs`.")
    number = int(session.metadata.get("run", "0"))
    if session.stage is Stage.DONE:
        raise Conflict(
            f"{session.id} is done.", remedy=f"Begin another: bullpen workflows run {_name(session)}"
        )
    if session.metadata.get("run_ended") == str(number):
        number += 1
        await note_facts(uow, session.id, run=str(number), waits="[]")
        if session.stage.is_final:
            await reach_stage(uow, session.id, Stage.INITIALIZE, "taken up again")
    return await engine.start("definition", f"{session.id}:run-{number}", session.id)


def _name(session: Session) -> str:
    return load(ASKED, session.options).name


async def list_runs(uow: UnitOfWork) -> Sequence[Session]:
    """Runs of workflows, newest first; children belong to their parents and are left out."""
    return [one for one in await list_sessions(uow, kind=KIND, limit=MOST_RUNS) if not one.parent]


async def due_runs(uow: UnitOfWork) -> tuple[SessionId, ...]:
    """Runs that can go on: their moment has come, they were answered, or they were interrupted. Oldest first."""
    open_runs = [one for one in await list_runs(uow) if not one.stage.is_final and not one.paused]
    answered = {str(one.id) for one in await list_approvals(uow) if one.answer != "pending"}
    return tuple(one.id for one in reversed(open_runs) if _is_due(one, answered))


def _is_due(session: Session, answered: set[str]) -> bool:
    if session.metadata.get("run_ended") != session.metadata.get("run", "0"):
        return True
    return any(_is_over(wait, answered) for wait in waits_of(session))


def _is_over(wait: Wait, answered: set[str]) -> bool:
    return bool(wait.until and wait.until <= now()) or wait.approval in answered


async def run_named(uow: UnitOfWork, name: str) -> Session:
    """A run by its id, or by the only id that begins so.

    Raises:
        NotFound: there is none.
    """
    found = [one for one in await list_sessions(uow, kind=KIND, limit=MOST_RUNS) if one.id.startswith(name)]
    exact = next((one for one in found if one.id == name), None)
    if exact or len(found) == 1:
        return exact or found[0]
    return await get_session(uow, name)
