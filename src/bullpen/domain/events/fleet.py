"""Who works: agents beside the roster that came, changed, went, broke or were stopped; workers that cannot help."""

from dataclasses import dataclass

from bullpen.domain.events import Event


@dataclass(frozen=True, slots=True)
class AgentRegistered(Event):
    """A manifest and program that were not known before; ``generation`` counts those of one name."""

    namespace: str
    name: str
    kind: str
    agent_version: str
    revision: str
    generation: int


@dataclass(frozen=True, slots=True)
class AgentUnregistered(Event):
    """One that had registered itself, or had been registered, is taken off the list."""

    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class AgentDrained(Event):
    """It failed its health, or broke too often, and gets no tasks for ``seconds``."""

    namespace: str
    name: str
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AgentHalted(Event):
    """A person says that it gets no more tasks."""

    namespace: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AgentRestarted(Event):
    """A person says that it gets tasks again, with a clean record."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class WorkerDisqualified(Event):
    """On a machine the session's tests do not come out as they did before any change: it takes no items."""

    host: str
    reason: str
