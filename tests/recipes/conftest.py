"""A real bubblewrap sandbox for recipes that run something, as small as tests need it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bullpen.sandbox.base import Command, End, Outcome

SYSTEM = ("--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")
LINKS = ("bin", "lib", "lib64")


class Bubblewrap:
    """Runs a command without network, with the system read-only."""

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *self._argv(command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin"},
        )
        out, err = await asyncio.wait_for(process.communicate(command.stdin), command.limits.wall_seconds)
        spent = time.monotonic() - started
        return Outcome(command.argv, End.EXITED, process.returncode, out, err, spent, 0.0, 0)

    def _argv(self, command: Command) -> list[str]:
        links = [part for name in LINKS for part in ("--symlink", f"usr/{name}", f"/{name}")]
        work = ["--ro-bind", str(command.workspace), "/work"] if command.workspace else ["--dir", "/work"]
        mounts = [part for one in command.mounts for part in ("--ro-bind", str(one.source), one.target)]
        isolation = ["--unshare-all", "--die-with-parent", "--chdir", command.cwd]
        return ["bwrap", *SYSTEM, *links, *work, *mounts, *isolation, "--", *command.argv]


@pytest.fixture
def sandbox() -> Bubblewrap:
    """A sandbox that works on this machine."""
    if not Path("/usr/bin/bwrap").exists():
        pytest.skip("bubblewrap is not installed: apt-get install bubblewrap")
    return Bubblewrap()
