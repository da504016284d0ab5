"""Runs of pytest as forks of one process say what runs of their own say."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.flow.calibration.court import lean_environment
from bullpen.flow.calibration.warm import warm_pytest
from bullpen.sandbox.base import Command, Limits, Sandbox
from bullpen.testing.base import TestRequest
from bullpen.testing.environment import own_environment
from bullpen.testing.runners.pytest import RUNNER

TREES = {
    "mixed": "import os\n\ndef test_good(tmp_path):\n    (tmp_path / 'a').write_text(os.getcwd())\n\ndef test_bad():\n    assert 1 == 2\n",
    "other": "def test_good():\n    import sys\n    assert 'left' not in sys.modules\n    sys.modules['left'] = sys\n",
    "gone": "import os\n\ndef test_exit():\n    os._exit(0)\n",
    "broken": "def test_broken(:\n",
}


def request(trees: Path, name: str, seconds: float = 30.0) -> TestRequest:
    environment = lean_environment(own_environment(), ())
    return TestRequest(trees / "of" / name, environment, limits=Limits(wall_seconds=seconds))


def said(report: TestReport) -> tuple[SuiteEnd, int | None, list[tuple[str, str]]]:
    return report.end, report.exit_status, sorted((one.id, one.outcome.value) for one in report.results)


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    for name, text in TREES.items():
        (tmp_path / "trees" / "of" / name).mkdir(parents=True)
        (tmp_path / "trees" / "of" / name / "test_it.py").write_text(text)
    return tmp_path / "trees"


@pytest.mark.req("WFL-05")
async def test_what_a_fork_says_is_what_a_process_says(tmp_path: Path, trees: Path, sandbox: Sandbox) -> None:
    cold = [said(await RUNNER.run(request(trees, name), sandbox)) for name in TREES]
    async with warm_pytest(sandbox, trees, tmp_path / "records") as warm:
        first = [said(await RUNNER.run(request(trees, name), warm)) for name in TREES]
        async with asyncio.TaskGroup() as group:
            again = [group.create_task(RUNNER.run(request(trees, name), warm)) for name in TREES]
        assert first == [said(task.result()) for task in again] == cold
        assert 1 <= len(warm.all) <= len(TREES)


async def test_a_run_that_does_not_end_is_ended(tmp_path: Path, trees: Path, sandbox: Sandbox) -> None:
    (trees / "of" / "mixed" / "test_it.py").write_text("def test_ever():\n    while True:\n        pass\n")
    async with warm_pytest(sandbox, trees, tmp_path / "records") as warm:
        report = await RUNNER.run(request(trees, "mixed", 2.0), warm)
        assert report.end is SuiteEnd.TIMEOUT
        assert (await RUNNER.run(request(trees, "other"), warm)).end is SuiteEnd.FINISHED
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await RUNNER.run(request(trees, "mixed", 600.0), warm)


async def test_anything_else_goes_to_the_sandbox_as_it_is(
    tmp_path: Path, trees: Path, sandbox: Sandbox
) -> None:
    async with warm_pytest(sandbox, trees, tmp_path / "records") as warm:
        assert (await warm.run(Command(("true",)))).ok
        measured = await RUNNER.run(replace(request(trees, "mixed"), coverage=True), warm)
        assert measured.coverage is not None
        assert warm.all == []
