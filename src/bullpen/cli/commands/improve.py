"""Find what is wrong with a repository, mend it, prove it, and leave a branch and a report."""

import asyncio
from pathlib import Path

import click

from bullpen.cli.arguments import baseline_path, full_path, given_options


@click.command()
@click.argument("repo", default=".")
@click.option("--goal", default="", help="What you want, in words.")
@click.option(
    "--only", multiple=True, metavar="RULE|PATH", help="Only these rules, concerns or paths; repeatable."
)
@click.option("--max", "most", type=click.IntRange(1, 10_000), help="Work on at most this many items.")
@click.option("--budget", default="0", metavar="USD", help="Spend at most this on models.")
@click.option(
    "--approve", multiple=True, metavar="RULE", help="Allow recipes that may change behaviour for a rule."
)
@click.option("--baseline", default="", metavar="FILE", help="Leave out the findings of this SARIF file.")
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the session that was interrupted; --max, --budget and --approve may be changed.",
)
@click.option(
    "--session",
    "session_id",
    default="",
    metavar="ID",
    help="The session to resume, or the name of the new one.",
)
@click.option("--python", default=None, metavar="PATH", help="Interpreter for the project's tests.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="Print only the result.")
def improve(
    repo: str,
    goal: str,
    only: tuple[str, ...],
    most: int | None,
    budget: str,
    approve: tuple[str, ...],
    baseline: str,
    dry_run: bool,
    resume: bool,
    session_id: str,
    python: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Roast REPO (a folder or a git URL), mend what can be proved, and leave a branch and a report.

    Nothing is written to your checkout or to the branch you are on.
    """
    from bullpen.cli.output import open_console, print_json
    from bullpen.cli.summary import print_summary
    from bullpen.cli.watching import Cancelled, Stopped, improve_and_watch, keep_what_is_known, tidy_up
    from bullpen.domain.money import Money
    from bullpen.flow.improve.options import ImproveOptions
    from bullpen.kernel.settings import read_settings

    settings = read_settings(python=str(Path(python).absolute()) if python and "/" in python else python)
    options = ImproveOptions(
        source=full_path(repo),
        goal=goal,
        only=only,
        max_items=most or settings.max_items,
        budget=Money.parse(budget),
        dry_run=dry_run,
        approve=approve,
        baseline=baseline_path(baseline),
    )
    hidden = quiet or as_json
    try:
        outcome = asyncio.run(
            improve_and_watch(
                settings, options, given=given_options(), resume=resume, session_id=session_id, quiet=hidden
            )
        )
    except Stopped as stopped:
        raise asyncio.run(keep_what_is_known(settings, stopped)) from None
    except Cancelled as cancelled:
        outcome = asyncio.run(tidy_up(settings, cancelled))
    if as_json:
        print_json(outcome)
    else:
        print_summary(open_console(), outcome)
    return outcome.exit_status


COMMAND = improve
