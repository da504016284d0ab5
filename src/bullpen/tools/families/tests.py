"""Run the project's tests."""

from dataclasses import dataclass

from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.testing.base import TestRequest
from bullpen.tools.base import Risk, ToolContext, need, tool

_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class TestsRun:
    """``ok`` means that nothing that passed before fails or is gone now, and that the suite came to its end."""

    ok: bool
    summary: str
    end: str
    passed: int
    failed: int
    new_failures: tuple[str, ...]
    lost: tuple[str, ...]
    messages: tuple[str, ...]
    output: str


@tool(risk=Risk.EXECUTE)
async def run_tests(ctx: ToolContext, select: list[str] | None = None) -> TestsRun:
    """Run the project's own tests in the sandbox and compare them with how they were before the task.

    Args:
        select: Ids of the tests to run, such as tests/test_a.py::test_b; leave it out to run all of them.
    """
    bench = need(ctx.skills.tests, "tests")
    environment = need(ctx.environment, "environment for the project's tests")
    request = TestRequest(ctx.workspace, environment, tuple(select or ()), limits=ctx.limits)
    before = await ctx.worktree.snapshot() if ctx.worktree else ""
    try:
        report = await bench.run(request)
    finally:
        # tests may write into the tree; what they leave is not part of the change
        if ctx.worktree:
            await ctx.worktree.restore(before)
    return compare(report, ctx.baseline, whole=not (select or report.selected))


def compare(now: TestReport, before: TestReport | None, *, whole: bool) -> TestsRun:
    """What got worse since ``before``; without a baseline every failure is new."""
    failed, passed = now.failed(), now.passed()
    known = _asked(before.passed(), now.selected) if before else frozenset[str]()
    new = sorted(failed - (before.failed() if before else frozenset[str]()))
    lost = sorted(known - {result.id for result in now.results}) if whole else []
    ended = now.end in (SuiteEnd.FINISHED, SuiteEnd.NO_TESTS)
    ok = ended and not new and not lost and (bool(passed) or not known)
    messages = tuple(f"{one.id}: {one.message}" for one in now.results if one.id in new)[:_MOST_SHOWN]
    return TestsRun(
        ok,
        _summary(now, len(passed), len(failed), len(new), len(lost)) + _names(new or lost),
        now.end.value,
        len(passed),
        len(failed),
        tuple(new[:_MOST_SHOWN]),
        tuple(lost[:_MOST_SHOWN]),
        messages,
        "" if ok else now.output[-4000:],
    )


def _asked(known: frozenset[str], selected: tuple[str, ...]) -> frozenset[str]:
    """Of the tests that passed before, those a run asked for; an entry may be a file of tests."""
    chosen = frozenset(selected)
    return (
        known
        if not chosen
        else frozenset(one for one in known if one in chosen or one.split("::", 1)[0] in chosen)
    )


def _names(tests: list[str]) -> str:
    return f" Look at {', '.join(tests[:3])}." if tests else ""


def _summary(report: TestReport, passed: int, failed: int, new: int, lost: int) -> str:
    if report.end not in (SuiteEnd.FINISHED, SuiteEnd.NO_TESTS):
        return f"The tests did not finish: {report.end.value}."
    if report.end is SuiteEnd.NO_TESTS:
        return "There are no tests." if not lost else f"{lost} tests are gone."
    worse = [f"{new} of them new" if new else "", f"{lost} gone" if lost else ""]
    return f"{passed} tests pass, {failed} fail{''.join(f', {part}' for part in worse if part)}."


TOOLS = (run_tests,)
