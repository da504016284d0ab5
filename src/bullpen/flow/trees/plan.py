"""A plan: tasks, and what each means to touch and to cover.

What a parent waits for, its children wait for, too: they start after their parent starts and end before it ends. So a
plan is an order of starts and ends, twice as many as tasks; everything here walks that order without recursion.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskNode, TaskState


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task, the files it means to change, and the requirements (names of the goal's) it covers.

    ``shares_files`` allows others to change the same files at the same time.
    """

    task: TaskNode
    files: frozenset[str] = frozenset()
    covers: frozenset[str] = frozenset()
    shares_files: bool = False

    @property
    def id(self) -> TaskId:
        """Its task's."""
        return self.task.id


Plan = Sequence[PlannedTask]
Moment = tuple[TaskId, bool]  # a task's end (True) or start (False)


def moments(tasks: Iterable[TaskNode]) -> dict[Moment, list[Moment]]:
    """For the start and the end of each task, what must have happened just before; names must be known."""
    before: dict[Moment, list[Moment]] = {}
    nodes = list(tasks)
    for task in nodes:
        start = before.setdefault((task.id, False), [])
        start.extend((one, True) for one in task.depends_on)
        if task.parent is not None:
            start.append((task.parent, False))
        before.setdefault((task.id, True), []).append((task.id, False))
    for task in nodes:
        if task.parent is not None:
            before[task.parent, True].append((task.id, True))
    return before


def order_of(before: Mapping[Moment, Sequence[Moment]]) -> list[Moment]:
    """Starts and ends, each after what it needs.

    Raises:
        graphlib.CycleError: there is no such order; the second argument is the cycle.
    """
    return list(TopologicalSorter(before).static_order())


def waves(tasks: Sequence[TaskNode]) -> list[list[TaskId]]:
    """The leaves of a sound plan in waves: those of one wave may run side by side, each wave after those before it.

    Within a wave by position, then id.
    """
    before = moments(tasks)
    inner = {task.parent for task in tasks}
    depth: dict[Moment, int] = {}
    for moment in order_of(before):
        started = max((depth[one] for one in before[moment]), default=0)
        is_leaf_end = moment[1] and moment[0] not in inner
        depth[moment] = started + is_leaf_end
    found: dict[int, list[TaskNode]] = {}
    for task in tasks:
        if task.id not in inner:
            found.setdefault(depth[task.id, True], []).append(task)
    return [[task.id for task in sorted(found[wave], key=_place)] for wave in sorted(found)]


def ready(tasks: Sequence[TaskNode]) -> list[TaskId]:
    """Leaves that may start now: they wait, and all that they and their ancestors wait for is done.

    By position, then id. A task whose dependency failed, was skipped or cancelled is not ready: what then is for the
    policy of the group to say.
    """
    nodes = {task.id: task for task in tasks}
    inner = {task.parent for task in tasks}
    open_gate = _open(nodes)
    free = [
        task
        for task in tasks
        if task.state is TaskState.WAITING and task.id not in inner and open_gate[task.id]
    ]
    return [task.id for task in sorted(free, key=_place)]


def _open(nodes: Mapping[TaskId, TaskNode]) -> dict[TaskId, bool]:
    """Whether all that a task and its ancestors wait for is done; from the roots downward."""
    found: dict[TaskId, bool] = {}
    for name in nodes:
        path: list[TaskId] = []
        current: TaskId | None = name
        while current is not None and current not in found:
            path.append(current)
            current = nodes[current].parent
        above = True if current is None else found[current]
        for one in reversed(path):
            above = above and all(nodes[needed].state is TaskState.DONE for needed in nodes[one].depends_on)
            found[one] = above
    return found


def _place(task: TaskNode) -> tuple[int, str]:
    return task.position, task.id
