"""What a workflow file holds. See ``builtin/default.yaml`` for an example.

name: release
version: 2
title: Build, ask, publish
params: {target: staging}
steps:
  - {id: build, kind: command, with: {run: make dist}, retry: {tries: 3, pause: 2s}, timeout: 10min}
  - {id: ask, kind: approval, needs: [build], with: {question: Publish it?}}
  - {id: publish, kind: command, needs: [ask], with: {argv: [./publish, "${{ params.target }}"]}}
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
LONGEST_WAIT = 366 * 86_400.0
MOST_STEPS = 500


def parse_duration(value: object) -> float:
    """Seconds of ``90``, ``90s``, ``2min``, ``1.5h``, ``3d``; ValueError for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d|w)", str(value).strip())
    if found is None:
        raise ValueError(f"{value!r} is no duration; write a number with ms, s, min, h, d or w, such as 2min")
    return float(found[1]) * _SECONDS[found[2]]


Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, le=LONGEST_WAIT)]
StepId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Plain = str | bool | int | float
StageName = Literal[
    "planning", "analysis", "design", "implementation", "testing", "validation"
]  # a session begins at initialize and reaches done by itself


class Strict(BaseModel):
    """Nothing that is not known, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Retry(Strict):
    """How often a step is tried, and how long it waits before it is tried again: ``pause`` × ``backoff``ⁿ, with jitter."""

    tries: Annotated[int, Field(ge=1, le=20)] = 1
    pause: Duration = 1.0
    backoff: Annotated[float, Field(ge=1, le=10)] = 2.0


class SendBack(Strict):
    """Where a failed step sends the work back to, and how many times."""

    to: StepId
    most: Annotated[int, Field(ge=1, le=10)] = 1


class Undo(Strict):
    """What takes a finished step back when the workflow fails later."""

    kind: str
    given: Mapping[str, Any] = Field(default_factory=dict, alias="with")
    retry: Retry = Retry()
    timeout: Duration | None = None


class Step(Strict):
    """One step. ``needs`` are ids of steps before it; ``when`` is an expression, by default ``success()``.

    ``gate`` holds conditions on what was measured until then; ``stage`` is where the session stands while it runs.
    """

    id: StepId
    kind: str
    title: str = ""
    stage: StageName | None = None
    needs: tuple[StepId, ...] = ()
    when: str = ""
    given: Mapping[str, Any] = Field(default_factory=dict, alias="with")
    gate: Mapping[str, Any] = Field(default_factory=dict)
    retry: Retry = Retry()
    timeout: Duration | None = None
    on_failure: tuple[Undo, ...] = ()
    send_back: SendBack | None = None


class Definition(Strict):
    """A whole file. ``params`` are names with their default values."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    version: Annotated[int, Field(ge=1)]
    title: str = ""
    description: str = ""
    params: Mapping[str, Plain] = Field(default_factory=dict)
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)]

    def step(self, step_id: str) -> Step:
        """The step of an id; KeyError if there is none."""
        found = next((one for one in self.steps if one.id == step_id), None)
        if found is None:
            raise KeyError(step_id)
        return found

    def ancestors(self, step_id: str) -> frozenset[str]:
        """Every step that must have ended before this one begins."""
        known, found, left = {one.id: one.needs for one in self.steps}, set[str](), [step_id]
        while left:
            for need in known.get(left.pop(), ()):
                if need not in found:
                    found.add(need)
                    left.append(need)
        return frozenset(found)

    def from_on(self, step_id: str) -> frozenset[str]:
        """A step and every step that comes after it."""
        return frozenset(
            one.id for one in self.steps if one.id == step_id or step_id in self.ancestors(one.id)
        )


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a workflow file, and where it is from. Its digest is the version a running one keeps."""

    name: str
    where: str
    text: str
    built_in: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()
