"""Looking for what triggers find out by themselves: times that came, branches that moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bullpen.domain.actor import Actor
from bullpen.domain.errors import BullpenError, InvalidInput
from bullpen.flow.automation.actions import remember_look
from bullpen.flow.automation.ceiling import Ceiling, read_ceiling
from bullpen.flow.automation.check import trigger_options
from bullpen.flow.automation.fire import Fired, allowed, begin
from bullpen.flow.automation.model import Automation
from bullpen.flow.automation.queries import find_automation, list_automations
from bullpen.flow.automation.records import MEMORY, Registered
from bullpen.flow.automation.triggers.base import TRIGGERS, Look, Trigger, TriggerKind, Watch
from bullpen.kernel.json_text import dump, load
from bullpen.kernel.storage.database import Database


@dataclass(slots=True)
class _Seen:
    """What the triggers of one automation found out. ``failed`` notes are told once, not at every look."""

    memory: dict[str, str]
    triggers: list[Trigger]
    notes: dict[str, str]


async def tick(
    database: Database, actor: Actor, home: Path, at: float, *, only: str = "", at_once: bool = False
) -> Sequence[Fired]:
    """Look once at every enabled automation, and queue the runs that are due at a moment (seconds since 1970).

    Any number of processes may do so: what a look found and what the triggers remember is kept in one transaction, and
    only if nobody else looked meanwhile. ``only`` names one automation by its id; ``at_once`` looks although the time
    for it has not come.
    """
    ceiling = read_ceiling(home)
    async with database.view(actor) as uow:
        known = await list_automations(uow, enabled=True)
    fired = list[Fired]()
    for one in known:
        if only in ("", one.id):
            fired.extend(await _look_at(database, actor, home, one, at, ceiling, at_once=at_once))
    return fired


async def _look_at(
    database: Database,
    actor: Actor,
    home: Path,
    known: Registered,
    at: float,
    ceiling: Ceiling,
    *,
    at_once: bool,
) -> Sequence[Fired]:
    try:
        automation = allowed(known)
    except InvalidInput:
        return ()  # written for another release; `bullpen automation list` says what is wrong with it
    seen = await _seen(automation, known, home, at, at_once=at_once)
    memory = dump(MEMORY, seen.memory)
    if memory == known.memory and not seen.triggers:
        return ()
    async with database.transaction(actor) as uow:
        there = await find_automation(uow, known.id)
        if there is None or not there.enabled or (there.memory, there.text) != (known.memory, known.text):
            return ()  # another process was faster, and has seen the same
        await remember_look(uow, there, memory, at, seen.notes)
        return [await begin(uow, there, automation, one, at, ceiling) for one in seen.triggers]


async def _seen(automation: Automation, known: Registered, home: Path, at: float, *, at_once: bool) -> _Seen:
    before = load(MEMORY, known.memory)
    seen = _Seen(dict(before), [], {})
    for name in automation.on:
        kind: TriggerKind[Any, Any] = TRIGGERS.load(name)
        if kind.look is None:
            continue
        watch = Watch(
            known.origin or automation.repo,
            home / "mirrors",
            at,
            automation.limits.catch_up,
            automation.limits.late,
            at_once,
        )
        try:
            look: Look[Any] = await kind.look(watch, trigger_options(automation, name), before.get(name, ""))
        except BullpenError as error:
            _tell_failure(seen, before, name, error.sentence)
            continue
        seen.memory[name] = look.memory
        seen.memory.pop(f"{name}:failure", None)
        seen.triggers.extend(kind.trigger(name, one) for one in look.found)
        if look.note:
            seen.notes[name] = look.note
    return seen


def _tell_failure(seen: _Seen, before: dict[str, str], name: str, sentence: str) -> None:
    """Once: it is told again when it is another one, or came back."""
    if before.get(f"{name}:failure") != sentence:
        seen.memory[f"{name}:failure"] = sentence
        seen.notes[name] = sentence


def next_times(automation: Automation, at: float) -> dict[str, float]:
    """When triggers that know it will begin an automation next, as seconds since 1970."""
    found: dict[str, float] = {}
    for name in automation.on:
        kind: TriggerKind[Any, Any] = TRIGGERS.load(name)
        moment = kind.next_at(trigger_options(automation, name), at) if kind.next_at else None
        if moment is not None:
            found[name] = moment
    return found
