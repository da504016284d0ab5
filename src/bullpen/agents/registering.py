"""Agents that are registered by hand, or register themselves: a manifest comes in, and is checked like any other.

A script registers by the path of its file, so it is there on the machines that have that file; it is used as long as it
is the same. An agent somewhere else registers with its manifest alone.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from bullpen.agents.actions import keep_registration
from bullpen.agents.discovery import Registration, Source, digest_of, read_registration
from bullpen.agents.manifest import DEFAULT_LIMITS, LONGEST_MANIFEST, lower_limits, parse_manifest
from bullpen.agents.queries import Registered, list_registered
from bullpen.agents.registry import Quarantined
from bullpen.domain.actor import Scope
from bullpen.domain.errors import BullpenError, Conflict, InvalidInput, PermissionRefused, Unavailable
from bullpen.kernel.storage.unit_of_work import UnitOfWork

_SECONDS = 20.0


async def register_file(uow: UnitOfWork, place: Path, taken: Iterable[str] = ()) -> Registered:
    """Register the agent of a file or folder of this machine: an executable with a manifest in it, a manifest, or a
    folder with ``agent.yaml``. ``taken`` are names of roles and of agents from elsewhere.

    Raises:
        InvalidInput, NotFound, PermissionRefused: what is wrong with it, and the remedy.
        Conflict: its name is taken.
    """
    uow.actor.require(Scope.ADMIN)
    try:
        one = read_registration(place, Source(place.parent))
    except OSError as error:
        raise InvalidInput(f"{place} cannot be read: {error.strerror}.") from error
    _require_free(one, taken)
    return await keep_registration(uow, one, str(place), "")


async def register_manifest(
    uow: UnitOfWork, content: bytes, origin: str, taken: Iterable[str] = ()
) -> Registered:
    """Register an agent that runs somewhere else, by its manifest in YAML or JSON; ``origin`` says where it came from.

    Whoever is no administrator may register one without a secret, with limits no higher than the default. What an agent
    says it can do is not believed: see ``Health.untrue``.

    Raises:
        InvalidInput: what is wrong with the manifest.
        PermissionRefused: it asks for more than the actor may give.
        Conflict: its name is taken, or somebody else registered it.
    """
    uow.actor.require(Scope.RUN)
    one = _remote(content, origin)
    _require_free(one, taken)
    if Scope.ADMIN not in uow.actor.scopes:
        await _require_modest(uow, one)
    return await keep_registration(uow, one, origin, content.decode("utf-8"))


async def fetch_manifest(url: str) -> bytes:
    """The manifest at an address; redirects are not followed.

    Raises:
        Unavailable: the server does not answer, or not with a manifest.
        InvalidInput: what it answers is too long.
    """
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            content = await _whole(answer.content)
            if answer.status != 200:
                raise Unavailable(f"{url} answers with status {answer.status}.")
    except aiohttp.InvalidURL as error:
        raise InvalidInput(f"{url!r} is no address.") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"{url} cannot be reached: {error or type(error).__name__}.") from error
    return content


async def registered_agents(uow: UnitOfWork) -> tuple[list[Registration], list[Quarantined]]:
    """The agents on the list as they are now, and those that cannot be used, each with its reason."""
    agents: list[Registration] = []
    refused: list[Quarantined] = []
    for one in await list_registered(uow):
        if one.removed_at is not None:
            continue
        try:
            agents.append(_as_it_is(one))
        except BullpenError as error:
            refused.append(Quarantined(one.source, f"{error.sentence} {error.remedy}".strip()))
        except OSError as error:
            refused.append(Quarantined(one.source, f"It cannot be read: {error.strerror}."))
    return agents, refused


def _as_it_is(one: Registered) -> Registration:
    if one.manifest:
        return replace(_remote(one.manifest.encode("utf-8"), one.source), generation=one.generation)
    place = Path(one.source)
    found = read_registration(place, Source(place.parent))
    if found.revision != one.revision:
        raise Conflict(
            f"{one.name} is not what was registered: its files have changed.",
            remedy=f"Register it again: bullpen agents register {one.source}",
        )
    return replace(found, generation=one.generation)


def _remote(content: bytes, origin: str) -> Registration:
    manifest = parse_manifest(content, origin if origin.endswith(".toml") else f"{origin} ")
    if manifest.kind != "remote":
        raise InvalidInput(
            f"{origin}: kind: only agents of kind remote register without their files.",
            remedy="Register a script by the path of its file.",
        )
    return Registration(manifest, Path(), "", digest_of(content))


def _require_free(one: Registration, taken: Iterable[str]) -> None:
    if one.name in set(taken):
        raise Conflict(
            f"The name {one.name!r} belongs to another agent or role.", remedy="Give it another name."
        )


async def _require_modest(uow: UnitOfWork, one: Registration) -> None:
    """What an agent may do that registers itself."""
    manifest = one.manifest
    if manifest.secret or manifest.limits != lower_limits(manifest.limits, DEFAULT_LIMITS):
        raise PermissionRefused(
            f"{one.name} asks for a secret, or for more than the default limits.",
            remedy="An administrator can register such an agent.",
        )
    before: Any = next(iter(await list_registered(uow, one.name)), None)
    if before is not None and before.removed_at is None and before.registered_by != uow.actor.id:
        raise Conflict(f"The name {one.name!r} was registered by {before.registered_by}.")


async def _whole(stream: aiohttp.StreamReader) -> bytes:
    content = b""
    async for chunk in stream.iter_any():
        content += chunk
        if len(content) > LONGEST_MANIFEST:
            raise InvalidInput(f"A manifest has at most {LONGEST_MANIFEST} bytes.")
    return content
