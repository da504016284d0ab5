"""Whatever is done to a session, its events alone give what the tables hold."""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullpen.domain.actor import Actor, agent_actor
from bullpen.domain.errors import BullpenError
from bullpen.domain.events.agent import ModelReplied
from bullpen.domain.events.improve import ChangeLanded, RepositoryOpened
from bullpen.domain.events.session import SessionCreated, SessionTagged, StageReached
from bullpen.domain.events.work import TaskAdded
from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ApprovalId, ItemId, SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.domain.session import Stage
from bullpen.domain.task import TaskNode, TaskState
from bullpen.domain.work_item import ItemDraft, ItemState, Priority, WorkItem
from bullpen.kernel.bus.log import Recorded, replay
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.schema import storable
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions import actions, queries, scratchpad
from bullpen.sessions.state import SessionThen, state_after
from bullpen.sessions.transfer import export_session, import_session
from bullpen.work import queries as work
from bullpen.work.actions import approvals, items, tasks

Do = Callable[[UnitOfWork, SessionId], Awaitable[object]]
TASK = TaskId("tree-1")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A clock that goes on by a second when it is told to."""
    seconds = count(1_000_000)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000")
    return lambda: os.environ.__setitem__("SOURCE_DATE_EPOCH", str(next(seconds)))


def draft(name: str, labels: tuple[str, ...] = ()) -> ItemDraft:
    return ItemDraft(
        ItemId(name), "fix", f"Mend {name}", "because", "ruff:F401", "a.py", (1,), Concern.QA, Severity.LOW,
        (), (), "tests", 5, (), labels=labels,
    )  # fmt: skip


# --- what may be done, in any order -----------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
item_ids = st.sampled_from(["itm-1", "itm-2", "itm-3"])
task_ids = st.sampled_from(["tree-1", "tree-2", "tree-3", "tree-4"])


def session_steps() -> st.SearchStrategy[Do]:
    return st.one_of(
        st.sampled_from(Stage).map(lambda stage: lambda uow, name: actions.reach_stage(uow, name, stage)),
        st.just(actions.pause_session),
        st.just(actions.resume_session),
        st.just(actions.archive_session),
        st.lists(words, max_size=3).map(lambda tags: lambda uow, name: actions.tag_session(uow, name, tags)),
        words.map(lambda who: lambda uow, name: actions.join_session(uow, name, who)),
        words.map(lambda value: lambda uow, name: actions.note_facts(uow, name, branch=value)),
        st.tuples(words, words).map(
            lambda two: lambda uow, name: scratchpad.set_variable(uow, name, TASK, two[0], two[1], by="dev")
        ),
        words.map(lambda path: lambda uow, name: scratchpad.note_file_read(uow, name, TASK, path, "1" * 64, by="dev")),
    )  # fmt: skip


def item_steps() -> st.SearchStrategy[Do]:
    def propose(one: tuple[str, ItemState, str, tuple[str, ...]]) -> Do:
        name, state, reason, labels = one
        item = WorkItem(draft(name, labels), state, Priority(1.5, 3, 1, 2), 0.9, reason=reason)
        return lambda uow, session: items.propose_items(uow, session, [item])

    labels = st.lists(words, max_size=2).map(tuple)
    return st.one_of(
        st.tuples(item_ids, st.sampled_from(ItemState), st.one_of(st.just(""), words), labels).map(propose),
        st.tuples(item_ids, st.sampled_from(ItemState), words, st.sampled_from(["", "c0ffee"])).map(
            lambda one: lambda uow, name: items.move_item(uow, name, one[0], one[1], reason=one[2], change=one[3])
        ),
        st.tuples(item_ids, words).map(lambda one: lambda uow, name: items.comment_item(uow, name, *one)),
        st.tuples(item_ids, words).map(lambda one: lambda uow, name: items.assign_item(uow, name, *one)),
        st.tuples(item_ids, labels).map(lambda one: lambda uow, name: items.label_item(uow, name, *one)),
    )  # fmt: skip


def task_steps() -> st.SearchStrategy[Do]:
    def add(one: tuple[str, str | None, int]) -> Do:
        name, parent, position = one
        node = TaskNode(
            TaskId(name), TaskId(parent) if parent else None, name, "kind", "role",
            capabilities=("python",), acceptance=("it works",), complexity=2.5, position=position, item="itm-1",
        )  # fmt: skip
        return lambda uow, session: tasks.add_tasks(uow, session, [node])

    return st.one_of(
        st.tuples(task_ids, st.one_of(st.none(), task_ids), st.integers(0, 3)).map(add),
        st.tuples(task_ids, st.sampled_from(TaskState), words).map(
            lambda one: lambda uow, name: tasks.move_task(uow, name, TaskId(one[0]), one[1], one[2])
        ),
        st.tuples(task_ids, words).map(lambda one: lambda uow, name: tasks.cancel_task(uow, name, TaskId(one[0]), one[1])),
        st.tuples(task_ids, st.integers(0, 5)).map(
            lambda one: lambda uow, name: tasks.reorder_task(uow, name, TaskId(one[0]), one[1])
        ),
        st.tuples(task_ids, words).map(lambda one: lambda uow, name: tasks.reassign_task(uow, name, TaskId(one[0]), one[1])),
    )  # fmt: skip


def approval_steps() -> st.SearchStrategy[Do]:
    def ask(one: tuple[int, float]) -> Do:
        return lambda uow, name: approvals.ask_approval(
            uow, name, ApprovalId(f"{name}-{one[0]}"), subject="s", risk="high", reason="r", deadline=one[1]
        )

    def answer(one: tuple[int, bool]) -> Do:
        return lambda uow, name: approvals.answer_approval(uow, f"{name}-{one[0]}", approved=one[1])

    return st.one_of(
        st.tuples(st.integers(2, 3), st.sampled_from([0.0, 1e12])).map(ask),
        st.tuples(st.integers(1, 3), st.booleans()).map(answer),
    )


async def fill(uow: UnitOfWork, name: SessionId) -> None:
    """Something to work on, so that what is drawn is seldom refused."""
    ready = [WorkItem(draft(f"itm-{n}"), ItemState.READY, Priority(1, 1, 1, 1), 1.0) for n in (1, 2)]
    await items.propose_items(uow, name, ready)
    top = TaskNode(TASK, None, "top", "goal", "lead")
    below = [TaskNode(TaskId(f"tree-{n}"), TASK, "t", "item", "lead", position=n) for n in (2, 3, 4)]
    await tasks.add_tasks(uow, name, [top, *below])
    for number, deadline in ((1, 0.0), (2, 1e12)):
        named = ApprovalId(f"{name}-{number}")
        await approvals.ask_approval(
            uow, name, named, subject="s", risk="high", reason="r", deadline=deadline
        )


kinds = (session_steps(), item_steps(), item_steps(), task_steps(), task_steps(), approval_steps())
steps = st.lists(st.tuples(st.booleans(), st.one_of(*kinds)), min_size=5, max_size=40).map(
    lambda drawn: [(False, fill), *drawn]
)


async def done(
    database: Database,
    person: Actor,
    clock: Callable[[], None],
    name: SessionId,
    some: Sequence[tuple[bool, Do]],
) -> None:
    """Do all of it, by a person or by an agent; what is refused leaves nothing behind."""
    agent = agent_actor(person.organization_id, "developer")
    clock()
    async with database.transaction(person) as uow:
        await actions.create_session(uow, name, kind="improve", goal="g", project="/p", options="{}")
    for by_agent, do in some:
        clock()
        try:
            async with database.transaction(agent if by_agent else person) as uow:
                await do(uow, name)
        except BullpenError:
            continue


async def as_stored(uow: UnitOfWork, name: SessionId) -> dict[str, object]:
    found = [await work.get_item(uow, name, one.id) for one in await work.list_items(uow, name)]
    variables = {
        task: await scratchpad.list_variables(uow, name, task)
        for task in (TASK, *(one.id for one in await work.list_tasks(uow, name)))
    }
    return {
        "session": await queries.get_session(uow, name),
        "items": [
            (one.id, one.state, one.reason, one.change, one.owner, one.draft.labels, one.history)
            for one in found
        ],
        "tasks": list(await work.list_tasks(uow, name)),
        "approvals": {
            (a.id, a.subject, a.answer, a.answered_by) for a in await work.list_approvals(uow, name)
        },
        "variables": {(task, one.name): one for task, some in variables.items() for one in some},
    }


def as_folded(state: SessionThen) -> dict[str, object]:
    return {
        "session": state.session,
        "items": [
            (one.id, one.state, one.reason, one.change, one.owner, one.labels, one.history)
            for one in state.items.values()
        ],
        "tasks": list(state.tasks.values()),
        "approvals": {(a.id, a.subject, a.answer, a.answered_by) for a in state.approvals.values()},
        "variables": dict(state.variables),
    }


numbers = count(1)


@pytest.mark.req("SES-02", "SES-03")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=steps)
async def test_all_events_folded_give_what_the_tables_hold(
    database: Database, person: Actor, clock: Callable[[], None], some: list[tuple[bool, Do]]
) -> None:
    name = SessionId(f"ses-{next(numbers)}")
    await done(database, person, clock, name, some)
    async with database.view(person) as uow:
        events = await replay(uow, name)
        stored = await as_stored(uow, name)
    state = state_after(events)
    assert as_folded(state) == stored
    assert state.position == events[-1].position
    # what was known at each step is what the events up to it give
    for number, recorded in enumerate(events, 1):
        assert state_after(events, recorded.position) == state_after(events[:number])


@pytest.mark.req("SES-02")
async def test_a_task_that_is_begun_again_has_the_times_the_tables_have(
    database: Database, person: Actor, clock: Callable[[], None]
) -> None:
    def moved(state: TaskState) -> tuple[bool, Do]:
        return False, lambda uow, name: tasks.move_task(uow, name, TaskId("tree-2"), state)

    again = [moved(one) for one in (TaskState.RUNNING, TaskState.FAILED, TaskState.RUNNING)]
    await done(database, person, clock, SessionId("ses-t"), [(False, fill), *again])
    async with database.view(person) as uow:
        state = state_after(await replay(uow, SessionId("ses-t")))
        assert as_folded(state) == await as_stored(uow, SessionId("ses-t"))
    assert state.tasks[TaskId("tree-2")].ended_at < state.tasks[TaskId("tree-2")].started_at


# --- single moments ---------------------------------------------------------------------------------------------------

NAME = SessionId("ses-a")


def recorded(*events: object) -> list[Recorded]:
    return [
        Recorded(10 * number, NAME, 100.0 + number, "person", event)  # pyright: ignore[reportArgumentType]
        for number, event in enumerate(events, 1)
    ]


@pytest.mark.req("SES-03")
def test_cost_tip_and_steps_at_each_event() -> None:
    reply = ModelReplied(TaskId("t"), 1, 1, "", (), 100, 20, 3_000)
    events = recorded(
        SessionCreated("improve", "g", "/p", "{}"),
        RepositoryOpened("/p", "base1", "main", 3, ()),
        reply,
        ChangeLanded("itm-1", "tip1", 4.0),
        reply,
        ChangeLanded("itm-2", "tip2", 9.0),
    )
    seen = [state_after(events, one.position) for one in events]
    assert [one.tip for one in seen] == ["", "base1", "base1", "tip1", "tip1", "tip2"]
    assert [one.steps for one in seen] == [0, 0, 1, 1, 2, 2]
    assert seen[-1].cost == Money(6_000)
    assert (seen[-1].input_tokens, seen[-1].output_tokens) == (200, 40)
    assert state_after(events, 15) == seen[0]  # between two events
    assert (seen[2].position, seen[2].at) == (30, 103.0)


@pytest.mark.req("SES-03")
def test_a_fork_has_the_state_of_its_own_beginning() -> None:
    parent = recorded(
        SessionCreated("improve", "g", "/p", "{}"), SessionTagged(("a",)), StageReached("planning")
    )
    created = Recorded(99, NAME, 900.0, "other", SessionCreated("improve", "g", "/p", "{}", "ses-0"))
    state = state_after([*parent, created])
    assert state.session.tags == ()
    assert state.session.stage is Stage.INITIALIZE
    assert (state.session.parent, state.session.participants) == ("ses-0", ("other",))


@pytest.mark.req("SES-02")
def test_tasks_of_a_version_that_told_no_position_keep_the_order_they_came_in() -> None:
    events = recorded(
        SessionCreated("improve", "g", "/p", "{}"),
        TaskAdded("b", "", "b", "item", "lead", 1.0, ()),
        TaskAdded("a", "", "a", "item", "lead", 1.0, ()),
    )
    assert list(state_after(events).tasks) == ["b", "a"]


@pytest.mark.req("SES-02")
async def test_odd_names_of_files_are_the_ones_that_are_stored(database: Database, person: Actor) -> None:
    odd = WorkItem(
        replace(draft("itm-1"), path="caf\udce9\n.py"),
        ItemState.BLOCKED,
        Priority(1, 1, 1, 1),
        1.0,
        reason="\udce9",
    )
    async with database.transaction(person) as uow:
        await actions.create_session(uow, NAME, kind="improve", goal="g", project="/p\udce9", options="{}")
        await items.propose_items(uow, NAME, [odd])
    async with database.view(person) as uow:
        state = state_after(await replay(uow, NAME))
        stored = await work.get_item(uow, NAME, "itm-1")
        session = await queries.get_session(uow, NAME)
    assert state.items["itm-1"].path == stored.draft.path
    assert storable(state.items["itm-1"].reason) == stored.reason
    assert storable(state.session.project) == session.project


@pytest.mark.req("SES-01", "SES-03")
async def test_the_state_travels_with_an_exported_session(
    database: Database, person: Actor, clock: Callable[[], None]
) -> None:
    move: Do = lambda uow, name: items.move_item(uow, name, "itm-1", ItemState.READY)  # noqa: E731
    new = WorkItem(draft("itm-1", ("quick",)), ItemState.PROPOSED, Priority(1, 1, 1, 1), 1.0)
    propose: Do = lambda uow, name: items.propose_items(uow, name, [new])  # noqa: E731
    await done(database, person, clock, NAME, [(False, propose), (True, move)])
    async with database.view(person) as uow:
        before = state_after(await replay(uow, NAME))
        file = await export_session(uow, NAME, {})
    async with database.transaction(person) as uow:
        await import_session(uow, file, "ses-b")
    async with database.view(person) as uow:
        after = state_after(await replay(uow, SessionId("ses-b")))
        stored = await as_stored(uow, SessionId("ses-b"))
    assert as_folded(after) == stored
    assert replace(after.session, id=NAME) == before.session
    assert after.items == before.items
