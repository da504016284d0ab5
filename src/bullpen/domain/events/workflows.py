"""What happened to workflows that are data, and to their steps."""

from dataclasses import dataclass

from bullpen.domain.events import Event


@dataclass(frozen=True, slots=True)
class WorkflowStarted(Event):
    """A run of a workflow began, or began again after it waited. ``digest`` is that of the text it keeps."""

    name: str
    number: int
    digest: str
    run: int
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkflowStepStarted(Event):
    """A step is about to be tried. ``undo`` says that it takes a finished step back."""

    step: str
    kind: str
    round: int
    undo: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowStepEnded(Event):
    """How a step ended: done, failed, skipped or waiting. ``seconds`` are those of its last try."""

    step: str
    state: str
    round: int
    tries: int
    seconds: float
    reason: str = ""
    undo: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowSentBack(Event):
    """A step refused what it saw, and the work goes back to an earlier one, told what is missing."""

    step: str
    to: str
    missing: str


@dataclass(frozen=True, slots=True)
class WorkflowSuspended(Event):
    """Nothing can be done before a moment (``until``, seconds since 1970, 0 for none) or an answer."""

    step: str
    until: float
    approval: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowEnded(Event):
    """A workflow is done or has failed; ``undone`` are the steps that were taken back, in that order."""

    outcome: str
    reason: str = ""
    undone: tuple[str, ...] = ()
