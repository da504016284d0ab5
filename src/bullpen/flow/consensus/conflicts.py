"""Conflicts between agents: what they are, and how each is found."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

NEAR_LINES = 8  # as for items: closer changes meet in each other's context lines


class ConflictKind(StrEnum):
    """What sides disagree about."""

    EDIT = "edit"  # changes of the same lines, or so near that a merge is not sure
    CONTRADICTION = "contradiction"  # findings or designs that cannot both hold
    DUPLICATE = "duplicate"  # the same work twice
    CONTENTION = "contention"  # more is wanted of a resource than there is


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a conflict: the task, who does it, and what counts for it.

    ``at`` is when it claimed or began (seconds), ``share`` how much of a resource it wants.
    """

    task: str
    agent: str
    priority: int = 0
    at: float = 0.0
    landed: bool = False
    share: int = 1


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two sides and more at odds over ``subject``: a file, a question, an aim, a resource."""

    kind: ConflictKind
    subject: str
    sides: tuple[Side, ...]
    available: int = 0  # of a resource


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of lines ``first`` to ``last`` of a file. ``result`` is a digest of what they become."""

    side: Side
    path: str
    first: int
    last: int
    result: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What a side says of a subject (a finding's place and rule, a question of design)."""

    side: Side
    subject: str
    says: str


def overlapping_edits(edits: Iterable[Edit], near: int = NEAR_LINES) -> list[Conflict]:
    """Pairs of edits of different tasks within ``near`` lines; the very same change is a duplicate.

    Whether git could merge them is for a trial merge to say; this is what is known before one.
    """
    by_path: dict[str, list[Edit]] = {}
    for edit in edits:
        by_path.setdefault(edit.path, []).append(edit)
    pairs = (pair for path in sorted(by_path) for pair in _near(by_path[path], near))
    found = dict.fromkeys(_edit_conflict(one, other) for one, other in pairs)
    return list(found)


def contradictions(claims: Iterable[Claim]) -> list[Conflict]:
    """Subjects of which different things are said; all who said something of it are sides."""
    by_subject: dict[str, list[Claim]] = {}
    for claim in claims:
        by_subject.setdefault(claim.subject, []).append(claim)
    return [
        Conflict(ConflictKind.CONTRADICTION, subject, _sides(one.side for one in said))
        for subject, said in sorted(by_subject.items())
        if len({one.says for one in said}) > 1
    ]


def duplicate_work(claims: Iterable[Claim]) -> list[Conflict]:
    """Different tasks that are after the same (``subject`` and ``says`` are equal)."""
    by_aim: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        by_aim.setdefault((claim.subject, claim.says), []).append(claim)
    return [
        Conflict(ConflictKind.DUPLICATE, f"{subject}: {says}", _sides(one.side for one in same))
        for (subject, says), same in sorted(by_aim.items())
        if len({one.side.task for one in same}) > 1
    ]


def contention(resource: str, available: int, sides: Iterable[Side]) -> Conflict | None:
    """A conflict if together they want more of a resource than there is."""
    wanting = _sides(side for side in sides if side.share > 0)
    if sum(side.share for side in wanting) <= available:
        return None
    return Conflict(ConflictKind.CONTENTION, resource, wanting, available)


def _near(edits: list[Edit], near: int) -> Iterator[tuple[Edit, Edit]]:
    """Pairs by sweeping from the first line down: far edits are never compared."""
    open_edits: list[Edit] = []
    for edit in sorted(edits, key=lambda one: (one.first, one.last, one.side.task)):
        open_edits = [one for one in open_edits if one.last + near >= edit.first]
        yield from ((one, edit) for one in open_edits if one.side.task != edit.side.task)
        open_edits.append(edit)


def _edit_conflict(one: Edit, other: Edit) -> Conflict:
    same = (one.first, one.last, one.result) == (other.first, other.last, other.result)
    kind = ConflictKind.DUPLICATE if same else ConflictKind.EDIT
    return Conflict(kind, one.path, _sides((one.side, other.side)))


def _sides(sides: Iterable[Side]) -> tuple[Side, ...]:
    return tuple(sorted(set(sides), key=lambda side: (side.task, side.agent, side.at)))
