"""Assess: reviewer and judge look at a proved change. Neither is its author, and neither is asked to trust it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bullpen.domain.errors import Conflict
from bullpen.domain.finding import Finding
from bullpen.domain.verdict import Evidence, GateResult, Ruling, Verdict
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.gates import Gate, evaluate
from bullpen.flow.improve.bench import ItemGates, ItemInspector, ItemTests, ItemWorktree
from bullpen.flow.improve.case import candidate_commit
from bullpen.flow.improve.command_gates import CommandsRun, run_command_gates
from bullpen.flow.improve.crew import Crew, Errand
from bullpen.flow.improve.giving import Done, give, ruling_of
from bullpen.flow.improve.item_git import ItemGit
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.plan import item_task
from bullpen.flow.improve.prove import Proof
from bullpen.flow.improve.routing import Phase, Wanted, Word
from bullpen.flow.improve.session import ImproveSession
from bullpen.models.facts import Facts
from bullpen.tools.base import Skills
from bullpen.vcs.worktrees import release_worktree, reset_worktree, restore_tree, take_worktree

ROLE_OF = {Phase.REVIEW: "reviewer", Phase.JUDGE: "judge"}


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the others say of a change: ``words`` are theirs, each with who said it.

    ``evidence`` is the proof's, with the verdict and the commands of gates.
    """

    verdict: Verdict
    accepted: bool
    reason: str
    evidence: Evidence
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Hearing:
    """A proved change before those who judge it, and who made it. ``number`` tells the attempts at its item apart."""

    session: ImproveSession
    draft: ItemDraft
    findings: tuple[Finding, ...]
    proof: Proof
    tip: str
    number: int
    gates: tuple[Gate, ...]
    author: str = "developer"

    @property
    def name(self) -> str:
        """For the worktrees of this hearing."""
        return f"{self.draft.id}-{self.number}"


async def assess(means: Means, crew: Crew, hearing: Hearing) -> Assessment:
    """Gates first, then a reviewer, then a judge, none of them the author or the same as another.

    The gates' word is final: no agent can overrule one that failed.

    Raises:
        Conflict: nobody is left who may review or judge.
    """
    proof = hearing.proof
    commands = await _run_commands(means, hearing)
    measured, notes = {**proof.measured, **commands.measured}, {**proof.notes, **commands.notes}
    results = evaluate(hearing.gates, measured, notes)
    said = await _hear(means, crew, hearing, results)
    require_others(hearing.author, [one.agent for one in said.values()])
    rulings = {
        ROLE_OF[phase]: Said(ruling_of(one.result), one.result.summary, one.agent)
        for phase, one in said.items()
    }
    verdict = rule(results, proof.scores, rulings)
    commands_run = (*proof.evidence.commands, *commands.evidence)
    evidence = replace(proof.evidence, verdict=verdict, commands=commands_run)
    words = tuple(_word(hearing, phase, one) for phase, one in said.items())
    accepted = verdict.ruling is Ruling.ACCEPT
    return Assessment(verdict, accepted, "; ".join(verdict.must_change), evidence, words)


def _word(hearing: Hearing, phase: Phase, one: Done) -> Word:
    task = item_task(hearing.session.id, hearing.draft.id, phase)
    return Word(phase, task, one.number, one.agent, ruling_of(one.result))


async def _hear(
    means: Means, crew: Crew, hearing: Hearing, results: tuple[GateResult, ...]
) -> dict[Phase, Done]:
    """What each says over a checkout of the change."""
    folder = means.folder(hearing.session.id).worktrees
    checkout = await take_worktree(hearing.session.mirror, folder, f"assess-{hearing.name}", hearing.tip)
    try:
        await restore_tree(checkout, hearing.proof.evidence.tree_after)
        worktree = ItemWorktree(checkout, hearing.tip)
        skills = Skills(
            tests=ItemTests(hearing.session, worktree),
            analysis=ItemInspector(means, worktree, (hearing.draft.rule,), hearing.findings),
            gates=ItemGates(results),
            git=ItemGit(worktree),
        )
        said: dict[Phase, Done] = {}
        for phase in ROLE_OF:
            took_part = frozenset({hearing.author, *(one.agent for one in said.values())})
            wanted = Wanted(phase, hearing.draft.concern.value, hearing.draft.path, took_part)
            said[phase] = await give(crew, hearing.session, _errand(hearing, phase, worktree, skills), wanted)
        return said
    finally:
        await release_worktree(checkout)


async def _run_commands(means: Means, hearing: Hearing) -> CommandsRun:
    """In a checkout of their own: a command may write, and the judge must see the change as it is."""
    if not any(gate.command for gate in hearing.gates):
        return CommandsRun({}, {}, ())
    mirror, folder = hearing.session.mirror, means.folder(hearing.session.id).worktrees
    commit = await candidate_commit(mirror, hearing.proof.evidence.tree_after, hearing.tip)
    checkout = await take_worktree(mirror, folder, f"gates-{hearing.name}", commit)
    try:
        await reset_worktree(checkout, commit)
        return await run_command_gates(hearing.gates, checkout.path, means.sandbox, means.test_limits())
    finally:
        await release_worktree(checkout)


def _errand(hearing: Hearing, phase: Phase, worktree: ItemWorktree, skills: Skills) -> Errand:
    draft = hearing.draft
    return Errand(
        task=item_task(hearing.session.id, draft.id, phase),
        role=ROLE_OF[phase],
        text=f"{draft.title}\n\n{draft.why}",
        facts=Facts(path=draft.path, lines=draft.lines, fingerprints=draft.fingerprints, paths=(draft.path,)),
        attempt=hearing.number,
        workspace=worktree.worktree.path,
        skills=skills,
        worktree=worktree,
        findings=hearing.findings,
        tree=hearing.proof.evidence.tree_after,
    )


def require_others(author: str, judges: Sequence[str]) -> None:
    """Nobody judges their own work.

    Raises:
        Conflict: the author is among the judges.
    """
    if author in judges:
        raise Conflict(
            f"{author} made this change and may not judge it.", remedy="Let another role make or judge it."
        )


@dataclass(frozen=True, slots=True)
class Said:
    """What a role ruled, its reason, and the agent it was; empty where that has the role's name."""

    ruling: str
    why: str
    agent: str = ""


def rule(results: tuple[GateResult, ...], scores: Mapping[str, float], said: Mapping[str, Said]) -> Verdict:
    """The verdict: acceptance needs every gate and every role. What must change names gates first, with their evidence."""
    failed = [f"{gate.name}: {gate.evidence}" for gate in results if not gate.passed]
    objections = [
        f"{one.agent or role}: {one.why}" for role, one in said.items() if one.ruling != Ruling.ACCEPT
    ]
    problems = tuple(failed or objections)
    shares = {"gates": sum(gate.passed for gate in results) / len(results) if results else 0.0}
    shares |= {role: float(one.ruling == Ruling.ACCEPT) for role, one in said.items() if role != "judge"}
    judge = said["judge"].agent if "judge" in said else ""
    return Verdict(
        ruling=Ruling.REVISE if problems or not results else Ruling.ACCEPT,
        judge=judge or "judge",
        scores={**scores, **shares},
        gates=results,
        must_change=problems or (() if results else ("no gate was evaluated",)),
    )
