"""Units of work: what is to be done, why, and where they stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bullpen.domain.errors import Conflict
from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ItemId


class ItemState(StrEnum):
    """Where an item stands."""

    PROPOSED = "proposed"
    READY = "ready"
    IN_PROGRESS = "in-progress"
    IN_REVIEW = "in-review"
    DONE = "done"
    REJECTED = "rejected"
    BLOCKED = "blocked"


TRANSITIONS: Mapping[ItemState, frozenset[ItemState]] = {
    ItemState.PROPOSED: frozenset({ItemState.READY, ItemState.REJECTED, ItemState.BLOCKED}),
    ItemState.READY: frozenset(
        {ItemState.IN_PROGRESS, ItemState.BLOCKED, ItemState.REJECTED, ItemState.PROPOSED}
    ),  # proposed: fewer items are to be worked on than when it was planned
    ItemState.IN_PROGRESS: frozenset(
        {ItemState.IN_REVIEW, ItemState.READY, ItemState.BLOCKED, ItemState.REJECTED, ItemState.PROPOSED}
    ),
    ItemState.IN_REVIEW: frozenset({ItemState.DONE, ItemState.READY, ItemState.BLOCKED, ItemState.REJECTED}),
    ItemState.DONE: frozenset({ItemState.READY}),
    ItemState.REJECTED: frozenset({ItemState.PROPOSED}),
    ItemState.BLOCKED: frozenset({ItemState.READY, ItemState.REJECTED}),
}


def require_transition(item: ItemId, now: ItemState, then: ItemState) -> None:
    """Refuse a step the life cycle does not have."""
    if then not in TRANSITIONS[now]:
        allowed = ", ".join(sorted(TRANSITIONS[now])) or "nothing"
        raise Conflict(f"{item} is {now.value}; from there it can become {allowed}, not {then.value}.")


@dataclass(frozen=True, slots=True)
class Priority:
    """impact × likelihood ÷ effort, with the numbers behind it."""

    score: float
    impact: float
    likelihood: float
    effort: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemDraft:
    """A work item as a generator proposes it, before it is validated and stored.

    ``recipe`` is empty where no recipe covers the rule; ``fix`` is what the analyser itself offers (safe, unsafe).
    """

    id: ItemId
    kind: str
    title: str
    why: str
    rule: str
    path: str
    lines: tuple[int, ...]
    concern: Concern
    severity: Severity
    evidence: tuple[str, ...]
    acceptance: tuple[str, ...]
    proof: str
    effort_minutes: int
    fingerprints: tuple[str, ...]
    recipe: str = ""
    fix: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A stored work item."""

    draft: ItemDraft
    state: ItemState
    priority: Priority
    quality: float  # 0 to 1: how well-defined the validator found it
    depends_on: tuple[ItemId, ...] = ()
    owner: str = ""
    reason: str = ""  # why it was rejected, blocked or sent back
    change: str = ""  # the commit that did it
    history: tuple["ItemStep", ...] = field(default=())

    @property
    def id(self) -> ItemId:
        """Its identifier."""
        return self.draft.id


@dataclass(frozen=True, slots=True)
class ItemStep:
    """One entry of an item's history."""

    at: float
    by: str
    state: ItemState
    note: str = ""
