"""Which tests can notice a change, by the lines each of them ran before it.

Errs on the side of all tests. What it cannot see: code chosen by data that changed elsewhere, and state that one test
leaves for another outside of fixtures and caches.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping
from fnmatch import fnmatch
from pathlib import PurePosixPath

Contexts = Mapping[str, Mapping[str, frozenset[int]]]  # ``Coverage.by_test``


def select_tests(contexts: Contexts, changed: Mapping[str, Collection[int]]) -> frozenset[str] | None:
    """The ids of tests, and files of tests, to run again; None means all.

    Args:
        contexts: ``Coverage.by_test`` of a run before the change.
        changed: by path, line numbers of the old file that were replaced or removed. Where lines were only added, the
            line before and the line after (one past the end at the end of the file). An empty collection means
            that anything in the file may have changed.
    """
    chosen: set[str] = set()
    for path, lines in changed.items():
        found = _touching(contexts.get(path), path, lines)
        if found is None:
            return None
        chosen |= found
    return frozenset(chosen)


def _touching(
    tests: Mapping[str, frozenset[int]] | None, path: str, lines: Collection[int]
) -> set[str] | None:
    if tests is None:
        return {path} if _is_test_file(path) else None
    if not lines:
        return None
    found: set[str] = set()
    for line in lines:
        region = _of_region(tests, line)
        if not region:
            return None
        found |= region
    return found


def _is_test_file(path: str) -> bool:
    name = PurePosixPath(path).name
    return fnmatch(name, "test_*.py") or fnmatch(name, "*_test.py")


def _of_region(tests: Mapping[str, frozenset[int]], line: int) -> set[str]:
    """Tests that ran any line between the import-time lines around this one, in other words in its function.

    Empty, which means all tests, for an import-time line, for one before the first or after the last known, and where
    no test ran any: then nothing tells a function that no test calls from the rest of a statement over many lines.
    """
    shared = sorted(tests.get("", ()))
    last = max((max(lines, default=0) for lines in tests.values()), default=0)
    place = bisect_left(shared, line)
    if line > last or place == 0 or (place < len(shared) and shared[place] == line):
        return set()
    above = shared[place - 1]
    below = shared[place] if place < len(shared) else last + 1
    return {test for test, lines in tests.items() if test and _any_between(lines, above, below)}


def _any_between(lines: frozenset[int], above: int, below: int) -> bool:
    ordered = sorted(lines)
    return bisect_right(ordered, above) < bisect_left(ordered, below)
