"""What happened to sessions."""

from dataclasses import dataclass

from bullpen.domain.events import Event


@dataclass(frozen=True, slots=True)
class SessionCreated(Event):
    """A session began."""

    kind: str
    goal: str
    project: str
    options: str
    parent: str = ""


@dataclass(frozen=True, slots=True)
class StageReached(Event):
    """The workflow went on to another stage; ``reason`` where it went back or ended early."""

    stage: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SessionPaused(Event):
    """Nothing new is started until it is resumed."""

    by: str


@dataclass(frozen=True, slots=True)
class SessionResumed(Event):
    """It goes on."""

    by: str


@dataclass(frozen=True, slots=True)
class SessionArchived(Event):
    """Out of the ordinary lists; nothing is deleted."""

    by: str


@dataclass(frozen=True, slots=True)
class SessionTagged(Event):
    """Its tags are now these."""

    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FactNoted(Event):
    """Something lists show of a session has a new value (branch, base commit, counts)."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ParticipantJoined(Event):
    """An agent or a person takes part."""

    participant: str


@dataclass(frozen=True, slots=True)
class VariableSet(Event):
    """A variable of a task's scratchpad has a new value (JSON text)."""

    task_id: str
    name: str
    type: str
    value: str
    by: str


@dataclass(frozen=True, slots=True)
class VariableRead(Event):
    """Somebody looked at a variable."""

    task_id: str
    name: str
    by: str


@dataclass(frozen=True, slots=True)
class FileRead(Event):
    """A task read a file; ``sha256`` of what it saw."""

    task_id: str
    path: str
    sha256: str
    by: str


@dataclass(frozen=True, slots=True)
class NoteWritten(Event):
    """A note on a task's scratchpad."""

    task_id: str
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class SessionShared(Event):
    """A link lets its bearer read the session until ``expires_at`` (seconds since 1970)."""

    share_id: str
    by: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class ShareRevoked(Event):
    """The link opens nothing any more."""

    share_id: str
    by: str


@dataclass(frozen=True, slots=True)
class FactCarried(Event):
    """Later sessions of the project are told this. ``was`` is what it took the place of, ``note`` says why."""

    kind: str
    key: str
    text: str
    by: str
    was: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class FactDropped(Event):
    """Later sessions of the project are told this no more; it had come from this session."""

    kind: str
    key: str
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class SummaryPosted(Event):
    """The session's summary is at ``where``."""

    channel: str
    where: str


@dataclass(frozen=True, slots=True)
class SummaryRefused(Event):
    """The summary could not be posted; ``channel`` is empty where the channels are wrongly configured."""

    channel: str
    reason: str
