"""Giving an errand away: chosen, recorded, done, and handed on where it came to nothing."""

import asyncio
import time
from dataclasses import dataclass, replace

from bullpen.agents.base import AgentResult, Ending
from bullpen.agents.health import Standing, is_fault
from bullpen.domain.errors import AWAY, BullpenError, Conflict
from bullpen.domain.events.team import AgentQuarantined
from bullpen.domain.money import Money
from bullpen.domain.task import TaskState
from bullpen.domain.tuning import kind_of_work
from bullpen.flow.improve.crew import Crew, Errand
from bullpen.flow.improve.routing import Ask, Chosen, CrewMember, Phase, Wanted, route
from bullpen.flow.improve.session import ImproveSession
from bullpen.flow.improve.staff import Staff
from bullpen.flow.schedule.base import NoChoice
from bullpen.flow.teams.actions import Given, end_attempt, settle_attempt
from bullpen.flow.teams.base import Handed
from bullpen.flow.teams.queries import AttemptState, list_attempts
from bullpen.kernel.clock import now
from bullpen.kernel.storage.unit_of_work import UnitOfWork

MOST_HANDS = 5  # agents that have a try, one after the other, in one attempt at an item
HANDED_ON = 100_000  # between the numbers of their attempts
BUSY_SECONDS = 0.2  # between two looks for somebody, while all are busy
_BLAMELESS = (Ending.CANCELLED, Ending.WAITING)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an errand: by whom, in which attempt (its number), and their answer.

    ``by_role`` if it was a role of the roster; only of those is the name of an approach a key the platform knows.
    """

    agent: str
    number: int
    result: AgentResult
    by_role: bool


@dataclass(frozen=True, slots=True)
class _Desk:
    """What is the same for all who try one errand."""

    crew: Crew
    session: ImproveSession
    staff: Staff
    errand: Errand
    phase: Phase


async def give(crew: Crew, session: ImproveSession, errand: Errand, wanted: Wanted) -> Done:
    """Let whoever is best for it do an errand; where they come to nothing, the next, who has not tried it yet.

    Each choice and each end is recorded. The last answer counts where nobody comes to something.

    Raises:
        Conflict: nobody may do it, or can; the sentence says why.
        LimitExceeded: the session's budget is used up.
    """
    desk = _Desk(crew, session, await crew.staff(session), errand, wanted.phase)
    routes = session.tuned.routes
    wanted = replace(wanted, order=routes.get(kind_of_work(wanted.phase, wanted.kind), ()))
    last: Done | None = None
    for number in numbers_of(errand.attempt):
        chosen = await _choose(desk, Ask(session.id, errand.task, number, wanted))
        if isinstance(chosen, NoChoice):
            if last is None:
                raise Conflict(chosen.reason, remedy=f"Add an agent with the capability {wanted.phase}.")
            break
        last = await _do(desk, chosen)
        over = came_to_something(last.result, wanted.phase) or last.result.ending in _BLAMELESS
        if errand.worktree and not (over and (last.by_role or wanted.phase is Phase.DEVELOP)):
            # what was written without success, or by a program that only rules, nobody else gets to see
            await errand.worktree.restore(errand.tree)
        if over:
            break
        wanted = replace(wanted, not_by=wanted.not_by | wanted.tried | {last.agent})
    if last is None:
        raise AssertionError
    return last


def numbers_of(first: int) -> tuple[int, ...]:
    """The numbers an attempt's runs can have in the record: one for each agent that may have a try."""
    return tuple(first + hand * HANDED_ON for hand in range(MOST_HANDS))


def came_to_something(result: AgentResult, phase: Phase) -> bool:
    """Whether a developer is done, or a reviewer or judge gave a ruling."""
    return result.done if phase is Phase.DEVELOP else bool(ruling_of(result))


def ruling_of(result: AgentResult) -> str:
    """The ruling in an answer; empty where the agent broke, or gave none."""
    return "" if is_fault(result) else result.data.get("ruling", "")


async def _choose(desk: _Desk, ask: Ask) -> Chosen | NoChoice:
    """Who does it; waits while all who could are busy."""
    means, staff = desk.crew.means, desk.staff
    seconds = means.settings.agent_seconds
    patience = time.monotonic() + seconds
    while True:
        async with means.database.transaction(means.actor) as uow:
            since = now() - seconds
            chosen = await route(uow, staff.members, ask, staff.away(), since)
        if isinstance(chosen, Chosen) or chosen.hopeless or time.monotonic() > patience:
            return chosen
        await asyncio.sleep(BUSY_SECONDS)


async def _do(desk: _Desk, chosen: Chosen) -> Done:
    """One attempt of one agent, recorded to its end."""
    given = chosen.given
    began = time.monotonic()
    try:
        done = await _run(desk, given)
    except BullpenError as error:
        if error.code != AWAY and not chosen.ended:
            handed = Handed(done=False, summary=error.sentence, cost=Money())
            async with desk.crew.means.database.transaction(desk.crew.means.actor) as uow:
                ended = (AttemptState.AGAIN, handed)
                await end_attempt(uow, desk.session.id, given, *ended, then=TaskState.FAILED)
        raise
    if not chosen.ended:
        await _end(desk, given, done, time.monotonic() - began)
    return done


async def _run(desk: _Desk, given: Given) -> Done:
    crew, staff = desk.crew, desk.staff
    gone = CrewMember(
        given.agent, "", frozenset(), key=("", given.agent)
    )  # the fleet says that it is not there
    member = staff.members.get(given.agent, gone)
    errand = replace(desk.errand, role=member.id, attempt=given.number)
    if member.key is None:
        result = await crew.run_card(desk.session, errand, staff.roster.card(member.id))
    else:
        result = await crew.run_registered(staff, desk.session, errand, member.key, desk.phase)
    return Done(member.id, given.number, result, member.key is None)


async def _end(desk: _Desk, given: Given, done: Done, seconds: float) -> None:
    """How the attempt ended; one that came to nothing counts at once."""
    result = done.result
    well = came_to_something(result, desk.phase)
    state = AttemptState.DONE if well else AttemptState.FAILED
    state = AttemptState.AGAIN if result.ending in _BLAMELESS else state
    approach = result.data.get("approach", "") if done.by_role else ""
    handed = Handed(done=well, summary=approach or result.summary, cost=result.used.cost)
    then = TaskState.DONE if well else TaskState.FAILED
    means, session_id = desk.crew.means, desk.session.id
    async with means.database.transaction(means.actor) as uow:
        await end_attempt(uow, session_id, given, state, handed, seconds=seconds, then=then)
        if state is AttemptState.FAILED:
            known = await list_attempts(uow, session_id, given.task)
            mine = next(one for one in known if one.number == given.number)
            await settle_attempt(uow, session_id, mine, won=False, why=result.summary)
        _say_if_drained(uow, desk, done)


def _say_if_drained(uow: UnitOfWork, desk: _Desk, done: Done) -> None:
    member = desk.staff.members.get(done.agent)
    if member is None or member.key is None:
        return
    fleet = desk.staff.fleet
    if fleet.standing(member.key) is Standing.DRAINED:
        why = fleet.health(member.key).last_error
        uow.record(desk.session.id, AgentQuarantined(done.agent, "", f"it rests after its faults: {why}"))
