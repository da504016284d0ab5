"""Reading attempts, and what they say of agents."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, case, func, select

from bullpen.domain.actor import Scope
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.flow.schedule.record import Fade, Record
from bullpen.flow.teams import tables
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork

WORDS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])
TEXTS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
MOST_NAMED = 500  # names a statement lists; with more, all rows are read
FADES: TypeAdapter[tuple[Fade, ...]] = TypeAdapter(tuple[Fade, ...])


class AttemptState(StrEnum):
    """How far an attempt has come."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    AGAIN = "again"  # to be done again, through no fault of its agent
    CANCELLED = "cancelled"
    YIELDED = "yielded"  # it gave way to an urgent task, and goes on later
    IGNORED = "ignored"  # another attempt at the task had been answered
    LOST = "lost"  # the process that ran it is gone


class Outcome(StrEnum):
    """What became of an attempt, as the platform measured it; whatever its agent said."""

    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one agent at one task, and the sentence it was chosen by."""

    task: TaskId
    number: int
    agent: str
    capabilities: tuple[str, ...]
    reason: str
    state: AttemptState
    summary: str
    data: Mapping[str, str]
    changes: Mapping[str, str]
    cost: Money
    started_at: float
    ended_at: float
    performer: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """How a performer has done at a skill, with the mean seconds and cost of a job."""

    performer: str
    skill: str
    record: Record
    seconds: float
    cost: Money


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of an agent at some capabilities, from all sessions of the organization."""

    agent: str
    capabilities: tuple[str, ...]
    wins: int
    tries: int
    seconds: float
    cost: Money


async def list_attempts(
    uow: UnitOfWork, session_id: SessionId, task: TaskId | None = None
) -> Sequence[Attempt]:
    """All attempts of a session, or of one of its tasks, by task and number."""
    uow.actor.require(Scope.READ)
    row = tables.attempt.c
    statement = uow.rows_of(tables.attempt).where(row.session_id == session_id)
    if task is not None:
        statement = statement.where(row.task_id == task)
    return [_attempt(one) for one in await uow.fetch(statement.order_by(row.task_id, row.attempt))]


async def list_past(uow: UnitOfWork) -> Sequence[Past]:
    """How agents have done so far, the mean of their seconds and cost with it."""
    uow.actor.require(Scope.READ)
    row = tables.attempt.c
    won = func.sum(case((row.state == AttemptState.DONE, 1), else_=0))
    spent = (func.avg(row.ended_at - row.started_at), func.avg(row.cost))
    statement = (
        select(row.agent, row.capabilities, won, func.count(), *spent)
        .where(
            row.organization_id == uow.actor.organization_id,
            row.state.in_((AttemptState.DONE, AttemptState.FAILED)),
        )
        .group_by(row.agent, row.capabilities)
        .order_by(row.agent, row.capabilities)
    )
    return [
        Past(agent, load(WORDS, words), int(wins), int(tries), float(seconds), Money(int(cost)))
        for agent, words, wins, tries, seconds, cost in await uow.fetch(statement)
    ]


async def count_running(uow: UnitOfWork, since: float) -> Mapping[str, int]:
    """How many attempts are with each agent now; those begun before ``since`` are taken to be over."""
    uow.actor.require(Scope.READ)
    row = tables.attempt.c
    statement = (
        select(row.agent, func.count())
        .where(
            row.organization_id == uow.actor.organization_id,
            row.state == AttemptState.RUNNING,
            row.started_at >= since,
        )
        .group_by(row.agent)
    )
    return {agent: int(count) for agent, count in await uow.fetch(statement)}


async def seconds_used(uow: UnitOfWork, agent: str, since: float, at: float) -> Mapping[str, float]:
    """How long an agent has worked for each session since a moment, up to ``at``; what runs counts until then."""
    uow.actor.require(Scope.READ)
    row = tables.attempt.c
    end = case((row.ended_at > 0, row.ended_at), else_=at)
    statement = (
        select(row.session_id, func.sum(end - row.started_at))
        .where(row.organization_id == uow.actor.organization_id, row.agent == agent, row.started_at >= since)
        .group_by(row.session_id)
    )
    return {session: float(seconds) for session, seconds in await uow.fetch(statement)}


async def list_records(
    uow: UnitOfWork, skill: str = "", performers: Collection[str] | None = None
) -> Sequence[TrackRecord]:
    """The track records of the organization's agents, by performer; at one skill, and of some alone, if asked."""
    uow.actor.require(Scope.READ)
    row = tables.record.c
    statement = uow.rows_of(tables.record)
    if skill:
        statement = statement.where(row.skill == skill)
    if performers is not None and len(performers) <= MOST_NAMED:
        statement = statement.where(row.performer.in_(sorted(performers)))
    return [_record(one) for one in await uow.fetch(statement.order_by(row.performer, row.skill))]


async def find_record(uow: UnitOfWork, performer: str, skill: str) -> TrackRecord | None:
    """The record of one performer at one skill; None before its first outcome."""
    uow.actor.require(Scope.READ)
    row = tables.record.c
    one = await uow.fetch_one(
        uow.rows_of(tables.record).where(row.performer == performer, row.skill == skill)
    )
    return _record(one) if one else None


def latest(attempts: Sequence[Attempt]) -> Mapping[TaskId, Attempt]:
    """The newest attempt at each task."""
    return {one.task: one for one in sorted(attempts, key=lambda one: (one.started_at, one.number))}


def skill_of(capabilities: Sequence[str]) -> str:
    """What a record is kept for: the capabilities a job asked for, together."""
    return "/".join(capabilities)


def _record(row: Row[Any]) -> TrackRecord:
    record = Record(row.wins, row.tries, row.at, load(FADES, row.fades))
    return TrackRecord(row.performer, row.skill, record, row.seconds, Money(round(row.cost)))


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        TaskId(row.task_id),
        row.attempt,
        row.agent,
        load(WORDS, row.capabilities),
        row.reason,
        AttemptState(row.state),
        row.summary,
        load(TEXTS, row.data),
        load(TEXTS, row.changes),
        Money(row.cost),
        row.started_at,
        row.ended_at,
        row.performer,
        row.outcome,
    )
