"""Find what is wrong with this installation, and say how to mend it."""

from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import json_option

if TYPE_CHECKING:
    from bullpen.cli.checks import Check

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "bold red")}


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Status 0 if Bullpen can work here, 6 if something it needs is missing."""
    import asyncio

    from bullpen.cli.checks import examine
    from bullpen.cli.output import print_json
    from bullpen.domain.errors import Missing

    found = asyncio.run(examine())
    sound = all(check.state != "problem" for check in found)
    if as_json:
        print_json({"ok": sound, "checks": found})
    else:
        _print(found, sound=sound)
    return 0 if sound else Missing.exit_status


def _print(found: "list[Check]", *, sound: bool) -> None:
    from rich.text import Text

    from bullpen.cli.output import open_console, printable

    console = open_console()
    width = max(len(check.name) for check in found)
    for check in found:
        mark, style = _MARKS[check.state]
        line = (
            Text(f"{mark} ", style) + Text(f"{check.name:<{width}}  ", "bold") + Text(printable(check.seen))
        )
        console.print(line, soft_wrap=True)
        if check.remedy:
            console.print(Text(f"  {'':<{width}}  → {printable(check.remedy)}", style), soft_wrap=True)
    console.print("Bullpen can work here." if sound else "Something Bullpen needs is missing; see → above.")


COMMAND = doctor
