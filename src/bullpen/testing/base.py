"""What a test runner is given and what it must offer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bullpen.domain.test_report import TestReport
from bullpen.sandbox.base import Limits, Mount, Sandbox


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter or toolchain the project's tests run with, prepared beforehand.

    ``mounts`` are read-only; ``python`` is the interpreter's path inside the sandbox; ``import_paths`` go on PYTHONPATH.
    ``origin`` says to people where it came from. ``files`` (path below the workspace, text) are what a build would have
    generated: runners write those that are missing for the time of the run.
    """

    origin: str
    python: str = ""
    mounts: tuple[Mount, ...] = ()
    import_paths: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TestRequest:
    """Run these tests of this tree. ``select`` empty means all; ``workspace`` may be written (it is a throw-away).

    ``select`` holds ids as the runner reports them, or files. ``contexts`` also asks which test ran which line
    (only with ``coverage``; slower).
    """

    __test__ = False
    workspace: Path
    environment: Environment
    select: Sequence[str] = ()
    coverage: bool = False
    contexts: bool = False
    limits: Limits = field(default_factory=Limits)


class Runner(Protocol):
    """Knows one test framework."""

    name: str

    def detect(self, root: Path) -> bool:
        """Whether the tree has tests for this framework, by looking at files only."""
        ...

    async def run(
        self, request: TestRequest, sandbox: Sandbox, on_output: Callable[[bytes], None] | None = None
    ) -> TestReport:
        """Run in the sandbox; a suite that hangs, dies or floods is a report, not an exception."""
        ...
