"""Assess: reviewer and judge look at a proved change. Neither is its author, and neither is asked to trust it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bullpen.agents.base import AgentResult
from bullpen.domain.finding import Finding
from bullpen.domain.verdict import GateResult, Ruling, Verdict
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.gates import Gate, evaluate
from bullpen.flow.improve.bench import ItemGates, ItemInspector, ItemTests, ItemWorktree
from bullpen.flow.improve.crew import Crew, Errand
from bullpen.flow.improve.item_git import ItemGit
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.plan import item_task
from bullpen.flow.improve.prove import Proof, candidate_commit
from bullpen.flow.improve.session import ImproveSession
from bullpen.models.facts import Facts
from bullpen.tools.base import Skills
from bullpen.vcs.worktrees import release_worktree, restore_tree, take_worktree


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the others say of a change."""

    verdict: Verdict
    accepted: bool
    reason: str


async def assess(
    means: Means,
    crew: Crew,
    session: ImproveSession,
    draft: ItemDraft,
    findings: Sequence[Finding],
    proof: Proof,
    tip: str,
    attempt: int,
    gates: tuple[Gate, ...],
) -> Assessment:
    """Gates first, then the reviewer, then the judge. The gates' word is final: no agent can overrule one that failed."""
    results = evaluate(gates, proof.measured, proof.notes)
    folder = means.folder(session.id).worktrees
    await candidate_commit(session.mirror, proof.evidence.tree_after, tip)
    checkout = await take_worktree(session.mirror, folder, f"assess-{draft.id}-{attempt}", tip)
    await restore_tree(checkout, proof.evidence.tree_after)
    worktree = ItemWorktree(checkout, tip)
    skills = Skills(
        tests=ItemTests(session, worktree),
        analysis=ItemInspector(means, worktree, (draft.rule,), tuple(findings)),
        gates=ItemGates(results),
        git=ItemGit(worktree),
    )
    said: dict[str, AgentResult] = {}
    for role, phase in (("reviewer", "review"), ("judge", "judge")):
        errand = Errand(
            task=item_task(session.id, draft.id, phase),
            role=role,
            text=f"{draft.title}\n\n{draft.why}",
            facts=Facts(
                path=draft.path, lines=draft.lines, fingerprints=draft.fingerprints, paths=(draft.path,)
            ),
            attempt=attempt,
            workspace=checkout.path,
            skills=skills,
            worktree=worktree,
            findings=tuple(findings),
        )
        said[role] = await crew.send(session, errand)
    await release_worktree(checkout)
    return _rule(results, said)


def _rule(results: tuple[GateResult, ...], said: dict[str, AgentResult]) -> Assessment:
    failed = [f"{gate.name}: {gate.evidence}" for gate in results if not gate.passed]
    objections = [
        f"{role}: {one.summary}" for role, one in said.items() if one.data.get("ruling") != Ruling.ACCEPT
    ]
    problems = failed or objections
    scores = {
        "gates": sum(gate.passed for gate in results) / len(results) if results else 0.0,
        "review": float(said["reviewer"].data.get("ruling") == Ruling.ACCEPT),
    }
    verdict = Verdict(
        ruling=Ruling.REVISE if problems else Ruling.ACCEPT,
        judge="judge",
        scores=scores,
        gates=results,
        must_change=tuple(problems),
    )
    return Assessment(verdict, not problems, "; ".join(problems))
