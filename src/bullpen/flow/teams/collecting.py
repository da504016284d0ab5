"""Collecting what agents hand in: which answer counts, what follows from it, what it says of the agent."""

import asyncio
import time
from dataclasses import replace

from bullpen.domain.errors import InvalidInput
from bullpen.domain.task import TaskState
from bullpen.flow.schedule.record import NO_RECORD, with_outcome
from bullpen.flow.schedule.running import GivenUp, after_failure
from bullpen.flow.teams.actions import Given, end_attempt
from bullpen.flow.teams.base import Handed, Kept
from bullpen.flow.teams.growing import grow
from bullpen.flow.teams.letters import letters_in
from bullpen.flow.teams.mail import fault_in
from bullpen.flow.teams.queries import AttemptState
from bullpen.flow.teams.state import Team, Working
from bullpen.kernel.clock import now

LOOK_SECONDS = 1.0
IDLE_SECONDS = 0.05  # between two looks for an agent, while none is free
HALF_LIFE = 86_400.0


async def wait(team: Team) -> None:
    """Until somebody has ended, a pause is over, or it is time to look."""
    if not team.working:
        await asyncio.sleep(IDLE_SECONDS)
        return
    soon = [at - time.monotonic() for at in team.not_before.values()]
    seconds = max(0.0, min([LOOK_SECONDS, *(one for one in soon if one > 0)]))
    await asyncio.wait(team.working, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0)  # those who ended together are collected together


async def collect(team: Team) -> None:
    ended = [run for run in team.working if run.done()]
    if not ended:
        return
    handed = {run: _checked(team, team.working[run], run.result()) for run in ended}
    then = {run: _what_follows(team, team.working[run], handed[run]) for run in ended}
    at = time.monotonic()
    async with team.writing() as uow:
        for run in ended:
            one, given = handed[run], team.working[run].given
            state = _attempt_state(one)
            seconds = at - team.working[run].began
            await end_attempt(uow, team.session, given, state, one, seconds=seconds, then=then[run])
            if one.done and team.mail is not None:
                await team.mail.post(uow, given.task, given.agent, letters_in(one.data))
    for run in ended:
        _keep(team, team.working.pop(run), handed[run], then[run], at)
    team.moved_at = at
    await grow(team)


def _attempt_state(one: Handed) -> AttemptState:
    if one.done:
        return AttemptState.DONE
    return AttemptState.AGAIN if one.blameless else AttemptState.FAILED


def _checked(team: Team, working: Working, handed: Handed) -> Handed:
    """The agent's word is held against what the task must return, and its letters against who there is."""
    task = team.tasks[working.given.task]
    lacking = [name for name in task.returns if name not in handed.data]
    if handed.done and lacking:
        return replace(
            handed, done=False, summary=f"It said done, and did not return {' and '.join(lacking)}."
        )
    if handed.done and team.mail is not None:
        try:
            fault = fault_in(team.session, frozenset(team.mail.inbox), letters_in(handed.data))
        except InvalidInput as error:
            fault = error.sentence
        if fault:
            return replace(handed, done=False, summary=fault)
    return handed


def _what_follows(team: Team, working: Working, handed: Handed) -> TaskState:
    """The state of the task after an attempt; where it is tried again, its job is set for that."""
    name = working.given.task
    if handed.done:
        return TaskState.DONE
    job = team.jobs[name]
    most, pause = team.policy.attempts, team.policy.pause
    again = after_failure(job, working.given.agent, time.monotonic(), most, pause)
    if handed.blameless and team.numbers[name] < 10 * most:
        team.not_before[name] = time.monotonic() + pause
        return TaskState.WAITING
    if isinstance(again, GivenUp):
        return TaskState.FAILED
    team.jobs[name] = again.job
    team.not_before[name] = again.at
    return TaskState.WAITING


def _keep(team: Team, working: Working, handed: Handed, then: TaskState, at: float) -> None:
    given, seconds = working.given, at - working.began
    team.states[given.task] = then
    if then.is_final:
        team.kept[given.task] = Kept(
            given.task,
            then,
            given.agent,
            given.number,
            handed.summary,
            handed.data,
            handed.changes,
            handed.cost,
            seconds,
            now(),
        )
    if handed.done:
        team.doers.setdefault(given.task, set()).add(given.agent)
    if not handed.blameless:
        _learn(team, given, seconds, handed, at)
    word = then.value if then.is_final else "tried again"
    team.tell(f"{team.tasks[given.task].node.title}: {word} by {given.agent}: {handed.summary}")


def _learn(team: Team, given: Given, seconds: float, handed: Handed, at: float) -> None:
    member, known = team.members[given.agent], team.records.setdefault(given.agent, {})
    for capability in given.capabilities:
        declared = member.capabilities.get(capability, 1.0)
        known[capability] = with_outcome(
            known.get(capability, NO_RECORD), handed.done, at, HALF_LIFE, declared
        )
    before = team.taken.get(given.agent)
    team.taken[given.agent] = seconds if before is None else before + 0.2 * (seconds - before)
