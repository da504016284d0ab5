"""PostgreSQL through psycopg's async driver."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import Executable
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bullpen.domain.errors import Unavailable
from bullpen.kernel.storage.migrate import upgrade
from bullpen.kernel.storage.unit_of_work import AnySelect, Rows


@dataclass(slots=True)
class _PostgresConnection:
    inner: AsyncConnection

    async def fetch(self, statement: AnySelect) -> Rows:
        return (await self.inner.execute(statement)).fetchall()

    async def run(self, statement: Executable, rows: Sequence[Mapping[str, Any]] = ()) -> int:
        if rows:
            return (await self.inner.execute(statement, list(rows))).rowcount
        return (await self.inner.execute(statement)).rowcount


def driver_url(url: str) -> str:
    """The same database, with the driver named as SQLAlchemy wants it."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


@dataclass(slots=True)
class PostgresStore:
    """A pool of connections."""

    engine: AsyncEngine

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and bring the tables up to date."""
        try:
            await asyncio.to_thread(_upgrade, driver_url(url))
        except OperationalError as error:
            raise Unavailable(
                f"PostgreSQL does not answer: {str(error.orig).splitlines()[0]}.",
                remedy="Check BULLPEN_DATABASE_URL and that the server runs.",
            ) from error
        return cls(create_async_engine(driver_url(url), pool_size=8, max_overflow=8))

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[_PostgresConnection]:
        """See ``Store.writing``."""
        async with self.engine.begin() as connection:
            yield _PostgresConnection(connection)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[_PostgresConnection]:
        """See ``Store.reading``."""
        async with self.engine.connect() as connection:
            yield _PostgresConnection(connection)

    async def close(self) -> None:
        """Close the pool."""
        await self.engine.dispose()


def _upgrade(url: str) -> None:
    engine = sa.create_engine(url)
    try:
        upgrade(engine)
    finally:
        engine.dispose()
