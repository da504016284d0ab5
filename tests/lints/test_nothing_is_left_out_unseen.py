"""The tests' own machinery: what is left out is said, and where CI is set it is a failure."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import pytest

@pytest.mark.req("ABC-01", "ABC-02")
def test_passes(): pass

@pytest.mark.req("ABC-01")
@pytest.mark.needs("{need}")
def test_needs(): pass

def test_skips(): pytest.skip("not today")

@pytest.mark.xfail(reason="known", strict=True)
def test_known_fault(): assert False
"""
IMPOSSIBLE = "ordinary user" if os.geteuid() == 0 else "root"


def run(folder: Path, *options: str, need: str = IMPOSSIBLE, **env: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_some.py").write_text(TESTS.format(need=need))
    base = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "PYTEST", "COV"))}
    argv = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-p", "tests.conftest"]
    where = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), str(folder / "test_some.py")]
    return subprocess.run(
        [*argv, *where, *options], cwd=ROOT, env={**base, **env}, capture_output=True, text=True
    )


def test_what_is_left_out_is_said_with_its_reason(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "left out, and why" in done.stdout
    assert f"1 test   needs {IMPOSSIBLE}: " in done.stdout
    assert "1 test   not today" in done.stdout


def test_where_ci_is_set_it_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, CI="true")
    assert done.returncode == 1
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in done.stdout
    assert "left out although CI is set: not today" in done.stdout


def test_an_unknown_need_is_an_error_not_a_skip(tmp_path: Path) -> None:
    done = run(tmp_path, need="a-miracle")
    assert done.returncode == 1
    assert "'a-miracle', which is none of: bubblewrap, docker" in done.stdout


def test_requirements_are_listed_with_their_tests(tmp_path: Path) -> None:
    done = run(tmp_path, "--requirements")
    assert "ABC-01 (2)\n  test_some.py::test_needs\n  test_some.py::test_passes\nABC-02 (1)" in done.stdout
