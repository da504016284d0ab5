"""A team at work: choices with their sentence, retries, policies, intents, and going on after a crash; on both databases."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.flow.teams.doubles import SESSION, Seen, breaks, course, events, opened, ran, task, waits, works
from tests.machine.brokers import Broker

from bullpen.domain.actor import Actor
from bullpen.domain.errors import InvalidInput, LimitExceeded
from bullpen.domain.events.team import (
    AttemptEnded,
    IntentDeclared,
    MessagePosted,
    OverlapDetected,
    TaskAssigned,
    TeamFinished,
)
from bullpen.domain.ids import TaskId
from bullpen.domain.session import Stage
from bullpen.domain.task import TaskState
from bullpen.flow.teams.base import Assignment, Conclusion, Course, Handed, Member, Results, TeamPolicy
from bullpen.flow.teams.queries import AttemptState, list_attempts
from bullpen.flow.teams.run import run_team
from bullpen.flow.teams.split import course_of
from bullpen.flow.teams.state import TeamMeans
from bullpen.flow.trees.group import GroupPolicy, OnFailure
from bullpen.flow.trees.template import Goal, split_by_template
from bullpen.kernel.bus.backends.base import Setup
from bullpen.kernel.bus.bus import open_bus_backend
from bullpen.kernel.bus.messages import Message, new_message
from bullpen.kernel.storage.database import Database
from bullpen.kernel.sync.actions import take
from bullpen.kernel.sync.base import lock
from bullpen.sessions.actions import pause_session, resume_session
from bullpen.sessions.queries import get_session
from bullpen.work.actions.tasks import cancel_task
from bullpen.work.queries import list_tasks

FAST = {"pause": 0.0, "lease": 2.0}


@pytest.fixture
async def desk(database: Database, person: Actor) -> Database:
    """A database with the session."""
    await opened(database, person)
    return database


@pytest.mark.req("SCH-01", "COL-06")
async def test_every_choice_has_its_sentence(desk: Database, person: Actor) -> None:
    seen = Seen()
    report = await ran(desk, person, course(task("a"), task("b", "a")), [works(seen, "ann")])
    assert report.state is TaskState.DONE
    first, second = await events(desk, person, TaskAssigned)
    assert (first.task_id, first.agent, first.attempt) == ("a", "ann", 1)
    assert first.reason == "ann: capability 0.8, load 0/1, not tried yet, $0.00"
    assert second.reason == "ann: capability 0.9, load 0/1, 1 of 1 past successes, $0.00"
    (end,) = await events(desk, person, TeamFinished)
    assert end.lines == report.lines == ("2 done", "ann: 2 done")
    async with desk.view(person) as uow:
        assert (await get_session(uow, SESSION)).stage is Stage.DONE


@pytest.mark.req("SCH-02", "COL-06")
async def test_what_one_fails_at_another_one_does(desk: Database, person: Actor) -> None:
    seen = Seen()
    report = await ran(desk, person, course(task("a")), [breaks(seen, "bad"), works(seen, "good")])
    assert seen.began == [("a", "bad", 1), ("a", "good", 2)]
    assert (report.state, report.retried) == (TaskState.DONE, ("a",))
    ended = [(one.agent, one.state, one.summary) for one in await events(desk, person, AttemptEnded)]
    assert ended == [("bad", "failed", "It was killed."), ("good", "done", "done")]


@pytest.mark.req("SCH-02")
async def test_it_waits_for_another_one_rather_than_fail_with_the_same(desk: Database, person: Actor) -> None:
    seen, until = Seen(), asyncio.Event()

    async def one_thing_at_a_time(one: Assignment) -> Handed:
        seen.note("good", one)
        if one.task.id == "long":
            await until.wait()
        return Handed(done=True, summary="done")

    async def fails(one: Assignment) -> Handed:
        seen.note("bad", one)
        asyncio.get_running_loop().call_later(0.05, until.set)
        return Handed(done=False, summary="no")

    members = [
        Member("good", {"work": 0.9, "x": 0.9}, one_thing_at_a_time),
        Member("bad", {"work": 0.8}, fails),
    ]
    await ran(desk, person, course(task("long", can="x"), task("a")), members)
    assert [entry[1] for entry in seen.began if entry[0] == "a"] == ["bad", "good"]


@pytest.mark.req("COL-06")
async def test_a_needed_task_that_fails_ends_the_team(desk: Database, person: Actor) -> None:
    seen, never = Seen(), asyncio.Event()
    members = [breaks(seen, "bad"), waits(seen, "long", never, can="other")]
    report = await ran(desk, person, course(task("a"), task("b", can="other"), task("c", "a")), members)
    assert report.state is TaskState.FAILED
    assert report.reason == "a is failed: It was killed."
    async with desk.view(person) as uow:
        states = {one.id: one.state.value for one in await list_tasks(uow, SESSION)}
        attempts = {(one.task, one.state) for one in await list_attempts(uow, SESSION)}
        assert (await get_session(uow, SESSION)).stage is Stage.FAILED
    assert states == {"a": "failed", "b": "cancelled", "c": "cancelled"}
    assert ("b", AttemptState.CANCELLED) in attempts


@pytest.mark.req("COL-06")
@pytest.mark.parametrize(
    ("policy", "state", "done"),
    [
        (GroupPolicy(OnFailure.BEST_EFFORT), TaskState.DONE, {"good-1", "good-2", "good-3"}),
        (GroupPolicy(OnFailure.FAIL_FAST), TaskState.FAILED, None),
        (GroupPolicy(OnFailure.QUORUM, 0.75), TaskState.DONE, {"good-1", "good-2", "good-3"}),
        (GroupPolicy(OnFailure.QUORUM, 1.0), TaskState.FAILED, None),
    ],
)
async def test_policies_on_failure(
    desk: Database, person: Actor, policy: GroupPolicy, state: TaskState, done: set[str] | None
) -> None:
    seen = Seen()
    tasks = [task(f"good-{number}", group="parts") for number in (1, 2, 3)]
    tasks.append(task("bad", can="impossible", group="parts"))
    members = [works(seen, "ann", capacity=4), breaks(seen, "bob", can="impossible")]
    report = await ran(desk, person, course(*tasks), members, TeamPolicy(policy, attempts=1, **FAST))
    assert report.state is state
    assert done is None or set(report.done) == done


@pytest.mark.req("COL-06")
async def test_a_quorum_stops_those_that_are_not_needed(desk: Database, person: Actor) -> None:
    seen, never = Seen(), asyncio.Event()
    tasks = [
        task("a", group="g"),
        task("b", group="g"),
        task("slow", can="other", group="g"),
        task("end", "a", "slow", takes_partial=True),
    ]
    members = [works(seen, "ann"), waits(seen, "long", never, can="other")]
    policy = TeamPolicy(GroupPolicy(OnFailure.QUORUM, 0.6), **FAST)
    report = await ran(desk, person, course(*tasks), members, policy)
    assert (report.state, report.lost) == (TaskState.DONE, ("slow",))
    assert seen.began[-1][0] == "end"


@pytest.mark.req("COL-06")
async def test_an_attempt_has_its_time(desk: Database, person: Actor) -> None:
    seen, never = Seen(), asyncio.Event()
    policy = TeamPolicy(seconds=0.02, attempts=2, **FAST)
    report = await ran(desk, person, course(task("a")), [waits(seen, "long", never)], policy)
    assert report.reason == "a is failed: long took longer than 0.02 s."
    assert len(seen.began) == 2


async def test_a_result_without_what_it_must_return_does_not_count(desk: Database, person: Actor) -> None:
    seen = Seen()
    policy = TeamPolicy(attempts=1, **FAST)
    report = await ran(desk, person, course(task("a", returns=("answer",))), [works(seen, "ann")], policy)
    assert report.reason.endswith("It said done, and did not return answer.")


@pytest.mark.req("SCH-01")
async def test_nobody_reviews_their_own(desk: Database, person: Actor) -> None:
    seen = Seen()
    tasks = [task("write"), task("review", "write", not_by=(TaskId("write"),))]
    await ran(desk, person, course(*tasks), [works(seen, "ann"), works(seen, "bob")])
    assert {entry[1] for entry in seen.began} == {"ann", "bob"}


async def test_where_nobody_can_do_it_that_is_said(desk: Database, person: Actor) -> None:
    report = await ran(desk, person, course(task("a", can="magic")), [works(Seen(), "ann")])
    assert report.reason == "a is failed: No agent offers 'magic'."


async def test_a_team_needs_members_and_a_sound_plan(desk: Database, person: Actor) -> None:
    with pytest.raises(InvalidInput, match="needs members"):
        await ran(desk, person, course(task("a")), [])
    with pytest.raises(InvalidInput, match="wait for each other"):
        await ran(desk, person, course(task("a", "b"), task("b", "a")), [works(Seen(), "ann")])


async def test_who_asks_for_too_much_is_stopped(desk: Database, person: Actor) -> None:
    def grow(results: Results) -> list:
        return [task(f"t{number}") for number in range(len(results) + 1)]

    with pytest.raises(LimitExceeded, match="more than 5 tasks"):
        await ran(desk, person, course(grow=grow), [works(Seen(), "ann")], TeamPolicy(most_tasks=5, **FAST))


# --- intents ------------------------------------------------------------------------------------------------------------


@pytest.mark.req("COL-08")
async def test_overlaps_are_seen_before_anything_is_done_and_put_in_order(
    desk: Database, person: Actor
) -> None:
    seen = Seen()
    tasks = [
        task("a", files={"x.py"}, aim="speed", priority=1),
        task("b", files={"x.py"}, aim="order"),
        task("c", files={"y.py"}),
    ]
    members = [works(seen, f"agent-{number}") for number in range(3)]
    await ran(desk, person, course(*tasks), members)
    (overlap,) = await events(desk, person, OverlapDetected)
    assert (overlap.first, overlap.then, overlap.advice) == ("a", "b", "order")
    assert len(await events(desk, person, IntentDeclared)) == 3
    ended = [one.task_id for one in await events(desk, person, AttemptEnded)]
    assert ended.index("a") < ended.index("b")
    everything = [type(one).__name__ for one in await events(desk, person, object)]
    assert everything.index("OverlapDetected") < everything.index("TaskAssigned")


@pytest.mark.req("COL-08")
async def test_the_same_aim_in_one_file_is_for_one_agent(desk: Database, person: Actor) -> None:
    seen = Seen()
    tasks = [task("a", files={"x.py"}, aim="speed"), task("b", files={"x.py"}, aim="speed")]
    await ran(desk, person, course(*tasks), [works(seen, f"agent-{number}") for number in range(3)])
    assert len({entry[1] for entry in seen.began}) == 1


@pytest.mark.req("COL-08")
async def test_two_aims_for_one_symbol_are_a_question_to_a_person(desk: Database, person: Actor) -> None:
    seen, symbols = Seen(), frozenset({"x.py::f"})
    tasks = [task(name, files={"x.py"}, symbols=symbols, aim=name) for name in ("a", "b")]
    report = await ran(desk, person, course(*tasks), [works(seen, "ann")])
    assert [entry[0] for entry in seen.began] == ["a"]
    assert any(
        line.startswith("A person must decide: a ('a') and b ('b') change x.py::f") for line in report.lines
    )


# --- going on -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("COL-07", "COL-06")
async def test_it_goes_on_without_doing_again_what_is_done(desk: Database, person: Actor) -> None:
    seen, until = Seen(), asyncio.Event()
    what = course(task("a"), task("b", "a"), task("c", "b"))
    began = asyncio.Event()

    async def stops_at_b(one: Assignment) -> Handed:
        seen.note("ann", one)
        if one.task.id == "b" and not until.is_set():
            began.set()
            await until.wait()
        return Handed(done=True, summary="done")

    members = [Member("ann", {"work": 0.8}, stops_at_b)]
    run = asyncio.create_task(ran(desk, person, what, members))
    await began.wait()
    run.cancel()
    await asyncio.wait([run])
    until.set()
    report = await ran(desk, person, what, members)
    assert report.state is TaskState.DONE
    assert seen.began == [("a", "ann", 1), ("b", "ann", 1), ("b", "ann", 2), ("c", "ann", 1)]
    async with desk.view(person) as uow:
        states = [(one.task, one.number, one.state.value) for one in await list_attempts(uow, SESSION)]
    assert states == [("a", 1, "done"), ("b", 1, "lost"), ("b", 2, "done"), ("c", 1, "done")]


@pytest.mark.req("COL-05", "COL-07")
async def test_two_processes_never_run_one_team(desk: Database, person: Actor) -> None:
    async with desk.transaction(person) as uow:
        await take(uow, lock(f"team/{SESSION}"), "another process", 600)
    run = asyncio.create_task(ran(desk, person, course(task("a")), [works(seen := Seen(), "ann")]))
    await asyncio.wait([run], timeout=0.5)
    assert not run.done()
    assert not seen.began
    run.cancel()
    await asyncio.wait([run])


async def test_a_task_that_a_person_cancels_is_stopped(desk: Database, person: Actor) -> None:
    seen, began = Seen(), asyncio.Event()

    async def for_ever(one: Assignment) -> Handed:
        seen.note("long", one)
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    members = [Member("long", {"work": 0.8}, for_ever), works(seen, "ann")]
    run = asyncio.create_task(ran(desk, person, course(task("a"), task("b")), members))
    await began.wait()
    long = next(one.task_id for one in await events(desk, person, TaskAssigned) if one.agent == "long")
    async with desk.transaction(person) as uow:
        await cancel_task(uow, SESSION, TaskId(long), "not wanted")
    report = await run
    assert report.lost == (long,)
    async with desk.view(person) as uow:
        attempts = {one.task: one.state for one in await list_attempts(uow, SESSION)}
    assert attempts[TaskId(long)] is AttemptState.CANCELLED


@pytest.mark.req("TRE-01", "SCH-01")
async def test_a_goal_split_by_a_template_is_done_by_its_roles(desk: Database, person: Actor) -> None:
    seen = Seen()
    goal = Goal("item-1", "general", "Mend the fault", ("a.py",), ("It is mended.",), ("test_a.py",))
    split = split_by_template(goal, None)
    skills = {f"role:{one.task.role}": 0.8 for one in split.tasks}
    members = [replace(works(seen, name), capabilities=skills) for name in ("ann", "bob", "cid")]
    report = await ran(desk, person, course_of(split, goal.title), members)
    assert report.state is TaskState.DONE, report.lines
    who = {name: agent for name, agent, _ in seen.began}
    assert split.not_by
    for name, others in split.not_by.items():
        assert who[name] not in {who[other] for other in others}
    async with desk.view(person) as uow:
        assert {one.state for one in await list_tasks(uow, SESSION)} == {TaskState.DONE}


async def test_while_it_is_paused_nothing_new_is_begun(desk: Database, person: Actor) -> None:
    seen = Seen()
    async with desk.transaction(person) as uow:
        await pause_session(uow, SESSION)
    run = asyncio.create_task(ran(desk, person, course(task("a")), [works(seen, "ann")]))
    await asyncio.wait([run], timeout=0.3)
    assert not seen.began
    async with desk.transaction(person) as uow:
        await resume_session(uow, SESSION)
    assert (await run).state is TaskState.DONE


# --- letters ------------------------------------------------------------------------------------------------------------


def chain(seen: Seen, names: tuple[str, ...]) -> tuple[Course, list[Member]]:
    """Each writes to the next one, until the last."""

    def member(name: str, to: str) -> Member:
        async def work(one: Assignment) -> Handed:
            seen.note(name, one)
            letters = f'[{{"to": "agent:{to}", "kind": "next", "payload": "1"}}]' if to else ""
            return Handed(done=True, summary="done", data={"letters": letters} if letters else {})

        return Member(name, {"peer": 0.8}, work)

    members = [member(name, to) for name, to in zip(names, (*names[1:], ""), strict=True)]

    def on_message(message: Message) -> object:
        return task(message.id, can=f"agent:{message.to.partition('/')[2]}")

    def conclude(results: Results) -> Conclusion:
        return Conclusion(f"{len(results)} turns")

    first = task("first", can=f"agent:{names[0]}")
    return Course("chain", "the goal", (first,), conclude, on_message=on_message), members  # type: ignore[arg-type]


@pytest.mark.req("BUS-02", "COL-02")
async def test_letters_go_from_agent_to_agent(desk: Database, person: Actor) -> None:
    seen = Seen()
    what, members = chain(seen, ("ann", "bob", "cid"))
    report = await ran(desk, person, what, members)
    assert [entry[1] for entry in seen.began] == ["ann", "bob", "cid"]
    assert report.conclusion.summary == "3 turns"
    posted = [(one.sender, one.to) for one in await events(desk, person, MessagePosted)]
    assert posted == [("ann", "agent:bob"), ("bob", "agent:cid")]
    again = await ran(desk, person, what, members)  # all is remembered, letters too
    assert (again.conclusion.summary, len(seen.began)) == ("3 turns", 3)


@pytest.mark.req("BUS-02", "BUS-04", "COL-02")
@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.needs(one)) for one in ("redis", "nats")]
)
async def test_letters_go_over_a_broker_also_from_outside(
    name: str, desk: Database, person: Actor, empty_broker: Callable[[str], Broker]
) -> None:
    seen = Seen()
    what, members = chain(seen, ("ann", "bob", "cid"))
    backend = await open_bus_backend(Setup(url=empty_broker(name).url))
    outside = new_message(person, f"agent:{SESSION}/cid", "note", "from elsewhere")
    await backend.publish(person.organization_id, [outside])
    report = await run_team(
        TeamMeans(desk, person, bus=backend), SESSION, what, members, TeamPolicy(pause=0.0, lease=2.0)
    )
    assert sorted(entry[1] for entry in seen.began) == ["ann", "bob", "cid", "cid"]
    assert report.conclusion.summary == "4 turns"
    depth = await backend.depth(person.organization_id, f"agent:{SESSION}/cid")
    assert (depth.ready, depth.held, depth.dead) == (0, 0, 0)
    await backend.close()


async def test_a_letter_to_nobody_is_a_failure_of_its_writer(desk: Database, person: Actor) -> None:
    what, members = chain(Seen(), ("ann", "bob"))
    report = await run_team(
        TeamMeans(desk, person), SESSION, what, members[:1], TeamPolicy(attempts=1, **FAST)
    )
    assert report.reason == "first is failed: Nobody in the team is reached by agent:bob."
