"""A program in the sandbox that is spoken to in lines, as agents are."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from bullpen.domain.errors import InvalidInput, LimitExceeded, Unavailable
from bullpen.sandbox.base import Command, End, Outcome, Sandbox, Talk

LONGEST_LINE = 1024 * 1024  # bytes
GRACE_SECONDS = 2.0  # between being asked to end and being ended


@dataclass(slots=True)
class Spoken:
    """One running program. ``outcome`` is there once it has ended; ``farewell`` is said to it if it is left early."""

    outcome: Outcome | None = None
    farewell: Mapping[str, Any] | None = None
    _said: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue[bytes | None])
    _heard: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue[bytes | None])
    _partial: bytearray = field(default_factory=bytearray)

    def say(self, message: Mapping[str, Any]) -> None:
        """Send one line of JSON."""
        self._said.put_nowait(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def say_bytes(self, data: bytes) -> None:
        """Send this, as it is."""
        self._said.put_nowait(data)

    def end_input(self) -> None:
        """Close its standard input; more than once is fine."""
        self._said.put_nowait(None)

    async def line(self, quiet_seconds: float | None = None) -> bytes | None:
        """The next line of its standard output, without its end; None when there are no more.

        Raises:
            Unavailable: it said nothing for ``quiet_seconds``.
            LimitExceeded: a line is longer than ``LONGEST_LINE``.
        """
        try:
            async with asyncio.timeout(quiet_seconds):
                line = await self._heard.get()
        except TimeoutError:
            raise Unavailable(f"It said nothing for {quiet_seconds:g} s.", code="silent") from None
        if line is not None and len(line) > LONGEST_LINE:
            raise LimitExceeded(f"It wrote a line of more than {LONGEST_LINE} bytes.")
        return line

    async def says(self) -> AsyncIterator[bytes]:
        """What is to be written to it; for ``Talk``."""
        while (line := await self._said.get()) is not None:
            yield line

    def hears(self, chunk: bytes) -> None:
        """Take apart what it wrote; for ``Talk``."""
        self._partial += chunk
        *lines, rest = self._partial.split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], bytearray()
        for line in lines:
            self._heard.put_nowait(bytes(line))
        self._partial = bytearray(rest)

    def ended(self, task: asyncio.Task[Outcome]) -> None:
        """Take note that the program is gone."""
        if not task.cancelled() and task.exception() is None:
            self.outcome = task.result()
        if self._partial:
            self._heard.put_nowait(bytes(self._partial))
        self._heard.put_nowait(None)


@asynccontextmanager
async def spoken_to(
    sandbox: Sandbox, command: Command, farewell: Mapping[str, Any] | None = None
) -> AsyncGenerator[Spoken]:
    """Start a program and speak with it. Leaving asks it to end, with ``farewell`` where it is left early, then ends it.

    Raises:
        Missing, InvalidInput: it cannot be started; see ``Sandbox.run``.
    """
    program = Spoken(farewell=farewell)
    running = asyncio.create_task(sandbox.run(replace(command, talk=Talk(program.says(), program.hears))))
    running.add_done_callback(program.ended)
    try:
        yield program
        await _wind_up(running, program)
    except BaseException:
        if program.farewell is None:
            running.cancel()
        else:
            program.say(program.farewell)
        await _wind_up(running, program)
        raise
    if not running.cancelled():
        running.result()  # what kept it from starting


async def _wind_up(running: asyncio.Task[Outcome], program: Spoken) -> None:
    program.end_input()
    try:
        await asyncio.wait({running}, timeout=GRACE_SECONDS)
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait({running})


def why_ended(outcome: Outcome | None) -> str:
    """A sentence on how a program ended that should have answered.

    Raises:
        LimitExceeded: it ran into a limit; the sentence names it.
    """
    if outcome is None:
        return "It was ended before it answered."
    limits = {
        End.MEMORY: "It used more memory than it may.",
        End.OUTPUT: "It wrote more output than it may.",
        End.TIMEOUT: "Its time was used up.",
    }
    if outcome.end in limits:
        raise LimitExceeded(limits[outcome.end])
    how = "by a signal" if outcome.end is End.SIGNALLED else f"with status {outcome.exit_status}"
    last = last_line(outcome.stderr)
    return f"It ended {how} without an answer{f': {last}' if last else '.'}"


def last_line(text: bytes) -> str:
    """The last line that is not empty, readable, at most 500 characters."""
    lines = [line for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:500] if lines else ""


def read_object(line: bytes) -> dict[str, Any]:
    """The JSON object in a line.

    Raises:
        InvalidInput: it is none; the sentence shows how it begins.
    """
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(line)
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
    raise InvalidInput(f"Not a JSON object: {line[:60]!r}.")
