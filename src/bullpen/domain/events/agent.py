"""What agents did: the record from which a run of the loop goes on after a crash."""

from dataclasses import dataclass

from bullpen.domain.events import Event
from bullpen.domain.ids import TaskId


@dataclass(frozen=True, slots=True)
class AgentStarted(Event):
    """A run of the loop began for one task and phase. ``tree`` is the git tree of the worktree it began with."""

    task_id: TaskId
    role: str
    model: str
    attempt: int
    tree: str = ""


@dataclass(frozen=True, slots=True)
class ModelReplied(Event):
    """One reply of the model, whole; ``calls`` are (id, tool, arguments as JSON)."""

    task_id: TaskId
    attempt: int
    step: int
    text: str
    calls: tuple[tuple[str, str, str], ...]
    input_tokens: int
    output_tokens: int
    cost_micro_usd: int


@dataclass(frozen=True, slots=True)
class ToolStarted(Event):
    """A tool is about to run; what comes after a crash is decided from here."""

    task_id: TaskId
    attempt: int
    step: int
    call_id: str
    tool: str
    arguments: str  # redacted, at most 4,096 characters


@dataclass(frozen=True, slots=True)
class ToolFinished(Event):
    """A tool's result. ``tree`` is the git tree of the worktree after a tool that may write, else empty."""

    task_id: TaskId
    attempt: int
    step: int
    call_id: str
    tool: str
    ok: bool
    content: str  # redacted, at most 16,384 characters
    seconds: float
    tree: str = ""


@dataclass(frozen=True, slots=True)
class ToolRefused(Event):
    """A policy said no, or asks a person first."""

    task_id: TaskId
    attempt: int
    step: int
    call_id: str
    tool: str
    reason: str


@dataclass(frozen=True, slots=True)
class AgentStopped(Event):
    """The loop ended. ``outcome`` is finished, stuck, looping, idle, limit, cancelled or failed; ``seen``
    says what was seen.

    For an agent that is not our own loop, ``word`` and ``data`` are its answer (done, failed, no-approach, or empty
    where it gave none), and ``tree`` is the git tree it left.
    """

    task_id: TaskId
    attempt: int
    steps: int
    outcome: str
    seen: str
    word: str = ""
    data: tuple[tuple[str, str], ...] = ()
    tree: str = ""


@dataclass(frozen=True, slots=True)
class SubtaskRequested(Event):
    """An agent asks for a further task; the direction decides. The first three fields make it idempotent."""

    task_id: TaskId
    step: int
    call_id: str
    title: str
    role: str
    why: str
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoteTaken(Event):
    """An agent wrote something down for people to read."""

    task_id: TaskId
    step: int
    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class LineCommented(Event):
    """A reviewer's comment on one line of a change. Lines start at 1."""

    task_id: TaskId
    step: int
    call_id: str
    path: str
    line: int
    text: str
    blocking: bool


@dataclass(frozen=True, slots=True)
class ReviewGiven(Event):
    """A reviewer's or judge's word on a change; ``ruling`` is accept, revise or reject."""

    task_id: TaskId
    step: int
    call_id: str
    role: str
    ruling: str
    must_change: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selected:
    """A piece of context: where it is from, its tokens, whether it was taken, and why."""

    kind: str
    source: str
    tokens: int
    taken: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ContextSelected(Event):
    """What went into an agent's window besides its card, out of what could have."""

    task_id: TaskId
    budget: int
    tokens: int
    pieces: tuple[Selected, ...]
