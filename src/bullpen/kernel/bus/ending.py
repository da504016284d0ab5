"""Being cancelled, for certain: before Python 3.12 ``asyncio.wait_for``, which clients of brokers use, may swallow it."""

import asyncio
from typing import Any

AGAIN_SECONDS = 0.1


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel it until it has ended. What it ended with, if not with being cancelled, is raised."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_SECONDS)
    if not task.cancelled():
        task.result()


def heed_cancelling() -> None:
    """Raise ``CancelledError`` where somebody has cancelled this task and it was swallowed."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
