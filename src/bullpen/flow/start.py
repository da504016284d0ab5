"""Start or take up an improve session."""

import re

from bullpen.domain.errors import Conflict, InvalidInput, NotFound
from bullpen.domain.ids import SessionId, new_id
from bullpen.domain.session import Session, Stage, require_not_cancelled
from bullpen.flow.improve.options import OPTIONS, ImproveOptions
from bullpen.kernel.durable import DurableEngine, Run
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.actions import create_session, note_facts, reach_stage, resume_session
from bullpen.sessions.queries import find_session, get_session, list_sessions


async def new_improve_session(uow: UnitOfWork, options: ImproveOptions, session_id: str = "") -> Session:
    """A session for these options, not yet running.

    Raises:
        InvalidInput: the id is no name for a folder and a branch.
        Conflict: there is a session of that id.
    """
    name = await require_new(uow, session_id) if session_id else SessionId(new_id("ses"))
    goal = options.goal or "find what is wrong and mend what can be proved"
    stored = dump(OPTIONS, options)
    return await create_session(uow, name, kind="improve", goal=goal, project=options.source, options=stored)


async def require_new(uow: UnitOfWork, session_id: str) -> SessionId:
    """The id, if a session can be called so and none is.

    Raises:
        InvalidInput: the id is no name for a folder and a branch.
        Conflict: there is a session of that id.
    """
    name = SessionId(_usable(session_id))
    if await find_session(uow, name) is not None:
        again = f"--resume --session {name}"
        raise Conflict(
            f"There is a session {name} already.", remedy=f"Go on with {again}, or choose another id."
        )
    return name


def _usable(session_id: str) -> str:
    """It names a folder in Bullpen's home, a branch, and processes."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", session_id):
        return session_id
    raise InvalidInput(
        f"{session_id!r} cannot name a session.",
        remedy="Use up to 40 letters, digits, - and _, beginning with a letter or a digit.",
    )


async def session_to_resume(uow: UnitOfWork, project: str, session_id: str = "") -> Session:
    """The named session, or the newest one of the project that has not come to its end.

    Raises:
        NotFound: there is none.
        Conflict: the one that is named was cancelled.
    """
    if session_id:
        named = await get_session(uow, session_id)
        require_not_cancelled(named)
        return named
    known = await list_sessions(uow, project=project, kind="improve")
    found = next((one for one in known if one.stage not in (Stage.DONE, Stage.CANCELLED)), None)
    if found is None:
        raise NotFound(
            f"There is no unfinished session for {project}.", remedy="Run `bullpen improve` without --resume."
        )
    return found


async def run_improve(engine: DurableEngine, uow: UnitOfWork, session: Session) -> Run:
    """Run a session, or join its run if that was interrupted.

    One whose run came to an end (it failed, it was paused, or items were approved since) begins another run, which
    goes on from where the branch is.
    """
    number = int(session.metadata.get("run", "0"))
    if session.metadata.get("run_ended") == str(number):
        number += 1
        await note_facts(uow, session.id, run=str(number))
        await resume_session(uow, session.id)
        if session.stage.is_final:
            await reach_stage(uow, session.id, Stage.INITIALIZE, "taken up again")
    return await engine.start("improve", f"{session.id}:run-{number}", session.id)
