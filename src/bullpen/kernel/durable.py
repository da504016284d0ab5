"""The one door to the durable engine (DBOS): functions whose finished steps are never done again.

The grain is a task's phase, not a model call. A step runs at least once: what it does outside the database must be
safe to repeat. All coroutines run in the event loop that launched the engine.

On SQLite a process works alone. On PostgreSQL it is one of a fleet: workflows that are ``shared`` wait in a queue for
whoever has a lane free, and what a process had begun when it died is taken over by another.
"""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.exc import OperationalError

from bullpen.domain import errors
from bullpen.domain.errors import AWAY, BullpenError, Conflict, LimitExceeded, Unavailable
from bullpen.kernel.executors import Executor, Lease, home_of
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.sqlite import storage_errors, tuned_engine
from bullpen.kernel.storage.unit_of_work import UnitOfWork

if TYPE_CHECKING:  # importing the engine takes 0.4 s, so only those who launch it do
    from dbos import DBOSConfig, WorkflowHandleAsync
    from dbos._queue import Queue
    from dbos._sys_db import SystemDatabase

T = TypeVar("T")
Json = Any  # what JSON can hold
Workflow = Callable[[str], Coroutine[Any, Any, Json]]

RELEASE = "1"  # grows when pending workflows of the release before cannot go on with this code
QUEUE_SECONDS = 0.1  # between two looks at a queue; each costs about 2 ms of processor time
ORPHAN_SECONDS = 1.0
MOST_OUTAGES = 5
_SHARED = "items@"
_LOG = logging.getLogger(__name__)


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


class _NotKept(BaseException):
    """Carries an error past the engine, which keeps every ``Exception`` of a step."""

    def __init__(self, error: BullpenError) -> None:
        super().__init__(error)
        self.error = error


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


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A run that another executor had begun and did not end; ``attempts`` counts how often it was begun so far."""

    run: str
    executor: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """How a process works with others on one PostgreSQL.

    ``items`` names the queue shared workflows wait in; ``orphans`` says whether this process also goes on with runs
    of its home that were started elsewhere and not ended. ``on_taken`` and ``on_lost`` are called from other threads:
    the one for each run that is handed on, the other when this process may not work any more and has to end.
    """

    me: Executor
    items: str
    on_taken: Callable[[TakenOver], None]
    on_lost: Callable[[str], None]
    orphans: bool = False

    def queues(self) -> tuple[tuple[str, float], ...]:
        """Those this process takes from, with the seconds between two looks."""
        own = (_own_queue(self.me.id), ORPHAN_SECONDS)
        orphans = ((_orphans_queue(home_of(self.me.id)), ORPHAN_SECONDS),) if self.orphans else ()
        return ((self.items, QUEUE_SECONDS), own, *orphans)


def items_queue(name: str) -> str:
    """The queue of those who can do the same work: who share a home, or an exchange."""
    return f"{_SHARED}{name}"


def _own_queue(executor: str) -> str:
    """What was asked for in this process and is done in it."""
    return f"own@{executor}"


def _orphans_queue(home: str) -> str:
    """Runs whose process died, for others of its home."""
    return f"orphans@{home}"


_current: "ContextVar[DurableEngine]" = ContextVar("bullpen_durable_engine")


class DurableEngine:
    """Launches the engine for one executor and runs workflows on it. One at a time in a process."""

    def __init__(
        self, url: str, executor: str, workflows: Mapping[str, Workflow], fleet: Fleet | None = None
    ) -> None:
        """``executor`` is stable over restarts: launching with it again goes on with what it left.

        With a ``fleet`` (on PostgreSQL) its ``me.id`` takes that place, and is new for every start.
        """
        from dbos import DBOS

        _never_pickle()
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # what it would print, its caller is told too
        self._engine = None
        self._fleet = fleet
        self._lease = Lease(url, fleet.me, self._sweep, fleet.on_lost) if fleet else None
        self._queues: list[Queue] = []
        self._asked_for: set[str] = set()
        self._executor = executor
        self._running: set[asyncio.Task[Any]] = set()
        config: DBOSConfig = {
            "name": "bullpen",
            "executor_id": fleet.me.id if fleet else executor,
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
            task = asyncio.current_task()
            if task is not None:
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            return await body(argument)

        return run

    @property
    def running(self) -> int:
        """How many workflows run in this process now."""
        return len(self._running)

    async def launch(self) -> None:
        """Start; interrupted workflows of this executor, or of one of its fleet that died, go on."""
        from dbos import DBOS

        with storage_errors():
            if self._lease and self._fleet:
                await asyncio.to_thread(self._lease.announce)
                for name, pause in self._fleet.queues():
                    self._queues.append(_listen(name, self._fleet.me.lanes, pause))
            DBOS.launch()
            if self._lease:
                self._lease.keep()

    async def start(self, workflow: str, run_id: str, argument: str, *, shared: bool = False) -> Run:
        """Start a workflow, or join the one with this id. ``argument`` is a string: an id, not a payload.

        In a fleet a ``shared`` one is done by whoever has a lane free; any other one in this process, also if it was
        left by one that ended.
        """
        from dbos import DBOS, SetWorkflowID

        body = self._workflows[workflow]
        with storage_errors():
            if self._fleet and not shared:
                self._asked_for.add(run_id)
                if await asyncio.to_thread(self._claim):
                    return await self.resume(run_id)
            with SetWorkflowID(run_id):
                if self._fleet and shared:
                    handle = await DBOS.enqueue_workflow_async(self._fleet.items, body, argument)
                else:
                    handle = await DBOS.start_workflow_async(body, argument)
        return _run(run_id, handle)

    async def resume(self, run_id: str) -> Run:
        """Wait for a workflow that recovery has taken up again."""
        from dbos import DBOS

        return _run(run_id, await DBOS.retrieve_workflow_async(run_id))

    async def is_known(self, run_id: str) -> bool:
        """Whether a workflow with this id was ever started."""
        from dbos import DBOS

        return await DBOS.get_workflow_status_async(run_id) is not None

    async def adopt(self, families: Iterable[str]) -> int:
        """Go on with what another executor began and did not end, where nobody else will; how many runs there were.

        ``families`` are what their ids begin with. The caller must know that nothing of them runs any more. In a fleet
        the leases say that, and nothing is done.
        """
        if self._fleet:
            return 0
        with storage_errors():
            return await asyncio.to_thread(_adopt, tuple(families), self._executor)

    async def attempts(self, run_id: str) -> int:
        """How often a workflow was begun; what it did outside the database may have been done as often."""
        from dbos import DBOS

        known = await DBOS.get_workflow_status_async(run_id)
        return known.recovery_attempts or 0 if known else 0

    async def cancel(self, run_id: str) -> None:
        """Stop before the workflow's next step; what it started is stopped, too."""
        from dbos import DBOS

        await DBOS.cancel_workflow_async(run_id, cancel_children=True)

    def take_no_more(self) -> None:
        """Begin nothing new from the queues; what runs goes on."""
        self._take(0)

    def take_again(self) -> None:
        """Begin what waits in the queues, after ``take_no_more`` or ``hand_on``."""
        self._take(self._fleet.me.lanes if self._fleet else 0)

    def _take(self, lanes: int) -> None:
        for queue in self._queues:
            queue._worker_concurrency = lanes  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    async def hand_on(self) -> list[TakenOver]:
        """Begin nothing new, and let others do what runs here; which runs those were. In a fleet only.

        Raises:
            Unavailable: the database is away; what runs here still does.
        """
        if not self._fleet:
            return []
        self.take_no_more()
        with storage_errors():
            handed = await asyncio.to_thread(_hand_on, self._fleet.me.id, _own_queue(self._fleet.me.id))
        await self._stop_running()
        return handed

    async def _stop_running(self) -> None:
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def drain(self, seconds: float) -> int:
        """Begin nothing new, and wait for what runs, at most so long; how much still runs."""
        self.take_no_more()
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=seconds)
        return self.running

    async def close(self) -> None:
        """Stop; what is running is taken up at the next launch, in a fleet shared workflows at once by others."""
        from dbos import DBOS

        if self._lease:
            await self._leave()
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
        if self._engine is not None:
            self._engine.dispose()

    async def _leave(self) -> None:
        """Hand on first, so that the end of what runs here is not taken for its result.

        What was asked for here is kept until somebody asks for it again: who stopped it may have wanted that.
        """
        if not self._fleet:
            return
        self.take_no_more()
        if self._lease:
            await asyncio.to_thread(self._lease.stop)
        try:
            await asyncio.to_thread(_hand_on, self._fleet.me.id, _own_queue(self._fleet.me.id))
        except OperationalError as error:  # the database is away: the lease will end by itself
            _LOG.warning("work was not handed on: %s", error)
        await self._stop_running()
        if self._lease:
            await asyncio.to_thread(self._lease.withdraw)

    def _sweep(self, alive: frozenset[str]) -> None:
        """Hand on what the dead had begun; called by the lease every few seconds."""
        if not self._fleet:
            return
        for executor in _working() - alive:
            for taken in _hand_on(executor, _orphans_queue(home_of(executor) or home_of(self._fleet.me.id))):
                _LOG.info("%s was begun by %s, which is gone; it is done again", taken.run, executor)
                self._fleet.on_taken(taken)
        self._claim()

    def _claim(self) -> bool:
        """Runs that were asked for here and wait for anybody, are done here; whether there was one."""
        if not self._fleet or not self._asked_for:
            return False
        return _move(self._asked_for, _own_queue(self._fleet.me.id)) > 0


def _system() -> "SystemDatabase":
    from dbos._dbos import _get_dbos_instance  # pyright: ignore[reportPrivateUsage]

    return _get_dbos_instance()._sys_db  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _listen(name: str, lanes: int, pause: float) -> "Queue":
    """A queue as this process sees it: how many it runs at once is its own affair, so it is not in the database."""
    from dbos._dbos import _get_or_create_dbos_registry  # pyright: ignore[reportPrivateUsage]

    registry = _get_or_create_dbos_registry()
    return registry._register_internal_queue(  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        name, worker_concurrency=lanes, polling_interval_sec=pause
    )


def _working() -> frozenset[str]:
    """Executors that are on record as having begun something they did not end."""
    system = _system()
    runs = system.tables.workflow_status.c
    begun = sa.select(runs.executor_id).distinct()
    begun = begun.where(runs.status == "PENDING", runs.application_version == RELEASE)
    with system.engine.connect() as connection:
        return frozenset(row[0] for row in connection.execute(begun) if row[0])


def _hand_on(executor: str, queue: str) -> list[TakenOver]:
    """Let others do what ``executor`` had begun: shared runs wait in their queue again, others in ``queue``.

    Whatever still runs of it cannot record anything any more: each beginning has an owner of its own.
    """
    system = _system()
    runs = system.tables.workflow_status
    waiting = (
        sa.update(runs)
        .where(runs.c.status == "PENDING", runs.c.executor_id == executor)
        .where(runs.c.application_version == RELEASE)
        .values(
            status="ENQUEUED",
            owner_xid=None,
            started_at_epoch_ms=None,
            queue_name=sa.case((runs.c.queue_name.like(f"{_SHARED}%"), runs.c.queue_name), else_=queue),
        )
        .returning(runs.c.workflow_uuid, runs.c.recovery_attempts)
    )
    with system.engine.begin() as connection:
        return [TakenOver(run, executor, attempts or 0) for run, attempts in connection.execute(waiting)]


def _adopt(families: Iterable[str], executor: str) -> int:
    """Let what others than ``executor`` had begun of families wait in the queue that every executor takes from."""
    from dbos._utils import INTERNAL_QUEUE_NAME  # pyright: ignore[reportPrivateUsage]

    system = _system()
    runs = system.tables.workflow_status
    theirs = sa.or_(*(runs.c.workflow_uuid.startswith(f"{one}:", autoescape=True) for one in families))
    waiting = (
        sa.update(runs)
        .where(theirs, runs.c.status == "PENDING", runs.c.executor_id != executor)
        .where(runs.c.application_version == RELEASE)
        .values(status="ENQUEUED", owner_xid=None, started_at_epoch_ms=None, queue_name=INTERNAL_QUEUE_NAME)
    )
    with system.engine.begin() as connection:
        return connection.execute(waiting).rowcount


def _move(runs: Iterable[str], queue: str) -> int:
    """Let runs that nobody has begun wait in another queue; how many did so."""
    system = _system()
    known = system.tables.workflow_status
    moved = (
        sa.update(known)
        .where(known.c.workflow_uuid.in_(tuple(runs)), known.c.status == "ENQUEUED")
        .values(queue_name=queue)
    )
    with system.engine.begin() as connection:
        return connection.execute(moved).rowcount


async def runs_by_executor(uow: UnitOfWork) -> dict[str, int]:
    """How many workflows each executor has begun and not ended; on PostgreSQL."""
    there = sa.select(sa.func.to_regclass("dbos.workflow_status"))
    if (await uow.fetch(there))[0][0] is None:
        return {}
    runs = sa.table("workflow_status", sa.column("executor_id"), sa.column("status"), schema="dbos")
    counted = sa.select(runs.c.executor_id, sa.func.count()).where(runs.c.status == "PENDING")
    rows = await uow.fetch(counted.group_by(runs.c.executor_id))
    return {row[0]: row[1] for row in rows if row[0]}


async def start_child(workflow: str, run_id: str, argument: str, *, shared: bool = False) -> Run:
    """Start a workflow from within one, or join the one with this id; see ``DurableEngine.start``."""
    return await _current.get().start(workflow, run_id, argument, shared=shared)


def _run(run_id: str, handle: "WorkflowHandleAsync[Json]") -> Run:
    async def result() -> Json:
        with _stopped(), storage_errors():
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
    keeps_failure: bool = True,
) -> T:
    """Run ``body`` once and keep its result, a ``kind``; after a restart the kept result is returned instead.

    A failure is kept as well, unless ``keeps_failure`` is unset: then a workflow that was interrupted after it, say on
    a full disk, tries again. Such a workflow must not run other steps because one has failed.

    ``retries`` counts further tries where something was not available or took too long, the first after about
    ``pause`` seconds, each later one after twice as long, with jitter. ``seconds`` bounds each try. A database that
    went away is no fault of ``body``: it is tried again in any case, ``MOST_OUTAGES`` times.

    Raises:
        Conflict: (code ``stopped``) the workflow was cancelled.
        LimitExceeded: a try took longer than ``seconds``.
    """
    from dbos import DBOS

    adapter: TypeAdapter[T] = TypeAdapter(kind)

    async def once() -> Json:
        try:
            return json.loads(dump(adapter, await _persistently(name, body, retries, pause, seconds)))
        except BullpenError as error:
            if keeps_failure:
                raise
            raise _NotKept(error) from error

    with _stopped():
        try:
            return adapter.validate_python(await DBOS.run_step_async({"name": name}, once))
        except _NotKept as failed:
            raise failed.error from failed.error.__cause__


async def _persistently(
    name: str, body: Callable[[], Awaitable[T]], retries: int, pause: float, seconds: float | None
) -> T:
    outages = 0
    while True:
        try:
            return await _within(name, body, seconds)
        except (Unavailable, LimitExceeded) as error:
            away = error.code == AWAY
            outages, retries = (outages + 1, retries) if away else (outages, retries - 1)
            if retries < 0 or outages > MOST_OUTAGES:
                raise
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter is no secret
        pause *= 2


async def _within(name: str, body: Callable[[], Awaitable[T]], seconds: float | None) -> T:
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            return await body()
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise LimitExceeded(f"{name} took longer than {seconds} s.", code="timeout") from error
