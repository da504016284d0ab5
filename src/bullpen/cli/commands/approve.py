"""Say yes to a question that waits for a person."""

import shlex
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import change_records

if TYPE_CHECKING:
    from bullpen.domain.session import Session
    from bullpen.flow.approve import Answered
    from bullpen.kernel.storage.unit_of_work import UnitOfWork


@click.command()
@click.argument("approval")
def approve(approval: str) -> int:
    """Let what APPROVAL asks for be done. See `bullpen approvals`."""
    from bullpen.flow.approve import answer
    from bullpen.sessions.queries import get_session
    from bullpen.vcs.git import redact

    async def change(uow: "UnitOfWork") -> "tuple[Answered, Session]":
        answered = await answer(uow, approval, approved=True)
        return answered, await get_session(uow, answered.session_id)

    answered, session = change_records(change)
    if session.kind == "workflow":
        click.echo(f"{approval} is approved.")
        click.echo("Go on with: bullpen workflows wake")
        return 0
    again = shlex.join(["bullpen", "improve", redact(session.project), "--resume", "--session", session.id])
    click.echo(f"{approval} is approved; items that are ready now: {answered.released}.")
    click.echo(f"Go on with: {again}")
    return 0


COMMAND = approve
