"""Changing work items."""

from collections.abc import Sequence
from dataclasses import replace

from bullpen.domain.actor import Scope
from bullpen.domain.errors import InvalidInput
from bullpen.domain.events.work import (
    DependencyBroken,
    ItemAssigned,
    ItemCommented,
    ItemLabelled,
    ItemMoved,
    ItemProposed,
)
from bullpen.domain.ids import ItemId, SessionId
from bullpen.domain.work_item import ItemState, WorkItem, require_transition
from bullpen.kernel.clock import now
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.work import queries, tables


async def propose_items(uow: UnitOfWork, session_id: SessionId, items: Sequence[WorkItem]) -> None:
    """Store items in the order given; those already stored are left as they are."""
    uow.actor.require(Scope.WORK_WRITE)
    known = {item.id for item in await queries.list_items(uow, session_id)}
    fresh = [item for item in items if item.id not in known]
    for position, item in enumerate(fresh, start=len(known)):
        await _insert(uow, session_id, item, position)
        draft = item.draft
        uow.record(
            session_id,
            ItemProposed(
                item.id,
                draft.title,
                draft.rule,
                draft.path,
                int(draft.severity),
                item.priority.score,
                item.quality,
                draft.recipe,
                item.state,
                draft.labels,
            ),
        )
        if item.state is not ItemState.PROPOSED or item.reason:
            uow.record(session_id, ItemMoved(item.id, item.state, uow.actor.id, item.reason))


async def move_item(
    uow: UnitOfWork,
    session_id: SessionId,
    item_id: str,
    state: ItemState,
    *,
    reason: str = "",
    change: str = "",
) -> None:
    """Move an item along its life cycle; asking for the state it is in changes nothing."""
    uow.actor.require(Scope.WORK_WRITE)
    item = await queries.get_item(uow, session_id, item_id)
    if item.state is state:
        return
    require_transition(item.id, item.state, state)
    kept = {"change": change} if change else {}
    await _change(uow, session_id, item.id, state=state, reason=reason, owner=uow.actor.id, **kept)
    await _add_step(uow, session_id, item.id, len(item.history), state, reason)
    uow.record(session_id, ItemMoved(item_id, state, uow.actor.id, reason, change))


async def comment_item(uow: UnitOfWork, session_id: SessionId, item_id: str, text: str) -> None:
    """Say something about an item; kept in its history."""
    uow.actor.require(Scope.WORK_WRITE)
    if not text.strip():
        raise InvalidInput("A comment needs words.")
    item = await queries.get_item(uow, session_id, item_id)
    await _add_step(uow, session_id, item.id, len(item.history), item.state, text)
    uow.record(session_id, ItemCommented(item_id, uow.actor.id, text))


async def assign_item(uow: UnitOfWork, session_id: SessionId, item_id: str, owner: str) -> None:
    """Give an item to somebody; giving it to its owner changes nothing."""
    uow.actor.require(Scope.WORK_WRITE)
    if not owner:
        raise InvalidInput("An owner needs a name.")
    item = await queries.get_item(uow, session_id, item_id)
    if item.owner != owner:
        await _change(uow, session_id, item.id, owner=owner)
        uow.record(session_id, ItemAssigned(item_id, owner, uow.actor.id))


async def label_item(uow: UnitOfWork, session_id: SessionId, item_id: str, labels: Sequence[str]) -> None:
    """Replace an item's labels; each once, sorted."""
    uow.actor.require(Scope.WORK_WRITE)
    item = await queries.get_item(uow, session_id, item_id)
    ordered = tuple(sorted({label.strip() for label in labels} - {""}))
    if ordered != item.draft.labels:
        await _change(
            uow, session_id, item.id, draft=dump(queries.DRAFT, replace(item.draft, labels=ordered))
        )
        uow.record(session_id, ItemLabelled(item_id, ordered, uow.actor.id))


async def record_broken_dependency(
    uow: UnitOfWork, session_id: SessionId, item_id: str, no_longer_after: str, reason: str
) -> None:
    """Tell that a cycle was cut."""
    uow.record(session_id, DependencyBroken(item_id, no_longer_after, reason))


async def _change(uow: UnitOfWork, session_id: SessionId, item_id: ItemId, **values: object) -> None:
    row = tables.work_item
    await uow.run(
        uow.change_rows(row).where(row.c.session_id == session_id, row.c.id == item_id).values(**values)
    )


async def _insert(uow: UnitOfWork, session_id: SessionId, item: WorkItem, position: int) -> None:
    await uow.run(
        uow.new_row(
            tables.work_item,
            session_id=session_id,
            id=item.id,
            draft=dump(queries.DRAFT, item.draft),
            state=item.state,
            priority=dump(queries.PRIORITY, item.priority),
            score=item.priority.score,
            quality=item.quality,
            depends_on=dump(queries.STRINGS, item.depends_on),
            reason=item.reason,
            position=position,
        )
    )
    await _add_step(uow, session_id, item.id, 0, item.state, item.reason)


async def _add_step(
    uow: UnitOfWork, session_id: SessionId, item_id: ItemId, number: int, state: ItemState, note: str
) -> None:
    await uow.run(
        uow.new_row(
            tables.work_item_step,
            session_id=session_id,
            item_id=item_id,
            number=number,
            at=now(),
            by=uow.actor.id,
            state=state,
            note=note,
        )
    )
