"""The message bus: each backend beside the bare client of the same store, doing the same in the same run.

A message goes in, is handed out, and is acknowledged, in batches, by one process; of a broker beside its own way to do
that. What the bus adds on top of the bare client: priorities, bounds, leases with a count, one message where it is sent
twice. A backend whose server is not installed is left out, and that is said.
"""

import asyncio
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis.asyncio as redis
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, RetentionPolicy
from tests.machine.brokers import start_broker
from tests.machine.postgres import start_cluster
from tests.machine.server import CannotStart

from bullpen.domain.actor import agent_actor
from bullpen.domain.ids import LOCAL_ORGANIZATION
from bullpen.kernel.bus.backends.base import Backend, Limits, Setup
from bullpen.kernel.bus.bus import open_bus_backend
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.bus.messages import Message, new_message, seal
from bullpen.kernel.storage.database import Database, open_store

ROUNDS, MESSAGES, BATCH = 9, 4000, 100
GOAL, DELIVERIES_GOAL = 0.7, 200_000
QUEUE = "agent:ann"
Flow = Callable[[Sequence[Sequence[Message]]], Awaitable[None]]


@dataclass(frozen=True)
class Rates:
    """Messages a second of the wall's, and of this process's processor time."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Compared:
    """Medians of rounds. The shares are medians of each round's: what else the machine does changes from round to round.

    Where all the work is this process's, its processor time counts, too: others use the machine as well.
    """

    name: str
    ours: Rates
    bare: Rates
    shares: Rates
    alone: bool

    @property
    def share(self) -> float:
        """Of the bare client's throughput."""
        return max(self.shares.wall, self.shares.processor) if self.alone else self.shares.wall

    def __str__(self) -> str:
        kept = f"goal {GOAL:.0%} {'kept' if self.share >= GOAL else 'MISSED'}"
        if (
            self.name == "memory"
        ):  # a bare queue has nothing of what makes a bus; deliveries have a goal of their own
            kept = ""
        ours = f"{self.ours.wall:8.0f} msg/s ({self.ours.processor:.0f} of processor)"
        bare = f"bare {self.bare.wall:8.0f} ({self.bare.processor:.0f})"
        return f"{self.name:10} {ours}   {bare}   {self.share:4.0%}   {kept}"


def batches() -> list[list[Message]]:
    """New messages of an ordinary size."""
    actor = agent_actor(LOCAL_ORGANIZATION, "ann")
    made = [new_message(actor, QUEUE, "note", json.dumps({"text": "x" * 150})) for _ in range(MESSAGES)]
    return [made[start : start + BATCH] for start in range(0, MESSAGES, BATCH)]


async def flow_of(backend: Backend, some: Sequence[Sequence[Message]]) -> None:
    """Through the bus."""
    for batch in some:
        await backend.publish(LOCAL_ORGANIZATION, batch)
    left = sum(map(len, some))
    while left:
        taken = await backend.claim(LOCAL_ORGANIZATION, [QUEUE], BATCH)
        await backend.ack(taken)
        left -= len(taken)


async def compare(name: str, backend: Backend, bare: Flow) -> Compared:
    """In turn, after a round of each that does not count."""

    async def ours(some: Sequence[Sequence[Message]]) -> None:
        await flow_of(backend, some)

    flows = (ours, bare)
    rates: tuple[list[Rates], list[Rates]] = ([], [])
    for _ in range(ROUNDS + 1):
        for flow, found in zip(flows, rates, strict=True):
            found.append(await timed(flow))
    mine, theirs = (found[1:] for found in rates)
    shares = [
        Rates(one.wall / other.wall, one.processor / other.processor)
        for one, other in zip(mine, theirs, strict=True)
    ]
    alone = name in ("memory", "sqlite")
    return Compared(name, median_of(mine), median_of(theirs), median_of(shares), alone)


async def timed(flow: Flow) -> Rates:
    """One round; making the messages is not counted."""
    some = batches()
    started, processor = time.perf_counter(), time.process_time()
    await flow(some)
    return Rates(MESSAGES / (time.perf_counter() - started), MESSAGES / (time.process_time() - processor))


def median_of(found: Sequence[Rates]) -> Rates:
    """Each of its own."""
    return Rates(
        statistics.median(one.wall for one in found), statistics.median(one.processor for one in found)
    )


# --- the bare clients -------------------------------------------------------------------------------------------------


def bare_memory() -> Flow:
    """``asyncio.Queue``."""
    queue: asyncio.Queue[Message] = asyncio.Queue()

    async def flow(some: Sequence[Sequence[Message]]) -> None:
        for batch in some:
            for one in batch:
                await queue.put(one)
        for _ in range(sum(map(len, some))):
            await queue.get()
            queue.task_done()

    return flow


_COLUMNS = "organization, queue, id, priority, body, deliveries, attempts, free_at, token"
_TABLE = (
    "(position {key}, organization text, queue text, id text, priority int, body text, deliveries int, attempts int,"
    " free_at float8, token text)"
)
_COUNT = "select count(*) from m where organization = 'local' and queue = 'q'"
_FREE = "select position from m where organization = 'local' and queue = 'q' and free_at <= 1 order by priority, position limit 100"
_LEASED = "deliveries = deliveries + 1, attempts = attempts + 1, free_at = 9, token = 't'"
_INDICES = (
    "create unique index a on m (organization, queue, id)",
    "create index b on m (organization, queue, priority, position)",
)


def bare_sqlite(file: Path) -> Flow:
    """``sqlite3`` by hand, with the same promises: bounded, one where it is sent twice, leased and counted."""
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in (
        "pragma journal_mode=wal",
        "pragma synchronous=normal",
        f"create table m {_TABLE.format(key='integer primary key autoincrement')}",
        *_INDICES,
    ):
        connection.execute(statement)
    insert = f"insert into m ({_COLUMNS}) values ('local', 'q', ?, ?, ?, 0, 0, 0, '') on conflict do nothing"  # noqa: S608 - our own text
    read = f"select position, body, deliveries, attempts from m where position in ({_FREE})"  # noqa: S608

    async def flow(some: Sequence[Sequence[Message]]) -> None:
        for batch in some:
            rows = [(one.id, int(one.priority), seal(one)) for one in batch]
            connection.execute("begin immediate")
            assert connection.execute(_COUNT).fetchone()[0] + len(rows) <= MESSAGES
            connection.executemany(insert, rows)
            connection.execute("commit")
        for _ in some:
            connection.execute("begin immediate")
            rows = connection.execute(read).fetchall()
            taken = [(row[0],) for row in rows]
            connection.executemany(f"update m set {_LEASED} where position = ?", taken)  # noqa: S608
            connection.execute("commit")
            assert all(json.loads(row[1]) for row in rows)
            connection.execute("begin immediate")
            connection.executemany("delete from m where position = ?", taken)
            connection.execute("commit")

    return flow


async def bare_postgres(url: str) -> Flow:
    """psycopg by hand, with the same promises, SKIP LOCKED and NOTIFY."""
    connection = await psycopg.AsyncConnection.connect(url)
    await connection.execute(f"create table m {_TABLE.format(key='bigserial primary key')}")  # type: ignore[arg-type]
    for statement in _INDICES:
        await connection.execute(statement)  # type: ignore[arg-type]
    await connection.commit()
    insert = (
        f"insert into m ({_COLUMNS}) values ('local', 'q', %s, %s, %s, 0, 0, 0, '') on conflict do nothing"  # noqa: S608
    )
    claim = f"update m set {_LEASED} where position in ({_FREE} for update skip locked) returning position, body, deliveries"  # noqa: S608

    async def flow(some: Sequence[Sequence[Message]]) -> None:
        for batch in some:
            await connection.execute("select pg_advisory_xact_lock(7)")
            ((count,),) = await (await connection.execute(_COUNT)).fetchall()
            assert count + len(batch) <= MESSAGES
            async with connection.cursor() as cursor:
                await cursor.executemany(insert, [(one.id, int(one.priority), seal(one)) for one in batch])
            await connection.execute("notify bare")
            await connection.commit()
        for _ in some:
            rows = await (await connection.execute(claim)).fetchall()  # type: ignore[arg-type]
            await connection.commit()
            assert all(json.loads(row[1]) for row in rows)
            await connection.execute("delete from m where position = any(%s)", ([row[0] for row in rows],))
            await connection.commit()

    return flow


async def bare_redis(url: str) -> Flow:
    """Streams with a consumer group: its own way."""
    client = redis.Redis.from_url(url)
    await client.xgroup_create("bare", "g", mkstream=True)

    async def flow(some: Sequence[Sequence[Message]]) -> None:
        for batch in some:
            async with client.pipeline(transaction=False) as pipe:
                for one in batch:
                    pipe.xadd("bare", {"b": seal(one)})
                await pipe.execute()
        for _ in some:
            ((_, entries),) = await client.xreadgroup("g", "c", {"bare": ">"}, count=BATCH)
            assert all(json.loads(fields[b"b"]) for _, fields in entries)
            ids = [name for name, _ in entries]
            async with client.pipeline(transaction=False) as pipe:
                await pipe.xack("bare", "g", *ids).xdel("bare", *ids).execute()

    return flow


async def bare_nats(url: str) -> Flow:
    """A work queue with one durable consumer: its own way."""
    client = Client()
    await client.connect(url)
    js = client.jetstream()
    await js.add_stream(name="bare", subjects=["bare"], retention=RetentionPolicy.WORK_QUEUE)
    consumer = await js.pull_subscribe("bare", "c", config=ConsumerConfig(max_ack_pending=-1))

    async def flow(some: Sequence[Sequence[Message]]) -> None:
        for batch in some:
            await asyncio.gather(*(js.publish("bare", seal(one).encode()) for one in batch))
        left = sum(map(len, some))
        while left:
            messages = await consumer.fetch(BATCH)
            assert all(json.loads(one.data) for one in messages)
            for one in messages[:-1]:
                await one.ack()
            await messages[-1].ack_sync()
            left -= len(messages)

    return flow


# --- all of them ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def opened(url: str, database_url: str = "") -> AsyncIterator[Backend]:
    """A backend with room for a round."""
    store = await open_store(database_url) if database_url else None
    database = Database(store, EventLog()) if store else None
    backend = await open_bus_backend(Setup(Limits(bound=MESSAGES), url, database))
    yield backend
    await backend.close()
    if store:
        await store.close()


async def of_memory() -> Compared:
    async with opened("memory:") as backend:
        return await compare("memory", backend, bare_memory())


async def of_sqlite() -> Compared:
    with tempfile.TemporaryDirectory() as folder:
        async with opened("", f"sqlite:///{folder}/ours.db") as backend:
            return await compare("sqlite", backend, bare_sqlite(Path(folder) / "bare.db"))


async def of_postgres() -> Compared:
    with start_cluster() as cluster, cluster.fresh_database() as ours, cluster.fresh_database() as bare:
        async with opened("", ours) as backend:
            return await compare("postgresql", backend, await bare_postgres(bare))


async def of_broker(name: str, bare: Callable[[str], Awaitable[Flow]]) -> Compared:
    with start_broker(name) as broker:
        async with opened(broker.url) as backend:
            return await compare(name, backend, await bare(broker.url))


@contextmanager
def left_out_where_missing(name: str):
    """A server that is not installed is no fault of the bus."""
    try:
        yield
    except CannotStart as error:
        print(f"{name:12} left out: {error}")


def main() -> int:
    """Print the shares; 1 where one is below the goal."""
    works = {
        "memory": of_memory,
        "sqlite": of_sqlite,
        "postgresql": of_postgres,
        "redis": lambda: of_broker("redis", bare_redis),
        "nats": lambda: of_broker("nats", bare_nats),
    }
    missed = False
    for name, work in works.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        with left_out_where_missing(name):
            compared = asyncio.run(work())
            print(compared, flush=True)
            if name == "memory":
                best = max(compared.ours.wall, compared.ours.processor)
                kept = "kept" if best >= DELIVERIES_GOAL else "MISSED"
                print(f"{'':12} deliveries in the process: goal {DELIVERIES_GOAL} a second, {kept}")
            missed |= name != "memory" and compared.share < GOAL
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
