"""What people do to the task tree while a session runs, and how the work follows it."""

from collections.abc import Mapping, Sequence

from bullpen.domain.errors import Conflict
from bullpen.domain.ids import SessionId
from bullpen.domain.task import TaskNode, TaskState
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.flow.improve.plan import item_tasks
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.work.actions.items import move_item
from bullpen.work.actions.tasks import add_tasks
from bullpen.work.queries import get_item, list_tasks

ITEM = "item"  # the kind of a task that stands for a whole item


def cancelled_items(tasks: Sequence[TaskNode]) -> Mapping[str, str]:
    """Items whose task a person cancelled, with the reason that was given."""
    return {
        task.item: task.note or "cancelled"
        for task in tasks
        if task.kind == ITEM and task.state is TaskState.CANCELLED
    }


def in_order(items: Sequence[WorkItem], tasks: Sequence[TaskNode]) -> list[WorkItem]:
    """Items in the order of their tasks; those that have none come last, in the order given."""
    place = {task.item: task.position for task in tasks if task.kind == ITEM}
    last = max(place.values(), default=0) + 1
    return sorted(items, key=lambda item: place.get(item.id, last))


async def give_tasks(uow: UnitOfWork, session_id: SessionId, items: Sequence[WorkItem]) -> None:
    """A task, with its phases, for each item that has none yet: it became ready after the plan was made."""
    tasks = await list_tasks(uow, session_id)
    known = {task.item for task in tasks if task.kind == ITEM}
    first = max((task.position for task in tasks if task.kind == ITEM), default=-1) + 1
    fresh = [item for item in items if item.id not in known]
    await add_tasks(uow, session_id, item_tasks(session_id, fresh, first))


async def take_on(uow: UnitOfWork, session_id: SessionId, item_id: str) -> None:
    """Put an item that was left among those to be worked on, behind them; a session that runs takes it up.

    Raises:
        Conflict: it is worked on, or it came to its end.
        NotFound: there is no such item, or the session has no plan yet.
    """
    item = await get_item(uow, session_id, item_id)
    if item.state not in (ItemState.PROPOSED, ItemState.BLOCKED, ItemState.READY):
        raise Conflict(f"{item_id} is {item.state.value} already.")
    await move_item(uow, session_id, item_id, ItemState.READY, reason=f"added by {uow.actor.id}")
    await give_tasks(uow, session_id, [item])
