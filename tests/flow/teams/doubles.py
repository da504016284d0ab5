"""Members of a team in this process, and a course of plain tasks."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from bullpen.domain.actor import Actor
from bullpen.domain.errors import Unavailable
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.task import TaskNode
from bullpen.flow.teams.base import (
    Assignment,
    Conclusion,
    Course,
    Handed,
    Member,
    Results,
    TeamPolicy,
    TeamReport,
    TeamTask,
)
from bullpen.flow.teams.run import run_team
from bullpen.flow.teams.state import TeamMeans
from bullpen.flow.trees.plan import PlannedTask
from bullpen.kernel.bus.log import replay
from bullpen.kernel.storage.database import Database
from bullpen.sessions.actions import create_session

SESSION = SessionId("ses-team")
Work = Callable[[Assignment], Awaitable[Handed]]


@dataclass
class Seen:
    """What the members of a team did: (task, agent, attempt) in the order of beginning."""

    began: list[tuple[str, str, int]] = field(default_factory=list)
    tasks: Counter[str] = field(default_factory=Counter)

    def note(self, agent: str, one: Assignment) -> None:
        self.began.append((one.task.id, agent, one.attempt))
        self.tasks[one.task.id] += 1


def task(name: str, *after: str, can: str = "work", **more: object) -> TeamTask:
    node = TaskNode(
        TaskId(name), None, name, "work", "member", depends_on=tuple(map(TaskId, after)), capabilities=(can,)
    )
    files = frozenset(more.pop("files", ()))  # type: ignore[call-overload]
    return TeamTask(PlannedTask(node, files), **more)  # type: ignore[arg-type]


def works(seen: Seen, name: str, can: str = "work", **more: object) -> Member:
    """Does whatever it is given."""

    async def work(one: Assignment) -> Handed:
        seen.note(name, one)
        await asyncio.sleep(0)
        return Handed(done=True, summary="done", data={"by": name})

    return Member(name, {can: 0.8}, work, **more)  # type: ignore[arg-type]


def breaks(seen: Seen, name: str, can: str = "work", skill: float = 1.0) -> Member:
    """Breaks at whatever it is given."""

    async def work(one: Assignment) -> Handed:
        seen.note(name, one)
        raise Unavailable("It was killed.")

    return Member(name, {can: skill}, work)


def waits(seen: Seen, name: str, until: asyncio.Event, can: str = "work") -> Member:
    """Begins, and is done when it may."""

    async def work(one: Assignment) -> Handed:
        seen.note(name, one)
        await until.wait()
        return Handed(done=True, summary="done")

    return Member(name, {can: 0.8}, work)


def course(*tasks: TeamTask, grow: Callable[[Results], Sequence[TeamTask]] | None = None) -> Course:
    def conclude(results: Results) -> Conclusion:
        return Conclusion(f"{sum(one.done for one in results.values())} done")

    return Course("plain", "the goal", tasks, conclude, grow or (lambda _results: ()))


async def opened(database: Database, person: Actor, name: SessionId = SESSION) -> None:
    async with database.transaction(person) as uow:
        await create_session(uow, name, kind="team", goal="the goal", project="/p", options="{}")


async def ran(
    database: Database,
    person: Actor,
    what: Course,
    members: Sequence[Member],
    policy: TeamPolicy | None = None,
) -> TeamReport:
    means = TeamMeans(database, person)
    return await run_team(means, SESSION, what, members, policy or TeamPolicy(pause=0.0, lease=2.0))


async def events(database: Database, person: Actor, kind: type) -> list:
    found = []
    async with database.view(person) as uow:
        after = 0
        while some := await replay(uow, SESSION, after):
            after = some[-1].position
            found += [one.event for one in some if isinstance(one.event, kind)]
    return found
