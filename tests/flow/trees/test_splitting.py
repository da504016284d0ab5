"""Splitting a goal: by complexity, by components of the codebase, and by templates that are refused when faulty."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.codegraph.imports import Import, ImportGraph, Moment
from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskNode
from bullpen.flow.trees.check import faults
from bullpen.flow.trees.complexity import Extent, SplitRule, chunks, complexity, why_split
from bullpen.flow.trees.components import component_tasks, components
from bullpen.flow.trees.plan import PlannedTask
from bullpen.flow.trees.template import Goal, parse_template, split_by_template

ROOT = TaskNode(TaskId("task-root"), None, "Rename it", "item", "lead", acceptance=("renamed",))
FILES = [f"{folder}/{name}.py" for folder in ("a", "b") for name in "uvwxyz"]


def graph(edges: dict[str, list[str]]) -> ImportGraph:
    imports = tuple(Import(one, to, 1, Moment.LOAD) for one, targets in edges.items() for to in targets)
    return ImportGraph({path.replace("/", "."): path for path in FILES}, imports)


edges = st.dictionaries(st.sampled_from(FILES), st.lists(st.sampled_from(FILES), max_size=3, unique=True))


@pytest.mark.req("TRE-02")
@given(edges, st.sets(st.sampled_from(FILES), min_size=1), st.integers(1, 5))
def test_components_hold_each_file_once_after_what_it_imports(
    imports: dict[str, list[str]], wanted: set[str], most: int
) -> None:
    known = graph(imports)
    found = components(wanted, known, most)
    place = {path: number for number, one in enumerate(found) for path in one.files}
    assert sorted(path for one in found for path in one.files) == sorted(wanted)
    for path in wanted:
        for to in known.imported_by(path) & wanted:
            assert place[to] == place[path] or place[to] in found[place[path]].after
    for number, one in enumerate(found):
        assert all(before < number for before in one.after)
        folders = {path.rpartition("/")[0] for path in one.files}
        knot = any(set(one.files) <= set(cycle) for cycle in known.cycles())
        assert knot or len(one.files) <= most
        assert knot or len(folders) == 1 or known.cycles()
    assert components(sorted(wanted, reverse=True), known, most) == found


@pytest.mark.req("TRE-02")
@given(edges, st.sets(st.sampled_from(FILES), min_size=1))
def test_tasks_of_components_are_a_sound_plan(imports: dict[str, list[str]], wanted: set[str]) -> None:
    tasks = component_tasks(ROOT, components(wanted, graph(imports), 3), {})
    assert not faults([PlannedTask(ROOT), *tasks])
    assert {path for one in tasks for path in one.files} == wanted


@pytest.mark.req("TRE-02")
def test_a_circle_of_imports_stays_one_task_and_the_imported_comes_first() -> None:
    known = graph({"a/u.py": ["a/v.py"], "a/v.py": ["a/u.py"], "b/w.py": ["a/u.py"]})
    found = component_tasks(
        ROOT, components(["b/w.py", "a/u.py", "a/v.py"], known, 1), {"a/u.py": 3, "a/v.py": 2}
    )
    assert [sorted(one.files) for one in found] == [["a/u.py", "a/v.py"], ["b/w.py"]]
    assert found[1].task.depends_on == (found[0].id,)
    assert found[0].task.title == "Rename it: a/u.py and 1 more"
    assert found[0].task.complexity > found[1].task.complexity


extents = st.builds(
    Extent, st.integers(1, 50), st.integers(1, 9), st.integers(1, 4), st.integers(0, 99), st.floats(0, 1)
)


@pytest.mark.req("TRE-03")
@given(extents, extents)
def test_more_of_everything_is_never_less_complex(one: Extent, other: Extent) -> None:
    both = Extent(
        max(one.places, other.places),
        max(one.files, other.files),
        max(one.components, other.components),
        max(one.dependents, other.dependents),
        min(one.covered, other.covered),
    )
    found = complexity(both)
    assert found.points >= max(complexity(one).points, complexity(other).points) - 1e-9
    assert found.points == pytest.approx(sum(value for _, value in found.parts))


@pytest.mark.req("TRE-03")
def test_one_line_in_one_file_is_one_point_and_never_split() -> None:
    assert complexity(Extent(1)).points == 1.0
    assert complexity(Extent(0)).reason == "0.0 points: nothing to change"
    assert why_split(Extent(1, components=9), SplitRule(points=0.1)) == ""


@pytest.mark.req("TRE-03")
@pytest.mark.parametrize(
    ("extent", "word"),
    [(Extent(4, 2, 2), "2 components"), (Extent(9, 9), "9 files"), (Extent(90), "45.5 points: 45.5 places")],
)
def test_a_task_that_is_too_large_is_split_for_a_stated_reason(extent: Extent, word: str) -> None:
    assert word in why_split(extent)
    assert why_split(Extent(4, 2)) == ""


@pytest.mark.req("TRE-03")
@given(st.lists(st.floats(0.1, 9)), st.floats(1, 9))
def test_chunks_hold_everything_in_order_within_the_limit(weights: list[float], most: float) -> None:
    found = chunks(weights, most)
    assert [number for part in found for number in part] == list(range(len(weights)))
    assert all(len(part) == 1 or sum(weights[n] for n in part) <= most + 1e-9 for part in found)


GOOD = "title: T\nsteps:\n  - {name: a, role: developer, title: A, points: 0.5}\n"


@pytest.mark.req("TRE-02")
@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[", "not YAML"),
        ("", "template:"),
        ("title: T\nsteps: []", "steps"),
        (GOOD.replace("0.5", "0"), "points"),
        (GOOD.replace("name: a", "name: A B"), "name"),
        (GOOD + "  - {name: a, role: qa, title: B, points: 0.5}\n", "same name"),
        (
            GOOD + "  - {name: b, role: qa, title: B, points: 0.5, after: [c]}\n",
            "'c', which is no earlier step",
        ),
        (GOOD.replace("points", "after: [a], points"), "'a', which is no earlier step"),
        (GOOD + "colour: red\n", "colour"),
    ],
)
def test_a_faulty_template_is_refused_with_its_place(text: str, word: str) -> None:
    with pytest.raises(InvalidInput, match=r"mine\.yaml") as refused:
        parse_template(text, "mine.yaml")
    assert word in refused.value.sentence


@pytest.mark.req("TRE-02")
def test_a_step_cannot_cover_what_the_goal_does_not_ask_for() -> None:
    template = parse_template(GOOD.replace("points", "covers: [3], points"), "mine.yaml")
    goal = Goal("item-1", "general", "T", ("a.py",), ("one", "two"))
    with pytest.raises(InvalidInput, match="2 acceptance lines; a step covers 3"):
        split_by_template(goal, None, template)
