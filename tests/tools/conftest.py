"""A workspace in a real git repository, a plain sandbox, and a context that may do everything."""

import asyncio
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bullpen.domain.errors import Conflict
from bullpen.domain.ids import TaskId
from bullpen.sandbox.base import Command, End, Outcome
from bullpen.testing.base import Environment
from bullpen.tools.base import BlamedLine, CallKey, Commit, Skills, ToolContext
from bullpen.tools.memory import MemoryJournal, MemoryScratchpad, MemoryWorktree


class PlainSandbox:
    """Runs a command in the workspace; a mounted program is run where it really is."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        self.commands.append(command)
        real = {mount.target: str(mount.source) for mount in command.mounts}
        argv = [real.get(part, part) for part in command.argv]
        done = await asyncio.to_thread(
            subprocess.run, argv, cwd=command.workspace, input=command.stdin, capture_output=True
        )
        return Outcome(command.argv, End.EXITED, done.returncode, done.stdout, done.stderr, 0.0, 0.0, 0)


class CommandLineGit:
    """Git by its command line in one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def run(self, *argv: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run,
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *argv],
            cwd=self._root,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Conflict(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    async def branch(self) -> str:
        return (await self.run("branch", "--show-current")).strip()

    async def status(self) -> Sequence[tuple[str, str]]:
        entries = (await self.run("status", "--porcelain", "-z")).split("\0")
        return [(entry[:2], entry[3:]) for entry in entries if entry]

    async def diff(self, base: str = "", paths: Sequence[str] = ()) -> str:
        await self.run("add", "--intent-to-add", ".")
        return await self.run("diff", base or "HEAD", "--", *paths)

    async def log(self, limit: int, path: str = "") -> Sequence[Commit]:
        text = await self.run(
            "log", f"-{limit}", "--format=%H%x1f%an%x1f%aI%x1f%s", "--", *([path] if path else [])
        )
        return [Commit(*line.split("\x1f")) for line in text.splitlines()]

    async def blame(self, path: str, first: int, last: int) -> Sequence[BlamedLine]:
        text = await self.run("blame", "-s", "-L", f"{first},{last}", "--", path)
        return [BlamedLine(first + n, line.split()[0], "t", line) for n, line in enumerate(text.splitlines())]

    async def create_branch(self, name: str) -> None:
        await self.run("switch", "-c", name)

    async def commit(self, message: str, paths: Sequence[str] = ()) -> str:
        await self.run("add", "--", *(paths or ["."]))
        await self.run("commit", "-m", message)
        return (await self.run("rev-parse", "HEAD")).strip()

    async def merge(self, branch: str) -> str:
        await self.run("merge", "--no-edit", branch)
        return (await self.run("rev-parse", "HEAD")).strip()

    async def rebase(self, onto: str) -> str:
        await self.run("rebase", onto)
        return (await self.run("rev-parse", "HEAD")).strip()

    async def tag(self, name: str, message: str) -> None:
        await self.run("tag", "-a", name, "-m", message)

    async def push(self, branch: str) -> None:
        await self.run("push", "origin", branch)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    (root / "src").mkdir(parents=True)
    (root / "src" / "app.py").write_text("import os\n\n\ndef run(x):\n    return x == None\n")
    (root / "notes.txt").write_bytes(b"caf\xe9\r\nsecond\r\nlast")
    return root


@pytest.fixture
def context(workspace: Path) -> ToolContext:
    return ToolContext(
        CallKey(TaskId("task-1"), 1, 3, "c1"),
        "developer",
        workspace,
        MemoryJournal(),
        sandbox=PlainSandbox(),
        environment=Environment("here", python="python3"),
        scratchpad=MemoryScratchpad(),
        worktree=MemoryWorktree(workspace),
    )


@pytest.fixture
def git(workspace: Path, tmp_path: Path) -> CommandLineGit:
    for argv in (
        ("init", "-q", "-b", "main"),
        ("add", "."),
        ("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "First"),
        ("init", "-q", "--bare", str(tmp_path / "origin.git")),
        ("remote", "add", "origin", str(tmp_path / "origin.git")),
        ("switch", "-qc", "work"),
    ):
        subprocess.run(["git", *argv], cwd=workspace, check=True)
    return CommandLineGit(workspace)


@pytest.fixture
def git_context(context: ToolContext, git: CommandLineGit) -> ToolContext:
    from dataclasses import replace

    return replace(context, skills=Skills(git=git))
