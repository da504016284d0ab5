"""Verify: run the evidence of a change again, trusting nothing that was kept but the names of the trees."""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bullpen.analysis.cache import ObservationCache
from bullpen.analysis.queries import list_findings
from bullpen.domain.errors import NotFound
from bullpen.domain.finding import Finding
from bullpen.domain.test_report import SuiteEnd, TestReport
from bullpen.domain.verdict import Evidence
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.gates import DEFAULT_GATES, evaluate, parse_gates
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.project_tests import ProjectTests
from bullpen.flow.improve.prove import Case, Proof, look_at, prove, tip_worktree
from bullpen.flow.improve.session import ImproveSession, OpenSessions
from bullpen.vcs.commits import BULLPEN, commit_tree, read_commit, tree_of
from bullpen.vcs.diffs import diff_trees
from bullpen.vcs.worktrees import prune_worktrees
from bullpen.work import queries


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing the evidence says, and whether it was seen to hold now."""

    name: str
    holds: bool
    said: str
    seen: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of it. ``commit`` is the change on its branch, ``claims`` everything that was checked."""

    session: str
    item: str
    title: str
    rule: str
    commit: str
    claims: tuple[Claim, ...]

    @property
    def holds(self) -> bool:
        """Whether every claim does."""
        return all(claim.holds for claim in self.claims)


async def verify_change(means: Means, sessions: OpenSessions, change: str) -> Verification:
    """Check a landed change, named by its commit or its item, from its trees alone.

    The trees before and after are checked out anew, the project's tests run on both, and the analysers look at both
    without the results they kept. Then the commit that landed is tested as it stands on its branch.

    Raises:
        NotFound: no change of that name is known, or the repository's copy no longer has its trees.
    """
    async with means.database.view(means.actor) as uow:
        session_id, evidence = await queries.get_evidence(uow, change)
        item = await queries.get_item(uow, session_id, evidence.item)
        known = await list_findings(uow, session_id, "before", item.draft.path)
    session = await sessions.get(session_id)
    await _require_trees(session, evidence)
    with tempfile.TemporaryDirectory(prefix="bullpen-verify-") as home:
        cache = ObservationCache(Path(home))
        fresh, tests = replace(means, cache=cache), _without_memory(session.tests)
        try:
            before, proof = await _again(fresh, session, item.draft, known, evidence, tests)
            landed = await tests.run_against(item.change, frozenset(evidence.tests_after))
        finally:
            cache.close()
            await prune_worktrees(session.mirror, tests.folder, ())
    claims = (
        *_tree_claims(evidence, proof),
        *_measured_claims(evidence, before, proof),
        *await _landed_claims(session, item.change, evidence, proof, landed),
    )
    return Verification(session_id, item.id, item.draft.title, evidence.rule, item.change, claims)


async def _require_trees(session: ImproveSession, evidence: Evidence) -> None:
    for tree in (evidence.tree_before, evidence.tree_after):
        try:
            await tree_of(session.mirror, tree)
        except NotFound as error:
            raise NotFound(
                f"The tree {tree[:12]} of the evidence is no longer in Bullpen's copy of the repository.",
                remedy="Run `bullpen improve` again to prove the change anew.",
            ) from error


async def _again(
    fresh: Means,
    session: ImproveSession,
    draft: ItemDraft,
    known: Sequence[Finding],
    evidence: Evidence,
    tests: ProjectTests,
) -> tuple[TestReport, Proof]:
    """The tests on the tree before, and the whole proof on the tree after."""
    tip = await commit_tree(session.mirror, evidence.tree_before, [], "before", BULLPEN, 0)
    before = await tests.run_against(tip, frozenset(evidence.tests_before))
    worktree = await tip_worktree(session.mirror, tests.folder, tip)
    looked = await look_at(fresh, worktree, tip, [draft.path], draft.rule, known)
    mine = [found for found in looked.findings if found.fingerprint in evidence.findings_gone]
    lines = tuple(sorted({found.place.line for found in mine}))  # where earlier changes moved them
    there = replace(draft, lines=lines, fingerprints=evidence.findings_gone)
    case = Case(there, tip, evidence.tree_after, session.mirror, before)
    return before, await prove(fresh, tests.folder, case, tests)


def _without_memory(tests: ProjectTests) -> ProjectTests:
    """The same project's tests, with no result kept and worktrees of their own."""
    return ProjectTests(
        mirror=tests.mirror,
        folder=tests.folder.with_name("verify"),
        cache=None,
        environment=tests.environment,
        sandbox=tests.sandbox,
        limits=tests.limits,
        lanes=tests.lanes,
    )


def _tree_claims(evidence: Evidence, proof: Proof) -> list[Claim]:
    digest = hashlib.sha256(proof.patch).hexdigest()
    return [
        Claim(
            "patch",
            digest == evidence.patch_sha256,
            f"sha256 {evidence.patch_sha256[:16]}",
            f"sha256 {digest[:16]}",
        )
    ]


def _measured_claims(evidence: Evidence, before: TestReport, proof: Proof) -> list[Claim]:
    seen = proof.evidence
    gone = set(evidence.findings_gone) <= set(seen.findings_gone)
    lost = sorted(set(evidence.tests_after) - set(seen.tests_after))
    start = sorted(set(evidence.tests_before) - before.passed())
    gates = evaluate(parse_gates(DEFAULT_GATES), proof.measured, proof.notes)
    failed = [f"{gate.name} ({gate.evidence})" for gate in gates if not gate.passed]
    return [
        Claim(
            "findings gone",
            gone,
            f"{len(evidence.findings_gone)} of {evidence.rule}",
            f"{len(set(evidence.findings_gone) & set(seen.findings_gone))} of {evidence.rule}",
        ),
        Claim(
            "nothing worse",
            len(seen.findings_new) <= len(evidence.findings_new),
            f"{len(evidence.findings_new)} new findings as bad",
            "; ".join(seen.findings_new[:3]) or "0 new findings as bad",
        ),
        Claim(
            "tests before",
            not start,
            f"{len(evidence.tests_before)} pass",
            _passing(len(before.passed()), start),
        ),
        Claim(
            "tests after",
            not lost,
            f"{len(evidence.tests_after)} pass",
            _passing(len(seen.tests_after), lost),
        ),
        Claim("gates", not failed, "all pass", "; ".join(failed) or f"all {len(gates)} pass"),
    ]


def _passing(count: int, missing: Sequence[str]) -> str:
    return f"{count} pass" + (f"; not any more: {', '.join(missing[:3])}" if missing else "")


async def _landed_claims(
    session: ImproveSession, commit: str, evidence: Evidence, proof: Proof, report: TestReport
) -> list[Claim]:
    stored = await read_commit(session.mirror, commit)
    diff = await diff_trees(session.mirror, stored.parents[0], stored.id, renames=False)
    same = _edits(diff.patch) == _edits(proof.patch)
    lost = sorted(set(evidence.tests_after) - report.passed())
    ended = report.end in (SuiteEnd.FINISHED, SuiteEnd.NO_TESTS)
    return [
        Claim("commit", same, "holds this change alone", "it does" if same else "it holds another change"),
        Claim(
            "branch tests",
            not lost and ended,
            "green where it landed",
            _passing(len(report.passed()), lost) + ("" if ended else f"; the run ended: {report.end}"),
        ),
    ]


def _edits(patch: bytes) -> list[bytes]:
    """The lines a patch takes and adds, without where; a change that landed on top of others keeps them."""
    return [
        line
        for line in patch.split(b"\n")
        if line[:1] in (b"+", b"-") and not line.startswith((b"+++ ", b"--- "))
    ]
