"""Prove: what a change did, measured by the platform itself and never taken from an agent's word."""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bullpen.analysis.compare import Comparison, compare
from bullpen.analysis.roast import quick_check
from bullpen.domain.change import FileChange
from bullpen.domain.finding import Concern, Finding
from bullpen.domain.test_report import Coverage, SuiteEnd, TestReport
from bullpen.domain.verdict import CommandEvidence, Evidence
from bullpen.flow.gates import Measured
from bullpen.flow.guards import find_breaches
from bullpen.flow.improve.case import Case, candidate_commit
from bullpen.flow.improve.derive import Workshop, derived_by
from bullpen.flow.improve.falsify import falsify_tests
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.mutation import MutationScore, score_change
from bullpen.flow.improve.open import source_tree
from bullpen.flow.improve.scores import HELD, Weighed, change_scores, covered_share
from bullpen.flow.improve.test_runs import TestRuns
from bullpen.flow.scope import outside_scope
from bullpen.flow.style import style_problems, widest_lines
from bullpen.vcs.commits import tree_of
from bullpen.vcs.diffs import Diff, diff_trees
from bullpen.vcs.trees import read_blobs
from bullpen.vcs.worktrees import Worktree, release_worktree, take_worktree

MOST_FAULTS = 10
ABOUT_TESTS = "test-gaps:"
STANDING = (
    *("finding_gone", "new_findings", "tests_broken", "tests_lost"),
    *("guards_broken", "outside_scope", "style_kept", "new_tests_falsified"),
)


@dataclass(frozen=True, slots=True)
class Proof:
    """Evidence, the measurements gates are held against, words for each, and scores by aspect (0 to 1)."""

    evidence: Evidence
    measured: Mapping[str, Measured]
    notes: Mapping[str, str]
    patch: bytes
    scores: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was seen of a change: what it is, and how analysers, tests and style took it."""

    diff: Diff
    changes: Sequence[FileChange]
    before: "Look"
    after: "Look"
    compared: Comparison
    report: TestReport


async def prove(means: Means, folder: Path, case: Case, tests: TestRuns) -> Proof:
    """Measure a change against its tip: findings, tests, guards, scope, style, falsification, mutants."""
    diff = await diff_trees(case.mirror, case.tip, case.tree, renames=False)
    changes = await read_changes(case.mirror, diff)
    commit = await candidate_commit(case.mirror, case.tree, case.tip)
    report = await tests.run_against(commit, _wanted(case), case.select)
    paths = [change.path for change in changes]
    covers = [await _coverage(case, one, tests) for one in (case.tip, commit)]
    before, after = await _looks(means, folder, case, commit, paths, covers)
    tip = await tip_worktree(case.mirror, folder, case.tip)
    after = replace(after, wide=tuple(widest_lines(tip.path, changes)))
    seen = Seen(diff, changes, before, after, compare(before.findings, after.findings), report)
    measured, notes = _measure(case, seen)
    if falsified := await falsify_tests(case, changes, tests):
        notes["new_tests_falsified"] = falsified
    measured["new_tests_falsified"] = not falsified
    scores = await _score(means, folder, case, seen, tests, measured, notes)
    return Proof(await _evidence(case, seen), measured, notes, diff.patch, scores)


async def _coverage(case: Case, commit: str, tests: TestRuns) -> Coverage | None:
    """Which lines the tests of a commit run, if the item is about that."""
    if not case.draft.rule.startswith(ABOUT_TESTS):
        return None
    return (await tests.run(commit, coverage=True)).coverage


async def _evidence(case: Case, seen: Seen) -> Evidence:
    gone = {found.fingerprint for found in seen.compared.gone}
    asked = [found.fingerprint for found in _asked(case, seen.before)]
    return Evidence(
        item=case.draft.id,
        rule=case.draft.rule,
        tree_before=await tree_of(case.mirror, case.tip),
        tree_after=case.tree,
        patch_sha256=hashlib.sha256(seen.diff.patch).hexdigest(),
        commands=(_command_evidence(seen.report),) if seen.report.command else (),
        findings_gone=tuple(one for one in asked if one in gone),
        findings_new=tuple(f"{found.rule} {found.place}" for found in _worse(case, seen.compared)),
        tests_before=tuple(sorted(_wanted(case))),
        tests_after=tuple(sorted(seen.report.passed() & case.baseline.passed())),
    )


async def _score(
    means: Means,
    folder: Path,
    case: Case,
    seen: Seen,
    tests: TestRuns,
    measured: dict[str, Measured],
    notes: dict[str, str],
) -> dict[str, float]:
    """Scores by aspect; the mutation score is measured only of a change that nothing else speaks against."""
    recipe, mutation = "", MutationScore()
    if _stands(measured):
        tip = await tip_worktree(case.mirror, folder, case.tip)
        mine = _asked(case, seen.before)
        workshop = Workshop(tip.path, means.recipes, means.sandbox)
        recipe = await derived_by(workshop, seen.changes, mine, approved=case.approved)
        patient = case if recipe else _looked_into(case)
        mutation = await score_change(
            patient, seen.diff, seen.changes, seen.report, tests, thorough=not recipe
        )
    if mutation.share is not None:
        measured["mutation_score"] = mutation.share
    notes["mutation_score"] = str(mutation)
    notes["meaning_held"] = f"it is what the recipe {recipe} makes" if recipe else str(mutation)
    held = True if recipe else mutation.at_least(HELD)
    if not _stands(measured):
        notes["meaning_held"] = "not measured, since other gates have failed"
    elif held is not None:  # what is not measured has failed
        measured["meaning_held"] = held
    expected = _wanted(case)
    weighed = Weighed(
        findings_asked=len(_asked(case, seen.before)),
        findings_gone=sum(one in seen.compared.gone for one in _asked(case, seen.before)),
        tests_expected=len(expected),
        tests_passed=len(expected & seen.report.passed()),
        mutation=mutation.share,
        derived=bool(recipe),
        covered=covered_share(seen.diff, case.baseline.coverage),
        changed_lines=seen.diff.added + seen.diff.removed,
    )
    return change_scores(weighed, measured)


def _looked_into(case: Case) -> Case:
    """A change that no recipe vouches for has more faults put into it, and the time its tests need."""
    seconds = max(case.mutant_seconds, 4 * case.baseline.seconds)
    return replace(case, mutants=max(case.mutants, MOST_FAULTS), mutant_seconds=seconds)


def _stands(measured: Mapping[str, Measured]) -> bool:
    """Whether the built-in gates would let the change through."""
    found = [measured.get(name) for name in STANDING]
    return all(value is True or (value == 0 and value is not False) for value in found)


async def read_changes(mirror: Path, diff: Diff) -> list[FileChange]:
    """The files of a diff with their whole contents before and after."""
    blobs = await read_blobs(mirror, [blob for file in diff.files for blob in (file.old_blob, file.new_blob)])
    return [FileChange(file.path, blobs.get(file.old_blob), blobs.get(file.new_blob)) for file in diff.files]


@dataclass(frozen=True, slots=True)
class Look:
    """What analysers and the project's own style say of some files of a commit.

    ``looked_at`` are the files that were there to look at; ``failures`` the analysers that could not; ``wide`` lines
    much wider than any there was.
    """

    findings: tuple[Finding, ...]
    style: frozenset[str]
    looked_at: frozenset[str] = frozenset()
    failures: frozenset[str] = frozenset()
    wide: tuple[str, ...] = ()


async def look_at(
    means: Means,
    worktree: Worktree,
    commit: str,
    paths: Sequence[str],
    rule: str,
    known: Sequence[Finding],
    coverage: Coverage | None = None,
) -> Look:
    """Look at some files of a commit that is checked out; contents seen before cost nothing.

    Rules about tests (``test-gaps:…``) are only looked for where ``coverage`` is given.
    """
    tree = await source_tree(worktree.mirror, commit, worktree.path, means.settings.file_bytes, coverage)
    there = [path for path in paths if path in tree.files]
    async with asyncio.TaskGroup() as group:
        checked = group.create_task(
            quick_check(tree, there, means.sandbox, rules=(rule,), known=known, cache=means.cache)
        )
        style = group.create_task(style_problems(worktree.path, there, means.sandbox))
    found = checked.result()
    failed = frozenset(run.analyser for run in found.failures)
    return Look(found.findings, style.result(), frozenset(there), failed)


async def tip_worktree(mirror: Path, folder: Path, commit: str) -> Worktree:
    """The checkout of a tip all items of a wave look at; nobody writes in it, and it stays until the wave has ended."""
    return await take_worktree(mirror, folder, f"tip-{commit}", commit)


async def _looks(
    means: Means,
    folder: Path,
    case: Case,
    commit: str,
    paths: Sequence[str],
    covers: Sequence[Coverage | None],
) -> tuple[Look, Look]:
    """Before and after; ``covers`` are the lines tests run in each, where the rule asks for them."""
    looked_at, rule = sorted({*paths, case.draft.path}), case.draft.rule
    tip = await tip_worktree(case.mirror, folder, case.tip)
    before = await look_at(means, tip, case.tip, looked_at, rule, case.known, covers[0])
    worktree = await take_worktree(case.mirror, folder, f"check-{secrets.token_hex(8)}", commit)
    try:
        return before, await look_at(means, worktree, commit, looked_at, rule, before.findings, covers[1])
    finally:
        await release_worktree(worktree)


def _asked(case: Case, before: Look) -> list[Finding]:
    """The findings of an item as they stand at its tip: by fingerprint, else by rule and line."""
    draft = case.draft
    by_name = [found for found in before.findings if found.fingerprint in draft.fingerprints]
    here = [found for found in before.findings if found.place.path == draft.path]
    return by_name or [one for one in here if one.rule == draft.rule and one.place.line in draft.lines]


def _measure(case: Case, seen: Seen) -> tuple[dict[str, Measured], dict[str, str]]:
    """What the built-in gates ask. What an analyser that failed would have said is left out: not measured."""
    measured: dict[str, Measured] = {}
    notes: dict[str, str] = {}
    for part in (_findings, _tests, _limits):
        values, words = part(case, seen)
        measured |= values
        notes |= words
    return measured, notes


_Part = tuple[dict[str, Measured], dict[str, str]]


def _findings(case: Case, seen: Seen) -> _Part:
    asked = _asked(case, seen.before)
    left = [old for old, _new in seen.compared.kept if old in asked]
    worse = _worse(case, seen.compared)
    hidden = case.draft.path not in seen.after.looked_at
    failed = seen.after.failures - seen.before.failures
    values: dict[str, Measured] = {
        "finding_gone": bool(seen.changes and asked) and not left and not hidden,
        "new_findings": len(worse),
        "security_findings": sum(one.concern is Concern.SECURITY for one in seen.compared.new),
    }
    words = {
        "finding_gone": "; ".join(str(found.place) for found in left[:3])
        or (f"{case.draft.path} is not looked at any more" if hidden else "")
        or ("" if asked else "it was not there before"),
        "new_findings": "; ".join(f"{found.place} {found.message}" for found in worse[:3]),
    }
    if failed:
        told = f"{', '.join(sorted(failed))} could not look at the change"
        return {}, dict.fromkeys(values, told)
    return values, words


def _tests(case: Case, seen: Seen) -> _Part:
    expected, report = _wanted(case), seen.report
    broken = sorted(expected & report.failed())
    lost = sorted(expected - report.passed() - report.failed())
    unfinished = bool(expected) and report.end is not SuiteEnd.FINISHED
    ended = f"the run ended: {report.end}" if unfinished else ""
    values: dict[str, Measured] = {
        "tests_broken": len(broken),
        "tests_lost": max(len(lost), int(unfinished)),
    }
    return values, {"tests_broken": ", ".join(broken[:3]), "tests_lost": ", ".join(lost[:3]) or ended}


def _limits(case: Case, seen: Seen) -> _Part:
    breaches = find_breaches(seen.changes)
    strayed = outside_scope(case.draft, seen.diff, seen.changes)
    style = [*sorted(seen.after.style - seen.before.style), *seen.after.wide]
    values: dict[str, Measured] = {
        "guards_broken": len(breaches),
        "outside_scope": len(strayed),
        "style_kept": not style,
    }
    words = {
        "guards_broken": "; ".join(str(breach) for breach in breaches[:3]),
        "outside_scope": "; ".join(strayed[:3]),
        "style_kept": "; ".join(style[:3]),
    }
    return values, words


def _worse(case: Case, compared: Comparison) -> list[Finding]:
    """New findings at least as severe as the one that was mended."""
    return [found for found in compared.new if found.severity >= case.draft.severity]


def _wanted(case: Case) -> frozenset[str]:
    """Tests that passed before and were asked for now."""
    before = case.baseline.passed()
    chosen = frozenset(case.select)
    return (
        frozenset(one for one in before if one in chosen or one.split("::", 1)[0] in chosen)
        if chosen
        else before
    )


def _command_evidence(report: TestReport) -> CommandEvidence:
    digest = hashlib.sha256(report.output.encode("utf-8", "surrogateescape")).hexdigest()
    return CommandEvidence(report.command, report.exit_status, report.end, round(report.seconds, 3), digest)
