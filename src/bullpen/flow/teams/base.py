"""The values of a team: tasks, who works on them, what is handed in, and the course a goal takes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskNode, TaskState
from bullpen.flow.consensus.base import Decision
from bullpen.flow.consensus.resolve import Resolution
from bullpen.flow.trees.group import GroupPolicy
from bullpen.flow.trees.plan import PlannedTask
from bullpen.flow.trees.results import TaskResult
from bullpen.kernel.bus.messages import Message

FREE = Money()


@dataclass(frozen=True, slots=True)
class TeamTask:
    """A task of the tree, and how a team does it.

    ``input`` is JSON text its agent is given. ``not_by`` are tasks whose agents must not do this one. Tasks of one
    ``group`` are alternatives or shares under the policy on failure; one of no group is needed. A task that ``takes_partial``
    starts when all it waits for has ended, however that was. ``returns`` names what a result must hold to count.
    """

    planned: PlannedTask
    input: str = "{}"
    not_by: tuple[TaskId, ...] = ()
    symbols: frozenset[str] = frozenset()
    aim: str = ""
    group: str = ""
    takes_partial: bool = False
    returns: tuple[str, ...] = ()
    priority: int = 0

    @property
    def id(self) -> TaskId:
        """Its task's."""
        return self.planned.task.id

    @property
    def node(self) -> TaskNode:
        """Its task."""
        return self.planned.task


@dataclass(frozen=True, slots=True)
class Letter:
    """What an agent wants to tell another: ``to`` is ``agent:NAME`` or ``capability:NAME``."""

    to: str
    kind: str
    payload: str


@dataclass(frozen=True, slots=True)
class Handed:
    """What an agent hands in. ``blameless`` says that a failure was none of the agent's, ``ignored`` that another one's
    answer to the same task was taken.
    """

    done: bool
    summary: str
    data: Mapping[str, str] = field(default_factory=dict[str, str])
    changes: Mapping[str, str] = field(default_factory=dict[str, str])
    cost: Money = FREE
    resolutions: tuple[Resolution, ...] = ()
    blameless: bool = False
    ignored: bool = False


def nobody_else() -> str:
    """The claim of a task that one agent works on."""
    return ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an agent is given: the attempt has a number that only grows, so it names this piece of work for good.

    ``claim`` is asked before anything is put back: empty, or why this attempt's answer does not count any more.
    """

    session: SessionId
    task: TaskNode
    attempt: int
    text: str
    input: str
    seconds: float
    claim: Callable[[], str] = nobody_else


@dataclass(frozen=True, slots=True)
class Member:
    """An agent of a team: what it says it can do (0 to 1), how much at a time, and how it is set to work.

    ``work`` raises a ``BullpenError`` where the agent broke. ``available`` is asked before each choice. One that
    ``resumes`` goes on from the files as they were left, and may be asked to give way to an urgent task.
    """

    id: str
    capabilities: Mapping[str, float]
    work: Callable[[Assignment], Awaitable[Handed]]
    capacity: int = 1
    available: Callable[[], bool] = lambda: True
    resumes: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """How a task ended, as it is stored. ``data`` is what its agent handed in; times are seconds since 1970."""

    task: TaskId
    state: TaskState
    agent: str = ""
    attempt: int = 0
    summary: str = ""
    data: Mapping[str, str] = field(default_factory=dict[str, str])
    changes: Mapping[str, str] = field(default_factory=dict[str, str])
    cost: Money = FREE
    seconds: float = 0.0
    ended_at: float = 0.0

    @property
    def done(self) -> bool:
        """Whether it is done."""
        return self.state is TaskState.DONE

    @property
    def brief(self) -> TaskResult:
        """As policies of groups read it."""
        return TaskResult(self.task, self.state, note=self.summary, cost=self.cost, seconds=self.seconds)


Results = Mapping[TaskId, Kept]  # of the tasks that have ended, in the order of the tree


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What came of it all, in words and values, with everything that was decided on the way."""

    summary: str
    data: Mapping[str, str] = field(default_factory=dict[str, str])
    resolutions: tuple[Resolution, ...] = ()
    decisions: tuple[tuple[str, Decision], ...] = ()
    reached: bool = True


def nothing_more(_results: Results) -> Sequence[TeamTask]:
    """A course whose tasks are all known at the beginning."""
    return ()


@dataclass(frozen=True, slots=True)
class Course:
    """How a goal is pursued. All functions are pure, so a process that goes on after another comes to the same.

    ``grow`` says which tasks there are besides, given the results so far. ``conclude`` makes the end of them.
    ``on_message`` makes a task of a message between agents; None where they do not write to each other.
    """

    pattern: str
    goal: str
    tasks: tuple[TeamTask, ...]
    conclude: Callable[[Results], Conclusion]
    grow: Callable[[Results], Sequence[TeamTask]] = nothing_more
    on_message: Callable[[Message], TeamTask] | None = None


@dataclass(frozen=True, slots=True)
class TeamPolicy:
    """``group`` is what a failure does to the others of its group; ``attempts`` are those of one task.

    ``pause`` seconds before the second attempt, doubling. ``seconds`` bound an attempt. ``patience`` is how long a task
    waits for an agent while nothing else happens. ``lease`` is for how many seconds a team whose process died is not
    taken up by another one. ``most_tasks`` may come together, whoever asks for more. A task that takes longer than
    others of its kind gets a second run, though never within ``second_run_after`` seconds; None for never. ``at_once``
    attempts run at the same time, whatever the agents' own limits allow; None for as many as those.
    """

    group: GroupPolicy = field(default_factory=GroupPolicy)
    attempts: int = 3
    pause: float = 0.2
    seconds: float = 600.0
    patience: float = 60.0
    lease: float = 15.0
    most_tasks: int = 10_000
    second_run_after: float | None = 2.0
    at_once: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What just happened, in a line, and how far the whole is (``share`` from 0 to 1)."""

    line: str
    done: int
    total: int
    running: int
    share: float


@dataclass(frozen=True, slots=True)
class TeamReport:
    """The end. ``retried`` are tasks that took more than one attempt, ``lines`` the report in words."""

    session: SessionId
    state: TaskState
    reason: str
    conclusion: Conclusion
    done: tuple[TaskId, ...]
    lost: tuple[TaskId, ...]
    retried: tuple[TaskId, ...]
    cost: Money
    seconds: float
    lines: tuple[str, ...]
