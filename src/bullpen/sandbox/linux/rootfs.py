"""The file system a sandboxed program sees, as arguments of ``bwrap``: the host's programs read-only, a few harmless
files of /etc, the workspace, and nothing else.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from bullpen.domain.errors import InvalidInput
from bullpen.sandbox.base import Command, Mount, Network
from bullpen.sandbox.hosts import parse_host

WORK = "/work"
USER = 10001
USER_FILES = {
    "/etc/passwd": (
        "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n"
        f"sandbox:x:{USER}:{USER}:sandbox:/tmp:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "/etc/group": f"root:x:0:\nsandbox:x:{USER}:\nnogroup:x:65534:\n",
}
BASE_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    "HOME": "/tmp",  # noqa: S108 - the path inside the sandbox
    "TMPDIR": "/tmp",  # noqa: S108 - the path inside the sandbox
    "USER": "sandbox",
    "LOGNAME": "sandbox",
    "LANG": "C.UTF-8",
}
_TOP = ("/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32")
_MOUNTED = ("/usr", *_TOP, "/proc", "/dev", "/tmp", WORK)  # noqa: S108 - paths inside the sandbox
_ETC = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "mime.types", "nsswitch.conf",
    "protocols", "services", "ssl/certs", "ssl/openssl.cnf", "ca-certificates", "pki/tls/certs", "pki/ca-trust",
    "crypto-policies", "login.defs", "perl", "python3", "fonts", "java*-openjdk", "php",
)  # fmt: skip
_ETC_NETWORK = ("resolv.conf", "hosts", "host.conf", "gai.conf")


def file_system(command: Command, sources: Mapping[Path, Path]) -> list[str]:
    """Mount arguments for ``command``; ``sources`` names a stand-in mount for some host paths.

    Raises:
        InvalidInput: a mount does not exist, or its target cannot be trusted.
    """
    scratch = str(command.limits.scratch_bytes)
    arguments = [*_system(), "--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/dev/shm"):  # noqa: S108 - paths inside the sandbox
        arguments += ["--perms", "1777", "--size", scratch, "--tmpfs", folder]
    if command.network is Network.HOST:
        arguments += [word for place in _etc(_ETC_NETWORK) for word in _read_only(place)]
    arguments += _workspace(command, sources)
    for mount in command.mounts:
        arguments += _mount(mount, command, sources)
    return [*arguments, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", command.cwd]


def check_command(command: Command) -> None:
    """Refuse what could not be passed on faithfully.

    Raises:
        InvalidInput: says what is wrong.
    """
    words = (*command.argv, command.cwd, *command.env, *command.env.values())
    if not command.argv or not command.argv[0] or "=" in command.argv[0]:
        raise InvalidInput("A command needs a program, whose name holds no '='.")
    if any("\0" in word for word in words):
        raise InvalidInput("A command's words may not hold a NUL byte.")
    if any(not name or "=" in name for name in command.env):
        raise InvalidInput("A variable's name may not be empty or hold '='.")
    if command.workspace is not None and not command.workspace.is_dir():
        raise InvalidInput(f"The workspace {os.fspath(command.workspace)!r} is not a folder.")
    for mount in command.mounts:
        _check_mount(mount, command)
    if [parse_host(host) for host in command.hosts] and command.network is not Network.NONE:
        raise InvalidInput("A command has the host's network or single hosts, not both.")


def _check_mount(mount: Mount, command: Command) -> None:
    if not mount.source.exists():
        raise InvalidInput(f"{os.fspath(mount.source)!r} cannot be mounted: it does not exist.")
    target = PurePosixPath(mount.target)
    if not target.is_absolute() or ".." in target.parts or target == PurePosixPath("/"):
        raise InvalidInput(f"{mount.target!r} is not an absolute path below the root.")
    if command.workspace is not None and target.is_relative_to(WORK):
        inside = command.workspace
        for part in target.relative_to(WORK).parts:
            inside /= part
            if inside.is_symlink():
                raise InvalidInput(f"{mount.target!r} leads through a link in the workspace.")


@cache
def _system() -> tuple[str, ...]:
    """The parts that are the same for every run; looked up once."""
    links = [word for link, target in system_links() for word in ("--symlink", target, link)]
    return (*links, *(word for place in system_places() for word in _read_only(place)))


def system_links() -> tuple[tuple[str, str], ...]:
    """(link, target) of the host's folders that are links into /usr, such as /bin."""
    return tuple((top, str(Path(top).readlink())) for top in _TOP if Path(top).is_symlink())


@cache
def system_places() -> tuple[Path, ...]:
    """Folders and files of the host that every sandbox sees, read-only."""
    tops = [top for top in map(Path, ("/usr", *_TOP)) if top.is_dir() and not top.is_symlink()]
    return (*tops, *_etc(_ETC))


def _etc(names: Iterable[str]) -> list[Path]:
    return [found for pattern in names for found in sorted(Path("/etc").glob(pattern)) if found.exists()]


def _read_only(place: Path) -> Iterator[str]:
    yield from (*_parents(str(place)), "--ro-bind-try", str(place), str(place))


def _workspace(command: Command, sources: Mapping[Path, Path]) -> list[str]:
    if command.workspace is None:
        return ["--perms", "0755", "--dir", WORK]
    source = str(sources.get(command.workspace, command.workspace))
    if not command.workspace_writable:
        return ["--ro-bind", source, WORK]
    return ["--bind", source, WORK, *_guarded_git(command.workspace, source)]


def _guarded_git(workspace: Path, source: str) -> list[str]:
    """Git on the host obeys what stands in .git: settings and hooks that run programs. So it is read-only."""
    git = workspace / ".git"
    if git.is_symlink() or not git.exists():
        return []
    return ["--ro-bind", f"{source}/.git", f"{WORK}/.git"]


def _mount(mount: Mount, command: Command, sources: Mapping[Path, Path]) -> list[str]:
    option = "--bind" if mount.writable else "--ro-bind"
    source = str(sources.get(mount.source, mount.source))
    below_work = command.workspace is not None and PurePosixPath(mount.target).is_relative_to(WORK)
    return [*([] if below_work else _parents(mount.target)), option, source, mount.target]


def _parents(target: str) -> list[str]:
    """Make the folders above ``target`` enterable by all; bwrap's own are for their owner alone."""
    above = [folder for folder in PurePosixPath(target).parents if folder.name][::-1]
    own = [folder for folder in above if not any(folder.is_relative_to(top) for top in _MOUNTED)]
    return [word for folder in own for word in ("--perms", "0755", "--dir", str(folder))]
