"""Run a project's own checks locally: its GitHub Actions jobs, or its test, lint and build commands."""

import asyncio
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import full_path, json_option

if TYPE_CHECKING:
    from bullpen.flow.pipelines.model import PipelineRun
    from bullpen.flow.pipelines.run import Found, PipelineOptions

own_option = click.option("--own", is_flag=True, help="The project's own commands, not its workflow files.")
file_option = click.option(
    "--file", "files", multiple=True, metavar="NAME", help="Only this workflow file; repeatable."
)


@click.group()
def pipeline() -> None:
    """Run a project's pipelines in the sandbox."""


@pipeline.command("list")
@click.argument("repo", default=".")
@own_option
@file_option
@json_option
def list_them(repo: str, own: bool, files: tuple[str, ...], as_json: bool) -> int:
    """Every job of REPO, as it is committed; nothing is run."""
    from bullpen.cli.output import print_json
    from bullpen.flow.pipelines.run import PipelineOptions, find_pipelines
    from bullpen.kernel.settings import read_settings

    options = PipelineOptions(full_path(repo), files=files, own=own)
    found = asyncio.run(find_pipelines(read_settings().home / "mirrors", options))
    if as_json:
        print_json({"pipelines": found.pipelines, "faulty": dict(found.faulty)})
    else:
        _print_list(found)
    return 0


def _print_list(found: "Found") -> None:
    from bullpen.cli.output import new_table, open_console, printable

    table = new_table("file", "job", ">cells", ">steps", "needs", "remark")
    for one in found.pipelines:
        for job in one.jobs:
            counts = (str(len(job.cells)), str(len(job.steps)))
            needs, remark = printable(", ".join(job.needs)), f"not run: {job.refused}" if job.refused else ""
            table.add_row(printable(job.where), printable(job.id), *counts, needs, printable(remark))
    for path, why in found.faulty:
        table.add_row(printable(path), "", "", "", "", printable(f"not run: {why}"))
    open_console().print(table)


@pipeline.command()
@click.argument("repo", default=".")
@click.option("--job", "jobs", multiple=True, metavar="NAME", help="Only this job; repeatable.")
@own_option
@file_option
@click.option("--partial", is_flag=True, help="Run what can be run of jobs some of whose steps cannot.")
@click.option("--network", is_flag=True, help="Let steps reach the network.")
@click.option("--fresh", is_flag=True, help="Run again what passed before on the same content.")
@click.option("--resume", is_flag=True, help="Go on with the run that was interrupted, as it was asked then.")
@click.option(
    "--session", "session_id", default="", metavar="ID", help="The run to resume, or a name for it."
)
@json_option
def run(
    repo: str,
    jobs: tuple[str, ...],
    own: bool,
    files: tuple[str, ...],
    partial: bool,
    network: bool,
    fresh: bool,
    resume: bool,
    session_id: str,
    as_json: bool,
) -> int:
    """Run the jobs of REPO as it is committed, in throw-away checkouts. Exit status 1: something failed, or nothing ran."""
    from bullpen.cli.output import print_json
    from bullpen.flow.pipelines.run import PipelineOptions

    options = PipelineOptions(full_path(repo), jobs, files, own, partial, network, fresh)

    done = asyncio.run(_run(options, resume=resume, session_id=session_id, quiet=as_json))
    if as_json:
        print_json(done)
    else:
        _print(done)
    return 0 if done.ok else 1


async def _run(options: "PipelineOptions", *, resume: bool, session_id: str, quiet: bool) -> "PipelineRun":
    from bullpen.app import open_workshop
    from bullpen.cli.watching import watched
    from bullpen.domain.ids import SessionId, new_id
    from bullpen.flow.definitions.start import hold_run
    from bullpen.flow.pipelines.kept import interrupted_run
    from bullpen.flow.pipelines.run import run_pipelines
    from bullpen.flow.start import require_new
    from bullpen.kernel.settings import read_settings

    async with open_workshop(read_settings()) as workshop:
        means = workshop.means
        async with means.database.view(means.actor) as uow:
            if resume:
                session = (await interrupted_run(uow, options.source, session_id)).id
            else:
                session = await require_new(uow, session_id) if session_id else SessionId(new_id("ses"))
        async with hold_run(means, session), watched(workshop.records, session, quiet=quiet):
            return await run_pipelines(means, options, session)


def _print(done: "PipelineRun") -> None:
    from bullpen.cli.output import duration, new_table, open_console, printable

    table = new_table("job", "state", ">time", "reason")
    for job in done.jobs:
        state = f"{job.state.value} (kept)" if job.cached else job.state.value
        time = duration(job.seconds) if job.seconds else ""
        table.add_row(printable(job.label), state, time, printable(job.reason))
    open_console().print(table)
    click.echo(f"{duration(done.seconds)}; report: {printable(done.folder)}/report.md")


COMMAND = pipeline
