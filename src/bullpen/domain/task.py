"""Nodes of a task tree."""

from dataclasses import dataclass
from enum import StrEnum

from bullpen.domain.ids import TaskId


class TaskState(StrEnum):
    """Where a task stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in (TaskState.WAITING, TaskState.RUNNING)


@dataclass(frozen=True, slots=True)
class TaskNode:
    """One task: its place in the tree, what it needs, and what it is estimated to cost.

    ``complexity`` is in points (1 = a change of one line in one file).
    """

    id: TaskId
    parent: TaskId | None
    title: str
    kind: str
    role: str
    state: TaskState = TaskState.WAITING
    depends_on: tuple[TaskId, ...] = ()
    capabilities: tuple[str, ...] = ()
    acceptance: tuple[str, ...] = ()
    complexity: float = 1.0
    position: int = 0
    item: str = ""
    note: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0
