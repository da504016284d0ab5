"""Selecting tests by what they ran; checked against what really breaks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bullpen.sandbox.base import Sandbox
from bullpen.testing.base import TestRequest
from bullpen.testing.environment import own_environment
from bullpen.testing.runners.pytest import RUNNER
from bullpen.testing.selection import select_tests

SOURCE = """\
from functools import lru_cache
LIMITS = {
    "a": 1,
}


def one():
    '''First.'''
    return LIMITS["a"]


def two():
    return 2


@lru_cache
def cached():
    return 3


def shared():
    return 4


def uncalled():
    return 5
"""
SUITE = """\
import pytest, lib
@pytest.fixture(scope="module")
def four(): return lib.shared()
def test_one(): assert lib.one() == 1
def test_two(): assert lib.two() == 2
def test_three(): assert lib.cached() == 3
def test_three_again(): assert lib.cached() == 3
def test_four(four): assert four == 4
def test_four_again(four): assert four == 4
"""


async def test_lines_choose_tests(sandbox: Sandbox, project: Callable[..., Path]) -> None:
    root = project({"src/lib.py": SOURCE, "test_lib.py": SUITE})
    report = await RUNNER.run(TestRequest(root, own_environment(), coverage=True, contexts=True), sandbox)
    assert report.coverage
    contexts = report.coverage.by_test

    def chosen(*lines: int) -> frozenset[str] | None:
        return select_tests(contexts, {"src/lib.py": lines})

    numbers = {text: number for number, text in enumerate(SOURCE.splitlines(), 1)}
    assert chosen(numbers["    return 2"]) == {"test_lib.py::test_two"}
    assert chosen(numbers['    return LIMITS["a"]'], numbers["    return 2"]) == {
        "test_lib.py::test_one",
        "test_lib.py::test_two",
    }
    assert chosen(numbers["    '''First.'''"]) == {"test_lib.py::test_one"}
    for everybody in (
        "LIMITS = {",
        '    "a": 1,',
        "def one():",
        "@lru_cache",
        "    return 3",
        "    return 4",
    ):
        assert chosen(numbers[everybody]) is None, everybody
    assert chosen(numbers["    return 5"]) is None
    assert chosen(len(numbers) + 100) is None
    assert chosen() is None


@pytest.mark.parametrize(
    "path", ["conftest.py", "pyproject.toml", "src/data.json", "src/new.py", "tests/shared.py"]
)
def test_what_no_test_is_known_to_run_means_all(path: str) -> None:
    assert select_tests({}, {path: [1]}) is None


def test_a_test_file_is_run_itself() -> None:
    assert select_tests({}, {"tests/test_a.py": [3]}) == {"tests/test_a.py"}


def test_no_change_needs_no_test() -> None:
    assert select_tests({}, {}) == frozenset()
