"""Plans of task trees: what is refused and by which names, and the order in which a sound plan runs."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskNode, TaskState
from bullpen.flow.trees.check import Bounds, check_plan, faults
from bullpen.flow.trees.plan import PlannedTask, ready, waves


def planned(
    name: str, parent: str | None = None, *after: str, files: str = "", **other: object
) -> PlannedTask:
    waits = tuple(TaskId(one) for one in after)
    task = TaskNode(TaskId(name), TaskId(parent) if parent else None, name, "item", "lead", depends_on=waits)
    return replace(PlannedTask(task, frozenset(files.split())), **other)  # type: ignore[arg-type]


def kinds(plan: Sequence[PlannedTask], requirements: Sequence[str] = ()) -> list[tuple[str, tuple[str, ...]]]:
    return [(fault.kind, fault.tasks) for fault in faults(plan, requirements)]


@st.composite
def plans(draw: st.DrawFn) -> list[PlannedTask]:
    """Any shape at all, sound or not."""
    names = [f"t{n}" for n in range(draw(st.integers(1, 7)))]
    some = st.lists(st.sampled_from(names), max_size=2, unique=True)
    found: list[PlannedTask] = []
    for number, name in enumerate(names):
        parent = draw(st.sampled_from([None, *names[:number]]))
        files = " ".join(draw(st.lists(st.sampled_from(["a", "b"]), max_size=1)))
        found.append(planned(name, parent, *draw(some), files=files))
    return found


def every_run(plan: Sequence[PlannedTask]) -> set[tuple[str, ...]]:
    """What may run at the same moment, tried out: start and end leaves in every way the plan allows."""
    nodes = {each.id: each.task for each in plan}
    inner = {task.parent for task in nodes.values()}
    leaves = [name for name in nodes if name not in inner]

    def done(name: TaskId, ended: frozenset[str]) -> bool:
        below = [task.id for task in nodes.values() if task.parent == name]
        return all(done(one, ended) for one in below) if below else name in ended

    def may_start(name: TaskId | None, ended: frozenset[str]) -> bool:
        while name is not None:
            if not all(done(one, ended) for one in nodes[name].depends_on):
                return False
            name = nodes[name].parent
        return True

    seen: set[tuple[frozenset[str], frozenset[str]]] = set()
    todo: list[tuple[frozenset[str], frozenset[str]]] = [(frozenset(), frozenset())]
    while todo:
        state = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        running, ended = state
        todo += [(running - {one}, ended | {one}) for one in running]
        todo += [
            (running | {one}, ended) for one in leaves if one not in running | ended and may_start(one, ended)
        ]
    assert (frozenset(), frozenset(leaves)) in seen  # everything can be finished
    return {tuple(sorted(running)) for running, _ in seen}


@pytest.mark.req("TRE-01", "TRE-02")
@given(plans())
def test_an_overlap_is_found_where_and_only_where_two_leaves_can_run_at_once(plan: list[PlannedTask]) -> None:
    inner = {each.task.parent for each in plan}
    leaves = [replace(e, files=e.files if e.id not in inner else frozenset()) for e in plan]
    found = kinds(leaves)
    if any(kind in ("cycle", "self") for kind, _ in found):
        return
    together = every_run(leaves)
    files = {each.id: each.files for each in leaves}
    clash = any(files[TaskId(a)] & files[TaskId(b)] for run in together for a in run for b in run if a < b)
    assert clash == any(kind == "overlap" for kind, _ in found)
    for kind, tasks in found:
        if kind == "overlap":
            assert tuple(sorted(tasks)) in {tuple(sorted((a, b))) for r in together for a in r for b in r}


@pytest.mark.req("TRE-01")
@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        ([], ("empty", ())),
        ([planned("a"), planned("a")], ("duplicate", ("a",))),
        ([planned("a", "gone")], ("orphan", ("a",))),
        ([planned("a", None, "gone")], ("unknown", ("a", "gone"))),
        ([planned("a", None, "a")], ("self", ("a",))),
        ([planned("a", None, "b"), planned("b", None, "a")], ("cycle", ("a", "b"))),
        ([planned("a"), planned("b", "a", "a")], ("cycle", ("a", "b"))),
        ([planned("p"), planned("q"), planned("a", "p", "q"), planned("b", "q", "p")], ("cycle", ("a", "p"))),
        ([planned("p"), planned("a", "p", files="f"), planned("b", "p", files="f")], ("overlap", ("a", "b"))),
    ],
    ids=[
        "empty",
        "duplicate",
        "orphan",
        "unknown",
        "self",
        "cycle",
        "ancestor",
        "cycle through parents",
        "overlap",
    ],
)
def test_each_fault_names_its_tasks(plan: list[PlannedTask], wanted: tuple[str, tuple[str, ...]]) -> None:
    named = [tasks for kind, tasks in kinds(plan) if kind == wanted[0]]
    assert any(set(wanted[1]) <= set(tasks) for tasks in named)
    with pytest.raises(InvalidInput) as refused:
        check_plan(plan)
    assert all(name in refused.value.sentence for name in wanted[1])
    assert refused.value.remedy


@pytest.mark.req("TRE-01")
def test_bounds_are_kept_and_the_task_is_named() -> None:
    deep = [planned("t0"), *(planned(f"t{n}", f"t{n - 1}") for n in range(1, 5))]
    assert [f.tasks for f in faults(deep, (), Bounds(depth=4))] == [("t4",)]
    assert not faults(deep, (), Bounds(depth=5))
    wide = [planned("root"), *(planned(f"t{n}", "root") for n in range(4))]
    assert [f.tasks for f in faults(wide, (), Bounds(breadth=3))] == [("root",)]
    assert not faults(wide, (), Bounds(breadth=4))
    assert faults(wide, (), Bounds(tasks=4))[0].sentence == "The plan has 5 tasks; 4 are allowed."


@pytest.mark.req("TRE-02")
def test_every_requirement_is_covered_and_nothing_that_was_not_asked_for() -> None:
    plan = [planned("a", covers=frozenset({"fast"})), planned("b", covers=frozenset({"pretty"}))]
    found = [(f.kind, f.sentence) for f in faults(plan, ["fast", "safe"])]
    assert ("uncovered", "No task covers the requirement 'safe'.") in found
    assert ("unasked", "Task b covers 'pretty', which is not asked for.") in found
    assert not faults(plan, ["fast", "pretty"])


@pytest.mark.req("TRE-02")
def test_tasks_in_a_row_and_tasks_that_share_may_change_the_same_file() -> None:
    row = [planned("a", files="f"), planned("b", None, "a", files="f"), planned("c", None, "b", files="f")]
    assert not faults(row)
    shared = [planned("a", files="f"), planned("b", files="f", shares_files=True)]
    assert not faults(shared)
    through_parents = [
        planned("p"),
        planned("q", None, "p"),
        planned("a", "p", files="f"),
        planned("b", "q", files="f"),
    ]
    assert not faults(through_parents)


@pytest.mark.req("TRE-01")
@given(plans())
def test_waves_hold_every_leaf_once_and_follow_what_is_ready(plan: list[PlannedTask]) -> None:
    tasks = [each.task for each in plan]
    if any(kind in ("cycle", "self") for kind, _ in kinds(plan)):
        return
    inner = {task.parent for task in tasks}
    order = waves(tasks)
    assert sorted(one for wave in order for one in wave) == sorted(t.id for t in tasks if t.id not in inner)
    state: dict[str, TaskState] = {}
    for wave in order:
        assert set(wave) <= set(ready(_with_states(tasks, state)))
        state.update(dict.fromkeys(wave, TaskState.DONE))


def _with_states(tasks: Sequence[TaskNode], state: dict[str, TaskState]) -> list[TaskNode]:
    """Parents are done when their children are."""
    found = {task.id: replace(task, state=state.get(task.id, TaskState.WAITING)) for task in tasks}
    for task in reversed(tasks):
        below = [found[one.id] for one in tasks if one.parent == task.id]
        if below and all(one.state is TaskState.DONE for one in below):
            found[task.id] = replace(task, state=TaskState.DONE)
    return list(found.values())


@pytest.mark.req("TRE-05")
@pytest.mark.parametrize("shape", ["deep", "wide"])
def test_ten_thousand_tasks_are_planned_without_recursion(shape: str) -> None:
    count = 10_000
    plan = [
        planned("t0"),
        *(
            planned(f"t{n}", f"t{n - 1}" if shape == "deep" else "t0", files=f"f{n}.py")
            for n in range(1, count)
        ),
    ]
    bounds = Bounds(depth=count, breadth=count, tasks=count)
    check_plan(plan, (), bounds)
    leaves = count - 1 if shape == "wide" else 1
    assert sum(map(len, waves([each.task for each in plan]))) == leaves
    assert len(ready([each.task for each in plan])) == leaves
    assert any(f.kind in ("depth", "breadth") for f in faults(plan, (), Bounds(breadth=100)))
