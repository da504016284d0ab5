"""A team at work: what is in the rows, in memory, and with agents now."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bullpen.domain.actor import Actor
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskState
from bullpen.flow.schedule.base import Job
from bullpen.flow.schedule.intents import Overlap
from bullpen.flow.schedule.record import Record
from bullpen.flow.schedule.running import Running
from bullpen.flow.teams.actions import Given
from bullpen.flow.teams.base import Course, Handed, Kept, Member, Progress, TeamPolicy, TeamTask
from bullpen.flow.teams.intents import Imports
from bullpen.flow.teams.mail import Mail
from bullpen.kernel.bus.backends.base import Backend
from bullpen.kernel.clock import now
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.kernel.sync.actions import renew
from bullpen.kernel.sync.base import Lease

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Who joined since it was last asked, or changed, and why others cannot."""

    members: Sequence[Member] = ()
    refused: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TeamMeans:
    """What a team runs with. ``imports`` are the import graph of what it works on, for the intent map.

    ``newcomers`` is asked now and then who has joined; None where the team stays as it is. ``bus`` is where letters
    wait, also those from other processes; without one it is the database.
    """

    database: Database
    actor: Actor
    on_progress: OnProgress = lambda _progress: None
    imports: Imports = field(default_factory=dict[str, Sequence[str]])
    newcomers: Callable[[], Awaitable[Newcomers]] | None = None
    bus: Backend | None = None


@dataclass(frozen=True, slots=True)
class Working:
    """An attempt that is with an agent. ``second`` is a second run of a task that takes too long."""

    given: Given
    began: float
    job: Job
    second: bool = False


@dataclass(slots=True)
class Team:
    """See the module. ``claimed`` are attempts whose changes were put back; ``durations`` seconds of work by kind."""

    means: TeamMeans
    session: SessionId
    course: Course
    members: Mapping[str, Member]
    policy: TeamPolicy
    lease: Lease
    mail: Mail | None
    tasks: dict[TaskId, TeamTask] = field(default_factory=dict[TaskId, TeamTask])
    same_agent: dict[TaskId, TaskId] = field(default_factory=dict[TaskId, TaskId])
    asked: dict[TaskId, Overlap] = field(default_factory=dict[TaskId, Overlap])
    states: dict[TaskId, TaskState] = field(default_factory=dict[TaskId, TaskState])
    kept: dict[TaskId, Kept] = field(default_factory=dict[TaskId, Kept])
    doers: dict[TaskId, set[str]] = field(default_factory=dict[TaskId, set[str]])
    numbers: dict[TaskId, int] = field(default_factory=dict[TaskId, int])
    jobs: dict[TaskId, Job] = field(default_factory=dict[TaskId, Job])
    not_before: dict[TaskId, float] = field(default_factory=dict[TaskId, float])
    working: dict[asyncio.Task[Handed], Working] = field(default_factory=dict[asyncio.Task[Handed], Working])
    records: dict[str, dict[str, Record]] = field(default_factory=dict[str, dict[str, Record]])
    taken: dict[str, float] = field(default_factory=dict[str, float])
    cost: dict[str, Money] = field(default_factory=dict[str, Money])
    claimed: dict[TaskId, int] = field(default_factory=dict[TaskId, int])
    durations: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    moved_at: float = field(default_factory=time.monotonic)
    looked_at: float = float("-inf")
    paused: bool = False

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[UnitOfWork]:
        """A transaction that is only done while this process is the one that runs the team."""
        async with self.means.database.transaction(self.means.actor) as uow:
            await renew(uow, self.lease, self.policy.lease)
            yield uow

    def results(self) -> dict[TaskId, Kept]:
        """How tasks ended, in the order of the tree."""
        return {name: self.kept[name] for name in self.tasks if name in self.kept}

    def tell(self, line: str) -> None:
        """Say what happened."""
        inner = {one.node.parent for one in self.tasks.values()}
        leaves = [one.node for one in self.tasks.values() if one.id not in inner]
        points = sum(one.complexity for one in leaves) or 1.0
        ended = sum(one.complexity for one in leaves if self.states[one.id].is_final)
        count = sum(self.states[one.id].is_final for one in leaves)
        self.means.on_progress(Progress(line, count, len(leaves), len(self.working), ended / points))

    def runs_of(self, task: TaskId) -> dict[asyncio.Task[Handed], Working]:
        """The attempts at a task that are with agents."""
        return {run: one for run, one in self.working.items() if one.given.task == task}

    def claim(self, task: TaskId, number: int) -> str:
        """Whether an attempt may put back what it changed: empty if so, else why not. The first to ask may."""
        first = self.claimed.setdefault(task, number)
        return "" if first == number else f"attempt {first} was faster; this answer is ignored"


def job_of(team: Team, one: TeamTask) -> Job:
    """A task as the scheduler sees it."""
    wanted = one.node.capabilities or (f"role:{one.node.role}",)
    organization = team.means.actor.organization_id
    return Job(one.id, wanted, organization, team.session, one.priority, submitted_at=now())


def kind_of(job: Job) -> str:
    """By what durations of tasks are compared."""
    return " ".join(job.capabilities)


def running_of(team: Team, one: Working) -> Running:
    """An attempt as the scheduler sees it. Times are of this process; its time limit is kept elsewhere."""
    return Running(
        one.job,
        one.given.agent,
        one.given.number,
        one.began,
        math.inf,
        kind_of(one.job),
        resumable=team.members[one.given.agent].resumes,
        kept="the files as they are",
        speculative=one.second,
    )
