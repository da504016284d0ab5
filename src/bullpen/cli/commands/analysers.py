"""List the analysers: what looks for faults, and in which version."""

from dataclasses import dataclass

import click

from bullpen.cli.arguments import json_option


@dataclass(frozen=True, slots=True)
class Listed:
    """An analyser, and why it cannot be used if it cannot."""

    name: str
    version: str
    reach: str
    summary: str
    problem: str = ""


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


def list_analysers() -> list[Listed]:
    """Every analyser, loaded and asked for its version."""
    from bullpen.analysis.roast import ANALYSERS

    return [_listed(name, ANALYSERS.summary(name)) for name in ANALYSERS.names()]


def _listed(name: str, summary: str) -> Listed:
    from bullpen.analysis.roast import ANALYSERS
    from bullpen.domain.errors import BullpenError

    try:
        analyser = ANALYSERS.load(name)
        return Listed(name, analyser.version(), analyser.reach.value, summary)
    except BullpenError as error:
        return Listed(name, "", "", summary, error.sentence)


COMMAND = analysers
