"""Plan: findings become work items in an order, and a tree of tasks people can follow."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bullpen.analysis import queries as findings_queries
from bullpen.codegraph.imports import Moment as ImportMoment
from bullpen.codegraph.imports import module_graph
from bullpen.domain.change import Applicability
from bullpen.domain.finding import Finding
from bullpen.domain.ids import ItemId, SessionId, TaskId, derived_id
from bullpen.domain.task import TaskNode
from bullpen.domain.test_report import Coverage
from bullpen.domain.work_item import ItemDraft, ItemState, WorkItem
from bullpen.flow.guards import is_test_path
from bullpen.flow.improve.look import Moment, has_report, read_report
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import Opened, source_tree
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.items.generate import RecipeNote, draft_items
from bullpen.flow.items.order import find_dependencies
from bullpen.flow.items.prioritise import FileFacts, prioritise
from bullpen.flow.items.validate import validate_item
from bullpen.kernel.clock import now
from bullpen.recipes.base import Catalogue, Recipe, catalogue
from bullpen.vcs.history import FileHistory, read_history
from bullpen.vcs.worktrees import release_worktree, take_worktree
from bullpen.work.actions.items import propose_items, record_broken_dependency
from bullpen.work.actions.tasks import add_tasks

DAY = 86_400
MOST_STORED = 2000  # items kept for people to see; the findings behind the rest are in the report
PHASES = (
    ("develop", "developer", "change the code"),
    ("test", "qa-engineer", "run the tests"),
    ("review", "reviewer", "review the change"),
    ("judge", "judge", "judge the evidence"),
)


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


async def plan(means: Means, session_id: SessionId, opened: Opened, options: ImproveOptions) -> Planned:
    """Generate, validate, prioritise and order items; store them with their tasks."""
    async with means.database.view(means.actor) as uow:
        findings = await findings_queries.list_findings(uow, session_id, "before")
    coverage = await _coverage(means, session_id)
    wanted = [found for found in findings if options.wants(found)]
    known = await _know(means, session_id, opened, coverage)
    items = _items(session_id, wanted, known, options)
    chosen, counts = _choose(items, options.max_items)
    order = find_dependencies([item for item in chosen if item.state is ItemState.READY], known.imports)
    stored = [replace(item, depends_on=order.after.get(item.id, ())) for item in chosen]
    async with means.database.transaction(means.actor) as uow:
        await propose_items(uow, session_id, stored[:MOST_STORED])
        for edge in order.broken:
            await record_broken_dependency(uow, session_id, edge.item, edge.no_longer_after, edge.reason)
        await add_tasks(uow, session_id, _tasks(session_id, opened, stored))
    return counts


async def _coverage(means: Means, session_id: SessionId) -> Coverage | None:
    if not await has_report(means, session_id, Moment.MEASURED):
        return None
    return (await read_report(means, session_id, Moment.MEASURED)).coverage


async def _know(means: Means, session_id: SessionId, opened: Opened, coverage: Coverage | None) -> _Knowledge:
    folder = means.folder(session_id).worktrees
    worktree = await take_worktree(Path(opened.mirror), folder, "plan", opened.base)
    tree = await source_tree(Path(opened.mirror), opened.base, worktree.path, means.settings.file_bytes)
    counts = await asyncio.to_thread(_line_counts, worktree.path, list(tree.files))
    graph = await asyncio.to_thread(module_graph, worktree.path, list(tree.files))
    since = int(now()) - 365 * DAY
    history = (await read_history(Path(opened.mirror), opened.base, since=since)).files
    await release_worktree(worktree)
    return _Knowledge(counts, graph.edges(tuple(ImportMoment)), graph.reach(), history, coverage)


def _line_counts(root: Path, paths: Sequence[str]) -> dict[str, int]:
    return {path: (root / path).read_bytes().count(b"\n") + 1 for path in paths}


def _items(
    session_id: SessionId, findings: Sequence[Finding], known: _Knowledge, options: ImproveOptions
) -> list[WorkItem]:
    recipes = catalogue()
    seen: dict[str, str] = {}
    items: list[WorkItem] = []
    for draft in draft_items(session_id, findings, partial(_recipe_note, recipes)):
        validation = validate_item(draft, known.counts, seen)
        seen.update(dict.fromkeys(draft.fingerprints, draft.id))
        state, reason = _state(draft, recipes, options)
        if validation.problems:
            state, reason = ItemState.REJECTED, "; ".join(validation.problems)
        priority = prioritise(draft, _facts(draft, known))
        items.append(WorkItem(draft, state, priority, validation.quality, reason=reason))
    return sorted(items, key=lambda item: (-item.priority.score, item.draft.path, item.draft.rule, item.id))


def _recipe_note(recipes: Catalogue, rule: str, fix: str) -> RecipeNote | None:
    fitting = [
        recipe for recipe in _fitting(recipes, rule, fix) if recipe.applicability is not Applicability.DISPLAY
    ]
    return RecipeNote(fitting[0].name, fitting[0].why) if fitting else None


def _fitting(recipes: Catalogue, rule: str, fix: str) -> list[Recipe]:
    """Recipes for a rule. One that takes whatever an analyser offers fits only what is offered, at that applicability."""
    return [
        recipe
        for recipe in recipes.mending(rule)
        if rule in recipe.fixes or recipe.applicability.value == fix
    ]


def candidates(draft: ItemDraft, recipes: Catalogue, options: ImproveOptions) -> list[Recipe]:
    """Recipes that may be tried on an item, safe ones first; unsafe ones only where a person approved."""
    allowed = {Applicability.SAFE}
    if options.approves(draft.rule):
        allowed.add(Applicability.UNSAFE)
    return [recipe for recipe in _fitting(recipes, draft.rule, draft.fix) if recipe.applicability in allowed]


def _state(draft: ItemDraft, recipes: Catalogue, options: ImproveOptions) -> tuple[ItemState, str]:
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


def _choose(items: Sequence[WorkItem], most: int) -> tuple[list[WorkItem], Planned]:
    ready = [item for item in items if item.state is ItemState.READY]
    beyond = {item.id for item in ready[most:]}
    chosen = [
        replace(item, state=ItemState.PROPOSED, reason="beyond the number of items asked for (--max)")
        if item.id in beyond
        else item
        for item in items
    ]
    ready_first = sorted(chosen, key=lambda item: item.state is not ItemState.READY)
    states = [item.state for item in chosen]
    counts = Planned(
        ready=states.count(ItemState.READY),
        need_approval=states.count(ItemState.BLOCKED),
        need_model=states.count(ItemState.PROPOSED) - len(beyond),
        beyond_limit=len(beyond),
        sent_back=states.count(ItemState.REJECTED),
    )
    return ready_first, counts


def _tasks(session_id: SessionId, opened: Opened, items: Sequence[WorkItem]) -> list[TaskNode]:
    root = root_task(session_id)
    nodes = [TaskNode(root, None, f"Improve {opened.name}", "goal", "lead")]
    ready = [item for item in items if item.state is ItemState.READY]
    for position, item in enumerate(ready):
        nodes.extend(_item_tasks(session_id, root, position, item))
    return nodes


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
            capabilities=(f"recipe:{item.draft.recipe}",),
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


def item_of(items: Sequence[WorkItem], item_id: str) -> WorkItem:
    """The item with this id."""
    return next(item for item in items if item.id == ItemId(item_id))
