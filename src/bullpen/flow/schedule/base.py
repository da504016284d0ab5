"""What the scheduler sees: agents, jobs, and the weights it decides by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bullpen.domain.ids import OrganizationId, SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.flow.schedule.record import NO_RECORD, Record

FREE = Money()


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as of now. ``capabilities`` are declared skills from 0 to 1, ``records`` what was measured of them.

    ``load`` of ``capacity`` jobs are with it. ``cost`` and ``seconds`` are what one job takes, measured; ``place`` is
    where its workspace is, empty where that does not matter.
    """

    id: str
    capabilities: Mapping[str, float]
    capacity: int = 1
    load: int = 0
    records: Mapping[str, Record] = field(default_factory=dict[str, Record])
    cost: Money = FREE
    seconds: float = 0.0
    place: str = ""
    available: bool = True

    def record(self, capability: str) -> Record:
        """What was measured of it at this capability."""
        return self.records.get(capability, NO_RECORD)


@dataclass(frozen=True, slots=True)
class Job:
    """A task that waits for an agent. Times are seconds of one clock; a higher ``priority`` goes first.

    ``not_by`` must not do it (who wrote a change neither reviews nor judges it); ``tried`` have had it and failed.
    """

    task: TaskId
    capabilities: tuple[str, ...]
    organization: OrganizationId
    session: SessionId
    priority: int = 0
    submitted_at: float = 0.0
    deadline: float | None = None
    place: str = ""
    not_by: frozenset[str] = frozenset()
    tried: frozenset[str] = frozenset()
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """The weights of a choice. A score is a chance of success (0 to 1) less what speaks against the agent.

    ``load`` is taken off a full agent, ``cost`` for each dollar, ``late`` where the deadline would be missed;
    ``local`` is added where the workspace is. ``curiosity`` is how many standard deviations an uncertain agent is
    given in advance, so that it is tried again. ``prior`` is how many tries a declaration is worth, ``half_life``
    how many seconds it takes evidence to count half at the middle pace (see ``record``).
    """

    load: float = 0.02
    cost: float = 0.05
    local: float = 0.03
    late: float = 0.5
    curiosity: float = 0.25
    prior: float = 2.0
    half_life: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Choice:
    """Agent ``agent`` for job ``task``, with the numbers it was chosen by."""

    task: TaskId
    agent: str
    score: float
    capability: float
    load: int
    capacity: int
    wins: int
    tries: int
    cost: Money
    local: bool = False
    late: bool = False
    again: bool = False

    @property
    def reason(self) -> str:
        """One sentence, without a model: ``QA-2: capability 0.9, load 1/4, 12 of 13 past successes, $0.03``."""
        past = f"{self.wins} of {self.tries} past successes" if self.tries else "not tried yet"
        facts = [
            f"capability {self.capability:.1f}",
            f"load {self.load}/{self.capacity}",
            past,
            str(self.cost),
        ]
        facts += ["has the workspace"] if self.local else []
        facts += ["will miss the deadline"] if self.late else []
        facts += ["failed at it before, and nobody else is free"] if self.again else []
        return f"{self.agent}: {', '.join(facts)}"


@dataclass(frozen=True, slots=True)
class NoChoice:
    """Nobody can do job ``task`` now; ``hopeless`` where waiting will not help either."""

    task: TaskId
    reason: str
    hopeless: bool = False
