"""One improve session as it runs: what is loaded once and shared by all its parts."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from bullpen.domain.events.fleet import WorkerDisqualified
from bullpen.domain.ids import SessionId
from bullpen.domain.session import Session
from bullpen.domain.test_report import Coverage, TestReport
from bullpen.domain.tuning import Tuned
from bullpen.flow.approve import approved_rules
from bullpen.flow.improve.away import HOME, bring_reports, environment_here, is_away, opened_here
from bullpen.flow.improve.budget import Purse
from bullpen.flow.improve.look import Moment, has_report, read_report
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import Opened
from bullpen.flow.improve.options import PYTHON, ImproveOptions, options_of
from bullpen.flow.improve.project_tests import ProjectTests
from bullpen.flow.improve.room import Room
from bullpen.kernel.executors import home_identity
from bullpen.kernel.json_text import dump, load
from bullpen.sessions import queries
from bullpen.sessions.actions import note_facts
from bullpen.testing.base import Environment
from bullpen.testing.compare import compare_reports
from bullpen.vcs.worktrees import prune_worktrees

OPENED: TypeAdapter[Opened] = TypeAdapter(Opened)
ENVIRONMENT: TypeAdapter[Environment] = TypeAdapter(Environment)
TUNED: TypeAdapter[Tuned] = TypeAdapter(Tuned)
TUNED_FACT = "tuned"  # the settings a session began with; they stay the same over all its runs and processes


@dataclass(slots=True)
class ImproveSession:
    """What every part of a running session needs.

    ``purse`` holds what its agents' models have cost so far in all processes; see ``records.count_money``.
    """

    id: SessionId
    options: ImproveOptions
    opened: Opened
    tests: ProjectTests
    started_at: float
    baseline: TestReport | None = None
    coverage: Coverage | None = None
    purse: Purse = field(default_factory=Purse)
    away: bool = False  # its files are in another home; commits come and go by the exchange
    run: str = ""
    fits: bool = False  # the tests were run here and came out as they did where it was begun
    tuned: Tuned = field(default_factory=Tuned)

    @property
    def mirror(self) -> Path:
        """Bullpen's own copy of the repository."""
        return Path(self.opened.mirror)


@dataclass(slots=True)
class OpenSessions:
    """Sessions of this process, loaded when first asked for.

    Where ``unfit`` is set, the tests of a session of another home are run here before its items are worked on. Where they
    do not come out as they did there, it is told, and the work waits to be handed on. With a ``room``, what fails where
    that is used up waits, too.
    """

    means: Means
    unfit: Callable[[str], None] | None = None
    room: Room | None = None
    _checking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _loaded: dict[SessionId, ImproveSession] = field(default_factory=dict[SessionId, ImproveSession])

    roasts_ahead: dict[SessionId, asyncio.Task[None]] = field(
        default_factory=dict[SessionId, asyncio.Task[None]]
    )

    async def get(self, session_id: SessionId) -> ImproveSession:
        """The session; its repository must be opened and its environment prepared."""
        if session_id not in self._loaded:
            self._loaded[session_id] = await _load(self.means, session_id)
        return self._loaded[session_id]

    async def renewed(self, session_id: SessionId) -> ImproveSession:
        """The session, loaded again if it was begun anew since: what was approved, or its limits, may have changed."""
        known = self._loaded.get(session_id)
        if known is not None:
            async with self.means.database.view(self.means.actor) as uow:
                stored = await queries.get_session(uow, session_id)
            limits = options_of(stored)
            as_known = (known.run, known.options.max_items, known.options.budget)
            if (stored.metadata.get("run", ""), limits.max_items, limits.budget) != as_known:
                del self._loaded[session_id]
        return await self.get(session_id)

    async def tidy(self) -> None:
        """Let go of sessions of other homes that have ended, and of their worktrees here."""
        for session in [one for one in self._loaded.values() if one.away]:
            async with self.means.database.view(self.means.actor) as uow:
                stored = await queries.get_session(uow, session.id)
            if stored.stage.is_final:
                await prune_worktrees(session.mirror, self.means.folder(session.id).worktrees, ())
                self._loaded.pop(session.id, None)

    async def with_baseline(self, session_id: SessionId) -> tuple[ImproveSession, TestReport]:
        """The session and how its tests were before; once it is measured, with the lines each test ran."""
        session = await self.get(session_id)
        if session.away and session.coverage is None:
            await bring_reports(self.means, session_id, session.mirror)
        if session.baseline is None:
            session.baseline = await read_report(self.means, session_id, Moment.BEFORE)
        if session.coverage is None and await has_report(self.means, session_id, Moment.MEASURED):
            session.coverage = (await read_report(self.means, session_id, Moment.MEASURED)).coverage
        if session.away and self.unfit is not None:
            async with self._checking:
                await self._require_fit(session, session.baseline, self.unfit)
        return session, session.baseline

    async def require_room(self, error: BaseException | str) -> None:
        """Of a failure that comes of a full disk nothing is learned: it waits here until others have the work."""
        if self.room is not None and self.room.note(error):
            await asyncio.Event().wait()

    async def _require_fit(
        self, session: ImproveSession, baseline: TestReport, unfit: Callable[[str], None]
    ) -> None:
        if session.fits:
            return
        here = await session.tests.run_against(session.opened.base, baseline.passed())
        why = why_unfit(baseline, here, frozenset(session.tests.unsteady))
        session.fits = not why
        if why:
            await record_disqualified(self.means, [session.id], why)
            unfit(why)
            await asyncio.Event().wait()  # until this process ends, and others go on


async def record_disqualified(means: Means, sessions: Iterable[str], why: str) -> None:
    """In the log of each of these sessions, if there is one of the name: this machine works on its items no more."""
    async with means.database.transaction(means.actor) as uow:
        for name in sessions:
            if await queries.find_session(uow, name) is not None:
                uow.record(SessionId(name), WorkerDisqualified(socket.gethostname(), why))


def why_unfit(baseline: TestReport, here: TestReport, unsteady: frozenset[str]) -> str:
    """Why changes cannot be proved with the tests as they run here; empty if they come out like the baseline."""
    compared = compare_reports(baseline, here, unsteady)
    if not compared.worse:
        return ""
    if compared.unfinished:
        return f"The tests do not come to their end here: {here.end.value}."
    names = sorted(compared.broken | compared.missing)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Tests that pass where the session was begun do not pass here: {', '.join(names[:3])}{more}."


async def remember(means: Means, session_id: SessionId, opened: Opened, environment: Environment) -> None:
    """Keep what a session was opened with, for its other parts and for a later process."""
    shared = means.settings.database.startswith("postgresql")
    place = {HOME: home_identity(means.settings.home)} if shared else {}
    async with means.database.transaction(means.actor) as uow:
        await note_facts(
            uow,
            session_id,
            opened=dump(OPENED, opened),
            environment=dump(ENVIRONMENT, environment),
            **{PYTHON: means.settings.python},
            **place,
        )


async def tune(means: Means, session_id: SessionId) -> None:
    """Settle once which of the adapted settings a session has."""
    async with means.database.transaction(means.actor) as uow:
        if TUNED_FACT not in (await queries.get_session(uow, session_id)).metadata:
            tuned = await means.adapt(uow, session_id, means.as_set())
            await note_facts(uow, session_id, **{TUNED_FACT: dump(TUNED, tuned)})


def tuned_of(means: Means, stored: Session) -> Tuned:
    """The settings a session has; those that are set, where it began before any were kept."""
    kept = stored.metadata.get(TUNED_FACT)
    return load(TUNED, kept) if kept else means.as_set()


async def _load(means: Means, session_id: SessionId) -> ImproveSession:
    async with means.database.view(means.actor) as uow:
        stored = await queries.get_session(uow, session_id)
        approved = await approved_rules(uow, session_id)
    opened = load(OPENED, stored.metadata["opened"])
    away = is_away(means, stored.metadata)
    if away:
        opened = await opened_here(means, session_id, opened)
        environment = await environment_here(means, session_id, opened)
    else:
        environment = load(ENVIRONMENT, stored.metadata["environment"])
    tests = ProjectTests(
        mirror=Path(opened.mirror),
        folder=means.folder(session_id).worktrees,
        cache=means.settings.home / "cache" / "tests",
        environment=environment,
        sandbox=means.sandbox,
        limits=means.test_limits(),
        lanes=means.lanes,
    )
    asked = options_of(stored)
    options = replace(asked, approve=(*asked.approve, *approved))
    run = stored.metadata.get("run", "")
    tuned = tuned_of(means, stored)
    return ImproveSession(
        session_id, options, opened, tests, stored.created_at, away=away, run=run, tuned=tuned
    )
