"""What is kept of automations and their runs."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter

from bullpen.domain.ids import SessionId
from bullpen.flow.automation.triggers.base import Trigger
from bullpen.flow.definitions.model import Source

TRIGGER: TypeAdapter[Trigger] = TypeAdapter(Trigger)
MEMORY: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


class RunState(StrEnum):
    """How a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"  # for a person or a moment; its session goes on by itself
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # its limits did not let it begin
    REPLACED = "replaced"  # by a later one

    @property
    def is_open(self) -> bool:
        """Whether more will happen."""
        return self in (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)


@dataclass(frozen=True, slots=True)
class Registered:
    """An automation that was enabled at least once, with the text a person allowed.

    ``origin`` is the repository its file is kept in, empty for Bullpen's home; ``memory`` is that of its triggers, by
    kind. ``looked_at`` is when they were last looked at.
    """

    id: str
    name: str
    origin: str
    path: str
    text: str
    enabled: bool
    changed_by: str
    changed_at: float
    memory: str
    looked_at: float

    @property
    def source(self) -> Source:
        """The text, and where it is from."""
        return Source(self.name, self.path, self.text)


@dataclass(frozen=True, slots=True)
class AutomationRun:
    """A run. Times are seconds since 1970, 0 for not yet. ``stop`` says why it is to end, empty where it is not."""

    id: str
    automation_id: str
    trigger: Trigger
    digest: str
    state: RunState
    reason: str
    session_id: SessionId
    made_at: float
    started_at: float
    ended_at: float
    holder: str
    held_until: float
    stop: str
    attempts: int
