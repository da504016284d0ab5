"""Is an item worth an agent's time? Actionable, well-defined, not a duplicate, and provable."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bullpen.domain.work_item import ItemDraft


@dataclass(frozen=True, slots=True)
class Validation:
    """``quality`` is the share of checks passed (0 to 1); an item with problems is sent back with them."""

    quality: float
    problems: tuple[str, ...]


def validate_item(draft: ItemDraft, line_counts: Mapping[str, int], seen: Mapping[str, str]) -> Validation:
    """Check one draft. ``line_counts`` has the files of the tree; ``seen`` maps fingerprints to items before it."""
    problems = [problem for check in _CHECKS if (problem := check(draft, line_counts, seen))]
    return Validation(1 - len(problems) / len(_CHECKS), tuple(problems))


Check = Callable[[ItemDraft, Mapping[str, int], Mapping[str, str]], str]


def _has_place(draft: ItemDraft, line_counts: Mapping[str, int], _seen: Mapping[str, str]) -> str:
    if draft.path not in line_counts:
        return f"{draft.path} is not a file of the repository"
    last = max(draft.lines, default=0)
    return "" if 0 < last <= max(line_counts[draft.path], 1) else f"line {last} is outside {draft.path}"


def _has_words(draft: ItemDraft, _counts: Mapping[str, int], _seen: Mapping[str, str]) -> str:
    return (
        ""
        if 10 <= len(draft.title) <= 300 and draft.why.strip()
        else "title or reason is missing or too long"
    )


def _is_new(draft: ItemDraft, _counts: Mapping[str, int], seen: Mapping[str, str]) -> str:
    other = next((seen[one] for one in draft.fingerprints if one in seen), "")
    return f"it says again what {other} says" if other else ""


def _is_provable(draft: ItemDraft, _counts: Mapping[str, int], _seen: Mapping[str, str]) -> str:
    return "" if draft.acceptance and draft.proof and ":" in draft.rule else "nothing could prove it done"


def _has_evidence(draft: ItemDraft, _counts: Mapping[str, int], _seen: Mapping[str, str]) -> str:
    return "" if draft.evidence and draft.fingerprints else "no evidence is attached"


_CHECKS: tuple[Check, ...] = (_has_place, _has_words, _is_new, _is_provable, _has_evidence)
