"""Land: the merge queue. Changes are rebased in the order of their items, verified as a batch, and a red batch is
bisected. One at a time; the same changes on the same tip always give the same commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.ids import ItemId
from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.domain.verdict import Evidence
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.improve.commit_message import commit_message
from bullpen.flow.improve.test_runs import TestRuns
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
    """An item's commit on the branch. ``title`` says what of the item it does."""

    item: str
    commit: str
    evidence: Evidence
    title: str = ""


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
    tests: TestRuns
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
    """Land what fits together and keeps the tests green; give back the rest with the reason.

    Each red stack costs one change, the first with which it is red; what was in conflict only with that one may land.
    """
    runs, culprits = 0, dict[str, SentBack]()
    while True:
        waiting = [one for one in batch if one.draft.id not in culprits]
        stack, conflicts = await _stack_up(queue, tip, waiting)
        problem = await _problem(queue, stack.top) if stack.members else ""
        runs += _counted(queue, stack)
        if not problem:
            back = (*conflicts, *culprits.values())
            return Landing(stack.top, _landed(stack), _in_order(batch, back), runs)
        culprit, reason, more = await _bisect(queue, stack, problem)
        runs += more
        culprits[culprit.draft.id] = SentBack(culprit.draft.id, reason)


def _counted(queue: Queue, stack: _Stack) -> int:
    """Whether the tests of a stack were run: not for none, nor where none passed before."""
    return int(bool(stack.members and queue.baseline.passed()))


def _in_order(batch: Sequence[Accepted], back: Sequence[SentBack]) -> tuple[SentBack, ...]:
    place = {one.draft.id: number for number, one in enumerate(batch)}
    return tuple(sorted(back, key=lambda one: place[ItemId(one.item)]))


async def _stack_up(queue: Queue, tip: str, batch: Sequence[Accepted]) -> tuple[_Stack, list[SentBack]]:
    stack, conflicts = _Stack(tip), list[SentBack]()
    for change in batch:
        merged = await cherry_pick_tree(queue.mirror, change.commit, stack.top)
        if isinstance(merged, Conflicted):
            conflicts.append(_conflict(change, stack, merged))
            continue
        message = commit_message(change.draft, change.evidence, change.source)
        commit = await commit_tree(queue.mirror, merged.tree, [stack.top], message, BULLPEN, queue.at)
        stack = _Stack(tip, (*stack.members, change), (*stack.commits, commit))
    return stack, conflicts


def _conflict(change: Accepted, stack: _Stack, merged: Conflicted) -> SentBack:
    """Who it met is the one nearest to it in a file both change, as far as the items say."""
    others = [one for one in stack.members if one.draft.path in merged.paths]
    met = min(others, key=lambda one: _distance(one.draft, change.draft), default=None)
    where = ", ".join(merged.paths)
    name = met.draft.id if met else ""
    reason = f"conflict in {where}" + (f" with {name}, which landed first" if name else "")
    return SentBack(change.draft.id, reason, name)


def _distance(one: ItemDraft, other: ItemDraft) -> int:
    return min((abs(a - b) for a in one.lines for b in other.lines), default=0)


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
    return tuple(
        Landed(member.draft.id, commit, member.evidence, member.draft.title) for member, commit in pairs
    )
