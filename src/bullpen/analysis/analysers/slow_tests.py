"""Tests that take most of the time of their suite, from a run in which every test was timed."""

import ast
import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.outline import parse_python
from bullpen.analysis.tools import own_version
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

LEAST_SECONDS = 1.0  # pytest shows nothing shorter as slow either, and shorter times are mostly noise
_VERY_SLOW = 10.0
_LEAST_SHARE = 0.05  # of the whole suite
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class _Slow:
    """A test function: its name with those of its classes, all its cases together."""

    name: str
    seconds: float
    cases: int


class SlowTests:
    """Test functions of a second and more that are a real part of the suite's time."""

    __test__ = False
    name = "slow-tests"
    reach = Reach.KNOWN

    def version(self) -> str:
        """Of this file."""
        return own_version(__file__)

    def wants(self, path: str) -> bool:
        """Python sources; which of them hold tests is known from the run."""
        return path.endswith(".py")

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        return await asyncio.to_thread(lambda: list(_observe(tree, frozenset(paths))))


def _observe(tree: SourceTree, paths: frozenset[str]) -> Iterator[Observation]:
    total = sum(tree.durations.values())
    for path, tests in _slow_by_path(tree.durations, total * _LEAST_SHARE).items():
        module = parse_python(tree.text(path)) if path in paths else None
        lines = dict(_tests(module, "")) if module else {}
        yield from (_slow(path, each, lines[each.name], total) for each in tests if each.name in lines)


def _slow_by_path(durations: Mapping[str, float], least: float) -> dict[str, list[_Slow]]:
    cases: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for test, seconds in durations.items():
        path, _, name = test.partition("::")
        cases[path, name.partition("[")[0].replace("::", ".")].append(seconds)
    found: defaultdict[str, list[_Slow]] = defaultdict(list)
    for (path, name), times in sorted(cases.items()):
        if max(times) >= LEAST_SECONDS and sum(times) >= least:
            found[path].append(_Slow(name, sum(times), len(times)))
    return found


def _tests(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, int]]:
    for child in node.body:
        if isinstance(child, ast.ClassDef):
            yield from _tests(child, f"{prefix}{child.name}.")
        elif isinstance(child, _Function):
            yield f"{prefix}{child.name}", child.lineno


def _slow(path: str, test: _Slow, line: int, total: float) -> Observation:
    cases = f" in {test.cases} cases" if test.cases > 1 else ""
    return Observation(
        rule="slow-tests:slow",
        message=f"{test.name} took {test.seconds:.1f} s{cases}, {test.seconds / total:.0%} of the whole suite.",
        severity=Severity.LOW if test.seconds >= _VERY_SLOW else Severity.INFO,
        concern=Concern.QA,
        place=Place(path, line, symbol=test.name),
        analyser="slow-tests",
        url="https://docs.pytest.org/en/stable/how-to/usage.html#profiling-test-execution-duration",
    )


ANALYSER = SlowTests()
