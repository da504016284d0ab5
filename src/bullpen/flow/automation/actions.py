"""Changing automations and their runs: each action is one transaction with its events."""

from dataclasses import replace

from bullpen.domain.actor import Scope
from bullpen.domain.errors import NotFound
from bullpen.domain.events.automation import (
    AutomationDisabled,
    AutomationEnabled,
    AutomationNoticed,
    AutomationRunEnded,
    AutomationRunStarted,
    AutomationTriggered,
)
from bullpen.domain.ids import SessionId, derived_id
from bullpen.domain.session import Stage
from bullpen.flow.automation.model import MOST_QUEUED, Limits
from bullpen.flow.automation.queries import count_begun, find_automation, find_run, list_open_runs
from bullpen.flow.automation.records import TRIGGER, AutomationRun, Registered, RunState
from bullpen.flow.automation.tables import automation, automation_run
from bullpen.flow.automation.triggers.base import Trigger
from bullpen.flow.definitions.model import Source
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.actions import reach_stage

HOLD_SECONDS = 60.0  # a run whose holder was not heard of for so long is taken up by another
MOST_ATTEMPTS = 3  # a run that was begun so often and never ended takes its worker down with it
DAY = 86_400.0


def automation_id(origin: str, name: str) -> str:
    """The same file has the same id wherever it is asked for."""
    return derived_id("aut", origin, name)


async def enable_automation(
    uow: UnitOfWork, source: Source, origin: str, at: float, memory: str
) -> Registered:
    """Allow the text of a checked file to begin work, from now on; an edit later is not run until it is allowed, too.

    ``memory`` is what its triggers begin with. Only a person may: agents lack the scope.
    """
    uow.actor.require(Scope.APPROVE)
    key = automation_id(origin, source.name)
    known = await find_automation(uow, key)
    said = {"path": source.where, "text": source.text, "digest": source.digest, "enabled": True}
    values = {**said, "changed_by": uow.actor.id, "changed_at": at}
    if known is None:
        fresh = {"id": key, "name": source.name, "origin": origin, "memory": memory, "looked_at": 0.0}
        await uow.run(uow.new_row(automation, **fresh, **values))
    else:
        kept = known.memory if known.enabled and known.text == source.text else memory
        await _change(uow, key, **values, memory=kept)
    if known is None or not known.enabled or known.text != source.text:
        event = AutomationEnabled(source.name, origin, source.digest, uow.actor.id)
        uow.record(SessionId(key), event)
    found = await find_automation(uow, key)
    if found is None:
        raise NotFound(f"There is no automation {key}.")
    return found


async def disable_automation(uow: UnitOfWork, known: Registered, at: float) -> None:
    """Let it begin nothing any more: what waits in its queue goes, what runs is finished."""
    uow.actor.require(Scope.RUN)
    if not known.enabled:
        return
    await _change(uow, known.id, enabled=False, changed_by=uow.actor.id, changed_at=at)
    uow.record(SessionId(known.id), AutomationDisabled(known.name, uow.actor.id))
    for run in await list_open_runs(uow, known.id):
        if run.state is RunState.QUEUED:
            await _end(uow, run, RunState.SKIPPED, "the automation was disabled", at)


async def queue_run(
    uow: UnitOfWork, known: Registered, limits: Limits, trigger: Trigger, at: float
) -> AutomationRun | None:
    """Begin a run for a trigger, as far as the limits let it; None where that trigger was met before.

    A run that is skipped is kept, too, so that people see why, and the same trigger does not come back.
    """
    uow.actor.require(Scope.RUN)
    run_id = derived_id("run", known.id, trigger.key, length=16)
    if await find_run(uow, run_id) is not None:
        return None
    reason = await _held_back(uow, known, limits, at)
    state = RunState.SKIPPED if reason else RunState.QUEUED
    if not reason and limits.concurrency == "replace":
        await _replace_open(uow, known.id, run_id, at)
    made = AutomationRun(
        id=run_id,
        automation_id=known.id,
        trigger=trigger,
        digest=known.source.digest,
        state=state,
        reason=reason,
        session_id=SessionId(derived_id("ses", run_id)),
        made_at=at,
        started_at=0.0,
        ended_at=at if reason else 0.0,
        holder="",
        held_until=0.0,
        stop="",
        attempts=0,
    )
    await _insert(uow, made)
    uow.record(SessionId(known.id), AutomationTriggered(run_id, trigger.kind, trigger.says, state, reason))
    return made


async def _held_back(uow: UnitOfWork, known: Registered, limits: Limits, at: float) -> str:
    """Why no run may begin; empty where one may."""
    if not known.enabled:
        return "the automation is disabled"
    if await count_begun(uow, known.id, at - DAY) >= limits.per_day:
        return f"it began {limits.per_day} times within a day, which is its limit"
    unended = await list_open_runs(uow, known.id)
    if unended and limits.concurrency == "skip":
        return f"{unended[0].id} has not ended"
    queued = [one for one in unended if one.state is RunState.QUEUED]
    return f"{MOST_QUEUED} runs wait already" if len(queued) >= MOST_QUEUED else ""


async def _replace_open(uow: UnitOfWork, key: str, by: str, at: float) -> None:
    words = f"replaced by {by}"
    for run in await list_open_runs(uow, key):
        if run.state is RunState.RUNNING:
            await _change_run(uow, run.id, stop=words)
            continue
        if run.state is RunState.WAITING:
            await reach_stage(uow, run.session_id, Stage.CANCELLED, words)
        await _end(uow, run, RunState.REPLACED, words, at)


async def claim_run(uow: UnitOfWork, holder: str, at: float) -> AutomationRun | None:
    """The oldest run that can be done now, held by ``holder``: queued, or left by a holder that is gone.

    Of one automation one run is done at a time. One that took its holder down too often has failed.
    """
    uow.actor.require(Scope.RUN)
    busy = set[str]()
    for run in await list_open_runs(uow):
        if run.state is RunState.RUNNING and run.held_until < at and run.attempts >= MOST_ATTEMPTS:
            await _end(uow, run, RunState.FAILED, f"it was begun {run.attempts} times and never ended", at)
        elif run.state is RunState.RUNNING and run.held_until < at:
            return await _hold(uow, run, holder, at)
        elif run.state is not RunState.QUEUED:
            busy.add(run.automation_id)
    for run in await list_open_runs(uow):
        if run.state is RunState.QUEUED and run.automation_id not in busy:
            return await _hold(uow, run, holder, at)
    return None


async def _hold(uow: UnitOfWork, run: AutomationRun, holder: str, at: float) -> AutomationRun:
    held = replace(
        run,
        state=RunState.RUNNING,
        holder=holder,
        held_until=at + HOLD_SECONDS,
        started_at=run.started_at or at,
        attempts=run.attempts + 1,
    )
    await _change_run(
        uow,
        run.id,
        state=held.state,
        holder=holder,
        held_until=held.held_until,
        started_at=held.started_at,
        attempts=held.attempts,
    )
    event = AutomationRunStarted(run.id, run.session_id, holder, held.attempts)
    uow.record(SessionId(run.automation_id), event)
    return held


async def keep_run(uow: UnitOfWork, run_id: str, holder: str, at: float) -> str | None:
    """Say that the holder is still at it; why the run is to end (empty where it is not), None where another has it."""
    known = await find_run(uow, run_id)
    if known is None or known.holder != holder or known.state is not RunState.RUNNING:
        return None
    await _change_run(uow, run_id, held_until=at + HOLD_SECONDS)
    return known.stop


async def leave_run(uow: UnitOfWork, run_id: str, holder: str) -> None:
    """Let another go on with it at once; this beginning does not count, for nothing went wrong."""
    known = await find_run(uow, run_id)
    if known is not None and known.holder == holder and known.state is RunState.RUNNING:
        await _change_run(uow, run_id, holder="", held_until=0.0, attempts=known.attempts - 1)


async def free_runs(uow: UnitOfWork) -> None:
    """Let everything that is held be taken up at once: whoever calls knows that no holder is alive."""
    uow.actor.require(Scope.RUN)
    for run in await list_open_runs(uow):
        if run.state is RunState.RUNNING:
            await _change_run(uow, run.id, held_until=0.0)


async def end_run(
    uow: UnitOfWork, run: AutomationRun, holder: str, state: RunState, words: str, at: float
) -> bool:
    """Keep how a run ended, or that it waits; False, and nothing is changed, where another holds it."""
    known = await find_run(uow, run.id)
    if known is None or known.holder != holder or known.state not in (RunState.RUNNING, RunState.WAITING):
        return False
    await _end(uow, known, state, words, at)
    return True


async def _end(uow: UnitOfWork, run: AutomationRun, state: RunState, words: str, at: float) -> None:
    ended = 0.0 if state.is_open else at
    await _change_run(uow, run.id, state=state, reason=words, ended_at=ended, held_until=0.0)
    event = AutomationRunEnded(run.id, run.session_id, state, words)
    uow.record(SessionId(run.automation_id), event)


async def remember_look(
    uow: UnitOfWork, known: Registered, memory: str, at: float, notes: dict[str, str]
) -> None:
    """Keep what the triggers of an automation remember, and tell what was odd."""
    if memory != known.memory or at - known.looked_at > DAY:
        await _change(uow, known.id, memory=memory, looked_at=at)
    for trigger, note in notes.items():
        uow.record(SessionId(known.id), AutomationNoticed(trigger, note))


async def _change(uow: UnitOfWork, key: str, **values: object) -> None:
    await uow.run(uow.change_rows(automation).where(automation.c.id == key).values(**values))


async def _change_run(uow: UnitOfWork, key: str, **values: object) -> None:
    await uow.run(uow.change_rows(automation_run).where(automation_run.c.id == key).values(**values))


async def _insert(uow: UnitOfWork, run: AutomationRun) -> None:
    row = {name: getattr(run, name) for name in automation_run.c.keys() if hasattr(run, name)}  # noqa: SIM118
    await uow.run(uow.new_row(automation_run, **{**row, "trigger": dump(TRIGGER, run.trigger)}))
