"""Real parts for the tests of analysers: a tree on disk with its blob hashes, and a sandbox that runs commands."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bullpen.analysis.base import SourceTree
from bullpen.sandbox.base import Command, End, Outcome, Sandbox

_SYSTEM = ("--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64")


class SimpleBubblewrap:
    """Runs a command in bubblewrap: read-only mounts, no network, no limits but time."""

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        argv = ["bwrap", "--unshare-all", "--die-with-parent", "--clearenv", *_SYSTEM]
        argv += ["--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        if command.workspace:
            argv += ["--ro-bind", str(command.workspace), "/work"]
        for mount in command.mounts:
            argv += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
        for name, value in command.env.items():
            argv += ["--setenv", name, value]
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *argv, "--chdir", command.cwd, "--", *command.argv, stdin=-1, stdout=-1, stderr=-1
        )
        stdout, stderr = await asyncio.wait_for(
            process.communicate(command.stdin), command.limits.wall_seconds
        )
        seconds = time.monotonic() - started
        status = process.returncode
        return Outcome(command.argv, End.EXITED, status, stdout, stderr, seconds, 0.0, 0)


def tree_of(root: Path, files: Mapping[str, str | bytes]) -> SourceTree:
    """Write the files and describe them as a checked-out commit is described."""
    hashes: dict[str, str] = {}
    for path, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)
        hashes[path] = hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()
    return SourceTree(root, hashes)


MakeTree = Callable[[Mapping[str, str | bytes]], SourceTree]


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """Each call makes a fresh tree."""
    made = 0

    def make(files: Mapping[str, str | bytes]) -> SourceTree:
        nonlocal made
        made += 1
        root = tmp_path / f"tree{made}"
        root.mkdir()
        return tree_of(root, files)

    return make


@pytest.fixture
def sandbox() -> Sandbox:
    """A sandbox that really runs what it is given."""
    return SimpleBubblewrap()
