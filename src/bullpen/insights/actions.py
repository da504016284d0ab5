"""Taking in finished sessions, and letting settings follow what they taught; each change with its event."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import delete

from bullpen.domain.actor import Scope
from bullpen.domain.errors import Conflict, NotFound
from bullpen.domain.events.insights import SettingChanged
from bullpen.domain.ids import SessionId, new_id
from bullpen.domain.session import Session
from bullpen.domain.tuning import Tuned
from bullpen.insights import tables
from bullpen.insights.adapt import DEFAULT_LIMITS, Limits, Review, Trial, propose, review
from bullpen.insights.distil import FinishedWave, KeptRun, distil_runs, distil_waves, plan_of
from bullpen.insights.named import (
    PARALLEL,
    RETRIES,
    SECONDS,
    differing,
    moved,
    require_known,
    values_of,
    with_text,
    with_value,
)
from bullpen.insights.queries import (
    TUNING,
    Tuning,
    find_tuning,
    list_changes,
    list_crowding,
    list_runs,
    run_of,
    sessions_to_learn,
)
from bullpen.insights.runs import FinishedRun
from bullpen.kernel.bus.log import Recorded, replay
from bullpen.kernel.clock import now
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.queries import get_session
from bullpen.work.queries import list_items, list_tasks

INSIGHTS_LOG = SessionId("ses-insights")  # where changes are told that belong to no session
ADAPTED, KEPT, RETURNED, PINNED, RELEASED, UNDONE = (
    *("adapted", "kept", "returned"),
    *("pinned", "released", "undone"),
)


async def learn_from(uow: UnitOfWork, session_id: SessionId) -> int:
    """Take in what a session teaches, anew if it was taken in before; how many finished runs it had."""
    uow.actor.require(Scope.RUN)
    session = await get_session(uow, session_id)
    plan = plan_of(session_id, await list_items(uow, session_id), await list_tasks(uow, session_id))
    events = await _history(uow, session_id)
    runs, waves = distil_runs(plan, events), distil_waves(session_id, events)
    for table in (tables.finished_run, tables.finished_wave, tables.learned_session):
        mine = (
            table.c.organization_id == uow.actor.organization_id,
            table.c.session_id == session_id,
        )
        await uow.run(delete(table).where(*mine))
    await _keep(uow, session, runs, waves)
    return len(runs)


async def _keep(
    uow: UnitOfWork, session: Session, runs: Sequence[KeptRun], waves: Sequence[FinishedWave]
) -> None:
    organization = {"organization_id": uow.actor.organization_id}
    if runs:
        await uow.run(tables.finished_run.insert(), [organization | _run_row(session, one) for one in runs])
    if waves:
        await uow.run(tables.finished_wave.insert(), [organization | _wave_row(one) for one in waves])
    learned = {"session_id": session.id, "run": run_of(session)}
    await uow.run(uow.new_row(tables.learned_session, **learned))


def _run_row(session: Session, kept: KeptRun) -> dict[str, Any]:
    run = kept.run
    return {
        "session_id": kept.session,
        "task_id": kept.task,
        "attempt": kept.attempt,
        "project": session.project,
        "kind": run.kind,
        "shape": run.shape,
        "agent": run.agent,
        "role": run.role,
        "model": run.model,
        "recipe": run.recipe,
        "rule": run.rule,
        "size": run.size,
        "succeeded": run.succeeded,
        "seconds": run.seconds,
        "cost": run.cost.micro_usd,
        "rework": run.rework,
        "at": run.at,
    }


def _wave_row(one: FinishedWave) -> dict[str, Any]:
    return {
        "session_id": one.session,
        "wave": one.wave,
        "width": one.width,
        "seconds": one.seconds,
        "conflicts": one.conflicts,
        "at": one.at,
    }


async def _history(uow: UnitOfWork, session_id: SessionId) -> list[Recorded]:
    events: list[Recorded] = []
    while page := await replay(uow, session_id, events[-1].position if events else 0):
        events.extend(page)
    return events


async def catch_up(uow: UnitOfWork) -> int:
    """Take in the sessions that ended, or went on, since they were last looked at; how many there were."""
    found = await sessions_to_learn(uow)
    for session in found:
        await learn_from(uow, session)
    return len(found)


async def adapt_settings(uow: UnitOfWork, session_id: SessionId, plain: Tuned, *, enabled: bool) -> Tuned:
    """The settings a session that begins is to have; ``plain`` is what the person has set.

    What they set anew since the last session counts, and ends a trial of it. Where adapting is off, everything that was
    adapted is as they set it; what is pinned holds.
    """
    uow.actor.require(Scope.RUN)
    known = await find_tuning(uow)
    if known is None and not enabled:
        return plain
    at, limits = now(), _limits(plain)
    tuning = _upon(known or Tuning(plain, plain), plain)
    runs = await list_runs(uow, tuning.since)
    if tuning.trial is not None:
        tuning = await _reviewed(uow, session_id, tuning, runs, enabled=enabled)
    if not enabled:
        tuning = await _switched_off(uow, session_id, tuning)
    elif tuning.trial is None:
        fresh = [run for run in runs if run.at >= tuning.since]
        tuning = await _proposed(uow, session_id, tuning, fresh, at, limits)
    await _store(uow, tuning)
    return tuning.settings


def _limits(plain: Tuned) -> Limits:
    """An agent never gets more time than the person set."""
    low = DEFAULT_LIMITS.seconds[0]
    return replace(DEFAULT_LIMITS, seconds=(min(low, plain.seconds), plain.seconds))


def _upon(tuning: Tuning, plain: Tuned) -> Tuning:
    """The same upon what the person has set now: a setting they changed is what they say, and no trial goes on."""
    anew = [
        name
        for name in (RETRIES, PARALLEL, SECONDS)
        if name in differing(tuning.base, plain) and name not in tuning.pinned
    ]
    settings = tuning.settings
    for name in anew:
        settings = moved(settings, plain, name)
    trial = None if anew else tuning.trial
    return replace(tuning, base=plain, settings=settings, trial=trial)


async def _reviewed(
    uow: UnitOfWork, session_id: SessionId, tuning: Tuning, runs: Sequence[FinishedRun], *, enabled: bool
) -> Tuning:
    """How the change that is being watched fares."""
    if tuning.trial is None:
        return tuning
    found: Review = review(tuning.trial, runs, enabled=enabled)
    changed = differing(tuning.trial.before, tuning.trial.settings)
    if found.trial is not None:
        return replace(tuning, trial=found.trial)
    settings = tuning.settings
    for name in changed:
        if name not in tuning.pinned:
            settings = moved(settings, found.settings, name)
            how = RETURNED if found.reverted else KEPT
            await _tell(
                uow, session_id, _difference(name, tuning.trial.settings, settings), how, found.reason
            )
    since = now() if found.reverted else tuning.since
    return replace(tuning, settings=settings, trial=None, since=since)


async def _proposed(
    uow: UnitOfWork,
    session_id: SessionId,
    tuning: Tuning,
    runs: Sequence[FinishedRun],
    at: float,
    limits: Limits,
) -> Tuning:
    crowding = await list_crowding(uow, tuning.since)
    found = propose(tuning.settings, runs, at, enabled=True, crowding=crowding, limits=limits)
    if found is None:
        return tuning
    wanted = found.settings
    for name in tuning.pinned:
        wanted = moved(wanted, tuning.settings, name)
    for name in differing(tuning.settings, wanted):
        reason = "; ".join(found.reasons)
        await _tell(uow, session_id, _difference(name, tuning.settings, wanted), ADAPTED, reason)
    if wanted == tuning.settings:
        return tuning
    return replace(tuning, settings=wanted, trial=replace(found, settings=wanted))


async def _switched_off(uow: UnitOfWork, session_id: SessionId, tuning: Tuning) -> Tuning:
    """As the person set it, but for what is pinned; orders of agents are then the scheduler's alone."""
    wanted = tuning.base
    for name in tuning.pinned:
        wanted = moved(wanted, tuning.settings, name)
    for name in differing(replace(tuning.settings, routes={}), replace(wanted, routes={})):
        change = _difference(name, tuning.settings, wanted)
        await _tell(uow, session_id, change, RETURNED, "Adapting is off.")
    return replace(tuning, settings=wanted, trial=None)


async def pin_setting(uow: UnitOfWork, name: str, value: str, plain: Tuned) -> Tuning:
    """Hold a setting at a value (as it is, if that is empty), whatever is measured.

    Raises:
        NotFound: there is no such setting.
        InvalidInput: the value is none, or out of bounds.
    """
    tuning, known = await _there(uow, plain)
    wanted = with_value(known, name, value or values_of(known).get(name, ""), _limits(plain))
    return await _decided(uow, tuning, moved(tuning.settings, wanted, name), name, PINNED)


async def release_setting(uow: UnitOfWork, name: str, plain: Tuned) -> Tuning:
    """Let a setting that was pinned follow the measurements again, from the value it has.

    Raises:
        NotFound: there is no such setting.
        Conflict: it is not pinned.
    """
    tuning, known = await _there(uow, plain)
    require_known(known, name)
    if name not in tuning.pinned:
        raise Conflict(f"{name} is not pinned.", remedy="See `bullpen insights settings`.")
    return await _decided(uow, tuning, tuning.settings, name, RELEASED)


async def undo_setting(uow: UnitOfWork, name: str, plain: Tuned) -> Tuning:
    """Give a setting the value it had before its last change, and pin it there: the same evidence would change it again.

    Raises:
        NotFound: there is no such setting, or it was never changed.
    """
    tuning, known = await _there(uow, plain)
    require_known(known, name)
    last = next((one for one in await list_changes(uow, name) if one.before != one.after), None)
    if last is None:
        raise NotFound(f"{name} was never changed.", remedy="See `bullpen insights settings`.")
    settings = with_text(tuning.settings, name, last.before)
    return await _decided(uow, tuning, settings, name, UNDONE)


async def _there(uow: UnitOfWork, plain: Tuned) -> tuple[Tuning, Tuned]:
    """Where the settings stand, and the same with an order for every kind of work that was ever done."""
    uow.actor.require(Scope.RUN)
    tuning = _upon(await find_tuning(uow) or Tuning(plain, plain), plain)
    routes = {kind: list(order) for kind, order in tuning.settings.routes.items()}
    for run in await list_runs(uow):
        routes.setdefault(run.kind, []).append(run.agent)
    orders = {kind: tuple(dict.fromkeys(order)) for kind, order in routes.items()}
    return tuning, replace(tuning.settings, routes=orders)


async def _decided(uow: UnitOfWork, tuning: Tuning, settings: Tuned, name: str, how: str) -> Tuning:
    """A person decided on a setting: a trial of it is over."""
    pinned = tuple(one for one in tuning.pinned if one != name) + ((name,) if how != RELEASED else ())
    trial = tuning.trial
    if trial is not None:
        trial = _without(trial, settings, name)
    await _tell(uow, INSIGHTS_LOG, _difference(name, tuning.settings, settings), how, "A person decided.")
    decided = replace(tuning, settings=settings, trial=trial, pinned=pinned)
    await _store(uow, decided)
    return decided


def _without(trial: Trial, settings: Tuned, name: str) -> Trial | None:
    """The trial of the other settings it is about, if there are any."""
    left = replace(
        trial, settings=moved(trial.settings, settings, name), before=moved(trial.before, settings, name)
    )
    return left if differing(left.settings, left.before) else None


def _difference(name: str, before: Tuned, after: Tuned) -> tuple[str, str, str]:
    return name, values_of(before).get(name, ""), values_of(after).get(name, "")


async def _tell(
    uow: UnitOfWork, session_id: SessionId, change: tuple[str, str, str], how: str, reason: str
) -> None:
    name, before, after = change
    by = str(uow.actor.id)
    values = {"name": name, "before": before, "after": after, "how": how, "by": by, "reason": reason}
    row = {"id": new_id("chg"), "at": now(), "session_id": session_id, **values}
    await uow.run(uow.new_row(tables.setting_change, **row))
    uow.record(session_id, SettingChanged(name, before, after, how, by, reason))


async def _store(uow: UnitOfWork, tuning: Tuning) -> None:
    body = dump(TUNING, tuning)
    if not await uow.run(uow.change_rows(tables.tuning).values(body=body)):
        await uow.run(uow.new_row(tables.tuning, body=body))
