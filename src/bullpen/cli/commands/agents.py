"""List the agents: the roles there are, and the cards that were set aside."""

from pathlib import Path

import click

from bullpen.cli.arguments import json_option


@click.command()
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Also the cards a repository brings in .bullpen/agents.",
)
@json_option
def agents(repo: Path | None, as_json: bool) -> int:
    """Roles are cards, not programs; a repository may narrow them or add its own."""
    from rich.text import Text

    from bullpen.agents.registry import load_roster
    from bullpen.cli.output import new_table, open_console, print_json, printable

    roster = load_roster(repo)
    if as_json:
        cards = [
            {
                "name": one.name,
                "purpose": one.purpose,
                "model": one.model,
                "tools": one.tools,
                "source": one.source,
            }
            for one in roster.cards.values()
        ]
        print_json({"agents": cards, "quarantined": roster.quarantined})
        return 0
    table = new_table("role", "purpose", "tools", "from")
    for card in roster.cards.values():
        table.add_row(card.name, printable(card.purpose), ", ".join(card.tools), printable(card.source))
    console = open_console()
    console.print(table)
    for one in roster.quarantined:
        console.print(Text(printable(f"set aside: {one.source}: {one.reason}"), "yellow"), soft_wrap=True)
    return 0


COMMAND = agents
