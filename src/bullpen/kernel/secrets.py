"""Secrets by name: where each is said to be, and Bullpen's own folder for them. Values are read when they are used.

A value is never logged, stored elsewhere, or shown: whoever asks for one hands it to where it is needed and to the
redactor of what is recorded meanwhile.
"""

import os
import re
import secrets as randomness
from pathlib import Path

from bullpen.domain.errors import InvalidInput, NotFound, PermissionRefused
from bullpen.kernel.settings import Settings

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")
PREFIX = "BULLPEN_SECRET_"
LONGEST = 64 * 1024  # bytes
ENVIRONMENT, FILE = "env:", "file:"


def find_secret(settings: Settings, name: str) -> str | None:
    """The value of a secret: where the setting ``secrets`` says it is, else in ``BULLPEN_SECRET_NAME``, else in the store.

    None if there is none.

    Raises:
        InvalidInput: the setting names neither a variable nor a file, or the file holds no text of a usual size.
        PermissionRefused: the file may not be read.
    """
    if place := settings.secrets.get(name):
        return _at(name, place) or None
    value = os.environ.get(PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper()))
    return value or _read(name, _file(settings, name)) or None


def list_secrets(settings: Settings) -> list[tuple[str, str]]:
    """Names of those that are known, each with where it is: ``env:X``, ``file:X``, or ``store``."""
    folder = _folder(settings)
    stored = [one.name for one in folder.iterdir() if NAME.fullmatch(one.name)] if folder.is_dir() else []
    return sorted({**dict.fromkeys(stored, "store"), **settings.secrets}.items())


def keep_secret(settings: Settings, name: str, value: str) -> None:
    """Put a value into the store; a file of Bullpen's home that its owner alone may read.

    Raises:
        InvalidInput: the name is none, or the value is empty.
        PermissionRefused: the store cannot be written.
    """
    file = _file(settings, name)
    if not value.strip() or len(value.encode("utf-8", "surrogateescape")) > LONGEST:
        raise InvalidInput(f"The value of {name} is empty or longer than {LONGEST} bytes.")
    draft = file.with_name(f".{randomness.token_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.parent.chmod(0o700)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as opened:
            opened.write(value)
        draft.replace(file)
    except OSError as error:
        raise PermissionRefused(f"{file.parent} cannot be written: {error.strerror}.") from error


def drop_secret(settings: Settings, name: str) -> None:
    """Take a value out of the store.

    Raises:
        NotFound: there is none of that name in it.
    """
    try:
        _file(settings, name).unlink()
    except FileNotFoundError:
        raise NotFound(
            f"The store holds no secret called {name}.", remedy="See `bullpen secrets list`."
        ) from None


def _at(name: str, place: str) -> str:
    if place.startswith(ENVIRONMENT):
        return os.environ.get(place.removeprefix(ENVIRONMENT), "")
    if place.startswith(FILE):
        return _read(name, Path(place.removeprefix(FILE)).expanduser())
    raise InvalidInput(
        f"The setting secrets.{name} says neither where nor in which file it is.",
        remedy=f"Write {ENVIRONMENT}VARIABLE or {FILE}PATH.",
    )


def _read(name: str, file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(LONGEST + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise PermissionRefused(f"The file of the secret {name} cannot be read: {error.strerror}.") from error
    if len(content) > LONGEST:
        raise InvalidInput(f"The file of the secret {name} is longer than {LONGEST} bytes.")
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        raise InvalidInput(f"The file of the secret {name} is no text.") from None


def _folder(settings: Settings) -> Path:
    return settings.home / "secrets"


def _file(settings: Settings, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} cannot name a secret.", remedy="Use letters, digits, _, . and -.")
    return _folder(settings) / name
