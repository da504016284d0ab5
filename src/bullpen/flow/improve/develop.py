"""Develop: an agent changes the code for one item, in its own worktree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bullpen.domain.change import Applicability
from bullpen.domain.errors import Unavailable
from bullpen.domain.finding import Finding
from bullpen.domain.test_report import Coverage
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.improve.bench import ItemInspector, ItemTests, ItemWorktree
from bullpen.flow.improve.crew import Crew, Errand
from bullpen.flow.improve.giving import give
from bullpen.flow.improve.item_git import ItemGit
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.plan import candidates, item_task
from bullpen.flow.improve.prove import ABOUT_TESTS, look_at, tip_worktree
from bullpen.flow.improve.routing import Phase, Wanted
from bullpen.flow.improve.session import ImproveSession
from bullpen.flow.improve.sites import sites_in
from bullpen.flow.scope import agreed_ranges
from bullpen.models.facts import Facts
from bullpen.recipes.base import Recipe
from bullpen.tools.base import Skills
from bullpen.tools.workspace import Scope
from bullpen.vcs.worktrees import release_worktree, take_worktree

MOST_TAKES = 10  # homes an attempt may be begun in with records of its own


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """Work on one item from one commit. ``take`` counts homes that died over an attempt; ``attempts`` is how many there
    may be, 0 for as many as are set.
    """

    session: str
    item: str
    wave: int
    tip: str
    take: int = 0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Developed:
    """What a developer left. ``tree`` is empty where nothing could be done; ``summary`` says why.

    ``declined`` means that no way it knows applies here at all: nothing was changed, so nothing failed. ``agent`` is
    who it was, and ``number`` that of the attempt.
    """

    tree: str
    summary: str
    approach: str
    tried: tuple[str, ...]
    recipe: str = ""
    declined: bool = False
    agent: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a later attempt is told: approaches that failed, how the last one did, and whose they were."""

    tried: tuple[str, ...] = ()
    failure: str = ""
    agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Commission:
    """One attempt at an item: as it stands, its findings, and what was learned so far."""

    session: ImproveSession
    order: WorkOrder
    attempt: int
    draft: ItemDraft
    findings: tuple[Finding, ...]
    feedback: Feedback


async def relocate(
    means: Means, session: ImproveSession, draft: ItemDraft, tip: str, known: Sequence[Finding]
) -> tuple[ItemDraft, tuple[Finding, ...]]:
    """The item as it stands at ``tip``, where earlier changes may have moved its lines or mended it already.

    Raises:
        Unavailable: an analyser could not look; then nothing may be said to be mended.
    """
    worktree = await tip_worktree(session.mirror, means.folder(session.id).worktrees, tip)
    mine = [found for found in known if found.place.path == draft.path]
    cover = await _coverage(session, draft.rule, tip)
    looked = await look_at(means, worktree, tip, [draft.path], draft.rule, mine, cover)
    left = tuple(found for found in looked.findings if found.fingerprint in draft.fingerprints)
    witness = draft.rule.split(":", 1)[0]
    if not left and witness in {name.replace("_", "-") for name in looked.failures}:
        raise Unavailable(f"{witness} could not look at {draft.path} again, so nothing is known of it.")
    lines = tuple(sorted({found.place.line for found in left}))
    return replace(draft, lines=lines, fingerprints=tuple(sorted(one.fingerprint for one in left))), left


async def _coverage(session: ImproveSession, rule: str, tip: str) -> Coverage | None:
    """Which lines the tests run: for a rule about tests those of the tip, where lines are not what they were."""
    if not rule.startswith(ABOUT_TESTS) or tip == session.opened.base:
        return session.coverage
    return (await session.tests.run(tip, coverage=True)).coverage or session.coverage


async def develop(means: Means, crew: Crew, one: Commission) -> Developed:
    """Let somebody change the code, in a worktree checked out from the tip; it is given back when its tree is kept.

    Raises:
        Conflict: nobody can.
    """
    folder = means.folder(one.session.id).worktrees
    owner = f"develop-{one.order.item}-{one.order.wave}-{one.attempt}"
    checkout = await take_worktree(one.session.mirror, folder, owner, one.order.tip)
    worktree = ItemWorktree(checkout, one.order.tip)
    recipes = candidates(one.draft, means.recipes, one.session.options)
    errand = await _errand(means, one, worktree, recipes)
    wanted = Wanted(
        Phase.DEVELOP,
        one.draft.concern.value,
        one.draft.path,
        tried=frozenset(one.feedback.agents),
        rule=one.draft.rule,
        by_recipe=bool(one.draft.recipe),
    )
    done = await give(crew, one.session, errand, wanted)
    result = done.result
    tree = await worktree.snapshot() if result.done else ""
    await release_worktree(checkout)
    approach = result.data.get("approach", "") if done.by_role else ""
    recipe = approach.split("@", 1)[0]
    declined = result.outcome == "no-approach" and not result.tried and not one.feedback.tried
    return Developed(
        tree,
        result.summary,
        approach,
        result.tried,
        recipe if any(recipe == known.name for known in recipes) else "",
        declined,
        done.agent,
        done.number,
    )


async def _errand(means: Means, one: Commission, worktree: ItemWorktree, recipes: Sequence[Recipe]) -> Errand:
    draft, findings, feedback = one.draft, one.findings, one.feedback
    facts = Facts(
        path=draft.path,
        lines=draft.lines,
        rules=tuple({rule for found in findings for rule in (found.rule, *found.same_as)}),
        fingerprints=draft.fingerprints,
        recipes=tuple(recipe.name for recipe in recipes),
        tried=feedback.tried,
        failure=feedback.failure,
    )
    return Errand(
        task=item_task(one.session.id, one.order.item, Phase.DEVELOP),
        role="developer",
        text=_words(draft, feedback),
        facts=facts,
        attempt=attempt_number(one.order, one.attempt),
        workspace=worktree.worktree.path,
        worktree=worktree,
        scope=_scope(draft, await worktree.original(draft.path)),
        skills=Skills(
            recipes=means.recipes,
            tests=ItemTests(one.session, worktree),
            analysis=ItemInspector(means, worktree, (draft.rule,), findings),
            git=ItemGit(worktree),
        ),
        sites={draft.path: sites_in(draft.path, findings)},
        findings=findings,
        tried=frozenset(feedback.tried),
        allow_unsafe=any(recipe.applicability is Applicability.UNSAFE for recipe in recipes),
    )


def attempt_number(order: WorkOrder, attempt: int) -> int:
    """Attempts of later waves, and those begun again in another home, are counted on: each has records of its own."""
    return (order.wave * MOST_TAKES + order.take) * 10 + attempt


def _scope(draft: ItemDraft, before: bytes | None) -> Scope:
    ranges = tuple(agreed_ranges(draft.path, draft.lines, before or b""))
    folders = ("tests", "test") if draft.kind == "qa" else ()
    return Scope(files={draft.path: ranges}, folders=folders)


def _words(draft: ItemDraft, feedback: Feedback) -> str:
    parts = [
        draft.title,
        draft.why,
        "Where:\n" + "\n".join(f"- {line}" for line in draft.evidence),
        "Done when:\n" + "\n".join(f"- {line}" for line in draft.acceptance),
    ]
    if feedback.failure:
        tried = "; ".join(feedback.tried) or "nothing that is named"
        parts.append(
            f"An earlier attempt failed: {feedback.failure}\nTried already: {tried}. Take another way."
        )
    return "\n\n".join(parts)
