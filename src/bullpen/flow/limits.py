"""What a session that is taken up again may be told anew: how many items, and what its models may cost."""

from collections.abc import Collection, Sequence

from bullpen.domain.actor import Scope
from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import SessionId
from bullpen.domain.money import Money
from bullpen.domain.session import Session
from bullpen.domain.task import TaskNode, TaskState
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.flow.improve.options import BUDGET, MOST, PYTHON, ImproveOptions, options_of
from bullpen.flow.items.reasons import BEYOND
from bullpen.flow.steer import ITEM
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.actions import note_facts
from bullpen.work.actions.items import move_item
from bullpen.work.actions.tasks import move_task
from bullpen.work.queries import list_items, list_tasks

_FIXED = {"goal": "--goal", "only": "--only", "baseline": "--baseline", "dry_run": "--dry-run"}


def require_as_begun(session: Session, options: ImproveOptions, given: Collection[str], python: str) -> None:
    """Refuse to take a session up with other options than it was begun with; its limits alone may change.

    ``given`` names the options that were really given, ``python`` the interpreter, if one was.

    Raises:
        InvalidInput: one of them says something else than at the beginning.
    """
    begun = options_of(session)
    changed = [
        said
        for name, said in _FIXED.items()
        if name in given and getattr(options, name) != getattr(begun, name)
    ]
    known = session.metadata.get(PYTHON)
    if "python" in given and known not in (None, python):
        changed.append("--python")
    if changed:
        raise InvalidInput(
            f"{session.id} goes on with what it was begun with: {', '.join(changed)} cannot be changed.",
            remedy="Leave that out, or begin a new session without --resume. --max, --budget and --approve may change.",
        )


async def change_limits(
    uow: UnitOfWork, session_id: SessionId, *, most: int | None = None, budget: Money | None = None
) -> None:
    """Let a session work on at most so many items, and spend at most so much; None leaves a limit as it is.

    Items that were beyond the old number become ready, the most urgent ones first. With a smaller number, ready ones
    that nobody has begun are left; what was worked on counts.
    """
    uow.actor.require(Scope.RUN)
    if budget is not None:
        await note_facts(uow, session_id, **{BUDGET: str(budget.micro_usd)})
    if most is None:
        return
    await note_facts(uow, session_id, **{MOST: str(most)})
    items = await list_items(uow, session_id)
    tasks = {task.item: task for task in await list_tasks(uow, session_id) if task.kind == ITEM}
    taken = sum(_is_taken(item, tasks.get(item.id)) for item in items)
    if most > taken:
        await _take(uow, session_id, items, tasks, most - taken)
    else:
        await _leave(uow, session_id, items, tasks, taken - most)


def _is_taken(item: WorkItem, task: TaskNode | None) -> bool:
    return item.state is ItemState.READY or (task is not None and task.note != BEYOND)


async def _take(
    uow: UnitOfWork,
    session_id: SessionId,
    items: Sequence[WorkItem],
    tasks: dict[str, TaskNode],
    count: int,
) -> None:
    beyond = [item for item in items if item.state is ItemState.PROPOSED and item.reason == BEYOND]
    for item in sorted(beyond, key=lambda one: -one.priority.score)[:count]:
        await move_item(
            uow, session_id, item.id, ItemState.READY, reason=f"{uow.actor.id} allowed more items"
        )
        if item.id in tasks:
            await move_task(uow, session_id, tasks[item.id].id, TaskState.WAITING)


async def _leave(
    uow: UnitOfWork,
    session_id: SessionId,
    items: Sequence[WorkItem],
    tasks: dict[str, TaskNode],
    count: int,
) -> None:
    ready = [item for item in items if item.state is ItemState.READY]
    for item in sorted(ready, key=lambda one: one.priority.score)[:count]:
        await move_item(uow, session_id, item.id, ItemState.PROPOSED, reason=BEYOND)
        if item.id in tasks:
            await move_task(uow, session_id, tasks[item.id].id, TaskState.SKIPPED, BEYOND)
