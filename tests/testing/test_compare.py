"""Comparing runs, and knowing tests that cannot be trusted."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.test_report import SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.sandbox.base import Sandbox
from bullpen.testing.base import TestRequest
from bullpen.testing.compare import compare_reports, steady_baseline
from bullpen.testing.environment import own_environment
from bullpen.testing.runners.pytest import RUNNER

reports = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(list(TestOutcome))).map(
    lambda found: report_of(**{name: outcome.value for name, outcome in found.items()})
)


def report_of(end: SuiteEnd = SuiteEnd.FINISHED, **outcomes: str) -> TestReport:
    return TestReport("pytest", (), end, tuple(TestResult(k, TestOutcome(v)) for k, v in outcomes.items()))


def test_each_kind_of_difference() -> None:
    before = report_of(a="passed", b="passed", c="failed", d="passed", e="passed", f="skipped")
    after = report_of(a="passed", b="error", c="passed", e="skipped", f="failed", g="passed")
    compared = compare_reports(before, after)
    assert (compared.broken, compared.fixed, compared.missing, compared.new) == (
        {"b", "e"},
        {"c"},
        {"d"},
        {"g"},
    )
    assert compared.worse


def test_a_run_that_did_not_finish_is_worse() -> None:
    assert compare_reports(report_of(a="passed"), report_of(SuiteEnd.KILLED, a="passed")).worse


def test_unsteady_tests_are_left_out() -> None:
    compared = compare_reports(report_of(a="passed", b="passed"), report_of(a="failed"), frozenset("ab"))
    assert not compared.worse


@given(reports)
def test_a_run_is_no_different_from_itself(report: TestReport) -> None:
    compared = compare_reports(report, report)
    assert not compared.worse
    assert not (compared.fixed | compared.new)


@given(reports, reports)
def test_broken_one_way_is_fixed_or_unproven_the_other(before: TestReport, after: TestReport) -> None:
    there, back = compare_reports(before, after), compare_reports(after, before)
    assert there.fixed <= back.broken
    assert there.missing == back.new


@pytest.mark.slow
@pytest.mark.parametrize("cheap_seconds", [60.0, 0.0])
async def test_a_test_with_two_answers_is_unsteady(
    sandbox: Sandbox, project: Callable[..., Path], cheap_seconds: float
) -> None:
    suite = (
        "import os\ndef test_a(): pass\ndef test_b(): assert False\n"
        "def test_c():\n    first = not os.path.exists('mark')\n    open('mark', 'w')\n    assert not first\n"
    )
    request = TestRequest(project({"test_a.py": suite}), own_environment())
    baseline = await steady_baseline(RUNNER, request, sandbox, cheap_seconds=cheap_seconds)
    assert baseline.unsteady == {"test_a.py::test_c"}
    assert "test_a.py::test_c" in baseline.report.notes[-1]
