"""Beginning, also in the middle: what the rows say of an earlier process is taken up."""

import time
from collections.abc import Sequence
from dataclasses import replace

from bullpen.domain.events.team import TeamStarted
from bullpen.domain.ids import TaskId
from bullpen.domain.session import Stage
from bullpen.domain.task import TaskState
from bullpen.flow.schedule.record import measured
from bullpen.flow.teams.actions import give_up_lost
from bullpen.flow.teams.base import Kept
from bullpen.flow.teams.growing import add, grow
from bullpen.flow.teams.letters import letters_in
from bullpen.flow.teams.queries import Attempt, AttemptState, list_attempts, list_past
from bullpen.flow.teams.state import Team, job_of
from bullpen.sessions.actions import join_session, reach_stage
from bullpen.sessions.queries import get_session
from bullpen.work.queries import list_tasks


async def begin(team: Team) -> None:
    await add(team, team.course.tasks)
    async with team.writing() as uow:
        for stage in (Stage.PLANNING, Stage.ANALYSIS, Stage.DESIGN, Stage.IMPLEMENTATION):
            if not (await get_session(uow, team.session)).stage.is_final:
                await reach_stage(uow, team.session, stage)
        for name in team.members:
            await join_session(uow, team.session, name)
        stored = {one.id: one.state for one in await list_tasks(uow, team.session)}
        for one in await list_attempts(uow, team.session):
            if one.state is AttemptState.RUNNING:
                then = stored[one.task] if stored[one.task].is_final else TaskState.WAITING
                await give_up_lost(uow, team.session, one, then)
        names = tuple(team.members)
        uow.record(team.session, TeamStarted(team.course.pattern, team.course.goal, names, len(team.tasks)))
    await recall(team)
    await grow(team)


async def recall(team: Team) -> None:
    """Take up what the rows say."""
    async with team.means.database.view(team.means.actor) as uow:
        stored = {one.id: one for one in await list_tasks(uow, team.session)}
        attempts = await list_attempts(uow, team.session)
        past = await list_past(uow)
    _remember_messages(team, attempts, frozenset(stored))
    at = time.monotonic()
    for one in past:
        for capability in one.capabilities:
            team.records.setdefault(one.agent, {})[capability] = measured(one.wins, one.tries, at)
        team.taken[one.agent], team.cost[one.agent] = one.seconds, one.cost
    by_task: dict[TaskId, list[Attempt]] = {}
    for one in attempts:
        by_task.setdefault(one.task, []).append(one)
    for name in team.tasks:
        node = stored[name]
        team.states[name] = node.state if node.state is not TaskState.RUNNING else TaskState.WAITING
        _recall_task(team, name, node.note, by_task.get(name, []))


def _recall_task(team: Team, name: TaskId, note: str, attempts: Sequence[Attempt]) -> None:
    failed = [one.agent for one in attempts if one.state is AttemptState.FAILED]
    team.numbers[name] = max((one.number for one in attempts), default=0)
    team.doers[name] = {one.agent for one in attempts if one.state is AttemptState.DONE}
    team.jobs[name] = replace(job_of(team, team.tasks[name]), tried=frozenset(failed), attempts=len(failed))
    if not team.states[name].is_final:
        return
    last = attempts[-1] if attempts else None
    if last is None or last.state is not AttemptState.DONE:
        team.kept[name] = Kept(name, team.states[name], summary=note)
        return
    seconds = max(0.0, last.ended_at - last.started_at)
    team.kept[name] = Kept(
        name,
        team.states[name],
        last.agent,
        last.number,
        last.summary,
        last.data,
        last.changes,
        last.cost,
        seconds,
        last.ended_at,
    )


def _remember_messages(team: Team, attempts: Sequence[Attempt], stored: frozenset[TaskId]) -> None:
    """Tasks that were made of messages; what is still on the way comes from the bus."""
    if team.mail is None or team.course.on_message is None:
        return
    for one in attempts:
        if one.state is AttemptState.DONE:
            for message in team.mail.messages(one.task, one.agent, letters_in(one.data)):
                task = team.course.on_message(message)
                if task.id in stored:
                    team.tasks.setdefault(task.id, task)
