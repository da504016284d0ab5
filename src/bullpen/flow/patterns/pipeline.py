"""A pipeline: each item goes through all stages, one after the other; items do not wait for each other."""

import json
from typing import Annotated, Any

from pydantic import Field

from bullpen.flow.patterns.base import Brief, Options, Step, read_options, step_task
from bullpen.flow.teams.base import Conclusion, Course, Results, TeamTask


class Pipeline(Options):
    """Capabilities of the stages in order, and the items."""

    stages: Annotated[tuple[str, ...], Field(min_length=1, max_length=32)]
    items: Annotated[tuple[Any, ...], Field(min_length=1, max_length=10_000)]


def arrange(brief: Brief) -> Course:
    """See ``Pattern``."""
    options = read_options(Pipeline, brief)
    for stage in options.stages:
        brief.able(stage)
    rows = [_row(brief.goal, options.stages, number, item) for number, item in enumerate(options.items)]

    def conclude(results: Results) -> Conclusion:
        ends = {row[-1].id: number for number, row in enumerate(rows)}
        through = [one for name, one in results.items() if name in ends and one.done]
        data = {str(options.items[ends[one.task]]): json.dumps(dict(one.data)) for one in through}
        said = f"{len(through)} of {len(rows)} items came through {len(options.stages)} stages."
        return Conclusion(said, data, reached=bool(through))

    return Course("pipeline", brief.goal, tuple(one for row in rows for one in row), conclude)


def _row(goal: str, stages: tuple[str, ...], number: int, item: Any) -> list[TeamTask]:
    found: list[TeamTask] = []
    for place, stage in enumerate(stages):
        after = (found[-1].id,) if found else ()
        key = ("pipeline", goal, str(number), str(place))
        title = f"{stage}: {item}"
        step = Step(key, title, stage, after, {"item": item}, stage[:40], group=stage, position=number)
        found.append(step_task(step))
    return found
