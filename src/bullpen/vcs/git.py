"""The git command, run so that no repository can make it run anything else.

A repository is hostile data: its configuration may name hooks, filters, file monitors and helpers. Every process
gets an environment built from nothing, ``hardened.gitconfig`` above the repository's own configuration, an explicit
git directory (a ``.git`` file found in a work tree is never believed), literal path specs, and no terminal.
"""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bullpen.domain.errors import (
    BullpenError,
    Conflict,
    LimitExceeded,
    Missing,
    NotFound,
    PermissionRefused,
    Unavailable,
    UnusableRepository,
)

HARDENED = Path(__file__).with_name("hardened.gitconfig")
OLDEST_GIT: tuple[int, int] = (2, 38)  # the first with `merge-tree --write-tree`
MEBIBYTE = 1024 * 1024
OUTPUT_BYTES = 512 * MEBIBYTE
SECONDS = 120.0
GRACE_SECONDS = 2.0  # git removes its lock files on SIGTERM

_PARTIAL = re.compile(r"extensions\.partialclone|remote\..*\.(promisor|partialclonefilter)", re.DOTALL)
_NETWORK_NAMES = (
    "SSH_AUTH_SOCK",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
)


@dataclass(frozen=True, slots=True)
class GitDir:
    """Where git is to work: a git directory, with its work tree and index if the command needs them.

    ``overrides`` are configuration values set above those of the repository.
    """

    path: Path
    work_tree: Path | None = None
    index: Path | None = None
    overrides: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GitResult:
    """What one git process left."""

    stdout: bytes
    stderr: bytes
    status: int

    @property
    def text(self) -> str:
        """Standard output without its last newline; bytes that are not UTF-8 are kept as surrogates."""
        return os.fsdecode(self.stdout).removesuffix("\n")

    def fields(self) -> list[str]:
        """Standard output of a ``-z`` command, split at its NULs."""
        return os.fsdecode(self.stdout.removesuffix(b"\0")).split("\0") if self.stdout else []


async def git(
    repo: GitDir | Path | None,
    *args: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    accept: Collection[int] = (0,),
    seconds: float = SECONDS,
    output_bytes: int = OUTPUT_BYTES,
    network: bool = False,
) -> GitResult:
    """Run one git command to its end.

    ``repo`` None means a command that needs no repository. ``accept`` lists the exit statuses that are answers
    rather than failures. ``network`` lets the process reach remote hosts; without it only local files are fetched.
    Cancelling the task ends git and all it started.

    Raises:
        LimitExceeded: it took longer than ``seconds`` or wrote more than ``output_bytes``.
        Missing: git is not installed.
        BullpenError: git failed; the sentence quotes its own last line.
    """
    place = GitDir(repo) if isinstance(repo, Path) else repo
    process = await _start(place, args, _environment(place, env or {}, network=network))
    try:
        async with asyncio.timeout(seconds):
            result = await _converse(process, stdin, output_bytes)
    except TimeoutError:
        raise LimitExceeded(
            f"git {args[0]} did not end within {seconds:g} seconds.",
            remedy="Try again when the machine is less busy, or with a smaller repository.",
        ) from None
    finally:
        await _stop(process)
    if len(result.stdout) > output_bytes:
        raise LimitExceeded(f"git {args[0]} wrote more than {output_bytes // MEBIBYTE} MiB.")
    if result.status not in accept:
        raise failure(args[0], result)
    return result


async def git_version() -> tuple[int, int]:
    """The installed git's major and minor version.

    Raises:
        Missing: no git, or one older than ``OLDEST_GIT``.
    """
    text = (await git(None, "--version")).text
    match = re.search(r"(\d+)\.(\d+)", text)
    found: tuple[int, int] = (int(match[1]), int(match[2])) if match else (0, 0)
    if found < OLDEST_GIT:
        raise Missing(f"{text!r} is too old.", remedy="Install git 2.38 or newer.")
    return found


async def distrust(place: GitDir) -> GitDir:
    """``place`` with every content filter of its own configuration switched off.

    Filters have names of their own, so no fixed list can cover them; only the names are read, nothing is run.

    Raises:
        UnusableRepository: it is a partial clone: reading it could make git start programs to fetch the rest.
    """
    listed = await git(place, "config", "--list", "--includes", "--name-only", "-z")
    names = sorted(set(listed.fields()))
    if any(_PARTIAL.fullmatch(name) for name in names):
        raise UnusableRepository(
            f"{place.work_tree or place.path} is a partial clone: parts of its history are missing.",
            remedy="Clone it in full, or give its URL.",
        )
    filters = [name for name in names if name.startswith("filter.")]
    if len(filters) > 500 or sum(map(len, filters)) > 65_536:
        raise UnusableRepository(f"{place.path} configures {len(filters)} settings of content filters.")
    overrides = tuple((name, "false" if name.endswith(".required") else "") for name in filters)
    return replace(place, overrides=place.overrides + overrides)


def failure(command: str, result: GitResult) -> BullpenError:
    """The error of our tree that says what git's last line says."""
    said = last_line(result.stderr)
    everything = result.stderr.decode(
        "utf-8", "replace"
    )  # the last line may only say that something failed before
    for where in (said, everything):
        for pattern, kind, remedy in _MEANINGS:
            if re.search(pattern, where, re.IGNORECASE):
                return kind(f"git {command} failed: {said}", remedy=remedy)
    return BullpenError(f"git {command} failed: {said}", code="git-failed")


def last_line(stderr: bytes) -> str:
    """Git's own last complaint, without credentials and control characters."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    complaints = [line for line in lines if line.startswith(("fatal:", "error:", "remote: fatal:"))]
    return redact(next(iter((complaints or lines)[-1:]), "it said nothing"))


def redact(text: str) -> str:
    """Without the user names and passwords of URLs, and without control characters."""
    quiet = re.sub(r"(?<=://)[^/@\s]+@", "", text)
    return re.sub(r"[\x00-\x1f\x7f]", "?", quiet).strip()


_MEANINGS: tuple[tuple[str, type[BullpenError], str], ...] = (
    (r"not a git repository|does not appear to be a git", UnusableRepository, "Check the path or the URL."),
    (r"bad config|invalid config|unknown repository extension", UnusableRepository, "Mend its .git/config."),
    (
        r"repository .* not found|could not read from remote|remote error|access denied",
        UnusableRepository,
        "Check the URL and your access.",
    ),
    (
        r"could not read (username|password)|authentication failed",
        UnusableRepository,
        "Clone it yourself first.",
    ),
    (
        r"permission denied|insufficient permission|read-only file system",
        PermissionRefused,
        "Check the owner of the files.",
    ),
    (
        r"could not resolve host|connect to|connection|timed out",
        Unavailable,
        "Check the network, then try again.",
    ),
    (r"no space left|disk quota|unable to write", LimitExceeded, "Free some space on the disk."),
    (r"cannot lock ref|\.lock': file exists", Conflict, "Look at the branch again, then try again."),
    (
        r"unknown revision|bad revision|not a valid object|bad object|does not exist in|no such ref",
        NotFound,
        "",
    ),
    (
        r"missing (blob|tree|commit|object)|promisor|corrupt|bad index|unable to read",
        UnusableRepository,
        "Run git fsck on it.",
    ),
)


def _environment(place: GitDir | None, extra: Mapping[str, str], *, network: bool) -> dict[str, str]:
    """Everything a git process may know. Nothing is inherited but the search path and, on request, the network's."""
    base = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(HARDENED),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": ":",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "0" if network else "1",
        "GIT_GRAFT_FILE": "/dev/null",
        "GIT_ALLOW_PROTOCOL": "file:https:ssh:git" if network else "file",
        "GIT_DIR": str(place.path) if place else "/nonexistent",
    }
    passed = {name: os.environ[name] for name in _NETWORK_NAMES if name in os.environ} if network else {}
    return base | passed | _place_names(place) | _settings(place) | dict(extra)


def _place_names(place: GitDir | None) -> dict[str, str]:
    names: dict[str, str] = {}
    if place and place.work_tree:
        names["GIT_WORK_TREE"] = str(place.work_tree)
    if place and place.index:
        names["GIT_INDEX_FILE"] = str(place.index)
    return names


def _settings(place: GitDir | None) -> dict[str, str]:
    pairs = (("include.path", str(HARDENED)), *(place.overrides if place else ()))
    names = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for number, (key, value) in enumerate(pairs):
        names |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return names


async def _start(
    place: GitDir | None, args: tuple[str, ...], env: Mapping[str, str]
) -> asyncio.subprocess.Process:
    """Cancelled half-way, asyncio would end git but not what it started: so a start is always finished first."""
    starting = asyncio.create_task(_spawn(place, args, env))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _stop(await starting)
        raise


async def _spawn(
    place: GitDir | None, args: tuple[str, ...], env: Mapping[str, str]
) -> asyncio.subprocess.Process:
    cwd = (place.work_tree or place.path) if place else Path("/")
    try:
        return await asyncio.create_subprocess_exec(
            "git",
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd if cwd.is_dir() else Path("/"),
            env=env,
            start_new_session=True,
            limit=MEBIBYTE,
        )
    except FileNotFoundError:
        raise Missing("git is not installed.", remedy="Install git 2.38 or newer.") from None


async def _converse(process: asyncio.subprocess.Process, stdin: bytes, output_bytes: int) -> GitResult:
    feeding, answer, complaints = process.stdin, process.stdout, process.stderr
    if not (feeding and answer and complaints):
        raise Unavailable("git was started without its pipes.")
    async with asyncio.TaskGroup() as group:
        out = group.create_task(_read(process, answer, output_bytes))
        err = group.create_task(_read(process, complaints, MEBIBYTE))
        group.create_task(_feed(feeding, stdin))
    return GitResult(out.result(), err.result(), await process.wait())


async def _read(process: asyncio.subprocess.Process, stream: asyncio.StreamReader, most: int) -> bytes:
    """All of the stream; a process that writes more than ``most`` bytes is killed."""
    parts: list[bytes] = []
    size = 0
    while part := await stream.read(MEBIBYTE):
        parts.append(part)
        size += len(part)
        if size > most:
            _signal_group(process, signal.SIGKILL)
            break
    return b"".join(parts)


async def _feed(stream: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # git may have read enough
        stream.write(data)
        await stream.drain()
        stream.close()
        await stream.wait_closed()


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End a process that still runs, with all it started: first politely, so it removes its lock files."""
    if process.returncode is not None:
        return
    _signal_group(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        _signal_group(process, signal.SIGKILL)
    await process.wait()


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
