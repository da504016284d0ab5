"""Run a team of agents on a goal by a pattern, go on with one that was interrupted, or list the patterns."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import json_option

if TYPE_CHECKING:
    from bullpen.flow.teams.base import Progress, TeamReport


@click.group()
def team() -> None:
    """Let several agents work on one goal."""


@team.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--resume", is_flag=True, help="Go on with the run of this folder that was interrupted.")
@click.option("--session", "session_id", default="", metavar="ID", help="The name of the session.")
@click.option("--quiet", is_flag=True, help="Print only the result.")
@json_option
def run(folder: Path, resume: bool, session_id: str, quiet: bool, as_json: bool) -> int:
    """Run the team that FOLDER/team.yaml describes. The files in FOLDER are not changed."""
    from bullpen.cli.output import print_json
    from bullpen.flow.team_folder import succeeded

    report = asyncio.run(_run(folder.absolute(), resume, session_id, quiet=quiet or as_json))
    if as_json:
        print_json(report)
    else:
        _print(report)
    return 0 if succeeded(report) else 1


async def _run(folder: Path, resume: bool, session_id: str, *, quiet: bool) -> "TeamReport":
    from bullpen.app import open_team_place
    from bullpen.domain.errors import NotFound
    from bullpen.domain.ids import SessionId, new_id
    from bullpen.flow.team_folder import run_folder, unfinished
    from bullpen.flow.teams.folder import read_team
    from bullpen.kernel.settings import read_settings

    described = read_team(folder)
    async with open_team_place(read_settings(), _hide if quiet else _tell) as place:
        known = await unfinished(place, folder) if resume and not session_id else None
        if resume and not session_id and known is None:
            raise NotFound(f"No run of {folder} was interrupted.", remedy="Run it without --resume.")
        name = SessionId(session_id) if session_id else known or SessionId(new_id("ses"))
        return await run_folder(place, described, name)


def _tell(progress: "Progress") -> None:
    from bullpen.cli.output import printable

    click.echo(f"[{progress.done}/{progress.total}] {printable(progress.line)}", err=True)


def _hide(_progress: "Progress") -> None:
    pass


def _print(report: "TeamReport") -> None:
    from bullpen.cli.output import counted, duration, printable

    for line in report.lines:
        click.echo(printable(line))
    spent = (
        f"{counted(len(report.done), 'task')} done, {len(report.lost)} not, {len(report.retried)} tried again"
    )
    click.echo(f"{report.session}: {report.state.value}; {spent}; {duration(report.seconds)} of work.")


@team.command()
@json_option
def patterns(as_json: bool) -> int:
    """List the ways in which agents can work together."""
    from bullpen.cli.output import print_json
    from bullpen.flow.patterns.base import PATTERNS

    found = {name: PATTERNS.summary(name) for name in PATTERNS.names()}
    if as_json:
        print_json(found)
        return 0
    for name, words in found.items():
        click.echo(f"{name:<14} {words}")
    return 0


COMMAND = team
