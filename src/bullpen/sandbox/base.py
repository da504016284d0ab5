"""What a sandbox is asked, what it answers, and what every backend must offer."""

from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mount:
    """A host folder or file seen inside at ``target``; read-only unless said otherwise."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What a command may use. Bytes, seconds, whole processes; ``cpus`` in cores."""

    cpus: float = 2.0
    memory_bytes: int = 2048 * MEBIBYTE
    processes: int = 256
    scratch_bytes: int = 512 * MEBIBYTE  # size of /tmp
    file_bytes: int = 512 * MEBIBYTE  # largest file it may write
    wall_seconds: float = 300.0
    output_bytes: int = 4 * MEBIBYTE  # of each of stdout and stderr
    disk_bytes: int = 4096 * MEBIBYTE  # that files in writable places may grow by, all together


class Network(StrEnum):
    """What the command may reach."""

    NONE = "none"  # the default: not even the host's loopback, and no way out but to a command's ``hosts``
    HOST = "host"  # by explicit request only, e.g. to install locked dependencies


@dataclass(frozen=True, slots=True)
class Talk:
    """Both ends of a conversation with a command while it runs.

    Chunks of ``says`` are written to its standard input as they come, which ends when they end. ``hears`` gets chunks
    of its standard output alone, within the limit on output.
    """

    says: AsyncIterable[bytes]
    hears: Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run. Inside, the workspace is at ``/work``; nothing of the host's environment is passed on.

    ``talk`` takes the place of ``stdin``. ``mounts`` are added to the backend's own read-only system folders.
    ``workspace`` is mounted at ``/work``, writable only if ``workspace_writable``. ``hosts`` are what it may reach, each
    as ``name:port``, through an HTTP proxy that its environment names; private addresses only where the address itself
    is given.
    """

    argv: tuple[str, ...]
    workspace: Path | None = None
    workspace_writable: bool = False
    cwd: str = "/work"
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    mounts: tuple[Mount, ...] = ()
    limits: Limits = field(default_factory=Limits)
    stdin: bytes = b""
    network: Network = Network.NONE
    talk: Talk | None = None
    hosts: tuple[str, ...] = ()


class End(StrEnum):
    """Why a command ended."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"  # it said more than it may
    DISK = "disk"  # its files grew by more than they may, or the disk was about to be full
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left. ``exit_status`` is None unless it exited by itself."""

    argv: tuple[str, ...]
    end: End
    exit_status: int | None
    stdout: bytes
    stderr: bytes
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    changed: tuple[
        str, ...
    ] = ()  # paths under the workspace written, created or removed (only if it was writable)
    refused_hosts: tuple[str, ...] = ()  # ``name:port`` of what it asked the proxy for in vain

    @property
    def ok(self) -> bool:
        """Whether it exited by itself with status 0."""
        return self.end is End.EXITED and self.exit_status == 0


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a backend works here, found by really running ``true`` in it.

    ``weaknesses`` are said to people, such as "memory limit per process only". ``remedy`` says how to get it.
    """

    backend: str
    works: bool
    reason: str = ""
    remedy: str = ""
    weaknesses: tuple[str, ...] = ()


class Backend(Protocol):
    """A way to run commands in isolation. Safe to use from many tasks at once."""

    name: str

    async def probe(self) -> Probe:
        """Try it for real; never raises."""
        ...

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """Run to the end or to a limit. Cancelling the task kills everything the command started.

        Raises:
            Missing: the backend does not work here, or cannot let it reach ``hosts``.
            InvalidInput: a mount does not exist, or a host is not one.
        """
        ...


@runtime_checkable
class Tidy(Protocol):
    """A backend that leaves something on the machine when its process is killed."""

    async def tidy(self) -> None:
        """Take away what processes that are dead by now left; what is being used stays."""
        ...


class Sandbox(Protocol):
    """What the rest of the house holds: a backend that was chosen and works."""

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """See ``Backend.run``."""
        ...
