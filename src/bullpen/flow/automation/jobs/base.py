"""What an automation may do: what a file says of it, and how it is done so that doing it again does no harm."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from bullpen.domain.errors import Conflict
from bullpen.domain.ids import SessionId
from bullpen.domain.money import Money
from bullpen.kernel.extend import ExtensionPoint

if TYPE_CHECKING:
    from bullpen.flow.workflows.work_item import Bench
    from bullpen.kernel.durable import DurableEngine, Json, Run

InputsT = TypeVar("InputsT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Errand:
    """One run to be done. ``session_id`` is the same each time it is taken up; ``stop`` is set when it shall end.

    ``repo`` is a folder or a URL, ``budget`` nothing where there is none.
    """

    bench: "Bench"
    engine: "DurableEngine"
    session_id: SessionId
    repo: str
    budget: Money
    stop: asyncio.Event


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it: done, failed or waiting (for a person or a moment); ``words`` are one line for people."""

    outcome: str
    words: str = ""


@dataclass(frozen=True)
class Job(Generic[InputsT]):
    """A thing to do. ``inputs`` is the model of what a file says; ``run`` may be called again after a crash.

    ``spends`` says whether it can be held to a budget.
    """

    inputs: type[InputsT]
    run: Callable[[Errand, InputsT], Awaitable[Result]]
    spends: bool = False


JOBS: ExtensionPoint[Job[Any]] = ExtensionPoint("bullpen.flow.automation.jobs", "JOB")


async def result_unless_stopped(errand: Errand, run: "Run") -> "Json":
    """What a durable function came to; told to stop, it is cancelled before its next step.

    Raises:
        Conflict: (code ``stopped``) it was.
    """
    waiting = asyncio.ensure_future(run.result())
    stopping = asyncio.ensure_future(errand.stop.wait())
    try:
        await asyncio.wait((waiting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            await errand.engine.cancel(run.id)
            raise Conflict(f"{run.id} was stopped.", code="stopped")
        return waiting.result()
    finally:
        waiting.cancel()
        stopping.cancel()
        await asyncio.gather(waiting, stopping, return_exceptions=True)
