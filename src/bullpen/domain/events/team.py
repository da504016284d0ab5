"""How a team worked on a goal: who was given what and why, what met, what was decided."""

from dataclasses import dataclass

from bullpen.domain.events import Event


@dataclass(frozen=True, slots=True)
class TeamStarted(Event):
    """A team began, or went on after its process had ended."""

    pattern: str
    goal: str
    agents: tuple[str, ...]
    tasks: int


@dataclass(frozen=True, slots=True)
class IntentDeclared(Event):
    """What a task means to touch, said before anything is edited."""

    task_id: str
    files: tuple[str, ...]
    symbols: tuple[str, ...]
    aim: str


@dataclass(frozen=True, slots=True)
class OverlapDetected(Event):
    """Two intents meet; ``advice`` is order, merge, watch or ask."""

    first: str
    then: str
    meeting: str
    advice: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class TaskAssigned(Event):
    """An agent was given a task; ``reason`` is the sentence of the choice."""

    task_id: str
    agent: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptEnded(Event):
    """How an agent's attempt at a task ended: ``state`` is done, failed, cancelled or lost (its process was gone)."""

    task_id: str
    agent: str
    attempt: int
    state: str
    summary: str
    seconds: float
    cost_micro_usd: int


@dataclass(frozen=True, slots=True)
class OutcomeMeasured(Event):
    """What became of an attempt, as it was measured and not as its agent tells; it counts for the agent's record.

    ``skill`` names the capabilities that were asked for.
    """

    task_id: str
    agent: str
    attempt: int
    skill: str
    won: bool
    reason: str


@dataclass(frozen=True, slots=True)
class AgentQuarantined(Event):
    """An agent gets no tasks, for a while or until it is mended; ``source`` is its file where it was not admitted."""

    agent: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class MessagePosted(Event):
    """An agent wrote to another one, or to whoever has a capability."""

    task_id: str
    message_id: str
    sender: str
    to: str
    kind: str


@dataclass(frozen=True, slots=True)
class ConflictResolved(Event):
    """A conflict between tasks, who or what decided it (``by``), and why."""

    kind: str
    subject: str
    by: str
    winners: tuple[str, ...]
    others: tuple[str, ...]
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class DecisionReached(Event):
    """A vote of the team."""

    subject: str
    protocol: str
    choice: str
    reason: str


@dataclass(frozen=True, slots=True)
class TeamFinished(Event):
    """The end of the team's work, with its report."""

    state: str
    reason: str
    lines: tuple[str, ...]
