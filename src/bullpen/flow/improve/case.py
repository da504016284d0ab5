"""A change to be proved."""

from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.finding import Finding
from bullpen.domain.test_report import TestReport
from bullpen.domain.work_item import ItemDraft
from bullpen.vcs.commits import BULLPEN, commit_tree


@dataclass(frozen=True, slots=True)
class Case:
    """What a change was to do, from which commit, to which tree.

    ``known`` are the item's findings as they stand at the tip, so that they are recognised there. ``mutants`` bounds the faults put into touched lines (0: none), ``mutant_seconds`` the time for all of them.
    """

    draft: ItemDraft
    tip: str
    tree: str
    mirror: Path
    baseline: TestReport
    select: tuple[str, ...] = ()  # tests that touch the change; empty means all
    known: tuple[Finding, ...] = ()
    approved: bool = True  # a person said yes to recipes that may change behaviour
    mutants: int = 3
    mutant_seconds: float = 8.0


async def candidate_commit(mirror: Path, tree: str, parent: str) -> str:
    """A commit no branch names, so that a tree can be checked out and tested. The same tree gives the same commit."""
    return await commit_tree(mirror, tree, [parent], "candidate", BULLPEN, 0)
