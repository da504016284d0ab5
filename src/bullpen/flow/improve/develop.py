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
from bullpen.flow.improve.item_git import ItemGit
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.plan import candidates, item_task
from bullpen.flow.improve.prove import ABOUT_TESTS, look_at, tip_worktree
from bullpen.flow.improve.session import ImproveSession
from bullpen.flow.improve.sites import sites_in
from bullpen.flow.scope import agreed_ranges
from bullpen.models.facts import Facts
from bullpen.tools.base import Skills
from bullpen.tools.workspace import Scope
from bullpen.vcs.worktrees import release_worktree, take_worktree

MOST_TAKES = 10  # homes an attempt may be begun in with records of its own


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """Work on one item from one commit. ``take`` counts homes that died over an attempt."""

    session: str
    item: str
    wave: int
    tip: str
    take: int = 0


@dataclass(frozen=True, slots=True)
class Developed:
    """What a developer left. ``tree`` is empty where nothing could be done; ``summary`` says why.

    ``declined`` means that no way it knows applies here at all: nothing was changed, so nothing failed.
    """

    tree: str
    summary: str
    approach: str
    tried: tuple[str, ...]
    recipe: str = ""
    declined: bool = False


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a later attempt is told: approaches that failed, and how the last one did."""

    tried: tuple[str, ...] = ()
    failure: str = ""


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


async def develop(
    means: Means,
    crew: Crew,
    session: ImproveSession,
    order: WorkOrder,
    attempt: int,
    draft: ItemDraft,
    findings: Sequence[Finding],
    feedback: Feedback,
) -> Developed:
    """Let the developer work; its worktree is checked out from the tip, and given back when its tree is kept."""
    folder = means.folder(session.id).worktrees
    owner = f"develop-{order.item}-{order.wave}-{attempt}"
    checkout = await take_worktree(session.mirror, folder, owner, order.tip)
    worktree = ItemWorktree(checkout, order.tip)
    recipes = candidates(draft, means.recipes, session.options)
    facts = Facts(
        path=draft.path,
        lines=draft.lines,
        rules=tuple({rule for found in findings for rule in (found.rule, *found.same_as)}),
        fingerprints=draft.fingerprints,
        recipes=tuple(recipe.name for recipe in recipes),
        tried=feedback.tried,
        failure=feedback.failure,
    )
    errand = Errand(
        task=item_task(session.id, order.item, "develop"),
        role="developer",
        text=_words(draft, feedback),
        facts=facts,
        attempt=attempt_number(order, attempt),
        workspace=checkout.path,
        worktree=worktree,
        scope=_scope(draft, await worktree.original(draft.path)),
        skills=Skills(
            recipes=means.recipes,
            tests=ItemTests(session, worktree),
            analysis=ItemInspector(means, worktree, (draft.rule,), tuple(findings)),
            git=ItemGit(worktree),
        ),
        sites={draft.path: sites_in(draft.path, findings)},
        findings=tuple(findings),
        tried=frozenset(feedback.tried),
        allow_unsafe=any(recipe.applicability is Applicability.UNSAFE for recipe in recipes),
    )
    result = await crew.send(session, errand)
    tree = await worktree.snapshot() if result.done else ""
    await release_worktree(checkout)
    approach = result.data.get("approach", "")
    declined = result.outcome == "no-approach" and not result.tried and not feedback.tried
    return Developed(tree, result.summary, approach, result.tried, approach.split("@", 1)[0], declined)


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
