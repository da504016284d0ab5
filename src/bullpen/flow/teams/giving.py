"""Giving tasks to agents: who gets what, and why."""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from bullpen.domain.errors import BullpenError
from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskState
from bullpen.flow.schedule.assign import assign
from bullpen.flow.schedule.base import Agent, Choice, Job, NoChoice
from bullpen.flow.teams.actions import Given, assign_task
from bullpen.flow.teams.base import Assignment, Handed, Kept, Member, Results
from bullpen.flow.teams.ending import end_without
from bullpen.flow.teams.state import Team, Working
from bullpen.flow.teams.words import told


async def assign_ready(team: Team, ready: Sequence[TaskId]) -> tuple[Job, ...]:
    """Give ready tasks to agents; those that could be done, but found nobody free, or too many at work."""
    at = time.monotonic()
    jobs = [
        constrained(team, name)
        for name in ready
        if team.not_before.get(name, 0.0) <= at and name not in team.asked
    ]
    held_back = [name for name in ready if name in team.asked]
    if held_back:
        why = {name: f"a person must decide: {team.asked[name].reason}" for name in held_back}
        await end_without(team, [Kept(name, TaskState.CANCELLED, summary=why[name]) for name in held_back])
    if not jobs:
        return ()
    agents = agents_of(team)
    round_ = assign(agents, jobs, at)
    by_task = {job.task: job for job in jobs}
    chosen = [one for one in round_.placed if not _had_better_wait(one, by_task[one.task], agents)]
    places = places_left(team)
    hopeless = _hopeless(team, round_.waiting, at) if not chosen else _never(team, round_.waiting)
    if hopeless:
        ended = [Kept(one.task, TaskState.FAILED, summary=one.reason) for one in hopeless]
        await end_without(team, ended)
    await give(team, chosen[:places], by_task)
    lost = {one.task for one in hopeless}
    return tuple(by_task[one.task] for one in (*chosen[places:], *round_.waiting) if one.task not in lost)


def places_left(team: Team) -> int:
    """How many more attempts may run now; agents' own limits apart."""
    most = team.policy.at_once
    return sys.maxsize if most is None else max(0, most - len(team.working))


def _hopeless(team: Team, waiting: Sequence[NoChoice], at: float) -> Sequence[NoChoice]:
    """What nobody will do: where nothing has moved for long, all that waits."""
    if not team.working and at - team.moved_at > team.policy.patience:
        return waiting
    return _never(team, waiting)


def _never(team: Team, waiting: Sequence[NoChoice]) -> Sequence[NoChoice]:
    """What nobody of the team can do; where others may join, that is not known."""
    return [one for one in waiting if one.hopeless] if team.means.newcomers is None else ()


def constrained(team: Team, name: TaskId) -> Job:
    """The job with who may not do it, and who must, as of now."""
    one, job = team.tasks[name], team.jobs[name]
    not_by = {agent for other in one.not_by for agent in team.doers.get(other, ())}
    wanted = job.capabilities
    first = team.same_agent.get(name)
    if first and team.doers.get(first):
        wanted = (*wanted, f"agent:{min(team.doers[first])}")
    return replace(job, not_by=frozenset(not_by), capabilities=wanted)


def agents_of(team: Team) -> list[Agent]:
    """The members as the scheduler sees them, with what they work on now."""
    load: dict[str, int] = {}
    for one in team.working.values():
        load[one.given.agent] = load.get(one.given.agent, 0) + 1
    return [
        Agent(
            one.id,
            {**one.capabilities, f"agent:{one.id}": 1.0},
            one.capacity,
            load.get(one.id, 0),
            team.records.get(one.id, {}),
            team.cost.get(one.id, Money()),
            team.taken.get(one.id, 0.0),
            available=one.available(),
        )
        for one in team.members.values()
    ]


def _had_better_wait(choice: Choice, job: Job, agents: Sequence[Agent]) -> bool:
    """Whether somebody who has not failed at it is only busy: then the next try is theirs."""
    return choice.again and any(
        one.available
        and one.id not in job.tried | job.not_by
        and all(wanted in one.capabilities for wanted in job.capabilities)
        for one in agents
    )


async def give(
    team: Team,
    chosen: Sequence[Choice],
    jobs: Mapping[TaskId, Job],
    second: Mapping[TaskId, str] | None = None,
) -> None:
    """Record who was given what, and set them to work. ``second`` are reasons for second runs, by task."""
    if not chosen:
        return
    given = [_given(team, one, jobs[one.task], (second or {}).get(one.task, "")) for one in chosen]
    async with team.writing() as uow:
        for one in given:
            await assign_task(uow, team.session, one)
    results = team.results()
    for one in given:
        team.numbers[one.task] = one.number
        team.states[one.task] = TaskState.RUNNING
        run = asyncio.create_task(_work(team.members[one.agent], _assignment(team, one, results)))
        team.working[run] = Working(one, time.monotonic(), jobs[one.task], second=second is not None)
        team.tell(f"{team.tasks[one.task].node.title} -> {one.reason}")
    team.moved_at = time.monotonic()


def _given(team: Team, one: Choice, job: Job, why: str) -> Given:
    reason = f"{one.reason}; a second run: {why}" if why else one.reason
    return Given(one.task, team.numbers[one.task] + 1, one.agent, job.capabilities, reason)


def _assignment(team: Team, one: Given, results: Results) -> Assignment:
    task = team.tasks[one.task]
    text = told(team.course, task, results)
    claim = partial(team.claim, one.task, one.number)
    return Assignment(team.session, task.node, one.number, text, task.input, team.policy.seconds, claim)


async def _work(member: Member, assignment: Assignment) -> Handed:
    """One attempt; an agent that breaks or takes too long has failed at it."""
    deadline = asyncio.timeout(assignment.seconds)
    try:
        async with deadline:
            return await member.work(assignment)
    except TimeoutError:
        if not deadline.expired():
            raise
        return Handed(done=False, summary=f"{member.id} took longer than {assignment.seconds:g} s.")
    except BullpenError as error:
        return Handed(done=False, summary=f"{error.sentence} {error.remedy}".strip())
