"""Splitting a goal, having the parts done, and putting them together: by one lead, or by leads of leads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bullpen.domain.ids import TaskId
from bullpen.flow.patterns.base import Step, step_task, values_in
from bullpen.flow.teams.base import Conclusion, Results, TeamTask

MOST_PARTS = 1_000


class Part(BaseModel):
    """A part as a lead hands it in; ``capability`` where not everybody of the level below may do it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(min_length=1, max_length=200)]
    input: Any = None
    capability: Annotated[str, Field(max_length=80)] = ""
    priority: Annotated[int, Field(ge=-1_000, le=1_000)] = 0


_PARTS: TypeAdapter[tuple[Part, ...] | None] = TypeAdapter(
    Annotated[tuple[Part, ...], Field(max_length=MOST_PARTS)]
)


@dataclass(frozen=True, slots=True)
class Level:
    """Who splits and collects here. ``key`` makes the ids, ``group`` is what its tasks count in."""

    key: tuple[str, ...]
    capabilities: tuple[str, ...]  # from this level down; the last one does the work
    group: str = ""

    @property
    def split(self) -> TaskId:
        """The task that splits."""
        return step_task(Step((*self.key, "split"), "", "")).id

    @property
    def collect(self) -> TaskId:
        """The task that puts together."""
        return step_task(Step((*self.key, "collect"), "", "")).id


def opening(level: Level, title: str, given: Any, after: tuple[TaskId, ...] = ()) -> TeamTask:
    """The task that splits what is given."""
    step = Step(
        (*level.key, "split"),
        f"Split: {title}",
        level.capabilities[0],
        after,
        {"value": given},
        "split",
        group=level.group,
        returns=("parts",),
    )
    return step_task(step)


def following(level: Level, title: str, results: Results) -> list[TeamTask]:
    """What follows once the level has been split: the parts, and their collection when all of those have ended."""
    parts = values_in(results.get(level.split), "parts", _PARTS, None)
    if parts is None:
        return []
    found: list[TeamTask] = []
    ends: list[TaskId] = []
    for number, part in enumerate(parts):
        tasks, end = _part(level, number, part, results)
        found += tasks
        ends.append(end)
    collect = Step(
        (*level.key, "collect"),
        f"Put together: {title}",
        level.capabilities[0],
        (level.split, *ends),
        {},
        "collect",
        group=level.group,
        takes_partial=True,
        returns=("answer",),
        position=len(ends),
    )
    return [*found, step_task(collect)] if _all_known(found, ends) else found


def _part(level: Level, number: int, part: Part, results: Results) -> tuple[list[TeamTask], TaskId]:
    """The tasks of one part, and the one that ends it."""
    key = (*level.key, str(number))
    below = (part.capability or level.capabilities[1], *level.capabilities[2:])
    group = f"parts of {'/'.join(level.key)}"
    if len(below) == 1:
        step = Step(
            key,
            part.title,
            below[0],
            (level.split,),
            {"value": part.input},
            group=group,
            position=number,
        )
        task = replace(step_task(step), priority=part.priority)
        return [task], task.id
    inner = Level(key, below, group)
    first = opening(inner, part.title, part.input, (level.split,))
    if first.id in results and not results[first.id].done:
        return [first], first.id  # its lead could not split it
    return [first, *following(inner, part.title, results)], inner.collect


def _all_known(found: Sequence[TeamTask], ends: Sequence[TaskId]) -> bool:
    """A collection can only wait for tasks there are: those of a part come when its lead has split it."""
    known = {one.id for one in found}
    return all(end in known for end in ends)


def concluded(level: Level, results: Results) -> Conclusion:
    """The answer of the one who put it together."""
    kept = results.get(level.collect)
    if kept is None or not kept.done:
        return Conclusion("Nothing was put together.", reached=False)
    return Conclusion(f"{kept.summary}", dict(kept.data))
