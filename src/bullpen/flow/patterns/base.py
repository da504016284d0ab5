"""What a pattern is given, and the pieces it builds a course of."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId, derived_id
from bullpen.domain.task import TaskNode
from bullpen.flow.teams.base import Course, Kept, TeamTask
from bullpen.flow.trees.plan import PlannedTask
from bullpen.kernel.extend import ExtensionPoint

T = TypeVar("T")
M = TypeVar("M", bound="Options")


class Options(BaseModel):
    """What can be set of a pattern; every pattern has its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Brief:
    """A goal, the agents there are with their capabilities, and the pattern's options as they were written."""

    goal: str
    agents: Mapping[str, frozenset[str]]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def able(self, capability: str) -> tuple[str, ...]:
        """Names of the agents that have a capability.

        Raises:
            InvalidInput: nobody has it.
        """
        found = tuple(sorted(name for name, has in self.agents.items() if capability in has))
        if not found:
            raise InvalidInput(
                f"No agent offers {capability!r}.", remedy="Add such an agent, or name another capability."
            )
        return found


Pattern = Callable[[Brief], Course]
"""What a pattern's file has as ``arrange``; it raises InvalidInput where goal, agents and options do not fit."""

PATTERNS: ExtensionPoint[Pattern] = ExtensionPoint("bullpen.flow.patterns", "arrange")


def read_options(model: type[M], brief: Brief) -> M:
    """The options of a pattern.

    Raises:
        InvalidInput: one is missing, unknown or wrong; each is named.
    """
    try:
        return model.model_validate(dict(brief.options))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc'])) or 'options'}: {one['msg']}" for one in error.errors()]
        raise InvalidInput(f"The options of the pattern: {'; '.join(faults)}.") from error


@dataclass(frozen=True, slots=True)
class Step:
    """A task in the words of a pattern. ``key`` makes its id: the same goal gives the same tasks."""

    key: tuple[str, ...]
    title: str
    capability: str
    after: tuple[TaskId, ...] = ()
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    kind: str = "work"
    not_by: tuple[TaskId, ...] = ()
    group: str = ""
    takes_partial: bool = False
    returns: tuple[str, ...] = ()
    position: int = 0


def step_task(step: Step) -> TeamTask:
    """The task of a step."""
    node = TaskNode(
        TaskId(derived_id("task", *step.key)),
        None,
        step.title[:200],
        step.kind,
        "member",
        depends_on=step.after,
        capabilities=(step.capability,),
        position=step.position,
    )
    return TeamTask(
        PlannedTask(node),
        json.dumps(dict(step.input)),
        step.not_by,
        group=step.group,
        takes_partial=step.takes_partial,
        returns=step.returns,
    )


def values_in(kept: Kept | None, name: str, adapter: TypeAdapter[T], otherwise: T) -> T:
    """A value an agent handed in as JSON text; ``otherwise`` where there is none or it is of another shape."""
    if kept is None or not kept.done or name not in kept.data:
        return otherwise
    try:
        return adapter.validate_json(kept.data[name])
    except ValidationError:
        return otherwise


def named(results: Sequence[Kept], name: str) -> dict[str, str]:
    """What each of these handed in under a name, by task."""
    return {one.task: one.data[name] for one in results if one.done and name in one.data}
