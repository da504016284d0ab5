"""List the agents, check their health, stop and restart them, and register others."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from bullpen.cli.arguments import json_option

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bullpen.agents.discovery import Key
    from bullpen.agents.health import Checkup
    from bullpen.agents.opening import Found
    from bullpen.agents.queries import Registered
    from bullpen.cli.agent_rows import AgentRow
    from bullpen.kernel.storage.unit_of_work import UnitOfWork

T = TypeVar("T")

repo_option = click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Also the cards and scripts a repository brings in .bullpen/agents.",
)


@click.group(invoke_without_command=True)
@repo_option
@json_option
@click.pass_context
def agents(context: click.Context, repo: Path | None, as_json: bool) -> int:
    """Roles of the roster, and programs with a manifest: from the folder `agents` of Bullpen's home, from a
    repository, from plugins, and those that were registered. Without a command, they are listed.
    """
    if context.invoked_subcommand is None:
        return _list(repo, as_json=as_json)
    return 0


@agents.command("list")
@repo_option
@json_option
def list_them(repo: Path | None, as_json: bool) -> int:
    """Every agent: what it is, whether it gets tasks, how it fared; and what was set aside, with its reason."""
    return _list(repo, as_json=as_json)


@agents.command()
@click.argument("name")
@repo_option
@json_option
def show(name: str, repo: Path | None, as_json: bool) -> int:
    """All that is known of one agent. NAME is its name, behind that of its namespace if it has one: PATH/NAME."""
    from bullpen.cli.agent_rows import described, print_described
    from bullpen.cli.output import print_json

    async def body(found: "Found") -> dict[str, object]:
        return described(found.fleet, repo, name)

    value = _with_fleet(repo, body)
    if as_json:
        print_json(value)
    else:
        print_described(value)
    return 0


@agents.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@repo_option
@json_option
def check(names: "Sequence[str]", repo: Path | None, as_json: bool) -> int:
    """Run the health checks now, of all agents or of those named. Who is not well gets no tasks for a while.

    Ends with status 1 if one is not well.
    """
    from bullpen.cli.agent_rows import print_checkups
    from bullpen.cli.output import print_json

    async def body(found: "Found") -> "dict[Key, Checkup]":
        return await _examined(found, names)

    checkups = _with_fleet(repo, body)
    if as_json:
        print_json([{"namespace": key[0], "name": key[1], "checkup": one} for key, one in checkups.items()])
    else:
        print_checkups(checkups)
    return 0 if all(one.alive for one in checkups.values()) else 1


@agents.command()
@click.argument("name")
@click.option("--reason", default="", metavar="TEXT", help="Shown to whoever asks for the agent.")
@repo_option
def stop(name: str, reason: str, repo: Path | None) -> int:
    """Give NAME no more tasks, in every process; what it works on goes on."""
    from bullpen.agents.actions import stop_agent

    key = _changed(name, repo, lambda uow, key: stop_agent(uow, key, reason))
    click.echo(f"{key[1]} gets no more tasks.", err=True)
    return 0


@agents.command()
@click.argument("name")
@repo_option
def restart(name: str, repo: Path | None) -> int:
    """Give NAME tasks again, with a clean record: one that was stopped, or that rests."""
    from bullpen.agents.actions import restart_agent

    key = _changed(name, repo, restart_agent)
    click.echo(f"{key[1]} gets tasks again.", err=True)
    return 0


@agents.command()
@click.argument("place", metavar="FILE|URL")
@json_option
def register(place: str, as_json: bool) -> int:
    """Register an agent: a FILE or folder of this machine, or the URL of the manifest of a remote one.

    The same again changes nothing; other content under the same name is its next generation.
    """
    from bullpen.cli.output import print_json

    kept = asyncio.run(_register(place, Path(os.path.abspath(place))))  # noqa: PTH100 - a link stays a link
    if as_json:
        print_json(kept)
    else:
        click.echo(
            f"{kept.name}: registered, generation {kept.generation}, revision {kept.revision}.", err=True
        )
    return 0


@agents.command()
@click.argument("name")
def unregister(name: str) -> int:
    """Take NAME off the list of those that were registered."""
    from bullpen.agents.actions import unregister_agent
    from bullpen.cli.arguments import change_records

    change_records(lambda uow: unregister_agent(uow, name))
    click.echo(f"{name} is not registered any more.", err=True)
    return 0


def _list(repo: Path | None, *, as_json: bool) -> int:
    from bullpen.agents.registry import load_roster
    from bullpen.cli.agent_rows import print_rows, rows_of
    from bullpen.cli.output import print_json

    roster = load_roster(repo)

    async def body(found: "Found") -> "tuple[list[AgentRow], list[object]]":
        return rows_of(roster, found.fleet), [*roster.quarantined, *found.fleet.quarantined]

    rows, quarantined = _with_fleet(repo, body)
    if as_json:
        print_json({"agents": rows, "quarantined": quarantined})
    else:
        print_rows(rows, quarantined)
    return 0


def _with_fleet(repo: Path | None, body: "Callable[[Found], Awaitable[T]]") -> T:
    async def run() -> T:
        from bullpen.app import open_agents, open_records
        from bullpen.kernel.settings import read_settings

        async with open_records(read_settings()) as records, open_agents(records, repo) as found:
            return await body(found)

    return asyncio.run(run())


def _changed(name: str, repo: Path | None, change: "Callable[[UnitOfWork, Key], Awaitable[None]]") -> "Key":
    """Change what the records say of an agent, which must be there."""
    from bullpen.cli.agent_rows import key_of

    async def body(found: "Found") -> "Key":
        key = key_of(name, found.fleet)
        async with found.database.transaction(found.actor) as uow:
            await change(uow, key)
        return key

    return _with_fleet(repo, body)


async def _examined(found: "Found", names: "Sequence[str]") -> "dict[Key, Checkup]":
    import secrets
    from dataclasses import replace

    from bullpen.agents.callbacks import Callbacks
    from bullpen.cli.agent_rows import key_of
    from bullpen.kernel.settings import read_settings
    from bullpen.sandbox.choose import choose_sandbox

    fleet = found.fleet
    keys = [key_of(name, fleet) for name in names] or sorted(fleet.agents)
    sandbox, _ = await choose_sandbox(read_settings().sandbox)
    nobody = Callbacks(
        secrets.token_bytes(32), ""
    )  # an examination sends no task, so nothing will be answered
    fleet.means = replace(fleet.means, callbacks=nobody)
    return await fleet.examine(keys, sandbox)


async def _register(place: str, file: Path) -> "Registered":
    from bullpen.agents.registering import fetch_manifest, register_file, register_manifest
    from bullpen.agents.registry import load_roster
    from bullpen.app import open_records
    from bullpen.kernel.settings import read_settings

    content = await fetch_manifest(place) if "://" in place else None
    taken = load_roster().cards
    async with open_records(read_settings()) as records, records.database.transaction(records.actor) as uow:
        if content is not None:
            return await register_manifest(uow, content, place, taken)
        return await register_file(uow, file, taken)


COMMAND = agents
