"""The scratchpad of a task: typed variables, files read, notes, who set and who read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete

from bullpen.domain.errors import InvalidInput
from bullpen.domain.events.session import FileRead, NoteWritten, VariableRead, VariableSet
from bullpen.domain.ids import SessionId, TaskId
from bullpen.kernel.bus.log import replay
from bullpen.kernel.clock import now
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.tables import scratchpad_file, scratchpad_variable

MOST_BYTES = 64 * 1024
MOST_EVENTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Variable:
    """A named value; ``type`` is text or the JSON type of it."""

    name: str
    type: str
    value: str
    set_by: str
    set_at: float


async def set_variable(
    uow: UnitOfWork, session_id: SessionId, task_id: TaskId, name: str, value: str, *, by: str
) -> None:
    """Set a variable; its earlier values stay in the event log.

    Raises:
        InvalidInput: the name is empty or the value too large.
    """
    if not name or len(name) > 120:
        raise InvalidInput("A variable's name has 1 to 120 characters.")
    if len(value) > MOST_BYTES:
        raise InvalidInput(f"{name} has {len(value)} characters; at most {MOST_BYTES} are kept.")
    kind, row = _type_of(value), scratchpad_variable
    mine = (row.c.session_id == session_id, row.c.task_id == task_id, row.c.name == name)
    await uow.run(delete(row).where(row.c.organization_id == uow.actor.organization_id, *mine))
    values = {"name": name, "type": kind, "value": value, "set_by": by, "set_at": now()}
    await uow.run(uow.new_row(row, session_id=session_id, task_id=task_id, **values))
    uow.record(session_id, VariableSet(task_id, name, kind, value, by))


async def read_variable(
    uow: UnitOfWork, session_id: SessionId, task_id: TaskId, name: str, *, by: str
) -> Variable | None:
    """A variable, and a record that ``by`` read it."""
    variables = await list_variables(uow, session_id, task_id)
    found = next((one for one in variables if one.name == name), None)
    if found is not None:
        uow.record(session_id, VariableRead(task_id, name, by))
    return found


async def list_variables(uow: UnitOfWork, session_id: SessionId, task_id: TaskId) -> Sequence[Variable]:
    """All variables of a task, by name."""
    row = scratchpad_variable
    statement = uow.rows_of(row).where(row.c.session_id == session_id, row.c.task_id == task_id)
    return [
        Variable(one.name, one.type, one.value, one.set_by, one.set_at)
        for one in await uow.fetch(statement.order_by(row.c.name))
    ]


async def variable_history(
    uow: UnitOfWork, session_id: SessionId, task_id: TaskId, name: str
) -> Sequence[Variable]:
    """Every value a variable had, oldest first, with who set it and when."""
    events = await replay(uow, session_id, limit=MOST_EVENTS, subject=task_id)
    return [
        Variable(name, one.event.type, one.event.value, one.event.by, one.at)
        for one in events
        if isinstance(one.event, VariableSet) and one.event.name == name
    ]


async def note_file_read(
    uow: UnitOfWork, session_id: SessionId, task_id: TaskId, path: str, sha256: str, *, by: str
) -> None:
    """Remember what a task saw of a file."""
    row = scratchpad_file
    mine = (row.c.session_id == session_id, row.c.task_id == task_id, row.c.path == path)
    await uow.run(delete(row).where(row.c.organization_id == uow.actor.organization_id, *mine))
    values = {"path": path, "sha256": sha256, "read_at": now()}
    await uow.run(uow.new_row(row, session_id=session_id, task_id=task_id, **values))
    uow.record(session_id, FileRead(task_id, path, sha256, by))


async def is_stale(uow: UnitOfWork, session_id: SessionId, task_id: TaskId, path: str, sha256: str) -> bool:
    """Whether a task read this file with another content than it has now; a file never read is not stale."""
    row = scratchpad_file
    statement = uow.rows_of(row).where(
        row.c.session_id == session_id, row.c.task_id == task_id, row.c.path == path
    )
    seen = await uow.fetch_one(statement)
    return seen is not None and seen.sha256 != sha256


async def write_note(uow: UnitOfWork, session_id: SessionId, task_id: TaskId, text: str, *, by: str) -> None:
    """Leave a note in the task's history."""
    uow.record(session_id, NoteWritten(task_id, text, by))


def _type_of(value: str) -> str:
    try:
        return type(json.loads(value)).__name__
    except ValueError:
        return "text"
