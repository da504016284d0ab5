"""Falsify: a test is believed only if it can fail, and a change of code only as far as tests notice faults in it.

New tests beside new code must fail without that code. New tests of code that stays must notice at least one fault put
into it. Faults are also put into the lines a change touches; the share that tests notice is the mutation score.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from bullpen.analysis.outline import Outline
from bullpen.codegraph.mutants import Mutant, line_mutants
from bullpen.domain.change import FileChange
from bullpen.domain.test_report import Coverage, SuiteEnd, TestReport
from bullpen.flow.guarding.fresh import FreshTests, fresh_tests
from bullpen.flow.guarding.paths import is_test_path
from bullpen.flow.improve.case import Case, candidate_commit
from bullpen.flow.improve.test_runs import TestRuns
from bullpen.vcs.commits import put_files
from bullpen.vcs.diffs import Diff, FileDiff
from bullpen.vcs.grafts import graft_files
from bullpen.vcs.trees import read_file

MOST_SELECTED = 12  # faults tried on new tests; one that is noticed is enough
MOST_FILES = 3


@dataclass(frozen=True, slots=True)
class MutationScore:
    """Faults put into touched lines: how many were tried, and how many a test noticed.

    ``untested`` counts those that live without being tried, since no test runs at all; ``undecided`` those for which
    there was no time. ``lived`` says which lived.
    """

    tried: int = 0
    noticed: int = 0
    untested: int = 0
    undecided: int = 0
    lived: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """All faults that count."""
        return self.tried + self.untested

    @property
    def share(self) -> float | None:
        """Between 0 and 1; None where there was nothing to put a fault into."""
        return self.noticed / self.total if self.total else None

    def at_least(self, share: float) -> bool:
        """Whether enough was noticed, or there was nothing to notice. What could not be told counts against it."""
        if self.share is None:
            return not self.undecided
        return self.share >= share

    def __str__(self) -> str:
        words = f"{self.noticed} of {self.total} faults put into the touched lines were noticed by tests"
        return words + (f"; not noticed: {'; '.join(self.lived[:3])}" if self.lived else "")


@dataclass(frozen=True, slots=True)
class TestedLines:
    """A tree, the files in it that faults go into with their lines, and the tests that should notice."""

    tree: str
    sources: Mapping[str, str]
    lines: Mapping[str, frozenset[int]]
    select: tuple[str, ...] = ()


async def falsify_tests(case: Case, changes: Sequence[FileChange], tests: TestRuns) -> str:
    """Why the tests of a change prove nothing, in words; nothing where they do, or where it has none of its own."""
    test_files = [change for change in changes if change.after is not None and is_test_path(change.path)]
    if not test_files:
        return ""
    fresh = _fresh(test_files)
    if any(not is_test_path(change.path) for change in changes):
        return await _without_the_change(case, test_files, fresh, tests)
    return await _without_any_fault(case, fresh.new, tests) if fresh.new else ""


def _fresh(test_files: Sequence[FileChange]) -> FreshTests:
    """New tests, and tests that mean something else now, as pytest names them without parameters."""
    found = [(change.path, fresh_tests(change)) for change in test_files if change.path.endswith(".py")]
    return FreshTests(
        frozenset(f"{path}::{name}" for path, fresh in found for name in fresh.new),
        frozenset(f"{path}::{name}" for path, fresh in found for name in fresh.changed),
    )


async def _without_the_change(
    case: Case, test_files: Sequence[FileChange], fresh: FreshTests, tests: TestRuns
) -> str:
    foreign = any(not change.path.endswith(".py") for change in test_files)
    mine = fresh.new | fresh.changed
    if not foreign and not mine:
        return ""
    paths = [change.path for change in test_files]
    with_it = await tests.run(await candidate_commit(case.mirror, case.tree, case.tip), paths)
    if with_it.end is SuiteEnd.NO_TESTS or not _passing(with_it, mine) >= mine:
        return f"does not pass: {_some(mine - _passing(with_it, mine)) or 'nothing was run'}"
    tree = await graft_files(case.mirror, case.tip, case.tree, paths)
    without = await tests.run(await candidate_commit(case.mirror, tree, case.tip), paths)
    if still := _passing(without, mine):
        return f"passes without the change: {_some(still)}"
    worked = without.end is SuiteEnd.FINISHED and not without.failed()
    return "no test fails without the change" if foreign and worked else ""


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


async def _sources(case: Case, coverage: Coverage | None) -> Mapping[str, str]:
    """The file an item is about; for an item about a test, the files its tests ran most of."""
    ran = {path: len(cover.executed) for path, cover in coverage.files.items()} if coverage else {}
    code = [path for path in ran if path.endswith(".py") and ran[path] and not is_test_path(path)]
    if not is_test_path(case.draft.path):
        code = [path for path in code if path == case.draft.path]
    chosen = sorted(code, key=lambda path: (-ran[path], path))[:MOST_FILES]
    return {path: _text(await read_file(case.mirror, case.tree, path)) for path in chosen}


def _protected(case: Case, path: str, source: str, coverage: Coverage | None) -> frozenset[int]:
    """Lines the tests ran, of the functions an item is about; of an item about a test, all lines they ran."""
    cover = coverage.files.get(path) if coverage else None
    if cover is None:
        return frozenset()
    if path != case.draft.path:
        return cover.executed
    return cover.executed & frozenset(chain.from_iterable(_around(path, source, case.draft.lines)))


def _around(path: str, source: str, lines: Iterable[int]) -> Iterable[range]:
    """The innermost function or class around each line, or the line itself."""
    outline = Outline(path, source)
    for line in lines:
        inner = [scope for scope in outline.scopes if scope.first <= line <= scope.last]
        yield range(inner[-1].first, inner[-1].last + 1) if inner else range(line, line + 1)


def touched_code(diff: Diff, changes: Sequence[FileChange]) -> Mapping[str, frozenset[int]]:
    """By path, the lines of changed Python code: new ones, and where lines only went, the function they went from."""
    after = {change.path: _text(change.after) for change in changes if change.after is not None}
    python = (file for file in diff.files if file.path in after and file.path.endswith(".py"))
    return {
        file.path: frozenset(_touched(file, after[file.path]))
        for file in python
        if not is_test_path(file.path)
    }


def _touched(file: FileDiff, source: str) -> Iterable[int]:
    for hunk in file.hunks:
        if hunk.added:
            yield from hunk.added
        else:
            yield from chain.from_iterable(_around(file.path, source, [max(hunk.new_start, 1)]))


async def score_change(
    case: Case,
    diff: Diff,
    changes: Sequence[FileChange],
    report: TestReport,
    tests: TestRuns,
    *,
    thorough: bool = False,
) -> MutationScore:
    """The mutation score of the lines a change touches; few faults, and only tests that can notice them.

    Where the verdict rests on it (``thorough``), a slow machine takes longer and does not look at less.
    """
    lines = touched_code(diff, changes)
    sources = {change.path: _text(change.after) for change in changes if change.path in lines}
    passing = report.passed() & case.baseline.passed()
    if not passing or not any(lines.values()) or case.mutants <= 0:
        faults = _faults(sources, lines, max(case.mutants, 0))
        return MutationScore(untested=len(faults), lived=tuple(_words(*fault) for fault in faults))
    if not report.selected:  # the chosen tests would fail without the others, fault or none
        case = replace(case, select=())
    wanted = frozenset(one for one in passing if _is_selected(one, case.select))
    tested = TestedLines(case.tree, sources, lines, case.select)
    affordable = _affordable(case.mutant_seconds, report.seconds)
    most = case.mutants if thorough else min(case.mutants, affordable)
    patient = case
    if case.mutant_seconds:  # a run with a fault may take longer than one without
        patient = replace(case, mutant_seconds=max(case.mutant_seconds, most * 2 * report.seconds))
    return await mutation_score(patient, tested, wanted, tests, most=most)


def _affordable(budget: float, seconds: float) -> int:
    """How many faults fit into a budget, where one run of the tests takes ``seconds``; one always does."""
    return max(1, int(budget / max(seconds, 0.01)))


def _is_selected(test: str, select: Sequence[str]) -> bool:
    return not select or test in select or test.split("::", 1)[0] in select


async def mutation_score(
    case: Case,
    tested: TestedLines,
    expected: frozenset[str],
    tests: TestRuns,
    *,
    most: int,
    enough: int | None = None,
) -> MutationScore:
    """Put up to ``most`` faults into lines, one at a time, until ``enough`` were noticed or the time is up."""
    loop = asyncio.get_running_loop()
    until = loop.time() + case.mutant_seconds
    told: list[tuple[str, bool | None]] = []
    for path, mutant in _faults(tested.sources, tested.lines, most):
        if enough is not None and sum(bool(one) for _where, one in told) >= enough:
            break
        left = until - loop.time()
        noticed = await _is_noticed(case, tested, path, mutant, expected, tests, left) if left > 0 else None
        told.append((_words(path, mutant), noticed))
    answers = [answer for _where, answer in told]
    return MutationScore(
        tried=len(answers) - answers.count(None),
        noticed=answers.count(True),
        undecided=answers.count(None),
        lived=tuple(words for words, answer in told if answer is False),
    )


def _words(path: str, mutant: Mutant) -> str:
    return f"{path}:{mutant.line}: {mutant.what}"


def _faults(
    sources: Mapping[str, str], lines: Mapping[str, frozenset[int]], most: int
) -> list[tuple[str, Mutant]]:
    found = [
        (path, one) for path in sorted(sources) for one in line_mutants(sources[path], lines[path], most)
    ]
    return found[:most]


async def _is_noticed(
    case: Case,
    tested: TestedLines,
    path: str,
    mutant: Mutant,
    expected: frozenset[str],
    tests: TestRuns,
    seconds: float,
) -> bool | None:
    """Whether a test that passes does not on the mutant; None where it took too long to tell."""
    content = mutant.source.encode("utf-8", "surrogateescape")
    tree = await put_files(case.mirror, tested.tree, {path: content})
    commit = await candidate_commit(case.mirror, tree, case.tip)
    try:
        async with asyncio.timeout(seconds):
            report = await tests.run(commit, tested.select)
    except TimeoutError:
        return None
    return not expected <= report.passed()


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "surrogateescape")
