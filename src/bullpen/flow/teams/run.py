"""Running a team to its end: choose, record, let work, collect, try again, stop, report.

All that is known is in rows; a process that goes on after another one was killed reads them and does only what is left.
One process at a time runs a team: it holds a lock, and every transaction of its own asks whether it still does.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from bullpen.domain.actor import Actor
from bullpen.domain.errors import BullpenError, InvalidInput, LimitExceeded
from bullpen.domain.events.team import TeamFinished, TeamStarted
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.domain.session import Stage
from bullpen.domain.task import TaskState
from bullpen.flow.schedule.assign import assign
from bullpen.flow.schedule.base import Agent, Choice, Job
from bullpen.flow.schedule.intents import Overlap
from bullpen.flow.schedule.record import NO_RECORD, Record, measured, with_outcome
from bullpen.flow.schedule.running import GivenUp, after_failure
from bullpen.flow.teams.actions import (
    Given,
    assign_task,
    declare_intent,
    end_attempt,
    give_up_lost,
    record_decision,
    record_overlap,
    record_resolution,
)
from bullpen.flow.teams.base import (
    Assignment,
    Course,
    Handed,
    Kept,
    Member,
    Progress,
    TeamPolicy,
    TeamReport,
    TeamTask,
)
from bullpen.flow.teams.intents import Imports, map_intents
from bullpen.flow.teams.letters import letters_in
from bullpen.flow.teams.mail import Mail, fault_in, open_mail
from bullpen.flow.teams.queries import Attempt, AttemptState, list_attempts, list_past
from bullpen.flow.teams.report import report_on
from bullpen.flow.teams.standing import Standing, standing
from bullpen.flow.teams.words import told
from bullpen.flow.trees.check import check_plan
from bullpen.kernel.bus.backends.base import Backend
from bullpen.kernel.clock import now
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.kernel.sync.actions import renew
from bullpen.kernel.sync.base import Lease, lock
from bullpen.kernel.sync.waiting import held
from bullpen.sessions.actions import join_session, reach_stage
from bullpen.sessions.queries import get_session
from bullpen.work.actions.tasks import add_tasks, move_task
from bullpen.work.queries import list_tasks

OnProgress = Callable[[Progress], None]
LOOK_SECONDS = 1.0  # between two looks at what people changed
IDLE_SECONDS = 0.05  # between two looks for an agent, while none is free
HALF_LIFE = 86_400.0


@dataclass(frozen=True, slots=True)
class TeamMeans:
    """What a team runs with. ``imports`` are the import graph of what it works on, for the intent map.

    ``bus`` is where letters wait, also those from other processes; without one it is the database.
    """

    database: Database
    actor: Actor
    on_progress: OnProgress = lambda _progress: None
    imports: Imports = field(default_factory=dict[str, Sequence[str]])
    bus: Backend | None = None


@dataclass(frozen=True, slots=True)
class _Working:
    given: Given
    began: float
    job: Job


@dataclass(slots=True)
class _Team:
    """A running team: what is in the rows, in memory, and what is with agents now."""

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
    working: dict[asyncio.Task[Handed], _Working] = field(
        default_factory=dict[asyncio.Task[Handed], _Working]
    )
    records: dict[str, dict[str, Record]] = field(default_factory=dict[str, dict[str, Record]])
    taken: dict[str, float] = field(default_factory=dict[str, float])
    cost: dict[str, Money] = field(default_factory=dict[str, Money])
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
        team = _Team(means, session_id, course, known, policy, lease, mail)
        await _begin(team)
        try:
            end = await _to_the_end(team)
        finally:
            await _stop_all(team, tuple(team.working))
        return await _conclude(team, end)


# --- beginning, also in the middle --------------------------------------------------------------------------------------


async def _begin(team: _Team) -> None:
    await _add(team, team.course.tasks)
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
    await _recall(team)
    await _grow(team)


async def _recall(team: _Team) -> None:
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


def _recall_task(team: _Team, name: TaskId, note: str, attempts: Sequence[Attempt]) -> None:
    failed = [one.agent for one in attempts if one.state is AttemptState.FAILED]
    team.numbers[name] = max((one.number for one in attempts), default=0)
    team.doers[name] = {one.agent for one in attempts if one.state is AttemptState.DONE}
    team.jobs[name] = replace(_job(team, team.tasks[name]), tried=frozenset(failed), attempts=len(failed))
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


def _remember_messages(team: _Team, attempts: Sequence[Attempt], stored: frozenset[TaskId]) -> None:
    """Tasks that were made of messages; what is still on the way comes from the bus."""
    if team.mail is None or team.course.on_message is None:
        return
    for one in attempts:
        if one.state is AttemptState.DONE:
            for message in team.mail.messages(one.task, one.agent, letters_in(one.data)):
                task = team.course.on_message(message)
                if task.id in stored:
                    team.tasks.setdefault(task.id, task)


def _job(team: _Team, one: TeamTask) -> Job:
    wanted = one.node.capabilities or (f"role:{one.node.role}",)
    organization = team.means.actor.organization_id
    return Job(one.id, wanted, organization, team.session, one.priority, submitted_at=now())


# --- tasks ------------------------------------------------------------------------------------------------------------


async def _add(team: _Team, tasks: Sequence[TeamTask]) -> None:
    """Take on more tasks: intents first, then the whole checked, then stored."""
    fresh = [one for one in tasks if one.id not in team.tasks]
    if not fresh:
        return
    if len(team.tasks) + len(fresh) > team.policy.most_tasks:
        raise LimitExceeded(
            f"The team has asked for more than {team.policy.most_tasks} tasks.",
            remedy="Let agents ask for fewer, or allow more in the policy.",
        )
    mapped = map_intents(team.tasks.values(), fresh, team.means.imports)
    check_plan([one.planned for one in mapped.tasks])
    new = {one.id for one in fresh}
    async with team.writing() as uow:
        known = {one.id for one in await list_tasks(uow, team.session)}
        await add_tasks(uow, team.session, [one.node for one in mapped.tasks if one.id in new])
        for intent in mapped.intents:
            if intent.task in new - known:
                declare_intent(uow, team.session, intent)
        for overlap in mapped.plan.overlaps:
            if {overlap.first, overlap.then} & (new - known):
                record_overlap(uow, team.session, overlap)
    for one in mapped.tasks:
        if one.id in new:
            team.tasks[one.id] = one
            team.states[one.id] = TaskState.WAITING
            team.numbers.setdefault(one.id, 0)
            team.jobs[one.id] = _job(team, one)
    team.same_agent.update(mapped.same_agent)
    team.asked.update({name: one for name, one in mapped.asked.items() if name in new})


async def _grow(team: _Team) -> None:
    """Add what follows from the results, and what others asked for, until nothing more does."""
    await _add(team, team.course.grow(team.results()))
    if team.mail is None or team.course.on_message is None:
        return
    while deliveries := await team.mail.fetch():
        await _add(team, [team.course.on_message(one.message) for one in deliveries])
        async with team.writing() as uow:
            await team.mail.settle(uow, deliveries)
        await team.mail.settled(deliveries)


# --- the loop -----------------------------------------------------------------------------------------------------------


async def _to_the_end(team: _Team) -> Standing:
    while True:
        await _look_at_people(team)
        now_standing = standing(list(team.tasks.values()), team.states, team.kept, team.policy)
        if now_standing.verdict.is_final:
            return now_standing
        if now_standing.skip:
            await _end_without(team, now_standing.skip)
            continue
        if not team.paused:
            await _assign_ready(team, now_standing.ready)
        await _wait(team)
        await _collect(team)


async def _look_at_people(team: _Team) -> None:
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
        await _end_without(team, cancelled)


async def _end_without(team: _Team, ended: Sequence[Kept]) -> None:
    """End tasks that are not to be done (any more); those who work on them are stopped."""
    names = {one.task for one in ended}
    stopped = [run for run, one in team.working.items() if one.given.task in names]
    cancelled = {team.working[run].given.task: team.working[run] for run in stopped}
    await _stop_all(team, stopped)
    async with team.writing() as uow:
        for one in ended:
            if one.task in cancelled:
                handed = Handed(done=False, summary=one.summary)
                given = cancelled[one.task].given
                await end_attempt(uow, team.session, given, AttemptState.CANCELLED, handed, then=one.state)
            else:
                await move_task(uow, team.session, one.task, one.state, one.summary)
    for one in ended:
        team.states[one.task] = one.state
        team.kept[one.task] = one
        team.tell(f"{team.tasks[one.task].node.title}: {one.state.value}, {one.summary}")


async def _stop_all(team: _Team, runs: Sequence[asyncio.Task[Handed]]) -> None:
    for run in runs:
        run.cancel()
    if runs:
        await asyncio.wait(runs)
    for run in runs:
        team.working.pop(run, None)


# --- giving -------------------------------------------------------------------------------------------------------------


async def _assign_ready(team: _Team, ready: Sequence[TaskId]) -> None:
    at = time.monotonic()
    jobs = [
        _constrained(team, name)
        for name in ready
        if team.not_before.get(name, 0.0) <= at and name not in team.asked
    ]
    held_back = [name for name in ready if name in team.asked]
    if held_back:
        why = {name: f"a person must decide: {team.asked[name].reason}" for name in held_back}
        await _end_without(team, [Kept(name, TaskState.CANCELLED, summary=why[name]) for name in held_back])
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
        await _end_without(team, ended)
    await _give(team, chosen, by_task)


def _constrained(team: _Team, name: TaskId) -> Job:
    """The job with who may not do it, and who must, as of now."""
    one, job = team.tasks[name], team.jobs[name]
    not_by = {agent for other in one.not_by for agent in team.doers.get(other, ())}
    wanted = job.capabilities
    first = team.same_agent.get(name)
    if first and team.doers.get(first):
        wanted = (*wanted, f"agent:{min(team.doers[first])}")
    return replace(job, not_by=frozenset(not_by), capabilities=wanted)


def _agents(team: _Team) -> list[Agent]:
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


async def _give(team: _Team, chosen: Sequence[Choice], jobs: Mapping[TaskId, Job]) -> None:
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
        team.working[run] = _Working(one, time.monotonic(), jobs[one.task])
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


# --- collecting -----------------------------------------------------------------------------------------------------------


async def _wait(team: _Team) -> None:
    """Until somebody has ended, a pause is over, or it is time to look."""
    if not team.working:
        await asyncio.sleep(IDLE_SECONDS)
        return
    soon = [at - time.monotonic() for at in team.not_before.values()]
    seconds = max(0.0, min([LOOK_SECONDS, *(one for one in soon if one > 0)]))
    await asyncio.wait(team.working, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0)  # those who ended together are collected together


async def _collect(team: _Team) -> None:
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
    await _grow(team)


def _attempt_state(one: Handed) -> AttemptState:
    if one.done:
        return AttemptState.DONE
    return AttemptState.AGAIN if one.blameless else AttemptState.FAILED


def _checked(team: _Team, working: _Working, handed: Handed) -> Handed:
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


def _what_follows(team: _Team, working: _Working, handed: Handed) -> TaskState:
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


def _keep(team: _Team, working: _Working, handed: Handed, then: TaskState, at: float) -> None:
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


def _learn(team: _Team, given: Given, seconds: float, handed: Handed, at: float) -> None:
    member, known = team.members[given.agent], team.records.setdefault(given.agent, {})
    for capability in given.capabilities:
        declared = member.capabilities.get(capability, 1.0)
        known[capability] = with_outcome(
            known.get(capability, NO_RECORD), handed.done, at, HALF_LIFE, declared
        )
    before = team.taken.get(given.agent)
    team.taken[given.agent] = seconds if before is None else before + 0.2 * (seconds - before)


# --- the end --------------------------------------------------------------------------------------------------------------


async def _conclude(team: _Team, end: Standing) -> TeamReport:
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
