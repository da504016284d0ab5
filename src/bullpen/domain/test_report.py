"""What a project's own tests said, and which lines they ran."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class TestOutcome(StrEnum):
    """One test's result."""

    __test__ = False
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    EXPECTED_FAILURE = "xfailed"


class SuiteEnd(StrEnum):
    """Why a run of a suite ended."""

    FINISHED = "finished"
    TIMEOUT = "timeout"
    KILLED = "killed"
    NO_TESTS = "no-tests"
    NOT_STARTED = "not-started"  # the runner itself failed: a missing dependency, a broken configuration


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test, named as its runner names it (``tests/test_a.py::test_b[1]``)."""

    __test__ = False
    id: str
    outcome: TestOutcome
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """Lines that ran and lines that could have run but did not."""

    executed: frozenset[int]
    missing: frozenset[int]

    @property
    def share(self) -> float:
        """Between 0 and 1; a file with nothing to run counts as covered."""
        total = len(self.executed) + len(self.missing)
        return len(self.executed) / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """Line coverage by path relative to the repository.

    ``by_test``, when asked for: path, then test id, then the lines that test ran. Id ``""`` holds lines that count for
    every test: those run at import, and those of fixtures that several tests share.
    """

    files: Mapping[str, FileCoverage]
    by_test: Mapping[str, Mapping[str, frozenset[int]]] = field(
        default_factory=dict[str, Mapping[str, frozenset[int]]]
    )

    @property
    def share(self) -> float:
        """Of all lines that could run, the share that did."""
        executed = sum(len(file.executed) for file in self.files.values())
        total = executed + sum(len(file.missing) for file in self.files.values())
        return executed / total if total else 1.0


@dataclass(frozen=True, slots=True)
class TestReport:
    """One run of a project's tests."""

    __test__ = False
    runner: str
    command: tuple[str, ...]
    end: SuiteEnd
    results: tuple[TestResult, ...] = ()
    seconds: float = 0.0
    exit_status: int | None = None
    coverage: Coverage | None = None
    output: str = ""  # the last lines, for people
    selected: tuple[str, ...] = ()  # what was asked for; empty means all
    notes: tuple[str, ...] = field(default=())  # such as "12 tests need the network and were left out"

    def passed(self) -> frozenset[str]:
        """Ids of the tests that passed."""
        return frozenset(r.id for r in self.results if r.outcome is TestOutcome.PASSED)

    def failed(self) -> frozenset[str]:
        """Ids of the tests that failed or could not run."""
        return frozenset(r.id for r in self.results if r.outcome in (TestOutcome.FAILED, TestOutcome.ERROR))
