"""Bring a database's tables up to date, by Alembic, from the versions that ship with the package."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from bullpen.domain.errors import Unavailable

FOLDER = Path(__file__).parent / "migrations"
NEWEST = "0001"  # checked against the folder by a test; reading the folder at every start costs 50 ms


def upgrade(engine: sa.Engine) -> None:
    """To the newest version; does nothing, quickly, where it already is.

    Raises:
        Unavailable: the database was written by a newer Bullpen.
    """
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == NEWEST:
            return
    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise Unavailable(
                f"The database belongs to another version of Bullpen: {error}.",
                remedy="Use the newer Bullpen, or point BULLPEN_HOME at another folder.",
            ) from error


def alembic_config() -> Config:
    """Alembic's view of the migrations folder."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config


def newest_in_folder() -> str:
    """The head of the folder's versions."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    return head or ""
