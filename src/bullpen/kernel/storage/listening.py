"""Who wants to be woken when another process commits; one task watches for all of them, while there are any."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Wake = Callable[[], None]


@dataclass(slots=True)
class Listeners:
    """Callbacks, and the task that watches while there is one."""

    _wakes: list[Wake] = field(default_factory=list[Wake])
    _task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def adding(self, wake: Wake, watch: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
        """``wake`` is called while this is open; ``watch`` runs until the last listener has gone."""
        self._wakes.append(wake)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(_run(watch))
        try:
            yield
        finally:
            self._wakes.remove(wake)
            if not self._wakes:
                await self.close()

    def wake_all(self) -> None:
        """Another process may have committed."""
        for wake in tuple(self._wakes):
            wake()

    async def close(self) -> None:
        """Stop watching."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _run(watch: Callable[[], Awaitable[None]]) -> None:
    await watch()
