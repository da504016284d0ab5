"""Reading what finished runs taught, and the settings that follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from bullpen.domain.actor import Scope
from bullpen.domain.ids import SessionId
from bullpen.domain.money import Money
from bullpen.domain.session import Session
from bullpen.domain.tuning import Tuned
from bullpen.insights import tables
from bullpen.insights.adapt import Crowding, Trial
from bullpen.insights.runs import FinishedRun
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.queries import list_sessions

MOST_SESSIONS = 10_000
MOST_RUNS = 20_000  # the newest ones; older ones say little of the agents and models of now


@dataclass(frozen=True, slots=True)
class Tuning:
    """Where the settings stand. ``base`` is what the person had set when it was last looked at, ``settings`` what holds.

    Settings that are ``pinned`` are not adapted. Runs before ``since`` are no evidence any more: what they led to was
    taken back. ``trial`` is the change that is being watched.
    """

    base: Tuned
    settings: Tuned
    trial: Trial | None = None
    pinned: tuple[str, ...] = ()
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """How a setting came to its value; see ``SettingChanged``. ``session`` is the one that was begun with it."""

    at: float
    name: str
    before: str
    after: str
    how: str
    by: str
    reason: str
    session: str = field(default="")


TUNING: TypeAdapter[Tuning] = TypeAdapter(Tuning)


async def list_runs(uow: UnitOfWork, since: float = 0.0, project: str = "") -> list[FinishedRun]:
    """The newest finished runs from ``since`` on, oldest first; of one project if asked."""
    uow.actor.require(Scope.READ)
    row = tables.finished_run.c
    statement = uow.rows_of(tables.finished_run).where(row.at >= since)
    if project:
        statement = statement.where(row.project == project)
    order = (row.at.desc(), row.session_id.desc(), row.attempt.desc(), row.task_id.desc())
    newest = statement.order_by(*order).limit(MOST_RUNS)
    return [_run(one) for one in reversed(await uow.fetch(newest))]


async def list_crowding(uow: UnitOfWork, since: float = 0.0) -> list[Crowding]:
    """What was measured of waves of each width: the mean of their seconds, and conflicts among their items."""
    uow.actor.require(Scope.READ)
    row = tables.finished_wave.c
    waves = await uow.fetch(uow.rows_of(tables.finished_wave).where(row.at >= since).order_by(row.width))
    widths: dict[int, list[Any]] = {}
    for one in waves:
        widths.setdefault(one.width, []).append(one)
    return [
        Crowding(
            width,
            sum(one.seconds for one in mine) / len(mine),
            sum(one.conflicts for one in mine),
            width * len(mine),
        )
        for width, mine in widths.items()
    ]


async def sessions_to_learn(uow: UnitOfWork) -> list[SessionId]:
    """Improve sessions that ended, or went on and ended again, since they were taken in."""
    uow.actor.require(Scope.READ)
    rows = await uow.fetch(uow.rows_of(tables.learned_session))
    known = {one.session_id: one.run for one in rows}
    return [
        one.id
        for archived in (False, True)
        for one in await list_sessions(uow, kind="improve", archived=archived, limit=MOST_SESSIONS)
        if one.stage.is_final and run_of(one) != known.get(one.id)
    ]


def run_of(session: Session) -> str:
    """Which run of a session it was that ended: what was learned of it holds until there is another."""
    return session.metadata.get("run_ended", "") + session.stage.value


async def find_tuning(uow: UnitOfWork) -> Tuning | None:
    """Where the settings stand; None before the first session that could adapt them."""
    uow.actor.require(Scope.READ)
    row = await uow.fetch_one(uow.rows_of(tables.tuning))
    return load(TUNING, row.body) if row else None


async def list_changes(uow: UnitOfWork, name: str = "", limit: int = 100) -> Sequence[Change]:
    """Changes of settings, the newest first; of one setting if asked."""
    uow.actor.require(Scope.READ)
    row = tables.setting_change.c
    statement = uow.rows_of(tables.setting_change)
    if name:
        statement = statement.where(row.name == name)
    found = await uow.fetch(statement.order_by(row.at.desc(), row.id).limit(limit))
    return [
        Change(one.at, one.name, one.before, one.after, one.how, one.by, one.reason, one.session_id)
        for one in found
    ]


def _run(row: Row[Any]) -> FinishedRun:
    return FinishedRun(
        row.kind,
        row.shape,
        row.agent,
        row.role,
        row.model,
        row.recipe,
        row.succeeded,
        row.seconds,
        Money(row.cost),
        row.rework,
        row.at,
        row.rule,
        row.size,
        row.session_id,
    )
