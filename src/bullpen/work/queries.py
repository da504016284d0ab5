"""Reading work items, task trees, approvals and evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from bullpen.domain.actor import Scope
from bullpen.domain.errors import NotFound
from bullpen.domain.ids import ApprovalId, ItemId, SessionId, TaskId
from bullpen.domain.task import TaskNode, TaskState
from bullpen.domain.verdict import Evidence
from bullpen.domain.work_item import ItemDraft, ItemState, ItemStep, Priority, WorkItem
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.work import tables

DRAFT: TypeAdapter[ItemDraft] = TypeAdapter(ItemDraft)
PRIORITY: TypeAdapter[Priority] = TypeAdapter(Priority)
EVIDENCE: TypeAdapter[Evidence] = TypeAdapter(Evidence)
STRINGS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to a person. ``answer`` is pending, approved, denied or expired."""

    id: ApprovalId
    subject: str
    risk: str
    reason: str
    answer: str
    asked_at: float
    deadline: float
    answered_by: str


async def list_items(
    uow: UnitOfWork, session_id: SessionId, state: ItemState | None = None
) -> Sequence[WorkItem]:
    """By position (the order of work); of one state if asked."""
    uow.actor.require(Scope.READ)
    item = tables.work_item
    statement = uow.rows_of(item).where(item.c.session_id == session_id)
    if state is not None:
        statement = statement.where(item.c.state == state)
    return [_item(row) for row in await uow.fetch(statement.order_by(item.c.position, item.c.id))]


async def get_item(uow: UnitOfWork, session_id: SessionId, item_id: str) -> WorkItem:
    """One item with its history."""
    uow.actor.require(Scope.READ)
    item, step = tables.work_item, tables.work_item_step
    row = await uow.fetch_one(uow.rows_of(item).where(item.c.session_id == session_id, item.c.id == item_id))
    if row is None:
        raise NotFound(f"There is no item {item_id} in session {session_id}.")
    steps = await uow.fetch(
        uow.rows_of(step)
        .where(step.c.session_id == session_id, step.c.item_id == item_id)
        .order_by(step.c.number)
    )
    return _item(row, tuple(ItemStep(s.at, s.by, ItemState(s.state), s.note) for s in steps))


async def list_tasks(uow: UnitOfWork, session_id: SessionId) -> Sequence[TaskNode]:
    """The whole tree, parents before children, siblings by position."""
    uow.actor.require(Scope.READ)
    task = tables.task
    rows = await uow.fetch(
        uow.rows_of(task).where(task.c.session_id == session_id).order_by(task.c.position, task.c.id)
    )
    return [_task(row) for row in rows]


async def list_approvals(uow: UnitOfWork, session_id: str = "", answer: str = "") -> Sequence[Approval]:
    """Oldest first; of one session or with one answer if asked."""
    uow.actor.require(Scope.READ)
    approval = tables.approval
    statement = uow.rows_of(approval)
    if session_id:
        statement = statement.where(approval.c.session_id == session_id)
    if answer:
        statement = statement.where(approval.c.answer == answer)
    rows = await uow.fetch(statement.order_by(approval.c.asked_at, approval.c.id))
    return [
        Approval(
            ApprovalId(r.id), r.subject, r.risk, r.reason, r.answer, r.asked_at, r.deadline, r.answered_by
        )
        for r in rows
    ]


async def get_evidence(uow: UnitOfWork, change: str) -> tuple[SessionId, Evidence]:
    """The evidence of a change, named by its commit (or its beginning, 7 letters at least) or by its item."""
    uow.actor.require(Scope.READ)
    kept = tables.evidence
    by_item = kept.c.item_id == change
    named = by_item | kept.c.commit.startswith(change, autoescape=True) if len(change) >= 7 else by_item
    rows = await uow.fetch(uow.rows_of(kept).where(named).order_by(kept.c.session_id.desc()))
    if not rows:
        raise NotFound(
            f"No change is known as {change}.", remedy="Name a commit of a bullpen branch, or an item's id."
        )
    return SessionId(rows[0].session_id), load(EVIDENCE, rows[0].body)


def _item(row: Row[Any], history: tuple[ItemStep, ...] = ()) -> WorkItem:
    return WorkItem(
        draft=load(DRAFT, row.draft),
        state=ItemState(row.state),
        priority=load(PRIORITY, row.priority),
        quality=row.quality,
        depends_on=tuple(ItemId(one) for one in load(STRINGS, row.depends_on)),
        owner=row.owner,
        reason=row.reason,
        change=row.change,
        history=history,
    )


def _task(row: Row[Any]) -> TaskNode:
    return TaskNode(
        id=TaskId(row.id),
        parent=TaskId(row.parent) if row.parent else None,
        title=row.title,
        kind=row.kind,
        role=row.role,
        state=TaskState(row.state),
        depends_on=tuple(TaskId(one) for one in load(STRINGS, row.depends_on)),
        capabilities=load(STRINGS, row.capabilities),
        acceptance=load(STRINGS, row.acceptance),
        complexity=row.complexity,
        position=row.position,
        item=row.item,
        note=row.note,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
