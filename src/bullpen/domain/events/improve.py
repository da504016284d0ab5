"""What an improve session found, changed and proved."""

from dataclasses import dataclass

from bullpen.domain.events import Event
from bullpen.domain.ids import TaskId


@dataclass(frozen=True, slots=True)
class RepositoryOpened(Event):
    """The repository was copied; work starts from ``base``."""

    source: str
    base: str
    branch: str
    files: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnvironmentPrepared(Event):
    """What the project's tests run with."""

    origin: str
    notes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class TestsRun(Event):
    """A run of the project's tests; ``when`` is before, change, batch or after.

    ``note`` says for people why it did not come to its end, and what to do.
    """

    __test__ = False
    when: str
    passed: int
    failed: int
    seconds: float
    end: str
    coverage: float | None = None
    subject: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class RoastFinished(Event):
    """What the analysers saw; ``by_severity`` counts from info to critical."""

    when: str
    findings: int
    by_severity: tuple[int, int, int, int, int]
    seconds: float
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PersonaSpoke(Event):
    """One persona's summary of what it cares for."""

    persona: str
    findings: int
    worst: str
    words: str


@dataclass(frozen=True, slots=True)
class WaveStarted(Event):
    """These items are worked side by side from one commit."""

    wave: int
    tip: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangeProved(Event):
    """An item's change passed its gates on its own."""

    item_id: str
    tree: str
    judge: str


@dataclass(frozen=True, slots=True)
class ChangeRefused(Event):
    """An item's change did not pass; ``gates`` are those that failed."""

    item_id: str
    attempt: int
    gates: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ChangeLanded(Event):
    """A change is a commit on the session's branch, and the batch it came in was green.

    ``title`` says what landed; where that is only a part of the item, it speaks of that part.
    """

    item_id: str
    commit: str
    seconds_since_start: float
    title: str = ""


@dataclass(frozen=True, slots=True)
class ChangeSentBack(Event):
    """The merge queue gave an item back: a conflict, or it turned its batch red."""

    item_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class BatchBisected(Event):
    """A red batch was searched for its culprit."""

    items: tuple[str, ...]
    culprit: str
    runs: int


@dataclass(frozen=True, slots=True)
class TimeSpent(Event):
    """Where this process's time went: ``sandboxed`` seconds had at least one test or analyser running."""

    whole: float
    sandboxed: float
    commands: int


@dataclass(frozen=True, slots=True)
class BranchPublished(Event):
    """The branch is in the person's repository (or, for a URL, in Bullpen's copy)."""

    branch: str
    commit: str
    where: str


@dataclass(frozen=True, slots=True)
class ReportWritten(Event):
    """A report file."""

    format: str
    path: str


@dataclass(frozen=True, slots=True)
class WorkReclaimed(Event):
    """What an executor had begun when it died was given to others; ``attempts`` counts how often it was begun."""

    run: str
    executor: str
    attempts: int


@dataclass(frozen=True, slots=True)
class BudgetReserved(Event):
    """Of the session's budget an attempt at a task may spend ``micro_usd`` in all; others may not spend that.

    It holds until the attempt ends, or at the latest at ``until`` (seconds since 1970).
    """

    task: TaskId
    number: int
    micro_usd: int
    until: float


@dataclass(frozen=True, slots=True)
class BudgetReleased(Event):
    """An attempt has ended; what it did not spend of what was held for it is free again."""

    task: TaskId
    number: int
