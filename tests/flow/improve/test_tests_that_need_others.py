"""Tests that pass only after others have run are no reason to refuse a change; a test that fails is."""

import asyncio
from pathlib import Path

import pytest

from bullpen.flow.improve.project_tests import ProjectTests
from bullpen.sandbox.base import Limits, Sandbox
from bullpen.testing.environment import own_environment
from bullpen.vcs.commits import BULLPEN, commit_tree, put_files
from bullpen.vcs.git import git

FIRST = "import builtins\n\n\ndef test_first():\n    builtins.first_ran = True\n"
SECOND = "import builtins\n\n\ndef test_second():\n    assert builtins.first_ran\n"
BROKEN = "def test_second():\n    assert False\n"


async def suite(tmp_path: Path, sandbox: Sandbox, second: str) -> tuple[ProjectTests, str]:
    mirror = tmp_path / "mirror.git"
    await git(tmp_path, "init", "--bare", "-q", str(mirror))
    empty = (await git(mirror, "hash-object", "-t", "tree", "-w", "--stdin", stdin=b"")).text
    files = {"pytest.ini": b"[pytest]\n", "test_a.py": FIRST.encode(), "test_b.py": second.encode()}
    commit = await commit_tree(mirror, await put_files(mirror, empty, files), [], "first", BULLPEN, 0)
    lanes, limits = asyncio.Semaphore(1), Limits(wall_seconds=120)
    tests = ProjectTests(mirror, tmp_path / "trees", None, own_environment(), sandbox, limits, lanes)
    return tests, commit


@pytest.mark.slow
@pytest.mark.req("IMP-06")
@pytest.mark.parametrize(("second", "passes"), [(SECOND, True), (BROKEN, False)])
async def test_the_whole_suite_has_the_last_word(
    tmp_path: Path, sandbox: Sandbox, second: str, passes: bool
) -> None:
    tests, commit = await suite(tmp_path, sandbox, second)
    alone = await tests.run(commit, ["test_b.py"])
    assert alone.failed() == {"test_b.py::test_second"}
    report = await tests.run_against(commit, frozenset({"test_b.py::test_second"}), ["test_b.py"])
    assert ("test_b.py::test_second" in report.passed()) is passes
    assert report.selected == ()
