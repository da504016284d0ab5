"""In the database of the records: the default. A message can be sent, and settled, in the transaction of other rows.

On SQLite whoever waits is woken in the process at once, and by the file's change counter in others. On PostgreSQL
consumers skip each other's rows, and NOTIFY wakes those who wait. Calls that come together share a transaction.
"""

import asyncio
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Insert, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from bullpen.domain.errors import BullpenError, Conflict, InvalidInput, LimitExceeded
from bullpen.domain.ids import OrganizationId
from bullpen.kernel.bus import tables
from bullpen.kernel.bus.addresses import To
from bullpen.kernel.bus.backends._found import Found, HotPath, Search
from bullpen.kernel.bus.backends._on_sqlite import OnSqlite
from bullpen.kernel.bus.backends._wakes import Wakes
from bullpen.kernel.bus.backends.base import (
    LONGEST_PAUSE,
    DeadLetter,
    Delivery,
    Depth,
    Limits,
    Setup,
    full,
)
from bullpen.kernel.bus.messages import Message, seal, unseal
from bullpen.kernel.clock import now
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.sqlite import SqliteStore
from bullpen.kernel.storage.unit_of_work import Connection, Rows, UnitOfWork

T = TypeVar("T")
Clock = Callable[[], float]

CHUNK = 400  # values in one statement
TOGETHER = 256  # calls that share a transaction


class _InsertIfNew(Insert):
    """An insert that passes over rows whose key is there already; both databases say it alike, SQLAlchemy does not."""

    inherit_cache = True


@compiles(_InsertIfNew)
def _compile_if_new(element: _InsertIfNew, compiler: SQLCompiler, **how: Any) -> str:
    text = cast("str", compiler.visit_insert(element, **how))  # pyright: ignore[reportUnknownMemberType]
    return f"{text} ON CONFLICT DO NOTHING"


_queue, _dead = tables.message.c, tables.dead_letter.c
_mine = (
    _queue.organization_id == bindparam("organization"),
    _queue.queue.in_(bindparam("queues", expanding=True)),
)
_mine_dead = (_dead.organization_id == bindparam("organization"), _dead.queue == bindparam("queue"))
_COUNT = select(_queue.queue, func.count()).where(*_mine).group_by(_queue.queue)
_KNOWN = select(_queue.queue, _queue.id).where(*_mine, _queue.id.in_(bindparam("ids", expanding=True)))
_INSERT = _InsertIfNew(tables.message).inline()
_INSERT_DEAD = insert(tables.dead_letter)
_DEAD = select(_dead.id, _dead.body, _dead.reason, _dead.deliveries, _dead.at).where(*_mine_dead)


@dataclass(slots=True, eq=False)
class _Call:
    """Something to be done in a transaction that is shared with others."""

    publish: Sequence[Message] = ()
    settle: Sequence[int] = ()
    done: bool = False
    error: BullpenError | None = None


@dataclass(slots=True)
class _Gate:
    """Calls of one organization that wait for their transaction; whoever comes first does it for all."""

    waiting: list[_Call] = field(default_factory=list[_Call])
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class DatabaseBackend:
    """See ``Backend``. Without a ``clock`` time is the database server's: one for all machines."""

    database: Database
    hot: HotPath
    limits: Limits = field(default_factory=Limits)
    clock: Clock | None = None
    _wakes: Wakes = field(default_factory=Wakes)
    _busy: set[tuple[str, ...]] = field(
        default_factory=set[tuple[str, ...]]
    )  # inboxes that had something when they were last asked
    _gates: dict[str, _Gate] = field(default_factory=lambda: defaultdict[str, _Gate](_Gate))

    # --- sending ------------------------------------------------------------------------------------------------------

    async def publish(self, organization: OrganizationId, messages: Sequence[Message]) -> None:
        """See ``Backend.publish``; all of them or none."""
        await self._together(organization, _Call(publish=messages))
        self._ring(organization, {message.to for message in messages})

    async def publish_within(self, uow: UnitOfWork, messages: Sequence[Message]) -> None:
        """Send in the caller's transaction: the messages are there when, and only if, it commits.

        Raises:
            LimitExceeded: a queue is full; none is sent.
        """
        call = _Call(publish=messages)
        await _publish(uow.connection, uow.actor.organization_id, [call], self.limits.bound)
        await uow.connection.announce()
        if call.error:
            raise call.error

    async def ack_within(self, uow: UnitOfWork, delivery: Delivery) -> None:
        """Settle in the caller's transaction: what was done and that it was done are one.

        Raises:
            Conflict: the lease has ended, so somebody else may be doing the same; the transaction must not commit.
        """
        if not await uow.run(delete(tables.message).where(*_leased(delivery))):
            raise Conflict(
                f"The lease of {delivery.message.id} has ended before it was handled.",
                remedy="It is handed out again; make the lease longer if this happens often.",
                code="lease-ended",
            )

    async def _together(self, organization: OrganizationId, call: _Call) -> None:
        """Do it in one transaction with the calls that came at the same time."""
        gate = self._gates[organization]
        gate.waiting.append(call)
        try:
            async with gate.turn:
                if not call.done:
                    await asyncio.sleep(0)  # those who came with us get in line
                    await self._do_waiting(organization, gate, call)
        finally:
            if call in gate.waiting:  # cancelled; the others try for themselves
                gate.waiting.remove(call)
        if call.error:
            raise call.error

    async def _do_waiting(self, organization: OrganizationId, gate: _Gate, own: _Call) -> None:
        others = [call for call in gate.waiting if call is not own][: TOGETHER - 1]
        calls = [own, *others]
        try:
            await self._do_together(organization, calls)
        except BullpenError as error:
            for call in calls:
                call.error = error
        for call in calls:
            call.done = True
        gate.waiting[:] = [call for call in gate.waiting if not call.done]

    async def _do_together(self, organization: OrganizationId, calls: Sequence[_Call]) -> None:
        """In one statement each, where nothing is refused; else one after the other, to see which."""
        messages = [message for call in calls for message in call.publish]
        settled = [position for call in calls for position in call.settle]
        if not await self.hot.put(organization, messages, self.limits.bound, settled):
            async with self.database.store.writing(organization) as connection:
                if await _publish(connection, organization, calls, self.limits.bound):
                    await connection.announce()

    # --- receiving ----------------------------------------------------------------------------------------------------

    async def claim(
        self, organization: OrganizationId, queues: Sequence[str], limit: int
    ) -> Sequence[Delivery]:
        """See ``Backend.claim``."""
        place = (organization, *queues)
        if place not in self._busy and not await self._has(organization, queues):
            return ()  # without keeping writers waiting
        token = secrets.token_hex(8)
        at, lease = self.clock() if self.clock else None, self.limits.lease_seconds
        search = Search(organization, queues, limit, at, lease, self.limits.horizon)
        found = await self.hot.claim(search, token)
        (self._busy.add if found else self._busy.discard)(place)
        return [_delivery(row, organization, token) for row in found]

    async def _has(self, organization: str, queues: Sequence[str]) -> bool:
        """Whether there is anything to be had."""
        at = self._now()
        free = or_(_queue.free_at <= at, _queue.free_at > at + self.limits.horizon)
        mine = (_queue.organization_id == organization, _queue.queue.in_(queues))
        async with self.database.store.reading() as connection:
            return bool(await connection.fetch(select(_queue.position).where(*mine, free).limit(1)))

    def _now(self) -> ColumnElement[float]:
        if self.clock:
            return sa.literal(self.clock(), sa.Float)
        return sa.cast(sa.extract("epoch", func.clock_timestamp()), sa.Float(53))

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See ``Backend.ack``."""
        for organization, some in _by_organization(deliveries).items():
            await self._together(organization, _Call(settle=[int(one.handle) for one in some]))

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """See ``Backend.extend``."""
        for delivery in deliveries:
            await self._hold(delivery, self.limits.lease_seconds, delivery.token)

    async def retry(self, delivery: Delivery, seconds: float) -> None:
        """See ``Backend.retry``."""
        await self._hold(delivery, min(seconds, LONGEST_PAUSE), "")
        self._ring(delivery.organization, {delivery.queue})

    async def _hold(self, delivery: Delivery, seconds: float, token: str) -> None:
        change = (
            update(tables.message)
            .where(*_leased(delivery))
            .values(free_at=self._now() + seconds, token=token)
        )
        async with self.database.store.writing(_of(delivery.organization, [delivery.queue])) as connection:
            await connection.run(change)

    # --- dead letters -------------------------------------------------------------------------------------------------

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """See ``Backend.bury``."""
        name = delivery.message.id or f"entry-{delivery.handle}"
        async with self.database.store.writing(_of(delivery.organization, [delivery.queue])) as connection:
            rows = await connection.fetch(select(_queue.body).where(*_leased(delivery)))
            if rows and await connection.run(delete(tables.message).where(*_leased(delivery))):
                await _forget(connection, delivery.organization, delivery.queue, [name])
                await connection.run(
                    _INSERT_DEAD,
                    [
                        {
                            "organization_id": delivery.organization,
                            "queue": delivery.queue,
                            "id": name,
                            "body": rows[0].body,
                            "reason": reason,
                            "deliveries": delivery.deliveries,
                            "at": now(),
                        }
                    ],
                )

    async def dead_letters(
        self, organization: OrganizationId, queue: str, limit: int = 100
    ) -> Sequence[DeadLetter]:
        """See ``Backend.dead_letters``."""
        async with self.database.store.reading() as connection:
            return [
                _letter(row, queue) for row in await _dead_rows(connection, organization, queue, None, limit)
            ]

    async def dead_queues(self, organization: OrganizationId) -> Sequence[str]:
        """See ``Backend.dead_queues``."""
        mine = select(_dead.queue).where(_dead.organization_id == organization)
        async with self.database.store.reading() as connection:
            return sorted(row[0] for row in await connection.fetch(mine.distinct()))

    async def requeue(
        self, organization: OrganizationId, queue: str, ids: Sequence[str] | None = None
    ) -> int:
        """See ``Backend.requeue``; all of them or none."""
        async with self.database.store.writing(organization) as connection:
            rows = await _dead_rows(connection, organization, queue, ids)
            known = await _known(connection, organization, [queue], [row.id for row in rows])
            fresh = [row for row in rows if (queue, row.id) not in known]
            if (await _counts(connection, organization, [queue]))[queue] + len(fresh) > self.limits.bound:
                raise full(queue, self.limits.bound)
            await _forget(connection, organization, queue, [row.id for row in rows])
            if fresh:
                await connection.run(_INSERT, [_again(row, organization, queue) for row in fresh])
                await connection.announce()
        self._ring(organization, {queue})
        return len(rows)

    async def purge(self, organization: OrganizationId, queue: str, ids: Sequence[str] | None = None) -> int:
        """See ``Backend.purge``."""
        async with self.database.store.writing(_of(organization, [queue])) as connection:
            rows = await _dead_rows(connection, organization, queue, ids)
            await _forget(connection, organization, queue, [row.id for row in rows])
        return len(rows)

    # --- the rest -----------------------------------------------------------------------------------------------------

    async def depth(self, organization: OrganizationId, queue: str) -> Depth:
        """See ``Backend.depth``."""
        at = self._now()
        free = or_(_queue.free_at <= at, _queue.free_at > at + self.limits.horizon)
        count = select(func.count(), func.count().filter(free)).where(*_mine)
        async with self.database.store.reading() as connection:
            (found,) = await connection.fetch(count.params(organization=organization, queues=[queue]))
            dead = select(func.count()).select_from(tables.dead_letter).where(*_mine_dead)
            (buried,) = await connection.fetch(dead.params(organization=organization, queue=queue))
        return Depth(found[1], found[0] - found[1], buried[0])

    async def drop(self, organization: OrganizationId, queue: str) -> None:
        """See ``Backend.drop``."""
        async with self.database.store.writing(_of(organization, [queue])) as connection:
            for table in (tables.message, tables.dead_letter):
                mine = (table.c.organization_id == organization, table.c.queue == queue)
                await connection.run(delete(table).where(*mine))
            await connection.run(delete(tables.message).where(*_overdue_replies(organization)))

    @asynccontextmanager
    async def listening(
        self, organization: OrganizationId, queues: Sequence[str], wake: Callable[[], None]
    ) -> AsyncGenerator[None]:
        """See ``Backend.listening``."""
        with self._wakes.adding(organization, queues, wake):
            async with self.database.store.listening(wake):
                yield

    def _ring(self, organization: str, queues: set[str]) -> None:
        for queue in queues:
            self._wakes.ring(organization, queue)

    async def close(self) -> None:
        """See ``Backend.close``; the database belongs to whoever opened it."""


# --- statements -------------------------------------------------------------------------------------------------------


async def _publish(connection: Connection, organization: str, calls: Sequence[_Call], bound: int) -> int:
    """Insert what each call publishes, or give it the error it ends with. How many rows were added."""
    messages = [message for call in calls for message in call.publish]
    if not messages:
        return 0
    more = Counter(message.to for message in messages)
    counts = await _counts(connection, organization, list(more))
    known: set[tuple[str, str]] = set()
    if any(
        counts[queue] + more[queue] > bound for queue in more
    ):  # only then it matters who is there already
        known = await _known(connection, organization, list(more), [one.id for one in messages])
    rows: list[dict[str, Any]] = []
    for call in calls:
        fresh = {
            (message.to, message.id): message
            for message in call.publish
            if (message.to, message.id) not in known
        }
        call.error = _refusal(fresh, counts, bound)
        if call.error is None:
            known.update(fresh)
            for message in fresh.values():
                counts[message.to] += 1
                rows.append(_row(organization, message))
    if rows:
        await connection.run(_INSERT, rows)
    return len(rows)


def _refusal(
    fresh: dict[tuple[str, str], Message], counts: dict[str, int], bound: int
) -> LimitExceeded | None:
    more: dict[str, int] = defaultdict(int)
    for queue, _ in fresh:
        more[queue] += 1
    return next((full(queue, bound) for queue in more if counts[queue] + more[queue] > bound), None)


async def _known(
    connection: Connection, organization: str, queues: Sequence[str], ids: Sequence[str]
) -> set[tuple[str, str]]:
    """Which of these messages are in their queues already."""
    found: set[tuple[str, str]] = set()
    for some in _chunks(ids):
        rows = await connection.fetch(_KNOWN.params(organization=organization, queues=queues, ids=some))
        found.update((row.queue, row.id) for row in rows)
    return found


async def _counts(connection: Connection, organization: str, queues: Sequence[str]) -> dict[str, int]:
    rows = await connection.fetch(_COUNT.params(organization=organization, queues=queues))
    return defaultdict(int, {row[0]: row[1] for row in rows})


async def _dead_rows(
    connection: Connection, organization: str, queue: str, ids: Sequence[str] | None, limit: int = -1
) -> Rows:
    statement = _DEAD.params(organization=organization, queue=queue).order_by(_dead.at, _dead.id)
    if limit >= 0:
        statement = statement.limit(limit)
    if ids is None:
        return await connection.fetch(statement)
    return [
        row
        for some in _chunks(list(dict.fromkeys(ids)))
        for row in await connection.fetch(statement.where(_dead.id.in_(some)))
    ]


async def _forget(connection: Connection, organization: str, queue: str, ids: Sequence[str]) -> None:
    for some in _chunks(ids):
        mine = (_dead.organization_id == organization, _dead.queue == queue, _dead.id.in_(some))
        await connection.run(delete(tables.dead_letter).where(*mine))


def _leased(delivery: Delivery) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (_queue.position == int(delivery.handle), _queue.token == delivery.token)


def _overdue_replies(organization: str) -> tuple[ColumnElement[bool], ...]:
    """Whoever asked was killed before the answer came."""
    first, beyond = f"{To.REPLY}:", f"{To.REPLY};"
    between = (_queue.queue > first, _queue.queue < beyond)
    return (_queue.organization_id == organization, *between, _queue.deadline < now())


def _row(organization: str, message: Message) -> dict[str, Any]:
    return {
        "organization_id": organization,
        "queue": message.to,
        "id": message.id,
        "priority": int(message.priority),
        "deadline": message.deadline,
        "body": seal(message),
        "deliveries": 0,
        "attempts": 0,
        "free_at": 0.0,
        "token": "",
    }


def _again(dead: sa.Row[Any], organization: str, queue: str) -> dict[str, Any]:
    message, _ = unseal(dead.body, queue)
    row = _row(organization, message)
    return {**row, "queue": queue, "id": dead.id, "body": dead.body, "deliveries": dead.deliveries}


def _delivery(row: Found, organization: OrganizationId, token: str) -> Delivery:
    message, fault = unseal(row.body, row.queue)
    handle = str(row.position)
    return Delivery(message, organization, row.queue, handle, token, row.deliveries, row.attempts, fault)


def _letter(row: sa.Row[Any], queue: str) -> DeadLetter:
    return DeadLetter(row.id, unseal(row.body, queue)[0], row.reason, row.deliveries, row.at)


def _of(organization: str, queues: Sequence[str]) -> str:
    """Whose turn is taken: a queue's consumers do not wait for the other actions of its organization."""
    return "|".join(("bus", organization, *sorted(queues)))


def _by_organization(deliveries: Sequence[Delivery]) -> dict[OrganizationId, list[Delivery]]:
    found: dict[OrganizationId, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        found[delivery.organization].append(delivery)
    return found


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


async def open_backend(setup: Setup) -> DatabaseBackend:
    """On the database of the records.

    Raises:
        InvalidInput: there is none.
    """
    if setup.database is None:
        raise InvalidInput("The bus is to be kept in the database, and none was given.")
    store = setup.database.store
    if isinstance(store, SqliteStore):
        # the clock of one machine, which is never set
        return DatabaseBackend(setup.database, OnSqlite(store), setup.limits, time.monotonic)
    from bullpen.kernel.bus.backends._on_postgres import OnPostgres  # its driver is an extra
    from bullpen.kernel.storage.postgres import PostgresStore

    if not isinstance(store, PostgresStore):
        raise InvalidInput(f"The bus cannot be kept in a {type(store).__name__}.")
    return DatabaseBackend(setup.database, OnPostgres(store), setup.limits)
