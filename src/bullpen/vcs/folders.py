"""Folders that several processes share: locking them, and deleting what hostile programs left in them."""

import asyncio
import fcntl
import os
import secrets
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from bullpen.domain.errors import PermissionRefused, Unavailable
from bullpen.vcs.git import GitDir

_POLL_SECONDS = 0.02


@asynccontextmanager
async def file_lock(path: Path, *, seconds: float = 600.0, shared: bool = False) -> AsyncGenerator[None]:
    """Hold the lock file at ``path``; others wait their turn. It ends with its holder, whatever happens to that.

    Several may hold it at once if all of them want it ``shared``.

    Raises:
        Unavailable: somebody else held it for all of ``seconds``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        await _wait_for(descriptor, path, seconds, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


async def _wait_for(descriptor: int, path: Path, seconds: float, kind: int) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not _try_lock(descriptor, kind):
        if asyncio.get_running_loop().time() > end:
            raise Unavailable(
                f"{path} has been in use for {seconds:g} seconds.",
                remedy="Wait for the other run, or end it.",
            )
        await asyncio.sleep(_POLL_SECONDS)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def private_index(repo: Path) -> AsyncGenerator[GitDir]:
    """``repo`` with an empty index of its own that is gone afterwards, so callers never meet in one."""
    index = repo / f"index.{secrets.token_hex(6)}"
    try:
        yield GitDir(repo, index=index)
    finally:
        index.unlink(missing_ok=True)
        index.with_name(f"{index.name}.lock").unlink(missing_ok=True)


async def delete_folder(folder: Path) -> None:
    """Delete a folder however deep it is and whatever its permissions are; no symbolic link is followed.

    Raises:
        PermissionRefused: part of it belongs to somebody else.
    """
    if await _run("rm", "-rf", "--", str(folder)):
        await _run("chmod", "-R", "u+rwX", "--", str(folder))
        if await _run("rm", "-rf", "--", str(folder)):
            raise PermissionRefused(f"{folder} cannot be deleted.", remedy="Check who owns the files in it.")


async def discard_folder(folder: Path, *, seconds: float = 3.0) -> bool:
    """Delete a folder; what takes longer than ``seconds`` goes on by itself, even when this process ends.

    Returns whether it is gone already. What is left after a crash is for the next caller to discard again.
    """
    script = 'rm -rf -- "$1" 2>/dev/null || { chmod -R u+rwX -- "$1"; rm -rf -- "$1"; }'
    process = subprocess.Popen(  # asyncio would end it with its loop  # noqa: ASYNC220
        ("/bin/sh", "-c", script, "sh", str(folder)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return await asyncio.to_thread(process.wait, seconds) == 0
    except subprocess.TimeoutExpired:
        process.returncode = 0  # nobody waits for it any more
        return False


async def _run(*argv: str) -> int:
    """The exit status. ``rm`` copes with trees deeper than Python's recursion limit and the longest path name."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()
