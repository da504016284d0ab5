"""Say what is wrong with a repository, each persona in its own words; change nothing, run no tests."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import baseline_path, full_path, in_workshop, json_option, write_given
from bullpen.cli.failing import Failure, known_failure, tell
from bullpen.domain.errors import Missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from bullpen.analysis.base import AnalyserRun
    from bullpen.flow.improve.means import Means
    from bullpen.flow.improve.session import OpenSessions
    from bullpen.flow.roasting import Roasted, Said


@click.command()
@click.argument("repo", default=".")
@click.option(
    "--only", multiple=True, metavar="RULE|PATH", help="Only these rules, concerns or paths; repeatable."
)
@click.option("--baseline", default="", metavar="FILE", help="Leave out the findings of this SARIF file.")
@click.option(
    "--sarif", "sarif", type=click.Path(path_type=Path), metavar="FILE", help="Write the findings as SARIF."
)
@click.option(
    "--most", type=click.IntRange(1), default=10, show_default=True, help="Findings shown per persona."
)
@click.option("--quiet", is_flag=True, help="Print only the result.")
@json_option
def roast(
    repo: str,
    only: tuple[str, ...],
    baseline: str,
    sarif: Path | None,
    most: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Look at REPO (a folder or a git URL) as it is committed, and say what is wrong with it."""
    from bullpen import __version__
    from bullpen.cli.output import open_console
    from bullpen.flow.improve.options import ImproveOptions
    from bullpen.flow.roasting import roast_repository

    options = ImproveOptions(full_path(repo), only=only, baseline=baseline_path(baseline))
    on_progress = None if quiet or as_json else _tell

    async def look(means: "Means", _sessions: "OpenSessions") -> "Roasted":
        return await roast_repository(means, options, __version__, on_progress)

    found = in_workshop(look)
    if sarif:
        write_given(sarif, found.sarif)
    problem = _blind(found)
    if as_json:
        _print_json(found)
    else:
        _print(open_console(), found, most)
    return tell(problem, as_json=False) if problem else 0


def _blind(found: "Roasted") -> Failure | None:
    from bullpen.flow.blind import require_sight

    try:
        require_sight(found.seen, found.failures)
    except Missing as error:
        return known_failure(error)
    return None


def _tell(run: "AnalyserRun") -> None:
    from bullpen.cli.output import counted, printable

    said = printable(run.failure) if run.failure else f"{counted(run.observations, 'observation')}"
    click.echo(f"{run.analyser}: {counted(run.files, 'file')}, {said}", err=True)


def _print_json(found: "Roasted") -> None:
    from bullpen.cli.output import print_json

    print_json(
        {
            "name": found.name,
            "commit": found.commit,
            "files": found.files,
            "uncommitted": found.uncommitted,
            "known": found.known,
            "failures": found.failures,
            "findings": [
                {"persona": one.persona, "words": one.words, "finding": one.finding} for one in found.said
            ],
        }
    )


def _print(console: "Console", found: "Roasted", most: int) -> None:
    from rich.text import Text

    from bullpen.cli.output import counted, printable

    head = f"{printable(found.name)}@{found.commit[:7]}: {counted(len(found.said), 'finding')} in {counted(found.files, 'file')}"
    if not found.said:
        nothing = "is clean: nothing found" if not found.failures else "nothing found"
        nothing = "nothing new" if found.known else nothing
        head = f"{printable(found.name)}@{found.commit[:7]} {nothing} in {counted(found.files, 'file')}"
    console.print(Text(head, "bold"), soft_wrap=True)
    if found.known:
        console.print(f"  {found.known} more are in the baseline.", style="dim")
    if found.uncommitted:
        console.print(
            f"  {counted(found.uncommitted, 'file')} with uncommitted changes not looked at.", style="dim"
        )
    for failure in found.failures:
        console.print(Text(f"  Could not run: {printable(failure)}", "yellow"), soft_wrap=True)
    for persona in sorted({one.persona for one in found.said}, key=lambda name: _rank(found.said, name)):
        _print_persona(console, [one for one in found.said if one.persona == persona], most)
    if found.said:
        console.print(Text("\nMend what can be proved with `bullpen improve`.", "dim"))


def _rank(said: "Sequence[Said]", persona: str) -> tuple[int, str]:
    return (-max(one.finding.severity for one in said if one.persona == persona), persona)


def _print_persona(console: "Console", said: "Sequence[Said]", most: int) -> None:
    from rich.text import Text

    from bullpen.cli.output import SEVERITY_STYLES, counted, printable

    title = Text(f"\n{printable(said[0].title)}", "bold magenta")
    console.print(title + Text(f"  {counted(len(said), 'finding')}", "dim"))
    for one in said[:most]:
        severity = one.finding.severity
        line = Text(f"  {severity.name.lower():<8} ", SEVERITY_STYLES[severity])
        line.append(printable(one.words))
        line.append(f"  {printable(one.finding.rule)}", "dim")
        console.print(line, soft_wrap=True)
    if len(said) > most:
        console.print(Text(f"  … and {len(said) - most} more (--most {len(said)})", "dim"))


COMMAND = roast
