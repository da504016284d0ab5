"""What several commands are given, and the records they read."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from bullpen.domain.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bullpen.domain.session import Session
    from bullpen.domain.work_item import WorkItem
    from bullpen.flow.improve.means import Means
    from bullpen.flow.improve.session import OpenSessions
    from bullpen.kernel.storage.unit_of_work import UnitOfWork

T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
session_option = click.option(
    "--session", "session_id", default="", metavar="ID", help="The session; otherwise the newest."
)


def given_options() -> frozenset[str]:
    """The parameters of the command that a person gave on the command line, by their names in its function."""
    context = click.get_current_context()
    asked = click.core.ParameterSource.COMMANDLINE
    return frozenset(name for name in context.params if context.get_parameter_source(name) is asked)


def full_path(repo: str) -> str:
    """A folder's full path, so that a session can be found again from anywhere; a URL as it is."""
    is_url = "://" in repo or (":" in repo and not Path(repo).exists())
    return repo if is_url else str(Path(repo).absolute())


def baseline_path(given: str) -> str:
    """The full path of a baseline that can be read; empty if none is given.

    Raises:
        InvalidInput: it cannot be read, or is neither SARIF nor a list of fingerprints.
    """
    if not given:
        return ""
    from bullpen.analysis.baseline import read_baseline

    path = Path(given).absolute()
    read_baseline(read_given(path, "Name a SARIF file, such as one written by `bullpen roast --sarif FILE`."))
    return str(path)


def read_given(path: Path, remedy: str = "") -> bytes:
    """The content of a file a person named.

    Raises:
        InvalidInput: it cannot be read, and why.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.", remedy=remedy) from error


def write_given(path: Path, content: bytes) -> None:
    """Write a file a person named.

    Raises:
        InvalidInput: it cannot be written, and why.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from error


def read_records(body: "Callable[[UnitOfWork], Awaitable[T]]") -> T:
    """Run a question on the records."""

    async def run() -> T:
        from bullpen.app import open_records
        from bullpen.kernel.settings import read_settings

        async with open_records(read_settings()) as records, records.database.view(records.actor) as uow:
            return await body(uow)

    return asyncio.run(run())


def change_records(body: "Callable[[UnitOfWork], Awaitable[T]]") -> T:
    """Run a change of the records, whole or not at all."""

    async def run() -> T:
        from bullpen.app import open_records
        from bullpen.kernel.settings import read_settings

        async with (
            open_records(read_settings()) as records,
            records.database.transaction(records.actor) as uow,
        ):
            return await body(uow)

    return asyncio.run(run())


def in_workshop(body: "Callable[[Means, OpenSessions], Awaitable[T]]") -> T:
    """Run something that needs a sandbox and the records of improve sessions."""

    async def run() -> T:
        from bullpen.app import open_workshop
        from bullpen.kernel.settings import read_settings

        async with open_workshop(read_settings()) as workshop:
            return await body(workshop.means, workshop.bench.sessions)

    return asyncio.run(run())


async def session_named(uow: "UnitOfWork", name: str) -> "Session":
    """The session of this id, or of the only id that begins so; the newest where no name is given.

    Raises:
        NotFound: there is none.
        InvalidInput: several begin so.
    """
    from bullpen.sessions.queries import get_session, list_sessions

    known = list(await list_sessions(uow, limit=10_000))
    if name:
        known.extend(await list_sessions(uow, archived=True, limit=10_000))
    if not name:
        if not known:
            raise NotFound("There is no session yet.", remedy="Start with `bullpen improve PATH`.")
        return known[0]
    found = [one for one in known if one.id == name] or [one for one in known if one.id.startswith(name)]
    if len(found) > 1:
        raise InvalidInput(f"Several sessions begin with {name}.", remedy="Write more of the id.")
    return found[0] if found else await get_session(uow, name)


async def item_named(uow: "UnitOfWork", session_id: str, item_id: str) -> "tuple[Session, WorkItem]":
    """An item and its session: the one named, else the newest that has such an item.

    Raises:
        NotFound: there is none.
    """
    from bullpen.sessions.queries import list_sessions
    from bullpen.work.queries import get_item

    if session_id:
        session = await session_named(uow, session_id)
        return session, await get_item(uow, session.id, item_id)
    for session in await list_sessions(uow, limit=10_000):
        try:
            return session, await get_item(uow, session.id, item_id)
        except NotFound:
            continue
    raise NotFound(f"There is no item {item_id}.", remedy="See `bullpen items`.")
