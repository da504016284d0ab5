"""Real repositories, made by the git command as a user would."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

_WHEN = "@1700000000 +0000"


@dataclass(frozen=True)
class UserRepository:
    """A user's checkout, and their own git in it."""

    path: Path

    def git(self, *args: str, check: bool = True, stdin: bytes = b"") -> str:
        """Run the user's git; its output without the last newline."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file",
            "GIT_AUTHOR_NAME": "Ann",
            "GIT_AUTHOR_EMAIL": "ann@example.org",
            "GIT_AUTHOR_DATE": _WHEN,
            "GIT_COMMITTER_NAME": "Ann",
            "GIT_COMMITTER_EMAIL": "ann@example.org",
            "GIT_COMMITTER_DATE": _WHEN,
        }
        done = subprocess.run(
            ["git", *args], cwd=self.path, env=env, input=stdin, capture_output=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(done.stderr.decode())
        return os.fsdecode(done.stdout).removesuffix("\n")

    def write(self, path: str, content: bytes | str) -> None:
        """Write a file, folders included."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str = "change", **files: str) -> str:
        """Write files (``a__py`` is ``a.py``), commit all, and return the hash."""
        for name, content in files.items():
            self.write(name.replace("__", "."), content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-verify", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def make_repository(tmp_path: Path) -> Callable[..., UserRepository]:
    """Makes empty repositories by name."""

    def make(name: str = "project", *options: str) -> UserRepository:
        path = tmp_path / name
        path.mkdir(parents=True)
        repository = UserRepository(path)
        repository.git("init", "--quiet", "--initial-branch=main", *options)
        return repository

    return make


@pytest.fixture
def user(make_repository: Callable[..., UserRepository]) -> UserRepository:
    """A checkout with two commits."""
    repository = make_repository()
    repository.commit("first", a__py="x = 1\ny = 2\n", README__md="# Project\n")
    repository.commit("second", a__py="x = 1\ny = 3\n")
    return repository
