"""Say no to a question that waits for a person."""

from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import change_records

if TYPE_CHECKING:
    from bullpen.flow.approve import Answered
    from bullpen.kernel.storage.unit_of_work import UnitOfWork


@click.command()
@click.argument("approval")
def deny(approval: str) -> int:
    """Refuse what APPROVAL asks for. See `bullpen approvals`."""
    from bullpen.flow.approve import answer

    async def change(uow: "UnitOfWork") -> "Answered":
        return await answer(uow, approval, approved=False)

    click.echo(f"{approval} is denied (session {change_records(change).session_id}).")
    return 0


COMMAND = deny
