"""Run a project's tests with its own pytest; unittest's test cases run under it as well."""

import asyncio
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bullpen.domain.test_report import Coverage, FileCoverage, SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.sandbox.base import Command, End, Mount, Outcome, Sandbox
from bullpen.testing.base import TestRequest
from bullpen.testing.project_metadata import present
from bullpen.testing.record_folder import (
    INSIDE,
    LineReport,
    Records,
    Settings,
    mount_of,
    read_lines,
    read_records,
    record_folder,
)

PLUGIN_FOLDER = "/opt/bullpen/inside"
COVERAGE_FOLDER = "/opt/bullpen/coverage"
WORKSPACE = "/work"
TAIL_CHARACTERS = 8000
MAX_SELECTED_FILES = 500  # more than these are selected inside: an argument list has a largest size
PRUNED = frozenset({"node_modules", "venv", "env", "build", "dist", "site-packages", "__pycache__"})

OPTIONS: Final = (
    *(
        "-p",
        "bullpen_pytest_record",
        "-p",
        "no:randomly",
        "-p",
        "no:random_order",
        "-p",
        "no:pytest_cov",
        "-n0",
    ),
    *(f"--rootdir={WORKSPACE}", "-o", "cache_dir=/tmp/.pytest_cache", "--continue-on-collection-errors"),
    *("--maxfail=0", "--capture=fd", "--color=no", "--tb=short", "-q", "-rN"),
)
WITHOUT_PROJECT_OPTIONS: Final = (
    *("-o", "addopts=", "-o", "required_plugins=", "-o", "filterwarnings="),
    *("-o", "strict_config=false", "-o", "strict=false", "-o", "minversion="),
)

ENDS: Final = {0: SuiteEnd.FINISHED, 1: SuiteEnd.FINISHED, 5: SuiteEnd.NO_TESTS}  # by pytest's exit status


@dataclass(frozen=True, slots=True)
class PytestRunner:
    """Results by pytest's node ids. A suite that hangs, dies or floods is a report that names the running test."""

    name: str = "pytest"

    def detect(self, root: Path) -> bool:
        """Whether pytest is configured at the top or there is a file called like a test."""
        return _is_configured(root) or any(_test_files(root))

    async def run(
        self, request: TestRequest, sandbox: Sandbox, on_output: Callable[[bytes], None] | None = None
    ) -> TestReport:
        """One run; when pytest does not start with the project's options, a second one without them."""
        report = await _run_once(request, sandbox, on_output, ())
        if (
            report.end is not SuiteEnd.NOT_STARTED
            or report.results
            or "ImportError while loading conftest" in report.output
        ):
            return report
        again = await _run_once(request, sandbox, on_output, WITHOUT_PROJECT_OPTIONS)
        note = "pytest refused the project's own options; they were left out."
        return replace(again, notes=(*again.notes, note)) if again.results else report


async def _run_once(
    request: TestRequest, sandbox: Sandbox, on_output: Callable[[bytes], None] | None, extra: tuple[str, ...]
) -> TestReport:
    settings = Settings(WORKSPACE, tuple(request.select), request.coverage, request.contexts, COVERAGE_FOLDER)
    with record_folder(settings) as folder, present(request.workspace, request.environment.files):
        command = _command(request, folder, extra)
        outcome = await sandbox.run(command, on_output)
        return await asyncio.to_thread(_report, request, command, outcome, folder)


def _command(request: TestRequest, folder: Path, extra: tuple[str, ...]) -> Command:
    python = request.environment.python or "python3"
    return Command(
        argv=(python, "-m", "pytest", *OPTIONS, *extra, *_files_of(request)),
        workspace=request.workspace,
        workspace_writable=True,
        env=_variables(request),
        mounts=(*request.environment.mounts, mount_of(folder), *_own_mounts(request.coverage)),
        limits=request.limits,
    )


def _variables(request: TestRequest) -> dict[str, str]:
    bin_folder = os.path.dirname(request.environment.python)  # noqa: PTH120 - a path inside the sandbox
    return {
        "PATH": ":".join(filter(None, (bin_folder, "/usr/local/bin:/usr/bin:/bin"))),
        "HOME": "/tmp",  # noqa: S108 - the sandbox's own
        "TMPDIR": "/tmp",  # noqa: S108
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": ":".join((*request.environment.import_paths, PLUGIN_FOLDER)),
        "BULLPEN_RECORD": INSIDE,
        **dict(request.environment.variables),
    }


def _own_mounts(coverage: bool) -> Iterator[Mount]:
    yield Mount(Path(__file__).parent.parent / "inside", PLUGIN_FOLDER)
    package = find_spec("coverage") if coverage else None
    if package and package.origin:
        yield Mount(Path(package.origin).parent, f"{COVERAGE_FOLDER}/coverage")


def _files_of(request: TestRequest) -> tuple[str, ...]:
    """The files of the tests asked for, as arguments; which of their tests is the plugin's part."""
    files = dict.fromkeys(test.split("::", 1)[0] for test in request.select)
    there = [f"{WORKSPACE}/{name}" for name in files if (request.workspace / name).exists()]
    return tuple(there) if len(there) <= MAX_SELECTED_FILES else ()


# The report


def _report(request: TestRequest, command: Command, outcome: Outcome, folder: Path) -> TestReport:
    records = read_records(folder)
    end = _end(records, outcome)
    lines = read_lines(folder) if request.coverage else None
    return TestReport(
        runner="pytest",
        command=command.argv,
        end=end,
        results=(*records.results, *_unfinished(records, outcome, end)),
        seconds=outcome.wall_seconds,
        exit_status=outcome.exit_status,
        coverage=_coverage(lines) if lines else None,
        output=_tail(outcome),
        notes=tuple(_notes(request, records, outcome, end, lines)),
    )


def _end(records: Records, outcome: Outcome) -> SuiteEnd:
    if records.status is not None:
        otherwise = SuiteEnd.KILLED if records.results else SuiteEnd.NOT_STARTED
        return ENDS.get(records.status, otherwise)
    if outcome.end is End.TIMEOUT:
        return SuiteEnd.TIMEOUT
    began = records.results or records.running or records.collecting
    return SuiteEnd.KILLED if began or outcome.end is not End.EXITED else SuiteEnd.NOT_STARTED


def _unfinished(records: Records, outcome: Outcome, end: SuiteEnd) -> Iterator[TestResult]:
    """The tests that were running when the process ended, and the file it was importing."""
    if end not in (SuiteEnd.TIMEOUT, SuiteEnd.KILLED):
        return
    for test in records.running:
        yield TestResult(test, TestOutcome.ERROR, 0.0, f"The run ended during this test: {_how(outcome)}.")
    if not records.running and not records.results and records.collecting:
        message = f"The run ended while this file was collected: {_how(outcome)}."
        yield TestResult(records.collecting, TestOutcome.ERROR, 0.0, message)


def _how(outcome: Outcome) -> str:
    match outcome.end:
        case End.TIMEOUT:
            return f"it took longer than it may ({outcome.wall_seconds:.0f} s)"
        case End.MEMORY:
            return "it took more memory than it may"
        case End.OUTPUT:
            return "it wrote more output than it may"
        case End.DISK:
            return "its files took more of the disk than they may"
        case End.EXITED:
            return f"the process exited by itself with status {outcome.exit_status}"
        case End.SIGNALLED:
            return "the process was ended by a signal"
        case End.CANCELLED:
            return "it was cancelled"


def _notes(
    request: TestRequest, records: Records, outcome: Outcome, end: SuiteEnd, lines: LineReport | None
) -> Iterator[str]:
    yield from request.environment.notes
    yield from records.notes
    if end in (SuiteEnd.TIMEOUT, SuiteEnd.KILLED):
        during = ", ".join(records.running) or records.collecting
        yield f"The run did not finish: {_how(outcome)}{', during ' + during if during else ''}."
    if end is SuiteEnd.NOT_STARTED and b"No module named pytest" in outcome.stderr:
        yield "pytest is not installed in the environment the tests run with."
    if request.coverage and lines is None and end is not SuiteEnd.NOT_STARTED:
        yield "No coverage: the run ended before it could be written down."
    if needs_network := _count_network_failures(records.results):
        yield f"{needs_network} tests failed for want of a network; there is none in the sandbox."


NETWORK_SIGNS = (
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "nodename nor servname",
)


def _count_network_failures(results: Iterable[TestResult]) -> int:
    failed = (result for result in results if result.outcome in (TestOutcome.FAILED, TestOutcome.ERROR))
    return sum(any(sign in result.message for sign in NETWORK_SIGNS) for result in failed)


def _tail(outcome: Outcome) -> str:
    text = (outcome.stdout + outcome.stderr)[-4 * TAIL_CHARACTERS :].decode("utf-8", "replace")
    return text[-TAIL_CHARACTERS:]


def _coverage(lines: LineReport) -> Coverage:
    return Coverage(
        files={
            path: FileCoverage(frozenset(entry.executed), frozenset(entry.missing))
            for path, entry in lines.files.items()
        },
        by_test={
            path: {test: frozenset(numbers) for test, numbers in entry.contexts.items()}
            for path, entry in lines.files.items()
        },
    )


# Detection


def _is_configured(root: Path) -> bool:
    return (root / "pytest.ini").is_file() or any(
        section in _sections(root / name)
        for name, section in (
            ("setup.cfg", "tool:pytest"),
            ("tox.ini", "pytest"),
            ("pyproject.toml", "pytest"),
        )
    )


def _sections(path: Path) -> frozenset[str]:
    """Section names of an INI file, or names below ``[tool]`` of a TOML file; none when it cannot be read."""
    try:
        if path.suffix == ".toml":
            return frozenset(tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}))
        parser = ConfigParser(interpolation=None, strict=False)
        parser.read_string(path.read_text(encoding="utf-8"))
        return frozenset(parser.sections())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ConfigError):
        return frozenset()


def _test_files(root: Path) -> Iterator[str]:
    for _, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in PRUNED and not name.startswith(".")]
        yield from (name for name in files if fnmatch(name, "test_*.py") or fnmatch(name, "*_test.py"))


RUNNER = PytestRunner()
