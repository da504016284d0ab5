"""PostgreSQL through psycopg's async driver.

The writers of one organization take turns, as they do on SQLite: an action may read and then write without another
changing what it read, and the events of an organization are numbered in the order of their commits.
"""

import asyncio
import select
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy import Executable
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bullpen.domain.errors import AWAY, Conflict, InvalidInput, Unavailable
from bullpen.kernel.storage.listening import Listeners
from bullpen.kernel.storage.migrate import upgrade
from bullpen.kernel.storage.unit_of_work import AnySelect, Rows

CHANNEL = "bullpen_events"
RETRY_SECONDS = 1.0
RESTART_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 2.0, 2.0)  # less than a lease holds without the server
_TAKE_TURNS = sa.text("select pg_advisory_xact_lock(hashtextextended(:organization, 0))")
_TURN = "select pg_advisory_xact_lock(hashtextextended(%s, 0))"
AT_ONCE = 4  # transactions of ``at_once`` at the same time; each has a connection
_ANNOUNCE = sa.text(f"notify {CHANNEL}")


_Driver = psycopg.AsyncConnection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Words:
    """A statement as PostgreSQL takes it, with its values by name: ``%(name)s``."""

    text: str
    values: Mapping[str, Any]


@dataclass(slots=True)
class _PostgresConnection:
    inner: AsyncConnection

    async def fetch(self, statement: AnySelect) -> Rows:
        return (await self.inner.execute(statement)).fetchall()

    async def run(self, statement: Executable, rows: Sequence[Mapping[str, Any]] = ()) -> int:
        if rows:
            return (await self.inner.execute(statement, list(rows))).rowcount
        return (await self.inner.execute(statement)).rowcount

    async def announce(self) -> None:
        await self.inner.execute(_ANNOUNCE)


def driver_url(url: str) -> str:
    """The same database, with the driver named as SQLAlchemy wants it."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


@dataclass(slots=True)
class PostgresStore:
    """A pool of connections; readers see one moment and cannot write."""

    engine: AsyncEngine
    _readers: AsyncEngine
    _listeners: Listeners = field(default_factory=Listeners)
    _idle: list[_Driver] = field(default_factory=list[_Driver])
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and bring the tables up to date."""
        try:
            await asyncio.to_thread(_upgrade, driver_url(url))
        except DBAPIError as error:
            raise Unavailable(
                f"PostgreSQL does not answer: {_first_line(error)}.",
                remedy="Check BULLPEN_DATABASE_URL and that the server runs.",
            ) from error
        except ArgumentError as error:
            raise InvalidInput(
                "The database URL cannot be understood.", remedy="Use postgresql://USER@HOST/NAME."
            ) from error
        engine = create_async_engine(driver_url(url), pool_size=8, max_overflow=8, pool_pre_ping=True)
        readers = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return cls(engine, readers)

    @asynccontextmanager
    async def writing(self, organization: str) -> AsyncGenerator[_PostgresConnection]:
        """See ``Store.writing``."""
        with _storage_errors():
            async with _connected(self.engine) as connection, connection.begin():
                await connection.execute(_TAKE_TURNS, {"organization": organization})
                yield _PostgresConnection(connection)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[_PostgresConnection]:
        """See ``Store.reading``."""
        with _storage_errors():
            async with _connected(self._readers) as connection:
                yield _PostgresConnection(connection)

    async def at_once(
        self, turn: str, words: Sequence[Words], *, announce: bool = False
    ) -> Sequence[Sequence[tuple[Any, ...]]]:
        """Run these in one transaction of their own, and in one round trip; the rows of each.

        For the few that run thousands of times a second: nothing stands between them and the driver. ``turn`` is that
        of ``writing``; where it is empty none is taken. ``announce`` wakes those who listen. Errors are those of
        ``writing``.
        """
        with _storage_errors():
            async with self._room, self._driver() as driver:
                if turn or announce or len(words) > 1:
                    cursors = await _pipelined(driver, turn, words, announce=announce)
                else:
                    cursors = [await driver.execute(one.text.encode(), one.values) for one in words]
                return [await one.fetchall() if one.description else () for one in cursors]

    @asynccontextmanager
    async def _driver(self) -> AsyncGenerator[_Driver]:
        """A connection without SQLAlchemy around it; it is used again only where its transaction has ended."""
        while self._idle and not _alive(self._idle[-1]):
            await self._idle.pop().close()
        driver = self._idle.pop() if self._idle else await self._connect()
        try:
            yield driver
        finally:
            if driver.info.transaction_status is TransactionStatus.IDLE:
                self._idle.append(driver)
            else:
                await asyncio.shield(driver.close())

    async def _connect(self) -> _Driver:
        for pause in RESTART_PAUSES:
            try:
                return await psycopg.AsyncConnection.connect(self._address(), autocommit=True)
            except psycopg.OperationalError:
                await asyncio.sleep(pause)
        return await psycopg.AsyncConnection.connect(self._address(), autocommit=True)

    def _address(self) -> str:
        return self.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    @asynccontextmanager
    async def listening(self, wake: Callable[[], None]) -> AsyncGenerator[None]:
        """See ``Store.listening``: one connection waits for notifications."""
        async with self._listeners.adding(wake, self._listen):
            yield

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._address(), autocommit=True
                ) as connection:
                    await connection.execute(f"listen {CHANNEL}")
                    self._listeners.wake_all()  # for what was committed before we listened
                    async for _ in connection.notifies():
                        self._listeners.wake_all()
            except psycopg.OperationalError:
                await asyncio.sleep(
                    RETRY_SECONDS
                )  # the server restarts; readers hear of it by their own reads

    async def close(self) -> None:
        """Close the pool."""
        await self._listeners.close()
        while self._idle:
            await self._idle.pop().close()
        await self.engine.dispose()


async def _pipelined(
    driver: _Driver, turn: str, words: Sequence[Words], *, announce: bool
) -> list[psycopg.AsyncCursor[tuple[Any, ...]]]:
    """What is sent before the end of a pipeline is one transaction, and one round trip.

    Each statement sees what was committed before it, not before the first.
    """
    async with driver.pipeline():
        if turn:
            await driver.execute(_TURN, (turn,))
        cursors = [await driver.execute(one.text.encode(), one.values) for one in words]
        if announce:
            await driver.execute(f"notify {CHANNEL}".encode())
    return cursors


def _alive(driver: _Driver) -> bool:
    """A server that ended the connection has said so; what is idle and silent is taken to live."""
    if driver.closed:
        return False
    asking = select.poll()
    asking.register(driver.fileno(), select.POLLIN)
    return not asking.poll(0)


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A connection. A server that restarts is waited for: whoever began something can go on a moment later."""
    connection = await _connection(engine)
    try:
        yield connection
    finally:
        await asyncio.shield(connection.close())


async def _connection(engine: AsyncEngine) -> AsyncConnection:
    for pause in RESTART_PAUSES:
        try:
            return await engine.connect()
        except OperationalError:
            await asyncio.sleep(pause)
    return await engine.connect()


def _upgrade(url: str) -> None:
    engine = sa.create_engine(url)
    try:
        upgrade(engine)
    finally:
        engine.dispose()


def _first_line(error: BaseException) -> str:
    told = getattr(error, "orig", None) or error
    return next(iter(str(told).strip().splitlines()), type(told).__name__)


@contextmanager
def _storage_errors() -> Generator[None]:
    """Turns a lost server, a full disk or a read-only database into a sentence."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict(f"This exists already: {_first_line(error)}.") from error
    except DBAPIError as error:
        raise _refused(error) from error
    except psycopg.IntegrityError as error:
        raise Conflict(f"This exists already: {_first_line(error)}.") from error
    except psycopg.Error as error:
        raise _refused(error) from error


def _refused(error: BaseException) -> Unavailable:
    return Unavailable(
        f"The database refused: {_first_line(error)}.",
        remedy="Check that the server runs and has free space, then try again.",
        code=AWAY,
    )
