"""What an agent is given, what it answers, and the one interface all kinds of agent have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money
from bullpen.models.facts import Facts
from bullpen.tools.base import ToolContext
from bullpen.tools.toolbox import Approval


class Ending(StrEnum):
    """How a run of an agent ended."""

    FINISHED = "finished"  # it said so; whether the work is good is judged elsewhere
    FAILED = "failed"  # it said that it could not, or its model cannot be reached
    STUCK = "stuck"
    LOOPING = "looping"
    IDLE = "idle"
    LIMIT = "limit"
    CANCELLED = "cancelled"
    WAITING = "waiting"  # for a person's approval; run it again when there is an answer


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one run may use. ``seconds`` are wall time, ``cost`` None means unlimited."""

    steps: int = 50
    seconds: float = 1800.0
    cost: Money | None = None
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class AgentTask:
    """What an agent is asked to do. ``text`` is for language models, ``facts`` for rule-based ones."""

    id: TaskId
    text: str
    facts: Facts = field(default_factory=Facts)
    attempt: int = 1
    seconds: float | None = None  # less than the role's own limit, if given
    cost: Money | None = None  # the same


@dataclass(frozen=True, slots=True)
class Used:
    """What a run used in all."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: Money = field(default_factory=Money)

    def plus(self, input_tokens: int, output_tokens: int, cost: Money) -> "Used":
        """One reply more."""
        return Used(self.input_tokens + input_tokens, self.output_tokens + output_tokens, self.cost + cost)


@dataclass(frozen=True, slots=True)
class AgentResult:
    """What came of a run.

    ``outcome`` is the agent's own word (done, failed, no-approach), empty where it never said one. ``seen`` says why
    a run was ended from outside. ``tried`` are keys of the approaches it took.
    """

    ending: Ending
    summary: str
    outcome: str = ""
    data: Mapping[str, str] = field(default_factory=dict[str, str])
    steps: int = 0
    used: Used = field(default_factory=Used)
    tried: tuple[str, ...] = ()
    seen: str = ""
    approval: Approval | None = None

    @property
    def done(self) -> bool:
        """Whether the agent says that the task is done."""
        return self.ending is Ending.FINISHED and self.outcome == "done"


class Agent(Protocol):
    """Anything that can work on a task. Cancel the awaiting task to stop it."""

    name: str

    async def initialize(self) -> None:
        """Make ready; called once before the first task. Raises ``Missing`` for what this machine lacks."""
        ...

    async def process(self, task: AgentTask, context: ToolContext) -> AgentResult:
        """Work on one task; several at once are fine."""
        ...

    async def cleanup(self) -> None:
        """Let go of everything; called once."""
        ...
