"""What every template of task trees must give, whatever the item is called."""

from importlib.resources import files

import pytest

from bullpen.agents.registry import load_roster
from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskNode
from bullpen.flow.items.generate import _templates as item_templates
from bullpen.flow.trees.check import faults
from bullpen.flow.trees.plan import PlannedTask, waves
from bullpen.flow.trees.template import Goal, Split, split_by_template, template_for, template_names

PARENT = TaskId("task-root")
ROOT = TaskNode(PARENT, None, "Improve", "goal", "lead")

every_template = pytest.mark.parametrize("kind", template_names())


def split(kind: str, **other: object) -> Split:
    words = {"title": "{path} and {0} {title}", "files": ("src/{a}.py",), "tests": ("tests/test_a.py",)}
    goal = Goal("item-1", kind, acceptance=("gone", "nothing new"), complexity=10.0, **{**words, **other})  # type: ignore[arg-type]
    return split_by_template(goal, PARENT)


@pytest.mark.req("TRE-02")
def test_every_kind_of_item_has_a_template_of_its_own() -> None:
    assert set(item_templates()) <= set(template_names())
    folder = files("bullpen.flow.trees").joinpath("templates")
    assert {f"{name}.yaml" for name in template_names()} == {one.name for one in folder.iterdir()}


@every_template
@pytest.mark.req("TRE-02")
def test_what_it_gives_is_a_sound_plan_that_covers_every_requirement(kind: str) -> None:
    found = split(kind)
    assert not faults([PlannedTask(ROOT), *found.tasks], found.requirements)
    assert split(kind) == found


@every_template
@pytest.mark.req("TRE-02", "SCH-01")
def test_who_wrote_it_neither_proves_nor_reviews_nor_judges_it(kind: str) -> None:
    found = split(kind)
    author = next(one.id for one in found.tasks if one.task.kind == "develop")
    for one in found.tasks:
        if one.task.kind in ("prove", "review", "judge", "falsify", "compare"):
            assert author in found.not_by[one.id]
    last = waves([ROOT, *(one.task for one in found.tasks)])[-1]
    assert [one.task.kind for one in found.tasks if one.id in last] == ["judge"]


@every_template
@pytest.mark.req("TRE-01")
def test_roles_exist_points_add_up_and_only_the_work_touches_files(kind: str) -> None:
    found = split(kind)
    steps = found.tasks[1:]
    assert {one.task.role for one in steps} <= set(load_roster().cards)
    assert sum(one.task.complexity for one in steps) == pytest.approx(10.0)
    assert {path for one in steps for path in one.files} >= {"src/{a}.py"}
    assert all(not one.files for one in steps if one.task.kind in ("prove", "review", "judge"))


@every_template
@pytest.mark.req("TRE-02")
def test_names_from_a_repository_are_kept_letter_by_letter(kind: str) -> None:
    titles = [one.task.title for one in split(kind, title="{0} {path} {missing} %s").tasks]
    assert titles[0] == "{0} {path} {missing} %s"
    assert any("src/{a}.py" in title for title in titles[1:])


def test_an_unknown_kind_is_split_as_any_other() -> None:
    assert template_for("gardening") == template_for("general")
