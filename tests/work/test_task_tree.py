"""Task trees: what is refused, in which order tasks come, and how far they are."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskNode, TaskState
from bullpen.work.tree import DEEPEST, Progress, check_tree, progress, task_order


def node(name: str, parent: str = "", *after: str, **more: object) -> TaskNode:
    above = TaskId(parent) if parent else None
    return TaskNode(TaskId(name), above, name, "kind", "role", depends_on=tuple(map(TaskId, after)), **more)


def chain(length: int) -> list[TaskNode]:
    return [node(f"t{n}", f"t{n - 1}" if n else "") for n in range(length)]


@pytest.mark.req("TRE-01")
@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([node("a"), node("a")], "Two tasks have the same id"),
        ([node("a", "lost")], "Task a names lost, which is not in the tree"),
        ([node("a", "", "lost")], "Task a names lost, which is not in the tree"),
        ([node("a", "", "b"), node("b", "", "a")], "waits for itself"),
        ([node("a", "", "a")], "Task a waits for itself"),
        ([node("a"), node("b", "a", "a")], "waits for itself"),  # the ancestor ends only after it
        (chain(DEEPEST + 1), f"deeper than {DEEPEST} levels at task t{DEEPEST}"),
    ],
)
def test_what_is_no_tree_is_refused(tasks: list[TaskNode], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_tree(tasks)


@pytest.mark.req("TRE-01")
def test_a_ring_of_parents_is_refused() -> None:
    with pytest.raises(InvalidInput):
        check_tree([node("a", "b"), node("b", "a")])


@pytest.mark.req("TRE-01")
@pytest.mark.parametrize(
    "tasks", [[], [node("a")], chain(DEEPEST), [node("r"), node("a", "r"), node("b", "r", "a")]]
)
def test_trees_are_taken(tasks: list[TaskNode]) -> None:
    check_tree(tasks)
    check_tree(tasks[::-1])


@st.composite
def trees(draw: st.DrawFn) -> list[TaskNode]:
    """Trees whose tasks wait only for earlier ones outside their own ancestors."""
    count = draw(st.integers(1, 15))
    found: list[TaskNode] = []
    for number in range(count):
        parent = draw(st.integers(-1, number - 1))
        above = ancestors(found, parent)
        others = [
            one for one in range(number) if one not in above and not above & ancestors(found, one) - {-1}
        ]
        after = draw(st.lists(st.sampled_from(others), unique=True, max_size=2)) if others else []
        more = {"position": draw(st.integers(0, 3)), "complexity": draw(st.floats(0.5, 8))}
        name = f"t{parent}" if parent >= 0 else ""
        found.append(node(f"t{number}", name, *(f"t{one}" for one in after), **more))
    return found


def ancestors(tasks: list[TaskNode], number: int) -> set[int]:
    found: set[int] = set()
    while number >= 0:
        found.add(number)
        parent = tasks[number].parent
        number = int(parent[1:]) if parent else -1
    return found


@pytest.mark.req("TRE-01")
@given(trees())
def test_everything_comes_after_what_it_waits_for(tasks: list[TaskNode]) -> None:
    order = task_order(tasks)
    place = {task: number for number, task in enumerate(order)}
    for task in tasks:
        if task.id in place:
            assert all(place[one] < place[task.id] for one in task.depends_on)
            assert task.parent is None or task.parent not in place or place[task.id] < place[task.parent]
    assert task_order(tasks[::-1]) == order


def test_ties_go_by_position_then_name() -> None:
    tasks = [node("c", position=1), node("b", position=2), node("a", position=2), node("d", position=0)]
    assert task_order(tasks) == ["d", "c", "a", "b"]
    assert task_order([node("a", "", "b"), node("b", "", "a"), node("c")]) == ["c"]


def ended(task: TaskNode, seconds: float, state: TaskState = TaskState.DONE) -> TaskNode:
    return replace(task, state=state, started_at=100.0, ended_at=100.0 + seconds)


@pytest.mark.req("TRE-04")
def test_progress_is_weighed_from_the_leaves_upward() -> None:
    tasks = [
        node("root"),
        node("a", "root"),
        ended(node("a1", "a", complexity=3.0), 30),
        node("a2", "a", complexity=1.0, state=TaskState.RUNNING),
        node("b", "root", complexity=4.0),
    ]
    found = progress(tasks)
    assert found[TaskId("a")] == Progress(1, 2, 0.75, 10.0)
    assert found[TaskId("root")] == Progress(1, 3, 0.375, 50.0)
    assert found[TaskId("b")] == Progress(0, 1, 0.0, None)
    assert found[TaskId("a1")] == Progress(1, 1, 1.0, 0.0)
    assert progress(tasks, lanes=2)[TaskId("root")].seconds_left == 25.0
    assert progress(tasks, lanes=0)[TaskId("root")].seconds_left == 50.0


@pytest.mark.req("TRE-04")
def test_what_did_not_run_counts_as_ended_but_says_nothing_of_the_pace() -> None:
    tasks = [
        node("root"),
        ended(node("a", "root"), 10, TaskState.FAILED),
        ended(node("b", "root"), 1000, TaskState.SKIPPED),
        node("c", "root", state=TaskState.CANCELLED),
        node("d", "root"),
    ]
    assert progress(tasks)[TaskId("root")] == Progress(3, 4, 0.75, pytest.approx(10 / 3))
    backwards = [node("root"), replace(ended(node("a", "root"), -5)), node("b", "root")]
    assert progress(backwards)[TaskId("root")].seconds_left is None
    unstarted = [node("r"), node("a", "r", state=TaskState.DONE, ended_at=9.0), node("b", "r")]
    assert progress(unstarted)[TaskId("r")].seconds_left is None


def test_a_tree_without_weight_is_done() -> None:
    assert progress([node("a", complexity=0.0)])[TaskId("a")] == Progress(0, 1, 1.0, None)


@pytest.mark.req("TRE-05")
def test_ten_thousand_tasks() -> None:
    tasks = [node("root"), *(node(f"t{n}", "root", *([f"t{n - 1}"] if n % 5 else [])) for n in range(10_000))]
    check_tree(tasks)
    assert progress(tasks)[TaskId("root")].total == 10_000


def test_too_many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    from bullpen.work.tree import MOST_TASKS

    with pytest.raises(InvalidInput, match=f"at most {MOST_TASKS} tasks; this one has {MOST_TASKS + 1}"):
        check_tree([node(f"t{n}") for n in range(MOST_TASKS + 1)])
