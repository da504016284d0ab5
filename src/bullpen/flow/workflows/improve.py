"""Improve a repository: the main job as one durable function.

Its steps are kept; its children, one per item, are durable functions of their own. What it decides next it reads from
the records, so a run that was interrupted comes to the same branch.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from bullpen.analysis.queries import list_findings
from bullpen.domain.errors import BullpenError, LimitExceeded, PermissionRefused
from bullpen.domain.events.improve import (
    BatchBisected,
    ChangeLanded,
    ChangeSentBack,
    EnvironmentPrepared,
    WaveStarted,
)
from bullpen.domain.ids import ItemId, SessionId
from bullpen.domain.session import STAGES, Session, Stage
from bullpen.domain.task import TaskState
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.flow.blind import require_sight
from bullpen.flow.improve.away import bring_commit, forget_exchange, offer_wave, require_here
from bullpen.flow.improve.conclude import Concluded, conclude, write_reports_if_possible
from bullpen.flow.improve.develop import WorkOrder
from bullpen.flow.improve.intents import choose_wave, declare, read_ground, record_wave
from bullpen.flow.improve.land import Accepted, Landing, Queue, land_batch
from bullpen.flow.improve.look import Looked, Moment, View, look, roast_ahead
from bullpen.flow.improve.open import Opened, open_repository
from bullpen.flow.improve.options import options_of
from bullpen.flow.improve.plan import (
    MOST_STORED,
    Planned,
    ask_ahead,
    item_task,
    plan,
    propose_rest,
    root_task,
)
from bullpen.flow.improve.routing import hands_without_recipe, phase_tasks, settle_landing
from bullpen.flow.improve.session import OPENED, remember, tune, tuned_of
from bullpen.flow.improve.wanted import require_wanted
from bullpen.flow.items.refusals import with_refusal
from bullpen.flow.steer import cancelled_items, give_tasks, in_order
from bullpen.flow.summaries.post import conclude_records
from bullpen.flow.workflows.work_item import ORDER, RESULT, Bench, ItemResult, change_name
from bullpen.kernel.clock import now
from bullpen.kernel.durable import Json, start_child, step
from bullpen.kernel.json_text import dump, load
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.recipes.base import Catalogue
from bullpen.sessions import queries as session_queries
from bullpen.sessions.actions import note_facts, reach_stage
from bullpen.testing.base import Environment
from bullpen.testing.environment import prepare_environment
from bullpen.vcs.worktrees import release_worktree, take_worktree
from bullpen.work import queries
from bullpen.work.actions.evidence import keep_evidence
from bullpen.work.actions.items import move_item
from bullpen.work.actions.tasks import move_task

T = TypeVar("T")

FIRST_READY = 5  # items that are planned before work begins; the others when a first change has landed
FIRST_WAVES = (
    2  # in which each change runs the whole suite, since nothing tells yet which test runs which line
)
RETURNS = 2  # times the merge queue may give an item back before it is left undone


@dataclass(frozen=True, slots=True)
class Ended:
    """How a session ended. ``problem`` and ``remedy`` are for people where it failed."""

    stage: Stage
    branch: str = ""
    commit: str = ""
    landed: int = 0
    failed: int = 0
    paused: bool = False
    problem: str = ""
    remedy: str = ""
    exit_status: int = 1  # of the problem, if there is one


@dataclass(frozen=True, slots=True)
class Place:
    """Where the branch is: its head, and the number of the next wave."""

    tip: str
    wave: int
    ended: bool = False
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """A wave's items; none where no item is left or a person paused the session. ``attempts`` each may be tried."""

    items: tuple[str, ...]
    paused: bool = False
    attempts: int = 0


ENDED: TypeAdapter[Ended] = TypeAdapter(Ended)
PAIRS: TypeAdapter[tuple[tuple[ItemId, ItemId], ...]] = TypeAdapter(tuple[tuple[ItemId, ItemId], ...])


async def improve(bench: Bench, argument: str) -> Json:
    """The durable function. ``argument`` is the session's id; the result an ``Ended`` as JSON values."""
    session_id = SessionId(argument)
    try:
        ended = await _improve(bench, session_id)
    except BullpenError as error:
        ended = await _broken_off(bench, session_id, error)
    finally:
        if ahead := bench.sessions.roasts_ahead.pop(session_id, None):
            ahead.cancel()
    means = bench.means
    if not (ended.paused or ended.stage is Stage.CANCELLED):
        await conclude_records(means.database, means.actor, means.settings.home, session_id)
    async with means.database.transaction(means.actor) as uow:
        run = (await session_queries.get_session(uow, session_id)).metadata.get("run", "0")
        await note_facts(uow, session_id, run_ended=run)
    async with means.database.transaction(means.actor) as uow:
        await means.learn(uow, session_id)
    return ENDED.dump_python(ended, mode="json")


async def _broken_off(bench: Bench, session_id: SessionId, error: BullpenError) -> Ended:
    """Failed, unless it was cancelled: then whoever cancelled it, or ran it, tidies up when nothing runs any more."""
    async with bench.means.database.view(bench.means.actor) as uow:
        stage = (await session_queries.get_session(uow, session_id)).stage
    if stage is Stage.CANCELLED:
        return Ended(stage, problem=error.sentence, remedy=error.remedy, exit_status=error.exit_status)
    await _reach(bench, session_id, Stage.FAILED, error.sentence)
    unwritten = await write_reports_if_possible(bench.means, session_id)
    problem = f"{error.sentence} There is no report: {unwritten}" if unwritten else error.sentence
    return Ended(Stage.FAILED, problem=problem, remedy=error.remedy, exit_status=error.exit_status)


async def _improve(bench: Bench, session_id: SessionId) -> Ended:
    means = bench.means
    await require_wanted(means, session_id)
    async with means.database.view(means.actor) as uow:
        stored = await session_queries.get_session(uow, session_id)
    options = options_of(stored)
    opened = await _step("open", Opened, partial(_open, bench, session_id))
    place = await _step("place", Place, partial(_place, bench, session_id, opened))
    looked = await _step("look", Looked, partial(_look, bench, session_id, Moment.BEFORE))
    require_sight(looked.findings, looked.failures)
    await require_wanted(means, session_id)
    await _step("plan", Planned, partial(_plan, bench, session_id, FIRST_READY))
    if not options.dry_run:
        place = await _first_change(bench, session_id, opened, place)
    if not place.paused:
        await _step("measure", Looked, partial(_look, bench, session_id, Moment.MEASURED))
        await _step("plan-again", Planned, partial(_plan, bench, session_id))
        place = replace(place, ended=options.dry_run)
    while not place.ended:
        place = await _wave(bench, session_id, place)
    if place.paused:
        return await _pause(bench, session_id)
    return await _end(bench, session_id, place.tip, changed=place.tip != opened.base)


async def _step(name: str, kind: type[T], body: Callable[[], Awaitable[T]]) -> T:
    """A step whose failure ends the run; the next one tries it again, also where this one could not be closed."""
    return await step(name, kind, body, keeps_failure=False)


async def _place(bench: Bench, session_id: SessionId, opened: Opened) -> Place:
    """Where an earlier run of this session stopped, or its beginning."""
    async with bench.means.database.view(bench.means.actor) as uow:
        facts = (await session_queries.get_session(uow, session_id)).metadata
    return Place(facts.get("tip", opened.base), int(facts.get("waves", "0")))


async def _first_change(bench: Bench, session_id: SessionId, opened: Opened, place: Place) -> Place:
    """A change that is proved and landed before anything is measured, if one of the most urgent items gives one."""
    while place.tip == opened.base and place.wave < FIRST_WAVES and not place.ended:
        place = await _wave(bench, session_id, place)
    return place


async def _wave(bench: Bench, session_id: SessionId, place: Place) -> Place:
    """Work the next items side by side and land them; where the branch is then."""
    wave, tip = place.wave, place.tip
    await require_wanted(bench.means, session_id)
    chosen = await _step(f"choose-{wave}", Chosen, partial(_chosen, bench, session_id, wave, tip))
    if not chosen.items:
        return replace(place, ended=True, paused=chosen.paused)
    results = await _work(session_id, wave, tip, chosen)
    await require_wanted(bench.means, session_id)
    return Place(
        await _step(f"land-{wave}", str, partial(_land, bench, session_id, wave, tip, results)), wave + 1
    )


async def _open(bench: Bench, session_id: SessionId) -> Opened:
    means = bench.means
    async with means.database.view(means.actor) as uow:
        stored = await session_queries.get_session(uow, session_id)
    require_here(means, stored.metadata)
    if "opened" in stored.metadata:  # a run before this one: it goes on from the same commit
        return load(OPENED, stored.metadata["opened"])
    await tune(means, session_id)
    opened = await open_repository(means, session_id, options_of(stored))
    started = now()
    environment = await _environment(bench, session_id, opened)
    async with means.database.transaction(means.actor) as uow:
        uow.record(session_id, EnvironmentPrepared(environment.origin, environment.notes, now() - started))
    await remember(means, session_id, opened, environment)
    return opened


async def _environment(bench: Bench, session_id: SessionId, opened: Opened) -> Environment:
    """The environment of the tests. Making one is mostly waiting for packages, so the roast begins meanwhile."""
    means = bench.means
    folder = means.folder(session_id).worktrees
    worktree = await take_worktree(Path(opened.mirror), folder, "environment", opened.base)
    checkout = Path(opened.checkout) if opened.checkout else None

    def makes_one(_doing: str) -> None:
        if session_id not in bench.sessions.roasts_ahead:
            roasting = asyncio.create_task(roast_ahead(means, session_id, opened))
            bench.sessions.roasts_ahead[session_id] = roasting

    environment = await prepare_environment(
        worktree.path,
        means.settings.home,
        means.sandbox,
        means.settings.python or None,
        makes_one,
        checkout=checkout,
    )
    await release_worktree(worktree)
    return environment


async def _look(bench: Bench, session_id: SessionId, moment: Moment) -> Looked:
    means = bench.means
    session = await bench.sessions.get(session_id)
    if moment is Moment.BEFORE:
        for stage in (Stage.PLANNING, Stage.ANALYSIS):
            await _advance(bench, session_id, stage)
        view = View(session.opened, session.opened.base, moment)
        ahead = bench.sessions.roasts_ahead.get(session_id)
        return await look(means, session_id, view, session.tests, ahead)
    session, baseline = await bench.sessions.with_baseline(session_id)
    async with means.database.view(means.actor) as uow:
        known = await list_findings(uow, session_id, "before")
        ready = await queries.list_items(uow, session_id, ItemState.READY)
    view = View(
        session.opened,
        session.opened.base,
        moment,
        tuple(known),
        contexts=bool(ready),
        expected=baseline.passed(),
    )
    asking = asyncio.create_task(ask_ahead(means, session_id, session.opened, session.options))
    try:
        looked = await look(means, session_id, view, session.tests)
        await asking
    finally:
        asking.cancel()
    return looked


async def _plan(bench: Bench, session_id: SessionId, enough: int = MOST_STORED) -> Planned:
    session = await bench.sessions.get(session_id)
    staff = await bench.crew.staff(session)
    hands = hands_without_recipe(staff.members.values())
    return await plan(bench.means, session_id, session.opened, session.options, enough, hands)


async def _chosen(bench: Bench, session_id: SessionId, wave: int, tip: str) -> Chosen:
    """The next wave, and what others need to work on it."""
    chosen = await _choose(bench, session_id, wave, tip)
    if chosen.items:
        await offer_wave(bench.means, session_id, (await bench.sessions.get(session_id)).opened, tip)
    return chosen


async def _choose(bench: Bench, session_id: SessionId, wave: int, tip: str) -> Chosen:
    """The next wave; the first ones are small, so that the first proved change comes soon."""
    means = bench.means
    async with means.database.view(means.actor) as uow:
        items = await queries.list_items(uow, session_id)
        stored = await session_queries.get_session(uow, session_id)
        tasks = await queries.list_tasks(uow, session_id)
    if stored.paused:
        return Chosen((), paused=True)
    tuned = tuned_of(means, stored)
    attempts = tuned.retries + 1
    begun = tuple(item.id for item in items if item.state is ItemState.IN_PROGRESS)
    if begun:  # chosen before a crash, which came before the choice was kept
        return Chosen(begun, attempts=attempts)
    cancelled = cancelled_items(tasks)
    ready = [item for item in items if item.state is ItemState.READY]
    waiting = in_order([item for item in ready if item.id not in cancelled], tasks)
    ended = frozenset(item.id for item in items) - {item.id for item in waiting}
    size = min(tuned.parallel, 4**wave)
    opened = (await bench.sessions.get(session_id)).opened
    ground = await read_ground(Path(opened.mirror), opened.base, waiting)
    mapped = choose_wave(declare(waiting, ground, means.recipes), ended, size, ground.imports, _apart(stored))
    chosen = mapped.items
    if chosen:
        for stage in (Stage.DESIGN, Stage.IMPLEMENTATION):
            await _advance(bench, session_id, stage)
    async with means.database.transaction(means.actor) as uow:
        for item in ready:
            if item.id in cancelled:
                await move_item(uow, session_id, item.id, ItemState.REJECTED, reason=cancelled[item.id])
        await give_tasks(uow, session_id, chosen)
        for item in chosen:
            await move_item(uow, session_id, item.id, ItemState.IN_PROGRESS)
            await move_task(uow, session_id, item_task(session_id, item.id), TaskState.RUNNING)
        if chosen:
            await record_wave(uow, session_id, mapped)
            uow.record(session_id, WaveStarted(wave, tip, tuple(item.id for item in chosen)))
    return Chosen(tuple(item.id for item in chosen), attempts=attempts)


def _apart(stored: Session) -> frozenset[tuple[ItemId, ItemId]]:
    """Items whose changes met in a conflict: they are not worked side by side again."""
    return frozenset(load(PAIRS, stored.metadata.get("apart", "[]")))


async def _work(session_id: SessionId, wave: int, tip: str, chosen: Chosen) -> list[ItemResult]:
    runs = [
        await start_child(
            "work_item",
            f"{session_id}:{wave}:{item}",
            dump(ORDER, WorkOrder(session_id, item, wave, tip, attempts=chosen.attempts)),
            shared=True,
        )
        for item in chosen.items
    ]
    return [RESULT.validate_python(await run.result()) for run in runs]


async def _land(
    bench: Bench, session_id: SessionId, wave: int, tip: str, results: Sequence[ItemResult]
) -> str:
    means = bench.means
    session, baseline = await bench.sessions.with_baseline(session_id)
    async with means.database.view(means.actor) as uow:
        items = {item.id: item for item in await queries.list_items(uow, session_id)}
        facts = (await session_queries.get_session(uow, session_id)).metadata
        cancelled = cancelled_items(await queries.list_tasks(uow, session_id))
    if all(items[ItemId(one.item)].state is not ItemState.IN_PROGRESS for one in results):
        return facts["tip"]  # recorded before a crash, which came before the step's result was kept
    results = [
        replace(one, accepted=False, reason=cancelled[one.item]) if one.item in cancelled else one
        for one in results
    ]
    queue = Queue(session.mirror, session.tests, baseline, int(session.started_at))
    batch = [_accepted(means.recipes, items[ItemId(one.item)], one) for one in results if one.accepted]
    for one in batch:
        name = change_name(wave, one.draft.id)
        await bring_commit(means, session_id, session.opened, one.commit, name)
    landing = await land_batch(queue, tip, batch)
    async with means.database.transaction(means.actor) as uow:
        for one in results:
            if not one.accepted:
                await _leave(uow, session_id, one, cancelled=one.item in cancelled)
        ids = [one.draft.id for one in batch]
        await _record_landing(uow, means.recipes, session_id, landing, session.started_at, ids)
        stored = await session_queries.get_session(uow, session_id)
        met = {(ItemId(back.item), ItemId(back.met)) for back in landing.sent_back if back.met}
        apart = dump(PAIRS, tuple(sorted(_apart(stored) | met)))
        await note_facts(uow, session_id, tip=landing.tip, waves=str(wave + 1), apart=apart)
    return landing.tip


def _accepted(recipes: Catalogue, item: WorkItem, result: ItemResult) -> Accepted:
    if result.evidence is None:
        raise LimitExceeded(f"{item.id} was accepted without evidence.")
    source = recipes.named(result.recipe).source if result.recipe else ""
    return Accepted(result.part or item.draft, result.evidence, result.commit, source)


async def _leave(uow: UnitOfWork, session_id: SessionId, result: ItemResult, *, cancelled: bool) -> None:
    over = result.already or cancelled
    state = ItemState.PROPOSED if result.declined else ItemState.BLOCKED
    state = ItemState.REJECTED if over else state
    await move_item(uow, session_id, result.item, state, reason=result.reason)
    task = TaskState.SKIPPED if result.already or result.declined else TaskState.FAILED
    if not cancelled:
        await move_task(uow, session_id, item_task(session_id, result.item), task, result.reason)
    if not over:
        facts = (await session_queries.get_session(uow, session_id)).metadata
        draft = (await queries.get_item(uow, session_id, result.item)).draft
        await note_facts(uow, session_id, refused=with_refusal(facts, draft, result.reason))


async def _record_landing(
    uow: UnitOfWork,
    recipes: Catalogue,
    session_id: SessionId,
    landing: Landing,
    started_at: float,
    batch: Sequence[str],
) -> None:
    for landed in landing.landed:
        await move_item(uow, session_id, landed.item, ItemState.IN_REVIEW)
        await move_item(uow, session_id, landed.item, ItemState.DONE, change=landed.commit)
        await move_task(
            uow, session_id, item_task(session_id, landed.item), TaskState.DONE, landed.commit[:12]
        )
        await keep_evidence(uow, session_id, landed.commit, landed.evidence)
        await propose_rest(uow, recipes, session_id, landed.item, landed.evidence.findings_gone)
        tasks = phase_tasks(session_id, landed.item)
        await settle_landing(uow, session_id, tasks, won=True, why="the change landed")
        uow.record(session_id, ChangeLanded(landed.item, landed.commit, now() - started_at, landed.title))
    for back in landing.sent_back:
        await _send_back(uow, session_id, back.item, back.reason)
        if not back.met:  # two changes that do not go together say nothing against who made them
            tasks = phase_tasks(session_id, back.item)
            await settle_landing(uow, session_id, tasks, won=False, why=back.reason)
        if not back.met and len(batch) > 1:
            uow.record(session_id, BatchBisected(tuple(batch), back.item, landing.runs))


async def _send_back(uow: UnitOfWork, session_id: SessionId, item_id: str, reason: str) -> None:
    """To be worked again upon what landed; an item that came back too often is left, with the reason."""
    item = await queries.get_item(uow, session_id, item_id)
    returns = sum(step.state is ItemState.READY for step in item.history)
    state = ItemState.READY if returns <= RETURNS else ItemState.BLOCKED
    await move_item(uow, session_id, item_id, state, reason=reason)
    task = TaskState.WAITING if state is ItemState.READY else TaskState.FAILED
    await move_task(uow, session_id, item_task(session_id, item_id), task, reason)
    uow.record(session_id, ChangeSentBack(item_id, reason))


async def _pause(bench: Bench, session_id: SessionId) -> Ended:
    async with bench.means.database.view(bench.means.actor) as uow:
        stage = (await session_queries.get_session(uow, session_id)).stage
    return Ended(stage, paused=True)


async def _end(bench: Bench, session_id: SessionId, tip: str, *, changed: bool) -> Ended:
    await require_wanted(bench.means, session_id)
    done = await _step("conclude", Concluded, partial(_conclude, bench, session_id, tip, changed))
    await require_wanted(bench.means, session_id)
    async with bench.means.database.transaction(bench.means.actor) as uow:
        await move_task(uow, session_id, root_task(session_id), TaskState.DONE)
    return Ended(
        Stage.DONE,
        done.branch,
        done.commit,
        done.landed,
        done.failed,
        problem=done.problem,
        remedy=done.remedy,
        exit_status=PermissionRefused.exit_status,
    )


async def _conclude(bench: Bench, session_id: SessionId, tip: str, changed: bool) -> Concluded:
    done = await conclude(bench.means, bench.sessions, session_id, tip, changed)
    await forget_exchange(bench.means, session_id, (await bench.sessions.get(session_id)).opened)
    return done


async def _advance(bench: Bench, session_id: SessionId, stage: Stage) -> None:
    """Go on to a stage unless it was passed already."""
    async with bench.means.database.transaction(bench.means.actor) as uow:
        current = (await session_queries.get_session(uow, session_id)).stage
        if stage in STAGES[current]:
            await reach_stage(uow, session_id, stage)


async def _reach(bench: Bench, session_id: SessionId, stage: Stage, reason: str = "") -> None:
    async with bench.means.database.transaction(bench.means.actor) as uow:
        await reach_stage(uow, session_id, stage, reason)
