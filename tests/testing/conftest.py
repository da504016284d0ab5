"""A small real sandbox for these tests, and projects written into temporary folders."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bullpen.sandbox.base import Command, End, Network, Outcome

SYSTEM = (
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *("--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev"),
)


@dataclass(frozen=True)
class Bubblewrap:
    """The launcher of the research notes without cgroups: namespaces, a wall clock, an output cap."""

    def argv(self, command: Command) -> list[str]:
        limits = command.limits
        argv = ["prlimit", f"--fsize={limits.file_bytes}", "--core=0", "bwrap", "--unshare-all"]
        argv += ["--share-net"] if command.network is Network.HOST else []
        argv += ["--die-with-parent", "--new-session", "--clearenv", "--uid", "10001", "--gid", "10001"]
        argv += ["--cap-drop", "ALL", *SYSTEM, "--size", str(limits.scratch_bytes), "--tmpfs", "/tmp"]
        if command.workspace:
            argv += ["--bind" if command.workspace_writable else "--ro-bind", str(command.workspace), "/work"]
        for mount in command.mounts:
            argv += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
        for name, value in command.env.items():
            argv += ["--setenv", name, value]
        return [*argv, "--remount-ro", "/", "--chdir", command.cwd, "--", *command.argv]

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *self.argv(command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(command.stdin)
        process.stdin.close()
        end = End.EXITED
        readers = [
            asyncio.create_task(self.read(stream, command.limits.output_bytes, on_output))
            for stream in (process.stdout, process.stderr)
        ]
        waiting = asyncio.create_task(self.watch(process, readers))
        try:
            end = await asyncio.wait_for(asyncio.shield(waiting), command.limits.wall_seconds)
        except TimeoutError:
            process.kill()
            end = End.TIMEOUT
            await waiting
        stdout, stderr = [reader.result()[0] for reader in readers]
        status = process.returncode if end is End.EXITED else None
        return Outcome(command.argv, end, status, stdout, stderr, time.monotonic() - started, 0.0, 0)

    async def watch(
        self, process: asyncio.subprocess.Process, readers: list[asyncio.Task[tuple[bytes, bool]]]
    ) -> End:
        end = End.EXITED
        for reader in asyncio.as_completed(readers):
            if (await reader)[1]:
                process.kill()
                end = End.OUTPUT
        await process.wait()
        return end

    async def read(
        self, stream: asyncio.StreamReader, limit: int, on_output: Callable[[bytes], None] | None
    ) -> tuple[bytes, bool]:
        seen = bytearray()
        while chunk := await stream.read(65536):
            seen += chunk
            if on_output:
                on_output(chunk)
            if len(seen) > limit:
                return bytes(seen[:limit]), True
        return bytes(seen), False


@pytest.fixture
def sandbox() -> Bubblewrap:
    if not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    return Bubblewrap()


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """``project({"test_a.py": "..."})`` is a folder with these files, open to the sandbox's user."""

    def write(files: dict[str, str | bytes]) -> Path:
        root = tmp_path / "project"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        for folder, _, names in os.walk(root):
            Path(folder).chmod(0o777)
            for name in names:
                (Path(folder) / name).chmod(0o666)
        return root

    return write
