"""Falsify: a test is believed only if it can fail.

New tests beside new code must fail without that code. New tests of code that stays must notice at least one fault put
into it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from bullpen.codegraph.faults.base import faults_of
from bullpen.domain.change import FileChange
from bullpen.domain.test_report import Coverage, SuiteEnd, TestReport
from bullpen.flow.guarding.fresh import FreshTests, fresh_tests, has_fresh_titles
from bullpen.flow.guarding.paths import is_code_path, is_test_path
from bullpen.flow.improve.case import Case, candidate_commit
from bullpen.flow.improve.mutation import TestedLines, lines_around, mutation_score, text_of
from bullpen.flow.improve.test_runs import TestRuns
from bullpen.vcs.grafts import graft_files
from bullpen.vcs.trees import read_file

MOST_SELECTED = 12  # faults tried on new tests; one that is noticed is enough
MOST_FILES = 3


@dataclass(frozen=True, slots=True)
class _Written:
    """The tests of a change: files, and the names of those in Python. ``foreign`` are files of tests in other languages,
    whose names are their runner's.
    """

    paths: tuple[str, ...]
    fresh: FreshTests
    foreign: tuple[FileChange, ...]

    @property
    def mine(self) -> frozenset[str]:
        """New and changed tests of Python."""
        return self.fresh.new | self.fresh.changed

    @property
    def select(self) -> tuple[str, ...]:
        """What to run: these files, or everything where another language's tests may be run from anywhere."""
        return () if self.foreign else self.paths


async def falsify_tests(case: Case, changes: Sequence[FileChange], tests: TestRuns) -> str:
    """Why the tests of a change prove nothing, in words; nothing where they do, or where it has none of its own."""
    test_files = [change for change in changes if change.after is not None and is_test_path(change.path)]
    if not test_files:
        return ""
    written = _written(test_files)
    if any(not is_test_path(change.path) for change in changes):
        return await _without_the_change(case, written, tests)
    if any(has_fresh_titles(change) for change in written.foreign):
        return await _foreign_without_any_fault(case, written, tests)
    return await _without_any_fault(case, written.fresh.new, tests) if written.fresh.new else ""


def _written(test_files: Sequence[FileChange]) -> _Written:
    python = [change for change in test_files if change.path.endswith(".py")]
    found = [(change.path, fresh_tests(change)) for change in python]
    fresh = FreshTests(  # as pytest names them without parameters
        frozenset(f"{path}::{name}" for path, fresh in found for name in fresh.new),
        frozenset(f"{path}::{name}" for path, fresh in found for name in fresh.changed),
    )
    others = [change for change in test_files if change not in python and is_code_path(change.path)]
    return _Written(tuple(change.path for change in test_files), fresh, tuple(others))


async def _without_the_change(case: Case, written: _Written, tests: TestRuns) -> str:
    mine = written.mine
    if not written.foreign and not mine:
        return ""
    with_it = await tests.run(await candidate_commit(case.mirror, case.tree, case.tip), written.select)
    if with_it.end is SuiteEnd.NO_TESTS or not _passing(with_it, mine) >= mine:
        return f"does not pass: {_some(mine - _passing(with_it, mine)) or 'nothing was run'}"
    tree = await graft_files(case.mirror, case.tip, case.tree, written.paths)
    without = await tests.run(await candidate_commit(case.mirror, tree, case.tip), written.select)
    if still := _passing(without, mine):
        return f"passes without the change: {_some(still)}"
    worked = without.end is SuiteEnd.FINISHED and not without.failed()
    return "no test fails without the change" if written.foreign and worked else ""


def _passing(report: TestReport, wanted: frozenset[str]) -> frozenset[str]:
    """Of ``wanted`` (ids without parameters) those that ran, all parameters of which passed."""
    bad = {_bare(one) for one in report.failed()}
    return frozenset(_bare(one) for one in report.passed()) & wanted - bad


def _bare(test: str) -> str:
    return test.split("[", 1)[0]


def _some(tests: Iterable[str]) -> str:
    return ", ".join(sorted(tests)[:3])


async def _without_any_fault(case: Case, fresh: frozenset[str], tests: TestRuns) -> str:
    """New tests of code that stays must notice a fault in it. What they run is measured, not taken from names."""
    commit = await candidate_commit(case.mirror, case.tree, case.tip)
    files = sorted({one.split("::", 1)[0] for one in fresh})
    report = await tests.run(commit, files, coverage=True)
    if failing := fresh - _passing(report, fresh):
        return f"does not pass: {_some(failing)}"
    sources = await _sources(case, report.coverage)
    lines = {path: _protected(case, path, sources[path], report.coverage) for path in sources}
    if not any(lines.values()):
        return f"runs nothing of {case.draft.path}: {_some(fresh)}"
    mine = frozenset(one for one in report.passed() if _bare(one) in fresh)
    tested = TestedLines(case.tree, sources, lines, tuple(sorted(mine)))
    score = await mutation_score(case, tested, mine, tests, most=MOST_SELECTED, enough=1)
    if score.noticed:
        return ""
    return f"notices none of {score.total} faults put into {', '.join(sources)}: {_some(fresh)}"


async def _foreign_without_any_fault(case: Case, written: _Written, tests: TestRuns) -> str:
    """The same for tests of other languages. Which lines they run is not known: faults go where the item is."""
    path, names = case.draft.path, ", ".join(one.path for one in written.foreign[:3])
    commit = await candidate_commit(case.mirror, case.tree, case.tip)
    report = await tests.run(commit)
    mine = report.passed() - case.baseline.passed()
    if not mine:
        return f"no test of {names} was seen to pass that was not there before"
    if is_test_path(path) or faults_of(path) is None:
        return f"nothing shows that it can fail, since no faults can be put into {path}"
    source = text_of(await read_file(case.mirror, case.tree, path))
    lines = frozenset(chain.from_iterable(lines_around(path, source, line) for line in case.draft.lines))
    tested = TestedLines(case.tree, {path: source}, {path: lines})
    score = await mutation_score(case, tested, mine, tests, most=MOST_SELECTED, enough=1)
    return "" if score.noticed else f"notices none of {score.total} faults put into {path}: {_some(mine)}"


async def _sources(case: Case, coverage: Coverage | None) -> Mapping[str, str]:
    """The file an item is about; for an item about a test, the files its tests ran most of."""
    ran = {path: len(cover.executed) for path, cover in coverage.files.items()} if coverage else {}
    code = [path for path in ran if faults_of(path) and ran[path] and not is_test_path(path)]
    if not is_test_path(case.draft.path):
        code = [path for path in code if path == case.draft.path]
    chosen = sorted(code, key=lambda path: (-ran[path], path))[:MOST_FILES]
    return {path: text_of(await read_file(case.mirror, case.tree, path)) for path in chosen}


def _protected(case: Case, path: str, source: str, coverage: Coverage | None) -> frozenset[int]:
    """Lines the tests ran, of the functions an item is about; of an item about a test, all lines they ran."""
    cover = coverage.files.get(path) if coverage else None
    if cover is None:
        return frozenset()
    if path != case.draft.path:
        return cover.executed
    return cover.executed & frozenset(
        chain.from_iterable(lines_around(path, source, line) for line in case.draft.lines)
    )
