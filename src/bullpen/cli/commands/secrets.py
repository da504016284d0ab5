"""Keep the keys that agents call their models with; a value is never shown."""

import sys

import click

from bullpen.cli.arguments import json_option


@click.group()
def secrets() -> None:
    """Keys that agents need, by the name their manifest gives.

    Besides this store, the setting `secrets` may say where one is (`env:VARIABLE` or `file:PATH`), and BULLPEN_SECRET_NAME
    may hold it. No agent is given the value: Bullpen's broker adds it to what an agent sends to its model.
    """


@secrets.command("set")
@click.argument("name")
def set_one(name: str) -> int:
    """Keep a value under NAME. It is asked for without being shown, or read from standard input."""
    from bullpen.kernel.secrets import keep_secret
    from bullpen.kernel.settings import read_settings

    settings = read_settings()
    asked = sys.stdin.isatty()
    value = click.prompt(f"Value of {name}", hide_input=True, err=True) if asked else sys.stdin.read()
    keep_secret(settings, name, value.strip())
    click.echo(f"{name} is kept.", err=True)
    return 0


@secrets.command("list")
@json_option
def list_them(as_json: bool) -> int:
    """The names of those there are, and where each is; never a value."""
    from bullpen.cli.output import new_table, open_console, print_json, printable
    from bullpen.kernel.secrets import list_secrets
    from bullpen.kernel.settings import read_settings

    known = list_secrets(read_settings())
    if as_json:
        print_json([{"name": name, "place": place} for name, place in known])
    elif known:
        table = new_table("secret", "where it is")
        for name, place in known:
            table.add_row(printable(name), printable(place))
        open_console().print(table)
    else:
        click.echo("There are no secrets. Keep one with `bullpen secrets set NAME`.", err=True)
    return 0


@secrets.command()
@click.argument("name")
def remove(name: str) -> int:
    """Take NAME out of the store."""
    from bullpen.kernel.secrets import drop_secret
    from bullpen.kernel.settings import read_settings

    drop_secret(read_settings(), name)
    click.echo(f"{name} is gone.", err=True)
    return 0


COMMAND = secrets
