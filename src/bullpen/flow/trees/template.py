"""Splitting by template: one YAML file in ``templates/`` for each kind of item, named after it.

    title: "Close the hole: {title}"
    rule: all
    steps:
      - {name: develop, role: developer, title: "Change {path}", points: 0.7, touches: [change], covers: rest}
      - {name: judge, role: judge, title: "Rule", after: [develop], not_by: [develop], points: 0.1}

``points`` is a step's share of the item's complexity. ``touches`` is what a step may change: ``change`` for the item's
files, ``tests`` for its test files. ``covers`` names acceptance lines by number from 1, or ``rest`` for all that no
other step covers. ``not_by`` are steps whose agents must not do this one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId, derived_id
from bullpen.domain.task import TaskNode
from bullpen.flow.trees.plan import PlannedTask
from bullpen.flow.trees.recompose import Rule
from bullpen.kernel.yaml_text import read_yaml

FALLBACK = "general"
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Step(BaseModel):
    """One task of a template."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    role: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    title: str
    after: tuple[Name, ...] = ()
    not_by: tuple[Name, ...] = ()
    capabilities: tuple[str, ...] = ()
    points: Annotated[float, Field(gt=0, le=1)]
    touches: tuple[Literal["change", "tests"], ...] = ()
    covers: tuple[int, ...] | Literal["rest"] = ()


class TreeTemplate(BaseModel):
    """How one kind of item is split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    rule: Rule = Rule.ALL
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=32)]


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be split: an item, or anything with a title, files and acceptance."""

    id: str
    kind: str
    title: str
    files: tuple[str, ...]
    acceptance: tuple[str, ...]
    tests: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    complexity: float = 1.0


@dataclass(frozen=True, slots=True)
class Split:
    """A goal as a plan. The first task is the goal's own; ``not_by`` says whose agents must not do a task."""

    tasks: tuple[PlannedTask, ...]
    requirements: tuple[str, ...]
    not_by: Mapping[TaskId, tuple[TaskId, ...]]
    rule: Rule


def template_names() -> tuple[str, ...]:
    """Kinds of items that have a template of their own."""
    return tuple(sorted(_built_in()))


def template_for(kind: str) -> TreeTemplate:
    """The template of a kind of item, or the general one."""
    return _built_in().get(kind) or _built_in()[FALLBACK]


def parse_template(text: str, where: str) -> TreeTemplate:
    """Read a template; ``where`` names it in errors.

    Raises:
        InvalidInput: with the field named, or the steps that are called for and not there.
    """
    try:
        template = TreeTemplate.model_validate(read_yaml(text))
    except yaml.YAMLError as error:
        raise InvalidInput(f"{where}: this is not YAML: {getattr(error, 'problem', error)}.") from error
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc'])) or 'template'}: {one['msg']}" for one in error.errors()]
        raise InvalidInput(f"{where}: {'; '.join(wrong)}.") from error
    _check_names(template, where)
    return template


def split_by_template(goal: Goal, parent: TaskId | None, template: TreeTemplate | None = None) -> Split:
    """The goal as a task below ``parent``, with a task for each step; the same goal gives the same ids.

    Raises:
        InvalidInput: a step covers an acceptance line the goal does not have.
    """
    chosen = template or template_for(goal.kind)
    top = TaskId(derived_id("task", parent or "", goal.id))
    names = {step.name: TaskId(derived_id("task", top, step.name)) for step in chosen.steps}
    shown = {"title": goal.title, "path": goal.files[0] if goal.files else "the project"}
    root = TaskNode(
        top,
        parent,
        _filled(chosen.title, shown),
        "item",
        "lead",
        capabilities=goal.capabilities,
        acceptance=goal.acceptance,
        complexity=goal.complexity,
        item=goal.id,
    )
    covered = _covered(chosen.steps, goal)
    steps = [
        PlannedTask(
            TaskNode(
                names[step.name],
                top,
                _filled(step.title, shown),
                step.name,
                step.role,
                depends_on=tuple(names[one] for one in step.after),
                capabilities=(*goal.capabilities, *step.capabilities) if step.touches else step.capabilities,
                acceptance=covered[step.name],
                complexity=goal.complexity * step.points,
                position=number,
                item=goal.id,
            ),
            _touched(step, goal),
            frozenset(covered[step.name]),
        )
        for number, step in enumerate(chosen.steps)
    ]
    not_by = {names[s.name]: tuple(names[one] for one in s.not_by) for s in chosen.steps if s.not_by}
    return Split((PlannedTask(root), *steps), goal.acceptance, not_by, chosen.rule)


def _check_names(template: TreeTemplate, where: str) -> None:
    names = [step.name for step in template.steps]
    if len(set(names)) != len(names):
        raise InvalidInput(f"{where}: two steps have the same name.")
    for number, step in enumerate(template.steps):
        later = [one for one in (*step.after, *step.not_by) if one not in names[:number]]
        if later:
            raise InvalidInput(f"{where}: step {step.name} names {later[0]!r}, which is no earlier step.")
    if sum(step.covers == "rest" for step in template.steps) > 1:
        raise InvalidInput(f"{where}: two steps cover the rest.")


def _filled(text: str, shown: Mapping[str, str]) -> str:
    """Only our own words are replaced: titles of items come from repositories, and may hold braces."""
    return re.sub(r"\{(title|path)\}", lambda found: shown[found[1]], text)


def _touched(step: Step, goal: Goal) -> frozenset[str]:
    kinds = {"change": goal.files, "tests": goal.tests}
    return frozenset(path for kind in step.touches for path in kinds[kind])


def _covered(steps: Sequence[Step], goal: Goal) -> dict[str, tuple[str, ...]]:
    named = {number for step in steps if step.covers != "rest" for number in step.covers}
    beyond = [number for number in sorted(named) if not 1 <= number <= len(goal.acceptance)]
    if beyond:
        raise InvalidInput(
            f"{goal.id} has {len(goal.acceptance)} acceptance lines; a step covers {beyond[0]}."
        )
    rest = tuple(line for number, line in enumerate(goal.acceptance, 1) if number not in named)
    return {
        step.name: rest if step.covers == "rest" else tuple(goal.acceptance[one - 1] for one in step.covers)
        for step in steps
    }


@cache
def _built_in() -> Mapping[str, TreeTemplate]:
    folder = files("bullpen.flow.trees").joinpath("templates")
    return {
        entry.name.removesuffix(".yaml"): parse_template(entry.read_text("utf-8"), f"templates/{entry.name}")
        for entry in sorted(folder.iterdir(), key=lambda one: one.name)
        if entry.name.endswith(".yaml")
    }
