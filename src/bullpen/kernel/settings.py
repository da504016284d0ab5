"""Settings: one typed tree, read once in ``app.py``. Each field says what it is; environment names are BULLPEN_*.

Order: command line, environment, ``config.toml`` in Bullpen's home, defaults. A repository's own files never set these.
"""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from bullpen.domain.errors import InvalidInput, PermissionRefused


def default_home() -> Path:
    """``$BULLPEN_HOME``, else a folder of the user's state (XDG base directories)."""
    if named := os.environ.get("BULLPEN_HOME"):
        return Path(named).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "bullpen"


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(env_prefix="BULLPEN_", extra="forbid", frozen=True)

    home: Path = Field(default_factory=default_home, description="Where Bullpen keeps its data.")
    database_url: str = Field("", description="sqlite:///PATH or postgresql://…; empty: a file in home.")
    sandbox: str = Field("auto", description="auto, or the name of a sandbox backend.")
    model: str = Field("playbook", description="The model agents think with, as provider or provider:model.")
    parallel: int = Field(0, ge=0, le=256, description="Items worked at the same time; 0: one per core.")
    batch: int = Field(8, ge=1, le=64, description="Items verified together by the merge queue.")
    max_items: int = Field(50, ge=1, le=10_000, description="Work items taken on in one session.")
    attempts: int = Field(3, ge=1, le=10, description="Tries per item, each by another approach.")
    test_seconds: float = Field(
        600, gt=0, description="Longest time one run of the project's tests may take."
    )
    agent_seconds: float = Field(1800, gt=0, description="Longest time one agent may work on one item.")
    memory_mib: int = Field(2048, ge=64, description="Memory of one sandboxed command, MiB.")
    file_bytes: int = Field(1_000_000, ge=1024, description="Files larger than this are not analysed.")
    python: str = Field("", description="Interpreter for the project's tests; empty: found or made.")

    adapt: bool = Field(False, description="Let retries, waves, times and orders follow what was measured.")
    agents: str = Field("", description="Folder with agents of your own; empty: agents in home.")
    secrets: dict[str, str] = Field(
        default_factory=dict, description="Where keys of agents are: name = env:VARIABLE or file:PATH."
    )
    bus: str = Field(
        "", description="Where messages wait: nats://HOST:PORT or redis://HOST:PORT; empty: in the database."
    )
    exchange: str = Field(
        "", description="Git URL that workers with homes of their own hand commits over by; empty: none."
    )

    @property
    def database(self) -> str:
        """The database URL that holds."""
        return self.database_url or f"sqlite:///{self.home / 'bullpen.db'}"

    @property
    def agent_folder(self) -> Path:
        """Where the person who runs Bullpen keeps agents of their own."""
        return Path(self.agents).expanduser() if self.agents else self.home / "agents"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, file."""
        file = TomlConfigSettingsSource(settings_cls, default_home() / "config.toml")
        return (init_settings, env_settings, file)


def read_settings(**given: Any) -> Settings:
    """Read them; values given here (from a command line) win.

    Raises:
        InvalidInput: a value is wrong; the message names the setting, and the file where it can be in one.
        PermissionRefused: the file, or the folder it is in, may not be read.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _wrong(".".join(str(part) for part in first["loc"]), first["type"], first["msg"]) from error
    except OSError as error:
        raise PermissionRefused(
            f"{default_home()} cannot be read: {error.strerror}.",
            remedy="Check its permissions, or set BULLPEN_HOME to another folder.",
        ) from error
    except (SettingsError, ValueError) as error:
        raise InvalidInput(
            f"{default_home() / 'config.toml'} cannot be read: {error}.",
            remedy="Mend the file, or move it away.",
        ) from error


def _wrong(name: str, kind: str, message: str) -> InvalidInput:
    file = default_home() / "config.toml"
    if kind == "extra_forbidden":
        near = get_close_matches(name, Settings.model_fields, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return InvalidInput(f"The setting {name!r} is not known.", remedy=f"Take it out of {file}.{hint}")
    places = f"an option, BULLPEN_{name.upper()}, or {file}"
    return InvalidInput(
        f"The setting {name!r} is wrong: {message}.", remedy=f"Mend it where it is set: {places}."
    )
