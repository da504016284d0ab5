"""Approvals: a person lets recipes that may change behaviour do their work, rule by rule."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bullpen.domain.ids import ApprovalId, SessionId, derived_id
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.kernel.clock import now
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.work.actions.approvals import answer_approval, ask_approval
from bullpen.work.actions.items import move_item
from bullpen.work.queries import list_approvals, list_items

ANSWER_SECONDS = 30 * 86_400.0  # after that, no answer is a no


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer came to: the session, and how many of its items can be worked on now."""

    session_id: SessionId
    released: int


async def ask_for_rules(uow: UnitOfWork, session_id: SessionId, items: Sequence[WorkItem]) -> None:
    """One question for each rule whose items wait for a person; asking again changes nothing."""
    waiting = Counter(
        item.draft.rule for item in items if item.state is ItemState.BLOCKED and not item.change
    )
    recipes = {item.draft.rule: item.draft.recipe for item in items}
    for rule, count in sorted(waiting.items()):
        await ask_approval(
            uow,
            session_id,
            ApprovalId(derived_id("apr", session_id, rule)),
            subject=rule,
            risk="write",
            reason=f"the recipe {recipes[rule]} may change behaviour in {count} items",
            deadline=now() + ANSWER_SECONDS,
        )


async def answer(uow: UnitOfWork, approval_id: str, *, approved: bool) -> Answered:
    """Approve or deny; approved items are ready for the next run of their session.

    Raises:
        NotFound: there is no such question.
        Conflict: it was answered already.
    """
    session_id = await answer_approval(uow, approval_id, approved=approved)
    asked = next(one for one in await list_approvals(uow, session_id) if one.id == approval_id)
    if asked.answer != "approved":
        return Answered(session_id, 0)
    released = [
        item
        for item in await list_items(uow, session_id, ItemState.BLOCKED)
        if item.draft.rule == asked.subject
    ]
    for item in released:
        await move_item(
            uow, session_id, item.id, ItemState.READY, reason=f"{uow.actor.id} approved {asked.subject}"
        )
    return Answered(session_id, len(released))


async def approved_rules(uow: UnitOfWork, session_id: SessionId) -> tuple[str, ...]:
    """Rules a person has approved in a session."""
    return tuple(one.subject for one in await list_approvals(uow, session_id, "approved"))
