"""How long something ran in the sandbox: what is left of a session's time is Bullpen's own."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bullpen.sandbox.base import Command, Outcome, Sandbox


@dataclass(slots=True)
class TimedSandbox:
    """The sandbox it is given, with a watch. ``busy`` counts the seconds in which at least one command ran."""

    inner: Sandbox
    started: float = field(default_factory=time.monotonic)
    busy: float = 0.0
    commands: int = 0
    _running: int = 0
    _since: float = 0.0

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """See ``Sandbox.run``."""
        if self._running == 0:
            self._since = time.monotonic()
        self._running += 1
        self.commands += 1
        try:
            return await self.inner.run(command, on_output)
        finally:
            self._running -= 1
            if self._running == 0:
                self.busy += time.monotonic() - self._since
