"""Which tests touch a change, by the lines each of them ran before any change."""

from collections.abc import Mapping, Sequence

from bullpen.domain.test_report import TestReport
from bullpen.flow.improve.session import ImproveSession
from bullpen.testing.selection import select_tests
from bullpen.vcs.diffs import Diff, FileDiff, diff_trees

MOST_SELECTED = 0.6  # of all tests; above it, running them all costs hardly more and proves more


async def touching_tests(session: ImproveSession, tip: str, tree: str) -> tuple[str, ...]:
    """Tests that can notice what leads from ``tip`` to ``tree``; empty means all.

    The lines tests ran are known for the session's base, so a file that changed since then counts as a whole.
    """
    if session.coverage is None or not session.coverage.by_test or session.baseline is None:
        return ()
    diff = await diff_trees(session.mirror, tip, tree, renames=False)
    since = await diff_trees(session.mirror, session.opened.base, tip, renames=False)
    moved = {file.path for file in since.files}
    chosen = select_tests(session.coverage.by_test, _changed(diff, moved))
    if not chosen or len(chosen) > MOST_SELECTED * len(session.baseline.results):
        return ()
    return tuple(sorted(chosen))


def expected_of(baseline: TestReport, select: Sequence[str]) -> frozenset[str]:
    """Of the tests that passed before, those that are asked for; an entry may be a file of tests."""
    chosen = frozenset(select)
    passed = baseline.passed()
    if not chosen:
        return passed
    return frozenset(one for one in passed if one in chosen or one.split("::", 1)[0] in chosen)


def _changed(diff: Diff, moved: set[str]) -> Mapping[str, Sequence[int]]:
    return {file.path: () if file.path in moved else _old_lines(file) for file in diff.files}


def _old_lines(file: FileDiff) -> Sequence[int]:
    """Lines of the old file that were replaced; around a pure insertion, the lines on both sides."""
    lines: list[int] = []
    for hunk in file.hunks:
        lines += hunk.removed or (hunk.old_start, hunk.old_start + 1)
    return lines
