"""List the questions that wait for a person."""

import time
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import json_option, read_records, session_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bullpen.kernel.storage.unit_of_work import UnitOfWork
    from bullpen.work.queries import Approval


@click.command()
@click.option("--session", "session_id", default="", metavar="ID", help="Only those of one session.")
@click.option("--all", "everything", is_flag=True, help="Those that were answered too.")
@json_option
def approvals(session_id: str, everything: bool, as_json: bool) -> int:
    """Oldest first. Answer with `bullpen approve ID` or `bullpen deny ID`."""
    from bullpen.cli.output import print_json
    from bullpen.work.queries import list_approvals

    async def ask(uow: "UnitOfWork") -> "Sequence[Approval]":
        session = (await session_named(uow, session_id)).id if session_id else ""
        return await list_approvals(uow, session, "" if everything else "pending")

    found = read_records(ask)
    if as_json:
        print_json(found)
    else:
        _print(found)
    return 0


def _print(found: "Sequence[Approval]") -> None:
    from bullpen.cli.output import duration, new_table, open_console, printable

    if not found:
        click.echo("Nothing waits for your approval.", err=True)
        return
    table = new_table("approval", "risk", "answer", "time left", "subject", "reason")
    for one in found:
        left = duration(one.deadline - time.time()) if one.deadline > time.time() else "none"
        table.add_row(one.id, one.risk, one.answer, left, printable(one.subject), printable(one.reason))
    open_console().print(table)


COMMAND = approvals
