"""What happened to pipelines: a project's own checks, run locally."""

from dataclasses import dataclass

from bullpen.domain.events import Event


@dataclass(frozen=True, slots=True)
class PipelineStarted(Event):
    """These jobs of a commit are about to be run; ``jobs`` are their names with their place in the matrix."""

    commit: str
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PipelineJobStarted(Event):
    """A job began in a checkout of its own."""

    job: str


@dataclass(frozen=True, slots=True)
class PipelineJobEnded(Event):
    """How a job ended: passed, failed, partial, skipped or not run."""

    job: str
    state: str
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PipelineEnded(Event):
    """All jobs have ended; the counts are of jobs. ``report`` is the folder with the reports."""

    passed: int
    failed: int
    not_run: int
    seconds: float
    report: str
