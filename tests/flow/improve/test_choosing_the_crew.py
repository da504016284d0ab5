"""Who is chosen for a phase of an item, from records in a real database; nothing is run but rules."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from bullpen.agents.discovery import Registration
from bullpen.agents.fleet import Fleet
from bullpen.agents.manifest import AgentLimits, Manifest
from bullpen.agents.opening import Found, Places
from bullpen.agents.registry import load_roster
from bullpen.analysis.cache import ObservationCache
from bullpen.domain.actor import Actor
from bullpen.domain.errors import Conflict
from bullpen.domain.events.team import OutcomeMeasured, TaskAssigned
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskNode, TaskState
from bullpen.domain.tuning import Tuned
from bullpen.flow.improve.crew import Crew, Errand
from bullpen.flow.improve.giving import give
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import Opened
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.improve.project_tests import ProjectTests
from bullpen.flow.improve.routing import (
    Ask,
    Chosen,
    CrewMember,
    Phase,
    Wanted,
    Word,
    fleet_member,
    hands_without_recipe,
    role_member,
    route,
    settle_landing,
    settle_words,
    was_right,
)
from bullpen.flow.improve.session import ImproveSession
from bullpen.flow.improve.staff import Staff
from bullpen.flow.improve.timed_sandbox import TimedSandbox
from bullpen.flow.schedule.base import NoChoice
from bullpen.flow.teams.actions import end_attempt
from bullpen.flow.teams.base import Handed
from bullpen.flow.teams.queries import AttemptState, list_records
from bullpen.flow.wishes.queries import FRESH_SECONDS, list_wishes
from bullpen.kernel.bus.log import replay
from bullpen.kernel.clock import now
from bullpen.kernel.settings import Settings
from bullpen.kernel.storage.database import Database
from bullpen.models.facts import Facts
from bullpen.models.registry import Models
from bullpen.recipes.base import Catalogue
from bullpen.sandbox.backends.scripted import Scripted
from bullpen.sandbox.base import Limits
from bullpen.sessions.actions import create_session
from bullpen.testing.base import Environment
from bullpen.tools.base import Skills
from bullpen.work.actions.tasks import add_tasks

SESSION, TOP = SessionId("ses-1"), TaskId("task-top")
MODEL = "playbook:rules"


def roles() -> dict[str, CrewMember]:
    """Those of the shipped roster."""
    cards = load_roster().cards.values()
    return {card.name: role_member(card, MODEL, own=False) for card in cards}


def agent(name: str, *capabilities: str, namespace: str = "", concurrency: int = 1) -> CrewMember:
    """An agent of a folder of the person's."""
    limits = AgentLimits(concurrency=concurrency)
    manifest = Manifest(name, "1.0.0", "An agent of the tests.", capabilities=capabilities, limits=limits)
    return fleet_member(Registration(manifest, Path("/agents"), name, "0" * 12, namespace), trusted=True)


def crew(*more: CrewMember) -> dict[str, CrewMember]:
    """The shipped roles, and these."""
    return {**roles(), **{one.id: one for one in more}}


WRITE = Wanted(Phase.DEVELOP, "documentation", "README.md")


@pytest.fixture
async def ground(database: Database, person: Actor) -> Database:
    async with database.transaction(person) as uow:
        await create_session(uow, SESSION, kind="improve", goal="mend", project="/p", options="{}")
        nodes = [
            TaskNode(TaskId(f"task-{number}"), TOP, f"task {number}", "develop", "developer", position=number)
            for number in range(12)
        ]
        await add_tasks(uow, SESSION, [TaskNode(TOP, None, "all", "goal", "lead"), *nodes])
    return database


async def routed(
    ground: Database,
    person: Actor,
    members: Mapping[str, CrewMember],
    wanted: Wanted = WRITE,
    *,
    task: str = "task-0",
    number: int = 1,
    away: tuple[str, ...] = (),
) -> Chosen | NoChoice:
    async with ground.transaction(person) as uow:
        return await route(uow, members, Ask(SESSION, TaskId(task), number, wanted), away, 0.0)


def sentence(found: Chosen | NoChoice) -> str:
    return found.given.reason if isinstance(found, Chosen) else found.reason


async def ended(ground: Database, person: Actor, found: Chosen | NoChoice, *, won: bool) -> None:
    """The attempt ends, and the merge queue says what came of it."""
    assert isinstance(found, Chosen)
    handed = Handed(done=True, summary="did it", cost=Money(30_000))
    async with ground.transaction(person) as uow:
        await end_attempt(uow, SESSION, found.given, AttemptState.DONE, handed, then=TaskState.DONE)
        await settle_landing(uow, SESSION, [found.given.task], won=won, why="measured")


@pytest.mark.req("SCH-01")
@pytest.mark.parametrize("phase", Phase)
async def test_with_nobody_else_each_phase_has_its_role(
    ground: Database, person: Actor, phase: Phase
) -> None:
    names = {Phase.DEVELOP: "developer", Phase.REVIEW: "reviewer", Phase.JUDGE: "judge"}
    for number, kind in enumerate(("security", "qa", "documentation", "accessibility")):
        found = await routed(ground, person, roles(), Wanted(phase, kind, "a.py"), task=f"task-{number}")
        load = f"load {number}/64"
        assert sentence(found) == f"{names[phase]}: capability 0.7, {load}, not tried yet, $0.00"


@pytest.mark.req("SCH-01")
async def test_who_names_a_kind_of_work_is_asked_first_and_for_no_other(
    ground: Database, person: Actor
) -> None:
    members = crew(agent("docs", "develop", "documentation"))
    assert sentence(await routed(ground, person, members)).startswith(
        "docs: capability 0.8, load 0/1, not tried"
    )
    other = await routed(ground, person, members, replace(WRITE, kind="security"), task="task-1")
    assert sentence(other).startswith("developer:")


@pytest.mark.req("AGT-11")
async def test_an_agent_of_a_part_works_on_that_part(ground: Database, person: Actor) -> None:
    near = agent("docs", "develop", "documentation", namespace="app/web")
    members = crew(agent("docs", "develop", "documentation"), near)
    inside = await routed(ground, person, members, replace(WRITE, path="app/web/README.md"))
    outside = await routed(ground, person, members, replace(WRITE, path="app/website.md"), task="task-1")
    assert sentence(inside).startswith("app/web/docs: capability 0.9, load 0/1")
    assert sentence(outside).startswith("docs: ")


@pytest.mark.req("SCH-01")
async def test_a_choice_is_made_once(ground: Database, person: Actor) -> None:
    first = await routed(ground, person, crew(agent("docs", "develop", "documentation")))
    again = await routed(ground, person, crew(agent("a-docs", "develop", "documentation"), agent("docs")))
    assert first == again
    async with ground.view(person) as uow:
        told = [one.event for one in await replay(uow, SESSION) if isinstance(one.event, TaskAssigned)]
    assert [one.agent for one in told] == ["docs"]


@pytest.mark.req("SCH-01", "LRN-02")
async def test_what_was_measured_decides_and_is_said(ground: Database, person: Actor) -> None:
    members = crew(agent("docs", "develop", "documentation"))
    said: list[str] = []
    for number in range(4):
        found = await routed(ground, person, members, task=f"task-{number}")
        said.append(sentence(found))
        await ended(ground, person, found, won=not said[-1].startswith("docs"))
    assert said == [
        "docs: capability 0.8, load 0/1, not tried yet, $0.00",
        "developer: capability 0.7, load 0/64, not tried yet, $0.00",
        "developer: capability 0.9, load 0/64, 1 of 1 past successes, $0.03",
        "developer: capability 0.9, load 0/64, 2 of 2 past successes, $0.03",
    ]
    async with ground.view(person) as uow:
        kept = {(one.performer, one.skill): one.record for one in await list_records(uow)}
    assert {key: (one.wins, one.tries) for key, one in kept.items()} == {
        ("docs+000000000000", "develop/documentation"): (0, 1),
        (f"developer+{MODEL}", "develop/documentation"): (3, 3),
    }


@pytest.mark.req("SCH-01")
async def test_an_outcome_counts_once(ground: Database, person: Actor) -> None:
    found = await routed(ground, person, roles())
    await ended(ground, person, found, won=True)
    async with ground.transaction(person) as uow:
        await settle_landing(uow, SESSION, [TaskId("task-0")], won=False, why="again")
    async with ground.view(person) as uow:
        (one,) = await list_records(uow, "develop/documentation")
        events = [one.event for one in await replay(uow, SESSION) if isinstance(one.event, OutcomeMeasured)]
    assert (one.record.wins, one.record.tries) == (1, 1)
    assert [(one.won, one.reason) for one in events] == [(True, "measured")]


@pytest.mark.req("SCH-02")
async def test_who_failed_at_it_is_asked_again_only_if_nobody_else_is_free(
    ground: Database, person: Actor
) -> None:
    members = crew(agent("docs", "develop", "documentation"))
    after = replace(WRITE, tried=frozenset({"docs"}))
    assert sentence(await routed(ground, person, members, after)).startswith("developer:")
    alone = replace(WRITE, tried=frozenset({"developer"}))
    again = sentence(await routed(ground, person, roles(), alone, task="task-1"))
    assert again.endswith("$0.00, failed at it before, and nobody else is free")


@pytest.mark.req("AGT-06", "AGT-07")
async def test_who_rests_or_is_busy_is_passed_over(ground: Database, person: Actor) -> None:
    members = crew(agent("docs", "develop", "documentation"))
    resting = await routed(ground, person, members, away=("docs",))
    assert sentence(resting).startswith("developer:")
    assert sentence(await routed(ground, person, members, task="task-1")).startswith("docs:")
    assert sentence(await routed(ground, person, members, task="task-2")).startswith("developer:")


@pytest.mark.req("SCH-01")
async def test_nobody_is_chosen_where_all_took_part(ground: Database, person: Actor) -> None:
    wanted = Wanted(Phase.JUDGE, "qa", "a.py", not_by=frozenset({"judge"}))
    found = await routed(ground, person, roles(), wanted)
    assert found == NoChoice(
        TaskId("task-0"),
        "All who offer 'judge' and 'qa' took part in the work (1); somebody else has to do this.",
        hopeless=True,
    )


@pytest.mark.req("SCH-01", "IMP-03")
async def test_an_item_without_a_judge_is_refused_with_the_reason(
    ground: Database, person: Actor, tmp_path: Path
) -> None:
    members = {"judge": roles()["judge"]}
    session, people = _session(ground, person, tmp_path, members)
    errand = Errand(TaskId("task-0"), "judge", "rule", Facts(), 1, tmp_path, Skills())
    wanted = Wanted(Phase.JUDGE, "qa", "a.py", not_by=frozenset({"judge"}))
    with pytest.raises(Conflict, match="All who offer 'judge' and 'qa' took part in the work") as refused:
        await give(people, session, errand, wanted)
    assert refused.value.remedy == "Add an agent with the capability judge."


def _session(
    database: Database, person: Actor, home: Path, members: dict[str, CrewMember]
) -> tuple[ImproveSession, Crew]:
    sandbox, lanes = TimedSandbox(Scripted({})), asyncio.Semaphore(1)
    settings = Settings(home=home)  # pyright: ignore[reportCallIssue] - the others have defaults
    means = Means(settings, database, person, sandbox, lanes, Catalogue(()), ObservationCache(home))
    opened = Opened(str(home), "0" * 40, "main", "p", "", str(home), 1, ())
    tests = ProjectTests(home, home, home, Environment("none"), sandbox, Limits(), lanes)
    session = ImproveSession(SESSION, ImproveOptions(str(home)), opened, tests, 0.0)
    found = Found(Fleet(), Places(), database, person)
    staff = Staff(Models(), load_roster(), home, found, members=members, looked_at=math.inf)
    return session, Crew(means, Models(), load_roster(), staffs={SESSION: staff})


@pytest.mark.req("SCH-01")
@pytest.mark.parametrize(
    ("phase", "ruling", "gates_hold", "right"),
    [
        (Phase.REVIEW, "", True, False),
        (Phase.REVIEW, "accept", True, None),
        (Phase.REVIEW, "accept", False, None),
        (Phase.REVIEW, "revise", False, True),
        (Phase.REVIEW, "revise", True, None),
        (Phase.JUDGE, "accept", True, None),
        (Phase.JUDGE, "accept", False, False),
        (Phase.JUDGE, "reject", False, True),
    ],
)
def test_a_ruling_is_held_against_the_gates(
    phase: Phase, ruling: str, gates_hold: bool, right: bool | None
) -> None:
    word = Word(phase, TaskId("task-0"), 1, "somebody", ruling)
    assert was_right(word, gates_hold) is right


@pytest.mark.req("SCH-01")
async def test_a_judge_that_accepts_against_a_gate_is_counted_wrong(ground: Database, person: Actor) -> None:
    wanted = Wanted(Phase.JUDGE, "qa", "a.py")
    found = await routed(ground, person, roles(), wanted)
    assert isinstance(found, Chosen)
    word = Word(Phase.JUDGE, TaskId("task-0"), 1, "judge", "accept")
    async with ground.transaction(person) as uow:
        await settle_words(uow, SESSION, [word], gates_hold=False)
    async with ground.view(person) as uow:
        (one,) = await list_records(uow, "judge/qa")
    assert (one.record.wins, one.record.tries) == (0, 1)


@pytest.mark.req("AGT-05")
def test_what_a_repository_brings_does_not_rule_on_changes() -> None:
    limits = AgentLimits()
    manifest = Manifest(
        "docs", "1.0.0", "An agent.", capabilities=("develop", "review", "judge"), limits=limits
    )
    brought = fleet_member(Registration(manifest, Path("/r"), "docs", "1" * 12), trusted=False)
    assert brought.capabilities == {"develop"}
    card = replace(load_roster().card("judge"), name="their-judge")
    assert role_member(card, MODEL, own=True).capabilities == frozenset()
    narrowed = replace(load_roster().card("developer"), capabilities=("fix",))
    assert "develop" in role_member(narrowed, MODEL, own=True).capabilities


@pytest.mark.req("AGT-11")
def test_names_fit_the_records() -> None:
    deep = "/".join(["folder"] * 30)
    one = agent("docs", "develop", namespace=deep)
    assert one.id == "docs@000000000000"
    assert one.covers(f"{deep}/a.md")
    assert not one.covers("folder/a.md")


@pytest.mark.req("SCH-01")
async def test_what_no_recipe_mends_goes_to_who_needs_none_and_else_to_who_is_there(
    ground: Database, person: Actor
) -> None:
    without = replace(WRITE, by_recipe=False)
    fixer = agent("fixer", "develop")
    assert sentence(await routed(ground, person, crew(fixer), without)).startswith("fixer:")
    assert sentence(await routed(ground, person, roles(), without, task="task-1")).startswith("developer:")
    busy = replace(without, not_by=frozenset({"fixer"}))
    found = await routed(ground, person, crew(fixer), busy, task="task-2")
    assert isinstance(found, NoChoice)


@pytest.mark.req("LRN-03")
async def test_an_order_that_was_learned_lends_the_later_ones_skill_to_the_earlier(
    ground: Database, person: Actor
) -> None:
    members = crew(agent("general", "develop"), agent("special", "develop", "documentation"))
    plain = await routed(ground, person, members)
    learned = replace(WRITE, order=("gone", "general", "special"))
    turned = await routed(ground, person, members, learned, task="task-1")
    assert sentence(plain).startswith("special: capability 0.8")
    assert sentence(turned).startswith("general: capability 0.8")


@pytest.mark.req("SCH-01")
def test_hands_are_agents_that_offer_the_concern_the_place_and_the_rule() -> None:
    members = [*roles().values(), agent("fixer", "develop", "qa", "rule:ruff:b006", namespace="src")]
    hands = hands_without_recipe(members)
    assert hands("qa", "src/a.py", "ruff:B006")
    assert not hands("qa", "tests/a.py", "ruff:B006")
    assert not hands("security", "src/a.py", "ruff:B006")
    assert not hands("qa", "src/a.py", "ruff:B007")
    assert not hands_without_recipe(roles().values())("qa", "src/a.py", "ruff:B006")


async def another_session(database: Database, person: Actor, name: str) -> SessionId:
    """A session with tasks of its own, ``NAME-0`` and so on."""
    session = SessionId(name)
    async with database.transaction(person) as uow:
        await create_session(uow, session, kind="improve", goal="mend", project="/p", options="{}")
        top = TaskNode(TaskId(f"{name}-top"), None, "all", "goal", "lead")
        mine = [
            TaskNode(TaskId(f"{name}-{number}"), top.id, "one", "develop", "developer") for number in range(4)
        ]
        await add_tasks(uow, session, [top, *mine])
    return session


@pytest.mark.req("SCH-01")
async def test_sessions_that_wait_for_the_same_agent_get_it_by_turns(ground: Database, person: Actor) -> None:
    only = {"solo": agent("solo", "develop")}
    other = await another_session(ground, person, "zz-other")

    async def asked(session: SessionId, task: str) -> Chosen | NoChoice:
        async with ground.transaction(person) as uow:
            return await route(uow, only, Ask(session, TaskId(task), 1, WRITE), (), 0.0)

    first = await asked(SESSION, "task-0")
    assert isinstance(first, Chosen)
    waits = await asked(other, "zz-other-0")
    assert sentence(waits) == "All 1 who offer 'develop' and 'documentation' are busy or away (0 away)."
    await ended(ground, person, first, won=True)
    again = await asked(SESSION, "task-1")  # it comes first, and has had the agent before
    assert sentence(again) == "Others that wait for solo have had less of it."
    theirs = await asked(other, "zz-other-0")
    assert isinstance(theirs, Chosen)
    assert isinstance(await asked(SESSION, "task-1"), NoChoice)
    async with ground.view(person) as uow:
        assert [one.task for one in await list_wishes(uow, now())] == ["task-1"]
        assert (
            await list_wishes(uow, now() + FRESH_SECONDS) == []
        )  # of a process that is gone: it holds nobody up


@pytest.mark.req("SCH-01")
async def test_who_has_the_checkout_is_preferred_to_who_is_elsewhere(ground: Database, person: Actor) -> None:
    near, far = agent("near", "develop"), replace(agent("far", "develop"), here=False)
    found = await routed(ground, person, {"far": far, "near": near})
    assert sentence(found) == "near: capability 0.7, load 0/1, not tried yet, $0.00, has the workspace"
    alone = await routed(ground, person, {"far": far}, task="task-1")
    assert sentence(alone) == "far: capability 0.7, load 0/1, not tried yet, $0.00"


@pytest.mark.req("LRN-03")
@pytest.mark.parametrize(
    ("tuned", "agent_name", "wanted"),
    [
        (Tuned(), "developer", 1800.0),
        (Tuned(seconds=60.0), "anybody", 60.0),
        (Tuned(seconds=60.0, timed=("developer",)), "developer", 60.0),
        (Tuned(seconds=60.0, timed=("developer",)), "a-slow-assistant", 1800.0),
    ],
)
def test_a_time_that_was_measured_holds_for_those_it_was_measured_of(
    tmp_path: Path, tuned: Tuned, agent_name: str, wanted: float
) -> None:
    session = cast("ImproveSession", SimpleNamespace(tuned=tuned))
    means = cast("Means", SimpleNamespace(settings=Settings(home=tmp_path)))
    assert Crew(means, Models(), load_roster()).seconds(session, agent_name) == wanted
