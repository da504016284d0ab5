"""The pytest runner on real suites, also on those that misbehave."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.sandbox.base import MEBIBYTE, Limits, Sandbox
from bullpen.testing.base import TestRequest
from bullpen.testing.environment import own_environment
from bullpen.testing.runners.pytest import RUNNER

Project = Callable[[dict[str, str | bytes]], Path]


async def run(sandbox: Sandbox, root: Path, **fields: Any) -> TestReport:
    return await RUNNER.run(TestRequest(root, own_environment(), **fields), sandbox)


def outcomes(report: TestReport) -> dict[str, str]:
    return {result.id: result.outcome.value for result in report.results}


async def test_every_outcome_is_named(sandbox: Sandbox, project: Project) -> None:
    suite = """
import pytest, unittest
def test_passes(): pass
def test_fails(): assert 1 == 2, "one is not two"
def test_skips(): pytest.skip("not today")
@pytest.mark.xfail(reason="known")
def test_expected(): assert False
@pytest.fixture
def broken(): raise ValueError("broken fixture")
def test_errs(broken): pass
@pytest.mark.parametrize("n", [1, 2])
def test_each(n): assert n == 1
class TestCase(unittest.TestCase):
    def test_inside(self): self.assertEqual(1, 1)
    def test_parts(self):
        with self.subTest("a"): self.assertEqual(1, 2)
"""
    report = await run(sandbox, project({"test_a.py": suite}))
    assert report.end is SuiteEnd.FINISHED
    assert outcomes(report) == {
        "test_a.py::test_passes": "passed",
        "test_a.py::test_fails": "failed",
        "test_a.py::test_skips": "skipped",
        "test_a.py::test_expected": "xfailed",
        "test_a.py::test_errs": "error",
        "test_a.py::test_each[1]": "passed",
        "test_a.py::test_each[2]": "failed",
        "test_a.py::TestCase::test_inside": "passed",
        "test_a.py::TestCase::test_parts": "failed",
    }
    messages = {result.id: result.message for result in report.results}
    assert "one is not two" in messages["test_a.py::test_fails"]
    assert "not today" in messages["test_a.py::test_skips"]


async def test_a_hang_names_the_running_test_and_keeps_the_rest(sandbox: Sandbox, project: Project) -> None:
    root = project({"test_a.py": "def test_first(): pass\ndef test_hangs():\n    while True: pass\n"})
    report = await run(sandbox, root, limits=Limits(wall_seconds=6))
    assert report.end is SuiteEnd.TIMEOUT
    assert report.passed() == {"test_a.py::test_first"}
    assert report.failed() == {"test_a.py::test_hangs"}
    assert any("test_a.py::test_hangs" in note for note in report.notes)


async def test_a_hang_at_import_names_the_file(sandbox: Sandbox, project: Project) -> None:
    report = await run(sandbox, project({"test_a.py": "while True: pass\n"}), limits=Limits(wall_seconds=6))
    assert report.end is SuiteEnd.TIMEOUT
    assert report.failed() == {"test_a.py"}


@pytest.mark.parametrize("deed", ["os._exit(0)", "os.kill(os.getpid(), 9)"])
async def test_a_suite_that_ends_its_process_did_not_finish(
    sandbox: Sandbox, project: Project, deed: str
) -> None:
    suite = f"import os, time\ndef test_first(): pass\ndef test_dies():\n    {deed}\n    time.sleep(60)\n"
    report = await run(sandbox, project({"test_a.py": suite}), limits=Limits(wall_seconds=10))
    assert report.end is SuiteEnd.KILLED
    assert report.passed() == {"test_a.py::test_first"}
    assert report.failed() == {"test_a.py::test_dies"}


async def test_a_suite_that_kills_its_parent_harms_itself_alone(sandbox: Sandbox, project: Project) -> None:
    suite = "import os\ndef test_first(): pass\ndef test_kills():\n    os.kill(os.getppid(), 9)\n    assert False\n"
    report = await run(sandbox, project({"test_a.py": suite}), limits=Limits(wall_seconds=10))
    assert report.passed() == {"test_a.py::test_first"}
    assert report.failed() == {"test_a.py::test_kills"}


async def test_a_syntax_error_is_the_files_error_and_the_others_run(
    sandbox: Sandbox, project: Project
) -> None:
    root = project({"test_a.py": "def test_a(: pass\n", "test_b.py": "def test_b(): pass\n"})
    report = await run(sandbox, root)
    assert outcomes(report) == {"test_a.py": "error", "test_b.py::test_b": "passed"}
    assert "SyntaxError" in report.results[0].message


async def test_a_missing_dependency_is_the_files_error(sandbox: Sandbox, project: Project) -> None:
    report = await run(sandbox, project({"test_a.py": "import surely_not_installed\ndef test_a(): pass\n"}))
    assert outcomes(report) == {"test_a.py": "error"}
    assert "surely_not_installed" in report.results[0].message


async def test_no_tests_is_said(sandbox: Sandbox, project: Project) -> None:
    assert (await run(sandbox, project({"a.py": "x = 1\n"}))).end is SuiteEnd.NO_TESTS


async def test_a_broken_conftest_did_not_start(sandbox: Sandbox, project: Project) -> None:
    report = await run(sandbox, project({"conftest.py": "1/0\n", "test_a.py": "def test_a(): pass\n"}))
    assert report.end is SuiteEnd.NOT_STARTED
    assert "ZeroDivisionError" in report.output


@pytest.mark.parametrize(
    "options",
    [
        "-x --maxfail=1",
        "-n auto --dist loadscope",
        "--cov=src --cov-report term-missing --cov-fail-under=100",
        "--cov src",
        "--surely-not-an-option 5 --another=6",
        "-p surely_not_a_plugin",
        "--lf --sw",
        "--pdb",
        "-s",
        "--strict-config --strict-markers",
    ],
)
async def test_the_projects_options_never_stop_the_run(
    sandbox: Sandbox, project: Project, options: str
) -> None:
    config = f"[pytest]\naddopts = {options}\nsurely_unknown_key = 1\n"
    suite = "def test_fails(): assert False\ndef test_passes(): pass\n"
    report = await run(sandbox, project({"pytest.ini": config, "test_a.py": suite, "src/a.py": ""}))
    assert report.end is SuiteEnd.FINISHED, report.output
    assert outcomes(report) == {"test_a.py::test_fails": "failed", "test_a.py::test_passes": "passed"}


async def test_options_left_out_are_noted(sandbox: Sandbox, project: Project) -> None:
    config = "[pytest]\naddopts = --surely-not-an-option 5\n"
    report = await run(sandbox, project({"pytest.ini": config, "test_a.py": "def test_a(): pass\n"}))
    assert any("--surely-not-an-option 5" in note for note in report.notes)


async def test_the_projects_selection_is_honoured(sandbox: Sandbox, project: Project) -> None:
    config = (
        '[tool.pytest.ini_options]\ntestpaths = ["checks"]\naddopts = "-m \'not big\'"\nmarkers = ["big"]\n'
    )
    suite = "import pytest\ndef test_a(): pass\n@pytest.mark.big\ndef test_b(): pass\n"
    root = project(
        {"pyproject.toml": config, "checks/test_a.py": suite, "elsewhere/test_c.py": "def test_c(): pass\n"}
    )
    assert outcomes(await run(sandbox, root)) == {"checks/test_a.py::test_a": "passed"}


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        (["test_a.py::test_one[x::y]"], {"test_a.py::test_one[x::y]"}),
        (["test_a.py::test_one"], {"test_a.py::test_one[x::y]", "test_a.py::test_one[b c]"}),
        (["test_b.py"], {"test_b.py::TestB::test_two", "test_b.py::test_three"}),
        (["test_b.py::TestB"], {"test_b.py::TestB::test_two"}),
        (["test_b.py::test_three", "test_a.py::gone", "gone.py::x"], {"test_b.py::test_three"}),
    ],
)
async def test_only_the_selected_run(
    sandbox: Sandbox, project: Project, select: list[str], expected: set[str]
) -> None:
    root = project(
        {
            "test_a.py": "import pytest\n@pytest.mark.parametrize('v', ['x::y', 'b c'])\ndef test_one(v): pass\n",
            "test_b.py": "class TestB:\n    def test_two(self): pass\ndef test_three(): pass\n",
        }
    )
    assert set(outcomes(await run(sandbox, root, select=select))) == expected


async def test_coverage_by_relative_path(sandbox: Sandbox, project: Project) -> None:
    source = "def used():\n    return 1\n\n\ndef unused():\n    return 2\n"
    root = project(
        {"src/lib/__init__.py": source, "test_a.py": "import lib\ndef test_a(): assert lib.used() == 1\n"}
    )
    report = await run(sandbox, root, coverage=True)
    assert report.coverage
    lines = report.coverage.files["src/lib/__init__.py"]
    assert (lines.executed, lines.missing) == ({1, 2, 5}, {6})


async def test_coverage_names_which_test_ran_which_line(sandbox: Sandbox, project: Project) -> None:
    source = "def one():\n    return 1\n\n\ndef two():\n    return 2\n"
    suite = "import lib\ndef test_one(): lib.one()\ndef test_two(): lib.two()\n"
    report = await run(
        sandbox, project({"src/lib.py": source, "test_a.py": suite}), coverage=True, contexts=True
    )
    assert report.coverage
    by_test = report.coverage.by_test["src/lib.py"]
    assert by_test == {"": {1, 5}, "test_a.py::test_one": {2}, "test_a.py::test_two": {6}}


async def test_writing_outside_is_refused(sandbox: Sandbox, project: Project, tmp_path: Path) -> None:
    target = tmp_path / "outside"
    suite = f"def test_a():\n    open({str(target)!r}, 'w')\ndef test_b():\n    open('/usr/bin/x', 'w')\n"
    report = await run(sandbox, project({"test_a.py": suite}))
    assert report.failed() == {"test_a.py::test_a", "test_a.py::test_b"}
    assert not target.exists()


async def test_the_network_is_not_there_and_it_is_said(sandbox: Sandbox, project: Project) -> None:
    suite = "import urllib.request\ndef test_a(): urllib.request.urlopen('http://example.org', timeout=3)\n"
    report = await run(sandbox, project({"test_a.py": suite}))
    assert report.failed() == {"test_a.py::test_a"}
    assert any("network" in note for note in report.notes)


async def test_a_conftest_that_deletes_everything(sandbox: Sandbox, project: Project) -> None:
    conftest = (
        "import shutil\nshutil.rmtree('/work', ignore_errors=True)\nshutil.rmtree('/', ignore_errors=True)\n"
    )
    report = await run(sandbox, project({"conftest.py": conftest, "test_a.py": "def test_a(): pass\n"}))
    assert report.passed() == frozenset()
    again = project({"conftest.py": "", "test_a.py": "def test_a(): pass\n"})
    assert (await run(sandbox, again)).passed() == {"test_a.py::test_a"}


async def test_output_that_is_not_text(sandbox: Sandbox, project: Project) -> None:
    suite = b"import os\ndef test_a():\n    os.write(1, b'\\xff\\xfe\\x00caf\\xe9')\n    assert False, '\\udcff'\n"
    report = await run(sandbox, project({"test_a.py": suite}))
    assert report.failed() == {"test_a.py::test_a"}
    report.output.encode()
    report.results[0].message.encode()


async def test_a_flood_past_the_capture_is_cut(sandbox: Sandbox, project: Project) -> None:
    conftest = "import os\nfor n in range(10_000): os.write(2, b'x' * 100_000)\n"
    root = project({"conftest.py": conftest, "test_a.py": "def test_a(): pass\n"})
    report = await run(sandbox, root, limits=Limits(output_bytes=MEBIBYTE, wall_seconds=60))
    assert report.end is SuiteEnd.KILLED or report.end is SuiteEnd.NOT_STARTED
    assert len(report.output) <= 10_000


@pytest.mark.slow
async def test_a_gigabyte_of_prints_ends_the_run_not_us(sandbox: Sandbox, project: Project) -> None:
    suite = "def test_first(): pass\ndef test_floods():\n    for n in range(10_000): print('x' * 100_000)\n"
    report = await run(sandbox, project({"test_a.py": suite}), limits=Limits(wall_seconds=60))
    assert "test_a.py::test_first" in report.passed()
    assert report.failed() == {"test_a.py::test_floods"}


@pytest.mark.slow
async def test_five_thousand_tests(sandbox: Sandbox, project: Project) -> None:
    suite = "import pytest\n@pytest.mark.parametrize('n', range(5000))\ndef test_n(n): pass\n"
    report = await run(sandbox, project({"test_a.py": suite}))
    assert len(report.passed()) == 5000


async def test_forked_children_do_not_tell(sandbox: Sandbox, project: Project) -> None:
    suite = "import os\ndef test_a():\n    pid = os.fork()\n    if pid == 0: return\n    os.waitpid(pid, 0)\ndef test_b(): assert False\n"
    report = await run(sandbox, project({"test_a.py": suite}))
    assert outcomes(report) == {"test_a.py::test_a": "passed", "test_a.py::test_b": "failed"}


def test_detects_by_configuration_or_by_name(project: Project, tmp_path: Path) -> None:
    assert not RUNNER.detect(tmp_path)
    assert RUNNER.detect(project({"deep/er/test_a.py": ""}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pytest.ini", b""),
        ("setup.cfg", b"[tool:pytest]\n"),
        ("tox.ini", b"[pytest]\n"),
        ("pyproject.toml", b"[tool.pytest.ini_options]\n"),
        ("a_test.py", b""),
    ],
)
def test_detects(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert RUNNER.detect(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[tool", b"=\n[[", b""])
@pytest.mark.parametrize("name", ["setup.cfg", "tox.ini", "pyproject.toml"])
def test_unreadable_configuration_is_no_configuration(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert not RUNNER.detect(tmp_path)
