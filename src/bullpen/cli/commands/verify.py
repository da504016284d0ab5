"""Run the evidence of a change again, from its trees alone, and say whether each claim holds."""

from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import in_workshop, json_option

if TYPE_CHECKING:
    from bullpen.flow.improve.means import Means
    from bullpen.flow.improve.session import OpenSessions
    from bullpen.flow.verify import Verification


@click.command()
@click.argument("change")
@json_option
def verify(change: str, as_json: bool) -> int:
    """Check CHANGE, a commit of a bullpen branch or an item's id. Status 1 if a claim does not hold."""
    from bullpen.cli.output import print_json
    from bullpen.flow.verify import verify_change

    async def check(means: "Means", sessions: "OpenSessions") -> "Verification":
        return await verify_change(means, sessions, change)

    found = in_workshop(check)
    if as_json:
        print_json({"holds": found.holds, "verification": found})
    else:
        _print(found)
    return 0 if found.holds else 1


def _print(found: "Verification") -> None:
    from rich.text import Text

    from bullpen.cli.output import new_table, open_console, printable

    console = open_console()
    console.print(Text(f"{found.commit[:12]} {printable(found.title)}", "bold"), soft_wrap=True)
    table = new_table("claim", "holds", "said", "seen now")
    for claim in found.claims:
        holds = Text("✓ yes", "green") if claim.holds else Text("✗ NO", "bold red")
        table.add_row(claim.name, holds, printable(claim.said), printable(claim.seen))
    console.print(table)
    broken = sum(not claim.holds for claim in found.claims)
    words = "Every claim holds." if found.holds else f"{broken} of {len(found.claims)} claims do not hold."
    console.print(Text(words, "green" if found.holds else "bold red"))


COMMAND = verify
