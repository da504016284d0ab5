"""The merge queue on real repositories: what fits and is green lands, everything else comes back with its reason."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ItemId
from bullpen.domain.test_report import SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.domain.verdict import Evidence
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.improve.land import Accepted, Landing, Queue, land_batch
from bullpen.vcs.commits import BULLPEN, commit_tree, log, put_files
from bullpen.vcs.git import git
from bullpen.vcs.trees import list_tree, read_file

pytestmark = pytest.mark.req("WRK-05")
AT = 1_700_000_000
LINES = 30
Fails = Callable[[Mapping[str, str]], bool]


@dataclass
class ContentTests:
    """Runs of tests whose result is decided by what the files of a commit say."""

    mirror: Path
    fails: Fails = lambda _files: False
    end: SuiteEnd = SuiteEnd.FINISHED
    runs: list[str] = field(default_factory=list)

    async def run(
        self, commit: str, select: Sequence[str] = (), *, coverage: bool = False, contexts: bool = False
    ) -> TestReport:
        self.runs.append(commit)
        names = [entry.path for entry in await list_tree(self.mirror, commit)]
        files = {name: (await read_file(self.mirror, commit, name)).decode() for name in names}
        outcome = TestOutcome.FAILED if self.fails(files) else TestOutcome.PASSED
        return TestReport("content", ("test",), self.end, (TestResult("t::all", outcome),))

    async def run_against(
        self, commit: str, expected: frozenset[str], select: Sequence[str] = ()
    ) -> TestReport:
        return await self.run(commit, select)


BASELINE = TestReport("content", ("test",), SuiteEnd.FINISHED, (TestResult("t::all", TestOutcome.PASSED),))


@dataclass
class Yard:
    """A bare repository with a few numbered files, and changes made upon its tip."""

    mirror: Path
    tip: str

    async def change(self, name: str, path: str, line: int, text: str) -> Accepted:
        lines = (await read_file(self.mirror, self.tip, path)).decode().splitlines()
        lines[line] = text
        tree = await put_files(self.mirror, self.tip, {path: ("\n".join(lines) + "\n").encode()})
        commit = await commit_tree(self.mirror, tree, [self.tip], name, BULLPEN, 0)
        return Accepted(_draft(name, path, line + 1), _evidence(name), commit, "")

    def queue(self, tests: ContentTests) -> Queue:
        return Queue(self.mirror, tests, BASELINE, AT)

    async def content(self, commit: str, path: str) -> str:
        return (await read_file(self.mirror, commit, path)).decode()


async def _yard(folder: Path) -> Yard:
    mirror = folder / "yard.git"
    await git(mirror, "init", "--quiet", "--bare", "--template=", str(mirror))
    numbered = "".join(f"line {number}\n" for number in range(LINES)).encode()
    empty = (await git(mirror, "mktree")).text
    tree = await put_files(mirror, empty, {"a.py": numbered, "b.py": numbered, "c.py": numbered})
    return Yard(mirror, await commit_tree(mirror, tree, [], "first", BULLPEN, 0))


@pytest.fixture
async def yard(tmp_path: Path) -> Yard:
    return await _yard(tmp_path)


def _draft(name: str, path: str, line: int) -> ItemDraft:
    return ItemDraft(
        id=ItemId(name),
        kind="general",
        title=f"Mend {name}",
        why="Because.",
        rule="ruff:F401",
        path=path,
        lines=(line,),
        concern=Concern.MAINTAINABILITY,
        severity=Severity.LOW,
        evidence=("e",),
        acceptance=("a",),
        proof="p",
        effort_minutes=1,
        fingerprints=(name,),
    )


def _evidence(name: str) -> Evidence:
    return Evidence(name, "ruff:F401", "0", "0", "0", (), (name,), (), (), ())


def contains(*bad: str) -> Fails:
    return lambda files: any(word in text for text in files.values() for word in bad)


def ids(landing: Landing) -> tuple[list[str], list[str]]:
    return [one.item for one in landing.landed], [one.item for one in landing.sent_back]


async def test_what_fits_lands_in_order_as_one_commit_each(yard: Yard) -> None:
    batch = [
        await yard.change("one", "a.py", 1, "A"),
        await yard.change("two", "b.py", 2, "B"),
        await yard.change("three", "a.py", 20, "C"),
    ]
    tests = ContentTests(yard.mirror)
    landing = await land_batch(yard.queue(tests), yard.tip, batch)
    assert ids(landing) == (["one", "two", "three"], [])
    assert landing.runs == len(tests.runs) == 1
    history = await log(yard.mirror, landing.tip, since=yard.tip)
    assert [commit.id for commit in reversed(history)] == [one.commit for one in landing.landed]
    assert (await yard.content(landing.tip, "a.py")).splitlines()[20] == "C"


async def test_an_empty_batch_changes_nothing(yard: Yard) -> None:
    assert await land_batch(yard.queue(ContentTests(yard.mirror)), yard.tip, []) == Landing(
        yard.tip, (), (), 0
    )


async def test_a_conflict_is_sent_back_with_what_it_met(yard: Yard) -> None:
    batch = [await yard.change("first", "a.py", 3, "A"), await yard.change("second", "a.py", 3, "B")]
    landing = await land_batch(yard.queue(ContentTests(yard.mirror)), yard.tip, batch)
    assert ids(landing) == (["first"], ["second"])
    (back,) = landing.sent_back
    assert (back.met, "a.py" in back.reason) == ("first", True)


async def test_who_met_whom_is_told_by_lines_where_several_share_a_file(yard: Yard) -> None:
    batch = [
        await yard.change("far", "a.py", 25, "A"),
        await yard.change("near", "a.py", 3, "B"),
        await yard.change("late", "a.py", 3, "C"),
    ]
    landing = await land_batch(yard.queue(ContentTests(yard.mirror)), yard.tip, batch)
    assert [back.met for back in landing.sent_back] == ["near"]


@pytest.mark.parametrize("culprit", range(8))
async def test_one_culprit_is_found_by_halving(yard: Yard, culprit: int) -> None:
    batch = [
        await yard.change(f"i{n}", "abc"[n % 3] + ".py", n * 3, "BAD" if n == culprit else f"good {n}")
        for n in range(8)
    ]
    tests = ContentTests(yard.mirror, contains("BAD"))
    landing = await land_batch(yard.queue(tests), yard.tip, batch)
    assert ids(landing) == ([f"i{n}" for n in range(8) if n != culprit], [f"i{culprit}"])
    assert landing.runs == len(tests.runs) <= 1 + math.log2(8) + 1


async def test_all_culprits_are_found(yard: Yard) -> None:
    batch = [
        await yard.change(f"i{n}", "abc"[n % 3] + ".py", n * 3, "BAD" if n in (1, 4, 5) else "good")
        for n in range(8)
    ]
    landing = await land_batch(yard.queue(ContentTests(yard.mirror, contains("BAD"))), yard.tip, batch)
    assert ids(landing) == (["i0", "i2", "i3", "i6", "i7"], ["i1", "i4", "i5"])
    assert all("no longer pass: t::all" in back.reason for back in landing.sent_back)


async def test_two_that_are_only_bad_together(yard: Yard) -> None:
    def both(files: Mapping[str, str]) -> bool:
        return "LEFT" in files["a.py"] and "RIGHT" in files["b.py"]

    batch = [
        await yard.change("left", "a.py", 1, "LEFT"),
        await yard.change("right", "b.py", 1, "RIGHT"),
        await yard.change("third", "c.py", 1, "fine"),
    ]
    landing = await land_batch(yard.queue(ContentTests(yard.mirror, both)), yard.tip, batch)
    assert ids(landing) == (["left", "third"], ["right"])


async def test_a_run_that_does_not_end_lands_nothing(yard: Yard) -> None:
    batch = [await yard.change("one", "a.py", 1, "A")]
    landing = await land_batch(yard.queue(ContentTests(yard.mirror, end=SuiteEnd.TIMEOUT)), yard.tip, batch)
    assert ids(landing) == ([], ["one"])
    assert landing.tip == yard.tip


async def test_what_was_in_conflict_with_a_culprit_lands_instead(yard: Yard) -> None:
    batch = [await yard.change("bad", "a.py", 3, "BAD"), await yard.change("good", "a.py", 3, "good")]
    landing = await land_batch(yard.queue(ContentTests(yard.mirror, contains("BAD"))), yard.tip, batch)
    assert ids(landing) == (["good"], ["bad"])


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["a.py", "b.py"]), st.integers(0, LINES - 1), st.sampled_from(["BAD", "x", "y"])
    ),
    max_size=7,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_nothing_is_dropped_and_the_same_batch_gives_the_same_commits(
    edits: list[tuple[str, int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def check() -> None:
        yard = await _yard(tmp_path_factory.mktemp("yard"))
        batch = [await yard.change(f"i{n}", *edit) for n, edit in enumerate(edits)]
        tests = ContentTests(yard.mirror, contains("BAD"))
        landing = await land_batch(yard.queue(tests), yard.tip, batch)
        landed, back = ids(landing)
        assert sorted(landed + back) == sorted(one.draft.id for one in batch)
        assert landed == [one.draft.id for one in batch if one.draft.id in landed]
        for path in ("a.py", "b.py"):
            assert "BAD" not in await yard.content(landing.tip, path)
        again = await land_batch(yard.queue(ContentTests(yard.mirror, contains("BAD"))), yard.tip, batch)
        assert again == landing

    asyncio.run(check())
