"""Task trees: what is refused, the order, and progress from the leaves upward."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskNode, TaskState
from bullpen.work.tree import DEEPEST, check_tree, progress, task_order


def node(name: str, parent: str | None = None, *after: str, **other: object) -> TaskNode:
    waits = tuple(TaskId(one) for one in after)
    base = TaskNode(TaskId(name), TaskId(parent) if parent else None, name, "item", "lead", depends_on=waits)
    return replace(base, **other)  # type: ignore[arg-type]


@st.composite
def trees(draw: st.DrawFn) -> list[TaskNode]:
    """Each task hangs below an earlier one; it may wait for earlier ones that are not its ancestors."""
    nodes = [node("t0")]
    for number in range(1, draw(st.integers(1, 20))):
        parent = draw(st.sampled_from(nodes))
        siblings = [one.id for one in nodes if one.parent == parent.id]
        waits = draw(st.lists(st.sampled_from(siblings), unique=True, max_size=2)) if siblings else []
        state = draw(st.sampled_from(list(TaskState)))
        complexity = draw(st.floats(0.5, 5))
        times = {"started_at": 1.0, "ended_at": 3.0} if state.is_final else {}
        nodes.append(
            node(
                f"t{number}", parent.id, *waits, state=state, complexity=complexity, position=number, **times
            )
        )
    return nodes


@pytest.mark.req("TRE-01")
@given(trees())
def test_a_sound_tree_has_an_order_in_which_nobody_waits_for_later_ones(tasks: list[TaskNode]) -> None:
    check_tree(tasks)
    order = task_order(tasks)
    place = {task: number for number, task in enumerate(order)}
    assert sorted(place) == sorted(task.id for task in tasks)
    for task in tasks:
        assert all(place[one] < place[task.id] for one in task.depends_on)
        assert task.parent is None or place[task.id] < place[task.parent]
    assert task_order(list(reversed(tasks))) == order


@pytest.mark.req("TRE-01")
@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([node("a"), node("a")], "same id"),
        ([node("a", "ghost")], "ghost, which is not in the tree"),
        ([node("a", None, "ghost")], "ghost, which is not in the tree"),
        ([node("a", None, "b"), node("b", None, "a")], "waits for itself"),
        ([node("a", None, "a")], "waits for itself"),
        ([node("a", "b"), node("b", "a")], "its own ancestor"),
        ([node("a"), node("b", "a", "a")], "waits for itself"),
    ],
)
def test_what_is_no_tree_is_refused(tasks: list[TaskNode], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_tree(tasks)


@pytest.mark.req("TRE-01")
def test_depth_is_bounded_whatever_the_order() -> None:
    chain = [node("t0"), *(node(f"t{n}", f"t{n - 1}") for n in range(1, DEEPEST))]
    check_tree(chain)
    deeper = [*chain, node("last", f"t{DEEPEST - 1}")]
    for tasks in (deeper, list(reversed(deeper))):
        with pytest.raises(InvalidInput, match="deeper than"):
            check_tree(tasks)


@pytest.mark.req("TRE-04")
@given(trees(), st.integers(1, 4))
def test_progress_of_a_parent_is_that_of_its_leaves(tasks: list[TaskNode], lanes: int) -> None:
    found = progress(tasks, lanes)
    parents = {task.parent for task in tasks}
    leaves = [task for task in tasks if task.id not in parents]
    top = found[TaskId("t0")]
    assert top.total == len(leaves)
    assert top.done == sum(leaf.state.is_final for leaf in leaves)
    assert 0 <= top.share <= 1
    assert (top.share == pytest.approx(1)) == (top.done == top.total)
    for task in tasks:
        if children := [one for one in tasks if one.parent == task.id]:
            assert found[task.id].total == sum(found[one.id].total for one in children)


@pytest.mark.req("TRE-04")
def test_time_left_follows_the_pace_of_what_ended() -> None:
    done = node("a", "t", state=TaskState.DONE, started_at=10.0, ended_at=14.0, complexity=2.0)
    tasks = [node("t"), done, node("b", "t", complexity=3.0)]
    assert progress(tasks)[TaskId("t")].seconds_left == pytest.approx(6.0)
    assert progress(tasks, lanes=2)[TaskId("t")].seconds_left == pytest.approx(3.0)
    assert progress([node("t"), node("b", "t")])[TaskId("t")].seconds_left is None
