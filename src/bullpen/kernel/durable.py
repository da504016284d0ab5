"""The one door to the durable engine (DBOS): functions whose finished steps are never done again.

The grain is a task's phase, not a model call. A step runs at least once: what it does outside the database must be
safe to repeat. All coroutines run in the event loop that launched the engine.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowHandleAsync
from dbos import error as engine_errors
from pydantic import TypeAdapter

from bullpen.domain.errors import Conflict
from bullpen.kernel.storage.sqlite import storage_errors, tuned_engine

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


def _as_json(value: object) -> Json:
    if isinstance(value, BaseException):
        return {"__error__": type(value).__name__, "sentence": str(value)}
    if isinstance(value, tuple):
        return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise TypeError(f"a step's result must be JSON, not {type(value).__name__}")


def _from_json(value: Json) -> Json:
    if isinstance(value, dict) and "__error__" in value:
        return StepFailed(f"{value['__error__']}: {value['sentence']}")  # pyright: ignore[reportUnknownArgumentType]
    return value  # pyright: ignore[reportUnknownVariableType]


class StepFailed(Exception):
    """A stored failure, read back: the first error's name and sentence."""


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
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # what it would print, its caller is told too
        self._engine = None
        config: DBOSConfig = {
            "name": "bullpen",
            "executor_id": executor,
            "application_version": RELEASE,
            "log_level": "CRITICAL",
            "console_log_level": "CRITICAL",
            "serializer": _JsonSerializer(),  # pyright: ignore[reportAssignmentType]
            "notification_listener_polling_interval_sec": 0.05,
        }
        if url.startswith("sqlite"):
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
        with storage_errors():
            DBOS.launch()

    async def start(self, workflow: str, run_id: str, argument: str) -> Run:
        """Start a workflow, or join the one with this id. ``argument`` is a string: an id, not a payload."""
        with storage_errors(), SetWorkflowID(run_id):
            return _run(run_id, await DBOS.start_workflow_async(self._workflows[workflow], argument))

    async def resume(self, run_id: str) -> Run:
        """Wait for a workflow that recovery has taken up again."""
        return _run(run_id, await DBOS.retrieve_workflow_async(run_id))

    async def is_known(self, run_id: str) -> bool:
        """Whether a workflow with this id was ever started."""
        return await DBOS.get_workflow_status_async(run_id) is not None

    async def cancel(self, run_id: str) -> None:
        """Stop before the workflow's next step."""
        await DBOS.cancel_workflow_async(run_id)

    async def close(self) -> None:
        """Stop; what is running is taken up at the next launch."""
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
        if self._engine is not None:
            self._engine.dispose()


async def start_child(workflow: str, run_id: str, argument: str) -> Run:
    """Start a workflow from within one, or join the one with this id."""
    return await _current.get().start(workflow, run_id, argument)


def _run(run_id: str, handle: WorkflowHandleAsync[Json]) -> Run:
    async def result() -> Json:
        with storage_errors():
            return await handle.get_result(polling_interval_sec=0.05)

    return Run(run_id, result)


async def step(name: str, kind: type[T], body: Callable[[], Awaitable[T]], *, retries: int = 0) -> T:
    """Run ``body`` once and keep its result, a ``kind``; after a restart the kept result is returned instead.

    ``retries`` counts further tries after a failure, with exponential backoff from one second.
    """
    adapter: TypeAdapter[T] = TypeAdapter(kind)

    async def once() -> Json:
        return adapter.dump_python(await body(), mode="json")

    try:
        kept = await DBOS.run_step_async(
            {
                "name": name,
                "retries_allowed": retries > 0,
                "max_attempts": retries + 1,
                "interval_seconds": 1.0,
            },
            once,
        )
    except engine_errors.DBOSWorkflowCancelledError as error:
        raise Conflict("The session was stopped.", code="stopped") from error
    return adapter.validate_python(kept)
