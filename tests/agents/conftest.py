"""A small project in a folder, a real recipe, and real tests that run in a process of their own."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bullpen.domain.change import Applicability
from bullpen.domain.ids import TaskId
from bullpen.domain.test_report import SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.recipes.base import Codemod
from bullpen.sandbox.base import Command, End, Outcome
from bullpen.testing.base import Environment, TestRequest
from bullpen.tools.base import CallKey, Skills, ToolContext
from bullpen.tools.memory import MemoryJournal, MemoryScratchpad, MemoryWorktree

RUNNER = """
import json, pathlib, sys
sys.path.insert(0, ".")
found = {}
for file in sorted(pathlib.Path(".").glob("test_*.py")):
    scope = {}
    exec(compile(file.read_bytes(), str(file), "exec"), scope)
    for name in [name for name in scope if name.startswith("test_")]:
        try:
            scope[name]()
            found[f"{file}::{name}"] = ""
        except Exception as error:
            found[f"{file}::{name}"] = repr(error) or "failed"
print(json.dumps(found))
"""


class PlainTests:
    """Runs ``test_*`` functions of ``test_*.py`` in a fresh interpreter."""

    async def run(self, request: TestRequest) -> TestReport:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-I", "-B", "-c", RUNNER],
            cwd=request.workspace,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return TestReport("plain", (), SuiteEnd.NOT_STARTED, output=done.stderr)
        results = tuple(
            TestResult(name, TestOutcome.FAILED if message else TestOutcome.PASSED, message=message)
            for name, message in json.loads(done.stdout).items()
        )
        return TestReport("plain", (), SuiteEnd.FINISHED, results)


class PlainSandbox:
    """Runs a command in the workspace; good enough for commands the tests themselves wrote."""

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        done = await asyncio.to_thread(
            subprocess.run, command.argv, cwd=command.workspace, input=command.stdin, capture_output=True
        )
        return Outcome(command.argv, End.EXITED, done.returncode, done.stdout, done.stderr, 0.0, 0.0, 0)


class Book:
    """Recipes by name."""

    def __init__(self, *recipes: Codemod) -> None:
        self._recipes = {recipe.name: recipe for recipe in recipes}

    def names(self) -> tuple[str, ...]:
        return tuple(self._recipes)

    def load(self, name: str) -> Codemod:
        return self._recipes[name]


def replacing(name: str, old: str, new: str, applicability: Applicability = Applicability.SAFE) -> Codemod:
    """A recipe that replaces a text on the lines of its sites."""

    def rewrite(text: str, sites: object) -> str:
        lines = text.splitlines(keepends=True)
        wanted = {site.line for site in sites} or set(range(1, len(lines) + 1))
        return "".join(
            line.replace(old, new) if number in wanted else line for number, line in enumerate(lines, 1)
        )

    return Codemod(name, ("demo:EQ",), applicability, name, "because", "here", rewrite)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "calc.py").write_text(
        "def none(x):\n    return x == None\n\n\ndef zero(x):\n    return x == None\n"
    )
    (root / "test_calc.py").write_text(
        "import calc\n\n\ndef test_none():\n    assert calc.none(None) is True\n"
        "\n\ndef test_kind():\n    assert isinstance(calc.zero(1), bool)\n"
    )
    return root


BREAKS = replacing("breaks", "x == None", "undefined")
FITS_NOTHING = replacing("fits-nothing", "absent", "present")
MENDS = replacing("mends", "== None", "is None")


@pytest.fixture
def context(project: Path) -> ToolContext:
    return ToolContext(
        CallKey(TaskId("task-1"), 1, 0, ""),
        "developer",
        project,
        MemoryJournal(),
        sandbox=PlainSandbox(),
        environment=Environment("here"),
        scratchpad=MemoryScratchpad(),
        worktree=MemoryWorktree(project),
        skills=Skills(recipes=Book(BREAKS, FITS_NOTHING, MENDS), tests=PlainTests()),
    )
