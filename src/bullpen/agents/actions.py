"""Changing what is known of agents: who registered, who is stopped, how they fare; each with its event.

The writers of one organization take turns, so what is read here and then written was not changed in between.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, or_

from bullpen.agents import tables
from bullpen.agents.discovery import Key, Registration
from bullpen.agents.health import UNKNOWN, Health
from bullpen.agents.queries import (
    SKILLS,
    WORDS,
    AgentState,
    Registered,
    fresh,
    list_registered,
    list_states,
)
from bullpen.domain.actor import Scope
from bullpen.domain.errors import NotFound
from bullpen.domain.events.fleet import (
    AgentDrained,
    AgentHalted,
    AgentRegistered,
    AgentRestarted,
    AgentUnregistered,
)
from bullpen.domain.ids import SessionId
from bullpen.kernel.clock import now
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork

FLEET_LOG = SessionId("ses-fleet")  # where events of agents are that belong to no session


async def note_agents(uow: UnitOfWork, found: Iterable[Registration]) -> int:
    """Keep which revisions there are; how many were new. A new one of a stopped agent is stopped, too."""
    uow.actor.require(Scope.RUN)
    new = await _note(uow, found)
    for one, state in new:
        uow.record(FLEET_LOG, _registered(one, state.generation))
    return len(new)


async def _note(uow: UnitOfWork, found: Iterable[Registration]) -> list[tuple[Registration, AgentState]]:
    known = await list_states(uow, now())
    newest = {
        (one.namespace, one.name): one for one in sorted(known.values(), key=lambda one: one.generation)
    }
    new: list[tuple[Registration, AgentState]] = []
    for one in found:
        if (one.namespace, one.name, one.revision) in known:
            continue
        before = newest.get((one.namespace, one.name)) or fresh(one.namespace, one.name, "")
        health = replace(UNKNOWN, stopped=before.health.stopped)
        state = AgentState(one.namespace, one.name, one.revision, before.generation + 1, health)
        newest[one.namespace, one.name] = state
        new.append((one, state))
    if new:
        await uow.run(tables.agent_state.insert(), [_row(uow, state) for _, state in new])
    return new


async def begin_run(
    uow: UnitOfWork, key: Key, revision: str, run: str, seconds: float, admit: Callable[[Health], None]
) -> Health:
    """Count one more task of an agent, if ``admit`` does not refuse it; its health with that task.

    A ``run`` that was begun before has died meanwhile: it is counted once.

    Raises:
        LimitExceeded, Unavailable: what ``admit`` raises; nothing is changed then.
    """
    uow.actor.require(Scope.RUN)
    at = now()
    over = or_(tables.agent_run.c.until <= at, tables.agent_run.c.id == run)
    await uow.run(delete(tables.agent_run).where(_mine(uow), over))
    state = await _state_of(uow, key, revision)
    admit(state.health)
    row = {"id": run, "namespace": key[0], "name": key[1], "since": at, "until": at + seconds}
    await uow.run(uow.new_row(tables.agent_run, **row))
    return replace(state.health, running=state.health.running + 1)


async def end_run(
    uow: UnitOfWork, key: Key, revision: str, run: str, change: Callable[[Health], Health]
) -> Health:
    """A task has ended: what that ``change``s in the agent's health."""
    uow.actor.require(Scope.RUN)
    health = await change_health(uow, key, revision, change)
    await uow.run(delete(tables.agent_run).where(_mine(uow), tables.agent_run.c.id == run))
    return health


async def change_health(
    uow: UnitOfWork, key: Key, revision: str, change: Callable[[Health], Health]
) -> Health:
    """Keep what was learnt of how an agent fares; one that rests from now on has its event."""
    uow.actor.require(Scope.RUN)
    state = await _state_of(uow, key, revision)
    health = change(state.health)
    await _keep(uow, replace(state, health=health))
    if health.rest_until is not None and health.rest_until != state.health.rest_until:
        uow.record(FLEET_LOG, AgentDrained(*key, health.last_error, max(0.0, health.rest_until - now())))
    return health


async def stop_agent(uow: UnitOfWork, key: Key, reason: str) -> None:
    """A person says that an agent gets no more tasks, in any process; what runs goes on.

    Raises:
        NotFound: there is no such agent.
    """
    uow.actor.require(Scope.RUN)
    for state in await _states_of(uow, key):
        await _keep(uow, replace(state, health=replace(state.health, stopped=reason or "stopped")))
    uow.record(FLEET_LOG, AgentHalted(*key, reason))


async def restart_agent(uow: UnitOfWork, key: Key) -> None:
    """A person says that an agent gets tasks again, with a clean record.

    Raises:
        NotFound: there is no such agent.
    """
    uow.actor.require(Scope.RUN)
    for state in await _states_of(uow, key):
        await _keep(uow, replace(state, health=UNKNOWN))
    uow.record(FLEET_LOG, AgentRestarted(*key))


async def keep_registration(uow: UnitOfWork, one: Registration, source: str, manifest: str) -> Registered:
    """Put an agent on the list. The same content again changes nothing; other content is its next generation."""
    uow.actor.require(Scope.RUN)
    before = next(iter(await list_registered(uow, one.name)), None)
    if before and (before.revision, before.source, before.removed_at) == (one.revision, source, None):
        return before
    generation = before.generation + 1 if before else 1
    kept = Registered(one.name, generation, one.revision, source, manifest, uow.actor.id, now())
    values = {
        "generation": generation,
        "revision": one.revision,
        "source": source,
        "manifest": manifest,
        "registered_by": kept.registered_by,
        "registered_at": kept.registered_at,
        "removed_at": None,
    }
    if before:
        await uow.run(
            uow.change_rows(tables.agent_registration)
            .where(tables.agent_registration.c.name == one.name)
            .values(**values)
        )
    else:
        await uow.run(uow.new_row(tables.agent_registration, name=one.name, **values))
    await _note(uow, [one])
    uow.record(FLEET_LOG, _registered(one, generation))
    return kept


async def unregister_agent(uow: UnitOfWork, name: str) -> None:
    """Take an agent off the list; should it register again, its generations go on.

    Raises:
        NotFound: it is not on it.
    """
    uow.actor.require(Scope.RUN)
    known = next((one for one in await list_registered(uow, name) if one.removed_at is None), None)
    if known is None:
        raise NotFound(
            f"No agent {name!r} is registered.",
            remedy="Agents of folders and plugins go when their files go; see `bullpen agents`.",
        )
    row = tables.agent_registration
    await uow.run(uow.change_rows(row).where(row.c.name == name).values(removed_at=now()))
    uow.record(FLEET_LOG, AgentUnregistered(name, known.generation))


def _registered(one: Registration, generation: int) -> AgentRegistered:
    manifest = one.manifest
    return AgentRegistered(one.namespace, one.name, manifest.kind, manifest.version, one.revision, generation)


def _mine(uow: UnitOfWork) -> Any:
    return tables.agent_run.c.organization_id == uow.actor.organization_id


async def _state_of(uow: UnitOfWork, key: Key, revision: str) -> AgentState:
    known = await list_states(uow, now(), key)
    return known.get((*key, revision)) or fresh(*key, revision)


async def _states_of(uow: UnitOfWork, key: Key) -> list[AgentState]:
    known = list((await list_states(uow, now(), key)).values())
    if not known:
        raise NotFound(
            f"There is no agent {'/'.join(part for part in key if part)!r}.", remedy="See `bullpen agents`."
        )
    return known


async def _keep(uow: UnitOfWork, state: AgentState) -> None:
    row = tables.agent_state.c
    values = _values(state)
    touched = await uow.run(
        uow.change_rows(tables.agent_state)
        .where(row.namespace == state.namespace, row.name == state.name, row.revision == state.revision)
        .values(**values)
    )
    if not touched:
        await uow.run(tables.agent_state.insert(), [_row(uow, state)])


def _row(uow: UnitOfWork, state: AgentState) -> dict[str, Any]:
    return {
        "organization_id": uow.actor.organization_id,
        "namespace": state.namespace,
        "name": state.name,
        "revision": state.revision,
        **_values(state),
    }


def _values(state: AgentState) -> dict[str, Any]:
    health = state.health
    skills = {name: (tally.tried, tally.well) for name, tally in health.skills}
    return {
        "generation": state.generation,
        "tried": health.tasks.tried,
        "well": health.tasks.well,
        "faults": health.faults,
        "latency": health.latency,
        "last_sign": health.last_sign,
        "last_error": health.last_error,
        "lacking": dump(WORDS, health.lacking),
        "rest_until": health.rest_until,
        "stopped": health.stopped,
        "skills": dump(SKILLS, skills),
    }
