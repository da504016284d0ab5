"""Who does which phase of an item: chosen among all agents there are, with a sentence that says why.

The choice is made by ``flow.schedule`` from a snapshot, without a model. It is recorded with the attempt and kept: a run
that was interrupted goes on with the agent it had.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import PurePosixPath

from bullpen.agents.card import Card
from bullpen.agents.discovery import Key, Registration
from bullpen.domain.finding import Concern
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.verdict import Ruling
from bullpen.flow.improve.plan import Hands, item_task
from bullpen.flow.schedule.assign import assign
from bullpen.flow.schedule.base import Agent, Choice, Job, NoChoice, Policy
from bullpen.flow.schedule.fairness import Usage, fair_order
from bullpen.flow.teams.actions import (
    HALF_LIFE,
    Given,
    assign_task,
    give_up_lost,
    given_again,
    settle_attempt,
)
from bullpen.flow.teams.queries import (
    AttemptState,
    TrackRecord,
    count_running,
    list_attempts,
    list_records,
    seconds_used,
    skill_of,
)
from bullpen.flow.wishes.actions import drop_wish, keep_wish
from bullpen.flow.wishes.queries import Wish, list_wishes
from bullpen.kernel.clock import now
from bullpen.kernel.storage.unit_of_work import UnitOfWork


class Phase(StrEnum):
    """What an item needs done by somebody; the capability an agent must have for it."""

    DEVELOP = "develop"
    REVIEW = "review"
    JUDGE = "judge"


ROLES: Mapping[str, Phase] = {
    "developer": Phase.DEVELOP,
    "reviewer": Phase.REVIEW,
    "judge": Phase.JUDGE,
}
KINDS = frozenset(one.value for one in Concern)
RULING = frozenset({Phase.REVIEW, Phase.JUDGE})
GENERAL, SPECIAL, NEAR = 0.7, 0.8, 0.05  # declared skill: at any kind, at a named one, of a nearer namespace
ABOUT_RULE = "rule:"  # a capability such as rule:ruff:b006 narrows an agent to items of the rules it names
BY_RULES = "playbook:"  # models that know recipes and nothing else
HERE = "here"  # the place of the checkout that an attempt works in
TURNS_SECONDS = 3600.0  # how far back it counts who had an agent, where several sessions want it
AT_ONCE = 64  # jobs a role of the roster takes side by side; what holds them up is their model
LONGEST_ID, LONGEST_PERFORMER = 80, 200
# Curiosity of a whole deviation: who was added for a kind of work is tried before one who is known to do it well,
# and not again soon if that failed.
POLICY = Policy(curiosity=1.0, half_life=HALF_LIFE)


@dataclass(frozen=True, slots=True)
class CrewMember:
    """Somebody who may be given work: a role of the roster, or an agent of the fleet (``key``).

    ``performer`` is whose record outcomes count for: a role with another model, or a program with other bytes, is
    another performer. ``namespace`` is the part of the repository it works on, empty for all of it. ``by_rules`` thinks
    with recipes alone.
    """

    id: str
    performer: str
    capabilities: frozenset[str]
    capacity: int = AT_ONCE
    key: Key | None = None
    namespace: str = ""
    by_rules: bool = False
    here: bool = True  # its work is done where the checkout is

    def covers(self, path: str) -> bool:
        """Whether it works on this part of the repository."""
        return not self.namespace or PurePosixPath(path).is_relative_to(self.namespace)

    def declared(self, phase: Phase, kind: str) -> float | None:
        """Its skill at a phase of items of a kind before anything was measured; None where it does not offer that.

        Who names no kind of work does any.
        """
        named = self.capabilities & KINDS
        if phase not in self.capabilities or (named and kind not in named):
            return None
        return (SPECIAL if named else GENERAL) + (NEAR if self.namespace else 0.0)

    def knows(self, rule: str) -> bool:
        """Whether it takes items about a rule: about any, unless it names some."""
        named = {one.removeprefix(ABOUT_RULE) for one in self.capabilities if one.startswith(ABOUT_RULE)}
        return not named or rule.lower() in named


def role_member(card: Card, model: str, *, own: bool) -> CrewMember:
    """A role; ``own`` if the repository brought it, which may not rule on changes then."""
    phase = ROLES.get(card.name)
    offered = {*card.capabilities, phase} if phase else set(card.capabilities)
    ruling = RULING if own and phase is None else frozenset[Phase]()
    performer = f"{card.name}+{model}"[:LONGEST_PERFORMER]
    return CrewMember(card.name, performer, frozenset(offered - ruling), by_rules=model.startswith(BY_RULES))


def fleet_member(one: Registration, *, trusted: bool) -> CrewMember:
    """An agent that was found in a folder; one of the repository may not rule on changes."""
    manifest = one.manifest
    offered = frozenset(manifest.capabilities) - (frozenset() if trusted else RULING)
    whole = f"{one.namespace}/{one.name}" if one.namespace else one.name
    name = whole if len(whole) <= LONGEST_ID else f"{one.name}@{one.revision}"
    performer = f"{one.name}+{one.revision}"
    key = (one.namespace, one.name)
    here = manifest.kind != "remote"
    return CrewMember(name, performer, offered, manifest.limits.concurrency, key, one.namespace, here=here)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody for one phase of an item. ``not_by`` took part in the work and may not; ``tried`` have failed at it.

    ``rule`` is the rule the item is about. Where no recipe covers it (``by_recipe`` is false), who only knows recipes is
    asked if there is nobody else. ``order`` is what earlier sessions taught: agents that surely do better come first.
    """

    phase: Phase
    kind: str
    path: str
    not_by: frozenset[str] = frozenset()
    tried: frozenset[str] = frozenset()
    rule: str = ""
    by_recipe: bool = True
    order: tuple[str, ...] = ()

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What must be offered."""
        return (self.phase.value, self.kind)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of agents at one moment: records by performer, jobs that are with them, and who is away."""

    records: Mapping[str, TrackRecord] = field(default_factory=dict[str, TrackRecord])
    loads: Mapping[str, int] = field(default_factory=dict[str, int])
    away: frozenset[str] = frozenset()


def agents_for(members: Collection[CrewMember], wanted: Wanted, seen: Snapshot) -> list[Agent]:
    """Those who offer what is wanted, as the scheduler sees them. A record is one of this kind of work alone."""
    agents: list[Agent] = []
    for one, skill in _in_order(_able(members, wanted), wanted.order):
        past = seen.records.get(one.performer)
        agent = Agent(
            one.id,
            dict.fromkeys(wanted.capabilities, skill),
            one.capacity,
            seen.loads.get(one.id, 0),
            place=HERE if one.here else "",
            available=one.id not in seen.away,
        )
        agents.append(_with_record(agent, past, wanted) if past else agent)
    return agents


def _able(members: Collection[CrewMember], wanted: Wanted) -> list[tuple[CrewMember, float]]:
    """Those who offer what is wanted, with the skill they declare."""
    able = [
        (one, skill)
        for one in members
        if one.covers(wanted.path)
        and one.knows(wanted.rule)
        and (skill := one.declared(wanted.phase, wanted.kind)) is not None
    ]
    thinking = [] if wanted.by_recipe else [(one, skill) for one, skill in able if not one.by_rules]
    return thinking or able


def _in_order(
    able: Sequence[tuple[CrewMember, float]], order: Sequence[str]
) -> list[tuple[CrewMember, float]]:
    """The same, where who comes earlier in the order is believed at least what those behind it declare."""
    skills = {one.id: skill for one, skill in able}
    ranked = [name for name in order if name in skills]
    best_first = sorted((skills[name] for name in ranked), reverse=True)
    skills |= dict(zip(ranked, best_first, strict=True))
    return [(one, skills[one.id]) for one, _ in able]


def hands_without_recipe(members: Collection[CrewMember]) -> Hands:
    """Who is there that can change code without a recipe: asked by concern, path and rule of an item."""

    def there(concern: str, path: str, rule: str) -> bool:
        wanted = Wanted(Phase.DEVELOP, concern, path, rule=rule, by_recipe=False)
        return any(not one.by_rules for one, _ in _able(members, wanted))

    return there


def _with_record(agent: Agent, past: TrackRecord, wanted: Wanted) -> Agent:
    records = dict.fromkeys(wanted.capabilities, past.record)
    return replace(agent, records=records, cost=past.cost, seconds=past.seconds)


@dataclass(frozen=True, slots=True)
class Ask:
    """One attempt at a phase: its task, its number, and who is wanted for it."""

    session: SessionId
    task: TaskId
    number: int
    wanted: Wanted


def choose(
    uow: UnitOfWork, members: Collection[CrewMember], ask: Ask, seen: Snapshot, at: float
) -> Choice | NoChoice:
    """The scheduler's word for one attempt."""
    wanted = ask.wanted
    job = Job(
        ask.task,
        wanted.capabilities,
        uow.actor.organization_id,
        ask.session,
        submitted_at=at,
        place=_place(members, wanted),
        not_by=wanted.not_by,
        tried=wanted.tried,
    )
    round_ = assign(agents_for(members, wanted, seen), [job], at, POLICY)
    return (*round_.placed, *round_.waiting)[0]


def _place(members: Collection[CrewMember], wanted: Wanted) -> str:
    """Where the work is, if it is not the same for all who could do it."""
    return HERE if any(not one.here for one, _ in _able(members, wanted)) else ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who does an attempt. ``ended`` if that attempt came to its end before, in a run that was interrupted."""

    given: Given
    ended: bool = False


async def route(
    uow: UnitOfWork, members: Mapping[str, CrewMember], ask: Ask, away: Collection[str], since: float
) -> Chosen | NoChoice:
    """Choose who does an attempt and record it; where that was done before, the choice is the same.

    ``away`` take nothing now; attempts begun before ``since`` are not counted as work that is with somebody.
    """
    known = await list_attempts(uow, ask.session, ask.task)
    kept = next((one for one in known if one.number == ask.number), None)
    if kept is not None:
        return Chosen(given_again(kept), ended=kept.state is not AttemptState.RUNNING)
    at = now()
    seen = await _look(uow, members.values(), ask.wanted, away, since)
    wish = _wish(ask, away, at)
    wishes = await list_wishes(uow, at)
    others = [one for one in wishes if one.key != wish.key]
    choice = await _in_turn(uow, members, ask, seen, others, at)
    if isinstance(choice, NoChoice):
        if not choice.hopeless:
            await keep_wish(uow, wish, at)
        return choice
    if len(others) < len(wishes):
        await drop_wish(uow, wish)
    for one in known:
        if one.state is AttemptState.RUNNING:  # begun in a home that is gone
            await give_up_lost(uow, ask.session, one)
    performer = members[choice.agent].performer
    given = Given(ask.task, ask.number, choice.agent, ask.wanted.capabilities, choice.reason, performer)
    await assign_task(uow, ask.session, given)
    return Chosen(given)


async def _in_turn(
    uow: UnitOfWork,
    members: Mapping[str, CrewMember],
    ask: Ask,
    seen: Snapshot,
    others: Sequence[Wish],
    at: float,
) -> Choice | NoChoice:
    """Who does it, where nobody else has a better claim: sessions that wait for the same agent get it by turns."""
    passed: frozenset[str] = frozenset()
    while True:
        wanted = replace(ask.wanted, not_by=ask.wanted.not_by | passed)
        choice = choose(uow, members.values(), replace(ask, wanted=wanted), seen, at)
        if isinstance(choice, NoChoice):
            why = f"Others that wait for {', '.join(sorted(passed))} have had less of it."
            return NoChoice(ask.task, why) if passed else choice
        if await _has_turn(uow, members[choice.agent], choice, ask, others):
            return choice
        passed |= {choice.agent}


async def _has_turn(
    uow: UnitOfWork, member: CrewMember, choice: Choice, ask: Ask, others: Sequence[Wish]
) -> bool:
    """Whether the agent has room for this attempt and for all of other sessions that go first: who used less of it."""
    rivals = [one for one in others if one.session != ask.session and _could_do(member, one)]
    free = choice.capacity - choice.load
    if free > len(rivals):
        return True
    at = now()
    usage = Usage(sessions=await seconds_used(uow, member.id, at - TURNS_SECONDS, at))
    jobs = [_job_of(uow, one) for one in (*rivals, _wish(ask, (), at))]
    return any((one.task, one.attempts) == (ask.task, ask.number) for one in fair_order(jobs, usage)[:free])


def _could_do(member: CrewMember, wish: Wish) -> bool:
    phase, kind = wish.capabilities
    able = member.covers(wish.path) and member.knows(wish.rule) and member.id not in wish.not_by
    return able and member.declared(Phase(phase), kind) is not None


def _job_of(uow: UnitOfWork, wish: Wish) -> Job:
    organization = uow.actor.organization_id
    job = Job(wish.task, wish.capabilities, organization, wish.session)
    return replace(job, submitted_at=wish.since, attempts=wish.number)


def _wish(ask: Ask, away: Collection[str], at: float) -> Wish:
    wanted = ask.wanted
    without = wanted.not_by | wanted.tried | frozenset(away)
    words = (wanted.capabilities, wanted.path, wanted.rule)
    return Wish(ask.session, ask.task, ask.number, *words, without, at)


async def _look(
    uow: UnitOfWork, members: Collection[CrewMember], wanted: Wanted, away: Collection[str], since: float
) -> Snapshot:
    performers = {one.performer for one, _ in _able(members, wanted)}
    records = await list_records(uow, skill_of(wanted.capabilities), performers)
    loads = await count_running(uow, since)
    return Snapshot({one.performer: one for one in records}, loads, frozenset(away))


@dataclass(frozen=True, slots=True)
class Word:
    """What a reviewer or judge said of a change, in which attempt; ``ruling`` is empty where it gave none."""

    phase: Phase
    task: TaskId
    number: int
    agent: str
    ruling: str


def was_right(word: Word, gates_hold: bool) -> bool | None:
    """Whether the measurements bear a ruling out; None where they do not tell (yet).

    To accept is right once the change has landed. To object is right where a gate failed, and to be alone with an
    objection is neither. The judge rules by the gates, so it is wrong to accept against one.
    """
    if not word.ruling:
        return False
    if word.ruling != Ruling.ACCEPT:
        return None if gates_hold else True
    return False if word.phase is Phase.JUDGE and not gates_hold else None


async def settle_refused(
    uow: UnitOfWork, session_id: SessionId, author: tuple[TaskId, int], why: str
) -> None:
    """A change was refused: its author's attempt is lost."""
    await _settle(uow, session_id, author, won=False, why=why)


async def settle_words(
    uow: UnitOfWork, session_id: SessionId, words: Sequence[Word], *, gates_hold: bool
) -> None:
    """Count rulings that the measurements bear out or deny."""
    for word in words:
        right = was_right(word, gates_hold)
        if right is not None:
            why = "the gates bear its ruling out" if right else _WRONG[bool(word.ruling)]
            await _settle(uow, session_id, (word.task, word.number), won=right, why=why)


_WRONG = {True: "it accepted against a gate", False: "it gave no ruling"}


def phase_tasks(session_id: SessionId, item: str) -> tuple[TaskId, ...]:
    """The tasks of an item that somebody was chosen for."""
    return tuple(item_task(session_id, item, phase) for phase in Phase)


async def settle_landing(
    uow: UnitOfWork, session_id: SessionId, tasks: Sequence[TaskId], *, won: bool, why: str
) -> None:
    """What the merge queue found counts for all who made and accepted the change: the last attempt at each task."""
    for task in tasks:
        done = [one for one in await list_attempts(uow, session_id, task) if one.state is AttemptState.DONE]
        if done:
            last = max(done, key=lambda one: (one.started_at, one.number))
            await settle_attempt(uow, session_id, last, won=won, why=why)


async def _settle(
    uow: UnitOfWork, session_id: SessionId, which: tuple[TaskId, int], *, won: bool, why: str
) -> None:
    task, number = which
    found = await list_attempts(uow, session_id, task)
    for one in found:
        if one.number == number:
            await settle_attempt(uow, session_id, one, won=won, why=why)
