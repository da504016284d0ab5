"""Prove: what a change did, measured by the platform itself and never taken from an agent's word."""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.analysis.compare import Comparison, compare
from bullpen.analysis.roast import quick_check
from bullpen.domain.change import FileChange
from bullpen.domain.finding import Finding
from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.domain.verdict import CommandEvidence, Evidence
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.gates import Measured
from bullpen.flow.guards import find_breaches, is_test_path
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import source_tree
from bullpen.flow.improve.project_tests import ProjectTests
from bullpen.flow.scope import outside_scope
from bullpen.flow.style import style_problems
from bullpen.vcs.commits import BULLPEN, commit_tree, tree_of
from bullpen.vcs.diffs import Diff, diff_trees
from bullpen.vcs.grafts import graft_files
from bullpen.vcs.trees import read_blobs
from bullpen.vcs.worktrees import Worktree, release_worktree, take_worktree


@dataclass(frozen=True, slots=True)
class Proof:
    """Evidence, the measurements gates are held against, and words for each."""

    evidence: Evidence
    measured: Mapping[str, Measured]
    notes: Mapping[str, str]
    patch: bytes


@dataclass(frozen=True, slots=True)
class Case:
    """A change to be proved: what it was to do, from which commit, to which tree."""

    draft: ItemDraft
    tip: str
    tree: str
    mirror: Path
    baseline: TestReport
    select: tuple[str, ...] = ()  # tests that touch the change; empty means all


async def candidate_commit(mirror: Path, tree: str, parent: str) -> str:
    """A commit no branch names, so that a tree can be checked out and tested. The same tree gives the same commit."""
    return await commit_tree(mirror, tree, [parent], "candidate", BULLPEN, 0)


async def prove(means: Means, folder: Path, case: Case, tests: ProjectTests) -> Proof:
    """Measure a change against its tip: findings, tests, guards, scope, style, falsification."""
    diff = await diff_trees(case.mirror, case.tip, case.tree, renames=False)
    changes = await read_changes(case.mirror, diff)
    commit = await candidate_commit(case.mirror, case.tree, case.tip)
    before, after = await _looks(means, folder, case, commit, [change.path for change in changes])
    compared = compare(before.findings, after.findings)
    report = await tests.run_against(commit, _wanted(case), case.select)
    falsified = await _falsify(case, changes, tests)
    style = "; ".join(sorted(after.style - before.style)[:3])
    measured, notes = _measure(case, diff, changes, compared, report)
    for name, problem in (("new_tests_falsified", falsified), ("style_kept", style)):
        measured[name] = not problem
        notes[name] = problem
    gone = {found.fingerprint for found in compared.gone}
    evidence = Evidence(
        item=case.draft.id,
        rule=case.draft.rule,
        tree_before=await tree_of(case.mirror, case.tip),
        tree_after=case.tree,
        patch_sha256=hashlib.sha256(diff.patch).hexdigest(),
        commands=(_command_evidence(report),) if report.command else (),
        findings_gone=tuple(one for one in case.draft.fingerprints if one in gone),
        findings_new=tuple(f"{found.rule} {found.place}" for found in _worse(case, compared)),
        tests_before=tuple(sorted(_wanted(case))),
        tests_after=tuple(sorted(report.passed() & case.baseline.passed())),
    )
    return Proof(evidence, measured, notes, diff.patch)


async def read_changes(mirror: Path, diff: Diff) -> list[FileChange]:
    """The files of a diff with their whole contents before and after."""
    blobs = await read_blobs(mirror, [blob for file in diff.files for blob in (file.old_blob, file.new_blob)])
    return [FileChange(file.path, blobs.get(file.old_blob), blobs.get(file.new_blob)) for file in diff.files]


@dataclass(frozen=True, slots=True)
class Look:
    """What analysers and the project's own style say of some files of a commit."""

    findings: tuple[Finding, ...]
    style: frozenset[str]


async def look_at(
    means: Means, worktree: Worktree, commit: str, paths: Sequence[str], rule: str, known: Sequence[Finding]
) -> Look:
    """Look at some files of a commit that is checked out; contents seen before cost nothing."""
    tree = await source_tree(worktree.mirror, commit, worktree.path, means.settings.file_bytes)
    there = [path for path in paths if path in tree.files]
    python = [path for path in there if path.endswith(".py")]
    async with asyncio.TaskGroup() as group:
        checked = group.create_task(
            quick_check(tree, there, means.sandbox, rules=(rule,), known=known, cache=means.cache)
        )
        style = group.create_task(style_problems(worktree.path, python, means.sandbox))
    return Look(checked.result().findings, style.result())


async def tip_worktree(mirror: Path, folder: Path, commit: str) -> Worktree:
    """The checkout of a tip all items of a wave look at; nobody writes in it, and it stays until the wave has ended."""
    return await take_worktree(mirror, folder, f"tip-{commit}", commit)


async def _looks(
    means: Means, folder: Path, case: Case, commit: str, paths: Sequence[str]
) -> tuple[Look, Look]:
    looked_at = sorted({*paths, case.draft.path})
    tip = await tip_worktree(case.mirror, folder, case.tip)
    before = await look_at(means, tip, case.tip, looked_at, case.draft.rule, ())
    worktree = await take_worktree(case.mirror, folder, f"check-{secrets.token_hex(8)}", commit)
    try:
        return before, await look_at(means, worktree, commit, looked_at, case.draft.rule, before.findings)
    finally:
        await release_worktree(worktree)


def _measure(
    case: Case, diff: Diff, changes: Sequence[FileChange], compared: Comparison, report: TestReport
) -> tuple[dict[str, Measured], dict[str, str]]:
    left = [old for old, _new in compared.kept if old.fingerprint in case.draft.fingerprints]
    worse = _worse(case, compared)
    expected = _wanted(case)
    broken = sorted(expected & report.failed())
    lost = sorted(expected - report.passed() - report.failed())
    breaches = find_breaches(changes)
    strayed = outside_scope(case.draft, diff, changes)
    measured: dict[str, Measured] = {
        "finding_gone": bool(changes) and not left,
        "new_findings": len(worse),
        "tests_broken": len(broken),
        "tests_lost": len(lost),
        "guards_broken": len(breaches),
        "outside_scope": len(strayed),
    }
    if expected and report.end is not SuiteEnd.FINISHED:
        measured["tests_lost"] = max(len(lost), 1)
    notes = {
        "finding_gone": "; ".join(str(found.place) for found in left[:3]),
        "new_findings": "; ".join(f"{found.place} {found.message}" for found in worse[:3]),
        "tests_broken": ", ".join(broken[:3]),
        "tests_lost": ", ".join(lost[:3])
        or ("" if report.end is SuiteEnd.FINISHED else f"the run ended: {report.end}"),
        "guards_broken": "; ".join(str(breach) for breach in breaches[:3]),
        "outside_scope": "; ".join(strayed[:3]),
    }
    return measured, notes


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


async def _falsify(case: Case, changes: Sequence[FileChange], tests: ProjectTests) -> str:
    """A new or changed test beside a change of code must fail without that change; a problem in words, or nothing."""
    test_files = [change for change in changes if is_test_path(change.path) and change.path.endswith(".py")]
    code_files = [change for change in changes if not is_test_path(change.path)]
    if not test_files or not code_files:
        return ""
    tree = await graft_files(case.mirror, case.tip, case.tree, [change.path for change in test_files])
    commit = await candidate_commit(case.mirror, tree, case.tip)
    report = await tests.run(commit, [change.path for change in test_files])
    fresh = report.passed() - case.baseline.passed()
    return f"passes without the change: {', '.join(sorted(fresh)[:3])}" if fresh else ""
