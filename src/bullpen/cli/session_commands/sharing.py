"""Links that let somebody read one session, and nothing else."""

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import change_records, json_option, read_records, session_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bullpen.domain.session import Share
    from bullpen.kernel.storage.unit_of_work import UnitOfWork
    from bullpen.sessions.state import SessionThen

DAY = 86_400.0


@click.command()
@click.argument("session")
@click.option("--days", type=float, default=7.0, show_default=True, help="How long the link opens it.")
@json_option
def share(session: str, days: float, as_json: bool) -> int:
    """Make a link that lets its bearer read SESSION; its token is printed once and kept nowhere."""
    from bullpen.cli.output import print_json
    from bullpen.sessions.actions import share_session

    async def change(uow: "UnitOfWork") -> "tuple[Share, str]":
        return await share_session(uow, (await session_named(uow, session)).id, days * DAY)

    made, token = change_records(change)
    if as_json:
        print_json({"share": made, "token": token})
    else:
        click.echo(token)
        click.echo(f"{made.id} opens {made.session_id} until {_day(made.expires_at)}.", err=True)
    return 0


@click.command()
@click.argument("session", default="")
@json_option
def shares(session: str, as_json: bool) -> int:
    """The links to SESSION (otherwise to any), and whether they still open it."""
    from bullpen.cli.output import new_table, open_console, print_json
    from bullpen.kernel.clock import now
    from bullpen.sessions.queries import list_shares

    async def ask(uow: "UnitOfWork") -> "Sequence[Share]":
        return await list_shares(uow, (await session_named(uow, session)).id if session else "")

    found = read_records(ask)
    if as_json:
        print_json(found)
        return 0
    table = new_table("link", "session", "made by", "until", "opens")
    for one in found:
        opens = "yes" if one.opens_at(now()) else "revoked" if one.revoked_at else "expired"
        table.add_row(one.id, one.session_id, one.made_by, _day(one.expires_at), opens)
    open_console().print(table)
    return 0


@click.command()
@click.argument("link")
def unshare(link: str) -> int:
    """Revoke LINK (see `shares`): it opens nothing from now on."""
    from bullpen.sessions.actions import revoke_share

    revoked = change_records(lambda uow: revoke_share(uow, link))
    click.echo(f"{revoked.id} opens nothing any more.")
    return 0


@click.command()
@click.argument("token", envvar="BULLPEN_SHARE_TOKEN")
@json_option
def shared(token: str, as_json: bool) -> int:
    """Read the session that a link's TOKEN (or $BULLPEN_SHARE_TOKEN; `-`: stdin) opens, as its bearer may."""
    from bullpen.cli.output import print_json
    from bullpen.cli.session_commands.history import moment_of, print_moment

    given = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105
    then = asyncio.run(_read(given))
    if as_json:
        print_json(moment_of(then, then.position))
    else:
        print_moment(then)
    return 0


async def _read(token: str) -> "SessionThen":
    from bullpen.app import open_records
    from bullpen.cli.watching import whole_history
    from bullpen.kernel.settings import read_settings
    from bullpen.sessions.queries import list_sessions, reader_with
    from bullpen.sessions.state import state_after

    async with open_records(read_settings()) as records:
        reader = await reader_with(records.database.store, token)
        async with records.database.view(reader) as uow:
            live, archived = await list_sessions(uow), await list_sessions(uow, archived=True)
            (only,) = (*live, *archived)
            return state_after(await whole_history(uow, only.id))


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
