"""Approvals: a person lets recipes that may change behaviour do their work, rule by rule."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from bullpen.domain.actor import Scope
from bullpen.domain.ids import ApprovalId, SessionId, derived_id
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.flow.items.patterns import names_rule
from bullpen.flow.items.reasons import AT_ODDS
from bullpen.kernel.clock import now
from bullpen.kernel.json_text import dump, load
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.actions import note_facts
from bullpen.sessions.queries import get_session
from bullpen.work.actions.approvals import answer_approval, ask_approval
from bullpen.work.actions.items import move_item
from bullpen.work.queries import get_item, list_approvals, list_items

RULES: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])

ANSWER_SECONDS = 30 * 86_400.0  # after that, no answer is a no
CHOICE = "choice"  # the risk of a question between two sides: yes is for the first, no for the second


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer came to: the session, and how many of its items can be worked on now."""

    session_id: SessionId
    released: int


async def ask_for_rules(uow: UnitOfWork, session_id: SessionId, items: Sequence[WorkItem]) -> None:
    """One question for each rule whose items wait for a person; asking again changes nothing."""
    waiting = Counter(
        item.draft.rule
        for item in items
        if item.state is ItemState.BLOCKED and not item.change and not item.reason.startswith(AT_ODDS)
    )
    recipes = {item.draft.rule: item.draft.recipe for item in items}
    for rule, count in sorted(waiting.items()):
        await ask_approval(
            uow,
            session_id,
            ApprovalId(derived_id("apr", session_id, rule)),
            subject=rule,
            risk="write",
            reason=f"the recipe {recipes[rule]} may change behaviour in {count} item{'' if count == 1 else 's'}",
            deadline=now() + ANSWER_SECONDS,
        )


async def ask_for_choice(
    uow: UnitOfWork, session_id: SessionId, approval_id: str, subject: str, reason: str
) -> None:
    """Ask which of two sides is to be followed; asking again changes nothing."""
    deadline = now() + ANSWER_SECONDS
    asked = ApprovalId(approval_id)
    await ask_approval(uow, session_id, asked, subject=subject, risk=CHOICE, reason=reason, deadline=deadline)


def choice_label(approval_id: str, *, yes: bool) -> str:
    """What marks an item as on the side of a yes or of a no to a question."""
    return f"{approval_id}:{'yes' if yes else 'no'}"


async def answer(uow: UnitOfWork, approval_id: str, *, approved: bool) -> Answered:
    """Approve or deny; approved items are ready for the next run of their session, and those of the chosen side.

    Raises:
        NotFound: there is no such question.
        Conflict: it was answered already.
    """
    session_id = await answer_approval(uow, approval_id, approved=approved)
    asked = next(one for one in await list_approvals(uow, session_id) if one.id == approval_id)
    if asked.risk == CHOICE and asked.answer in ("approved", "denied"):
        return Answered(session_id, await _follow(uow, session_id, asked.id, yes=asked.answer == "approved"))
    if asked.answer != "approved":
        return Answered(session_id, 0)
    return Answered(session_id, await _release(uow, session_id, (asked.subject,)))


async def approve_rules(uow: UnitOfWork, session_id: SessionId, rules: Sequence[str]) -> Answered:
    """Approve rules, or patterns of them, for a session that exists: what waits for them, and what is still planned."""
    uow.actor.require(Scope.APPROVE)
    if not rules:
        return Answered(session_id, 0)
    known = await _approved_beforehand(uow, session_id)
    await note_facts(uow, session_id, approved=dump(RULES, tuple(sorted({*known, *rules}))))
    for asked in await list_approvals(uow, session_id, "pending"):
        if asked.risk != CHOICE and names_rule(rules, asked.subject):
            await answer_approval(uow, asked.id, approved=True)
    return Answered(session_id, await _release(uow, session_id, rules))


async def _follow(uow: UnitOfWork, session_id: SessionId, approval_id: str, *, yes: bool) -> int:
    """Make the items of the chosen side ready, and turn down those of the other. Returns how many are ready."""
    chosen, left = choice_label(approval_id, yes=yes), choice_label(approval_id, yes=not yes)
    ready = 0
    for item in await list_items(uow, session_id, ItemState.BLOCKED):
        if left in item.draft.labels:
            why = f"{AT_ODDS}{uow.actor.id} chose the other side"
            await move_item(uow, session_id, item.id, ItemState.REJECTED, reason=why)
        elif chosen in item.draft.labels and item.reason.startswith(AT_ODDS):
            await move_item(uow, session_id, item.id, ItemState.READY, reason=f"{uow.actor.id} chose it")
            ready += 1
    return ready


async def _release(uow: UnitOfWork, session_id: SessionId, rules: Sequence[str]) -> int:
    """Make ready what waits for these rules; not what was tried and refused. Returns how many."""
    released = 0
    for item in await list_items(uow, session_id, ItemState.BLOCKED):
        if not names_rule(rules, item.draft.rule):
            continue
        history = (await get_item(uow, session_id, item.id)).history
        if any(step.state is ItemState.IN_PROGRESS for step in history):
            continue
        why = f"{uow.actor.id} approved {item.draft.rule}"
        await move_item(uow, session_id, item.id, ItemState.READY, reason=why)
        released += 1
    return released


async def approved_rules(uow: UnitOfWork, session_id: SessionId) -> tuple[str, ...]:
    """Rules, and patterns of rules, that a person has approved since the session began."""
    answered = [one.subject for one in await list_approvals(uow, session_id, "approved")]
    return (*answered, *await _approved_beforehand(uow, session_id))


async def _approved_beforehand(uow: UnitOfWork, session_id: SessionId) -> tuple[str, ...]:
    return load(RULES, (await get_session(uow, session_id)).metadata.get("approved", "[]"))
