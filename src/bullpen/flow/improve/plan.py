"""Plan: findings become work items in an order, and a tree of tasks people can follow."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from bullpen.analysis import queries as findings_queries
from bullpen.analysis.baseline import new_since, read_baseline
from bullpen.codegraph.imports import Moment as ImportMoment
from bullpen.codegraph.imports import module_graph
from bullpen.domain.change import Applicability, Site
from bullpen.domain.errors import Unavailable
from bullpen.domain.finding import Finding
from bullpen.domain.ids import SessionId, TaskId, derived_id
from bullpen.domain.task import TaskNode
from bullpen.domain.test_report import Coverage
from bullpen.domain.work_item import ItemDraft, ItemState, WorkItem
from bullpen.flow.approve import ask_for_rules
from bullpen.flow.guards import is_test_path
from bullpen.flow.improve.disagree import (
    Deeds,
    Known,
    Settled,
    by_word,
    record_disagreements,
    settle_findings,
    settled_before,
    track_records,
)
from bullpen.flow.improve.look import Moment, has_report, read_report
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import Opened, source_tree
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.improve.recipe_workers import OffloadedCodemod
from bullpen.flow.improve.sites import at_site, sites_in
from bullpen.flow.items.generate import RecipeNote, draft_items
from bullpen.flow.items.order import find_dependencies
from bullpen.flow.items.prioritise import FileFacts, prioritise
from bullpen.flow.items.reasons import AT_ODDS, BEYOND, REFUSED_BEFORE
from bullpen.flow.items.refusals import refusal_key, refused_before
from bullpen.flow.items.validate import validate_item
from bullpen.kernel.clock import now
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.recipes.base import Catalogue, Recipe, RecipeJob, Selective
from bullpen.sessions.queries import get_session, list_sessions
from bullpen.vcs.history import FileHistory, read_history
from bullpen.vcs.worktrees import release_worktree, take_worktree
from bullpen.work.actions.items import propose_items, record_broken_dependency
from bullpen.work.actions.tasks import add_tasks
from bullpen.work.queries import get_item, list_items

Hands = Callable[[str, str, str], bool]  # whether somebody works without a recipe, by concern, path and rule
DAY = 86_400
MOST_STORED = 2000  # items kept for people to see; the findings behind the rest are in the report
PHASES = (
    ("develop", "developer", "change the code"),
    ("test", "qa-engineer", "run the tests"),
    ("review", "reviewer", "review the change"),
    ("judge", "judge", "judge the evidence"),
)


def nobody(_concern: str, _path: str, _rule: str) -> bool:
    """There are recipes, and nobody who could do without."""
    return False


@dataclass(frozen=True, slots=True)
class Planned:
    """Counts of a plan: items ready to work on, waiting for a person, without a recipe, and beyond the limit."""

    ready: int
    need_approval: int
    need_model: int
    beyond_limit: int
    sent_back: int


@dataclass(frozen=True, slots=True)
class _Knowledge:
    counts: Mapping[str, int]
    imports: Mapping[str, Sequence[str]]
    reach: Mapping[str, int]
    history: Mapping[str, FileHistory]
    coverage: Coverage | None


def root_task(session_id: SessionId) -> TaskId:
    """The task everything of a session is below."""
    return TaskId(derived_id("task", session_id, "root"))


def item_task(session_id: SessionId, item_id: str, phase: str = "") -> TaskId:
    """The task of an item, or of one of its phases."""
    return TaskId(derived_id("task", session_id, item_id, phase))


async def plan(
    means: Means,
    session_id: SessionId,
    opened: Opened,
    options: ImproveOptions,
    enough: int = MOST_STORED,
    hands: Hands = nobody,
) -> Planned:
    """Generate, validate, prioritise and order items; store them with their tasks. Items stored before stay as they are.

    With ``enough`` ready ones it ends, so that work can begin; the next plan makes items of the other findings. What no
    recipe mends is ready where there are ``hands`` for it.
    """
    async with means.database.view(means.actor) as uow:
        findings = await findings_queries.list_findings(uow, session_id, "before")
        stored = await list_items(uow, session_id)
        earlier = await list_sessions(uow, project=options.source, kind="improve", limit=20)
        session = await get_session(uow, session_id)
        weights = await track_records(uow, session, earlier, findings)
        told = await settled_before(uow, session_id)
    refused = {} if options.only else refused_before([one for one in earlier if one.id != session_id])
    known = {one for item in stored for one in item.draft.fingerprints}
    asked = await _new_of(options, [found for found in findings if options.wants(found)])
    wanted = [found for found in asked if found.fingerprint not in known]
    folder = means.folder(session_id).worktrees
    worktree = await take_worktree(Path(opened.mirror), folder, "plan", opened.base)
    try:
        knowledge = await _know(means, session_id, opened, worktree.path)
        facts = Known(worktree.path, knowledge.imports, knowledge.coverage, weights, told)
        deeds = _deeds(means.recipes, options, hands)
        settled = await settle_findings(session_id, asked, stored, facts, deeds)
        terms = _Terms(options, refused, settled, hands)
        items = _items(means.recipes, session_id, wanted, knowledge, terms)
        taken = sum(item.state not in (ItemState.PROPOSED, ItemState.REJECTED) for item in stored)
        by_fingerprint = {found.fingerprint: found for found in wanted}
        asking = Asking(means, session_id, worktree.path, options, by_fingerprint, hands)
        chosen = await choose_fitting(asking, items, max(options.max_items - taken, 0), enough)
    finally:
        await release_worktree(worktree)
    order = find_dependencies([item for item in chosen if item.state is ItemState.READY], knowledge.imports)
    fresh = [replace(item, depends_on=order.after.get(item.id, ())) for item in chosen]
    async with means.database.transaction(means.actor) as uow:
        await propose_items(uow, session_id, fresh[:MOST_STORED])
        for edge in order.broken:
            await record_broken_dependency(uow, session_id, edge.item, edge.no_longer_after, edge.reason)
        await add_tasks(uow, session_id, _tasks(session_id, opened, fresh, len(stored)))
        await ask_for_rules(uow, session_id, fresh)
        await record_disagreements(uow, session_id, settled, fresh)
    return _count([*stored, *fresh])


async def _new_of(options: ImproveOptions, findings: list[Finding]) -> list[Finding]:
    """Findings that are not in the baseline file, if one was given."""
    if not options.baseline:
        return findings
    return new_since(read_baseline(await asyncio.to_thread(Path(options.baseline).read_bytes)), findings)


async def _coverage(means: Means, session_id: SessionId) -> Coverage | None:
    if not await has_report(means, session_id, Moment.MEASURED):
        return None
    return (await read_report(means, session_id, Moment.MEASURED)).coverage


async def _know(means: Means, session_id: SessionId, opened: Opened, root: Path) -> _Knowledge:
    tree = await source_tree(Path(opened.mirror), opened.base, root, means.settings.file_bytes)
    counts = await asyncio.to_thread(_line_counts, root, list(tree.files))
    graph = await asyncio.to_thread(module_graph, root, list(tree.files))
    since = int(now()) - 365 * DAY
    history = (await read_history(Path(opened.mirror), opened.base, since=since)).files
    coverage = await _coverage(means, session_id)
    return _Knowledge(counts, graph.edges(tuple(ImportMoment)), graph.reach(), history, coverage)


def _line_counts(root: Path, paths: Sequence[str]) -> dict[str, int]:
    return {path: (root / path).read_bytes().count(b"\n") + 1 for path in paths}


def _deeds(recipes: Catalogue, options: ImproveOptions, hands: Hands) -> Deeds:
    def acts(finding: Finding) -> bool:
        if hands(finding.concern.value, finding.place.path, finding.rule):
            return True
        fitting = _fitting(recipes, finding.rule, finding.fix)
        return any(_is_allowed(one, finding.rule, options) for one in fitting)

    return Deeds(lambda finding: options.approves(finding.rule), acts)


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a person asked, what was refused before, and what was settled among personas."""

    options: ImproveOptions
    refused: Mapping[str, str]
    settled: Settled
    hands: Hands


def _items(
    recipes: Catalogue,
    session_id: SessionId,
    findings: Sequence[Finding],
    known: _Knowledge,
    terms: _Terms,
) -> list[WorkItem]:
    seen: dict[str, str] = {}
    items: list[WorkItem] = []
    drafts = [
        (word, draft)
        for word, mine in by_word(findings, terms.settled)
        for draft in draft_items(session_id, mine, partial(_recipe_note, recipes))
    ]
    for word, draft in drafts:
        validation = validate_item(draft, known.counts, seen)
        seen.update(dict.fromkeys(draft.fingerprints, draft.id))
        state, reason = _state(draft, recipes, terms.options, terms.hands)
        if state is ItemState.READY and (before := terms.refused.get(refusal_key(draft))):
            state, reason = ItemState.PROPOSED, f"{REFUSED_BEFORE}{before}; name it with --only to try again"
        priority = prioritise(draft, _facts(draft, known))
        item = WorkItem(draft, state, priority, validation.quality, reason=reason)
        item = word.upon(item) if word else item
        if validation.problems:
            item = replace(item, state=ItemState.REJECTED, reason="; ".join(validation.problems))
        items.append(item)
    return sorted(items, key=lambda item: (-item.priority.score, item.draft.path, item.draft.rule, item.id))


def _recipe_note(recipes: Catalogue, rule: str, fix: str) -> RecipeNote | None:
    fitting = [
        recipe for recipe in _fitting(recipes, rule, fix) if recipe.applicability is not Applicability.DISPLAY
    ]
    if not fitting:
        return None
    return RecipeNote(fitting[0].name, fitting[0].why, precise=rule in fitting[0].fixes)


def _fitting(recipes: Catalogue, rule: str, fix: str) -> list[Recipe]:
    """Recipes for a rule. One that takes whatever an analyser offers fits only what is offered, at that applicability."""
    return [
        recipe
        for recipe in recipes.mending(rule)
        if rule in recipe.fixes or recipe.applicability.value == fix
    ]


def candidates(draft: ItemDraft, recipes: Catalogue, options: ImproveOptions) -> list[Recipe]:
    """Recipes that may be tried on an item, safe ones first; unsafe ones only where a person approved."""
    fitting = _fitting(recipes, draft.rule, draft.fix)
    return [recipe for recipe in fitting if _is_allowed(recipe, draft.rule, options)]


def _is_allowed(recipe: Recipe, rule: str, options: ImproveOptions) -> bool:
    unsafe = recipe.applicability is Applicability.UNSAFE and options.approves(rule)
    return recipe.applicability is Applicability.SAFE or unsafe


def _state(
    draft: ItemDraft, recipes: Catalogue, options: ImproveOptions, hands: Hands = nobody
) -> tuple[ItemState, str]:
    if not draft.recipe and hands(draft.concern.value, draft.path, draft.rule):
        return ItemState.READY, ""
    if not draft.recipe:
        return ItemState.PROPOSED, "no recipe knows this rule; it needs a person or a language model"
    if candidates(draft, recipes, options):
        return ItemState.READY, ""
    return ItemState.BLOCKED, f"its recipe may change behaviour; approve it with --approve {draft.rule}"


def _facts(draft: ItemDraft, known: _Knowledge) -> FileFacts:
    history = known.history.get(draft.path)
    cover = known.coverage.files.get(draft.path) if known.coverage else None
    return FileFacts(
        importers=known.reach.get(draft.path),
        changes=history.commits if history else None,
        covered=cover.share if cover else None,
        age_days=(now() - history.last_at) / DAY if history else None,
        is_test=is_test_path(draft.path),
    )


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom items are asked of: the recipes allowed by ``options``, over the checkout ``root``, for what was found there."""

    means: Means
    session_id: SessionId
    root: Path
    options: ImproveOptions
    findings: Mapping[str, Finding]  # by fingerprint
    hands: Hands = nobody

    def sites(self, draft: ItemDraft) -> tuple[Site, ...]:
        """Where an item's findings are."""
        return sites_in(draft.path, [self.findings[one] for one in draft.fingerprints])

    def divided(self, item: WorkItem, sites: Collection[Site]) -> list[WorkItem]:
        """An item for the findings at ``sites``, and one for the others, if there are any."""
        mine = [self.findings[one] for one in item.draft.fingerprints]
        parts = [[one for one in mine if (at_site(one) in sites) is wanted] for wanted in (True, False)]
        if not all(parts):
            return [item]
        note = partial(_recipe_note, self.means.recipes)
        drafts = [draft for part in parts for draft in draft_items(self.session_id, part, note)]
        return [replace(item, draft=draft) for draft in drafts]


async def choose_fitting(
    asking: Asking, items: Sequence[WorkItem], most: int, enough: int = MOST_STORED
) -> list[WorkItem]:
    """The items with at most ``most`` of them ready: the most urgent ones that a recipe would really change.

    A recipe declines where its precise conditions are not met; such an item needs a person or a language model. Items
    are asked in order of priority, and those behind the first ``enough`` that are ready are left out.
    """
    chosen: list[WorkItem] = []
    ready = 0
    waiting = list(items)
    while waiting and ready < enough:
        room = most - ready
        at_once = min(room, enough - ready) if room > 0 else len(waiting)  # nobody is asked in vain
        batch, waiting = waiting[:at_once], waiting[at_once:]
        asked = await asyncio.gather(*(_asked(asking, item, room > 0) for item in batch))
        for item in chain.from_iterable(asked):
            if item.state is ItemState.READY and ready >= most:
                item = replace(item, state=ItemState.PROPOSED, reason=BEYOND)  # noqa: PLW2901
            ready += item.state is ItemState.READY
            chosen.append(item)
    return sorted(chosen, key=lambda item: item.state is not ItemState.READY)


async def ask_ahead(means: Means, session_id: SessionId, opened: Opened, options: ImproveOptions) -> None:
    """Ask the recipes what the next plan will ask them, so that it finds their answers there.

    Only where it will ask about every item: of more than may be worked on, the most urgent ones are not known yet.
    """
    async with means.database.view(means.actor) as uow:
        findings = await findings_queries.list_findings(uow, session_id, "before")
        known = {one for item in await list_items(uow, session_id) for one in item.draft.fingerprints}
    wanted = [found for found in findings if options.wants(found) and found.fingerprint not in known]
    drafts = draft_items(session_id, wanted, partial(_recipe_note, means.recipes))
    ready = [draft for draft in drafts if _state(draft, means.recipes, options)[0] is ItemState.READY]
    if len(ready) > options.max_items:
        return
    folder = means.folder(session_id).worktrees
    worktree = await take_worktree(Path(opened.mirror), folder, "ask-ahead", opened.base)
    asking = Asking(means, session_id, worktree.path, options, {found.fingerprint: found for found in wanted})
    await asyncio.gather(*(_fitting_sites(asking, draft) for draft in ready))
    await release_worktree(worktree)


async def _fitting_sites(asking: Asking, draft: ItemDraft) -> tuple[Site, ...]:
    """Where the first recipe that fits would change something."""
    for recipe in candidates(draft, asking.means.recipes, asking.options):
        if sites := await _mended(asking, draft, recipe):
            return sites
    return ()


async def _asked(asking: Asking, item: WorkItem, wanted: bool) -> list[WorkItem]:
    """The item as a recipe can mend it; the sites where none can become an item that waits for somebody else."""
    if item.state is not ItemState.READY or not wanted or not item.draft.recipe:
        return [item]
    recipes = candidates(item.draft, asking.means.recipes, asking.options)
    if sites := await _fitting_sites(asking, item.draft):
        fitting, *rest = asking.divided(item, sites)
        return [fitting, *(_declined(asking, one, recipes) for one in rest)]
    return [_declined(asking, item, recipes)]


def _declined(asking: Asking, item: WorkItem, recipes: Sequence[Recipe]) -> WorkItem:
    """What is left to somebody who needs no recipe, if there is anybody; the item then names none."""
    draft = item.draft
    if asking.hands(draft.concern.value, draft.path, draft.rule):
        return replace(item, draft=replace(draft, recipe=""))
    names = ", ".join(recipe.name for recipe in recipes)
    reason = f"{names} looked at it and declined: its conditions are not met; it needs a person or a language model"
    return replace(item, state=ItemState.PROPOSED, reason=reason)


async def _mended(asking: Asking, draft: ItemDraft, recipe: Recipe) -> tuple[Site, ...]:
    """Where a recipe changes something; those that must run code to know are asked when it is their turn."""
    sites = asking.sites(draft)
    job = RecipeJob(asking.root, draft.path, sites, asking.means.sandbox)
    if isinstance(recipe, Selective):
        return sites if await asyncio.to_thread(recipe.fits, job) else ()
    if not isinstance(recipe, OffloadedCodemod):
        return sites
    try:
        return await recipe.mended(job)
    except Unavailable:
        return ()


def _count(items: Sequence[WorkItem]) -> Planned:
    states = [item.state for item in items]
    beyond = sum(item.reason == BEYOND for item in items)
    outvoted = sum(item.state is ItemState.PROPOSED and item.reason.startswith(AT_ODDS) for item in items)
    return Planned(
        ready=states.count(ItemState.READY),
        need_approval=states.count(ItemState.BLOCKED),
        need_model=states.count(ItemState.PROPOSED) - beyond - outvoted,
        beyond_limit=beyond,
        sent_back=states.count(ItemState.REJECTED),
    )


def _tasks(session_id: SessionId, opened: Opened, items: Sequence[WorkItem], first: int) -> list[TaskNode]:
    root = root_task(session_id)
    ready = [item for item in items if item.state is ItemState.READY]
    top = TaskNode(root, None, f"Improve {opened.name}", "goal", "lead")
    return [top, *item_tasks(session_id, ready, first)]


def item_tasks(session_id: SessionId, items: Sequence[WorkItem], first: int) -> list[TaskNode]:
    """The tasks of items and of their phases; the items take places in their order, from ``first`` on."""
    root = root_task(session_id)
    return [
        node
        for position, item in enumerate(items, start=first)
        for node in _item_tasks(session_id, root, position, item)
    ]


def _item_tasks(session_id: SessionId, root: TaskId, position: int, item: WorkItem) -> list[TaskNode]:
    top = item_task(session_id, item.id)
    after = tuple(item_task(session_id, one) for one in item.depends_on)
    complexity = 1.0 + len(item.draft.lines) / 2
    nodes = [
        TaskNode(
            top,
            root,
            item.draft.title,
            "item",
            "lead",
            depends_on=after,
            capabilities=(f"recipe:{item.draft.recipe}",) if item.draft.recipe else (),
            acceptance=item.draft.acceptance,
            complexity=complexity,
            position=position,
            item=item.id,
        )
    ]
    before: TaskId | None = None
    for number, (phase, role, title) in enumerate(PHASES):
        task = item_task(session_id, item.id, phase)
        waits = (before,) if before else ()
        nodes.append(TaskNode(task, top, title, phase, role, depends_on=waits, position=number, item=item.id))
        before = task
    return nodes


async def propose_rest(
    uow: UnitOfWork, recipes: Catalogue, session_id: SessionId, item_id: str, gone: Collection[str]
) -> None:
    """Where only some sites of an item could be mended, the others become an item of their own; it gets its tasks later."""
    item = await get_item(uow, session_id, item_id)
    left = set(item.draft.fingerprints) - set(gone)
    known = await findings_queries.list_findings(uow, session_id, "before", item.draft.path)
    alike = [found for found in known if found.fingerprint in left]
    drafts = draft_items(session_id, alike, partial(_recipe_note, recipes))
    rest = [WorkItem(draft, ItemState.READY, item.priority, item.quality) for draft in drafts]
    await propose_items(uow, session_id, rest)
