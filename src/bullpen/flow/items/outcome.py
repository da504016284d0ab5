"""What became of an item: one rule, for the reports and for the terminal."""

from enum import StrEnum

from bullpen.domain.work_item import ItemState
from bullpen.flow.items.reasons import AT_ODDS, BEYOND, MENDED, REFUSED_BEFORE


class Outcome(StrEnum):
    """What became of an item. Every item has exactly one."""

    LANDED = "landed"
    FAILED = "failed"
    NEEDS_APPROVAL = "needs-approval"
    UNDECIDED = "undecided"
    OUTVOTED = "outvoted"
    DECLINED = "declined"
    REFUSED_BEFORE = "refused-before"
    NO_RECIPE = "no-recipe"
    BEYOND_LIMIT = "beyond-limit"
    NOT_NEEDED = "not-needed"
    TURNED_DOWN = "turned-down"
    ILL_DEFINED = "ill-defined"
    NOT_STARTED = "not-started"
    UNFINISHED = "unfinished"


def outcome_of(state: ItemState, *, first: ItemState, worked: bool, recipe: str, reason: str) -> Outcome:
    """From where an item stands and how it came there.

    Args:
        state: where it stands.
        first: where it stood when it was proposed.
        worked: whether work on it ever began.
        recipe: the recipe that would do it; empty where there is none.
        reason: why it stands there.
    """
    match state:
        case ItemState.DONE:
            return Outcome.LANDED
        case ItemState.BLOCKED:
            return Outcome.FAILED if worked else _why_waiting(reason)
        case ItemState.REJECTED:
            return _why_rejected(first, reason)
        case ItemState.PROPOSED:
            return _why_only_proposed(recipe, reason)
        case ItemState.READY:
            return Outcome.NOT_STARTED
        case ItemState.IN_PROGRESS | ItemState.IN_REVIEW:
            return Outcome.UNFINISHED


def _why_waiting(reason: str) -> Outcome:
    return Outcome.UNDECIDED if reason.startswith(AT_ODDS) else Outcome.NEEDS_APPROVAL


def _why_rejected(first: ItemState, reason: str) -> Outcome:
    if reason == MENDED:
        return Outcome.NOT_NEEDED
    if reason.startswith(AT_ODDS):
        return Outcome.OUTVOTED
    return Outcome.ILL_DEFINED if first is ItemState.REJECTED else Outcome.TURNED_DOWN


def _why_only_proposed(recipe: str, reason: str) -> Outcome:
    if reason.startswith(REFUSED_BEFORE):
        return Outcome.REFUSED_BEFORE
    if reason.startswith(AT_ODDS):
        return Outcome.OUTVOTED
    if not recipe:
        return Outcome.NO_RECIPE
    return Outcome.BEYOND_LIMIT if reason == BEYOND else Outcome.DECLINED
