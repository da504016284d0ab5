"""Processes that work on the same database: where they are, what they do, and whether they are alive."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import json_option, read_records

if TYPE_CHECKING:
    from bullpen.kernel.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Seen:
    """One of them. ``state`` is working, idle or lost; ``running`` counts workflows it has begun and not ended."""

    id: str
    host: str
    pid: int
    state: str
    lanes: int
    running: int
    release: str
    started_at: float
    lease_until: float


@click.command()
@json_option
def executors(as_json: bool) -> int:
    """Those that hold a lease, and those that were lost within the last hour."""
    from bullpen.cli.output import print_json

    found = read_records(_seen)
    if as_json:
        print_json(found)
    else:
        _print(found)
    return 0


async def _seen(uow: "UnitOfWork") -> list[Seen]:
    from bullpen.kernel.durable import runs_by_executor
    from bullpen.kernel.executors import list_executors

    known = await list_executors(uow)
    runs = await runs_by_executor(uow) if known else {}
    return [
        Seen(
            id=one.id,
            host=one.host,
            pid=one.pid,
            state="lost" if one.lost_at is not None else "working" if runs.get(one.id) else "idle",
            lanes=one.lanes,
            running=runs.get(one.id, 0),
            release=one.release,
            started_at=one.started_at,
            lease_until=one.lease_until,
        )
        for one in known
    ]


def _print(found: list[Seen]) -> None:
    from bullpen.cli.output import new_table, open_console, printable

    if not found:
        click.echo("Nobody is at work. Start `bullpen worker`, with BULLPEN_DATABASE_URL set.", err=True)
        return
    table = new_table("executor", "host", ">pid", "state", ">running", ">lanes", "since")
    for one in found:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.started_at))
        table.add_row(
            one.id, printable(one.host), str(one.pid), one.state, str(one.running), str(one.lanes), since
        )
    open_console().print(table)


COMMAND = executors
