"""The event log and the list of sessions, beside bare sqlite3 doing the same inserts and reads in the same run.

Durable here means committed to SQLite's write-ahead log with synchronous=NORMAL: kept through a crash of the process.
"""

import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bullpen.app import open_records
from bullpen.domain.actor import Actor
from bullpen.domain.events.agent import ToolFinished
from bullpen.domain.ids import SessionId, TaskId
from bullpen.kernel.bus.log import replay
from bullpen.kernel.settings import read_settings
from bullpen.kernel.storage.database import Database
from bullpen.sessions.actions import create_session
from bullpen.sessions.queries import list_sessions

ROUNDS, EVENTS, SESSIONS = 2000, 1000, 2000
SESSION = SessionId("ses-bench")


@dataclass(frozen=True)
class Measured:
    """One line of the result: our figure, bare SQLite's, and the most we allow ourselves. Milliseconds.

    All of it is work of this process, so on a machine that others use, too, its processor time counts for the gate.
    """

    name: str
    ours: float
    bare: float
    gate: float
    cpu: float

    @property
    def missed(self) -> bool:
        """Slower than allowed."""
        return min(self.ours, self.cpu) > self.gate

    def __str__(self) -> str:
        kept = "MISSED" if self.missed else "kept"
        ratio = self.ours / self.bare
        figures = f"{self.ours:8.3f} ms  ({self.cpu:.3f} of processor)  bare {self.bare:.3f} ms  x{ratio:.1f}"
        return f"{self.name:30} {figures}  gate {self.gate} ms {kept}"


def event(number: int) -> ToolFinished:
    """An event of an ordinary size."""
    return ToolFinished(TaskId("task-1"), 1, number, f"call-{number}", "read_file", True, "x" * 200, 0.01)


@dataclass(frozen=True)
class Timed:
    """Milliseconds of each repetition on the wall, and of all on the processor, per repetition."""

    each: list[float]
    cpu: float

    @property
    def median(self) -> float:
        """Of the wall's."""
        return statistics.median(self.each)

    @property
    def p95(self) -> float:
        """Of the wall's."""
        return statistics.quantiles(self.each, n=20)[-1]


async def timed(times: int, work: Callable[[], Awaitable[None]]) -> Timed:
    """Repeat, once unmeasured before."""
    await work()
    each: list[float] = []
    processor = time.process_time()
    for _ in range(times):
        started = time.perf_counter()
        await work()
        each.append((time.perf_counter() - started) * 1000)
    return Timed(each, (time.process_time() - processor) * 1000 / times)


async def timed_appends(database: Database, actor: Actor) -> Timed:
    """A transaction with one event."""

    async def append() -> None:
        async with database.transaction(actor) as uow:
            uow.record(SESSION, event(1))

    return await timed(ROUNDS, append)


async def bare_appends(connection: sqlite3.Connection, body: str) -> Timed:
    """The same row, by hand."""
    row = ("local", SESSION, "task-1", "ToolFinished", 1, 1.0, "person", body)

    async def append() -> None:
        connection.execute("begin immediate")
        connection.execute("insert into event values (null, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("commit")

    return await timed(ROUNDS, append)


def bare_database(path: Path) -> sqlite3.Connection:
    """The same tables and settings, without us."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=normal")
    connection.execute(
        "create table event (position integer primary key autoincrement, organization_id text, session_id text,"
        " subject text, type text, version int, at real, actor_id text, body text)"
    )
    connection.execute("create index a on event (organization_id, session_id, position)")
    connection.execute("create index b on event (organization_id, session_id, subject, position)")
    return connection


async def timed_replays(database: Database, actor: Actor) -> Timed:
    """Reading a thousand events back as values."""

    async def read() -> None:
        async with database.view(actor) as uow:
            assert len(await replay(uow, SESSION, limit=EVENTS)) == EVENTS

    return await timed(50, read)


async def timed_lists(database: Database, actor: Actor) -> Timed:
    """Listing two thousand sessions as values."""
    async with database.transaction(actor) as uow:
        for number in range(SESSIONS):
            name = SessionId(f"ses-{number}")
            await create_session(
                uow, name, kind="improve", goal="mend", project="/p", options='{"source": "/p"}'
            )

    async def read() -> None:
        async with database.view(actor) as uow:
            assert len(await list_sessions(uow, limit=SESSIONS)) == SESSIONS

    return await timed(50, read)


async def measure(folder: Path) -> list[Measured]:
    """All three, ours and bare in turn."""
    bare = bare_database(folder / "bare.db")
    async with open_records(read_settings(home=folder)) as records:
        database, actor = records.database, records.actor
        appended = await timed_appends(database, actor), await bare_appends(bare, "x" * 320)
        read = await timed_replays(database, actor), await _bare(bare, _REPLAY, SESSION)
        listed = await timed_lists(database, actor)
        with closing(sqlite3.connect(folder / "bullpen.db")) as beside:
            listed_bare = await _bare(beside, _LIST, "local")
    bare.close()
    return [
        Measured("durable append, median", appended[0].median, appended[1].median, 0.15, appended[0].cpu),
        Measured("replay of 1,000 events, median", read[0].median, read[1].median, 10, read[0].cpu),
        Measured("list of 2,000 sessions, p95", listed.p95, listed_bare.p95, 20, listed.cpu),
    ]


_REPLAY = (
    "select * from event where organization_id = 'local' and session_id = ? order by position limit 1000"
)
_LIST = "select * from session where organization_id = ? order by created_at desc"


async def _bare(connection: sqlite3.Connection, statement: str, argument: str) -> Timed:
    async def read() -> None:
        connection.execute(statement, (argument,)).fetchall()

    return await timed(50, read)


def main() -> int:
    """Print the figures; 1 if a gate is missed."""
    with tempfile.TemporaryDirectory() as folder:
        measured = asyncio.run(measure(Path(folder)))
    for line in measured:
        print(line)
    return int(any(line.missed for line in measured))


if __name__ == "__main__":
    raise SystemExit(main())
