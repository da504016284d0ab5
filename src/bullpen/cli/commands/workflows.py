"""List, check, run and follow workflows: files with typed steps."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import full_path, json_option, read_given, read_records
from bullpen.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bullpen.app import Workshop
    from bullpen.domain.session import Session
    from bullpen.flow.definitions.model import Source
    from bullpen.flow.definitions.records import Asked, State
    from bullpen.flow.definitions.run import Ended
    from bullpen.kernel.storage.unit_of_work import UnitOfWork
    from bullpen.kernel.yaml_places import Fault

STATUSES = {"done": 0, "waiting": 0, "failed": 1}


@click.group()
def workflows() -> None:
    """Work with workflows: those built in, and a project's own in .bullpen/workflows."""


@workflows.command("list")
@click.option("--repo", default=".", metavar="PATH", help="The repository.")
@json_option
def list_them(repo: str, as_json: bool) -> int:
    """Every workflow there is for a repository, as it is committed."""
    from bullpen.cli.output import new_table, open_console, print_json, printable

    found = [_told(one) for one in asyncio.run(_sources(full_path(repo)))]
    if as_json:
        print_json(found)
        return 0
    table = new_table("workflow", ">version", ">steps", "title", "from")
    for one in found:
        table.add_row(*(printable(str(one[key])) for key in ("name", "version", "steps", "title", "where")))
    open_console().print(table)
    return 0


async def _sources(repo: str) -> "Sequence[Source]":
    from bullpen.flow.definitions.start import sources_of
    from bullpen.kernel.settings import read_settings

    known = await sources_of(read_settings().home / "mirrors", repo)
    return [known[name] for name in sorted(known)]


def _told(source: "Source") -> dict[str, object]:
    from bullpen.flow.definitions.check import read_definition

    try:
        read = read_definition(source)
    except InvalidInput as error:
        faulty = {"name": source.name, "version": "?", "steps": "?", "title": error.sentence}
        return {**faulty, "where": source.where, "digest": source.digest, "sound": False}
    return {
        "name": source.name,
        "version": read.version,
        "steps": len(read.steps),
        "title": read.title,
        "where": "built in" if source.built_in else source.where,
        "digest": source.digest,
        "sound": True,
    }


@workflows.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def check(file: Path, as_json: bool) -> int:
    """Say every fault of FILE, with its line and column; nothing is run."""
    from bullpen.cli.output import print_json, printable
    from bullpen.flow.definitions.check import faults_of
    from bullpen.flow.definitions.model import Source

    content = read_given(file)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text.", remedy="Save it as UTF-8.") from error
    faults = faults_of(Source(file.stem, str(file), text))
    if as_json:
        print_json({"file": str(file), "faults": faults})
    for fault in () if as_json else faults:
        click.echo(printable(_line(fault)))
    if not faults and not as_json:
        click.echo(f"{printable(str(file))} is sound.")
    return 2 if faults else 0


def _line(fault: "Fault") -> str:
    return f"{fault} {fault.remedy}".strip()


@workflows.command()
@click.argument("name")
@click.option("--repo", default=".", metavar="PATH", help="The repository it is about.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Set a param; repeatable.")
@click.option("--session", "session_id", default="", metavar="ID", help="A name for the run.")
@json_option
def run(name: str, repo: str, params: tuple[str, ...], session_id: str, as_json: bool) -> int:
    """Run the workflow NAME. It ends when all is done, something failed, or it must wait."""
    given = dict(_pair(one) for one in params)

    async def begin(workshop: "Workshop") -> "Session":
        from bullpen.flow.definitions.start import new_run

        return await new_run(workshop.means, full_path(repo), name, given, session_id)

    session, ended = asyncio.run(_run(begin, quiet=as_json))
    return _say(session, ended, as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise InvalidInput(f"{text!r} is no param.", remedy="Write --param NAME=VALUE.")
    return name, value


@workflows.command()
@click.argument("run_id", metavar="RUN")
@json_option
def resume(run_id: str, as_json: bool) -> int:
    """Go on with a RUN that waits, was interrupted, or failed."""
    session, ended = asyncio.run(_run(_finder(run_id), quiet=as_json))
    return _say(session, ended, as_json=as_json)


def _finder(run_id: str) -> "Callable[[Workshop], Awaitable[Session]]":
    async def find(workshop: "Workshop") -> "Session":
        from bullpen.flow.definitions.start import run_named

        async with workshop.means.database.view(workshop.means.actor) as uow:
            return await run_named(uow, run_id)

    return find


@workflows.command()
@json_option
def wake(as_json: bool) -> int:
    """Go on with every run whose time has come, that was answered, or that was interrupted."""
    from bullpen.cli.output import print_json

    woken = [asyncio.run(_run(_finder(one), quiet=True)) for one in read_records(_due)]
    if as_json:
        print_json([_told_run(session, ended) for session, ended in woken])
        return 0
    for session, ended in woken:
        _print_end(session, ended)
    if not woken:
        click.echo("No run can go on now.", err=True)
    return 0


async def _due(uow: "UnitOfWork") -> "Sequence[str]":
    from bullpen.flow.definitions.start import due_runs

    return await due_runs(uow)


async def _run(choose: "Callable[[Workshop], Awaitable[Session]]", *, quiet: bool) -> "tuple[Session, Ended]":
    from bullpen.app import open_engine, open_workshop
    from bullpen.cli.fencing import fenced
    from bullpen.cli.watching import watched
    from bullpen.flow.definitions.run import ENDED
    from bullpen.flow.definitions.start import hold_run, run_workflow
    from bullpen.flow.definitions.wake import adopt_run
    from bullpen.kernel.settings import read_settings

    fence = fenced("Run `bullpen workflows wake` when the database can be reached.", as_json=False)
    async with open_workshop(read_settings()) as workshop:
        session = await choose(workshop)
        records = workshop.records
        async with (
            hold_run(workshop.means, session.id),
            open_engine(workshop, f"workflow-{session.id}", on_lost=fence) as engine,
            watched(records, session.id, quiet=quiet),
        ):
            await adopt_run(engine, records.database, records.actor, session.id)
            async with records.database.transaction(records.actor) as uow:
                started = await run_workflow(engine, uow, session)
            return session, ENDED.validate_python(await started.result())


def _say(session: "Session", ended: "Ended", *, as_json: bool) -> int:
    from bullpen.cli.output import print_json

    if as_json:
        print_json(_told_run(session, ended))
    else:
        _print_end(session, ended)
    return STATUSES[ended.outcome]


def _told_run(session: "Session", ended: "Ended") -> dict[str, object]:
    return {
        "run": session.id,
        "outcome": ended.outcome,
        "reason": ended.reason,
        "remedy": ended.remedy,
        "waits": ended.waits,
        "undone": ended.undone,
    }


def _print_end(session: "Session", ended: "Ended") -> None:
    from bullpen.cli.output import printable

    reason = f": {printable(ended.reason)}" if ended.reason else ""
    click.echo(f"{session.id}: {ended.outcome}{reason}")
    for wait in ended.waits:
        until = f" until {_moment(wait.until)}" if wait.until else ""
        answer = f"; answer with `bullpen approve {wait.approval}` or `bullpen deny {wait.approval}`"
        click.echo(f"  {wait.step} waits{until}{answer if wait.approval else ''}")
    if ended.undone:
        click.echo(f"  taken back: {', '.join(ended.undone)}")
    if ended.waits:
        click.echo(
            "  It goes on by itself while `bullpen automation run` or `bullpen worker` runs, or with `bullpen workflows wake`."
        )


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


@workflows.command()
@json_option
def runs(as_json: bool) -> int:
    """Runs of workflows, newest first."""
    from bullpen.cli.output import new_table, open_console, print_json, printable
    from bullpen.flow.definitions.start import list_runs

    found = read_records(list_runs)
    if as_json:
        print_json([{"run": one.id, "stage": one.stage, "goal": one.goal, **_standing(one)} for one in found])
        return 0
    table = new_table("run", "stands", "stage", "goal")
    for one in found:
        table.add_row(one.id, _standing(one)["stands"], one.stage.value, printable(one.goal))
    open_console().print(table)
    return 0


def _standing(session: "Session") -> dict[str, str]:
    ended = session.metadata.get("run_ended") == session.metadata.get("run", "0")
    return {"stands": session.metadata.get("ended", "") if ended else "running or interrupted"}


@workflows.command()
@click.argument("run_id", metavar="RUN")
@json_option
def show(run_id: str, as_json: bool) -> int:
    """The steps of a RUN and how each stands."""
    from bullpen.cli.output import print_json

    session, asked, state = read_records(lambda uow: _look(uow, run_id))
    source = asked.texts[asked.name]
    if as_json:
        head = {"run": session.id, "workflow": asked.name, "version": asked.definition.version}
        steps = {one.id: state.results.get(one.id) for one in asked.definition.steps}
        print_json(
            {**head, "digest": source.digest, **_standing(session), "round": state.round, "steps": steps}
        )
    else:
        _print_steps(session, asked, state)
    return 0


async def _look(uow: "UnitOfWork", run_id: str) -> "tuple[Session, Asked, State]":
    from bullpen.flow.definitions.records import asked_of, state_of
    from bullpen.flow.definitions.start import run_named

    session = await run_named(uow, run_id)
    return session, await asked_of(uow, session.id), state_of(session)


def _print_steps(session: "Session", asked: "Asked", state: "State") -> None:
    from bullpen.cli.output import duration, new_table, open_console, printable

    digest = asked.texts[asked.name].digest[:12]
    click.echo(f"{session.id}: {asked.name} version {asked.definition.version} ({digest})")
    click.echo(f"  {_standing(session)['stands']}, {session.stage.value}")
    table = new_table("step", "kind", "state", ">tries", ">time", "what it says")
    for one in asked.definition.steps:
        found = state.results.get(one.id)
        if found is None:
            table.add_row(one.id, one.kind, "open", "", "", "")
            continue
        said = (found.reason or found.output).strip().split("\n")[-1][:80]
        seconds = duration(found.seconds) if found.seconds else ""
        table.add_row(one.id, one.kind, found.state.value, str(found.tries), seconds, printable(said))
    open_console().print(table)


COMMAND = workflows
