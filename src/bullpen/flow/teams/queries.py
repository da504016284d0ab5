"""Reading attempts, and what they say of agents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, case, func, select

from bullpen.domain.actor import Scope
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.flow.teams import tables
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork

WORDS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])
TEXTS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


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


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of an agent at some capabilities, from all sessions of the organization."""

    agent: str
    capabilities: tuple[str, ...]
    wins: int
    tries: int
    seconds: float
    cost: Money


async def list_attempts(uow: UnitOfWork, session_id: SessionId) -> Sequence[Attempt]:
    """All attempts of a session, by task and number."""
    uow.actor.require(Scope.READ)
    row = tables.attempt.c
    statement = uow.rows_of(tables.attempt).where(row.session_id == session_id)
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
    )
