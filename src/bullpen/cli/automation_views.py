"""Automations and their runs, as tables for people."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from bullpen.cli.output import duration, json_line, new_table, open_console, printable
from bullpen.domain.errors import BullpenError, InvalidInput
from bullpen.flow.automation.ceiling import read_ceiling
from bullpen.flow.automation.fire import allowed, find_source, limits_of
from bullpen.flow.automation.library import automation_in, home_sources, repository_sources
from bullpen.flow.automation.model import Automation
from bullpen.flow.automation.queries import automation_named, list_automations, list_runs
from bullpen.flow.automation.records import AutomationRun, Registered
from bullpen.flow.automation.watch import next_times
from bullpen.kernel.clock import now

if TYPE_CHECKING:
    from bullpen.flow.automation.attend import Say
    from bullpen.flow.definitions.model import Source
    from bullpen.kernel.settings import Settings
    from bullpen.kernel.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Shown:
    """An automation as a list shows it. ``state``: enabled, disabled, not enabled, changed since, or faulty."""

    name: str
    id: str
    origin: str
    path: str
    state: str
    on: tuple[str, ...] = ()
    job: str = ""
    title: str = ""
    next_at: float | None = None
    last: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """One of them, and more of it. ``limits`` are those that hold."""

    shown: Shown
    text: str
    limits: Mapping[str, object]
    next_at: Mapping[str, float]
    runs: Sequence[AutomationRun]


async def overview(settings: "Settings", repo: str) -> list[Shown]:
    """Every automation that was enabled once, those in Bullpen's home, and those ``repo`` keeps."""
    from bullpen.app import open_records

    files = {("", one.name): one for one in home_sources(settings.home)}
    if repo:
        kept = await repository_sources(settings.home / "mirrors", repo)
        files.update({(repo, one.name): one for one in kept})
    async with open_records(settings) as records, records.database.view(records.actor) as uow:
        known = {(one.origin, one.name): one for one in await list_automations(uow)}
        last = {one.id: await list_runs(uow, one.id, limit=1) for one in known.values()}
    found = list[Shown]()
    for key in sorted({*files, *known}):
        one = known.get(key)
        newest = next(iter(last[one.id]), None) if one else None
        found.append(_shown(key[0], files.get(key), one, newest))
    return found


def _shown(
    origin: str, source: "Source | None", known: Registered | None, newest: AutomationRun | None
) -> Shown:
    head = Shown(
        name=known.name if known else source.name if source else "",
        id=known.id if known else "",
        origin=origin,
        path=source.where if source else known.path if known else "",
        state=_state(source, known),
        last=newest.state.value if newest else "",
    )
    try:
        read = _read(origin, source, known)
    except InvalidInput as error:
        return replace(head, state="faulty", problem=error.sentence)
    upcoming = next_times(read, now()).values() if known and known.enabled else ()
    on, next_at = tuple(read.on), min(upcoming, default=None)
    return replace(head, on=on, job=read.job, title=read.title, next_at=next_at)


def _read(origin: str, source: "Source | None", known: Registered | None) -> Automation:
    """What would run: the text that was allowed, else the file's."""
    if known is not None:
        return allowed(known)
    if source is None:
        raise InvalidInput("There is no such automation.")
    return automation_in(source, in_repository=bool(origin))


def _state(source: "Source | None", known: Registered | None) -> str:
    if known is None:
        return "not enabled"
    if not known.enabled:
        return "disabled"
    changed = source is not None and source.text != known.text
    return "enabled; the file was changed since" if changed else "enabled"


def print_overview(found: Sequence[Shown]) -> None:
    """A table, and what to do where there is nothing."""
    if not found:
        click.echo("There is no automation yet. See `bullpen automation templates`.", err=True)
        return
    table = new_table("automation", "state", "on", "does", "next", "last run", "from")
    for one in found:
        state = f"{one.state}: {one.problem}" if one.problem else one.state
        cells = (
            one.name,
            state,
            ", ".join(one.on),
            one.job,
            moment(one.next_at),
            one.last,
            one.origin or "home",
        )
        table.add_row(*map(printable, cells))
    open_console().print(table)


def moment(at: float | None) -> str:
    """A moment in the clock of this machine; empty for none."""
    return time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(at)) if at else ""


async def details(settings: "Settings", name: str, repo: str) -> Details:
    """One automation: as it was allowed, or as its file is if it never was.

    Raises:
        NotFound: there is none.
    """
    from bullpen.app import open_records

    async with open_records(settings) as records, records.database.view(records.actor) as uow:
        known = await _known(uow, name, repo)
        runs = await list_runs(uow, known.id, limit=10) if known else ()
    origin = known.origin if known else repo
    source = await _file(settings, known.name if known else name, origin, needed=known is None)
    read = _read(origin, source, known)
    limits = limits_of(known, read, read_ceiling(settings.home)) if known else read.limits
    return Details(
        _shown(origin, source, known, next(iter(runs), None)),
        known.text if known else source.text if source else "",
        limits.model_dump(),
        next_times(read, now()) if known and known.enabled else {},
        runs,
    )


async def _known(uow: "UnitOfWork", name: str, repo: str) -> Registered | None:
    known = await list_automations(uow)
    if any(name in (one.id, one.name) for one in known):
        return await automation_named(uow, name, repo or None)
    return None


async def _file(settings: "Settings", name: str, origin: str, *, needed: bool) -> "Source | None":
    try:
        return await find_source(settings.home, name, origin)
    except BullpenError:
        if needed:
            raise
        return None  # it was taken away since; what was allowed is known


def print_details(found: Details) -> None:
    """What it is, its text, and its newest runs."""
    one = found.shown
    click.echo(
        printable(f"{one.name} ({one.id or 'never enabled'}): {one.state}, from {one.origin or one.path}")
    )
    for name, at in found.next_at.items():
        click.echo(f"  next by {name}: {moment(at)}")
    limits = ", ".join(f"{name} {value}" for name, value in found.limits.items())
    click.echo(printable(f"  limits: {limits}"))
    click.echo("")
    for line in found.text.splitlines():
        click.echo(f"  {printable(line)}")
    if found.runs:
        print_runs({}, found.runs)


def print_runs(names: Mapping[str, str], runs: Sequence[AutomationRun]) -> None:
    """A table of runs."""
    if not runs:
        click.echo("Nothing was begun yet.", err=True)
        return
    table = new_table("run", "automation", "when", "state", ">time", "session", "because", "what it says")
    for one in runs:
        seconds = duration((one.ended_at or now()) - one.started_at) if one.started_at else ""
        cells = (one.id, names.get(one.automation_id, ""), moment(one.made_at), one.state.value, seconds)
        table.add_row(*map(printable, (*cells, one.session_id, one.trigger.says, one.reason)))
    open_console().print(table)


def teller(*, as_json: bool) -> "Say":
    """Says what begins and ends: a line for people on stderr, or a JSON object a line on stdout."""

    def say(what: str, run: AutomationRun, words: str) -> None:
        if as_json:
            told = {"run": run.id, "automation": run.automation_id, "session": run.session_id}
            click.echo(json_line({**told, "state": what, "words": words}))
        else:
            click.echo(printable(f"{run.id}: {what}{': ' + words if words else ''}"), err=True)

    return say
