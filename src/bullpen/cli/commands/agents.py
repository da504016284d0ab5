"""List the agents: roles, agents found in folders with their health, how they have done, and what was set aside."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import json_option, read_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bullpen.agents.discovery import Key
    from bullpen.agents.fleet import Fleet
    from bullpen.agents.health import Checkup
    from bullpen.agents.registry import Roster
    from bullpen.flow.teams.queries import TrackRecord
    from bullpen.kernel.settings import Settings


@click.command()
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Also what a repository brings in .bullpen/agents.",
)
@click.option("--check", is_flag=True, help="Ask the agents that were found how they are, in the sandbox.")
@json_option
def agents(repo: Path | None, check: bool, as_json: bool) -> int:
    """Roles are cards; agents are programs in a folder of yours (the setting agents) or of a repository."""
    from bullpen.agents.fleet import Fleet
    from bullpen.agents.registry import load_roster
    from bullpen.cli.output import print_json
    from bullpen.flow.teams.queries import list_records
    from bullpen.kernel.settings import read_settings

    settings = read_settings()
    roster = load_roster(repo)
    fleet = _found(settings, repo, roster)
    health = asyncio.run(_examined(settings, fleet if check else Fleet()))
    records = read_records(list_records)
    if as_json:
        print_json(_as_value(roster, fleet, health, records))
    else:
        _print(roster, fleet, health, records)
    return 0


def _found(settings: "Settings", repo: Path | None, roster: "Roster") -> "Fleet":
    from bullpen.agents.discovery import Source, discover
    from bullpen.agents.fleet import Fleet
    from bullpen.agents.namespaces import find_namespaces, sources_of

    sources = [Source(settings.agent_folder)]
    if repo:
        sources += sources_of(repo, find_namespaces(repo)[0])
    fleet = Fleet()
    fleet.register(discover(sources, taken=roster.cards))
    return fleet


async def _examined(settings: "Settings", fleet: "Fleet") -> "Mapping[Key, Checkup]":
    if not fleet.agents:
        return {}
    from bullpen.sandbox.choose import choose_sandbox

    sandbox, _ = await choose_sandbox(settings.sandbox)
    return await fleet.examine(list(fleet.agents), sandbox)


def _as_value(
    roster: "Roster",
    fleet: "Fleet",
    health: "Mapping[Key, Checkup]",
    records: "Sequence[TrackRecord]",
) -> dict[str, object]:
    cards = [
        {
            "name": one.name,
            "purpose": one.purpose,
            "model": one.model,
            "tools": one.tools,
            "capabilities": one.capabilities,
            "source": one.source,
        }
        for one in roster.cards.values()
    ]
    found = [
        {
            "name": one.name,
            "namespace": one.namespace,
            "kind": one.manifest.kind,
            "version": one.manifest.version,
            "purpose": one.manifest.purpose,
            "capabilities": one.manifest.capabilities,
            "folder": str(one.folder),
            "health": health.get(key),
        }
        for key, one in sorted(fleet.agents.items())
    ]
    past = [
        {"performer": one.performer, "skill": one.skill, "won": one.record.wins, "of": one.record.tries}
        for one in records
    ]
    aside = [*roster.quarantined, *fleet.quarantined]
    return {"agents": cards, "found": found, "records": past, "quarantined": aside}


def _print(
    roster: "Roster",
    fleet: "Fleet",
    health: "Mapping[Key, Checkup]",
    records: "Sequence[TrackRecord]",
) -> None:
    from rich.text import Text

    from bullpen.cli.output import new_table, open_console, printable

    console = open_console()
    table = new_table("role", "purpose", "tools", "from")
    for card in roster.cards.values():
        table.add_row(card.name, printable(card.purpose), ", ".join(card.tools), printable(card.source))
    console.print(table)
    if fleet.agents:
        table = new_table("agent", "kind", "capabilities", "health", "purpose", "from")
        for key, one in sorted(fleet.agents.items()):
            name = f"{one.namespace}/{one.name}" if one.namespace else one.name
            offers, kind = ", ".join(one.manifest.capabilities), one.manifest.kind
            row = (name, kind, offers, _health(health.get(key)), one.manifest.purpose, str(one.folder))
            table.add_row(*map(printable, row))
        console.print(table)
    if records:
        table = new_table("performer", "work", ">successes")
        for past in records:
            table.add_row(past.performer, past.skill, f"{past.record.wins} of {past.record.tries}")
        console.print(table)
    for aside in (*roster.quarantined, *fleet.quarantined):
        said = printable(f"set aside: {aside.source}: {aside.reason}")
        console.print(Text(said, "yellow"), soft_wrap=True)


def _health(checkup: "Checkup | None") -> str:
    if checkup is None:
        return "not asked"
    return "well" if checkup.alive else checkup.error


COMMAND = agents
