"""Gather a report from the records of a session."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bullpen.analysis import queries as findings_queries
from bullpen.analysis.compare import compare
from bullpen.analysis.persona_cards import load_personas
from bullpen.domain.errors import NotFound
from bullpen.domain.events.agent import ModelReplied
from bullpen.domain.events.improve import (
    BranchPublished,
    ChangeLanded,
    EnvironmentPrepared,
    RoastFinished,
    TestsRun,
)
from bullpen.domain.events.session import StageReached
from bullpen.domain.finding import Finding
from bullpen.domain.ids import SessionId
from bullpen.domain.money import Money
from bullpen.domain.session import Stage
from bullpen.domain.test_report import TestReport
from bullpen.domain.verdict import Evidence
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.flow.items.generate import reworded
from bullpen.flow.reports.base import Doer, Ground, ItemStory, RunReport
from bullpen.flow.teams.queries import list_attempts
from bullpen.kernel.bus.log import Recorded, replay
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions import queries as session_queries
from bullpen.vcs.commits import read_commit
from bullpen.vcs.diffs import diff_trees
from bullpen.work import queries


async def gather(
    uow: UnitOfWork, session_id: SessionId, ground: Ground, before: TestReport, after: TestReport | None
) -> RunReport:
    """All of a session's records as one value.

    ``before`` and ``after`` are its two runs of the tests; ``after`` is None where there was no second one.
    """
    session = await session_queries.get_session(uow, session_id)
    events = await _all_events(uow, session_id)
    told = _second_look_told(events)
    second = after if told else None
    found = tuple(await findings_queries.list_findings(uow, session_id, "before"))
    left = tuple(await findings_queries.list_findings(uow, session_id, "after")) if second else found
    compared = compare(found, left)
    published = next((one.event for one in reversed(events) if isinstance(one.event, BranchPublished)), None)
    tip = session.metadata.get("tip", ground.base)
    return RunReport(
        session=session,
        name=ground.name,
        base=ground.base,
        branch=published.branch if published else "",
        commit=tip if tip != ground.base else "",
        where=published.where if published else "",
        mirror=ground.mirror,
        notes=ground.notes,
        before=found,
        after=left,
        gone=compared.gone,
        new=compared.new,
        tests_before=before,
        tests_after=second or before,
        looked_again=second is not None,
        stories=tuple(await _stories(uow, Path(ground.mirror), session_id, found)),
        events=tuple(events),
        seconds=_seconds(events),
        cost=Money(sum(one.event.cost_micro_usd for one in events if isinstance(one.event, ModelReplied))),
        personas=load_personas(),
        limits=ground.limits,
    )


async def _all_events(uow: UnitOfWork, session_id: SessionId) -> list[Recorded]:
    events: list[Recorded] = []
    while page := await replay(uow, session_id, after=events[-1].position if events else 0):
        events.extend(page)
    return events


def _second_look_told(events: Sequence[Recorded]) -> bool:
    return any(isinstance(one.event, RoastFinished) and one.event.when == "after" for one in events)


async def _stories(
    uow: UnitOfWork, mirror: Path, session_id: SessionId, found: Sequence[Finding]
) -> list[ItemStory]:
    items = await queries.list_items(uow, session_id)
    doers = await _doers(uow, session_id)
    stories = [await _story(uow, mirror, session_id, item, found) for item in items]
    return [replace(one, doers=tuple(doers.get(one.item.id, ()))) for one in stories]


async def _doers(uow: UnitOfWork, session_id: SessionId) -> Mapping[str, Sequence[Doer]]:
    """Who had a try at each item."""
    tasks = {one.id: one for one in await queries.list_tasks(uow, session_id)}
    found: dict[str, list[Doer]] = defaultdict(list)
    for one in sorted(await list_attempts(uow, session_id), key=lambda one: one.started_at):
        task = tasks[one.task]
        ended = one.outcome or one.state.value
        found[task.item].append(Doer(task.kind, one.agent, one.reason, ended))
    return found


async def _story(
    uow: UnitOfWork, mirror: Path, session_id: SessionId, item: WorkItem, found: Sequence[Finding]
) -> ItemStory:
    if item.state is ItemState.PROPOSED:  # nobody has touched it: there is no more to know
        return ItemStory(item, None, b"")
    whole = await queries.get_item(uow, session_id, item.id)
    if item.state is not ItemState.DONE or not item.change:
        return ItemStory(whole, None, b"")
    evidence = await _evidence(uow, item.change)
    return ItemStory(_as_landed(whole, evidence, found), evidence, await _patch(mirror, item.change))


def _as_landed(item: WorkItem, evidence: Evidence | None, found: Sequence[Finding]) -> WorkItem:
    """With a title that claims no more places than its evidence says are gone."""
    gone = set(evidence.findings_gone) & set(item.draft.fingerprints) if evidence else set[str]()
    if len(gone) == len(item.draft.fingerprints):
        return item
    part = reworded(item.draft, [one for one in found if one.fingerprint in gone])
    return replace(item, draft=replace(item.draft, title=part.title))


async def _evidence(uow: UnitOfWork, change: str) -> Evidence | None:
    try:
        _session, evidence = await queries.get_evidence(uow, change)
    except NotFound:
        return None
    return evidence


async def _patch(mirror: Path, change: str) -> bytes:
    commit = await read_commit(mirror, change)
    return (await diff_trees(mirror, commit.parents[0], commit.id)).patch


def _seconds(events: Sequence[Recorded]) -> Mapping[str, float]:
    """Seconds by part, as the events tell; parts that ran side by side add up to more than the whole."""
    spent: dict[str, float] = defaultdict(float)
    for recorded in events:
        match recorded.event:
            case EnvironmentPrepared():
                spent["environment"] += recorded.event.seconds
            case TestsRun():
                spent["tests"] += recorded.event.seconds
            case RoastFinished():
                spent["analysers"] += recorded.event.seconds
            case ChangeLanded():
                spent["first change"] = spent.get("first change") or recorded.event.seconds_since_start
            case _:
                pass
    if events:
        spent["whole"] = ended_at(events) - events[0].at
    return dict(spent)


def ended_at(events: Sequence[Recorded]) -> float:
    """When the session came to its end; what is recorded later (a report written again) is no part of it."""
    reached = [one for one in events if isinstance(one.event, StageReached)]
    last = reached[-1] if reached else None
    is_over = last is not None and isinstance(last.event, StageReached) and Stage(last.event.stage).is_final
    return last.at if last is not None and is_over else events[-1].at
