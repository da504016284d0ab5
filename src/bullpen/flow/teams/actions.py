"""Recording who was given what, and what came of it; each with its event."""

from dataclasses import dataclass

from bullpen.domain.actor import Scope
from bullpen.domain.errors import Conflict
from bullpen.domain.events.team import (
    AttemptEnded,
    ConflictResolved,
    DecisionReached,
    IntentDeclared,
    OutcomeMeasured,
    OverlapDetected,
    TaskAssigned,
)
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskState
from bullpen.flow.consensus.base import Decision
from bullpen.flow.consensus.resolve import Resolution
from bullpen.flow.schedule.intents import Intent, Overlap
from bullpen.flow.schedule.record import NO_RECORD, with_outcome
from bullpen.flow.teams import tables
from bullpen.flow.teams.base import Handed
from bullpen.flow.teams.queries import (
    FADES,
    TEXTS,
    WORDS,
    Attempt,
    AttemptState,
    Outcome,
    TrackRecord,
    find_record,
    skill_of,
)
from bullpen.kernel.clock import now
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.work.actions.tasks import move_task

HALF_LIFE = 86_400.0  # seconds, of an outcome in a record; see ``schedule.record``


@dataclass(frozen=True, slots=True)
class Given:
    """A task given to an agent for the ``number``-th time; ``reason`` is the sentence of the choice.

    ``performer`` is whose record the outcome counts for; empty where none is kept.
    """

    task: TaskId
    number: int
    agent: str
    capabilities: tuple[str, ...]
    reason: str
    performer: str = ""


async def assign_task(uow: UnitOfWork, session_id: SessionId, given: Given) -> None:
    """Give a task to an agent."""
    uow.actor.require(Scope.RUN)
    values = {
        "agent": given.agent,
        "capabilities": dump(WORDS, given.capabilities),
        "reason": given.reason,
        "state": AttemptState.RUNNING,
        "summary": "",
        "data": "{}",
        "changes": "{}",
        "cost": 0,
        "started_at": now(),
        "ended_at": 0.0,
        "performer": given.performer,
        "outcome": "",
    }
    named = {"session_id": session_id, "task_id": given.task, "attempt": given.number}
    await uow.run(uow.new_row(tables.attempt, **named, **values))
    await move_task(uow, session_id, given.task, TaskState.RUNNING, given.reason)
    uow.record(session_id, TaskAssigned(given.task, given.agent, given.number, given.reason))


async def end_attempt(
    uow: UnitOfWork,
    session_id: SessionId,
    given: Given,
    state: AttemptState,
    handed: Handed,
    *,
    seconds: float = 0.0,
    then: TaskState,
) -> None:
    """Record how an attempt ended, and where the task stands ``then``.

    Raises:
        Conflict: the attempt does not run (any more): it was taken away, or ended before.
    """
    uow.actor.require(Scope.RUN)
    row = tables.attempt.c
    mine = (row.session_id == session_id, row.task_id == given.task, row.attempt == given.number)
    touched = await uow.run(
        uow.change_rows(tables.attempt)
        .where(*mine, row.state == AttemptState.RUNNING)
        .values(
            state=state,
            summary=handed.summary,
            data=dump(TEXTS, dict(handed.data)),
            changes=dump(TEXTS, dict(handed.changes)),
            cost=handed.cost.micro_usd,
            ended_at=now(),
        )
    )
    if not touched:
        raise Conflict(f"Attempt {given.number} of {given.task} does not run any more.", code="not-running")
    ended = (given.task, given.agent, given.number, state, handed.summary)
    uow.record(session_id, AttemptEnded(*ended, seconds, handed.cost.micro_usd))
    await move_task(uow, session_id, given.task, then, handed.summary)
    for resolution in handed.resolutions:
        record_resolution(uow, session_id, resolution)


def given_again(attempt: Attempt) -> Given:
    """An attempt that was recorded, as it was given."""
    one = attempt
    return Given(one.task, one.number, one.agent, one.capabilities, one.reason, one.performer)


async def settle_attempt(
    uow: UnitOfWork, session_id: SessionId, attempt: Attempt, *, won: bool, why: str
) -> None:
    """Count what became of an attempt, as it was measured, for its performer's record; a second time changes nothing."""
    uow.actor.require(Scope.RUN)
    row = tables.attempt.c
    mine = (row.session_id == session_id, row.task_id == attempt.task, row.attempt == attempt.number)
    outcome = Outcome.WON if won else Outcome.LOST
    touched = await uow.run(
        uow.change_rows(tables.attempt)
        .where(*mine, row.outcome == "", row.performer != "")
        .values(outcome=outcome)
    )
    if touched:
        await _count(uow, attempt, won)
        said = (attempt.task, attempt.agent, attempt.number, skill_of(attempt.capabilities), won, why)
        uow.record(session_id, OutcomeMeasured(*said))


async def _count(uow: UnitOfWork, attempt: Attempt, won: bool) -> None:
    skill = skill_of(attempt.capabilities)
    before = await find_record(uow, attempt.performer, skill)
    record = with_outcome(before.record if before else NO_RECORD, won, now(), HALF_LIFE)
    spent = max(0.0, attempt.ended_at - attempt.started_at), float(attempt.cost.micro_usd)
    seconds, cost = _means(before, *spent)
    values = {
        "wins": record.wins,
        "tries": record.tries,
        "at": record.at,
        "fades": dump(FADES, record.fades),
        "seconds": seconds,
        "cost": cost,
    }
    row = tables.record.c
    named = {"performer": attempt.performer, "skill": skill}
    if before is None:
        await uow.run(uow.new_row(tables.record, **named, **values))
        return
    mine = uow.change_rows(tables.record).where(row.performer == attempt.performer, row.skill == skill)
    await uow.run(mine.values(**values))


def _means(before: TrackRecord | None, seconds: float, cost: float) -> tuple[float, float]:
    """Mean seconds and cost of a job with one more; the newest counts a fifth once there are five."""
    if before is None:
        return seconds, cost
    share = 1 / min(5, before.record.tries + 1)
    old_cost = float(before.cost.micro_usd)
    return before.seconds + share * (seconds - before.seconds), old_cost + share * (cost - old_cost)


async def give_up_lost(
    uow: UnitOfWork, session_id: SessionId, attempt: Attempt, then: TaskState = TaskState.WAITING
) -> None:
    """An attempt whose process is gone, and nothing is known of it; ``then`` its task waits again, or has ended."""
    given = given_again(attempt)
    gone = Handed(done=False, summary="the process that ran it is gone", cost=Money())
    await end_attempt(uow, session_id, given, AttemptState.LOST, gone, then=then)


def record_resolution(uow: UnitOfWork, session_id: SessionId, one: Resolution) -> None:
    """Keep how a conflict was resolved, and why."""
    conflict = one.conflict
    sides = (one.winners, one.others, one.outcome.value, one.reason)
    uow.record(session_id, ConflictResolved(conflict.kind.value, conflict.subject, one.by.value, *sides))


def record_decision(uow: UnitOfWork, session_id: SessionId, subject: str, one: Decision) -> None:
    """Keep what a vote came to, and why."""
    uow.record(session_id, DecisionReached(subject, one.protocol, one.choice, one.reason))


def declare_intent(uow: UnitOfWork, session_id: SessionId, one: Intent) -> None:
    """Keep what a task means to touch."""
    files, symbols = tuple(sorted(one.files)), tuple(sorted(one.symbols))
    uow.record(session_id, IntentDeclared(one.task, files, symbols, one.aim))


def record_overlap(uow: UnitOfWork, session_id: SessionId, one: Overlap) -> None:
    """Keep where two intents meet, and what follows."""
    how = (one.meeting.value, one.advice.value, one.subject, one.reason)
    uow.record(session_id, OverlapDetected(one.first, one.then, *how))
