"""A pytest plugin that writes down each test as it starts and as it ends, so that nothing is lost with a killed run.

PYTEST_DONT_REWRITE

Runs with the project's interpreter (3.8 and later) and its pytest (6 and later). ``BULLPEN_RECORD`` names a folder with
``settings.json``; ``records.jsonl`` and ``coverage.json`` are written there. The variable is taken out of the
environment at once, so that runs of pytest inside the project's tests record nothing.
"""

from __future__ import annotations

import ast
import copy
import json
import os
import sys
from os import O_APPEND, O_CREAT, O_WRONLY, getpid
from os import close as close_file
from os import open as open_file
from os import write as write_file
from pathlib import Path
from typing import Any

import pytest

FOLDER = os.environ.pop("BULLPEN_RECORD", "")
PROCESS = getpid()
MESSAGE_CHARACTERS = 6000
SILENT_WARNINGS = ("no-data-collected", "module-not-measured", "couldnt-parse", "no-ctracer", "no-sysmon")
OMITTED = (  # the tests themselves too: tracing their loops costs most, and tells least
    *("*/.venv/*", "*/venv/*", "*/site-packages/*", "*/node_modules/*"),
    *("*/tests/*", "*/test_*.py", "*/*_test.py", "*/conftest.py", "{root}/test/*", "{root}/testing/*"),
)


def read_settings() -> dict[str, Any]:
    """What the runner asks for: ``root``, ``select``, ``coverage``, ``contexts``, ``coverage_path``."""
    if not FOLDER:
        return {}
    return json.loads(Path(FOLDER, "settings.json").read_text(encoding="utf-8"))


SETTINGS = read_settings()


def record(kind: str, **fields: Any) -> None:
    """Append one line; opened anew each time, for tests may close any descriptor. Forked children stay silent."""
    if not FOLDER or getpid() != PROCESS:
        return
    line = json.dumps({"kind": kind, **fields}, separators=(",", ":")).encode() + b"\n"
    descriptor = open_file(FOLDER + "/records.jsonl", O_WRONLY | O_APPEND | O_CREAT, 0o666)
    write_file(descriptor, line)
    close_file(descriptor)


def clean(text: str) -> str:
    """Bytes that are not text, as Python escapes them: JSON and databases take no lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def shortened(text: str) -> str:
    """The beginning and, more of it, the end; clean."""
    text = clean(text)
    if len(text) <= MESSAGE_CHARACTERS:
        return text
    return text[: MESSAGE_CHARACTERS // 3] + "\n[...]\n" + text[-MESSAGE_CHARACTERS * 2 // 3 :]


# Lines


class Lines:
    """Which lines ran, and under ``contexts`` in which test. Context "" is import time and whatever tests share."""

    def __init__(self) -> None:
        self.coverage = import_coverage()
        self.contexts = SETTINGS["contexts"]
        self.root = SETTINGS["root"]
        self.test = ""
        os.environ["COVERAGE_CORE"] = (
            "sysmon" if sys.version_info >= (3, 12) and not self.contexts else "ctrace"
        )
        self.tracer = self.coverage.Coverage(
            data_file=None,
            config_file=False,
            source=[self.root],
            omit=[pattern.replace("{root}", self.root) for pattern in OMITTED],
        )
        self.tracer.set_option("run:disable_warnings", list(SILENT_WARNINGS))
        self.tracer.start()
        del os.environ["COVERAGE_CORE"]

    def enter(self, test: str) -> None:
        """Count for this test from now on."""
        self.test = test
        if self.contexts:
            self.tracer.switch_context(test)

    def shared(self, begins: bool) -> None:
        """Count for everybody while a fixture of more than one test is set up."""
        if self.contexts:
            self.tracer.switch_context("" if begins else self.test)

    def save(self) -> None:
        """Write ``coverage.json``: by path, lines that ran, lines that did not, and lines by context."""
        self.tracer.stop()
        measured: list[str] = sorted(self.tracer.get_data().measured_files())
        entries = {path: self.entry(path) for path in measured if Path(path).is_file()}
        files = {clean(os.path.relpath(path, self.root)): entry for path, entry in entries.items() if entry}
        text = json.dumps({"files": files}, separators=(",", ":"))
        Path(FOLDER, "coverage.json").write_text(text, encoding="utf-8")

    def entry(self, path: str) -> dict[str, Any] | None:
        """One file's lines, or None when it is no longer there or is not Python."""
        try:
            _, statements, _, missing, _ = self.tracer.analysis2(path)
        except self.coverage.CoverageException as error:
            record("note", text=clean(f"No coverage of {os.path.relpath(path, self.root)}: {error}"))
            return None
        executed = sorted(set(statements) - set(missing))
        return {"executed": executed, "missing": missing, "contexts": self.by_context(path)}

    def by_context(self, path: str) -> dict[str, list[int]]:
        """Lines by test id."""
        found: dict[str, list[int]] = {}
        if self.contexts:
            remembered = remembered_lines(path)
            for line, contexts in self.tracer.get_data().contexts_by_lineno(path).items():
                for context in {*contexts, *([""] if line in remembered else [])}:
                    found.setdefault(context, []).append(line)
        return found


def remembered_lines(path: str) -> frozenset[int]:
    """Lines of functions behind a cache: they run for the first test only, and serve the others too."""
    try:
        text = Path(path).read_bytes()
        tree = ast.parse(text) if b"cache" in text else ast.Module([], [])
    except (OSError, SyntaxError, ValueError, RecursionError):
        return frozenset()
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    cached = [node for node in functions if any("cache" in ast.dump(part) for part in node.decorator_list)]
    return frozenset(
        line for node in cached for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    )


def import_coverage() -> Any:
    """The project's coverage package, else the one mounted for us."""
    try:
        import coverage
    except ImportError:
        sys.path.append(SETTINGS["coverage_path"])
        import coverage
    return coverage


def start_lines() -> Lines | None:
    """As early as possible: before the project's own plugins and conftest are imported."""
    if not SETTINGS.get("coverage"):
        return None
    try:
        return Lines()
    except ImportError as error:
        record("note", text=f"No coverage: {error}")
        return None


LINES = start_lines()


# Options

COVERAGE_OPTIONS = (
    "--cov",
    "--cov-report",
    "--cov-config",
    "--cov-fail-under",
    "--cov-context",
    "--cov-precision",
)
COVERAGE_FLAGS = ("--cov-append", "--cov-branch", "--cov-reset", "--no-cov", "--no-cov-on-fail")


@pytest.hookimpl(trylast=True)
def pytest_addoption(parser: Any) -> None:
    """Understand the options of pytest-cov, which is switched off, and do nothing about them."""
    group = parser.getgroup("bullpen")
    for number, option in enumerate(COVERAGE_OPTIONS):
        group.addoption(option, dest=f"bullpen_cov_{number}", action="append", nargs="?", const="")
    for number, flag in enumerate(COVERAGE_FLAGS):
        group.addoption(flag, dest=f"bullpen_cov_flag_{number}", action="store_true")


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: Any, parser: Any, args: list[str]) -> Any:
    """Once all plugins are known, leave out options that none of them knows."""
    yield
    _, unknown = parser.parse_known_and_unknown_args(args, copy.copy(early_config.option))
    left_out = drop_options(args, {option for option in unknown if option.startswith("-")})
    told = [option for option in left_out if option != "-n0"]  # ours
    if told:
        record("note", text="Options of plugins that are not here were left out: " + " ".join(told))


def drop_options(args: list[str], unknown: set[str]) -> list[str]:
    """Remove unknown options in place, each with its value unless that is a path; returns what was removed."""
    kept: list[str] = []
    dropped: list[str] = []
    last = kept
    for token in args:
        value_of_dropped = last is dropped and not token.startswith("-") and not Path(token).exists()
        last = dropped if token in unknown or value_of_dropped else kept
        last.append(token)
    args[:] = kept
    return dropped


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: Any) -> None:
    """No debugger and no stopping half-way; the marker of a plugin we switch off stays known."""
    for name in ("usepdb", "trace", "stepwise", "collectonly"):
        if getattr(config.option, name, False):
            setattr(config.option, name, False)
    config.addinivalue_line("markers", "no_cover: the test is not measured")


# Tests


class Progress:
    """The test that runs: its worst outcome so far, its time, its message."""

    outcome = "passed"
    seconds = 0.0
    message = ""


PROGRESS = Progress()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Keep the tests asked for: an id, or everything below a file, class or function."""
    select = frozenset(SETTINGS.get("select", ()))
    if not select:
        return
    kept = [item for item in items if chosen(clean(item.nodeid), select)]
    dropped = [item for item in items if not chosen(clean(item.nodeid), select)]
    items[:] = kept
    if dropped:
        config.hook.pytest_deselected(items=dropped)


def chosen(test: str, select: frozenset[str]) -> bool:
    """Whether the id or one of its parents was asked for."""
    if test in select or test.split("[", 1)[0] in select:
        return True
    parts = test.split("[", 1)[0].split("::")
    return any("::".join(parts[:end]) in select for end in range(1, len(parts)))


def pytest_collectstart(collector: Any) -> None:
    """Remember the file, in case importing it never ends."""
    if isinstance(collector, pytest.File):
        record("collecting", id=clean(collector.nodeid))


def pytest_collectreport(report: Any) -> None:
    """A file that cannot be imported is an error; a skipped one is skipped."""
    if report.failed:
        record(
            "result", id=report.nodeid, outcome="error", seconds=0, message=shortened(str(report.longrepr))
        )


def pytest_runtest_logstart(nodeid: str) -> None:
    """A test begins."""
    PROGRESS.outcome, PROGRESS.seconds, PROGRESS.message = "passed", 0.0, ""
    test = clean(nodeid)
    record("start", id=test)
    if LINES:
        LINES.enter(test)


def pytest_runtest_logreport(report: Any) -> None:
    """One phase of a test is over: setup, call, a subtest, teardown; after teardown the test is."""
    if report.outcome == "rerun":
        return
    PROGRESS.seconds += getattr(report, "duration", 0.0)
    outcome = outcome_of(report)
    if outcome != "passed" and PROGRESS.outcome in ("passed", "skipped"):
        PROGRESS.outcome, PROGRESS.message = outcome, message_of(report)
    if report.when == "teardown":
        record(
            "result",
            id=clean(report.nodeid),
            outcome=PROGRESS.outcome,
            seconds=round(PROGRESS.seconds, 6),
            message=PROGRESS.message,
        )


def outcome_of(report: Any) -> str:
    """In Bullpen's words."""
    if report.failed:
        return "failed" if report.when == "call" else "error"
    if report.skipped:
        return "xfailed" if hasattr(report, "wasxfail") else "skipped"
    return "passed"


def message_of(report: Any) -> str:
    """Why it did not pass."""
    reason: Any = report.longrepr or getattr(report, "wasxfail", "")
    if report.skipped and isinstance(reason, tuple):
        return shortened(str(reason[2]))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return shortened(str(reason))


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Any:
    """What a fixture of a class, module or session runs serves tests that come later too."""
    wide = LINES is not None and fixturedef.scope != "function"
    if wide and LINES:
        LINES.shared(True)
    yield
    if wide and LINES:
        LINES.shared(False)


def pytest_runtest_logfinish() -> None:
    """Between tests nothing counts for one of them."""
    if LINES:
        LINES.enter("")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """All tests are over; said before the lines are worked out, which may take a while."""
    if getpid() != PROCESS:
        return
    record("end", status=int(exitstatus))
    if LINES:
        LINES.save()
