"""A pipeline: jobs with steps, whoever wrote it down; and what came of a run of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """One step: a script (``run``) or an action (``uses`` with ``given``). ``condition`` is an expression."""

    id: str
    name: str
    run: str = ""
    uses: str = ""
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    interpreter: str = ""
    folder: str = ""
    env: Mapping[str, Any] = field(default_factory=dict[str, Any])
    condition: str = ""
    may_fail: Any = False
    seconds: float | None = None
    line: int = 1


@dataclass(frozen=True, slots=True)
class Job:
    """A job and every cell of its matrix (one empty cell where it has none).

    ``refused`` says why it cannot be run here at all. ``env`` holds that of the file, too.
    """

    id: str
    name: str
    where: str
    steps: tuple[PipelineStep, ...]
    needs: tuple[str, ...] = ()
    runs_on: Any = "ubuntu-latest"
    condition: str = ""
    env: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cells: tuple[Mapping[str, Any], ...] = ({},)
    fail_fast: bool = True
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    may_fail: Any = False
    seconds: float | None = None
    refused: str = ""
    line: int = 1


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The jobs of one file, or the commands of a project."""

    name: str
    where: str
    jobs: tuple[Job, ...]


class JobState(StrEnum):
    """How a job or a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    PARTIAL = "partial"  # all that could be run passed, and something could not be
    SKIPPED = "skipped"  # its condition was not met, or a job it needs did not pass
    NOT_RUN = "not run"  # it cannot be run here


@dataclass(frozen=True, slots=True)
class StepRun:
    """What came of a step. ``log`` is a file below the report's folder; ``tail`` the end of the output."""

    name: str
    state: JobState
    seconds: float = 0.0
    exit_status: int | None = None
    reason: str = ""
    tail: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class JobRun:
    """What came of one cell of a job."""

    job: str
    label: str
    where: str
    state: JobState
    cell: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seconds: float = 0.0
    reason: str = ""
    steps: tuple[StepRun, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])
    cached: bool = False


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """A whole run. ``artifacts`` are names of folders below the report's."""

    session: str
    source: str
    commit: str
    seconds: float
    jobs: tuple[JobRun, ...]
    artifacts: tuple[str, ...] = ()
    folder: str = ""

    def count(self, *states: JobState) -> int:
        """How many jobs ended so."""
        return sum(one.state in states for one in self.jobs)

    @property
    def ok(self) -> bool:
        """Whether something was run, and nothing that was run failed."""
        return self.count(JobState.FAILED) == 0 and self.count(JobState.PASSED, JobState.PARTIAL) > 0
