"""Docker, through the engine's API. Needs the extra ``docker`` and an engine on this machine.

Without a configured image, an image of empty folders is made and the host's programs are mounted into it read-only: the
command finds what it would find under bubblewrap, and nothing is downloaded.
"""

import asyncio
import contextlib
import io
import os
import socket
import struct
import tarfile
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import Mount as BindMount
from docker.types import Ulimit
from requests.exceptions import RequestException

from bullpen.domain.errors import BullpenError, InvalidInput, Missing
from bullpen.sandbox import changes
from bullpen.sandbox.base import MEBIBYTE, Command, End, Limits, Network, Outcome, Probe
from bullpen.sandbox.disk import watch_disk, writable_places
from bullpen.sandbox.hosts import parse_host
from bullpen.sandbox.linux import rootfs
from bullpen.sandbox.linux.listener import open_listener
from bullpen.sandbox.linux.ownership import hand_over
from bullpen.sandbox.proxy import PROXY_PORT, Proxy, proxy_variables
from bullpen.sandbox.stop import SIGNAL_STATUSES, Stop, until_dead

_INSTALL = (
    "Install and start Docker: apt-get install docker.io (Fedora: dnf install moby-engine), systemctl start docker, "
    "and let this user reach its socket (usermod -aG docker USER)."
)
_HOST_IMAGE = "bullpen-host-programs:2"
_SINGLE_HOSTS = "Run Bullpen as root on the engine's own machine, or use the bubblewrap sandbox, or run the command without hosts."
_HOLDER_LIMITS = Limits(cpus=0.1, memory_bytes=32 * MEBIBYTE, processes=4, scratch_bytes=MEBIBYTE)
_INIT_PROCESSES = 1
_OPEN_FILES = 1024
_FRAME = struct.Struct(">BxxxI")
_STDERR = 2
_DRAIN_SECONDS = 10.0
_INIT_FOLDER = "sbin"  # the engine puts its init there: not a link, or the host's /usr would cover it
_FOLDERS = ("usr", "etc", "work", "tmp", "proc", "dev", "sys", "run", "opt", _INIT_FOLDER)


@dataclass(frozen=True)
class Docker:
    """See the module. ``image`` must hold what commands need (a shell, Python); None mounts the host's programs."""

    name: str = "docker"
    image: str | None = None

    async def probe(self) -> Probe:
        """Really run ``true``."""
        try:
            outcome = await self.run(Command(("true",), limits=Limits(wall_seconds=60)))
        except BullpenError as error:
            return Probe(self.name, works=False, reason=error.sentence, remedy=error.remedy)
        if not outcome.ok:
            reason = outcome.stderr.decode(errors="replace").strip() or f"`true` {outcome.end}"
            return Probe(self.name, works=False, reason=reason, remedy=_INSTALL)
        return Probe(self.name, works=True, weaknesses=("processor time and memory use not measured",))

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """See ``Backend.run``. Words that are not UTF-8 are refused: the engine's API cannot carry them."""
        rootfs.check_command(command)
        _check_words(command)
        stop = Stop()
        try:
            return await until_dead(self._watched(command, stop, on_output), stop)
        except (DockerException, RequestException) as error:
            raise Missing(
                f"The Docker engine does not answer as it should: {error}", remedy=_INSTALL
            ) from error

    async def _watched(
        self, command: Command, stop: Stop, on_output: Callable[[bytes], None] | None
    ) -> Outcome:
        workspace = command.workspace if command.workspace_writable else None
        await asyncio.to_thread(_hand_over, command)
        before = await asyncio.to_thread(changes.scan, workspace) if workspace else {}
        async with watch_disk(command, before, stop) as usage, self._way_out(command) as way:
            outcome = await self._contained(command, way, stop, on_output)
        after = await asyncio.to_thread(changes.scan, workspace) if workspace else {}
        if outcome.end is End.EXITED and await asyncio.to_thread(usage.exceeded, after.values()):
            outcome = replace(outcome, end=End.DISK, exit_status=None)
        changed = changes.compare(before, after)
        if workspace:  # bubblewrap's filter refuses such files, the engine's own does not
            await asyncio.to_thread(changes.clear_set_id, workspace, changed)
        return replace(outcome, changed=changed, refused_hosts=way.proxy.refused)

    @contextlib.asynccontextmanager
    async def _way_out(self, command: Command) -> AsyncGenerator["_Way"]:
        """The network the command joins. For single hosts it is that of a container that only sleeps: there the proxy
        listens before the command begins.
        """
        proxy = Proxy(map(parse_host, command.hosts))
        if not command.hosts:
            yield _Way(str(command.network), proxy)
            return
        holder = await asyncio.to_thread(self._create_holder)
        try:
            await asyncio.to_thread(self._api.start, holder)
            await proxy.serve(await asyncio.to_thread(self._listener_in, holder))
            yield _Way(f"container:{holder}", proxy)
        finally:
            await proxy.close()
            await asyncio.to_thread(self._api.remove_container, holder, v=True, force=True)

    def _create_holder(self) -> str:
        """Id of a new container that sleeps in a network namespace of its own, which has loopback and nothing else."""
        command = Command(("sleep", "infinity"), limits=_HOLDER_LIMITS)
        made = self._api.create_container(
            self._host_image(),
            list(command.argv),
            user=_user(),
            entrypoint=[],
            host_config=self._api.create_host_config(
                **_confinement(command, str(Network.NONE)), mounts=list(_host_programs())
            ),
        )
        return str(made["Id"])

    def _listener_in(self, container: str) -> socket.socket:
        """A socket that listens in the container's network; only root on the engine's own machine can have one."""
        pid = int(self._api.inspect_container(container)["State"]["Pid"])
        try:
            if container not in Path(f"/proc/{pid}/cgroup").read_text():
                raise Missing("The Docker engine runs on another machine.", remedy=_SINGLE_HOSTS)
            listener = open_listener(pid, PROXY_PORT)
        except OSError as error:
            raise Missing(
                f"The container cannot be given a way to single hosts ({error}).", remedy=_SINGLE_HOSTS
            ) from error
        if listener is None:
            raise Missing("The container that holds the network has ended.", remedy=_SINGLE_HOSTS)
        return listener

    async def _contained(
        self, command: Command, way: "_Way", stop: Stop, on_output: Callable[[bytes], None] | None
    ) -> Outcome:
        container = await asyncio.to_thread(self._create, command, way.network)
        try:
            stream = await asyncio.to_thread(self._attach, container)
            with contextlib.closing(stream):
                return await self._converse(container, stream, command, stop, on_output)
        finally:
            await asyncio.to_thread(self._api.remove_container, container, v=True, force=True)

    async def _converse(
        self,
        container: str,
        stream: socket.socket,
        command: Command,
        stop: Stop,
        on_output: Callable[[bytes], None] | None,
    ) -> Outcome:
        """Start the container, talk to it until it ends or is ended, and read how it went."""
        started = time.monotonic()
        await asyncio.to_thread(self._start, container, command)
        timer = asyncio.get_running_loop().call_later(command.limits.wall_seconds, stop.ask, End.TIMEOUT)
        output = _Output(command, on_output, stop)
        says = command.talk.says if command.talk else _whole(command.stdin)
        talk = [asyncio.create_task(_feed(stream, says)), asyncio.create_task(output.read(stream))]
        try:
            await asyncio.wait({talk[1], stop.asked}, return_when=asyncio.FIRST_COMPLETED)
            if stop.reason:
                await asyncio.to_thread(self._kill, container)
                await asyncio.wait({talk[1]}, timeout=_DRAIN_SECONDS)
            await asyncio.to_thread(self._api.wait, container)
        finally:
            timer.cancel()
            for task in talk:
                task.cancel()
            await asyncio.gather(*talk, return_exceptions=True)
        state = (await asyncio.to_thread(self._api.inspect_container, container))["State"]
        return _outcome(command, stop.reason, state, output, time.monotonic() - started)

    def _create(self, command: Command, network: str) -> str:
        """Id of a new container that is not started yet."""
        api = self._api
        image = self.image or self._host_image()
        made = api.create_container(
            image,
            list(command.argv),
            working_dir=command.cwd,
            environment={**rootfs.BASE_ENVIRONMENT, **proxy_variables(command.hosts), **command.env},
            user=_user(),
            stdin_open=True,
            hostname="sandbox" if network == Network.NONE else None,
            entrypoint=[],
            healthcheck={"test": ["NONE"]},
            host_config=api.create_host_config(
                **_confinement(command, network), mounts=self._mounts(command)
            ),
        )
        return str(made["Id"])

    def _attach(self, container: str) -> socket.socket:
        wish = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        stream = self._api.attach_socket(container, wish)
        plain = stream if isinstance(stream, socket.socket) else stream._sock  # noqa: SLF001 - documented by the library only so
        plain.setblocking(False)
        return plain

    def _start(self, container: str, command: Command) -> None:
        try:
            self._api.start(container)
        except APIError as error:
            text = str(error.explanation or error)
            if "chdir" in text or "mount" in text or "cwd" in text:
                raise InvalidInput(f"The container cannot be made as asked ({text}).") from error
            raise Missing(f"The container for {command.argv[0]!r} does not start ({text}).") from error

    def _kill(self, container: str) -> None:
        with contextlib.suppress(APIError):  # it has just ended by itself
            self._api.kill(container)

    def _mounts(self, command: Command) -> list[BindMount]:
        host = _host_programs() if self.image is None else iter(())
        asked = [_bind(mount.target, mount.source, writable=mount.writable) for mount in command.mounts]
        return [*host, *_workspace(command), *asked]

    def _host_image(self) -> str:
        try:
            self._api.inspect_image(_HOST_IMAGE)
        except ImageNotFound:
            repository, _, tag = _HOST_IMAGE.partition(":")
            self._api.import_image_from_data(_folders_archive(), repository=repository, tag=tag)
        return _HOST_IMAGE

    @cached_property
    def _api(self) -> Any:
        # Typed loosely: the published stubs of the low-level client know only part of it.
        return docker.from_env(timeout=120).api


@dataclass(frozen=True, slots=True)
class _Way:
    """The engine's word for the network a command joins, and the proxy that may listen there."""

    network: str
    proxy: Proxy


class _Output:
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

    async def read(self, stream: socket.socket) -> None:
        """Read to the end of the stream."""
        loop = asyncio.get_running_loop()
        pending = b""
        while data := await loop.sock_recv(stream, 65_536):
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


async def _feed(stream: socket.socket, chunks: AsyncIterable[bytes]) -> None:
    with contextlib.suppress(OSError):  # it may end without reading
        async for chunk in chunks:
            await asyncio.get_running_loop().sock_sendall(stream, chunk)
        stream.shutdown(socket.SHUT_WR)


def _outcome(
    command: Command, stopped: End | None, state: dict[str, Any], output: _Output, wall: float
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


def _confinement(command: Command, network: str) -> dict[str, Any]:
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


def _workspace(command: Command) -> Iterator[BindMount]:
    if command.workspace is None:
        return
    yield _bind(rootfs.WORK, command.workspace, writable=command.workspace_writable)
    git = command.workspace / ".git"
    if command.workspace_writable and git.exists() and not git.is_symlink():
        yield _bind(f"{rootfs.WORK}/.git", git)


def _host_programs() -> Iterator[BindMount]:
    """The host's programs and the harmless part of its /etc, read-only, as under bubblewrap."""
    for place in rootfs.system_places():
        yield _bind(str(place), place)


def _bind(target: str, source: Path, *, writable: bool = False) -> BindMount:
    return BindMount(target, os.fspath(source.resolve()), type="bind", read_only=not writable)


def _folders_archive() -> bytes:
    """A root file system of empty folders, the host's links such as /bin, and a list of users."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in _FOLDERS:
            _add(archive, name, tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
        for link, target in rootfs.system_links():
            if link.lstrip("/") != _INIT_FOLDER:
                _add(archive, link.lstrip("/"), tarfile.SYMTYPE, link=target)
        _add(
            archive, f"{_INIT_FOLDER}/ldconfig", tarfile.SYMTYPE, link="/usr/sbin/ldconfig"
        )  # ctypes asks it
        for name, text in rootfs.USER_FILES.items():
            _add(archive, name.lstrip("/"), tarfile.REGTYPE, data=text.encode())
    return buffer.getvalue()


def _add(
    archive: tarfile.TarFile, name: str, kind: bytes, *, mode: int = 0o644, link: str = "", data: bytes = b""
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname, entry.size = kind, mode, link, len(data)
    archive.addfile(entry, io.BytesIO(data))


def _user() -> str:
    """Root's sandboxes run as a user of their own; an ordinary user's as that user, who owns the workspace."""
    user, group = (rootfs.USER, rootfs.USER) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    return f"{user}:{group}"


def _hand_over(command: Command) -> None:
    if os.geteuid() != 0:
        return
    for place in writable_places(command):
        hand_over(place, rootfs.USER)


def _check_words(command: Command) -> None:
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


backend = Docker()
