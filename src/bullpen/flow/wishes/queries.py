"""Reading who waits for an agent."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from bullpen.domain.actor import Scope
from bullpen.domain.ids import SessionId, TaskId
from bullpen.flow.wishes import tables
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork

WORDS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])
FRESH_SECONDS = 5.0  # since it was renewed; then its process is gone, or does not want anybody any more


@dataclass(frozen=True, slots=True)
class Wish:
    """An attempt that waits since ``since``, for somebody who offers the capabilities and is none of ``not_by``."""

    session: SessionId
    task: TaskId
    number: int
    capabilities: tuple[str, ...]
    path: str
    rule: str
    not_by: frozenset[str]
    since: float

    @property
    def key(self) -> tuple[SessionId, TaskId, int]:
        """Which attempt it is."""
        return self.session, self.task, self.number


async def list_wishes(uow: UnitOfWork, at: float) -> Sequence[Wish]:
    """Those that wait at a moment, the longest first."""
    uow.actor.require(Scope.READ)
    row = tables.agent_wish.c
    statement = uow.rows_of(tables.agent_wish).where(row.renewed_at > at - FRESH_SECONDS)
    return [
        Wish(
            SessionId(one.session_id),
            TaskId(one.task_id),
            one.attempt,
            load(WORDS, one.capabilities),
            one.path,
            one.rule,
            frozenset(load(WORDS, one.not_by)),
            one.since,
        )
        for one in await uow.fetch(statement.order_by(row.since, row.task_id, row.attempt))
    ]
