"""Reading automations and their runs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select

from bullpen.domain.actor import Scope
from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.domain.ids import SessionId
from bullpen.flow.automation.records import TRIGGER, AutomationRun, Registered, RunState
from bullpen.flow.automation.tables import automation, automation_run
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork

OPEN = tuple(one.value for one in RunState if one.is_open)
BEGUN = tuple(one.value for one in RunState if one is not RunState.SKIPPED)


async def list_automations(uow: UnitOfWork, *, enabled: bool | None = None) -> Sequence[Registered]:
    """Those there are, by name; only those that are enabled, or are not, if asked."""
    uow.actor.require(Scope.READ)
    statement = uow.rows_of(automation)
    if enabled is not None:
        statement = statement.where(automation.c.enabled == enabled)
    ordered = statement.order_by(automation.c.name, automation.c.origin)
    return [_registered(row) for row in await uow.fetch(ordered)]


async def find_automation(uow: UnitOfWork, automation_id: str) -> Registered | None:
    """One by its id, or None."""
    uow.actor.require(Scope.READ)
    row = await uow.fetch_one(uow.rows_of(automation).where(automation.c.id == automation_id))
    return None if row is None else _registered(row)


async def automation_named(uow: UnitOfWork, name: str, origin: str | None = None) -> Registered:
    """One by its id or its name; ``origin`` chooses among several of the same name.

    Raises:
        NotFound: there is none, or none was enabled yet.
        InvalidInput: several are called so.
    """
    known = await list_automations(uow)
    found = [one for one in known if name in (one.id, one.name) and origin in (None, one.origin)]
    if not found:
        raise NotFound(
            f"No automation {name!r} was enabled yet.",
            remedy=f"See `bullpen automation list`, then `bullpen automation enable {name}`.",
        )
    if len(found) > 1:
        places = ", ".join(f"{one.id} ({one.origin or 'home'})" for one in found)
        raise InvalidInput(f"Several automations are called {name!r}: {places}.", remedy="Use the id.")
    return found[0]


async def list_runs(uow: UnitOfWork, automation_id: str = "", *, limit: int = 50) -> Sequence[AutomationRun]:
    """Newest first; of one automation if given."""
    uow.actor.require(Scope.READ)
    statement = uow.rows_of(automation_run)
    if automation_id:
        statement = statement.where(automation_run.c.automation_id == automation_id)
    newest = statement.order_by(automation_run.c.made_at.desc(), automation_run.c.id).limit(limit)
    return [_run(row) for row in await uow.fetch(newest)]


async def list_open_runs(uow: UnitOfWork, automation_id: str = "") -> Sequence[AutomationRun]:
    """Those that are queued, running or waiting, the oldest first."""
    uow.actor.require(Scope.READ)
    statement = uow.rows_of(automation_run).where(automation_run.c.state.in_(OPEN))
    if automation_id:
        statement = statement.where(automation_run.c.automation_id == automation_id)
    oldest = statement.order_by(automation_run.c.made_at, automation_run.c.id)
    return [_run(row) for row in await uow.fetch(oldest)]


async def find_run(uow: UnitOfWork, run_id: str) -> AutomationRun | None:
    """One by its id, or None."""
    uow.actor.require(Scope.READ)
    row = await uow.fetch_one(uow.rows_of(automation_run).where(automation_run.c.id == run_id))
    return None if row is None else _run(row)


async def count_begun(uow: UnitOfWork, automation_id: str, since: float) -> int:
    """How many runs were made since a moment that were not skipped."""
    runs = automation_run.c
    statement = select(func.count()).where(
        runs.organization_id == uow.actor.organization_id,
        runs.automation_id == automation_id,
        runs.state.in_(BEGUN),
        runs.made_at > since,
    )
    rows = await uow.fetch(statement)
    return rows[0][0]


def _registered(row: Row[*tuple[Any, ...]]) -> Registered:
    return Registered(
        id=row.id,
        name=row.name,
        origin=row.origin,
        path=row.path,
        text=row.text,
        enabled=bool(row.enabled),
        changed_by=row.changed_by,
        changed_at=row.changed_at,
        memory=row.memory,
        looked_at=row.looked_at,
    )


def _run(row: Row[*tuple[Any, ...]]) -> AutomationRun:
    return AutomationRun(
        id=row.id,
        automation_id=row.automation_id,
        trigger=load(TRIGGER, row.trigger),
        digest=row.digest,
        state=RunState(row.state),
        reason=row.reason,
        session_id=SessionId(row.session_id),
        made_at=row.made_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        holder=row.holder,
        held_until=row.held_until,
        stop=row.stop,
        attempts=row.attempts,
    )
