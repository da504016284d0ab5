"""A lock between processes: held by an open file, so it ends with its holder whatever happens to it."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from bullpen.domain.errors import Unavailable

_POLL_SECONDS = 0.02


@asynccontextmanager
async def file_lock(path: Path, *, seconds: float = 600.0) -> AsyncGenerator[None]:
    """Hold the lock file at ``path``; others wait their turn. The file itself stays.

    Raises:
        Unavailable: somebody else held it for all of ``seconds``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        async with asyncio.timeout(seconds):
            await _wait_for(descriptor)
        yield
    except TimeoutError:
        raise Unavailable(
            f"{path.name} has been in use for {seconds:g} seconds.",
            remedy="Wait for the other run, or end it.",
        ) from None
    finally:
        os.close(descriptor)


async def _wait_for(descriptor: int) -> None:
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        await asyncio.sleep(_POLL_SECONDS)
