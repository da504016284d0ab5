"""List the analysers: what looks for faults, and in which version."""

import click

from bullpen.cli.analyser_list import list_analysers
from bullpen.cli.arguments import json_option


@click.command()
@json_option
def analysers(as_json: bool) -> int:
    """All there are; status 6 if one cannot be used here."""
    from bullpen.cli.output import new_table, open_console, print_json
    from bullpen.domain.errors import Missing

    found = list_analysers()
    if as_json:
        print_json(found)
    else:
        table = new_table("analyser", "reach", "version", "what it looks for")
        for one in found:
            table.add_row(one.name, one.reach, one.version or f"missing: {one.problem}", one.summary)
        open_console().print(table)
    return Missing.exit_status if any(one.problem for one in found) else 0


COMMAND = analysers
