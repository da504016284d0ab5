"""The doors to automations: allow one, and tell them that something happened. Each is one call."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bullpen.domain.errors import Conflict, InvalidInput, NotFound
from bullpen.flow.automation.actions import automation_id, enable_automation, queue_run
from bullpen.flow.automation.ceiling import Ceiling, held_to
from bullpen.flow.automation.check import job_inputs, read_automation, trigger_options
from bullpen.flow.automation.library import HOME, automation_in, home_sources, repository_sources
from bullpen.flow.automation.model import Automation, Limits
from bullpen.flow.automation.queries import automation_named, list_automations
from bullpen.flow.automation.records import MEMORY, AutomationRun, Registered
from bullpen.flow.automation.triggers.base import TRIGGERS, Trigger, TriggerKind, read_payload
from bullpen.flow.definitions.model import Source
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Fired:
    """What telling an automation came to: its run, or why there is none."""

    automation: Registered
    run: AutomationRun | None
    reason: str = ""


def allowed(known: Registered) -> Automation:
    """The automation a person allowed.

    Raises:
        InvalidInput: its text is of an older form that this release does not know.
    """
    return _read(known.source, bool(known.origin))


@lru_cache(maxsize=256)
def _read(source: Source, in_repository: bool) -> Automation:
    return read_automation(source, in_repository=in_repository)


def limits_of(known: Registered, automation: Automation, ceiling: Ceiling) -> Limits:
    """The limits that hold: those of a repository's file are held to the ceiling."""
    return held_to(automation.limits, ceiling) if known.origin else automation.limits


async def find_source(home: Path, name: str, repo: str = HOME) -> Source:
    """The file of an automation: in Bullpen's home, or as a repository keeps it.

    Raises:
        NotFound: there is none of that name.
    """
    found = await repository_sources(home / "mirrors", repo) if repo else home_sources(home)
    known = {one.name: one for one in found}
    if name not in known:
        there = ", ".join(sorted(known)) or "none"
        raise NotFound(
            f"There is no automation {name!r} in {repo or home / 'automations'}; there are: {there}.",
            remedy="Add one with `bullpen automation add TEMPLATE`.",
        )
    return known[name]


async def enable(uow: UnitOfWork, source: Source, repo: str, at: float) -> Registered:
    """Check a file and allow it to begin work; ``repo`` is where it is kept, empty for Bullpen's home.

    Raises:
        InvalidInput: it is faulty; the place of the first fault is named.
        Conflict: one of its name is enabled from elsewhere.
    """
    automation = automation_in(source, in_repository=bool(repo))
    for one in await list_automations(uow, enabled=True):
        if one.name == source.name and one.id != automation_id(repo, source.name):
            raise Conflict(
                f"An automation {one.name!r} of {one.origin or 'home'} is enabled already.",
                remedy=f"Disable it first: bullpen automation disable {one.id}",
            )
    return await enable_automation(uow, source, repo, at, _first_memory(automation, at))


def _first_memory(automation: Automation, at: float) -> str:
    """What comes after this moment is met, whenever the first look is."""
    kinds: dict[str, TriggerKind[Any, Any]] = {name: TRIGGERS.load(name) for name in automation.on}
    return dump(MEMORY, {name: one.first(at) for name, one in kinds.items() if one.first})


async def fire_automation(
    uow: UnitOfWork,
    name: str,
    kind: str,
    data: object,
    at: float,
    *,
    ceiling: Ceiling,
    origin: str | None = None,
) -> Fired:
    """Tell one automation that something happened; ``data`` is the payload of that kind of trigger, unchecked.

    Raises:
        NotFound: no such automation was enabled, or there is no such kind of trigger.
        Conflict: it is disabled.
        InvalidInput: it is no such payload.
    """
    known = await automation_named(uow, name, origin)
    if not known.enabled:
        raise Conflict(
            f"The automation {known.name!r} is disabled.",
            remedy=f"Enable it: bullpen automation enable {known.name}",
        )
    return await _tell(uow, known, kind, data, at, ceiling)


async def deliver_trigger(
    uow: UnitOfWork, kind: str, data: object, at: float, *, ceiling: Ceiling, origin: str | None = None
) -> tuple[Fired, ...]:
    """Tell every enabled automation that waits for such a thing, as a webhook does that knows no names.

    ``origin`` chooses those a repository keeps.

    Raises:
        InvalidInput: it is no such payload.
    """
    read_payload(TRIGGERS.load(kind), kind, data)
    known = await list_automations(uow, enabled=True)
    meant = [one for one in known if origin in (None, one.origin) and kind in _waits_for(one)]
    return tuple([await _tell(uow, one, kind, data, at, ceiling) for one in meant])


def _waits_for(known: Registered) -> tuple[str, ...]:
    try:
        return tuple(allowed(known).on)
    except InvalidInput:
        return ()  # one that cannot be read any more keeps nobody else from being told


async def _tell(
    uow: UnitOfWork, known: Registered, kind: str, data: object, at: float, ceiling: Ceiling
) -> Fired:
    chosen = TRIGGERS.load(kind)
    payload = read_payload(chosen, kind, data)
    automation = allowed(known)
    options = trigger_options(automation, kind)
    if options is None:
        return Fired(known, None, f"it waits for {', '.join(automation.on)}, not for {kind}")
    if reason := chosen.objection(options, payload):
        return Fired(known, None, reason)
    return await begin(uow, known, automation, chosen.trigger(kind, payload), at, ceiling)


async def begin(
    uow: UnitOfWork,
    known: Registered,
    automation: Automation,
    trigger: Trigger,
    at: float,
    ceiling: Ceiling,
) -> Fired:
    """A run for a trigger that is the automation's business."""
    try:
        job_inputs(automation, trigger)
    except InvalidInput as error:
        return Fired(known, None, error.sentence)
    run = await queue_run(uow, known, limits_of(known, automation, ceiling), trigger, at)
    return Fired(known, run, run.reason if run else "this was told before, and began a run then")
