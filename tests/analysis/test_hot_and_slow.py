"""What is known of a tree besides its files: busy files that are hard to follow, and tests that take their time."""

from dataclasses import replace

import pytest

from bullpen.analysis.cache import ObservationCache
from bullpen.analysis.roast import ANALYSERS, roast
from bullpen.domain.finding import Severity
from bullpen.domain.test_report import Coverage


async def look(name, tree, sandbox):
    analyser = ANALYSERS.load(name)
    return await analyser.analyse(tree, [path for path in tree.files if analyser.wants(path)], sandbox)


def hard(name: str, ways: int) -> str:
    return f"def {name}(x):\n" + "".join(f"    if x == {n}:\n        return {n}\n" for n in range(ways - 1))


HARD = f"import os\n\n{hard('one', 12)}\n{hard('two', 60)}"
EASY = "".join(hard(f"f{n}", 5) for n in range(40))


@pytest.mark.req("ROA-02")
async def test_a_busy_file_that_is_hard_to_follow_is_a_hot_spot(make_tree, sandbox):
    tree = make_tree({"app/core.py": HARD, "app/calm.py": HARD, "app/easy.py": EASY, "tests/test_x.py": HARD})
    churn = {"app/core.py": 41, "app/calm.py": 3, "app/easy.py": 50, "tests/test_x.py": 90, "gone.py": 80}
    (seen,) = await look("hot_spots", replace(tree, churn=churn), sandbox)
    assert (seen.place.path, seen.place.line, seen.place.symbol) == ("app/core.py", 27, "two")
    assert seen.severity is Severity.MEDIUM
    assert seen.message == (
        "This file changed in 41 commits within a year and has 72 ways through its 2 functions; "
        "the hardest is two with 60."
    )


async def test_without_history_nothing_is_hot(make_tree, sandbox):
    assert await look("hot_spots", make_tree({"core.py": HARD}), sandbox) == []


async def test_only_the_hottest_are_named_and_the_hottest_first(make_tree, sandbox):
    files = {f"m{n}.py": HARD for n in range(9)}
    tree = replace(make_tree(files), churn={path: 20 + n for n, path in enumerate(files)})
    seen = await look("hot_spots", tree, sandbox)
    assert [each.place.path for each in seen] == ["m8.py", "m7.py", "m6.py", "m5.py", "m4.py"]


TESTS = """\
import pytest

class TestShop:
    def test_sells(self):
        assert True

@pytest.mark.parametrize("x", [1, 2])
def test_waits(x):
    assert x

def test_quick():
    assert True
"""
DURATIONS = {
    "test_shop.py::TestShop::test_sells": 14.0,
    "test_shop.py::test_waits[1]": 3.0,
    "test_shop.py::test_waits[a::b]": 3.25,
    "test_shop.py::test_quick": 0.2,
    "test_shop.py::test_not_there": 9.0,
    "../other.py::test_outside": 9.0,
}


@pytest.mark.req("ROA-02")
async def test_tests_that_are_a_real_part_of_the_time_are_slow(make_tree, sandbox):
    tree = replace(make_tree({"test_shop.py": TESTS}), durations=DURATIONS)
    seen = await look("slow_tests", tree, sandbox)
    assert [(each.place.line, each.severity, each.message) for each in seen] == [
        (4, Severity.LOW, "TestShop.test_sells took 14.0 s, 36% of the whole suite."),
        (8, Severity.INFO, "test_waits took 6.2 s in 2 cases, 16% of the whole suite."),
    ]


async def test_a_long_test_of_a_much_longer_suite_is_not_slow(make_tree, sandbox):
    durations = {"test_shop.py::test_quick": 1.5, **{f"test_big.py::test_{n}": 0.5 for n in range(200)}}
    tree = replace(make_tree({"test_shop.py": TESTS}), durations=durations)
    assert await look("slow_tests", tree, sandbox) == []


@pytest.mark.req("ROA-05")
async def test_what_is_known_of_a_tree_is_part_of_what_is_remembered(make_tree, sandbox, tmp_path):
    cache = ObservationCache(tmp_path / "cache")
    tree = make_tree({"core.py": HARD, "test_shop.py": TESTS})

    async def rules(known) -> set[str]:
        found = await roast(known, sandbox, cache=cache)
        return {each.rule for each in found.findings} & {"hot-spots:churn-and-complexity", "slow-tests:slow"}

    busy = replace(tree, churn={"core.py": 20})
    assert await rules(tree) == set()
    assert await rules(busy) == {"hot-spots:churn-and-complexity"}
    assert await rules(replace(tree, durations=DURATIONS)) == {"slow-tests:slow"}
    assert await rules(tree) == set()


@pytest.mark.req("ROA-05")
async def test_analysers_of_the_tree_alone_do_not_look_again_when_more_is_known(make_tree, sandbox, tmp_path):
    cache = ObservationCache(tmp_path / "cache")
    tree = make_tree({"core.py": HARD})
    await roast(tree, sandbox, cache=cache)
    again = await roast(replace(tree, coverage=Coverage({}), churn={"core.py": 1}), sandbox, cache=cache)
    looked = {run.analyser for run in again.runs if run.cached < run.files}
    assert looked == {
        name for name in looked if ANALYSERS.load(name.replace("-", "_")).reach.value == "known"
    }
    assert "hot-spots" in looked
