"""Mutation: small faults in the lines a change touches; a change is believed as far as tests notice them.

Where no faults can be put into a language, nothing is known of a change of its code, and that is said.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bullpen.codegraph.faults.base import faults_of, suffix_of
from bullpen.codegraph.mutants import Mutant
from bullpen.domain.change import FileChange
from bullpen.domain.test_report import TestReport
from bullpen.flow.guarding.paths import is_code_path, is_test_path
from bullpen.flow.guarding.remarks import is_remark
from bullpen.flow.improve.case import Case, candidate_commit
from bullpen.flow.improve.scores import HELD
from bullpen.flow.improve.test_runs import TestRuns
from bullpen.vcs.commits import put_files
from bullpen.vcs.diffs import Diff, FileDiff


@dataclass(frozen=True, slots=True)
class MutationScore:
    """Faults put into touched lines: how many were tried, and how many a test noticed.

    ``untested`` counts those that live without being tried, since no test runs at all; ``undecided`` those for which
    there was no time. ``lived`` says which lived; ``unmeasured`` names touched files of code no fault can be put into.
    """

    tried: int = 0
    noticed: int = 0
    untested: int = 0
    undecided: int = 0
    lived: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """All faults that count."""
        return self.tried + self.untested

    @property
    def share(self) -> float | None:
        """Between 0 and 1; None where there was nothing to put a fault into."""
        return self.noticed / self.total if self.total else None

    def at_least(self, share: float) -> bool | None:
        """Whether enough was noticed, or there was nothing to notice. What could not be told counts against it.

        None where it cannot be measured.
        """
        if self.unmeasured:
            return None
        if self.share is None:
            return not self.undecided
        return self.share >= share

    def __str__(self) -> str:
        if self.unmeasured:
            return f"no faults can be put into {', '.join(self.unmeasured[:3])}, so nothing tells whether its meaning held"
        words = f"{self.noticed} of {self.total} faults put into the touched lines were noticed by tests"
        return words + (f"; not noticed: {'; '.join(self.lived[:3])}" if self.lived else "")


@dataclass(frozen=True, slots=True)
class TestedLines:
    """A tree, the files in it that faults go into with their lines, and the tests that should notice."""

    tree: str
    sources: Mapping[str, str]
    lines: Mapping[str, frozenset[int]]
    select: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TouchedCode:
    """By path, the lines of code a change touches; ``unmeasured`` are files of code no fault can be put into."""

    lines: Mapping[str, frozenset[int]]
    unmeasured: tuple[str, ...] = ()


def touched_code(diff: Diff, changes: Sequence[FileChange]) -> TouchedCode:
    """Lines of changed code: new ones, and where lines only went, the function they went from. Tests are left out."""
    contents = {change.path: change for change in changes if change.after is not None}
    files = [file for file in diff.files if file.path in contents and _is_code(contents[file.path])]
    lines: dict[str, frozenset[int]] = {}
    unmeasured: list[str] = []
    for file in (one for one in files if not is_test_path(one.path)):
        source = text_of(contents[file.path].after)
        touched = frozenset(_touched(file, source))
        if touched and _can_be_measured(file.path, source, touched):
            lines[file.path] = touched
        elif touched and not _only_remarks(file, contents[file.path]):
            unmeasured.append(file.path)
    return TouchedCode(lines, tuple(unmeasured))


def _is_code(change: FileChange) -> bool:
    return is_code_path(change.path) or (change.after or b"").startswith(b"#!")


def _can_be_measured(path: str, source: str, lines: frozenset[int]) -> bool:
    known = faults_of(path)
    return known is not None and known.put(source, suffix_of(path), lines, 1) is not None


def _only_remarks(file: FileDiff, change: FileChange) -> bool:
    """Whether no line that went or came is more than a comment."""
    old, new = text_of(change.before).split("\n"), text_of(change.after).split("\n")
    gone = [old[line - 1] for hunk in file.hunks for line in hunk.removed]
    come = [new[line - 1] for hunk in file.hunks for line in hunk.added]
    return all(is_remark(file.path, line) for line in (*gone, *come))


def _touched(file: FileDiff, source: str) -> Iterable[int]:
    for hunk in file.hunks:
        if hunk.added:
            yield from hunk.added
        else:
            yield from lines_around(file.path, source, max(hunk.new_start, 1))


def lines_around(path: str, source: str, line: int) -> range:
    """The innermost function or class around a line, or the line itself where that cannot be told."""
    known = faults_of(path)
    return known.around(source, suffix_of(path), line) if known else range(line, line + 1)


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
    touched = touched_code(diff, changes)
    lines = touched.lines
    if touched.unmeasured:
        return MutationScore(unmeasured=touched.unmeasured)
    sources = {change.path: text_of(change.after) for change in changes if change.path in lines}
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
    needed = HELD if thorough else 0.0
    return await mutation_score(patient, tested, wanted, tests, most=most, wanted=needed)


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
    wanted: float = 0.0,
) -> MutationScore:
    """Put up to ``most`` faults into lines, one at a time, until ``enough`` were noticed or the time is up.

    Also until so many lived that the share cannot be ``wanted`` any more.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + case.mutant_seconds
    told: list[tuple[str, bool | None]] = []
    faults = _faults(tested.sources, tested.lines, most)
    bearable = len(faults) * (1 - wanted) + 1e-9
    for path, mutant in faults:
        answered = [one for _where, one in told]
        if (enough is not None and answered.count(True) >= enough) or answered.count(False) > bearable:
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
    found = [(path, one) for path in sorted(sources) for one in _put(path, sources[path], lines[path], most)]
    return found[:most]


def _put(path: str, source: str, lines: frozenset[int], most: int) -> Sequence[Mutant]:
    known = faults_of(path)
    return known.put(source, suffix_of(path), lines, most) or () if known and lines else ()


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


def text_of(content: bytes | None) -> str:
    """A file's text, with bytes that are not UTF-8 kept."""
    return (content or b"").decode("utf-8", "surrogateescape")
