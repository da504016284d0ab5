"""Overtaking: urgent tasks take the place of others, and tasks that take too long get a second run.

What gives way is stopped and goes on later from its files as they are; no attempt is counted against it. Of two runs of
one task the first answer counts: the other one is stopped, or what it says is ignored.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskState
from bullpen.flow.schedule.assign import assign
from bullpen.flow.schedule.base import Agent, Job
from bullpen.flow.schedule.running import Preemption, Straggler, preempt, stragglers
from bullpen.flow.teams.actions import end_attempt
from bullpen.flow.teams.base import Handed
from bullpen.flow.teams.desk import GIVES_WAY
from bullpen.flow.teams.giving import agents_of, constrained, give, places_left
from bullpen.flow.teams.queries import AttemptState
from bullpen.flow.teams.state import Team, Working, running_of


async def make_way(team: Team, waiting: Sequence[Job]) -> bool:
    """Let less urgent tasks give way to those that found nobody free; whether one did."""
    given_way = False
    for job in sorted(waiting, key=lambda one: (-one.priority, one.task)):
        running = [running_of(team, one) for one in team.working.values() if _may_stop(team, one)]
        found = preempt(job, running, _whose_end_helps(team, job))
        if found is not None:
            given_way |= await _take_away(team, found)
    return given_way


def _whose_end_helps(team: Team, job: Job) -> frozenset[str]:
    """Agents that could do the job next; all, where one is free and only too many are at work."""
    able = [one for one in agents_of(team) if _may(one, job)]
    if not places_left(team) and any(one.load < one.capacity for one in able):
        return frozenset(team.members)
    return frozenset(one.id for one in able)


async def second_runs(team: Team) -> None:
    """Give tasks that take too long to a second agent, where one is free."""
    at, least = time.monotonic(), team.policy.second_run_after
    agents = agents_of(team)
    idle = sum(max(0, one.capacity - one.load) for one in agents if one.available)
    free = min(idle, places_left(team))
    if least is None or not free:
        return
    running = [running_of(team, one) for one in team.working.values()]
    late = {
        one.job.task: one
        for one in stragglers(running, team.durations, at, free)
        if at - one.running.started_at >= least
    }
    jobs = {task: _second_job(team, task, one) for task, one in late.items()}
    chosen = [one for one in assign(agents, jobs.values(), at).placed if not one.again]
    await give(team, chosen, jobs, {task: one.reason for task, one in late.items()})


def _second_job(team: Team, task: TaskId, late: Straggler) -> Job:
    job = constrained(team, task)
    return replace(job, not_by=job.not_by | late.job.not_by)


def _may(agent: Agent, job: Job) -> bool:
    return agent.available and all(one in agent.capabilities for one in job.capabilities)


def _may_stop(team: Team, one: Working) -> bool:
    """One whose changes are being put back is not stopped any more."""
    return team.claimed.get(one.given.task) != one.given.number and len(team.runs_of(one.given.task)) == 1


async def _take_away(team: Team, found: Preemption) -> bool:
    """Stop the victim and let it wait; False where it had just ended by itself, which is then its answer."""
    task = found.victim.job.task
    ((run, working),) = team.runs_of(task).items()
    run.cancel(GIVES_WAY)
    await asyncio.wait({run})
    if not run.cancelled():
        return False
    del team.working[run]
    handed = Handed(done=False, summary=found.reason)
    seconds = time.monotonic() - working.began
    async with team.writing() as uow:
        await end_attempt(
            uow,
            team.session,
            working.given,
            AttemptState.YIELDED,
            handed,
            seconds=seconds,
            then=TaskState.WAITING,
        )
    team.states[task] = TaskState.WAITING
    team.tell(found.reason)
    return True
