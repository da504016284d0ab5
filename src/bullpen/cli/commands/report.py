"""Write the reports of a session again, from its records, and say where they are."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import in_workshop, json_option, session_named

if TYPE_CHECKING:
    from bullpen.flow.improve.means import Means
    from bullpen.flow.improve.session import OpenSessions


@click.command()
@click.argument("session", default="")
@click.option("--open", "show", is_flag=True, help="Open the HTML report in a browser.")
@json_option
def report(session: str, show: bool, as_json: bool) -> int:
    """Write the reports of SESSION (otherwise the newest)."""
    from bullpen.cli.output import print_json
    from bullpen.flow.improve.conclude import write_reports

    async def write(means: "Means", _sessions: "OpenSessions") -> tuple[str, list[Path]]:
        async with means.database.view(means.actor) as uow:
            stored = await session_named(uow, session)
        return stored.id, await write_reports(means, stored.id)

    name, paths = in_workshop(write)
    if as_json:
        print_json({"session": name, "reports": paths})
    for path in [] if as_json else paths:
        click.echo(path)
    page = next((path for path in paths if path.suffix == ".html"), None)
    if show and page:
        webbrowser.open(page.as_uri())
    return 0


COMMAND = report
