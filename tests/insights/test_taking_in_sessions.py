"""Sessions are taken in from their real records, settings follow, and people have the last word; on both databases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from bullpen.domain.actor import Actor
from bullpen.domain.errors import Conflict, InvalidInput, NotFound
from bullpen.domain.events import Event
from bullpen.domain.events.agent import AgentStarted
from bullpen.domain.events.improve import BatchBisected, ChangeRefused, ChangeSentBack, WaveStarted
from bullpen.domain.events.insights import SettingChanged
from bullpen.domain.events.team import AttemptEnded, OutcomeMeasured
from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ItemId, SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.domain.session import Stage
from bullpen.domain.task import TaskNode
from bullpen.domain.tuning import Tuned
from bullpen.domain.work_item import ItemDraft, ItemState, Priority, WorkItem
from bullpen.insights.actions import (
    INSIGHTS_LOG,
    adapt_settings,
    catch_up,
    learn_from,
    pin_setting,
    release_setting,
    undo_setting,
)
from bullpen.insights.queries import find_tuning, list_changes, list_crowding, list_runs, sessions_to_learn
from bullpen.insights.runs import FinishedRun
from bullpen.kernel.bus.log import replay
from bullpen.kernel.storage.database import Database
from bullpen.sessions.actions import create_session, note_facts, reach_stage
from bullpen.work.actions.items import propose_items
from bullpen.work.actions.tasks import add_tasks

ONE = SessionId("ses-1")
PLAIN = Tuned(retries=2, parallel=8, seconds=1800.0)


@dataclass(frozen=True)
class Tried:
    """An attempt at an item, as a session tells of it."""

    item: int
    won: bool | None = True
    number: int = 1
    agent: str = "developer"
    phase: str = "develop"
    seconds: float = 3.0
    summary: str = "done"


def draft(number: int, concern: Concern = Concern.QA, places: int = 1) -> ItemDraft:
    return ItemDraft(
        ItemId(f"item-{number}"),
        kind="fix",
        title=f"item {number}",
        why="because",
        rule="ruff:B006",
        path=f"src/{number}.py",
        lines=tuple(range(1, places + 1)),
        concern=concern,
        severity=Severity.LOW,
        evidence=(),
        acceptance=(),
        proof="",
        effort_minutes=5,
        fingerprints=(f"f{number}",),
        recipe="mend",
    )


def task(item: int, phase: str) -> TaskId:
    return TaskId(f"task-{item}-{phase}")


def told(one: Tried, model: str = "playbook:rules") -> list[Event]:
    """What the log has of an attempt."""
    mine = task(one.item, one.phase)
    started = AgentStarted(mine, one.agent, model, one.number)
    state = "done" if one.won is not False else "failed"
    ended = AttemptEnded(mine, one.agent, one.number, state, one.summary, one.seconds, 1000)
    if one.won is None:
        return [started, ended]
    return [started, ended, OutcomeMeasured(mine, one.agent, one.number, "develop/qa", one.won, "measured")]


async def session(
    database: Database, person: Actor, name: SessionId, drafts: Sequence[ItemDraft], events: Sequence[Event]
) -> None:
    """A session that came to its end, with these items and events."""
    async with database.transaction(person) as uow:
        await create_session(uow, name, kind="improve", goal="mend", project="/p", options="{}")
        items = [WorkItem(one, ItemState.READY, Priority(1.0, 1.0, 1.0, 1.0), 1.0) for one in drafts]
        await propose_items(uow, name, items)
        roles = {"develop": "developer", "review": "reviewer", "judge": "judge"}
        top = TaskNode(TaskId("top"), None, "all", "goal", "lead")
        nodes = [
            TaskNode(task(int(one.id[5:]), phase), top.id, phase, phase, role, item=one.id)
            for one in drafts
            for phase, role in roles.items()
        ]
        await add_tasks(uow, name, [top, *nodes])
        for event in events:
            uow.record(name, event)
        await note_facts(uow, name, run_ended="0")
        await reach_stage(uow, name, Stage.FAILED, "the tests end it here")


async def learned(database: Database, person: Actor) -> list[FinishedRun]:
    async with database.transaction(person) as uow:
        await catch_up(uow)
    async with database.view(person) as uow:
        return await list_runs(uow)


async def adapted(database: Database, person: Actor, plain: Tuned = PLAIN, *, enabled: bool = True) -> Tuned:
    async with database.transaction(person) as uow:
        return await adapt_settings(uow, ONE, plain, enabled=enabled)


async def changes(database: Database, person: Actor) -> list[tuple[str, str, str, str]]:
    async with database.view(person) as uow:
        return [(one.name, one.before, one.after, one.how) for one in await list_changes(uow)]


async def refused_at_the_last_try(database: Database, person: Actor, number: int, count: int = 90) -> None:
    """A session in which the third try at an item never pays."""
    items = range(1, count + 1)
    wave = WaveStarted(0, "tip", tuple(f"item-{one}" for one in items))
    events: list[Event] = [wave]
    for one in items:
        for attempt in (1, 2, 3):
            events += told(Tried(one, won=False, number=attempt))
            events.append(ChangeRefused(f"item-{one}", attempt, ("tests_broken",), "red"))
    await session(database, person, SessionId(f"ses-{number}"), [draft(one) for one in items], events)


@pytest.mark.req("LRN-01", "LRN-02")
async def test_a_run_is_what_its_records_say(database: Database, person: Actor) -> None:
    events: list[Event] = [
        WaveStarted(0, "tip", ("item-1", "item-2")),
        *told(Tried(1, won=False, summary="mend-loop@src/1.py:1")),
        ChangeRefused("item-1", 1, ("tests_broken",), "red"),
        *told(Tried(1, number=2, seconds=7.0), model="lab:large"),
        *told(Tried(1, phase="judge", agent="judge", number=2)),
        *told(Tried(2, won=None)),  # broken off: nothing was measured
    ]
    await session(database, person, ONE, [draft(1, places=3), draft(2)], events)
    first, second, judged = await learned(database, person)
    assert (first.kind, first.agent, first.role, first.model) == (
        "qa",
        "developer",
        "developer",
        "playbook:rules",
    )
    assert (first.recipe, first.rule, first.size) == ("mend-loop", "ruff:B006", "2 to 3 places")
    assert (first.succeeded, first.rework, first.shape) == (False, 0, "on its own")
    assert (second.succeeded, second.rework, second.model, second.recipe) == (True, 1, "lab:large", "mend")
    assert (second.seconds, second.cost) == (7.0, Money(1000))
    assert (judged.kind, judged.role, judged.rework) == ("judge of qa", "judge", 0)


@pytest.mark.req("LRN-01")
async def test_a_session_is_taken_in_once_and_anew_when_it_went_on(database: Database, person: Actor) -> None:
    await session(database, person, ONE, [draft(1)], told(Tried(1)))
    assert len(await learned(database, person)) == 1
    assert len(await learned(database, person)) == 1
    async with database.view(person) as uow:
        assert await sessions_to_learn(uow) == []
    async with database.transaction(person) as uow:
        for event in told(Tried(1, number=2)):
            uow.record(ONE, event)
        await note_facts(uow, ONE, run_ended="1")
    assert len(await learned(database, person)) == 2


@pytest.mark.req("LRN-01")
async def test_one_that_still_runs_teaches_nothing_yet(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        await create_session(uow, ONE, kind="improve", goal="mend", project="/p", options="{}")
        assert await catch_up(uow) == 0
        with pytest.raises(NotFound):
            await learn_from(uow, SessionId("ses-none"))


@pytest.mark.req("LRN-03")
async def test_waves_are_measured_by_width_with_those_that_met(database: Database, person: Actor) -> None:
    events: list[Event] = [
        WaveStarted(0, "tip", ("item-1",)),
        *told(Tried(1)),
        WaveStarted(1, "tip", ("item-2", "item-3")),
        *told(Tried(2)),
        ChangeSentBack("item-2", "conflict"),
        BatchBisected(("item-2", "item-3"), "item-2", 2),
        WaveStarted(2, "tip", ("item-3", "item-1")),
        *told(Tried(3)),
        WaveStarted(3, "tip", ("item-9",)),  # nothing was told of it: it was broken off
    ]
    await session(database, person, ONE, [draft(one) for one in (1, 2, 3)], events)
    await learned(database, person)
    async with database.view(person) as uow:
        found = {one.parallel: (one.conflicts, one.runs) for one in await list_crowding(uow)}
    assert found == {1: (0, 1), 2: (1, 4)}


@pytest.mark.req("LRN-03")
async def test_settings_follow_with_an_event_and_not_while_it_is_off(
    database: Database, person: Actor
) -> None:
    await refused_at_the_last_try(database, person, 2)
    await session(database, person, ONE, [draft(1)], [])
    await learned(database, person)
    assert await adapted(database, person, enabled=False) == PLAIN
    assert await changes(database, person) == []
    assert await adapted(database, person) == replace(PLAIN, retries=1)
    assert await adapted(database, person) == replace(
        PLAIN, retries=1
    )  # on trial: nothing else is tried meanwhile
    assert await changes(database, person) == [("retries", "2", "1", "adapted")]
    async with database.view(person) as uow:
        events = [one.event for one in await replay(uow, ONE) if isinstance(one.event, SettingChanged)]
    assert [(one.name, one.after, one.how) for one in events] == [("retries", "1", "adapted")]
    assert "of runs at the last try, 0 of 90 (0%" in events[0].reason
    assert await adapted(database, person, enabled=False) == PLAIN
    assert (await changes(database, person))[0] == ("retries", "1", "2", "returned")


@pytest.mark.req("LRN-03")
async def test_too_little_is_no_evidence(database: Database, person: Actor) -> None:
    await refused_at_the_last_try(database, person, 2, count=19)
    await learned(database, person)
    assert await adapted(database, person) == PLAIN


@pytest.mark.req("LRN-03")
async def test_worse_results_bring_the_setting_back_and_are_needed_anew(
    database: Database, person: Actor
) -> None:
    items = range(1, 91)
    fine: list[Event] = [WaveStarted(0, "tip", tuple(f"item-{one}" for one in items))]
    fine += [event for one in items for event in told(Tried(one, seconds=2.0))]
    await session(database, person, ONE, [draft(one) for one in items], fine)
    await learned(database, person)
    assert await adapted(database, person) == replace(PLAIN, seconds=60.0, timed=("developer",))
    bad = [event for one in items for event in told(Tried(one, won=False))]
    await session(database, person, SessionId("ses-3"), [draft(one) for one in items], bad)
    await learned(database, person)
    assert await adapted(database, person) == PLAIN
    name, before, after, how = (await changes(database, person))[0]
    assert (name, before, after, how) == ("seconds", "60", "1800", "returned")
    assert await adapted(database, person) == PLAIN  # the old evidence led astray, and counts no more


@pytest.mark.req("LRN-03")
async def test_an_order_of_agents_follows_what_was_measured(database: Database, person: Actor) -> None:
    items = range(1, 41)
    events = [event for one in items for event in told(Tried(one, won=one <= 4, agent="weak"))]
    events += [event for one in items for event in told(Tried(one, number=2, agent="strong"))]
    events += [
        event for one in items for event in told(Tried(one, number=3, agent="middling", won=one <= 38))
    ]
    await session(database, person, ONE, [draft(one) for one in items], events)
    await learned(database, person)
    found = await adapted(database, person)
    assert found.routes == {"qa": ("strong", "weak")}
    async with database.transaction(person) as uow:
        tuning = await pin_setting(uow, "route qa", "middling, weak", PLAIN)
        assert tuning.settings.routes == {"qa": ("middling", "weak", "strong")}
    assert (await adapted(database, person)).routes == {"qa": ("middling", "weak", "strong")}


@pytest.mark.req("LRN-03")
async def test_a_person_pins_releases_and_undoes(database: Database, person: Actor) -> None:
    await refused_at_the_last_try(database, person, 1)
    await learned(database, person)
    assert (await adapted(database, person)).retries == 1
    async with database.transaction(person) as uow:
        tuning = await undo_setting(uow, "retries", PLAIN)
    assert (tuning.settings.retries, tuning.pinned, tuning.trial) == (2, ("retries",), None)
    assert (await adapted(database, person)).retries == 2  # pinned, whatever was measured
    async with database.transaction(person) as uow:
        await pin_setting(uow, "retries", "0", PLAIN)
    assert (await adapted(database, person, enabled=False)).retries == 0
    async with database.transaction(person) as uow:
        await release_setting(uow, "retries", PLAIN)
        with pytest.raises(Conflict, match="retries is not pinned"):
            await release_setting(uow, "retries", PLAIN)
    told_of = [how for _, _, _, how in await changes(database, person)]
    assert sorted(told_of) == ["adapted", "pinned", "released", "undone"]
    async with database.view(person) as uow:
        assert len(await replay(uow, INSIGHTS_LOG)) == 3


@pytest.mark.req("LRN-03")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("retries", "6"), ("retries", "-1"), ("retries", "two"), ("parallel", "0"), ("seconds", "9999")],
        *[("route qa", "stranger"), ("route qa", " , ")],
    ],
)
async def test_a_value_that_is_none_is_refused_with_the_bounds(
    database: Database, person: Actor, name: str, value: str
) -> None:
    await session(database, person, ONE, [draft(1)], told(Tried(1)))
    await learned(database, person)
    async with database.transaction(person) as uow:
        with pytest.raises(InvalidInput, match=name):
            await pin_setting(uow, name, value, PLAIN)
        with pytest.raises(NotFound, match="no setting 'colour'") as unknown:
            await pin_setting(uow, "colour", "red", PLAIN)
        with pytest.raises(NotFound, match="was never changed"):
            await undo_setting(uow, "parallel", PLAIN)
    assert "retries, parallel, seconds, route qa" in unknown.value.remedy


@pytest.mark.req("LRN-03")
async def test_what_a_person_sets_anew_counts_and_ends_the_trial(database: Database, person: Actor) -> None:
    await refused_at_the_last_try(database, person, 1)
    await learned(database, person)
    assert (await adapted(database, person)).retries == 1
    theirs = replace(PLAIN, retries=4)
    assert (await adapted(database, person, theirs)).retries == 4
    async with database.view(person) as uow:
        tuning = await find_tuning(uow)
    assert tuning is not None
    assert tuning.base == theirs
