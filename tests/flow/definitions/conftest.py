"""A repository with workflows of its own, and the real command run on it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Desk:
    """A repository, a home, and the command."""

    repo: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "BULLPEN_HOME": str(self.home), "PYTHONPATH": os.pathsep.join(sys.path)}

    def write(self, name: str, text: str) -> None:
        """A workflow, committed."""
        file = self.repo / ".bullpen" / "workflows" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        for arguments in (("add", "-A"), (*who, "commit", "-qm", name)):
            subprocess.run(("git", *arguments), cwd=self.repo, check=True)

    def argv(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "bullpen.cli.main", *map(str, arguments)]

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=self.repo,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, *arguments: object, status: int = 0) -> Any:
        """What a command says as JSON."""
        process = self.start(*arguments, "--json")
        out, err = process.communicate(timeout=240)
        assert process.returncode == status, out + err
        return json.loads(out)

    def file(self, run: str, name: str) -> str:
        """A file steps left in the checkout; empty if it is not there."""
        folders = [one for one in (self.home / "sessions" / run / "worktrees").glob("*/wt-*") if one.is_dir()]
        found = [one / name for one in folders if (one / name).is_file()]
        return found[0].read_text() if found else ""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    repo = tmp_path / "repo"
    repo.mkdir()
    subprocess.run(("git", "init", "-q", "-b", "main"), cwd=repo, check=True)
    (repo / "README.md").write_text("# Desk\n")
    return Desk(repo, tmp_path / "home")


@pytest.fixture
def steps_of(desk: Desk) -> Callable[[str], dict[str, str]]:
    """How each step of a run stands."""

    def look(run: str) -> dict[str, str]:
        shown = desk.ask("workflows", "show", run)
        return {name: one["state"] if one else "open" for name, one in shown["steps"].items()}

    return look
