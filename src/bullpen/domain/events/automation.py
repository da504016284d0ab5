"""What happened to automations: work that begins by itself. They are logged under the automation's own id."""

from dataclasses import dataclass

from bullpen.domain.events import Event


@dataclass(frozen=True, slots=True)
class AutomationEnabled(Event):
    """A person allowed an automation to begin work. ``digest`` is that of the text that was allowed."""

    name: str
    origin: str
    digest: str
    by: str


@dataclass(frozen=True, slots=True)
class AutomationDisabled(Event):
    """An automation begins nothing any more."""

    name: str
    by: str


@dataclass(frozen=True, slots=True)
class AutomationTriggered(Event):
    """Something happened that an automation waits for. ``state`` is queued, or skipped with the reason."""

    run: str
    trigger: str
    says: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AutomationRunStarted(Event):
    """A run began, or was taken up again; ``attempt`` counts that from 1."""

    run: str
    session: str
    holder: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AutomationRunEnded(Event):
    """How a run ended: done, failed, replaced; or that it waits."""

    run: str
    session: str
    outcome: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class AutomationNoticed(Event):
    """Something odd about a trigger: times that passed unseen, a clock that went back, a repository out of reach."""

    trigger: str
    note: str
