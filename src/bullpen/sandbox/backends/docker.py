"""Docker, through the engine's API. Needs the extra ``docker`` and an engine on this machine.

Without a configured image, an image of empty folders is made and the host's programs are mounted into it read-only: the
command finds what it would find under bubblewrap, and nothing is downloaded.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from docker.types import Mount as BindMount
from requests.exceptions import RequestException

from bullpen.domain.errors import BullpenError, Missing
from bullpen.sandbox import changes
from bullpen.sandbox.backends._docker_address import check_local
from bullpen.sandbox.backends._docker_run import (
    ATTACH,
    INIT_FOLDER,
    Frame,
    check_words,
    confinement,
    converse,
    create,
    folders_archive,
)
from bullpen.sandbox.backends._docker_streams import attach_plain
from bullpen.sandbox.base import MEBIBYTE, Command, End, Limits, Network, Outcome, Probe
from bullpen.sandbox.disk import watch_disk, writable_places
from bullpen.sandbox.hosts import parse_host
from bullpen.sandbox.linux import rootfs
from bullpen.sandbox.linux.listener import open_listener
from bullpen.sandbox.linux.ownership import hand_over
from bullpen.sandbox.proxy import PROXY_PORT, Proxy
from bullpen.sandbox.stop import Stop, until_dead

_INSTALL = (
    "Install and start Docker: apt-get install docker.io (Fedora: dnf install moby-engine), systemctl start docker, "
    "and let this user reach its socket (usermod -aG docker USER)."
)
_HOST_IMAGE = "bullpen-host-programs:2"
_SINGLE_HOSTS = "Run Bullpen as root on the engine's own machine, or use the bubblewrap sandbox, or run the command without hosts."
_HOLDER_LIMITS = Limits(cpus=0.1, memory_bytes=32 * MEBIBYTE, processes=4, scratch_bytes=MEBIBYTE)
_FOLDERS = ("usr", "etc", "work", "tmp", "proc", "dev", "sys", "run", "opt", INIT_FOLDER)


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
        check_words(command)
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
                **confinement(command, str(Network.NONE)), mounts=list(_host_programs())
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
            stream = await asyncio.to_thread(attach_plain, self._api, container, ATTACH)
            with contextlib.closing(stream):
                return await converse(self._api, container, stream, command, stop, on_output)
        finally:
            await asyncio.to_thread(self._api.remove_container, container, v=True, force=True)

    def _create(self, command: Command, network: str) -> str:
        image = self.image or self._host_image()
        return create(self._api, command, Frame(image, network, _user(), self._mounts(command)))

    def _mounts(self, command: Command) -> list[BindMount]:
        host = _host_programs() if self.image is None else iter(())
        asked = [_bind(mount.target, mount.source, writable=mount.writable) for mount in command.mounts]
        return [*host, *_workspace(command), *asked]

    def _host_image(self) -> str:
        try:
            self._api.inspect_image(_HOST_IMAGE)
        except ImageNotFound:
            repository, _, tag = _HOST_IMAGE.partition(":")
            archive = folders_archive(_FOLDERS, rootfs.system_links())
            self._api.import_image_from_data(archive, repository=repository, tag=tag)
        return _HOST_IMAGE

    @cached_property
    def _api(self) -> Any:
        check_local(os.environ.get("DOCKER_HOST", ""))
        # Typed loosely: the published stubs of the low-level client know only part of it.
        return docker.from_env(timeout=120).api


@dataclass(frozen=True, slots=True)
class _Way:
    """The engine's word for the network a command joins, and the proxy that may listen there."""

    network: str
    proxy: Proxy


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


def _user() -> str:
    """Root's sandboxes run as a user of their own; an ordinary user's as that user, who owns the workspace."""
    user, group = (rootfs.USER, rootfs.USER) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    return f"{user}:{group}"


def _hand_over(command: Command) -> None:
    if os.geteuid() != 0:
        return
    for place in writable_places(command):
        hand_over(place, rootfs.USER)


backend = Docker()
