"""Giving tasks to agents: who gets what, and why."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bullpen.domain.errors import BullpenError
from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskState
from bullpen.flow.schedule.assign import assign
from bullpen.flow.schedule.base import Agent, Choice, Job
from bullpen.flow.teams.actions import Given, assign_task
from bullpen.flow.teams.base import Assignment, Handed, Kept, Member
from bullpen.flow.teams.ending import end_without
from bullpen.flow.teams.state import Team, Working
from bullpen.flow.teams.words import told


async def assign_ready(team: Team, ready: Sequence[TaskId]) -> None:
    at = time.monotonic()
    jobs = [
        _constrained(team, name)
        for name in ready
        if team.not_before.get(name, 0.0) <= at and name not in team.asked
    ]
    held_back = [name for name in ready if name in team.asked]
    if held_back:
        why = {name: f"a person must decide: {team.asked[name].reason}" for name in held_back}
        await end_without(team, [Kept(name, TaskState.CANCELLED, summary=why[name]) for name in held_back])
    if not jobs:
        return
    agents = _agents(team)
    round_ = assign(agents, jobs, at)
    by_task = {job.task: job for job in jobs}
    chosen = [one for one in round_.placed if not _had_better_wait(one, by_task[one.task], agents)]
    hopeless = [one for one in round_.waiting if one.hopeless]
    if not chosen and not team.working and at - team.moved_at > team.policy.patience:
        hopeless = list(round_.waiting)
    if hopeless:
        ended = [Kept(one.task, TaskState.FAILED, summary=one.reason) for one in hopeless]
        await end_without(team, ended)
    await _give(team, chosen, by_task)


def _constrained(team: Team, name: TaskId) -> Job:
    """The job with who may not do it, and who must, as of now."""
    one, job = team.tasks[name], team.jobs[name]
    not_by = {agent for other in one.not_by for agent in team.doers.get(other, ())}
    wanted = job.capabilities
    first = team.same_agent.get(name)
    if first and team.doers.get(first):
        wanted = (*wanted, f"agent:{min(team.doers[first])}")
    return replace(job, not_by=frozenset(not_by), capabilities=wanted)


def _agents(team: Team) -> list[Agent]:
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


async def _give(team: Team, chosen: Sequence[Choice], jobs: Mapping[TaskId, Job]) -> None:
    if not chosen:
        return
    given = [
        Given(one.task, team.numbers[one.task] + 1, one.agent, jobs[one.task].capabilities, one.reason)
        for one in chosen
    ]
    async with team.writing() as uow:
        for one in given:
            await assign_task(uow, team.session, one)
    results = team.results()
    for one in given:
        team.numbers[one.task] = one.number
        team.states[one.task] = TaskState.RUNNING
        task = team.tasks[one.task]
        text = told(team.course, task, results)
        assignment = Assignment(team.session, task.node, one.number, text, task.input, team.policy.seconds)
        run = asyncio.create_task(_work(team.members[one.agent], assignment))
        team.working[run] = Working(one, time.monotonic(), jobs[one.task])
        team.tell(f"{task.node.title} -> {one.reason}")
    team.moved_at = time.monotonic()


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
