"""How runs are ended early, the same in every backend."""

import asyncio
import contextlib
from collections.abc import Coroutine

from bullpen.sandbox.base import End, Outcome

# A launcher reports death by signal N as status 128+N. Only signals that programs die of count: 129 is git's own.
SIGNAL_STATUSES = frozenset(128 + number for number in (2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 24, 25, 31))


class Stop:
    """A request to end a run, made at most once; the first reason counts."""

    def __init__(self) -> None:
        self._future: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    def ask(self, reason: End) -> None:
        """Ask for the end, for this reason."""
        if not self._future.done():
            self._future.set_result(reason)

    @property
    def reason(self) -> End | None:
        """Why the end was asked for; None if it was not."""
        return self._future.result() if self._future.done() else None

    @property
    def asked(self) -> "asyncio.Future[End]":
        """Done once the end was asked for."""
        return self._future


async def until_dead(work: Coroutine[object, object, Outcome], stop: Stop) -> Outcome:
    """Await ``work``; when cancelled, ask it to stop and wait until nothing of it is left, then be cancelled."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.ask(End.CANCELLED)
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise
