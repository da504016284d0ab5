"""Ending: tasks that are not to be done, attempts that are stopped, and the team itself."""

import asyncio
from collections.abc import Sequence

from bullpen.domain.events.team import TeamFinished
from bullpen.domain.session import Stage
from bullpen.domain.task import TaskState
from bullpen.flow.teams.actions import end_attempt, record_decision, record_resolution
from bullpen.flow.teams.base import Handed, Kept, TeamReport
from bullpen.flow.teams.queries import AttemptState, list_attempts
from bullpen.flow.teams.report import report_on
from bullpen.flow.teams.standing import Standing
from bullpen.flow.teams.state import Team
from bullpen.sessions.actions import reach_stage
from bullpen.sessions.queries import get_session
from bullpen.work.actions.tasks import move_task


async def end_without(team: Team, ended: Sequence[Kept]) -> None:
    """End tasks that are not to be done (any more); those who work on them are stopped."""
    names = {one.task for one in ended}
    stopped = [run for run, one in team.working.items() if one.given.task in names]
    given = [team.working[run].given for run in stopped]
    await stop_all(team, stopped)
    by_task = {one.task: one for one in ended}
    async with team.writing() as uow:
        for attempt in given:
            one = by_task[attempt.task]
            handed = Handed(done=False, summary=one.summary)
            await end_attempt(uow, team.session, attempt, AttemptState.CANCELLED, handed, then=one.state)
        for one in ended:
            if one.task not in {attempt.task for attempt in given}:
                await move_task(uow, team.session, one.task, one.state, one.summary)
    for one in ended:
        team.states[one.task] = one.state
        team.kept[one.task] = one
        team.tell(f"{team.tasks[one.task].node.title}: {one.state.value}, {one.summary}")


async def stop_all(team: Team, runs: Sequence[asyncio.Task[Handed]]) -> None:
    """Stop these attempts, and wait until they have let go."""
    for run in runs:
        run.cancel()
    if runs:
        await asyncio.wait(runs)
    for run in runs:
        team.working.pop(run, None)


async def conclude(team: Team, end: Standing) -> TeamReport:
    """Put the end together, and record it."""
    conclusion = team.course.conclude(team.results())
    state, reason = end.verdict, end.reason
    if state is TaskState.DONE and not conclusion.reached:
        state, reason = TaskState.FAILED, conclusion.summary
    async with team.means.database.view(team.means.actor) as uow:
        attempts = await list_attempts(uow, team.session)
    tasks = list(team.tasks.values())
    report = report_on(team.session, state, reason, conclusion, tasks, team.kept, attempts, team.asked)
    async with team.writing() as uow:
        if (await get_session(uow, team.session)).stage.is_final:
            return report
        for name, inner in end.inner.items():
            ended = inner if inner.is_final else state
            await move_task(uow, team.session, name, ended, "")
        for one in conclusion.resolutions:
            record_resolution(uow, team.session, one)
        for subject, one in conclusion.decisions:
            record_decision(uow, team.session, subject, one)
        last = Stage.DONE if state is TaskState.DONE else Stage.FAILED
        await reach_stage(uow, team.session, last, reason)
        uow.record(team.session, TeamFinished(state.value, reason, report.lines))
    return report
