"""Small real repositories, and the real command run on them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FAULTY = {
    "pricing.py": (
        "import os\nimport sys\n\n\ndef total(prices):\n    result = []\n    for price in prices:\n"
        "        result.append(price * 2)\n    return result\n\n\ndef same(a):\n    return a == None\n"
    ),
    "tests/test_pricing.py": (
        "from pricing import same, total\n\n\ndef test_total():\n    assert total([1, 2]) == [2, 4]\n\n\n"
        "def test_same():\n    assert same(None)\n"
    ),
    "conftest.py": "",
}
CLEAN = {"README.md": "# Nothing\n\nThere is nothing to see here.\n"}


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON value on stdout."""
        return json.loads(self.out)


Run = Callable[..., Result]


def command_line(*arguments: object) -> list[str]:
    """The real command, by this interpreter."""
    return [sys.executable, "-m", "bullpen.cli.main", *map(str, arguments)]


def environment(home: Path) -> dict[str, str]:
    """That of the test, with a home of its own."""
    return {**os.environ, "BULLPEN_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}


def make_repository(folder: Path, files: dict[str, str]) -> Path:
    """A git repository with one commit."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


def run_in(home: Path, *arguments: object, **more: str) -> Result:
    """Run the command to its end, with pipes."""
    done = subprocess.run(
        command_line(*arguments),
        env={**environment(home), **more},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def bullpen(home: Path) -> Run:
    return lambda *arguments, **more: run_in(home, *arguments, **more)


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("faulty repo"), FAULTY)


@pytest.fixture(scope="session")
def improved(bullpen: Run, faulty: Path) -> Result:
    """One whole run, on a pipe, with JSON."""
    return bullpen("improve", faulty, "--json")


@pytest.fixture(scope="session")
def bullpen_in() -> Run:
    """The command with a home that is given."""
    return run_in


@pytest.fixture(scope="session")
def environment_of() -> Callable[[Path], dict[str, str]]:
    return environment


@pytest.fixture(scope="session")
def argv() -> Callable[..., list[str]]:
    return command_line


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("clean"), CLEAN)
