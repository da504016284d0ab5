"""Bring a database's tables up to date, by Alembic, from the versions that ship with the package."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bullpen.domain.errors import Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
NEWEST = "0009"  # checked against the folder by a test; reading the folder at every start costs 50 ms
_LOCK = sa.text("select pg_advisory_xact_lock(7216)")


def upgrade(engine: sa.Engine) -> None:
    """To the newest version; does nothing, quickly, where it already is. Processes that start together take turns.

    Raises:
        Unavailable: the database was written by a newer Bullpen.
    """
    with engine.connect() as connection:
        if version_of(connection) == NEWEST:
            return
    with migrating(engine) as connection:
        if version_of(connection) != NEWEST:
            move_to(connection, "head")


def version_of(connection: sa.Connection) -> str:
    """The version of the tables; empty where there are none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(sa.text("select version_num from alembic_version")).scalar() or ""


@contextmanager
def migrating(engine: sa.Engine) -> Generator[sa.Connection]:
    """A transaction that holds all others up: a migration is done wholly or not at all."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            driver = connection.connection.driver_connection
            driver.isolation_level = None  # pyright: ignore[reportOptionalMemberAccess] - the driver would begin late
            connection.exec_driver_sql("begin immediate")
        else:
            connection.execute(_LOCK)
        yield connection
        connection.commit()


def move_to(connection: sa.Connection, version: str) -> None:
    """Up or down to a version, in the connection's transaction."""
    from alembic import command
    from alembic.util import CommandError

    config = alembic_config()
    config.attributes["connection"] = connection
    known = version_of(connection)
    try:
        (command.downgrade if version == "base" or version < known else command.upgrade)(config, version)
    except CommandError as error:
        raise Unavailable(
            f"The database has tables of version {known}, which this Bullpen (version {NEWEST}) does not know.",
            remedy="Use the newer Bullpen, or point BULLPEN_HOME at another folder.",
        ) from error


def alembic_config() -> "Config":
    """Alembic's view of the migrations folder."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config


def newest_in_folder() -> str:
    """The head of the folder's versions."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(alembic_config()).get_current_head() or ""
