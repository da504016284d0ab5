"""Bubblewrap: Linux namespaces without a daemon. The embedded default.

The chain is: ``bwrap`` that makes the namespaces and mounts and waits at a gate until its first process is in its control
group, ``setpriv`` that gives up root where there was root, ``prlimit``, ``env``, the command. See
docs/decisions/sandbox.md for the reasons.
"""

import asyncio
import contextlib
import os
import re
import select
import shutil
import signal
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path

from bullpen.domain.errors import BullpenError, InvalidInput, Missing
from bullpen.sandbox import changes
from bullpen.sandbox.base import Command, End, Limits, Network, Outcome, Probe
from bullpen.sandbox.disk import watch_disk, writable_places
from bullpen.sandbox.hosts import parse_host
from bullpen.sandbox.linux import cgroups, idmap, rootfs
from bullpen.sandbox.linux.listener import open_listener
from bullpen.sandbox.linux.ownership import hand_over
from bullpen.sandbox.linux.seccomp import filter_program
from bullpen.sandbox.linux.supervise import Ended, gone, memory_file, supervise
from bullpen.sandbox.proxy import PROXY_PORT, Proxy, proxy_variables
from bullpen.sandbox.stop import SIGNAL_STATUSES, Stop, until_dead

_INSTALL = "Install bubblewrap: apt-get install bubblewrap (Fedora: dnf install bubblewrap)."
_ALLOW = (
    "Allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 (Debian), "
    "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 24.04); inside a container start it with "
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined, or give it an engine's socket and use "
    "the docker backend."
)
_PROGRAMS = ("bwrap", "setpriv", "prlimit", "env", "unshare")
_NO_CPU_LIMIT = "processor share not limited"
_NO_GROUP = (
    "memory limit per process only",
    _NO_CPU_LIMIT,
    "processor time and memory use not measured",
    "no control group can be written: run as root, or as a user with systemd-run --user --scope",
)
_SHARED_PROCESSES = "process limit shared by all sandboxes that run at once"
_CAPABILITIES = (1 << 21) | (1 << 7) | (1 << 6)  # SYS_ADMIN, SETUID, SETGID
# Of the launcher alone, to enter a private workspace and to give up root; setpriv ends them all.
_LAUNCHER_CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_DAC_READ_SEARCH")
_OPEN_FILES = 1024
_INFO_SECONDS = 2.0
_USER = str(rootfs.USER)


class Rights(StrEnum):
    """What Bullpen itself may do, which decides how the sandbox's user comes about."""

    ROOT = "root"  # mounts as root, then gives up root for good
    DROPPED = "dropped"  # root without the capability to mount: gives up root first
    USER = "user"  # an ordinary user


def current_rights() -> Rights:
    """What this process may do."""
    if os.geteuid() != 0:
        return Rights.USER
    status = Path("/proc/self/status").read_text()
    held = int(status.partition("CapEff:")[2].split()[0], 16)
    return Rights.ROOT if held & _CAPABILITIES == _CAPABILITIES else Rights.DROPPED


@dataclass(frozen=True)
class Bubblewrap:
    """See the module. The fields say what to use; what is not there is done without, and ``probe`` says so."""

    name: str = "bubblewrap"
    use_cgroups: bool = True
    use_idmap: bool = True
    rights: Rights = field(default_factory=current_rights)

    async def probe(self) -> Probe:
        """Really run ``true``."""
        try:
            outcome = await self.run(Command(("true",), limits=Limits(wall_seconds=60)))
        except BullpenError as error:
            return Probe(self.name, works=False, reason=error.sentence, remedy=error.remedy)
        except OSError as error:
            return Probe(self.name, works=False, reason=f"The kernel refused ({error}).", remedy=_ALLOW)
        if not outcome.ok:
            reason = _last_line(outcome.stderr) or f"`true` was ended: {outcome.end}"
            return Probe(self.name, works=False, reason=reason, remedy=_ALLOW)
        return Probe(self.name, works=True, weaknesses=self._weaknesses)

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """See ``Backend.run``."""
        rootfs.check_command(command)
        self._check_programs()
        stop = Stop()
        return await until_dead(self._watched(command, stop, on_output), stop)

    async def tidy(self) -> None:
        """See ``Tidy``."""
        if self.rights is Rights.ROOT:
            idmap.sweep()
        if self._hierarchy is not None:
            await cgroups.sweep(self._hierarchy)

    async def _watched(
        self, command: Command, stop: Stop, on_output: Callable[[bytes], None] | None
    ) -> Outcome:
        """Run, and compare the workspace before and after if it may change."""
        workspace = command.workspace if command.workspace_writable else None
        with self._mapped(command) as sources:
            await self._hand_over(command, sources)
            before = await asyncio.to_thread(changes.scan, workspace) if workspace else {}
            async with watch_disk(command, before, stop) as usage:
                run = _Run(command, sources, stop, on_output, Proxy(map(parse_host, command.hosts)))
                outcome = await self._grouped(run)
            after = await asyncio.to_thread(changes.scan, workspace) if workspace else {}
            if outcome.end is End.EXITED and await asyncio.to_thread(usage.exceeded, after.values()):
                outcome = replace(outcome, end=End.DISK, exit_status=None)
        return replace(outcome, changed=changes.compare(before, after), refused_hosts=run.proxy.refused)

    async def _grouped(self, run: "_Run") -> Outcome:
        group = cgroups.make_group(self._hierarchy, run.command.limits) if self._hierarchy else None
        try:
            ended, started = await self._launch(run, group)
            use = _measure(group) if group else _Use()
        finally:
            await run.proxy.close()
            if group:
                await cgroups.remove_group(group)
        if not started and ended.stopped is None and not use.out_of_memory:
            raise _refusal(ended)
        return _outcome(run.command, ended, use)

    async def _launch(self, run: "_Run", group: cgroups.Group | None) -> tuple[Ended, bool]:
        """How it ended, and whether the command was reached at all."""
        command = run.command
        data = [filter_program(), *_user_files()]
        status_out, status_in = os.pipe()
        gate_out, gate_in = os.pipe()
        inside = [status_in, gate_out, *map(memory_file, data)]
        inside.append(memory_file(self._options(command, run.sources, inside)))
        status = _Status(status_out)

        async def admit() -> None:
            """Only in its group, and with its way out open, may the command begin."""
            child = await status.arrival()
            if child is not None:
                await self._open_way(run, child)
                await asyncio.to_thread(_enter, child, group, gate_in)

        try:
            ended = await supervise(
                self._argv(command, inside[-1], grouped=group is not None),
                stdin=command.stdin if command.talk is None else command.talk,
                pass_fds=inside,
                limits=command.limits,
                stop=run.stop,
                admit=admit,
                kill=lambda pid: _kill(pid, status, group),
                on_output=run.on_output,
            )
            if (child := status.child()) is not None:
                await gone(child)
            return ended, status.reached_command()
        finally:
            os.close(status_out)
            os.close(gate_in)

    async def _open_way(self, run: "_Run", child: int) -> None:
        """Let the proxy listen on the sandbox's loopback, if there is anything that may be reached."""
        if not run.command.hosts:
            return
        user = rootfs.USER if self.rights is Rights.DROPPED else None
        try:
            listener = await asyncio.to_thread(open_listener, child, PROXY_PORT, user=user)
        except OSError as error:
            raise Missing(
                f"The sandbox cannot be given a way to single hosts ({error}).",
                remedy="Run as root, or run the command without hosts.",
            ) from error
        if listener:
            await run.proxy.serve(listener)

    def _argv(self, command: Command, options: int, *, grouped: bool) -> list[str]:
        return [
            *(_become_user() if self.rights is Rights.DROPPED else []),
            *(_program("bwrap"), "--args", str(options), "--"),
            *(_become_user() if self.rights is Rights.ROOT else []),
            *self._rlimits(command.limits, grouped=grouped),
            # Only now, with root given up, may the caller's environment reach the dynamic linker.
            *(_inner("env"), "-i", "--"),
            *(f"{name}={value}" for name, value in _variables(command).items()),
            *command.argv,
        ]

    def _options(self, command: Command, sources: Mapping[Path, Path], inside: list[int]) -> bytes:
        """What ``bwrap --args`` reads: words ended by NUL."""
        status, gate, seccomp, *user_files = map(str, inside)
        words = [
            *(
                "--unshare-ipc",
                "--unshare-pid",
                "--unshare-uts",
                "--unshare-cgroup-try",
                "--hostname",
                "sandbox",
            ),
            *(() if command.network is Network.HOST else ("--unshare-net",)),
            *self._identity(),
            *(
                "--die-with-parent",
                "--new-session",
                "--clearenv",
            ),
            *("--json-status-fd", status, "--block-fd", gate, "--seccomp", seccomp),
            *rootfs.file_system(command, sources),
        ]
        for name, number in zip(rootfs.USER_FILES, user_files, strict=True):
            words = ["--perms", "0644", "--file", number, name, *words]
        return b"".join(os.fsencode(word) + b"\0" for word in words)

    def _identity(self) -> tuple[str, ...]:
        if self.rights is Rights.ROOT:
            kept = (word for name in _LAUNCHER_CAPABILITIES for word in ("--cap-add", name))
            return ("--cap-drop", "ALL", *kept)
        return ("--unshare-user", "--uid", _USER, "--gid", _USER, "--cap-drop", "ALL")

    def _rlimits(self, limits: Limits, *, grouped: bool) -> list[str]:
        words = [_inner("prlimit"), f"--nofile={_OPEN_FILES}", "--core=0", f"--fsize={limits.file_bytes}"]
        if not grouped:
            # Writable memory; the address space is wider, because runtimes reserve much that they never touch.
            words += [f"--data={limits.memory_bytes}", f"--as={8 * limits.memory_bytes}"]
            words += [f"--nproc={limits.processes}"]
        return [*words, "--"]

    @contextlib.contextmanager
    def _mapped(self, command: Command) -> Generator[dict[Path, Path]]:
        """Stand-in mounts, on which root's files belong to the sandbox's user, while the run lasts."""
        sources: dict[Path, Path] = {}
        try:
            if self.rights is Rights.ROOT and self.use_idmap:
                for source in _owned_places(command, writable_only=False):
                    with contextlib.suppress(OSError):  # this file system cannot: it is handed over instead
                        sources[source] = idmap.attach(source, rootfs.USER)
            yield sources
        finally:
            for point in sources.values():
                idmap.detach(point)

    async def _hand_over(self, command: Command, sources: dict[Path, Path]) -> None:
        if self.rights is not Rights.USER:
            for source in _owned_places(command, writable_only=True):
                if source not in sources:
                    await asyncio.to_thread(hand_over, source, rootfs.USER)

    def _check_programs(self) -> None:
        lacking = [name for name in _PROGRAMS if _find(name) is None]
        if lacking:
            raise Missing(f"The program {lacking[0]} is not installed.", remedy=_INSTALL)

    @cached_property
    def _hierarchy(self) -> cgroups.Hierarchy | None:
        if self.rights is Rights.ROOT:
            idmap.sweep()
        return cgroups.find_hierarchy() if self.use_cgroups else None

    @property
    def _weaknesses(self) -> tuple[str, ...]:
        if self._hierarchy is None:
            shared = (_SHARED_PROCESSES,) if self.rights is Rights.ROOT else ()
            return (*_NO_GROUP, *shared)
        return () if self._hierarchy.limits_cpu else (_NO_CPU_LIMIT,)


@dataclass(frozen=True, slots=True)
class _Run:
    """One command on its way. ``sources`` names a stand-in mount for some host paths."""

    command: Command
    sources: Mapping[Path, Path]
    stop: Stop
    on_output: Callable[[bytes], None] | None
    proxy: Proxy


@dataclass(frozen=True, slots=True)
class _Use:
    """What a group counted; nothing is known without one, for bwrap does not reap the namespace's first process."""

    out_of_memory: bool = False
    peak_memory_bytes: int = 0
    cpu_seconds: float = 0.0


class _Status:
    """What bwrap reports on its status descriptor: the first process's id, and an exit code if it got that far."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = b""
        os.set_blocking(descriptor, False)

    async def arrival(self) -> int | None:
        """Wait for the first process; its id, or None if the launcher gave up."""
        loop = asyncio.get_running_loop()
        there: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._descriptor, lambda: there.done() or there.set_result(None))
        try:
            await there
        finally:
            loop.remove_reader(self._descriptor)
        return self.child()

    def child(self) -> int | None:
        """Process id of the namespace's first process, waited for briefly; None if it never came."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while (found := re.search(rb'"child-pid": (\d+)\s*[,}]', self._text)) is None:
            if not poll.poll(_INFO_SECONDS * 1000) or not self._read():
                return None
        return int(found[1])

    def reached_command(self) -> bool:
        """Whether the sandbox was ready and its program started."""
        while self._read():
            pass
        return b'"exit-code"' in self._text

    def _read(self) -> bool:
        try:
            chunk = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return False
        self._text += chunk
        return bool(chunk)


def _kill(pid: int, status: _Status, group: cgroups.Group | None) -> None:
    """End the PID namespace by its first process. ``bwrap`` outside follows by itself, once all inside are gone."""
    child = status.child()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid if child is None else child, signal.SIGKILL)
    if group:
        cgroups.kill_group(group)


def _enter(child: int, group: cgroups.Group | None, gate: int) -> None:
    """Put the sandbox's first process into its group, then open its gate."""
    with contextlib.suppress(ProcessLookupError, BrokenPipeError):  # it was ended meanwhile
        if group:
            cgroups.join(group, child)
        os.write(gate, b"\0")


def _measure(group: cgroups.Group) -> _Use:
    return _Use(cgroups.out_of_memory(group), cgroups.peak_memory(group), cgroups.cpu_seconds(group))


def _outcome(command: Command, ended: Ended, use: _Use) -> Outcome:
    end = _end(ended, out_of_memory=use.out_of_memory)
    status = ended.returncode if end is End.EXITED else None
    return Outcome(
        command.argv,
        end,
        status,
        ended.stdout,
        ended.stderr,
        ended.wall_seconds,
        cpu_seconds=use.cpu_seconds,
        peak_memory_bytes=use.peak_memory_bytes,
    )


def _end(ended: Ended, *, out_of_memory: bool) -> End:
    if ended.stopped:
        return ended.stopped
    if out_of_memory and ended.returncode != 0:
        return End.MEMORY
    if ended.returncode < 0 or ended.returncode in SIGNAL_STATUSES:
        return End.SIGNALLED
    return End.EXITED


def _refusal(ended: Ended) -> BullpenError:
    """Why the sandbox could not be set up, from what its launcher said."""
    line = _last_line(ended.stderr)
    if "chdir" in line:
        return InvalidInput(f"The command's folder does not exist in the sandbox ({line}).")
    if re.search(r"Can't (mkdir|create|find source|bind|get type|mount)", line):
        return InvalidInput(f"A mount cannot be made ({line}).")
    return Missing(f"The launcher was refused ({line or f'status {ended.returncode}'}).", remedy=_ALLOW)


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def _become_user() -> list[str]:
    identity = ("--reuid", _USER, "--regid", _USER, "--clear-groups", "--inh-caps=-all", "--no-new-privs")
    return [_inner("setpriv"), *identity, "--"]


def _owned_places(command: Command, *, writable_only: bool) -> list[Path]:
    """Host paths that must belong to the sandbox's user."""
    places = list(writable_places(command))
    if command.workspace and not (command.workspace_writable or writable_only):
        places.append(command.workspace)
    return places


def _user_files() -> list[bytes]:
    return [text.encode() for text in rootfs.USER_FILES.values()]


def _variables(command: Command) -> dict[str, str]:
    return {**rootfs.BASE_ENVIRONMENT, **proxy_variables(command.hosts), **command.env}


@cache
def _find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/bin:/bin:/usr/sbin")


def _program(name: str) -> str:
    return _find(name) or name


def _inner(name: str) -> str:
    """Where a standard program is inside the sandbox."""
    return f"/usr/bin/{name}"


backend = Bubblewrap()
