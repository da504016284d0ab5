"""Tests of code that has none: what a function does is observed in the sandbox, then held by assertions."""

import ast
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from bullpen.codegraph.mutants import mutants, without_raise
from bullpen.domain.change import Applicability, FileChange
from bullpen.kernel.python_text import parse_module
from bullpen.recipes._inputs import calls_to_try
from bullpen.recipes._observation import Seen, Target, module_of, noticed, observe
from bullpen.recipes._test_file import TestFunction, tests_of, written
from bullpen.recipes.base import RecipeJob

MOST_ASSERTIONS = 6
WITNESSES = 2  # calls that should notice each mutant
UNDECODABLE = re.compile("[\udc80-\udcff]")
NOT_FOR_TESTS = re.compile(
    r"(^|/)(tests?|testing|docs|examples|conftest\.py|setup\.py|__main__\.py|test_[^/]*)(/|$)"
)


@dataclass(frozen=True, slots=True)
class ObservingRecipe:
    """A recipe that calls functions in the sandbox and writes what they did into a test file.

    ``keep`` gets the job and a function, and returns the calls that a test should hold.
    """

    name: str
    fixes: tuple[str, ...]
    applicability: Applicability
    summary: str
    why: str
    source: str
    kind: str
    keep: Callable[[RecipeJob, Target], Awaitable[list[Seen]]]

    def fits(self, job: RecipeJob) -> bool:
        """See ``Selective.fits``."""
        return any(calls_to_try(target.function) for target in targets_of(job))

    async def apply(self, job: RecipeJob) -> list[FileChange]:
        """See ``Recipe.apply``."""
        tests: list[TestFunction] = []
        targets = list(targets_of(job))
        for target in targets:
            tests += tests_of(target, await self.keep(job, target))
        return written(job, targets[0].module, self.kind, tests) if targets else []


def targets_of(job: RecipeJob) -> Iterator[Target]:
    """Public functions at the top level of an importable module, at a site; plain ones only."""
    module = module_of(job.path, job.root)
    if not module or NOT_FOR_TESTS.search(job.path):
        return
    text = job.source().decode("utf-8", "surrogateescape")
    try:
        tree = parse_module(UNDECODABLE.sub("?", text.removeprefix("\ufeff")))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return
    defined = [getattr(node, "name", "") for node in tree.body]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and _is_plain(node) and defined.count(node.name) == 1:
            last = node.end_lineno or node.lineno
            if any(node.lineno <= site.line <= last for site in job.sites):
                yield Target(module, node)


def _is_plain(function: ast.FunctionDef) -> bool:
    if function.name.startswith(("_", "test")) or function.name == "main" or function.decorator_list:
        return False
    unsuited = (ast.Yield, ast.YieldFrom, ast.Global, ast.Nonlocal)
    return not any(isinstance(node, unsuited) for node in ast.walk(function))


async def characterised(job: RecipeJob, target: Target) -> list[Seen]:
    """The few calls that together notice the most mutants of a function; each notices at least one."""
    seen = await observe(job, target, calls_to_try(target.function))
    if all(one.observation.value == "None" for one in seen if not one.observation.error):
        seen = tuple(one for one in seen if one.observation.error)
    changed = mutants(target.function)
    if not seen or not changed:
        return []
    return fewest(seen, await noticed(job, target, seen, changed))


def fewest(seen: Sequence[Seen], notices: Sequence[frozenset[int]]) -> list[Seen]:
    """A greedy cover: the next call is the one that notices most of what fewer than two calls notice so far."""
    left = Counter({number: WITNESSES for one in notices for number in one})
    kept: list[int] = []
    while len(kept) < MOST_ASSERTIONS:
        news = {place: sum(left[number] > 0 for number in one) for place, one in enumerate(notices)}
        known = {seen[place].observation for place in kept}
        best = max(news, key=lambda place: (news[place], seen[place].observation not in known, -place))
        if best in kept or not news[best]:
            break
        kept.append(best)
        left.subtract(notices[best])
        notices = [frozenset[int]() if place == best else one for place, one in enumerate(notices)]
    return [seen[place] for place in sorted(kept)]


async def refused(job: RecipeJob, target: Target) -> list[Seen]:
    """For each ``raise`` that no test reaches, one call that reaches it, and that notices when it is gone."""
    lines = _unreached(job, target)
    if not lines:
        return []
    seen = await observe(job, target, calls_to_try(target.function))
    reaching = [next((one for one in seen if one.observation.line == line), None) for line in lines]
    found = [one for one in reaching if one is not None]
    if not found:
        return []
    changed = [without_raise(target.function, one.observation.line) for one in found]
    notices = await noticed(job, target, found, changed)
    return [one for place, one in enumerate(found) if place in notices[place]]


def _unreached(job: RecipeJob, target: Target) -> list[int]:
    raises = [node for node in ast.walk(target.function) if isinstance(node, ast.Raise) and node.exc]
    known = job.coverage.files.get(job.path) if job.coverage else None
    asked = {site.line for site in job.sites}
    return sorted(
        node.lineno for node in raises if (node.lineno in known.missing if known else node.lineno in asked)
    )


RECIPES = (
    ObservingRecipe(
        name="characterise-function",
        fixes=("test-gaps:never-run",),
        applicability=Applicability.SAFE,
        summary="Hold what an untested function does today in a characterisation test.",
        why="No test runs this function; with its present results held, a change of them is seen. Every assertion was checked to fail on a mutant of the function.",
        source="https://en.wikipedia.org/wiki/Characterization_test",
        kind="characterisation",
        keep=characterised,
    ),
    ObservingRecipe(
        name="test-error-path",
        fixes=("test-gaps:uncovered-error-path", "test-gaps:never-run"),
        applicability=Applicability.SAFE,
        summary="Test that a function refuses what its guard is there to refuse.",
        why="No test reaches this raise; the new test fails if the guard is taken out.",
        source="https://docs.pytest.org/en/stable/how-to/assert.html#assertions-about-expected-exceptions",
        kind="errors",
        keep=refused,
    ),
)
