"""How tasks ended, and what is made of several."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskState

NO_MONEY = Money()


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How one task ended. ``changes`` are digests of the files it left, by path (empty for one it removed).

    ``says`` are its findings by subject: two that say different things of one subject contradict each other.
    """

    task: TaskId
    state: TaskState
    changes: Mapping[str, str] = field(default_factory=dict[str, str])
    says: Mapping[str, str] = field(default_factory=dict[str, str])
    note: str = ""
    cost: Money = NO_MONEY
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ResultConflict:
    """Two children that do not go together: ``kind`` is edit (the same path, other content) or saying."""

    kind: str
    subject: str
    tasks: tuple[TaskId, TaskId]

    def __str__(self) -> str:
        verb = "left different contents in" if self.kind == "edit" else "say different things of"
        return f"{self.tasks[0]} and {self.tasks[1]} {verb} {self.subject!r}"
