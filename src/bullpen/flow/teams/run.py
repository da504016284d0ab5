"""Running a team to its end: choose, record, let work, collect, try again, stop, report.

All that is known is in rows; a process that goes on after another one was killed reads them and does only what is left.
One process at a time runs a team: it holds a lock, and every transaction of its own asks whether it still does.
"""

import os
import secrets
import socket
import time
from collections.abc import Sequence

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import SessionId
from bullpen.domain.task import TaskState
from bullpen.flow.teams.base import Course, Kept, Member, TeamPolicy, TeamReport
from bullpen.flow.teams.begin import begin
from bullpen.flow.teams.collecting import LOOK_SECONDS, collect, wait
from bullpen.flow.teams.ending import conclude, end_without, stop_all
from bullpen.flow.teams.giving import assign_ready
from bullpen.flow.teams.mail import open_mail
from bullpen.flow.teams.overtaking import make_way, second_runs
from bullpen.flow.teams.standing import Standing, standing
from bullpen.flow.teams.state import Team, TeamMeans
from bullpen.kernel.sync.base import lock
from bullpen.kernel.sync.waiting import held
from bullpen.sessions.actions import join_session
from bullpen.sessions.queries import get_session
from bullpen.work.queries import list_tasks


async def run_team(
    means: TeamMeans,
    session_id: SessionId,
    course: Course,
    members: Sequence[Member],
    policy: TeamPolicy | None = None,
) -> TeamReport:
    """Pursue a goal to its end. The session must exist; where it was begun before, it goes on.

    Raises:
        InvalidInput: the tasks are no sound plan, or there is nobody to do them.
        LimitExceeded: another process runs this team.
        Conflict: the lease was lost to another process.
    """
    policy = policy or TeamPolicy()
    if not members or len({one.id for one in members}) != len(members):
        raise InvalidInput("A team needs members, each named once.")
    known = {one.id: one for one in members}
    database, actor = means.database, means.actor
    who = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
    patience = policy.lease + 10.0
    turn = held(database, actor, lock(f"team/{session_id}"), who, seconds=policy.lease, patience=patience)
    async with turn as lease:
        mail = await open_mail(database, actor, session_id, known, means.bus) if course.on_message else None
        team = Team(means, session_id, course, known, policy, lease, mail)
        await begin(team)
        try:
            end = await _to_the_end(team)
        finally:
            await stop_all(team, tuple(team.working))
        return await conclude(team, end)


async def _to_the_end(team: Team) -> Standing:
    while True:
        await _look_at_people(team)
        await _welcome(team)
        now_standing = standing(list(team.tasks.values()), team.states, team.kept, team.policy)
        if now_standing.verdict.is_final:
            return now_standing
        if now_standing.skip:
            await end_without(team, now_standing.skip)
            continue
        if not team.paused:
            waiting = await assign_ready(team, now_standing.ready)
            if await make_way(team, waiting):
                continue
            if not waiting:
                await second_runs(team)
        await wait(team)
        await collect(team)


async def _look_at_people(team: Team) -> None:
    """Heed a pause, and tasks that people cancelled."""
    if time.monotonic() - team.looked_at < LOOK_SECONDS:
        return
    team.looked_at = time.monotonic()
    async with team.means.database.view(team.means.actor) as uow:
        team.paused = (await get_session(uow, team.session)).paused
        stored = await list_tasks(uow, team.session)
    cancelled = [
        Kept(node.id, TaskState.CANCELLED, summary=node.note)
        for node in stored
        if node.state is TaskState.CANCELLED and node.id in team.tasks and not team.states[node.id].is_final
    ]
    if cancelled:
        await end_without(team, cancelled)


async def _welcome(team: Team) -> None:
    """Let those take part who have joined."""
    if team.means.newcomers is None:
        return
    seen = await team.means.newcomers()
    for refused in seen.refused:
        team.tell(refused)
    if not seen.members:
        return
    async with team.writing() as uow:
        for one in seen.members:
            await join_session(uow, team.session, one.id)
    team.members = {**team.members, **{one.id: one for one in seen.members}}
    if team.mail is not None:
        means = team.means
        team.mail = await open_mail(means.database, means.actor, team.session, team.members, means.bus)
    team.tell(f"{', '.join(one.id for one in seen.members[:5])}: may take part from now on")
