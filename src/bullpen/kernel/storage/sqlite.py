"""SQLite: one writer, reads in the event loop, write-ahead log.

Point statements take microseconds, so they run in the event loop itself; handing each to a thread costs ten times more
than the statement. ``synchronous=NORMAL`` keeps every commit through a crash of the process; a power cut may lose the
newest commits, never the file.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import Executable, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from bullpen.domain.errors import Unavailable
from bullpen.kernel.storage.migrate import upgrade
from bullpen.kernel.storage.unit_of_work import AnySelect, Rows


def tuned_engine(url: str) -> sa.Engine:
    """An engine with our settings, for our tables and for the durable engine's."""
    engine = sa.create_engine(url, connect_args={"check_same_thread": False}, poolclass=NullPool)
    event.listen(engine, "connect", _tune)
    return engine


def _tune(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = "IMMEDIATE"
    for setting in ("journal_mode=wal", "synchronous=normal", "busy_timeout=30000", "foreign_keys=on"):
        connection.execute(f"pragma {setting}")
    if sqlite3.sqlite_version_info < (3, 42):
        # The durable engine asks for sub-second times, which this old library answers with NULL or whole seconds.
        connection.create_function("unixepoch", 1, _seconds)
        connection.create_function("strftime", 2, _seconds_as_text)


def _seconds(_modifier: str) -> float:
    return time.time()


def _seconds_as_text(_format: str, _moment: str) -> str:
    return str(time.time())


@dataclass(slots=True)
class _SqliteConnection:
    inner: sa.Connection

    async def fetch(self, statement: AnySelect) -> Rows:
        return self.inner.execute(statement).fetchall()

    async def run(self, statement: Executable, rows: Sequence[Mapping[str, Any]] = ()) -> int:
        result = self.inner.execute(statement, list(rows)) if rows else self.inner.execute(statement)
        return result.rowcount


@dataclass(slots=True)
class SqliteStore:
    """One file; one writer connection guarded by a lock, one reader."""

    engine: sa.Engine
    _writer: sa.Connection
    _reader: sa.Connection
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def open(cls, url: str) -> Self:
        """Create or open the file and bring its tables up to date."""
        path = Path(url.removeprefix("sqlite:///"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            engine = tuned_engine(url)
            upgrade(engine)
            return cls(engine, engine.connect(), engine.connect())
        except (OperationalError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            raise Unavailable(
                f"The database {path} cannot be opened: {reason}.",
                remedy="Check the folder's permissions and free space, or set BULLPEN_HOME to another folder.",
            ) from error

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[_SqliteConnection]:
        """See ``Store.writing``."""
        async with self._lock:
            with storage_errors(), self._writer.begin():
                yield _SqliteConnection(self._writer)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[_SqliteConnection]:
        """See ``Store.reading``. Reads see the last commit; they never wait for the writer."""
        with storage_errors():
            yield _SqliteConnection(self._reader)
            self._reader.rollback()

    async def close(self) -> None:
        """Let go of both connections."""
        self._writer.close()
        self._reader.close()
        self.engine.dispose()


class storage_errors:  # noqa: N801 - reads as a statement at its call sites
    """Turns a full disk, a locked or a broken file into a sentence."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OperationalError):
            raise Unavailable(
                f"The database refused: {error.orig}.",
                remedy="Check free space and that no other program holds the file, then run the command again.",
            ) from error
