"""List the recipes: changes that are made by rule, with how far each may be trusted and what it mends."""

import click

from bullpen.cli.arguments import json_option


@click.command()
@click.option("--rule", default="", help="Only those that mend this rule.")
@json_option
def recipes(rule: str, as_json: bool) -> int:
    """Safe recipes keep meaning; unsafe ones may change it and wait for `--approve RULE`."""
    from rich.text import Text

    from bullpen.cli.output import new_table, open_console, print_json
    from bullpen.recipes.base import catalogue

    known = catalogue()
    found = known.mending(rule) if rule else known.recipes
    if as_json:
        names = ("name", "applicability", "fixes", "summary", "why", "source")
        print_json([{name: getattr(one, name) for name in names} for one in found])
        return 0
    table = new_table("recipe", "applicability", "rules", "what it does")
    styles = {"safe": "green", "unsafe": "yellow", "display": "dim"}
    for one in found:
        trust = one.applicability.value
        table.add_row(one.name, Text(trust, styles[trust]), ", ".join(one.fixes), one.summary)
    open_console().print(table)
    return 0


COMMAND = recipes
