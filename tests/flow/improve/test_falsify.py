"""Tests that cannot fail are refused; faults in touched lines are counted."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bullpen.domain.change import FileChange
from bullpen.domain.errors import Conflict
from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ItemId
from bullpen.domain.test_report import Coverage, FileCoverage, SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.domain.verdict import GateResult, Ruling
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.improve.assess import Said, require_others, rule
from bullpen.flow.improve.case import Case
from bullpen.flow.improve.falsify import falsify_tests
from bullpen.flow.improve.mutation import score_change
from bullpen.flow.improve.prove import read_changes
from bullpen.vcs.commits import BULLPEN, commit_tree, put_files
from bullpen.vcs.diffs import Diff, diff_trees
from bullpen.vcs.git import git
from bullpen.vcs.trees import list_tree, read_file

CODE = "def price(net):\n    return net * 2\n"
BETTER = "def price(net):\n    return net * 3\n"
TEST = "from shop import price\n\n\ndef test_price():\n    assert price(1) == 3\n"
LOOSE = "from shop import price\n\n\ndef test_price():\n    assert price(1)\n"
Outcomes = Callable[[Mapping[str, str]], Mapping[str, bool]]


def by_running(files: Mapping[str, str]) -> dict[str, bool]:
    """The tests of ``test_shop.py`` against ``shop.py``, both given as texts of this file."""
    names: dict[str, object] = {}
    results: dict[str, bool] = {}
    exec(files["shop.py"], names)  # noqa: S102 - the texts above
    tests: dict[str, object] = dict(names)
    exec(files.get("test_shop.py", "").replace("from shop import price\n", ""), tests)  # noqa: S102 - the texts above
    for name, test in tests.items():
        if name.startswith("test_") and callable(test):
            try:
                test()
            except (AssertionError, TypeError):
                results[f"test_shop.py::{name}"] = False
            else:
                results[f"test_shop.py::{name}"] = True
    return results


@dataclass
class RunningTests:
    """Really runs these small tests, on the contents of a commit."""

    mirror: Path
    seconds: float = 0.0
    asked: list[tuple[str, ...]] = field(default_factory=list)

    async def run(
        self, commit: str, select: Sequence[str] = (), *, coverage: bool = False, contexts: bool = False
    ) -> TestReport:
        self.asked.append(tuple(select))
        await asyncio.sleep(self.seconds)
        names = [entry.path for entry in await list_tree(self.mirror, commit)]
        files = {name: (await read_file(self.mirror, commit, name)).decode() for name in names}
        results = tuple(
            TestResult(name, TestOutcome.PASSED if ok else TestOutcome.FAILED)
            for name, ok in by_running(files).items()
        )
        cover = Coverage({"shop.py": FileCoverage(frozenset({1, 2}), frozenset())}) if coverage else None
        return TestReport("exec", ("exec",), SuiteEnd.FINISHED, results, coverage=cover)

    async def run_against(
        self, commit: str, expected: frozenset[str], select: Sequence[str] = ()
    ) -> TestReport:
        return await self.run(commit, select)


@dataclass
class Scene:
    """A change upon a tip."""

    case: Case
    tests: RunningTests
    diff: Diff
    changes: list[FileChange]


async def scene(
    tmp_path: Path, before: Mapping[str, str], after: Mapping[str, str], **limits: float
) -> Scene:
    mirror = tmp_path / "m.git"
    await git(mirror, "init", "--quiet", "--bare", "--template=", str(mirror))
    empty = (await git(mirror, "mktree")).text
    tree = await put_files(mirror, empty, {name: text.encode() for name, text in before.items()})
    tip = await commit_tree(mirror, tree, [], "first", BULLPEN, 0)
    changed = await put_files(mirror, tip, {name: text.encode() for name, text in after.items()})
    tests = RunningTests(mirror)
    draft = ItemDraft(
        ItemId("i"), "qa", "Test the price", "w", "test-gaps:never-run", "shop.py", (1,), Concern.QA, Severity.LOW,
        ("e",), ("a",), "p", 1, ("f",),
    )  # fmt: skip
    case = Case(draft, tip, changed, mirror, await tests.run(tip), **limits)  # type: ignore[arg-type]
    diff = await diff_trees(mirror, tip, changed, renames=False)
    return Scene(case, tests, diff, await read_changes(mirror, diff))


@pytest.mark.req("IMP-10")
@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ({"shop.py": CODE}, {"shop.py": BETTER, "test_shop.py": TEST}, ""),
        ({"shop.py": CODE}, {"shop.py": BETTER, "test_shop.py": LOOSE}, "passes without the change: test_shop.py::test_price"),
        ({"shop.py": CODE, "test_shop.py": LOOSE}, {"shop.py": BETTER, "test_shop.py": TEST}, ""),
        ({"shop.py": CODE, "test_shop.py": TEST}, {"shop.py": BETTER, "test_shop.py": LOOSE}, "passes without the change"),
        ({"shop.py": CODE}, {"shop.py": CODE + "\n", "test_shop.py": TEST}, "does not pass"),
        ({"shop.py": BETTER}, {"test_shop.py": TEST}, ""),
        ({"shop.py": BETTER}, {"test_shop.py": "def test_price():\n    assert True\n"}, "notices none of"),
        ({"shop.py": BETTER}, {"test_shop.py": TEST.replace("3", "4")}, "does not pass"),
        ({"shop.py": BETTER, "test_shop.py": TEST}, {"test_shop.py": TEST + "\n# more\n"}, ""),
        ({"shop.py": CODE}, {"shop.py": BETTER}, ""),
    ],
)  # fmt: skip
async def test_tests_must_be_able_to_fail(
    tmp_path: Path, before: Mapping[str, str], after: Mapping[str, str], problem: str
) -> None:
    made = await scene(tmp_path, before, after)
    found = await falsify_tests(made.case, made.changes, made.tests)
    assert found.startswith(problem)
    assert bool(found) is bool(problem)


@pytest.mark.req("IMP-10")
async def test_faults_in_touched_lines_are_noticed_by_good_tests(tmp_path: Path) -> None:
    both = {"shop.py": "def price(net):\n    return net + net + net\n", "test_shop.py": TEST}
    made = await scene(tmp_path, both, {"shop.py": BETTER})
    score = await score_change(
        made.case, made.diff, made.changes, await made.tests.run(made.case.tip), made.tests
    )
    assert (score.share, score.at_least(0.9)) == (1.0, True)
    assert score.total == made.case.mutants


@pytest.mark.req("IMP-10")
async def test_faults_that_nothing_tests_live(tmp_path: Path) -> None:
    made = await scene(tmp_path, {"shop.py": CODE}, {"shop.py": BETTER})
    score = await score_change(
        made.case, made.diff, made.changes, await made.tests.run(made.case.tip), made.tests
    )
    assert (score.share, score.at_least(0.5)) == (0.0, False)
    assert "shop.py:2: " in str(score)


async def test_what_there_was_no_time_for_counts_against_a_change(tmp_path: Path) -> None:
    both = {"shop.py": "def price(net):\n    return net + net + net\n", "test_shop.py": TEST}
    made = await scene(tmp_path, both, {"shop.py": BETTER}, mutant_seconds=0)
    score = await score_change(
        made.case, made.diff, made.changes, await made.tests.run(made.case.tip), made.tests
    )
    assert (score.share, score.at_least(0.5)) == (None, False)


async def test_comments_hold_nothing_to_notice(tmp_path: Path) -> None:
    made = await scene(tmp_path, {"shop.py": CODE}, {"shop.py": "# prices\n" + CODE})
    score = await score_change(
        made.case, made.diff, made.changes, await made.tests.run(made.case.tip), made.tests
    )
    assert (score.share, score.at_least(0.5)) == (None, True)


@pytest.mark.req("IMP-10")
@pytest.mark.parametrize(
    ("path", "before", "after", "held"),
    [
        ("a.js", "function f(a) {\n  return a == 1;\n}\n", "function f(a) {\n  return a === 1;\n}\n", False),
        ("a.js", "let a = 1;\n", "// one\nlet a = 1;\n", True),
        ("a.js", "let a = 1;\n", "let a = = 1;\n", None),
        ("a.go", "package a\n\nconst b = 1\n", "package a\n\nconst b = 2\n", False),
        ("a.sh", "rm -rf $1\n", 'rm -rf "$1"\n', None),
        ("a.sh", "# gone\nrm x\n", "# is gone\nrm x\n", True),
        ("bin/run", "#!/bin/sh\nrm $1\n", '#!/bin/sh\nrm "$1"\n', None),
        ("a.md", "Stock.\n", "Stocks.\n", True),
        ("a.toml", "a = 1\n", "a = 2\n", True),
        ("tests/a.sh", "true\n", "false\n", True),
    ],
)
async def test_code_whose_meaning_nothing_can_tell_is_not_measured(
    tmp_path: Path, path: str, before: str, after: str, held: bool | None
) -> None:
    tested = {"shop.py": BETTER, "test_shop.py": TEST}
    made = await scene(tmp_path, {**tested, path: before}, {path: after})
    score = await score_change(
        made.case, made.diff, made.changes, await made.tests.run(made.case.tip), made.tests, thorough=True
    )
    assert score.at_least(0.5) is held
    assert (path in str(score)) is (held is not True)


@pytest.mark.req("IMP-10")
async def test_faults_are_tried_until_too_many_have_lived(tmp_path: Path) -> None:
    loose = {"shop.py": "def price(net):\n    return 5\n", "test_shop.py": LOOSE}
    better = "def price(net):\n    a = net * 3\n    b = a + 2\n    c = b - 1\n    return c or 1\n"
    made = await scene(tmp_path, loose, {"shop.py": better}, mutants=10)
    report = await made.tests.run(made.case.tip)
    whole = await score_change(made.case, made.diff, made.changes, report, made.tests)
    short = await score_change(made.case, made.diff, made.changes, report, made.tests, thorough=True)
    assert whole.at_least(2 / 3) is short.at_least(2 / 3) is False
    assert short.total < whole.total


@pytest.mark.req("IMP-10")
async def test_a_new_script_of_tests_nothing_runs_proves_nothing(tmp_path: Path) -> None:
    script = "test('a', () => { f(); });\n"
    made = await scene(tmp_path, {"shop.py": BETTER, "test_shop.py": TEST}, {"a.test.js": script})
    found = await falsify_tests(made.case, made.changes, made.tests)
    assert found == "no test of a.test.js was seen to pass that was not there before"


@pytest.mark.req("WFL-05")
def test_the_verdict_needs_every_gate_and_every_role() -> None:
    good, bad = GateResult("a", True, "1 meets == 1"), GateResult("b", False, "2 misses == 0")
    yes, no = Said("accept", "fine"), Said("revise", "name it better")
    assert rule((good,), {"style": 1.0}, {"reviewer": yes, "judge": yes}).ruling is Ruling.ACCEPT
    assert rule((), {}, {"judge": yes}).ruling is Ruling.REVISE
    refused = rule((good, bad), {"style": 1.0}, {"reviewer": yes, "judge": yes})
    assert (refused.ruling, refused.must_change) == (Ruling.REVISE, ("b: 2 misses == 0",))
    assert refused.scores == {"style": 1.0, "gates": 0.5, "reviewer": 1.0}
    assert rule((good,), {}, {"reviewer": no, "judge": yes}).must_change == ("reviewer: name it better",)


@pytest.mark.req("WFL-05")
def test_nobody_judges_their_own_work() -> None:
    require_others("developer", ["reviewer", "judge"])
    with pytest.raises(Conflict, match="may not judge it"):
        require_others("judge", ["reviewer", "judge"])
