"""Run a session and show it as it goes."""

import asyncio
import json
import sys

import click

from bullpen.flow.improve.options import ImproveOptions
from bullpen.kernel.settings import Settings


async def watch_session(
    settings: Settings, options: ImproveOptions, *, resume: bool, session_id: str, as_json: bool, quiet: bool
) -> int:
    """Start or take up a session, show its progress, print its result; the exit status."""
    from bullpen.app import open_engine, open_workshop
    from bullpen.flow.start import new_improve_session, run_improve, session_to_resume
    from bullpen.flow.workflows.improve import ENDED

    async with open_workshop(settings) as workshop:
        records = workshop.records
        async with records.database.transaction(records.actor) as uow:
            if resume:
                session = await session_to_resume(uow, options.source, session_id)
            else:
                session = await new_improve_session(uow, options, session_id)
        async with open_engine(workshop, f"improve-{session.id}") as engine:
            async with records.database.transaction(records.actor) as uow:
                pass
            async with asyncio.TaskGroup() as group:
                shown = group.create_task(_show(records, session.id, quiet=quiet or as_json))
                async with records.database.transaction(records.actor) as uow:
                    run = await run_improve(engine, uow, session)
                ended = ENDED.validate_python(await run.result())
                shown.cancel()
    click.echo(json.dumps(ENDED.dump_python(ended, mode="json"), indent=2))
    return 0 if not ended.problem else 1


async def _show(records: object, session_id: str, *, quiet: bool) -> None:
    from bullpen.app import Records

    assert isinstance(records, Records)
    async for recorded in records.log.follow(records.database, records.actor, session_id):
        if not quiet:
            print(
                f"{recorded.at:.1f}",
                type(recorded.event).__name__,
                str(recorded.event)[:200],
                file=sys.stderr,
            )
