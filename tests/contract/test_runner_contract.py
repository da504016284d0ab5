"""What every test runner must do, on a project of its own kind."""

from pathlib import Path

import pytest

from bullpen.domain.test_report import SuiteEnd
from bullpen.kernel.extend import ExtensionPoint
from bullpen.sandbox.base import Limits, Sandbox
from bullpen.sandbox.choose import choose_sandbox
from bullpen.testing.base import Environment, Runner, TestRequest
from bullpen.testing.environment import own_environment

POINT: ExtensionPoint[Runner] = ExtensionPoint("bullpen.testing.runners", "RUNNER")
PROJECTS = {  # by runner: files that pass, that fail, that never end
    "pytest": (
        {"test_a.py": "def test_a(): pass\n"},
        {"test_a.py": "def test_a(): assert False\n"},
        {"test_a.py": "def test_a():\n    while True: pass\n"},
    ),
    "command": (
        {"run.sh": "exit 0\n"},
        {"run.sh": "echo no; exit 3\n"},
        {"run.sh": "while true; do :; done\n"},
    ),
}


@pytest.fixture(params=POINT.names())
def runner(request: pytest.FixtureRequest) -> Runner:
    return POINT.load(request.param)


@pytest.fixture
def environment() -> Environment:
    own = own_environment()
    return Environment(
        own.origin, own.python, own.mounts, own.import_paths, (("BULLPEN_TEST_COMMAND", "sh run.sh"),)
    )


@pytest.fixture
async def box() -> Sandbox:
    return (await choose_sandbox())[0]


def write(root: Path, runner: Runner, which: int) -> Path:
    root = root / "project"
    root.mkdir()
    for name, text in PROJECTS[runner.name][which].items():
        (root / name).write_text(text)
    return root


def test_its_file_name_is_its_name(runner: Runner) -> None:
    assert runner.name in POINT.names()
    assert POINT.load(runner.name) is runner


def test_an_empty_folder_is_nobodys(runner: Runner, tmp_path: Path) -> None:
    assert not runner.detect(tmp_path)


async def test_a_passing_project(
    runner: Runner, environment: Environment, box: Sandbox, tmp_path: Path
) -> None:
    report = await runner.run(TestRequest(write(tmp_path, runner, 0), environment), box)
    assert (report.runner, report.end, len(report.passed())) == (runner.name, SuiteEnd.FINISHED, 1), (
        report.output
    )
    assert not report.failed()


async def test_a_failing_project(
    runner: Runner, environment: Environment, box: Sandbox, tmp_path: Path
) -> None:
    report = await runner.run(TestRequest(write(tmp_path, runner, 1), environment), box)
    assert (report.end, len(report.failed())) == (SuiteEnd.FINISHED, 1)
    assert report.results[0].message


async def test_one_that_never_ends_is_a_report(
    runner: Runner, environment: Environment, box: Sandbox, tmp_path: Path
) -> None:
    request = TestRequest(write(tmp_path, runner, 2), environment, limits=Limits(wall_seconds=5))
    report = await runner.run(request, box)
    assert (report.end, len(report.failed())) == (SuiteEnd.TIMEOUT, 1)


async def test_output_is_told_while_it_runs(
    runner: Runner, environment: Environment, box: Sandbox, tmp_path: Path
) -> None:
    told: list[bytes] = []
    await runner.run(TestRequest(write(tmp_path, runner, 1), environment), box, told.append)
    assert b"".join(told)
