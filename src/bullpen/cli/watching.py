"""Run a session and show it as it goes."""

import asyncio
import shlex
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from bullpen.cli.fencing import fenced
from bullpen.cli.outcome import Outcome, PlannedItem, outcome_of
from bullpen.cli.output import is_plain
from bullpen.cli.plain_lines import plain_line
from bullpen.cli.progress import Progress, apply, fold
from bullpen.domain.errors import BullpenError
from bullpen.domain.ids import SessionId
from bullpen.domain.session import Stage
from bullpen.flow.improve.options import ImproveOptions
from bullpen.kernel.bus.log import Recorded, replay
from bullpen.kernel.settings import Settings
from bullpen.kernel.storage.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from bullpen.app import Records, Workshop
    from bullpen.flow.workflows.improve import Ended

T = TypeVar("T")
FRAME_SECONDS = 0.1  # ten looks at the log a second; a look that finds nothing costs well under a millisecond
LOOK_SECONDS = 0.5  # between two looks at whether the session was cancelled
STOPS = 30  # times, a second apart, that what runs is asked to stop
INTERRUPTED = 130  # as a shell reports SIGINT


class Stopped(BullpenError):
    """A person, or the machine, stopped the session; it can go on."""

    exit_status = INTERRUPTED
    code = "interrupted"
    session = SessionId("")


class Cancelled(BullpenError):
    """A person cancelled the session while it ran here."""

    code = "cancelled"
    session = SessionId("")


class Screen(Protocol):
    """Where progress is shown."""

    def show(self, events: Sequence[Recorded]) -> None:
        """Take in new events; none means that only time has passed."""
        ...


class Silence:
    """Shows nothing."""

    def show(self, events: Sequence[Recorded]) -> None:
        """See ``Screen.show``."""


@dataclass(slots=True)
class Log:
    """Writes a line of text for each event that matters."""

    write: Callable[[str], None]
    state: Progress = field(default_factory=Progress)

    def show(self, events: Sequence[Recorded]) -> None:
        """See ``Screen.show``."""
        for recorded in events:
            self.state = apply(self.state, recorded)
            if line := plain_line(self.state, recorded.event):
                self.write(line)


@contextmanager
def open_screen(*, quiet: bool) -> Generator[Screen]:
    """The tree on a terminal, lines on a pipe, nothing where quiet is asked for; always on stderr."""
    if quiet:
        yield Silence()
    elif is_plain(sys.stderr):
        yield Log(lambda line: click.echo(line, err=True))
    else:
        from bullpen.cli.live_screen import live_screen

        with live_screen(sys.stderr) as screen:
            yield screen


async def improve_and_watch(
    settings: Settings,
    options: ImproveOptions,
    *,
    given: Collection[str],
    resume: bool,
    session_id: str,
    quiet: bool,
) -> Outcome:
    """Start or take up a session, show its progress, and say what it came to.

    ``given`` names the options that a person really gave: those of a session that is taken up stay otherwise.

    Raises:
        InvalidInput: it is taken up with options that cannot be changed.
        Stopped: by SIGINT or SIGTERM; the remedy is the command that goes on.
        Cancelled: somebody cancelled the session; nothing of it runs any more.
    """
    from bullpen.app import open_workshop
    from bullpen.flow.cancel import works_on
    from bullpen.testing.interpreters import require_interpreter

    _stop_on_sigterm()
    if not resume:
        await _require_usable(options.source)
    if settings.python:
        await require_interpreter(settings.python, Path("/"))
    async with open_workshop(settings) as workshop:
        records = workshop.records
        async with records.database.transaction(records.actor) as uow:
            if resume:
                chosen = await _taken_up(uow, settings, options, given, session_id)
            else:
                chosen = await _begun(uow, options, session_id)
        try:
            async with works_on(workshop.means, chosen):
                with open_screen(quiet=quiet) as screen:
                    ended = await _run(workshop, chosen, screen)
        except Cancelled:
            await _stop_the_rest()
            raise
        except asyncio.CancelledError:
            await _stop_the_rest()
            again = shlex.join(["bullpen", "improve", options.source, "--resume", "--session", chosen])
            stopped = Stopped("Stopped. Nothing is lost.", remedy=f"Go on with: {again}")
            stopped.session = chosen
            raise stopped from None
        async with records.database.view(records.actor) as uow:
            state = fold(Progress(), await whole_history(uow, chosen))
            plan = await _plan(uow, chosen) if options.dry_run else []
    status = ended.exit_status if ended.problem else 0
    return outcome_of(
        state,
        problem=ended.problem,
        remedy=ended.remedy,
        exit_status=status,
        dry_run=options.dry_run,
        plan=plan,
    )


async def keep_what_is_known(settings: Settings, stopped: Stopped) -> Stopped:
    """Write the reports of a session that was stopped; what to tell people then.

    In an event loop of its own: the engine takes the worker threads of the other one with it.
    """
    from bullpen.app import open_workshop
    from bullpen.flow.improve.conclude import write_reports_if_possible

    async with open_workshop(settings) as workshop:
        unwritten = await write_reports_if_possible(workshop.means, stopped.session)
        folder = workshop.means.folder(stopped.session).reports
    known = f"There is no report: {unwritten}" if unwritten else f"What is known until now: {folder}"
    return Stopped(f"{stopped.sentence} {known}", remedy=stopped.remedy)


async def tidy_up(settings: Settings, cancelled: Cancelled) -> Outcome:
    """What a cancelled session came to; its reports are written and its worktrees are gone.

    In an event loop of its own, for the same reason as ``keep_what_is_known``.
    """
    from bullpen.app import open_workshop
    from bullpen.flow.cancel import tidy_cancelled

    async with open_workshop(settings) as workshop:
        records = workshop.records
        unwritten = await tidy_cancelled(workshop.means, cancelled.session)
        async with records.database.view(records.actor) as uow:
            state = fold(Progress(), await whole_history(uow, cancelled.session))
    problem = f"{cancelled.sentence} {state.reason}".strip()
    problem = f"{problem} There is no report: {unwritten}" if unwritten else problem
    return outcome_of(state, problem=problem, exit_status=Cancelled.exit_status)


async def _require_usable(source: str) -> None:
    """Refuse a folder that is no repository before a session is made of it; a URL is tried by the session itself."""
    from bullpen.vcs.location import parse_location
    from bullpen.vcs.source import open_source

    if isinstance(parse_location(source), Path):
        await open_source(source)


async def _begun(uow: UnitOfWork, options: ImproveOptions, session_id: str) -> SessionId:
    from bullpen.flow.start import new_improve_session

    return (await new_improve_session(uow, options, session_id)).id


async def _taken_up(
    uow: UnitOfWork, settings: Settings, options: ImproveOptions, given: Collection[str], session_id: str
) -> SessionId:
    from bullpen.flow.approve import approve_rules
    from bullpen.flow.limits import change_limits, require_as_begun
    from bullpen.flow.start import session_to_resume

    session = await session_to_resume(uow, options.source, session_id)
    require_as_begun(session, options, given, settings.python)
    most = options.max_items if "most" in given else None
    budget = options.budget if "budget" in given else None
    await change_limits(uow, session.id, most=most, budget=budget)
    await approve_rules(uow, session.id, options.approve)
    return session.id


async def _run(workshop: "Workshop", session_id: SessionId, screen: Screen) -> "Ended":
    """To the end, with the screen kept up to date."""
    from bullpen.app import open_engine
    from bullpen.flow.start import run_improve
    from bullpen.flow.workflows.improve import ENDED
    from bullpen.sessions.queries import get_session

    records, ended = workshop.records, asyncio.Event()
    fence = fenced(f"Go on with: bullpen improve --resume --session {session_id}")
    async with open_engine(workshop, f"improve-{session_id}", on_lost=fence) as engine:
        showing = asyncio.create_task(show_events(records, session_id, screen, ended))
        try:
            async with records.database.transaction(records.actor) as uow:
                run = await run_improve(engine, uow, await get_session(uow, session_id))
            result = await _unless_cancelled(records, session_id, run.result())
            return _unless_it_ended_so(ENDED.validate_python(result), session_id)
        finally:
            ended.set()
            await showing


@asynccontextmanager
async def watched(records: "Records", session_id: SessionId, *, quiet: bool) -> AsyncGenerator[None]:
    """While it is open, a session is shown as it goes; what was told until it is left is shown, too."""
    ended = asyncio.Event()
    with open_screen(quiet=quiet) as screen:
        showing = asyncio.create_task(show_events(records, session_id, screen, ended))
        try:
            yield
        finally:
            ended.set()
            await showing


async def _unless_cancelled(records: "Records", session_id: SessionId, result: Awaitable[T]) -> T:
    """The result, if nobody cancels the session before."""
    work = asyncio.ensure_future(result)
    watch = asyncio.create_task(_cancelled(records, session_id))
    try:
        await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise await watch
    finally:
        watch.cancel()
        work.cancel()


def _unless_it_ended_so(ended: "Ended", session_id: SessionId) -> "Ended":
    if ended.stage is Stage.CANCELLED:
        raise _said_of(session_id)
    return ended


def _said_of(session_id: SessionId) -> Cancelled:
    over = Cancelled(f"Session {session_id} was cancelled.")
    over.session = session_id
    return over


async def _cancelled(records: "Records", session_id: SessionId) -> Cancelled:
    """Comes back when somebody has cancelled the session, also in another process."""
    from bullpen.sessions.queries import get_session

    while True:
        async with records.database.view(records.actor) as uow:
            stage = (await get_session(uow, session_id)).stage
        if stage is Stage.CANCELLED:
            return _said_of(session_id)
        await asyncio.sleep(LOOK_SECONDS)


async def show_events(
    records: "Records", session_id: SessionId, screen: Screen, ended: asyncio.Event
) -> None:
    """Show what is in the log and what comes, also from another process, until ``ended`` is set."""
    if isinstance(screen, Silence):
        return
    position, over = 0, False
    while not over:
        over = ended.is_set()  # before the read: what was told until then is shown
        async with records.database.view(records.actor) as uow:
            events = await whole_history(uow, session_id, position)
        position = events[-1].position if events else position
        screen.show(events)
        if not over:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), FRAME_SECONDS)


async def whole_history(uow: UnitOfWork, session_id: SessionId, after: int = 0) -> list[Recorded]:
    """All events of a session behind a position."""
    events: list[Recorded] = []
    while page := await replay(uow, session_id, after):
        events.extend(page)
        after = page[-1].position
    return events


async def _plan(uow: UnitOfWork, session_id: SessionId) -> list[PlannedItem]:
    from bullpen.work.queries import list_items

    return [
        PlannedItem(
            id=item.id,
            state=item.state.value,
            priority=item.priority.score,
            severity=item.draft.severity.name.lower(),
            rule=item.draft.rule,
            path=item.draft.path,
            title=item.draft.title,
            recipe=item.draft.recipe,
            reason=item.reason,
        )
        for item in await list_items(uow, session_id)
    ]


def _stop_on_sigterm() -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _stop_the_rest() -> None:
    """Cancel what the durable engine left running in this loop, so that sandboxes are closed before the records are."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for _ in range(
        STOPS
    ):  # one request may be lost: what ends at that very moment, ``wait_for`` takes for its result
        if not others:
            break
        for task in others:
            task.cancel()
        _, others = await asyncio.wait(others, timeout=1)
