"""Changing task trees, also while they run."""

from collections.abc import Sequence

from bullpen.domain.actor import Scope
from bullpen.domain.errors import Conflict, InvalidInput, NotFound
from bullpen.domain.events.work import TaskAdded, TaskMoved, TaskReassigned, TaskReordered
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.task import TaskNode, TaskState
from bullpen.kernel.clock import now
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.work import queries, tables
from bullpen.work.tree import check_tree


async def add_tasks(uow: UnitOfWork, session_id: SessionId, tasks: Sequence[TaskNode]) -> None:
    """Add nodes; those already stored are left as they are.

    Raises:
        InvalidInput: with the new nodes the tree would have a cycle, an orphan, or be too deep or too broad.
    """
    uow.actor.require(Scope.WORK_WRITE)
    stored = await queries.list_tasks(uow, session_id)
    known = {task.id for task in stored}
    fresh = [task for task in tasks if task.id not in known]
    check_tree([*stored, *fresh])
    if not fresh:
        return
    rows = [_row(uow, session_id, task) for task in fresh]
    await uow.run(tables.task.insert(), rows)
    for task in fresh:
        uow.record(
            session_id,
            TaskAdded(
                task.id,
                task.parent or "",
                task.title,
                task.kind,
                task.role,
                task.complexity,
                task.depends_on,
                task.item,
                task.position,
                task.capabilities,
                task.acceptance,
            ),
        )


async def move_task(
    uow: UnitOfWork, session_id: SessionId, task_id: TaskId, state: TaskState, note: str = ""
) -> None:
    """Change a task's state or its note; the times are set from the states."""
    uow.actor.require(Scope.WORK_WRITE)
    task = tables.task
    values: dict[str, object] = {"state": state, "note": note}
    if state is TaskState.RUNNING:
        values["started_at"] = now()
    if state.is_final:
        values["ended_at"] = now()
    touched = await uow.run(
        uow.change_rows(task).where(task.c.session_id == session_id, task.c.id == task_id).values(**values)
    )
    if not touched:
        raise NotFound(f"There is no task {task_id} in session {session_id}.")
    uow.record(session_id, TaskMoved(task_id, state, note))


async def cancel_task(uow: UnitOfWork, session_id: SessionId, task_id: TaskId, reason: str) -> None:
    """Cancel a task that has not ended, with everything below it."""
    uow.actor.require(Scope.WORK_WRITE)
    nodes = {node.id: node for node in await queries.list_tasks(uow, session_id)}
    if task_id not in nodes:
        raise NotFound(f"There is no task {task_id} in session {session_id}.")
    if nodes[task_id].state.is_final:
        raise Conflict(f"Task {task_id} is {nodes[task_id].state.value} already.")
    for node in nodes.values():
        if not node.state.is_final and _is_below(node, task_id, nodes):
            await move_task(uow, session_id, node.id, TaskState.CANCELLED, reason)


async def reorder_task(uow: UnitOfWork, session_id: SessionId, task_id: TaskId, position: int) -> None:
    """Give a waiting task another place among its siblings, from 0 on; those behind it move up.

    Raises:
        Conflict: it is not waiting (any more).
    """
    await _edit_waiting(uow, session_id, task_id, position=position)
    nodes = await queries.list_tasks(uow, session_id)
    parent = next(node.parent for node in nodes if node.id == task_id)
    siblings = [node for node in nodes if node.parent == parent and node.id != task_id]
    place = min(position, len(siblings))
    for number, node in enumerate([*siblings[:place], None, *siblings[place:]]):
        await _put_at(uow, session_id, node.id if node else task_id, number)
    uow.record(session_id, TaskReordered(task_id, place))


async def _put_at(uow: UnitOfWork, session_id: SessionId, task_id: TaskId, position: int) -> None:
    task = tables.task
    chosen = uow.change_rows(task).where(task.c.session_id == session_id, task.c.id == task_id)
    await uow.run(chosen.values(position=position))


async def reassign_task(uow: UnitOfWork, session_id: SessionId, task_id: TaskId, role: str) -> None:
    """Give a waiting task to another role.

    Raises:
        InvalidInput: no role is named.
        Conflict: it is not waiting (any more).
    """
    if not role:
        raise InvalidInput("A task needs a role.")
    await _edit_waiting(uow, session_id, task_id, role=role)
    uow.record(session_id, TaskReassigned(task_id, role))


async def _edit_waiting(uow: UnitOfWork, session_id: SessionId, task_id: TaskId, **values: object) -> None:
    uow.actor.require(Scope.WORK_WRITE)
    task = tables.task
    touched = await uow.run(
        uow.change_rows(task)
        .where(task.c.session_id == session_id, task.c.id == task_id, task.c.state == TaskState.WAITING)
        .values(**values)
    )
    if not touched:
        raise Conflict(f"Task {task_id} is not waiting (any more).")


def _is_below(node: TaskNode, top: TaskId, nodes: dict[TaskId, TaskNode]) -> bool:
    current: TaskNode | None = node
    while current is not None:
        if current.id == top:
            return True
        current = nodes.get(current.parent) if current.parent else None
    return False


def _row(uow: UnitOfWork, session_id: SessionId, task: TaskNode) -> dict[str, object]:
    return {
        "organization_id": uow.actor.organization_id,
        "session_id": session_id,
        "id": task.id,
        "parent": task.parent or "",
        "title": task.title,
        "kind": task.kind,
        "role": task.role,
        "state": task.state,
        "depends_on": dump(queries.STRINGS, task.depends_on),
        "capabilities": dump(queries.STRINGS, task.capabilities),
        "acceptance": dump(queries.STRINGS, task.acceptance),
        "complexity": task.complexity,
        "position": task.position,
        "item": task.item,
        "note": task.note,
        "started_at": task.started_at,
        "ended_at": task.ended_at,
    }
