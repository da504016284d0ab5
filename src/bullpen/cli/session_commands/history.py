"""A session's past: told again event by event, and looked at as it was at one of them."""

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import json_option, read_records, session_named
from bullpen.domain.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from bullpen.domain.session import Session
    from bullpen.kernel.bus.log import Recorded
    from bullpen.kernel.storage.unit_of_work import UnitOfWork
    from bullpen.sessions.state import SessionThen

LONGEST_PAUSE = 5.0  # seconds a replay waits at most between two events
Tell = Callable[["Recorded"], None]


async def history_of(uow: "UnitOfWork", name: str) -> "tuple[Session, list[Recorded]]":
    """The session a person named (the newest where no name is given), and all its events."""
    from bullpen.cli.watching import whole_history

    stored = await session_named(uow, name)
    return stored, await whole_history(uow, stored.id)


# --- replay -----------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("session", default="")
@click.option(
    "--speed",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="1: as it was; 10: ten times as fast; 0: at once.",
)
@click.option("--from", "first", type=click.IntRange(0), default=0, help="Begin at this position.")
@click.option("--to", "last", type=click.IntRange(0), default=0, help="End with this position; 0: the last.")
@click.option(
    "--all", "everything", is_flag=True, help="Every event with its position, not only those that matter."
)
@json_option
def replay(session: str, speed: float, first: int, last: int, everything: bool, as_json: bool) -> int:
    """Tell SESSION again, event by event; with --json one object a line."""
    stored, events = read_records(lambda uow: history_of(uow, session))
    begin, end = _range(stored.id, events, first, last)
    tell = _teller(events[:begin], everything=everything, as_json=as_json)
    asyncio.run(_replay(events[begin:end], speed, tell))
    return 0


def _range(name: str, events: "Sequence[Recorded]", first: int, last: int) -> tuple[int, int]:
    """Where the events from ``first`` to ``last`` begin and end in the list.

    Raises:
        InvalidInput: there are none between them.
    """
    if last and first > last:
        raise InvalidInput(f"--from {first} comes after --to {last}.", remedy="Exchange them.")
    begin = bisect_left(events, first, key=lambda one: one.position)
    end = bisect_right(events, last, key=lambda one: one.position) if last else len(events)
    if events and begin >= end:
        raise InvalidInput(
            f"Session {name} has no event there; its positions go from {events[0].position} to {events[-1].position}.",
            remedy=f"See them with `bullpen sessions replay {name} --all`.",
        )
    return begin, end


def _teller(before: "Sequence[Recorded]", *, everything: bool, as_json: bool) -> Tell:
    from bullpen.cli.output import printable
    from bullpen.cli.progress import Progress, fold
    from bullpen.cli.watching import Log

    if as_json:
        return lambda one: click.echo(_as_json(one))
    if everything:
        return lambda one: click.echo(
            printable(f"{one.position} {time.strftime('%H:%M:%S', time.localtime(one.at))} {one.event}")
        )
    log = Log(click.echo, fold(Progress(), before))
    return lambda one: log.show([one])


def _as_json(one: "Recorded") -> str:
    from bullpen.cli.output import json_line

    return json_line(
        {
            "position": one.position,
            "at": one.at,
            "actor": one.actor_id,
            "type": type(one.event).__name__,
            "event": one.event,
        }
    )


async def _replay(events: "Sequence[Recorded]", speed: float, tell: Tell) -> None:
    before = events[0].at if events else 0.0
    for recorded in events:
        if speed and recorded.at > before:
            await asyncio.sleep(min(LONGEST_PAUSE, (recorded.at - before) / speed))
        before = recorded.at
        tell(recorded)


# --- one moment -------------------------------------------------------------------------------------------------------


@click.command("at")
@click.argument("session")
@click.argument("position", type=click.IntRange(1))
@json_option
def show_at(session: str, position: int, as_json: bool) -> int:
    """What was known of SESSION after its event at POSITION (see `replay --all`): stage, items, tasks, tip, cost."""
    from bullpen.cli.output import print_json
    from bullpen.sessions.state import state_after

    stored, events = read_records(lambda uow: history_of(uow, session))
    _require_inside(stored.id, events, position)
    then = state_after(events, position)
    if as_json:
        print_json(moment_of(then, position))
    else:
        print_moment(then)
    return 0


def _require_inside(name: str, events: "Sequence[Recorded]", position: int) -> None:
    if not events or not events[0].position <= position <= events[-1].position:
        known = f"from {events[0].position} to {events[-1].position}" if events else "none yet"
        raise NotFound(
            f"Session {name} has no event {position}; its positions are {known}.",
            remedy=f"See them with `bullpen sessions replay {name} --all`.",
        )


def moment_of(then: "SessionThen", asked: int) -> dict[str, object]:
    """The state at a moment, for programs."""
    from bullpen.vcs.git import redact

    session = then.session
    return {
        "session": session.id,
        "asked": asked,
        "position": then.position,
        "at": then.at,
        "stage": session.stage,
        "paused": session.paused,
        "archived": session.archived,
        "project": redact(session.project),
        "tags": session.tags,
        "participants": session.participants,
        "metadata": dict(session.metadata),
        "base": then.base,
        "tip": then.tip,
        "steps": then.steps,
        "input_tokens": then.input_tokens,
        "output_tokens": then.output_tokens,
        "cost_usd": str(then.cost),
        "items_by_state": then.item_counts(),
        "tasks_by_state": then.task_counts(),
        "items": list(then.items.values()),
        "tasks": list(then.tasks.values()),
        "approvals": list(then.approvals.values()),
    }


def print_moment(then: "SessionThen") -> None:
    """The state at a moment, in words."""
    from bullpen.cli.output import printable

    session = then.session
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(then.at))
    words = ", ".join([session.stage.value, *(["paused"] if session.paused else [])])
    waiting = [one for one in then.approvals.values() if one.answer == "pending"]
    lines = [
        f"{session.id} after event {then.position}, {when}: {words}",
        f"items: {_counts(then.item_counts())}",
        f"tasks: {_counts(then.task_counts())}",
        *(f"  works on: {one.title}" for one in then.tasks.values() if one.state.value == "running"),
        f"tip: {then.tip or 'none yet'}",
        f"cost: {then.cost} for {then.steps} steps, {then.input_tokens + then.output_tokens} tokens",
        *(f"  waits for approval: {one.subject}" for one in waiting),
    ]
    for line in lines:
        click.echo(printable(line))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"
