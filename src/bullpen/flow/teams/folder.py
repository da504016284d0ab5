"""A team in a folder: ``team.yaml``, its agents, and the files they work on.

goal: Count the words of all texts.
pattern: lead_worker
agents: agents        # a folder of agents, as in the guide
fleet: false          # also the agents that `bullpen agents` lists
roles: []             # roles of the roster that take part, too
workspace: work       # copied; the originals are not touched
options: {lead: lead, work: count}
policy: {on_failure: best-effort, attempts: 3, seconds: 60, at_once: 8}
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.flow.teams.base import TeamPolicy
from bullpen.flow.trees.group import GroupPolicy, OnFailure
from bullpen.kernel.yaml_places import read_document, refuse
from bullpen.kernel.yaml_shapes import field_names, in_order, shape_faults

FILE = "team.yaml"
LONGEST = 256 * 1024  # bytes
PER_CORE = 4
Inside = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}$")]


def sensible_at_once() -> int:
    """Attempts at the same time where nobody says how many: agents mostly wait for models and for programs."""
    return PER_CORE * (os.cpu_count() or 1)


class _Policy(BaseModel):
    model_config = ConfigDict(extra="forbid")

    on_failure: OnFailure = OnFailure.BEST_EFFORT
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    pause: Annotated[float, Field(ge=0, le=3600)] = 0.2
    seconds: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    patience: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    lease: Annotated[float, Field(ge=1, le=600)] = 15.0
    most_tasks: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    second_run_after: Annotated[float, Field(ge=0, le=86_400)] | None = 2.0
    at_once: Annotated[int, Field(ge=1, le=10_000)] = Field(default_factory=sensible_at_once)


class _Team(BaseModel):
    model_config = ConfigDict(extra="forbid")

    goal: Annotated[str, Field(min_length=1, max_length=2_000)]
    pattern: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    agents: Inside = "agents"
    fleet: bool = False
    roles: tuple[str, ...] = ()
    workspace: Inside = "work"
    options: dict[str, Any] = Field(default_factory=dict[str, Any])
    policy: _Policy = Field(default_factory=_Policy)


@dataclass(frozen=True, slots=True)
class TeamFolder:
    """What a team's folder says; paths are whole."""

    folder: Path
    goal: str
    pattern: str
    agents: Path
    fleet: bool
    roles: tuple[str, ...]
    workspace: Path
    options: dict[str, Any]
    policy: TeamPolicy


def read_team(folder: Path) -> TeamFolder:
    """Read a team's folder.

    Raises:
        NotFound: there is no ``team.yaml`` in it.
        InvalidInput: it is faulty; line and column of the first fault, and how many there are.
    """
    place = folder / FILE
    if not place.is_file():
        raise NotFound(f"There is no {FILE} in {folder}.", remedy="See docs/guide/team.md for what it holds.")
    said = _parsed(place)
    policy = said.policy
    return TeamFolder(
        folder,
        said.goal,
        said.pattern,
        _within(folder, said.agents),
        said.fleet,
        said.roles,
        _within(folder, said.workspace),
        said.options,
        TeamPolicy(
            GroupPolicy(policy.on_failure, policy.share),
            policy.attempts,
            policy.pause,
            policy.seconds,
            policy.patience,
            policy.lease,
            policy.most_tasks,
            policy.second_run_after,
            policy.at_once,
        ),
    )


def _parsed(place: Path) -> _Team:
    if place.stat().st_size > LONGEST:
        raise InvalidInput(f"{place} has more than {LONGEST} bytes.")
    try:
        document = read_document(place.read_text("utf-8"), str(place))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{place} is not UTF-8: {error.reason}.", remedy="Save it as UTF-8.") from error
    try:
        return _Team.model_validate(document.data)
    except ValidationError as error:
        names = [*field_names(_Team), *field_names(_Policy)]
        raise refuse(in_order(shape_faults(document, error, names))) from error


def _within(folder: Path, name: str) -> Path:
    place = folder / name
    if not place.resolve().is_relative_to(folder.resolve()):
        raise InvalidInput(f"{name} leads out of {folder}.")
    return place
