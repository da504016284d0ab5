"""Gather a report from the records of a session."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bullpen.analysis import queries as findings_queries
from bullpen.analysis.compare import compare
from bullpen.domain.errors import NotFound
from bullpen.domain.events.agent import ModelReplied
from bullpen.domain.events.improve import (
    BranchPublished,
    ChangeLanded,
    EnvironmentPrepared,
    RoastFinished,
    TestsRun,
)
from bullpen.domain.ids import SessionId
from bullpen.domain.money import Money
from bullpen.domain.test_report import TestReport
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.flow.improve.look import Moment, has_report, read_report
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import Opened
from bullpen.flow.improve.session import OPENED
from bullpen.flow.reports.base import ItemStory, RunReport
from bullpen.kernel.bus.log import Recorded, replay
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions import queries as session_queries
from bullpen.vcs.commits import read_commit
from bullpen.vcs.diffs import diff_trees
from bullpen.work import queries


async def gather(means: Means, session_id: SessionId) -> RunReport:
    """All of a session's records as one value; the second look must be stored."""
    async with means.database.view(means.actor) as uow:
        session = await session_queries.get_session(uow, session_id)
        before = tuple(await findings_queries.list_findings(uow, session_id, "before"))
        after = tuple(await findings_queries.list_findings(uow, session_id, "after"))
        items = await queries.list_items(uow, session_id)
        events = await _all_events(uow, session_id)
        opened = OPENED.validate_json(session.metadata["opened"])
        stories = [await _story(uow, opened, item) for item in items]
    tests_before = await _tests_before(means, session_id)
    tip = session.metadata.get("tip", opened.base)
    changed = tip != opened.base
    compared = compare(before, after)
    published = next((one.event for one in reversed(events) if isinstance(one.event, BranchPublished)), None)
    return RunReport(
        session=session,
        name=opened.name,
        base=opened.base,
        branch=published.branch if published else "",
        commit=tip if changed else "",
        where=published.where if published else "",
        notes=opened.notes,
        before=before,
        after=after,
        gone=compared.gone,
        new=compared.new,
        tests_before=tests_before,
        tests_after=await read_report(means, session_id, Moment.AFTER) if changed else tests_before,
        stories=tuple(stories),
        events=tuple(events),
        seconds=_seconds(events),
        cost=Money(sum(one.event.cost_micro_usd for one in events if isinstance(one.event, ModelReplied))),
    )


async def _tests_before(means: Means, session_id: SessionId) -> TestReport:
    """How the tests were, with the coverage that was measured later on the same commit."""
    report = await read_report(means, session_id, Moment.BEFORE)
    if not await has_report(means, session_id, Moment.MEASURED):
        return report
    return replace(report, coverage=(await read_report(means, session_id, Moment.MEASURED)).coverage)


async def _all_events(uow: UnitOfWork, session_id: SessionId) -> list[Recorded]:
    events: list[Recorded] = []
    while page := await replay(uow, session_id, after=events[-1].position if events else 0):
        events.extend(page)
    return events


async def _story(uow: UnitOfWork, opened: Opened, item: WorkItem) -> ItemStory:
    if item.state is not ItemState.DONE or not item.change:
        return ItemStory(item, None, b"")
    try:
        _session, evidence = await queries.get_evidence(uow, item.change)
    except NotFound:
        evidence = None
    mirror = Path(opened.mirror)
    commit = await read_commit(mirror, item.change)
    diff = await diff_trees(mirror, commit.parents[0], commit.id)
    return ItemStory(item, evidence, diff.patch)


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
        spent["whole"] = events[-1].at - events[0].at
    return dict(spent)
