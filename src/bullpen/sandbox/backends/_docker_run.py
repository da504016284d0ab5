"""One command in one container: what the Docker backends share, whichever machine the engine is on."""

import asyncio
import contextlib
import io
import os
import struct
import tarfile
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from docker.errors import APIError
from docker.types import Mount as EngineMount
from docker.types import Ulimit

from bullpen.domain.errors import InvalidInput, Missing
from bullpen.sandbox.backends._docker_streams import Stream
from bullpen.sandbox.base import Command, End, Outcome
from bullpen.sandbox.linux import rootfs
from bullpen.sandbox.proxy import proxy_variables
from bullpen.sandbox.stop import SIGNAL_STATUSES, Stop

INIT_FOLDER = "sbin"  # the engine puts its init there: not a link, or the host's /usr would cover it
ATTACH = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
_INIT_PROCESSES = 1
_OPEN_FILES = 1024
_FRAME = struct.Struct(">BxxxI")
_STDERR = 2
_DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Frame:
    """What a container is made of besides its command. ``network`` and ``user`` are the engine's own words."""

    image: str
    network: str
    user: str
    mounts: Sequence[EngineMount]
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


def create(api: Any, command: Command, frame: Frame) -> str:
    """Id of a new container that is not started yet."""
    made = api.create_container(
        frame.image,
        list(command.argv),
        working_dir=command.cwd,
        environment={**rootfs.BASE_ENVIRONMENT, **proxy_variables(command.hosts), **command.env},
        user=frame.user,
        stdin_open=True,
        hostname="sandbox" if frame.network == "none" else None,
        entrypoint=[],
        healthcheck={"test": ["NONE"]},
        labels=dict(frame.labels),
        host_config=api.create_host_config(**confinement(command, frame.network), mounts=list(frame.mounts)),
    )
    return str(made["Id"])


async def converse(
    api: Any,
    container: str,
    stream: Stream,
    command: Command,
    stop: Stop,
    on_output: Callable[[bytes], None] | None,
) -> Outcome:
    """Start the container, talk to it until it ends or is ended, and read how it went."""
    started = time.monotonic()
    await asyncio.to_thread(_start, api, container, command)
    timer = asyncio.get_running_loop().call_later(command.limits.wall_seconds, stop.ask, End.TIMEOUT)
    output = Output(command, on_output, stop)
    says = command.talk.says if command.talk else _whole(command.stdin)
    talk = [asyncio.create_task(_feed(stream, says)), asyncio.create_task(output.read(stream))]
    try:
        await asyncio.wait({talk[1], stop.asked}, return_when=asyncio.FIRST_COMPLETED)
        if stop.reason:
            await asyncio.to_thread(kill, api, container)
            await asyncio.wait({talk[1]}, timeout=_DRAIN_SECONDS)
        await asyncio.to_thread(api.wait, container)
    finally:
        timer.cancel()
        for task in talk:
            task.cancel()
        await asyncio.gather(*talk, return_exceptions=True)
    state = (await asyncio.to_thread(api.inspect_container, container))["State"]
    return _outcome(command, stop.reason, state, output, time.monotonic() - started)


def kill(api: Any, container: str) -> None:
    """End all processes of a container."""
    with contextlib.suppress(APIError):  # it has just ended by itself
        api.kill(container)


def _start(api: Any, container: str, command: Command) -> None:
    try:
        api.start(container)
    except APIError as error:
        text = str(error.explanation or error)
        if "chdir" in text or "mount" in text or "cwd" in text:
            raise InvalidInput(f"The container cannot be made as asked ({text}).") from error
        raise Missing(f"The container for {command.argv[0]!r} does not start ({text}).") from error


class Output:
    """Takes the engine's frames apart and keeps the first bytes of each stream."""

    def __init__(self, command: Command, on_output: Callable[[bytes], None] | None, stop: Stop) -> None:
        self._left = [command.limits.output_bytes] * 2
        self._hears = command.talk.hears if command.talk else None
        self._chunks: tuple[list[bytes], list[bytes]] = ([], [])
        self._on_output, self._stop = on_output, stop

    @property
    def stdout(self) -> bytes:
        return b"".join(self._chunks[0])

    @property
    def stderr(self) -> bytes:
        return b"".join(self._chunks[1])

    async def read(self, stream: Stream) -> None:
        """Read to the end of the stream."""
        pending = b""
        while data := await stream.receive():
            pending = self._take(pending + data)

    def _take(self, data: bytes) -> bytes:
        """Keep all whole frames; the rest is given back."""
        while len(data) >= _FRAME.size:
            kind, size = _FRAME.unpack_from(data)
            end = _FRAME.size + size
            if len(data) < end:
                break
            self._keep(1 if kind == _STDERR else 0, data[_FRAME.size : end])
            data = data[end:]
        return data

    def _keep(self, which: int, data: bytes) -> None:
        kept = data[: self._left[which]]
        self._left[which] -= len(kept)
        if kept:
            self._chunks[which].append(kept)
            if self._on_output:
                self._on_output(kept)
            if self._hears and which == 0:
                self._hears(kept)
        if len(kept) < len(data):
            self._stop.ask(End.OUTPUT)


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _feed(stream: Stream, chunks: AsyncIterable[bytes]) -> None:
    with contextlib.suppress(OSError):  # it may end without reading
        async for chunk in chunks:
            await stream.send(chunk)
        await stream.end()


def _outcome(
    command: Command, stopped: End | None, state: dict[str, Any], output: Output, wall: float
) -> Outcome:
    status = int(state["ExitCode"])
    end = stopped or _end(status, out_of_memory=bool(state["OOMKilled"]))
    return Outcome(
        command.argv,
        end,
        status if end is End.EXITED else None,
        output.stdout,
        output.stderr,
        wall,
        cpu_seconds=0.0,
        peak_memory_bytes=0,
    )


def _end(status: int, *, out_of_memory: bool) -> End:
    if out_of_memory and status != 0:
        return End.MEMORY
    return End.SIGNALLED if status in SIGNAL_STATUSES else End.EXITED


def confinement(command: Command, network: str) -> dict[str, Any]:
    """The engine's words for the limits of a command, and for all it may not do."""
    limits = command.limits
    scratch = f"rw,nosuid,nodev,exec,mode=1777,size={limits.scratch_bytes}"
    return {
        "network_mode": network,
        "read_only": True,
        "tmpfs": {"/tmp": scratch},  # noqa: S108 - the path inside the sandbox
        "shm_size": limits.scratch_bytes,
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "cpu_period": 100_000,
        "cpu_quota": max(1_000, int(limits.cpus * 100_000)),
        "pids_limit": limits.processes + _INIT_PROCESSES,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "init": True,
        "ulimits": [
            Ulimit(name="nofile", soft=_OPEN_FILES, hard=_OPEN_FILES),
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="fsize", soft=limits.file_bytes, hard=limits.file_bytes),
        ],
    }


def folders_archive(folders: Iterable[str], links: Iterable[tuple[str, str]]) -> bytes:
    """A root file system of empty folders, links such as /bin, and a list of users."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in folders:
            _add(archive, name, tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
        for link, target in links:
            if link.lstrip("/") != INIT_FOLDER:
                _add(archive, link.lstrip("/"), tarfile.SYMTYPE, link=target)
        _add(archive, f"{INIT_FOLDER}/ldconfig", tarfile.SYMTYPE, link="/usr/sbin/ldconfig")  # ctypes asks it
        for name, text in rootfs.USER_FILES.items():
            _add(archive, name.lstrip("/"), tarfile.REGTYPE, data=text.encode())
    return buffer.getvalue()


def _add(
    archive: tarfile.TarFile, name: str, kind: bytes, *, mode: int = 0o644, link: str = "", data: bytes = b""
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname, entry.size = kind, mode, link, len(data)
    archive.addfile(entry, io.BytesIO(data))


def check_words(command: Command) -> None:
    """Refuse what JSON would mangle, and a folder that the engine would silently make."""
    paths = [os.fspath(mount.source) for mount in command.mounts]
    words = (*command.argv, *command.env.values(), command.cwd, *paths, os.fspath(command.workspace or ""))
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput("Docker takes only UTF-8 words and paths.") from error
    inside = PurePosixPath(command.cwd)
    if command.workspace and inside.is_relative_to(rootfs.WORK):
        folder = command.workspace / inside.relative_to(rootfs.WORK)
        if not folder.is_dir():
            raise InvalidInput(f"The command's folder {command.cwd!r} does not exist in the workspace.")
