"""Two runs of a suite side by side: what a change broke, and which tests never could tell."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.sandbox.base import Sandbox
from bullpen.testing.base import Runner, TestRequest


@dataclass(frozen=True, slots=True)
class TestComparison:
    """Ids of tests. ``broken`` passed before and do not now; ``fixed`` the other way round.

    ``missing`` were there before and are gone, ``new`` are there now only. ``unfinished`` says that the later run did
    not get to its end, so that missing tests may just not have been reached.
    """

    __test__ = False
    broken: frozenset[str]
    fixed: frozenset[str]
    missing: frozenset[str]
    new: frozenset[str]
    unfinished: bool = False

    @property
    def worse(self) -> bool:
        """Whether anything that worked does not any more, or cannot be told."""
        return bool(self.broken or self.missing or self.unfinished)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A run to compare with. ``unsteady`` tests gave two answers for one tree: they are left out of comparisons."""

    report: TestReport
    unsteady: frozenset[str] = frozenset()


def compare_reports(
    before: TestReport, after: TestReport, unsteady: frozenset[str] = frozenset()
) -> TestComparison:
    """What is different; tests that were skipped in either run neither broke nor were fixed.

    A test that passed and is skipped now counts as broken: nothing shows any more that it works.
    """
    was = {result.id for result in before.results} - unsteady
    now = {result.id for result in after.results} - unsteady
    return TestComparison(
        broken=(before.passed() - after.passed() - unsteady) & now,
        fixed=(after.passed() & before.failed()) - unsteady,
        missing=frozenset(was - now),
        new=frozenset(now - was),
        unfinished=after.end not in (SuiteEnd.FINISHED, before.end),
    )


async def steady_baseline(
    runner: Runner,
    request: TestRequest,
    sandbox: Sandbox,
    *,
    cheap_seconds: float = 30.0,
    on_output: Callable[[bytes], None] | None = None,
    fresh_workspace: Callable[[], Path] | None = None,
) -> Baseline:
    """Run a suite, and again what is worth it, to know the tests that cannot be trusted.

    A suite of up to ``cheap_seconds`` is run twice in full; of a longer one only the tests that failed are run again.
    ``fresh_workspace`` gives the second run a tree the first has not written to; without it, both use the same.
    """
    first = await runner.run(request, sandbox, on_output)
    whole = first.seconds <= cheap_seconds
    if first.end is not SuiteEnd.FINISHED or not (whole or first.failed()):
        return Baseline(first)
    select = request.select if whole else tuple(sorted(first.failed()))
    workspace = fresh_workspace() if fresh_workspace else request.workspace
    again = replace(request, workspace=workspace, select=select, coverage=False, contexts=False)
    return _settled(first, await runner.run(again, sandbox, on_output), whole=whole)


def _settled(first: TestReport, second: TestReport, *, whole: bool) -> Baseline:
    if second.end is not SuiteEnd.FINISHED:
        note = "A second run of the same tree did not finish, so unsteady tests are not known."
        return Baseline(replace(first, notes=(*first.notes, note)))
    answers = {result.id: result.outcome for result in second.results}
    unsteady = frozenset(r.id for r in first.results if answers.get(r.id, r.outcome) is not r.outcome)
    if whole:
        unsteady |= frozenset(answers) ^ frozenset(result.id for result in first.results)
    note = f"{len(unsteady)} tests gave two answers for the same tree and are left out: {_listed(unsteady)}."
    return Baseline(replace(first, notes=(*first.notes, note)) if unsteady else first, unsteady)


def _listed(ids: frozenset[str]) -> str:
    shown = sorted(ids)[:5]
    return ", ".join(shown) + (", ..." if len(ids) > len(shown) else "")
