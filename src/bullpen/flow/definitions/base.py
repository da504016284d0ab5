"""What a kind of step is: what it is given, how it is run, and what it answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from bullpen.domain.ids import SessionId
from bullpen.flow.gates import Measured
from bullpen.kernel.extend import ExtensionPoint

if TYPE_CHECKING:
    from bullpen.flow.workflows.work_item import Bench

InputsT = TypeVar("InputsT", bound=BaseModel)
TAIL = 4_000  # characters of a step's output that are kept with its result


class StepState(StrEnum):
    """How a step stands."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # its condition was not met
    WAITING = "waiting"  # for a time, a person, or a child that waits


@dataclass(frozen=True, slots=True)
class Wait:
    """What a step waits for: a moment (seconds since 1970, 0 for none), an approval, or whichever comes first."""

    step: str
    until: float = 0.0
    approval: str = ""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of a step. ``measured`` can be held against gates and used in expressions; ``seconds`` are wall clock.

    ``child`` names a session whose own workflow is the rest of this step.
    """

    state: StepState
    output: str = ""
    reason: str = ""
    remedy: str = ""
    measured: Mapping[str, Measured] = field(default_factory=dict[str, Measured])
    waits: tuple[Wait, ...] = ()
    child: str = ""
    seconds: float = 0.0
    tries: int = 1
    order: int = 0  # of ending, from 1: what is taken back goes in the other direction


@dataclass(frozen=True, slots=True)
class Work:
    """What a kind works with. ``workspace`` is the checkout of the session
    ``root``, shared by all steps."""

    bench: "Bench"
    session_id: SessionId
    root: SessionId
    step: str
    round: int
    attempt: int
    run: int
    workspace: Path
    params: Mapping[str, Any]
    measured: Mapping[str, Measured]
    timeout: float | None = None

    @property
    def key(self) -> str:
        """Names this step in this round, the same in every try and after every restart."""
        return f"{self.step}:{self.round}"


@dataclass(frozen=True)
class Kind(Generic[InputsT]):
    """A kind of step. ``inputs`` is the model of its ``with``; ``run`` may be called again with the same key."""

    inputs: type[InputsT]
    run: Callable[[Work, InputsT], Awaitable[StepResult]]
    waits: bool = False  # it may end as waiting, so it cannot take anything back


KINDS: ExtensionPoint[Kind[Any]] = ExtensionPoint("bullpen.flow.definitions.kinds", "KIND")


@cache
def kind_named(name: str) -> Kind[Any]:
    """See ``ExtensionPoint.load``."""
    return KINDS.load(name)
