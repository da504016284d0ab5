"""Run the project's own tests on the checkout as it stands; passed, failed and whether none failed are measured."""

from bullpen.domain.test_report import SuiteEnd, TestOutcome, TestReport
from bullpen.flow.definitions.base import TAIL, Kind, StepResult, StepState, Work
from bullpen.flow.definitions.ground import agent_session, own_worktree
from bullpen.flow.definitions.model import Strict
from bullpen.flow.improve.bench import ItemWorktree
from bullpen.flow.improve.prove import candidate_commit

_BAD = (TestOutcome.FAILED, TestOutcome.ERROR)


class TestsInputs(Strict):
    """``select`` holds files or ids of tests; empty means all. ``may_lack``: a project without tests passes;
    ``may_fail``: what they say is only measured.
    """

    __test__ = False
    select: tuple[str, ...] = ()
    may_lack: bool = False
    may_fail: bool = False


async def _run(work: Work, given: TestsInputs) -> StepResult:
    session = await agent_session(work)
    worktree = ItemWorktree(await own_worktree(work), session.opened.base)
    tree = await worktree.snapshot()
    commit = await candidate_commit(session.mirror, tree, session.opened.base)
    return _result(await session.tests.run(commit, given.select), given)


def _result(report: TestReport, given: TestsInputs) -> StepResult:
    failed = [one for one in report.results if one.outcome in _BAD]
    lacking = report.end is SuiteEnd.NO_TESTS and given.may_lack
    ok = lacking or (report.end is SuiteEnd.FINISHED and not failed)
    passes = ok or (given.may_fail and report.end is SuiteEnd.FINISHED)
    words = f"{len(report.passed())} passed, {len(failed)} failed, {report.end.value}"
    first = f": {failed[0].id}" if failed else "; ".join(("", *report.notes[-1:]))
    return StepResult(
        StepState.DONE if passes else StepState.FAILED,
        f"{words}\n{report.output[-TAIL:]}",
        "" if passes else words + first,
        measured={
            "tests_passed": len(report.passed()),
            "tests_failed": len(failed),
            "zero_test_failures": ok,
            "seconds": round(report.seconds, 3),
        },
    )


KIND = Kind(TestsInputs, _run)
