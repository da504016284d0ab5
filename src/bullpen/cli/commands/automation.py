"""Let work begin by itself: on a schedule, a push, a label, an alert, or when it is asked for."""

import asyncio
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import change_records, full_path, json_option, read_given, read_records
from bullpen.domain.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from bullpen.flow.automation.attend import Say
    from bullpen.flow.automation.fire import Fired
    from bullpen.flow.automation.records import AutomationRun, Registered
    from bullpen.kernel.settings import Settings
    from bullpen.kernel.storage.unit_of_work import UnitOfWork
    from bullpen.kernel.yaml_places import Fault

repo_option = click.option(
    "--repo", default="", metavar="PATH|URL", help="The repository that keeps it; otherwise Bullpen's home."
)


@click.group()
def automation() -> None:
    """Work with automations: files that say what is done when. Nothing begins before it was enabled."""


@automation.command("list")
@repo_option
@json_option
def list_them(repo: str, as_json: bool) -> int:
    """Every automation there is, what begins it, and when it does so next."""
    from bullpen.cli.automation_views import overview, print_overview
    from bullpen.cli.output import print_json
    from bullpen.kernel.settings import read_settings

    found = asyncio.run(overview(read_settings(), full_path(repo) if repo else ""))
    if as_json:
        print_json(found)
    else:
        print_overview(found)
    return 0


@automation.command()
@json_option
def templates(as_json: bool) -> int:
    """Automations to begin with."""
    from bullpen.cli.output import new_table, open_console, print_json
    from bullpen.flow.automation.library import template_sources
    from bullpen.kernel.yaml_text import read_yaml

    found = {one.name: str(read_yaml(one.text)["title"]) for one in template_sources()}
    if as_json:
        print_json(found)
        return 0
    table = new_table("template", "what it does")
    for name, title in found.items():
        table.add_row(name, title)
    open_console().print(table)
    return 0


@automation.command()
@click.argument("template")
@click.option("--repo", default=".", metavar="PATH|URL", help="The repository it is about.")
@click.option("--name", default="", metavar="NAME", help="What to call it; otherwise as the template.")
@click.option("--print", "printed", is_flag=True, help="Only print it, for a repository to keep.")
@json_option
def add(template: str, repo: str, name: str, printed: bool, as_json: bool) -> int:
    """Make an automation from TEMPLATE in Bullpen's home. It begins nothing before it is enabled."""
    from bullpen.cli.output import print_json, printable
    from bullpen.flow.automation.library import from_template, home_folder
    from bullpen.kernel.settings import read_settings

    if printed:
        click.echo(from_template(template, name=name), nl=False)
        return 0
    text = from_template(template, name=name, repo=full_path(repo))
    path = home_folder(read_settings().home) / f"{name or template}.yaml"
    _write_new(path, text)
    if as_json:
        print_json({"name": path.stem, "path": path})
        return 0
    click.echo(f"Written: {printable(str(path))}. Read it, then: bullpen automation enable {path.stem}")
    return 0


def _write_new(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise Conflict(f"{path} is there already.", remedy="Choose another --name.") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}.") from error


@automation.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def check(file: Path, as_json: bool) -> int:
    """Say every fault of FILE, with its line and column; nothing is enabled."""
    from bullpen.cli.output import print_json, printable

    faults = _faults(file)
    if as_json:
        print_json({"file": str(file), "faults": faults})
    for fault in () if as_json else faults:
        click.echo(printable(f"{fault} {fault.remedy}".strip()))
    if not faults and not as_json:
        click.echo(f"{printable(str(file))} is sound.")
    return 2 if faults else 0


def _faults(file: Path) -> "tuple[Fault, ...]":
    """A file that lies in a folder ``.bullpen`` is one a repository keeps."""
    from bullpen.flow.automation.check import faults_of
    from bullpen.flow.definitions.model import Source

    try:
        text = read_given(file).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text.", remedy="Save it as UTF-8.") from error
    return faults_of(Source(file.stem, str(file), text), in_repository=".bullpen" in file.absolute().parts)


@automation.command()
@click.argument("name")
@repo_option
@json_option
def show(name: str, repo: str, as_json: bool) -> int:
    """What NAME waits for, what it does, what holds it back, and its newest runs."""
    from bullpen.cli.automation_views import details, print_details
    from bullpen.cli.output import print_json
    from bullpen.kernel.settings import read_settings

    found = asyncio.run(details(read_settings(), name, full_path(repo) if repo else ""))
    if as_json:
        print_json(found)
    else:
        print_details(found)
    return 0


@automation.command()
@click.argument("name")
@repo_option
@json_option
def enable(name: str, repo: str, as_json: bool) -> int:
    """Allow NAME, as its file is now, to begin work by itself. An edit later has to be enabled again."""
    from bullpen.cli.output import print_json, printable
    from bullpen.flow.automation.fire import enable as allow
    from bullpen.flow.automation.fire import find_source
    from bullpen.kernel.clock import now
    from bullpen.kernel.settings import read_settings

    origin = full_path(repo) if repo else ""
    source = asyncio.run(find_source(read_settings().home, name, origin))
    known = change_records(lambda uow: allow(uow, source, origin, now()))
    if as_json:
        print_json(_told(known))
        return 0
    click.echo(
        f"{printable(known.name)} is enabled ({known.id}). What begins it is met while one of these runs:"
    )
    click.echo("bullpen automation run, or bullpen worker.")
    return 0


def _told(known: "Registered") -> dict[str, object]:
    return {
        "id": known.id,
        "name": known.name,
        "origin": known.origin,
        "enabled": known.enabled,
        "digest": known.source.digest,
        "by": known.changed_by,
    }


@automation.command()
@click.argument("name")
@repo_option
@json_option
def disable(name: str, repo: str, as_json: bool) -> int:
    """Let NAME begin nothing any more. What waits goes; what runs is finished."""
    from bullpen.cli.output import print_json, printable

    known = change_records(lambda uow: _disable(uow, name, full_path(repo) if repo else None))
    if as_json:
        print_json(_told(known))
    else:
        click.echo(f"{printable(known.name)} is disabled.")
    return 0


async def _disable(uow: "UnitOfWork", name: str, origin: str | None) -> "Registered":
    from bullpen.flow.automation.actions import disable_automation
    from bullpen.flow.automation.queries import automation_named
    from bullpen.kernel.clock import now

    known = await automation_named(uow, name, origin)
    await disable_automation(uow, known, now())
    return await automation_named(uow, known.id)


@automation.command()
@click.argument("name")
@repo_option
@click.option("--trigger", "kind", default="", metavar="KIND", help="manual, label, alert or push.")
@click.option(
    "--payload", type=click.Path(path_type=Path, allow_dash=True), help="What happened, as JSON or YAML."
)
@click.option("--note", default="", help="Why it is asked for.")
@click.option("--look", is_flag=True, help="Only look at once whether what it waits for has come.")
@json_option
def fire(name: str, repo: str, kind: str, payload: Path | None, note: str, look: bool, as_json: bool) -> int:
    """Tell NAME that something happened. Exit status 1: it begins no run, and why."""
    from bullpen.cli.output import print_json

    origin = full_path(repo) if repo else None
    found = _looked(name) if look else [_fired(name, origin, kind, payload, note)]
    if as_json:
        print_json([_told_fired(one) for one in found])
    else:
        _print_fired(found)
    return 0 if look or any(one.run and not one.reason for one in found) else 1


def _fired(name: str, origin: str | None, kind: str, payload: Path | None, note: str) -> "Fired":
    from bullpen.flow.automation.ceiling import read_ceiling
    from bullpen.flow.automation.fire import fire_automation
    from bullpen.kernel.clock import now
    from bullpen.kernel.settings import read_settings

    ceiling, data = read_ceiling(read_settings().home), _payload(payload) if payload else {"note": note}

    async def tell(uow: "UnitOfWork") -> "Fired":
        meant = kind or (await _kind_meant(uow, name, origin) if payload else "manual")
        return await fire_automation(uow, name, meant, data, now(), ceiling=ceiling, origin=origin)

    return change_records(tell)


async def _kind_meant(uow: "UnitOfWork", name: str, origin: str | None) -> str:
    """The only kind of trigger of an automation that is told from outside."""
    from bullpen.flow.automation.fire import allowed
    from bullpen.flow.automation.queries import automation_named

    waits = [one for one in allowed(await automation_named(uow, name, origin)).on if one != "schedule"]
    if len(waits) == 1:
        return waits[0]
    raise InvalidInput(
        f"{name} waits for {', '.join(waits) or 'nothing that is told'}: which one is it?",
        remedy="Name it with --trigger.",
    )


def _payload(path: Path) -> object:
    import yaml

    from bullpen.kernel.yaml_text import read_yaml

    try:
        given = sys.stdin.buffer.read() if str(path) == "-" else read_given(path)
        return read_yaml(given.decode("utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        words = " ".join(str(error).split())
        raise InvalidInput(f"{path} is neither JSON nor YAML: {words}.", remedy="Mend the file.") from error


def _looked(name: str) -> "list[Fired]":
    async def look() -> "list[Fired]":
        from bullpen.app import open_records
        from bullpen.flow.automation.queries import automation_named
        from bullpen.flow.automation.watch import tick
        from bullpen.kernel.clock import now
        from bullpen.kernel.settings import read_settings

        settings = read_settings()
        async with open_records(settings) as records:
            async with records.database.view(records.actor) as uow:
                known = await automation_named(uow, name)
            return list(
                await tick(records.database, records.actor, settings.home, now(), only=known.id, at_once=True)
            )

    return asyncio.run(look())


def _told_fired(one: "Fired") -> dict[str, object]:
    run = (
        {"run": one.run.id, "state": one.run.state, "session": one.run.session_id} if one.run else {"run": ""}
    )
    return {"automation": one.automation.name, **run, "reason": one.reason}


def _print_fired(found: "list[Fired]") -> None:
    from bullpen.cli.output import printable

    for one in found:
        what = f"{one.run.id}: {one.run.state.value}" if one.run else "no run"
        why = (
            f": {printable(one.reason)}"
            if one.reason
            else f", because {printable(one.run.trigger.says)}"
            if one.run
            else ""
        )
        click.echo(f"{printable(one.automation.name)}: {what}{why}")
    if not found:
        click.echo("Nothing has come that it waits for.", err=True)


@automation.command()
@click.argument("name", default="")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Runs shown.")
@json_option
def history(name: str, limit: int, as_json: bool) -> int:
    """Runs of NAME, or of all, newest first: what began them and what they came to."""
    from bullpen.cli.automation_views import print_runs
    from bullpen.cli.output import print_json

    names, runs = read_records(lambda uow: _history(uow, name, limit))
    if as_json:
        print_json([{"automation": names.get(one.automation_id, ""), "run": one} for one in runs])
    else:
        print_runs(names, runs)
    return 0


async def _history(uow: "UnitOfWork", name: str, limit: int) -> "tuple[dict[str, str], list[AutomationRun]]":
    from bullpen.flow.automation.queries import automation_named, list_automations, list_runs

    only = (await automation_named(uow, name)).id if name else ""
    names = {one.id: one.name for one in await list_automations(uow)}
    return names, list(await list_runs(uow, only, limit=limit))


@automation.command()
@click.argument("name")
@click.option("--for", "event", type=click.Choice(["post-receive", "post-commit"]), default="post-commit")
def hook(name: str, event: str) -> int:
    """Print a line for a git hook, so that a push is met at once. Install it yourself, if you want to."""
    from bullpen.kernel.settings import read_settings

    known = read_records(lambda uow: _named(uow, name))
    home = shlex.quote(str(read_settings().home))
    click.echo(f"# in .git/hooks/{event} (in a bare repository: hooks/{event}), which must be executable")
    line = f"BULLPEN_HOME={home} bullpen automation fire {known.id} --look >/dev/null 2>&1 </dev/null &"
    click.echo(line)
    return 0


async def _named(uow: "UnitOfWork", name: str) -> "Registered":
    from bullpen.flow.automation.queries import automation_named

    return await automation_named(uow, name)


@automation.command()
@click.option("--once", is_flag=True, help="End when nothing waits and nothing runs.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line for each change.")
def run(once: bool, as_json: bool) -> int:
    """Begin and do what is due, until SIGTERM or SIGINT; workflows that sleep go on, too.

    What it leaves when it ends, or is killed, is taken up when it runs again.
    """
    from bullpen.cli.automation_views import teller
    from bullpen.kernel.settings import read_settings

    asyncio.run(_serve(read_settings(), teller(as_json=as_json), once=once, as_json=as_json))
    return 0


async def _serve(settings: "Settings", say: "Say", *, once: bool, as_json: bool) -> None:
    from contextlib import AsyncExitStack

    from bullpen.app import is_shared, open_engine, open_workshop
    from bullpen.cli.commands.worker import stop_on_signals
    from bullpen.cli.fencing import fenced
    from bullpen.flow.automation.actions import free_runs
    from bullpen.flow.automation.attend import attending

    stopping = stop_on_signals()
    fence = fenced("Start it again when the database can be reached.", as_json=as_json)
    async with AsyncExitStack() as stack:
        if not is_shared(settings):
            await _be_alone(stack, settings.home)
        workshop = await stack.enter_async_context(open_workshop(settings))
        if not is_shared(settings):
            async with workshop.records.database.transaction(workshop.records.actor) as uow:
                await free_runs(uow)  # they are of one that was killed
        engine = await stack.enter_async_context(
            open_engine(workshop, "automation", on_lost=fence, worker=True)
        )
        _ready(as_json=as_json)
        attendant = await stack.enter_async_context(attending(workshop.bench, engine, stopping, say))
        await attendant.until_idle(stopping) if once else await stopping.wait()


def _ready(*, as_json: bool) -> None:
    from bullpen.cli.output import json_line

    click.echo(json_line({"state": "ready"}) if as_json else "bullpen automation: ready", err=not as_json)


async def _be_alone(stack: "AsyncExitStack", home: Path) -> None:
    """On SQLite one process of a home does what is due: it goes on with what the one before it left.

    Raises:
        Conflict: there is one.
    """
    from bullpen.domain.errors import Unavailable
    from bullpen.vcs.folders import file_lock

    try:
        await stack.enter_async_context(file_lock(home / "automation.lock", seconds=0))
    except Unavailable as error:
        words = "Another `bullpen automation run` works in this home."
        raise Conflict(words, remedy="Leave it to that one, or use PostgreSQL for several.") from error


COMMAND = automation
