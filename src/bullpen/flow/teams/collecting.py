"""Collecting what agents hand in: which answer counts, what follows from it, what it says of the agent."""

import asyncio
import time
from dataclasses import dataclass, replace

from bullpen.domain.errors import InvalidInput
from bullpen.domain.task import TaskState
from bullpen.flow.schedule.record import NO_RECORD, with_outcome
from bullpen.flow.schedule.running import Answer, GivenUp, Ignored, accept, after_failure
from bullpen.flow.teams.actions import Given, end_attempt
from bullpen.flow.teams.base import Handed, Kept
from bullpen.flow.teams.ending import stop_all
from bullpen.flow.teams.growing import grow
from bullpen.flow.teams.letters import letters_in
from bullpen.flow.teams.mail import fault_in
from bullpen.flow.teams.queries import AttemptState
from bullpen.flow.teams.state import Team, Working, kind_of, running_of
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


@dataclass(frozen=True, slots=True)
class _Ruling:
    """What becomes of one attempt."""

    working: Working
    handed: Handed
    state: AttemptState


async def collect(team: Team) -> None:
    """Take what was handed in; of a task with two runs the first answer counts, and the other run ends."""
    ended = [run for run in team.working if run.done()]
    if not ended:
        return
    at = time.monotonic()
    rulings = [_ruled(team, run, at) for run in sorted(ended, key=lambda run: team.working[run].began)]
    won = {one.working.given.task: one for one in rulings if one.state is AttemptState.DONE}
    slower = [run for run, one in team.working.items() if one.given.task in won]
    rulings += [_too_slow(team.working[run], won[team.working[run].given.task]) for run in slower]
    await stop_all(team, slower)
    then = {one.working.given.task: team.states[one.working.given.task] for one in rulings}
    async with team.writing() as uow:
        for one in rulings:
            given, seconds = one.working.given, at - one.working.began
            await end_attempt(
                uow, team.session, given, one.state, one.handed, seconds=seconds, then=then[given.task]
            )
            if one.state is AttemptState.DONE and team.mail is not None:
                await team.mail.post(uow, given.task, given.agent, letters_in(one.handed.data))
    for one in rulings:
        _keep(team, one, at)
    team.moved_at = at
    await grow(team)


def _ruled(team: Team, run: asyncio.Task[Handed], at: float) -> _Ruling:
    """What an answer comes to; the state of its task is set."""
    running = [running_of(team, one) for one in team.working.values()]
    working = team.working.pop(run)
    given, handed = working.given, _checked(team, working, run.result())
    others = team.runs_of(given.task)
    if team.states[given.task] is not TaskState.RUNNING:
        running = [one for one in running if one.job.task != given.task]
    word = accept(running, Answer(given.task, given.agent, given.number, handed.done), at)
    if isinstance(word, Ignored):
        return _Ruling(working, replace(handed, done=False, summary=word.reason), AttemptState.IGNORED)
    if handed.ignored and others:
        return _Ruling(working, handed, AttemptState.IGNORED)
    if not handed.done and team.claimed.get(given.task) == given.number:
        del team.claimed[given.task]
    if not handed.done and others:
        job = team.jobs[given.task]
        team.jobs[given.task] = replace(job, tried=job.tried | {given.agent})
    else:
        team.states[given.task] = _what_follows(team, working, handed)
    return _Ruling(working, handed, _attempt_state(handed))


def _too_slow(working: Working, first: _Ruling) -> _Ruling:
    why = f"{first.working.given.agent} answered first, in attempt {first.working.given.number}"
    return _Ruling(working, Handed(done=False, summary=why), AttemptState.CANCELLED)


def _attempt_state(one: Handed) -> AttemptState:
    if one.done:
        return AttemptState.DONE
    return AttemptState.AGAIN if one.blameless or one.ignored else AttemptState.FAILED


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
    if (handed.blameless or handed.ignored) and team.numbers[name] < 10 * most:
        team.not_before[name] = time.monotonic() + pause
        return TaskState.WAITING
    if isinstance(again, GivenUp):
        return TaskState.FAILED
    team.jobs[name] = again.job
    team.not_before[name] = again.at
    return TaskState.WAITING


def _keep(team: Team, ruling: _Ruling, at: float) -> None:
    given, handed, seconds = ruling.working.given, ruling.handed, at - ruling.working.began
    then = team.states[given.task]
    title = team.tasks[given.task].node.title
    if ruling.state in (AttemptState.IGNORED, AttemptState.CANCELLED):
        team.tell(f"{title}: {given.agent} is {ruling.state.value}: {handed.summary}")
        return
    if then.is_final:
        team.kept[given.task] = _kept(given, handed, then, seconds)
    if handed.done:
        team.doers.setdefault(given.task, set()).add(given.agent)
        team.durations.setdefault(kind_of(ruling.working.job), []).append(seconds)
    if ruling.state is not AttemptState.AGAIN:
        _learn(team, given, seconds, handed, at)
    word = then.value if then.is_final else "tried again"
    team.tell(f"{title}: {word} by {given.agent}: {handed.summary}")


def _kept(given: Given, handed: Handed, then: TaskState, seconds: float) -> Kept:
    return Kept(
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


def _learn(team: Team, given: Given, seconds: float, handed: Handed, at: float) -> None:
    member, known = team.members[given.agent], team.records.setdefault(given.agent, {})
    for capability in given.capabilities:
        declared = member.capabilities.get(capability, 1.0)
        known[capability] = with_outcome(
            known.get(capability, NO_RECORD), handed.done, at, HALF_LIFE, declared
        )
    before = team.taken.get(given.agent)
    team.taken[given.agent] = seconds if before is None else before + 0.2 * (seconds - before)
