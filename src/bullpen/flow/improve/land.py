"""Land: the merge queue. Changes are rebased in the order of their items, verified as a batch, and a red batch is
bisected. One at a time; the same changes on the same tip always give the same commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.domain.verdict import Evidence
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.improve.commit_message import commit_message
from bullpen.flow.improve.project_tests import ProjectTests
from bullpen.vcs.commits import BULLPEN, Conflicted, cherry_pick_tree, commit_tree


@dataclass(frozen=True, slots=True)
class Accepted:
    """A change that passed its gates alone. ``commit`` holds its tree upon the wave's tip."""

    draft: ItemDraft
    evidence: Evidence
    commit: str
    source: str


@dataclass(frozen=True, slots=True)
class Landed:
    """An item's commit on the branch."""

    item: str
    commit: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class SentBack:
    """An item the queue gave back. ``met`` is the item it conflicts with, if it is a conflict."""

    item: str
    reason: str
    met: str = ""


@dataclass(frozen=True, slots=True)
class Landing:
    """What became of a batch. ``tip`` is the new head of the branch; ``runs`` counts runs of the whole suite."""

    tip: str
    landed: tuple[Landed, ...]
    sent_back: tuple[SentBack, ...]
    runs: int


@dataclass(frozen=True, slots=True)
class Queue:
    """Where changes land. ``at`` (seconds since 1970) dates every commit, so that a repeated run gives the same."""

    mirror: Path
    tests: ProjectTests
    baseline: TestReport
    at: int


@dataclass(frozen=True, slots=True)
class _Stack:
    """Changes put upon each other; ``commits`` run parallel to ``members``."""

    base: str
    members: tuple[Accepted, ...] = ()
    commits: tuple[str, ...] = ()

    @property
    def top(self) -> str:
        return self.commits[-1] if self.commits else self.base


async def land_batch(queue: Queue, tip: str, batch: Sequence[Accepted]) -> Landing:
    """Land what fits together and keeps the tests green; give back the rest with the reason."""
    runs = 0
    sent_back: list[SentBack] = []
    waiting = list(batch)
    while True:
        stack, conflicts = await _stack_up(queue, tip, waiting)
        sent_back += conflicts
        waiting = list(stack.members)
        if not waiting:
            return Landing(tip, (), tuple(sent_back), runs)
        problem = await _problem(queue, stack.top)
        runs += 1
        if not problem:
            return Landing(stack.top, _landed(stack), tuple(sent_back), runs)
        culprit, reason, more = await _bisect(queue, stack, problem)
        runs += more
        sent_back.append(SentBack(culprit.draft.id, reason))
        waiting = [one for one in waiting if one.draft.id != culprit.draft.id]


async def _stack_up(queue: Queue, tip: str, batch: Sequence[Accepted]) -> tuple[_Stack, list[SentBack]]:
    stack, conflicts = _Stack(tip), list[SentBack]()
    for change in batch:
        merged = await cherry_pick_tree(queue.mirror, change.commit, stack.top)
        if isinstance(merged, Conflicted):
            met = next((one.draft.id for one in stack.members if one.draft.path in merged.paths), "")
            where = ", ".join(merged.paths)
            reason = f"conflict in {where}" + (f" with {met}, which landed first" if met else "")
            conflicts.append(SentBack(change.draft.id, reason, met))
            continue
        message = commit_message(change.draft, change.evidence, change.source)
        commit = await commit_tree(queue.mirror, merged.tree, [stack.top], message, BULLPEN, queue.at)
        stack = _Stack(tip, (*stack.members, change), (*stack.commits, commit))
    return stack, conflicts


async def _problem(queue: Queue, commit: str) -> str:
    """Why a commit's tests are not as good as the baseline's, or nothing."""
    expected = queue.baseline.passed()
    if not expected:
        return ""
    report = await queue.tests.run_against(commit, expected)
    missing = sorted(expected - report.passed())
    if missing:
        return f"{len(missing)} tests no longer pass: {', '.join(missing[:3])}"
    return "" if report.end is SuiteEnd.FINISHED else f"the tests did not come to an end: {report.end}"


async def _bisect(queue: Queue, stack: _Stack, problem: str) -> tuple[Accepted, str, int]:
    """The first change of a red stack whose commit is red; with how many runs it took to find."""
    low, high, runs = 0, len(stack.members) - 1, 0
    while low < high:
        middle = (low + high) // 2
        runs += 1
        found = await _problem(queue, stack.commits[middle])
        if found:
            high, problem = middle, found
        else:
            low = middle + 1
    return stack.members[low], problem, runs


def _landed(stack: _Stack) -> tuple[Landed, ...]:
    pairs = zip(stack.members, stack.commits, strict=True)
    return tuple(Landed(member.draft.id, commit, member.evidence) for member, commit in pairs)
