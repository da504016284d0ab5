"""Take work on items from the queue of a shared PostgreSQL, until it is told to stop."""

import asyncio
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from bullpen.app import Workshop
    from bullpen.kernel.durable import DurableEngine
    from bullpen.kernel.settings import Settings


@click.command()
@click.option(
    "--lanes", type=click.IntRange(1, 256), help="Items worked at the same time; otherwise one per core."
)
@click.option("--once", is_flag=True, help="End when there is nothing to do.")
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Told to stop, finish what can be finished within this time.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line for each change.")
def worker(lanes: int | None, once: bool, grace: float, as_json: bool) -> int:
    """Do work that `bullpen improve` put in the queue; also on other machines.

    Ends on SIGTERM or SIGINT: it begins nothing new, finishes what it can, and leaves the rest to others. It also ends,
    with status 6, where a session's tests do not come out here as they did before any change. Where its disk is full, it
    hands on what it has, and waits for space.
    """
    from bullpen.kernel.settings import read_settings

    settings = read_settings(parallel=lanes)
    _require_shared(settings)
    return asyncio.run(_serve(settings, once=once, grace=grace, as_json=as_json))


def _require_shared(settings: "Settings") -> None:
    from bullpen.app import is_shared
    from bullpen.domain.errors import InvalidInput

    if not is_shared(settings):
        raise InvalidInput(
            "A worker needs a PostgreSQL that it shares with others; none is set.",
            remedy="Set BULLPEN_DATABASE_URL=postgresql://USER@HOST/NAME here and where `bullpen improve` runs.",
        )


async def _serve(settings: "Settings", *, once: bool, grace: float, as_json: bool) -> int:
    from bullpen.app import lanes, open_bus, open_engine, open_workshop
    from bullpen.cli.fencing import fenced
    from bullpen.domain.errors import Missing
    from bullpen.flow.automation.attend import attending
    from bullpen.flow.improve.room import Room

    say = _teller(as_json=as_json)
    stopping = stop_on_signals()
    problems: list[str] = []

    def unfit(why: str) -> None:
        problems.append(why)
        stopping.set()

    fence = fenced("Start the worker again when the database can be reached.", as_json=as_json)
    async with (
        open_workshop(settings) as workshop,
        open_bus(workshop.records),  # a broker that cannot be reached is told before work begins
        open_engine(workshop, "worker", on_lost=fence, worker=True) as engine,
        attending(workshop.bench, engine, stopping),
    ):
        workshop.bench.sessions.unfit = unfit
        workshop.bench.sessions.room = Room(settings.home)
        say("ready", lanes=lanes(settings), running=0)
        await _until_told(engine, workshop, stopping, say, once=once)
        say("stopping", lanes=lanes(settings), running=engine.running)
        left = await engine.drain(0.0 if problems else grace)
    say("ended", lanes=lanes(settings), running=left)
    if problems:
        raise Missing(
            f"This machine cannot do the work. {problems[0]}",
            remedy="Give it the same interpreters and programs as where `bullpen improve` runs.",
        )
    return 0


def _teller(*, as_json: bool) -> "Callable[..., None]":
    from bullpen.cli.output import json_line

    def say(state: str, *, lanes: int, running: int, why: str = "") -> None:
        if as_json:
            told = {"why": why} if why else {}
            click.echo(json_line({"state": state, "lanes": lanes, "running": running, **told}))
        else:
            more = f". {why}" if why else ""
            click.echo(f"bullpen worker: {state}, {running} of {lanes} lanes in use{more}", err=True)

    return say


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM or SIGINT."""
    import signal

    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def _until_told(
    engine: "DurableEngine",
    workshop: "Workshop",
    stopping: asyncio.Event,
    say: "Callable[..., None]",
    *,
    once: bool,
) -> None:
    """Until a signal; with ``once`` until nothing has run for a while. Changes of what runs are told."""
    from contextlib import suppress

    from bullpen.app import lanes

    shown, idle = 0, 0.0
    while not stopping.is_set() and not (once and idle > IDLE_SECONDS):
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)
        if await _until_there_is_room(engine, workshop, stopping, say):
            shown = 0
        idle = 0.0 if engine.running else idle + LOOK_SECONDS
        if engine.running != shown:
            shown = engine.running
            if not shown:
                await workshop.bench.sessions.tidy()
            say("working" if shown else "ready", lanes=lanes(workshop.means.settings), running=shown)


async def _until_there_is_room(
    engine: "DurableEngine", workshop: "Workshop", stopping: asyncio.Event, say: "Callable[..., None]"
) -> bool:
    """Return at once where the disk has room; else others get what runs here, until it has again. Whether they did."""
    from contextlib import suppress

    from bullpen.app import lanes

    room, told = workshop.bench.sessions.room, False
    while room is not None and (why := room.lacking()) and not stopping.is_set():
        if (engine.running or not told) and await _hand_on(engine, workshop, why):
            room.settle()
        if not told:
            say("full", lanes=lanes(workshop.means.settings), running=engine.running, why=why)
            told = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)
    if told and not stopping.is_set():
        engine.take_again()
        say("ready", lanes=lanes(workshop.means.settings), running=0)
    return told


async def _hand_on(engine: "DurableEngine", workshop: "Workshop", why: str) -> bool:
    """What runs here goes to others, and the log of each session says why; whether there was anything.

    Where the database is away it still runs here, and is handed on at the next look.
    """
    from contextlib import suppress

    from bullpen.domain.errors import Unavailable
    from bullpen.flow.improve.session import record_disqualified

    with suppress(Unavailable):
        runs = await engine.hand_on()
        await record_disqualified(workshop.means, sorted({one.run.partition(":")[0] for one in runs}), why)
        return bool(runs)
    return False


LOOK_SECONDS = 0.1
IDLE_SECONDS = 5.0  # longer than a sweep takes to come round, so that work of the dead is not left behind
COMMAND = worker
