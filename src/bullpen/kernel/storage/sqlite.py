"""SQLite: one writer, reads in the event loop, write-ahead log.

Point statements take microseconds, so they run in the event loop itself; handing each to a thread costs ten times more
than the statement. ``synchronous=NORMAL`` keeps every commit through a crash of the process; a power cut may lose the
newest commits, never the file.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import Executable, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

from bullpen.domain.errors import Conflict, Unavailable
from bullpen.kernel.storage.listening import Listeners
from bullpen.kernel.storage.migrate import upgrade
from bullpen.kernel.storage.unit_of_work import AnySelect, Rows

WAIT_SECONDS = 30.0  # for another process that is writing
# between two looks at whether another process has written: short while there is traffic, then doubling
SHORTEST_LOOK, LONGEST_LOOK = 0.005, 0.05
OLD_LIBRARY = (3, 42)


def tuned_engine(url: str) -> sa.Engine:
    """An engine with our settings, for our tables and for the durable engine's."""
    engine = sa.create_engine(url, connect_args={"check_same_thread": False}, poolclass=NullPool)
    event.listen(engine, "connect", _tune)
    return engine


def _tune(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = "IMMEDIATE"
    for setting in ("busy_timeout=30000", "journal_mode=wal", "synchronous=normal", "foreign_keys=on"):
        connection.execute(f"pragma {setting}")
    if sqlite3.sqlite_version_info < OLD_LIBRARY:
        add_missing_functions(connection)


def add_missing_functions(connection: sqlite3.Connection) -> None:
    """Sub-second times, which the durable engine asks for and an old library answers with NULL or whole seconds."""
    connection.create_function("unixepoch", 1, _seconds)
    connection.create_function("strftime", 2, _seconds_as_text)


def _seconds(_modifier: str) -> float:
    return time.time()


def _seconds_as_text(_format: str, _moment: str) -> str:
    return str(time.time())


@dataclass(slots=True)
class _SqliteConnection:
    inner: sa.Connection
    announced: bool = False

    async def fetch(self, statement: AnySelect) -> Rows:
        return self.inner.execute(statement).fetchall()

    async def run(self, statement: Executable, rows: Sequence[Mapping[str, Any]] = ()) -> int:
        result = self.inner.execute(statement, list(rows)) if rows else self.inner.execute(statement)
        return result.rowcount

    async def announce(self) -> None:
        """Other processes see the file change; this one is told after the commit."""
        self.announced = True


@dataclass(slots=True)
class SqliteStore:
    """One file; one writer connection guarded by a lock, and as many readers as there are views at a time."""

    engine: sa.Engine
    _writer: sa.Connection
    _readers: list[sa.Connection] = field(default_factory=list[sa.Connection])
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _owner: asyncio.Task[Any] | None = None
    _listeners: Listeners = field(default_factory=Listeners)

    @classmethod
    def open(cls, url: str) -> Self:
        """Create or open the file and bring its tables up to date."""
        path = Path(url.removeprefix("sqlite:///"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            engine = tuned_engine(url)
            upgrade(engine)
            return cls(engine, _connection(engine, "busy_timeout=0"))
        except (DBAPIError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            if _is_damaged(reason):
                raise _damaged(reason, f"The database {path}") from error
            raise Unavailable(
                f"The database {path} cannot be opened: {reason}.",
                remedy="Check the folder's permissions and free space, or set BULLPEN_HOME to another folder.",
            ) from error

    @asynccontextmanager
    async def writing(self, organization: str) -> AsyncGenerator[_SqliteConnection]:
        """See ``Store.writing``. The whole file is locked from the beginning, also for other processes."""
        async with self._alone():
            connection = _SqliteConnection(self._writer)
            with self._writer.begin():
                yield connection
        if connection.announced:
            self._listeners.wake_all()

    @asynccontextmanager
    async def driving(self, *, announce: bool = False) -> AsyncGenerator[sqlite3.Connection]:
        """As ``writing``, without SQLAlchemy: for the few statements that run thousands of times a second."""
        async with self._alone():
            driver = _driver(self._writer)
            try:
                yield driver
                driver.execute("commit")
            except BaseException:
                driver.rollback()
                raise
        if announce:
            self._listeners.wake_all()

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        """The file is locked, and a transaction begun; whoever is in it ends it."""
        if self._owner is asyncio.current_task():
            raise RuntimeError("a transaction was begun inside a transaction; it would wait for itself")
        async with self._lock:
            self._owner = asyncio.current_task()
            try:
                with storage_errors():
                    await self._begin()
                    yield
            finally:
                self._owner = None

    async def _begin(self) -> None:
        """Waits for other processes without holding up this one's event loop."""
        deadline, pause = time.monotonic() + WAIT_SECONDS, 0.001
        while True:
            try:
                _driver(self._writer).execute("begin immediate")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(pause)
                pause = min(0.05, pause * 2)
            else:
                return

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[_SqliteConnection]:
        """See ``Store.reading``. It never waits for the writer."""
        with storage_errors():
            reader = self._readers.pop() if self._readers else _connection(self.engine, "query_only=on")
            try:
                _driver(reader).execute("begin")
                yield _SqliteConnection(reader)
            finally:
                reader.rollback()
                _driver(reader).rollback()
                self._readers.append(reader)

    @asynccontextmanager
    async def listening(self, wake: Callable[[], None]) -> AsyncGenerator[None]:
        """See ``Store.listening``: at once in this process; for others the file's change counter is looked at."""
        async with self._listeners.adding(wake, self._look):
            yield

    async def _look(self) -> None:
        with closing(sqlite3.connect(str(self.engine.url.database))) as watcher:
            seen, pause = _changes(watcher), SHORTEST_LOOK
            while True:
                await asyncio.sleep(pause)
                current, pause = _changes(watcher), min(LONGEST_LOOK, pause * 1.1)
                if current != seen:
                    seen, pause = current, SHORTEST_LOOK
                    self._listeners.wake_all()

    async def close(self) -> None:
        """Let go of every connection."""
        await self._listeners.close()
        for connection in (self._writer, *self._readers):
            connection.close()
        self.engine.dispose()


def _connection(engine: sa.Engine, setting: str) -> sa.Connection:
    """A connection whose transactions we begin ourselves: the driver begins them only at the first change."""
    connection = engine.connect()
    _driver(connection).isolation_level = None
    _driver(connection).execute(f"pragma {setting}")
    return connection


def _driver(connection: sa.Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError(f"not a SQLite connection: {driver!r}")
    return driver


def _changes(watcher: sqlite3.Connection) -> int:
    return watcher.execute("pragma data_version").fetchone()[0]


@contextmanager
def storage_errors() -> Generator[None]:
    """Turns a full disk, a locked or a broken file into a sentence."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict(f"This exists already: {error.orig}.") from error
    except (DBAPIError, sqlite3.Error) as error:
        inner = getattr(error, "orig", None) or error
        if _is_damaged(inner):
            raise _damaged(inner) from error
        raise Unavailable(
            f"The database refused: {inner}.",
            remedy="Check free space and that no other program holds the file, then run the command again.",
        ) from error


def _is_damaged(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _damaged(error: BaseException, which: str = "A database in Bullpen's home") -> Unavailable:
    return Unavailable(
        f"{which} is damaged: {error}.",
        remedy="Restore its *.db files from a backup, or move them away; published branches stay as they are.",
        code="damaged",
    )
