"""The state behind the live view is made of events alone, however they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.cli.progress import Progress, apply, fold, seconds_left, share_done, work_tasks
from bullpen.domain.events import Event
from bullpen.domain.events.agent import AgentStarted, AgentStopped, ModelReplied, ToolStarted
from bullpen.domain.events.improve import (
    ChangeLanded,
    ChangeRefused,
    PersonaSpoke,
    RoastFinished,
    TestsRun,
    WaveStarted,
)
from bullpen.domain.events.session import SessionCreated, StageReached
from bullpen.domain.events.work import ItemMoved, ItemProposed, TaskAdded, TaskMoved
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.session import Stage
from bullpen.domain.task import TaskState
from bullpen.domain.work_item import ItemState
from bullpen.kernel.bus.log import Recorded

TASKS = st.sampled_from(["root", "one", "two", "one-develop", "nobody"])
ITEMS = st.sampled_from(["item-1", "item-2", "item-9"])
SHORT = st.text(max_size=12)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(SessionCreated, st.just("improve"), SHORT, SHORT, SHORT),
    st.builds(StageReached, st.sampled_from([stage.value for stage in Stage]), SHORT),
    st.builds(ItemProposed, ITEMS, SHORT, SHORT, SHORT, st.integers(0, 4), st.just(1.0), st.just(1.0)),
    st.builds(ItemMoved, ITEMS, st.sampled_from([state.value for state in ItemState]), SHORT, SHORT, SHORT),
    st.builds(TaskAdded, TASKS, TASKS, SHORT, st.sampled_from(["item", "develop"]), SHORT, st.floats(0.5, 9), st.just(())),
    st.builds(TaskMoved, TASKS, st.sampled_from([state.value for state in TaskState]), SHORT),
    st.builds(AgentStarted, TASKS.map(TaskId), SHORT, SHORT, st.integers(1, 3)),
    st.builds(ToolStarted, TASKS.map(TaskId), st.just(1), st.just(1), SHORT, SHORT, st.sampled_from(["{}", "[1]", '{"path": "a.py"}', '{"cut'])),
    st.builds(AgentStopped, TASKS.map(TaskId), st.just(1), st.just(1), SHORT, SHORT),
    st.builds(ModelReplied, TASKS.map(TaskId), st.just(1), st.just(1), SHORT, st.just(()), st.just(1), st.just(1), st.integers(0, 99)),
    st.builds(ChangeLanded, ITEMS, SHORT, st.floats(0, 99), SHORT),
    st.builds(ChangeRefused, ITEMS, st.just(1), st.just(("style_kept",)), SHORT),
    st.builds(WaveStarted, st.integers(0, 5), SHORT, st.just(())),
    st.builds(PersonaSpoke, SHORT, st.integers(0, 9), SHORT, SHORT),
    st.builds(TestsRun, st.sampled_from(["before", "after"]), st.integers(0, 9), st.just(0), st.just(1.0), st.just("finished")),
    st.builds(RoastFinished, st.sampled_from(["before", "after"]), st.just(1), st.just((0, 1, 0, 0, 0)), st.just(1.0)),
)  # fmt: skip


def recorded(events: list[Event]) -> list[Recorded]:
    return [
        Recorded(number, SessionId("ses-1"), 1000.0 + number, "person", event)
        for number, event in enumerate(events, 1)
    ]


def begun() -> list[Event]:
    """Two items, of which one is twice the work of the other."""
    return [
        SessionCreated("improve", "goal", "/somewhere/app", "{}"),
        ItemProposed("item-1", "Mend one", "ruff:F401", "a.py", 1, 5.0, 1.0),
        ItemProposed("item-2", "Mend two", "ruff:S506", "b.py", 3, 9.0, 1.0),
        TaskAdded("root", "", "Improve app", "goal", "lead", 1.0, ()),
        TaskAdded("one", "root", "Mend one", "item", "lead", 1.0, (), "item-1"),
        TaskAdded("one-develop", "one", "change the code", "develop", "developer", 1.0, (), "item-1"),
        TaskAdded("two", "root", "Mend two", "item", "lead", 2.0, (), "item-2"),
        WaveStarted(0, "abc", ("item-1",)),
        ItemMoved("item-1", "in-progress", "person"),
        TaskMoved("one", "running"),
        TaskMoved("one-develop", "running", "attempt 1"),
        AgentStarted(TaskId("one-develop"), "developer", "playbook:rules", 1),
    ]


@pytest.mark.req("CLI-01")
@given(st.lists(EVENTS, max_size=40), st.integers(0, 40))
def test_a_replay_gives_the_state_that_was_built_step_by_step(events: list[Event], cut: int) -> None:
    history = recorded(events)
    stepwise = Progress()
    for one in history:
        stepwise = apply(stepwise, one)
    assert stepwise == fold(Progress(), history)
    assert stepwise == fold(fold(Progress(), history[:cut]), history[cut:])


@given(st.lists(EVENTS, max_size=30))
def test_an_event_that_comes_twice_counts_once(events: list[Event]) -> None:
    history = recorded(events)
    once = fold(Progress(), history)
    assert fold(once, history) == once


@given(st.lists(EVENTS, min_size=1, max_size=20))
def test_a_state_is_never_changed_in_place(events: list[Event]) -> None:
    before = fold(Progress(), recorded(begun()))
    tasks, items, doing = dict(before.tasks), dict(before.items), dict(before.doing)
    later = [Recorded(100 + one.position, one.session_id, one.at, "x", one.event) for one in recorded(events)]
    fold(before, later)
    assert (tasks, items, doing) == (before.tasks, before.items, before.doing)


def test_what_an_agent_does_now_is_told_in_a_few_words() -> None:
    arguments = '{"recipe": "http-timeout", "path": "app/api.py", "lines": [3]}'
    call = ToolStarted(TaskId("one-develop"), 1, 1, "c1", "apply_recipe", arguments)
    state = fold(Progress(), recorded([*begun(), call]))
    assert state.doing[TaskId("one-develop")] == "developer: apply_recipe http-timeout on app/api.py"
    ended = fold(state, [Recorded(99, SessionId("ses-1"), 2000.0, "x", TaskMoved("one-develop", "done"))])
    assert TaskId("one-develop") not in ended.doing


def test_arguments_that_were_cut_off_still_name_the_tool() -> None:
    call = ToolStarted(TaskId("one-develop"), 1, 1, "c1", "write_file", '{"content": "aaa')
    state = fold(Progress(), recorded([*begun(), call]))
    assert state.doing[TaskId("one-develop")] == "developer: write_file"


def test_the_share_done_weighs_items_and_the_estimate_follows_the_pace() -> None:
    state = fold(Progress(), recorded([*begun(), TaskMoved("one", "done", "abc")]))
    assert share_done(state) == pytest.approx(1 / 3)
    assert seconds_left(state, state.work_began_at + 10) == pytest.approx(20)
    assert seconds_left(fold(Progress(), recorded(begun())), 5000) is None


def test_a_fork_begins_where_its_own_creation_is_told() -> None:
    fork = SessionCreated("improve", "goal", "/somewhere/app", "{}", "ses-1")
    state = fold(Progress(), recorded([*begun(), fork]))
    assert not state.tasks
    assert not state.items
    assert state.wave == -1


def test_an_item_that_landed_in_part_is_named_by_that_part() -> None:
    events: list[Event] = [
        SessionCreated("improve", "", "p", ""),
        ItemProposed("i1", "Close 2 holes", "ruff:S311", "a.py", 2, 1.0, 1.0),
        TaskAdded("t1", "", "Close 2 holes", "item", "lead", 1.0, (), "i1"),
        ChangeLanded("i1", "f" * 40, 3.0, "Close a hole"),
    ]
    state = fold(Progress(), recorded(events))
    assert state.items["i1"].title == "Close a hole"
    assert [task.title for task in work_tasks(state)] == ["Close a hole"]
