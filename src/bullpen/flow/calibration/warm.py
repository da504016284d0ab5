"""Runs of pytest without its start: one process in the sandbox imports it, and forks for each run.

For labelled sets only, whose author is the one who asks: runs are kept from the machine as ever, but less from each
other. Whatever is not such a run goes to the sandbox as it is.
"""

import asyncio
import json
import os
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bullpen.sandbox.base import MEBIBYTE, Command, End, Limits, Mount, Outcome, Sandbox, Talk
from bullpen.testing.record_folder import INSIDE

TREES, RECORDS, SERVER = "/trees", "/records", "/opt/bullpen/warm_server.py"
WORK = "/work"
TOLD = ("records.jsonl",)
LIMITS = Limits(wall_seconds=3600.0, output_bytes=16 * MEBIBYTE)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of pytest: what a process is asked, and where what it writes is found outside."""

    command: Command
    records: Path
    told_to: Path

    def asked(self, folder: str) -> bytes:
        inside = f"{RECORDS}/{self.records.name}"
        words = [one.replace(WORK, folder) for one in self.command.argv[3:]]
        variables = {"BULLPEN_RECORD": inside, "TMPDIR": f"/tmp/{self.records.name}"}  # noqa: S108 - inside
        request = {
            "folder": folder,
            "arguments": words,
            "variables": variables,
            "scratch": variables["TMPDIR"],
            "output": f"{inside}/output",
            "seconds": self.command.limits.wall_seconds,
        }
        return json.dumps(request).encode() + b"\n"


@dataclass(slots=True)
class _Server:
    """One process in the sandbox, and the conversation with it."""

    says: asyncio.Queue[bytes | None]
    heard: asyncio.Queue[bytes]
    task: asyncio.Task[Outcome]

    async def ask(self, line: bytes) -> int | None:
        """The status of one run; None if it took too long.

        Raises:
            ConnectionError: the process has ended.
        """
        self.says.put_nowait(line)
        answer = asyncio.create_task(self._line())
        await asyncio.wait({answer, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            raise ConnectionError("the process that runs tests has ended")
        return json.loads(answer.result())["status"]

    async def _line(self) -> bytes:
        said = b""
        while not said.endswith(b"\n"):
            said += await self.heard.get()
        return said


@dataclass(slots=True)
class WarmPytest:
    """See ``Sandbox``. ``trees`` is the folder all workspaces are in, ``records`` one of its own."""

    inner: Sandbox
    trees: Path
    records: Path
    idle: list[_Server] = field(default_factory=list["_Server"])
    all: list[_Server] = field(default_factory=list["_Server"])

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """See ``Sandbox.run``."""
        told_to = next((one.source for one in command.mounts if one.target == INSIDE), None)
        if told_to is None or not self._fits(command):
            return await self.inner.run(command, on_output)
        records = self.records / secrets.token_hex(8)
        await asyncio.to_thread(_hand_in, told_to, records)
        try:
            return await self._asked(_Run(command, records, told_to))
        except ConnectionError:
            return await self.inner.run(command, on_output)
        finally:
            await asyncio.to_thread(shutil.rmtree, records, ignore_errors=True)

    def _fits(self, command: Command) -> bool:
        """Whether it is a run of pytest in one of the trees that asks for no lines: those are told by full paths."""
        tree = command.workspace
        settled = (
            command.argv[1:3] == ("-m", "pytest") and tree is not None and tree.is_relative_to(self.trees)
        )
        lines = any(one.target.endswith("/coverage") for one in command.mounts)
        return settled and not lines and command.talk is None and not command.hosts

    async def _asked(self, run: _Run) -> Outcome:
        server = self.idle.pop() if self.idle else self._started(run.command)
        began = time.monotonic()
        tree = run.command.workspace or self.trees
        try:
            status = await server.ask(run.asked(f"{TREES}/{tree.relative_to(self.trees)}"))
        except asyncio.CancelledError:
            server.task.cancel()  # nobody waits for its run any more
            raise
        self.idle.append(server)
        output = await asyncio.to_thread(_hand_out, run, run.command.limits.output_bytes)
        end = End.TIMEOUT if status is None else End.SIGNALLED if status < 0 else End.EXITED
        known = status if status is not None and status >= 0 else None
        return Outcome(run.command.argv, end, known, output, b"", time.monotonic() - began, 0.0, 0)

    def _started(self, like: Command) -> _Server:
        """A process that is as the command's own would be, but for where it sees trees and records."""
        says: asyncio.Queue[bytes | None] = asyncio.Queue()
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        mounts = (
            *(one for one in like.mounts if one.target != INSIDE),
            Mount(self.trees, TREES, writable=True),
            Mount(self.records, RECORDS, writable=True),
            Mount(Path(__file__).with_name("_warm_server.py"), SERVER),
        )
        command = replace(
            like,
            argv=(like.argv[0], SERVER),
            workspace=None,
            workspace_writable=False,
            cwd="/",
            env=_without_record(like.env),
            mounts=mounts,
            limits=LIMITS,
            talk=Talk(_said(says), heard.put_nowait),
        )
        server = _Server(says, heard, asyncio.create_task(self.inner.run(command)))
        self.all.append(server)
        return server

    async def close(self) -> None:
        """Let every process end."""
        for server in self.all:
            server.says.put_nowait(None)
        await asyncio.gather(*(server.task for server in self.all), return_exceptions=True)


@asynccontextmanager
async def warm_pytest(inner: Sandbox, trees: Path, records: Path) -> AsyncGenerator[WarmPytest]:
    """A sandbox that keeps pytest warm until the block ends."""
    await asyncio.to_thread(records.mkdir, parents=True, exist_ok=True)
    warm = WarmPytest(inner, trees, records)
    try:
        yield warm
    finally:
        await warm.close()


async def _said(queue: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (line := await queue.get()) is not None:
        yield line


def _without_record(variables: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in variables.items() if name != "BULLPEN_RECORD"}


def _hand_in(source: Path, records: Path) -> None:
    records.mkdir()
    records.chmod(0o777)  # the sandbox's user is another
    shutil.copy(source / "settings.json", records / "settings.json")


def _hand_out(run: _Run, most: int) -> bytes:
    """Give back what was written, without following links; what the run said."""
    for name in TOLD:
        (run.told_to / name).write_bytes(_read(run.records / name, 256 * MEBIBYTE))
    return _read(run.records / "output", most)


def _read(path: Path, most: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""  # it did not get that far, or it is none
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most)
