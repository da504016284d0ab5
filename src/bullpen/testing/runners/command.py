"""Run a command that the settings name, such as ``make test``; its exit status is the one result.

The command comes from the environment given: the variable ``BULLPEN_TEST_COMMAND``, split as a shell would, but run
without one. To use a shell, say so: ``sh -c 'make test && make lint'``.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import InvalidInput
from bullpen.domain.test_report import SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.sandbox.base import Command, End, Outcome, Sandbox
from bullpen.testing.base import Environment, TestRequest
from bullpen.testing.project_metadata import present

VARIABLE = "BULLPEN_TEST_COMMAND"
TAIL_CHARACTERS = 8000
COMMAND_NOT_FOUND = 127


@dataclass(frozen=True, slots=True)
class CommandRunner:
    """Knows no framework; never detects itself, for only people know the command."""

    name: str = "command"

    def detect(self, root: Path) -> bool:
        """Never: it is chosen by settings."""
        return False

    async def run(
        self, request: TestRequest, sandbox: Sandbox, on_output: Callable[[bytes], None] | None = None
    ) -> TestReport:
        """Run it once.

        Raises:
            InvalidInput: no command is given, or its quotes do not match.
        """
        argv = words_of(request.environment)
        command = Command(
            argv=argv,
            workspace=request.workspace,
            workspace_writable=True,
            env=_variables(request.environment),
            mounts=request.environment.mounts,
            limits=request.limits,
        )
        with present(request.workspace, request.environment.files):
            outcome = await sandbox.run(command, on_output)
        return _report(shlex.join(argv), outcome, request.environment.notes)


def words_of(environment: Environment) -> tuple[str, ...]:
    """The words of the command.

    Raises:
        InvalidInput: none is given, or its quotes do not match.
    """
    text = dict(environment.variables).get(VARIABLE, "")
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise InvalidInput(f"The test command {text!r} cannot be read: {error}.") from error
    if not words:
        raise InvalidInput("No test command is set.", remedy="Name one, for example: make test")
    return words


def _variables(environment: Environment) -> dict[str, str]:
    folder = environment.python.rpartition("/")[0]
    given = {name: value for name, value in environment.variables if name != VARIABLE}
    return {
        "PATH": ":".join(filter(None, (folder, "/usr/local/bin:/usr/bin:/bin"))),
        "HOME": "/tmp",  # noqa: S108 - the sandbox's own
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": ":".join(environment.import_paths),
        **given,
    }


def _report(text: str, outcome: Outcome, notes: tuple[str, ...]) -> TestReport:
    tail = (outcome.stdout + outcome.stderr)[-4 * TAIL_CHARACTERS :].decode("utf-8", "replace")[
        -TAIL_CHARACTERS:
    ]
    result = TestResult(text, _result(outcome), outcome.wall_seconds, "" if outcome.ok else tail[-2000:])
    return TestReport(
        runner="command",
        command=outcome.argv,
        end=_end(outcome),
        results=(result,),
        seconds=outcome.wall_seconds,
        exit_status=outcome.exit_status,
        output=tail,
        notes=notes,
    )


def _result(outcome: Outcome) -> TestOutcome:
    if outcome.ok:
        return TestOutcome.PASSED
    return TestOutcome.FAILED if _end(outcome) is SuiteEnd.FINISHED else TestOutcome.ERROR


def _end(outcome: Outcome) -> SuiteEnd:
    if outcome.exit_status == COMMAND_NOT_FOUND:
        return SuiteEnd.NOT_STARTED
    return {End.EXITED: SuiteEnd.FINISHED, End.TIMEOUT: SuiteEnd.TIMEOUT}.get(outcome.end, SuiteEnd.KILLED)


RUNNER = CommandRunner()
