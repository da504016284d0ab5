"""How a team stands, under any outcomes: it always comes to an end, and its policy is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.flow.teams.doubles import task

from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskState
from bullpen.flow.teams.base import Kept, TeamPolicy, TeamTask
from bullpen.flow.teams.standing import standing
from bullpen.flow.trees.group import GroupPolicy, OnFailure

ENDS = (TaskState.DONE, TaskState.FAILED)


@st.composite
def teams(draw: st.DrawFn) -> list[TeamTask]:
    count = draw(st.integers(1, 8))
    found = []
    for number in range(count):
        before = draw(st.sets(st.integers(0, max(0, number - 1)), max_size=2)) if number else set()
        more = {"group": draw(st.sampled_from(["", "g", "h"])), "takes_partial": draw(st.booleans())}
        found.append(task(f"t{number}", *(f"t{one}" for one in sorted(before)), **more))
    return found


@pytest.mark.req("COL-06")
@given(teams(), st.sampled_from(OnFailure), st.floats(0.1, 1.0), st.data())
def test_whatever_happens_it_ends(
    some: list[TeamTask], on_failure: OnFailure, share: float, data: st.DataObject
) -> None:
    policy = TeamPolicy(GroupPolicy(on_failure, share))
    states = {one.id: TaskState.WAITING for one in some}
    kept: dict[TaskId, Kept] = {}

    def end(name: TaskId, state: TaskState) -> None:
        assert not states[name].is_final
        states[name] = state
        kept[name] = Kept(name, state, summary="said")

    for _ in range(3 * len(some) + 3):
        now = standing(some, states, kept, policy)
        if now.verdict.is_final:
            break
        for one in now.skip:
            end(one.task, one.state)
        assert now.skip or now.ready
        for name in now.ready if not now.skip else ():
            needed = next(one for one in some if one.id == name)
            ended = [states[other] for other in needed.node.depends_on]
            assert all(one.is_final for one in ended)
            assert needed.takes_partial or all(one is TaskState.DONE for one in ended)
            end(name, data.draw(st.sampled_from(ENDS)))
    assert now.verdict.is_final
    assert all(state.is_final for state in states.values())
    essential = [one for one in some if not one.group]
    if now.verdict is TaskState.DONE:
        assert all(states[one.id] not in (TaskState.FAILED, TaskState.SKIPPED) for one in essential)


def test_what_waits_for_what_failed_is_left_out() -> None:
    some = [
        task("a", group="g"),
        task("b", "a", group="g"),
        task("c", group="g"),
        task("d", "b", "c", takes_partial=True),
    ]
    states = dict.fromkeys((one.id for one in some), TaskState.WAITING)
    states[TaskId("a")] = TaskState.FAILED
    kept = {TaskId("a"): Kept(TaskId("a"), TaskState.FAILED)}
    now = standing(some, states, kept, TeamPolicy())
    assert [(one.task, one.state, one.summary) for one in now.skip] == [
        ("b", TaskState.SKIPPED, "it waits for 'a', which is failed")
    ]
    assert now.ready == ("c",)
