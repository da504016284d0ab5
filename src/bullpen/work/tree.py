"""Task trees: bounds, cycles, order, and progress from the leaves upward. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskNode, TaskState

MOST_TASKS = 100_000
DEEPEST = 64


def check_tree(tasks: Sequence[TaskNode]) -> None:
    """Refuse duplicates, orphans, unknown dependencies, cycles, and trees out of bounds.

    A task may not wait for its own ancestor: the ancestor ends only after it.
    """
    nodes = {task.id: task for task in tasks}
    if len(nodes) != len(tasks):
        raise InvalidInput("Two tasks have the same id.")
    if len(tasks) > MOST_TASKS:
        raise InvalidInput(f"A tree holds at most {MOST_TASKS} tasks; this one has {len(tasks)}.")
    for task in tasks:
        missing = [
            one for one in (*task.depends_on, *([task.parent] if task.parent else [])) if one not in nodes
        ]
        if missing:
            raise InvalidInput(f"Task {task.id} names {missing[0]}, which is not in the tree.")
    _check_depth(nodes)
    order = task_order(tasks)
    if len(order) != len(tasks):
        stuck = next(task.id for task in tasks if task.id not in set(order))
        raise InvalidInput(f"Task {stuck} waits for itself through others.")


def task_order(tasks: Sequence[TaskNode]) -> list[TaskId]:
    """An order in which every task comes after those it waits for, and parents after their children.

    Kahn's algorithm; tasks on a cycle are left out. Ties go by position, then id.
    """
    waits: dict[TaskId, set[TaskId]] = {task.id: set(task.depends_on) for task in tasks}
    for task in tasks:
        if task.parent is not None and task.parent in waits:
            waits[task.parent].add(task.id)
    followers: dict[TaskId, list[TaskId]] = {task.id: [] for task in tasks}
    for follower, needed in waits.items():
        for one in needed:
            followers[one].append(follower)
    place = {task.id: (task.position, task.id) for task in tasks}
    left = {task: len(needed) for task, needed in waits.items()}
    layer = sorted((task for task, count in left.items() if count == 0), key=place.__getitem__)
    order: list[TaskId] = []
    while layer:
        order.extend(layer)
        layer = sorted(_freed(layer, followers, left), key=place.__getitem__)
    return order


def _freed(
    layer: Iterable[TaskId], followers: Mapping[TaskId, list[TaskId]], left: dict[TaskId, int]
) -> list[TaskId]:
    free: list[TaskId] = []
    for done in layer:
        for follower in followers[done]:
            left[follower] -= 1
            if left[follower] == 0:
                free.append(follower)
    return free


def _check_depth(nodes: Mapping[TaskId, TaskNode]) -> None:
    depth: dict[TaskId, int] = {}
    for task in nodes.values():
        path: list[TaskId] = []
        current: TaskId | None = task.id
        while current is not None and current not in depth:
            if current in path:
                raise InvalidInput(f"Task {current} is its own ancestor.")
            path.append(current)
            if len(path) > DEEPEST:
                raise InvalidInput(f"The tree is deeper than {DEEPEST} levels at task {task.id}.")
            current = nodes[current].parent
        base = depth[current] if current is not None else 0
        for distance, one in enumerate(reversed(path), start=1):
            depth[one] = base + distance
            if depth[one] > DEEPEST:
                raise InvalidInput(f"The tree is deeper than {DEEPEST} levels at task {one}.")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task and everything below it is. ``share`` (0 to 1) weighs leaves by complexity.

    ``seconds_left`` extrapolates from the leaves that ended; None before the first one has.
    """

    done: int
    total: int
    share: float
    seconds_left: float | None


@dataclass(slots=True)
class _Sum:
    done: int = 0
    total: int = 0
    ended_points: float = 0.0
    points: float = 0.0
    seconds: float = 0.0

    def add(self, other: "_Sum") -> None:
        self.done += other.done
        self.total += other.total
        self.ended_points += other.ended_points
        self.points += other.points
        self.seconds += other.seconds


def progress(tasks: Sequence[TaskNode], lanes: int = 1) -> dict[TaskId, Progress]:
    """Progress at every level, from the leaves upward; ``lanes`` leaves run at the same time."""
    sums: dict[TaskId, _Sum] = {task.id: _Sum() for task in tasks}
    parents = {task.parent for task in tasks}
    nodes = {task.id: task for task in tasks}
    for task in tasks:
        if task.id not in parents:
            sums[task.id] = _leaf(task)
    for task_id in task_order(tasks):
        parent = nodes[task_id].parent
        if parent is not None:
            sums[parent].add(sums[task_id])
    return {task_id: _progress(total, max(1, lanes)) for task_id, total in sums.items()}


def _leaf(task: TaskNode) -> _Sum:
    ended = task.state.is_final
    ran = ended and task.state in (TaskState.DONE, TaskState.FAILED) and task.started_at > 0
    seconds = max(0.0, task.ended_at - task.started_at) if ran else 0.0
    return _Sum(int(ended), 1, task.complexity if ended else 0.0, task.complexity, seconds)


def _progress(total: _Sum, lanes: int) -> Progress:
    share = total.ended_points / total.points if total.points else 1.0
    left = total.points - total.ended_points
    pace = total.seconds / total.ended_points if total.ended_points and total.seconds else None
    return Progress(total.done, total.total, share, pace * left / lanes if pace is not None else None)
