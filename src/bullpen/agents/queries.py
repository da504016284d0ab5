"""Reading how agents fare, what runs of them there are, and who registered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, func

from bullpen.agents import tables
from bullpen.agents.discovery import Key
from bullpen.agents.health import UNKNOWN, Health, Tally
from bullpen.domain.actor import Scope
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork

SKILLS: TypeAdapter[dict[str, tuple[int, int]]] = TypeAdapter(dict[str, tuple[int, int]])
WORDS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])
StateKey = tuple[str, str, str]  # namespace, name, revision


@dataclass(frozen=True, slots=True)
class AgentState:
    """How one revision of an agent fares; ``generation`` counts the revisions of its name."""

    namespace: str
    name: str
    revision: str
    generation: int
    health: Health


@dataclass(frozen=True, slots=True)
class Registered:
    """An agent that was registered by hand or by itself. ``source`` is the file it is read from, or where it came from;
    ``manifest`` is the manifest of one without files here.
    """

    name: str
    generation: int
    revision: str
    source: str
    manifest: str
    registered_by: str
    registered_at: float
    removed_at: float | None = None


async def list_states(uow: UnitOfWork, at: float, key: Key | None = None) -> Mapping[StateKey, AgentState]:
    """How every known revision fares, or those of one agent; with the runs there are ``at`` a time."""
    uow.actor.require(Scope.READ)
    row = tables.agent_state.c
    statement = uow.rows_of(tables.agent_state)
    if key is not None:
        statement = statement.where(row.namespace == key[0], row.name == key[1])
    running = await count_runs(uow, at, key)
    found = [_state(one, running.get((one.namespace, one.name), 0)) for one in await uow.fetch(statement)]
    return {(one.namespace, one.name, one.revision): one for one in found}


async def count_runs(uow: UnitOfWork, at: float, key: Key | None = None) -> Mapping[Key, int]:
    """How many tasks each agent works on, in all processes. A run whose time is up is none."""
    uow.actor.require(Scope.READ)
    row = tables.agent_run.c
    statement = uow.rows_of(tables.agent_run).where(row.until > at)
    if key is not None:
        statement = statement.where(row.namespace == key[0], row.name == key[1])
    counted = statement.with_only_columns(row.namespace, row.name, func.count()).group_by(
        row.namespace, row.name
    )
    return {(namespace, name): int(count) for namespace, name, count in await uow.fetch(counted)}


async def list_registered(uow: UnitOfWork, name: str | None = None) -> Sequence[Registered]:
    """Who is registered, by name, or the one of this name; those taken off the list among them."""
    uow.actor.require(Scope.READ)
    row = tables.agent_registration.c
    statement = uow.rows_of(tables.agent_registration)
    if name is not None:
        statement = statement.where(row.name == name)
    return [
        Registered(
            one.name,
            one.generation,
            one.revision,
            one.source,
            one.manifest,
            one.registered_by,
            one.registered_at,
            one.removed_at,
        )
        for one in await uow.fetch(statement.order_by(row.name))
    ]


def _state(row: Row[Any], running: int) -> AgentState:
    skills = load(SKILLS, row.skills)
    health = Health(
        Tally(row.tried, row.well),
        row.faults,
        running,
        row.latency,
        row.last_sign,
        row.last_error,
        load(WORDS, row.lacking),
        row.rest_until,
        row.stopped,
        tuple((name, Tally(*counts)) for name, counts in skills.items()),
    )
    return AgentState(row.namespace, row.name, row.revision, row.generation, health)


def fresh(namespace: str, name: str, revision: str) -> AgentState:
    """The state of a revision that was never seen."""
    return AgentState(namespace, name, revision, 0, UNKNOWN)
