"""The database's own clock: the same for all who wait, on however many machines they are."""

from typing import Any

from sqlalchemy import Float, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from bullpen.kernel.storage.unit_of_work import UnitOfWork


class DatabaseClock(FunctionElement[float]):
    """Seconds since 1970, as a float. On SQLite that is the clock of the one machine."""

    type = Float(53)
    inherit_cache = True


@compiles(DatabaseClock)
def _of_a_server(_element: DatabaseClock, _compiler: SQLCompiler, **_how: Any) -> str:
    return "CAST(extract(epoch from clock_timestamp()) AS double precision)"


@compiles(DatabaseClock, "sqlite")
def _of_this_machine(_element: DatabaseClock, _compiler: SQLCompiler, **_how: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


_NOW = select(DatabaseClock())


async def database_time(uow: UnitOfWork) -> float:
    """Seconds since 1970, by the database's clock."""
    return float((await uow.fetch(_NOW))[0][0])
