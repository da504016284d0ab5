"""The one door to the durable engine (DBOS): functions whose finished steps are never done again.

The grain is a task's phase, not a model call. A step runs at least once: what it does outside the database must be
safe to repeat. All coroutines run in the event loop that launched the engine.
"""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import TypeAdapter

from bullpen.domain import errors
from bullpen.domain.errors import BullpenError, Conflict, LimitExceeded, Unavailable
from bullpen.kernel.json_text import dump

if TYPE_CHECKING:  # importing the engine takes 0.4 s, so only those who launch it do
    from dbos import DBOSConfig, WorkflowHandleAsync

T = TypeVar("T")
Json = Any  # what JSON can hold
Workflow = Callable[[str], Coroutine[Any, Any, Json]]

RELEASE = "1"  # grows when pending workflows of the release before cannot go on with this code


class _JsonSerializer:
    """Payloads are JSON, never pickles: who can write the database must not be able to run code."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=_as_json)

    def deserialize(self, serialized_data: str) -> Any:
        return _from_json(json.loads(serialized_data))

    def name(self) -> str:
        return "bullpen_json"


class StepFailed(BullpenError):
    """A stored failure that is none of ours, read back: its name and sentence."""


def _as_json(value: object) -> Json:
    if isinstance(value, BullpenError):
        told = {
            "code": value.code,
            "sentence": value.sentence,
            "remedy": value.remedy,
            "data": dict(value.data),
        }
        return {"__error__": type(value).__name__, **told}
    if isinstance(value, BaseException):
        return {"__error__": type(value).__name__, "sentence": f"{type(value).__name__}: {value}"}
    raise TypeError(f"a step's result must be JSON, not {type(value).__name__}")


def _from_json(value: Json) -> Json:
    if not isinstance(value, dict) or "__error__" not in value:
        return value  # pyright: ignore[reportUnknownVariableType]
    kept: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
    kind = getattr(errors, kept["__error__"], None)
    kind = kind if isinstance(kind, type) and issubclass(kind, BullpenError) else StepFailed
    return kind(
        kept["sentence"],
        remedy=kept.get("remedy", ""),
        code=kept.get("code", ""),
        data=kept.get("data"),
    )


def _refuse_pickle(_self: object, _data: object) -> NoReturn:
    raise Conflict("The engine's tables hold a value that is not JSON; it was not read.", code="not-json")


def _never_pickle() -> None:
    """A row may name its own format, and the engine's default one runs code when it is read: it is taken away."""
    from dbos import _serialization  # pyright: ignore[reportPrivateUsage]

    for name in ("serialize", "deserialize"):
        setattr(_serialization.DefaultSerializer, name, _refuse_pickle)


@dataclass(frozen=True, slots=True)
class Run:
    """A started workflow."""

    id: str
    result: Callable[[], Awaitable[Json]]


_current: "ContextVar[DurableEngine]" = ContextVar("bullpen_durable_engine")


class DurableEngine:
    """Launches the engine for one executor and runs workflows on it. One at a time in a process."""

    def __init__(self, url: str, executor: str, workflows: Mapping[str, Workflow]) -> None:
        """``executor`` is stable over restarts: launching with it again goes on with what it left."""
        from dbos import DBOS

        _never_pickle()
        logging.getLogger("dbos").setLevel(logging.ERROR)
        self._engine = None
        config: DBOSConfig = {
            "name": "bullpen",
            "executor_id": executor,
            "application_version": RELEASE,
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "serializer": _JsonSerializer(),  # pyright: ignore[reportAssignmentType]
            "notification_listener_polling_interval_sec": 0.05,
        }
        if url.startswith("sqlite"):
            from bullpen.kernel.storage.sqlite import tuned_engine

            self._engine = tuned_engine(url)
            config["system_database_engine"] = self._engine
        config["system_database_url"] = url
        DBOS(config=config)
        self._workflows = {
            name: DBOS.workflow(name=name)(self._knowing(body)) for name, body in workflows.items()
        }

    def _knowing(self, body: Workflow) -> Workflow:
        async def run(argument: str) -> Json:
            _current.set(self)
            return await body(argument)

        return run

    async def launch(self) -> None:
        """Start; interrupted workflows of this executor go on."""
        from dbos import DBOS

        DBOS.launch()

    async def start(self, workflow: str, run_id: str, argument: str) -> Run:
        """Start a workflow, or join the one with this id. ``argument`` is a string: an id, not a payload."""
        from dbos import DBOS, SetWorkflowID

        with SetWorkflowID(run_id):
            return _run(run_id, await DBOS.start_workflow_async(self._workflows[workflow], argument))

    async def resume(self, run_id: str) -> Run:
        """Wait for a workflow that recovery has taken up again."""
        from dbos import DBOS

        return _run(run_id, await DBOS.retrieve_workflow_async(run_id))

    async def is_known(self, run_id: str) -> bool:
        """Whether a workflow with this id was ever started."""
        from dbos import DBOS

        return await DBOS.get_workflow_status_async(run_id) is not None

    async def cancel(self, run_id: str) -> None:
        """Stop before the workflow's next step; what it started is stopped, too."""
        from dbos import DBOS

        await DBOS.cancel_workflow_async(run_id, cancel_children=True)

    async def close(self) -> None:
        """Stop; what is running is taken up at the next launch."""
        from dbos import DBOS

        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
        if self._engine is not None:
            self._engine.dispose()


async def start_child(workflow: str, run_id: str, argument: str) -> Run:
    """Start a workflow from within one, or join the one with this id."""
    return await _current.get().start(workflow, run_id, argument)


def _run(run_id: str, handle: "WorkflowHandleAsync[Json]") -> Run:
    async def result() -> Json:
        with _stopped():
            return await handle.get_result(polling_interval_sec=0.05)

    return Run(run_id, result)


@contextmanager
def _stopped() -> Generator[None]:
    from dbos import error

    try:
        yield
    except (error.DBOSWorkflowCancelledError, error.DBOSAwaitedWorkflowCancelledError) as cancelled:
        raise Conflict("The session was stopped.", code="stopped") from cancelled


async def step(
    name: str,
    kind: type[T],
    body: Callable[[], Awaitable[T]],
    *,
    retries: int = 0,
    pause: float = 1.0,
    seconds: float | None = None,
) -> T:
    """Run ``body`` once and keep its result, a ``kind``; after a restart the kept result is returned instead.

    ``retries`` counts further tries where something was not available or took too long, the first after about
    ``pause`` seconds, each later one after twice as long, with jitter. ``seconds`` bounds each try.

    Raises:
        Conflict: (code ``stopped``) the workflow was cancelled.
        LimitExceeded: a try took longer than ``seconds``.
    """
    from dbos import DBOS

    adapter: TypeAdapter[T] = TypeAdapter(kind)

    async def once() -> Json:
        return json.loads(dump(adapter, await _persistently(name, body, retries, pause, seconds)))

    with _stopped():
        return adapter.validate_python(await DBOS.run_step_async({"name": name}, once))


async def _persistently(
    name: str, body: Callable[[], Awaitable[T]], retries: int, pause: float, seconds: float | None
) -> T:
    for _ in range(retries):
        try:
            return await _within(name, body, seconds)
        except (Unavailable, LimitExceeded):
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter is no secret
            pause *= 2
    return await _within(name, body, seconds)


async def _within(name: str, body: Callable[[], Awaitable[T]], seconds: float | None) -> T:
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            return await body()
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise LimitExceeded(f"{name} took longer than {seconds} s.", code="timeout") from error
