"""Second runs of tasks that take too long, and urgent tasks that others give way to; on both databases."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.flow.teams.doubles import SESSION, Seen, course, events, opened, ran, task, works

from bullpen.domain.actor import Actor
from bullpen.domain.events.team import AttemptEnded, TaskAssigned
from bullpen.domain.task import TaskState
from bullpen.flow.teams.base import Assignment, Handed, Member, Results, TeamPolicy, TeamTask
from bullpen.flow.teams.desk import Desk
from bullpen.flow.teams.queries import AttemptState, list_attempts
from bullpen.kernel.storage.database import Database

NOW = TeamPolicy(pause=0.0, lease=2.0, second_run_after=0.0)
SEVEN = [task(f"t{number}") for number in range(7)]


@pytest.fixture
async def desk(database: Database, person: Actor) -> Database:
    await opened(database, person)
    return database


async def ended(desk: Database, person: Actor, name: str) -> list[tuple[str, str, str]]:
    """Agent, state and summary of the attempts at a task, in their order."""
    async with desk.view(person) as uow:
        return [
            (one.agent, one.state, one.summary)
            for one in await list_attempts(uow, SESSION)
            if one.task == name
        ]


def hangs_at(name: str, seen: Seen, until: asyncio.Event, *, late: bool = False) -> Member:
    """Does everything at once, but hangs the first time it is given the task of that name."""

    async def work(one: Assignment) -> Handed:
        seen.note("slow", one)
        if one.task.id == name and seen.tasks[name] == 1:
            try:
                await until.wait()
            except asyncio.CancelledError:
                if not late:
                    raise  # one that is late does not even notice that it is stopped
        return Handed(done=True, summary="done by the slow one")

    return Member("slow", {"work": 0.9}, work)


@pytest.mark.req("SCH-02")
async def test_a_straggler_gets_a_second_run_and_the_first_answer_counts(
    desk: Database, person: Actor
) -> None:
    seen, never = Seen(), asyncio.Event()
    members = [hangs_at("t6", seen, never), works(seen, "quick")]
    report = await ran(desk, person, course(*SEVEN), members, NOW)
    assert report.state is TaskState.DONE
    assert len(report.done) == 7
    assert seen.began.count(("t6", "slow", 1)) == 1
    assert [(agent, state) for agent, state, _ in await ended(desk, person, "t6")] == [
        ("slow", AttemptState.CANCELLED),
        ("quick", AttemptState.DONE),
    ]
    (late,) = [one for one in await events(desk, person, AttemptEnded) if one.state == "cancelled"]
    assert late.summary == "quick answered first, in attempt 2"
    (second,) = [one for one in await events(desk, person, TaskAssigned) if one.attempt == 2]
    assert "a second run: t6 has taken" in second.reason


@pytest.mark.req("SCH-02", "COL-07")
async def test_an_answer_that_comes_after_the_first_changes_nothing(desk: Database, person: Actor) -> None:
    """Both end in the same moment; the one that began first is taken, the other one's answer is told and ignored."""
    seen, go = Seen(), asyncio.Event()

    async def both(one: Assignment) -> Handed:
        seen.note("slow", one)
        if one.task.id == "t6":
            if seen.tasks["t6"] == 2:
                go.set()
            await go.wait()
        return Handed(done=True, summary=f"attempt {one.attempt}")

    pair = [Member("one", {"work": 0.9}, both), Member("two", {"work": 0.9}, both)]
    report = await ran(desk, person, course(*SEVEN), pair, NOW)
    assert report.state is TaskState.DONE
    (first, second) = await ended(desk, person, "t6")
    assert first[1:] == (AttemptState.DONE, "attempt 1")
    assert second[1] == AttemptState.IGNORED
    assert "it was answered before" in second[2]
    assert len([one for one in report.done if one == "t6"]) == 1


@pytest.mark.req("SCH-02")
async def test_a_claim_refuses_the_slower_one_before_it_puts_anything_back(
    desk: Database, person: Actor
) -> None:
    seen, go, put_back = Seen(), asyncio.Event(), list[str]()

    async def claims(one: Assignment) -> Handed:
        seen.note("x", one)
        if one.task.id == "t6":
            if seen.tasks["t6"] == 2:
                go.set()
            await go.wait()
            if late := one.claim():
                return Handed(done=False, summary=late, ignored=True)
            put_back.append(f"attempt {one.attempt}")
        return Handed(done=True, summary="done")

    pair = [Member("one", {"work": 0.9}, claims), Member("two", {"work": 0.9}, claims)]
    report = await ran(desk, person, course(*SEVEN), pair, NOW)
    assert report.state is TaskState.DONE
    assert len(put_back) == 1
    states = sorted(state for _, state, _ in await ended(desk, person, "t6"))
    assert states == ["done", "ignored"]


@pytest.mark.req("SCH-02")
async def test_where_the_second_run_fails_the_first_one_still_counts(desk: Database, person: Actor) -> None:
    seen, go = Seen(), asyncio.Event()

    async def slow(one: Assignment) -> Handed:
        seen.note("slow", one)
        if one.task.id == "t6":
            await go.wait()
        return Handed(done=True, summary="done after all")

    async def fails(one: Assignment) -> Handed:
        seen.note("quick", one)
        if one.task.id == "t6":
            go.set()
            return Handed(done=False, summary="could not")
        return Handed(done=True, summary="done")

    team = [Member("slow", {"work": 0.9}, slow), Member("quick", {"work": 0.5}, fails)]
    report = await ran(desk, person, course(*SEVEN), team, replace(NOW, attempts=1))
    assert report.state is TaskState.DONE
    summaries = {summary for _, state, summary in await ended(desk, person, "t6") if state == "done"}
    assert summaries == {"done after all"}


@pytest.mark.req("SCH-02")
async def test_nobody_gets_a_second_run_where_that_is_not_wanted(desk: Database, person: Actor) -> None:
    seen, until = Seen(), asyncio.Event()

    async def opens(one: Assignment) -> Handed:
        seen.note("quick", one)
        until.set() if len(seen.began) == 7 else None
        return Handed(done=True, summary="done")

    team = [hangs_at("t0", seen, until), Member("quick", {"work": 0.5}, opens)]
    report = await ran(desk, person, course(*SEVEN), team, replace(NOW, second_run_after=None))
    assert (report.state, seen.tasks["t0"]) == (TaskState.DONE, 1)


@pytest.mark.req("SCH-02")
async def test_an_urgent_task_takes_the_place_of_one_that_goes_on_later(
    desk: Database, person: Actor, tmp_path: Path
) -> None:
    """The long one has written half of its work when it gives way, and finds it there when it goes on."""
    seen, began = Seen(), asyncio.Event()
    (tmp_path / "shared").mkdir()
    (tmp_path / "scratch").mkdir()
    files = Desk(tmp_path / "shared", tmp_path / "scratch")

    async def work(one: Assignment) -> Handed:
        seen.note("only", one)
        async with files.copied(one.task.id) as copy:
            place = copy.folder / one.task.id
            if one.task.id == "long" and not place.exists():
                place.write_text("half, ")
                began.set()
                await asyncio.Event().wait()
            place.write_text(f"{place.read_text() if place.exists() else ''}whole")
            landed = await files.land(copy, one.task.id, "only")
        return Handed(done=True, summary="done", changes=landed.changes)

    async def opens(one: Assignment) -> Handed:
        await began.wait()
        return Handed(done=True, summary="done")

    members = [Member("only", {"work": 0.9}, work, resumes=True), Member("door", {"open": 0.9}, opens)]
    tasks = course(task("long"), task("first", can="open"), task("urgent", "first", priority=9))
    report = await ran(desk, person, tasks, members, replace(NOW, attempts=1))
    assert report.state is TaskState.DONE
    assert seen.began == [("long", "only", 1), ("urgent", "only", 1), ("long", "only", 2)]
    assert (tmp_path / "shared" / "long").read_text() == "half, whole"
    assert (tmp_path / "shared" / "urgent").read_text() == "whole"
    assert list((tmp_path / "scratch").iterdir()) == []
    (gave, went_on) = await ended(desk, person, "long")
    assert (gave[1], went_on[1]) == (AttemptState.YIELDED, AttemptState.DONE)
    assert gave[2].startswith("long (priority 0) gives way on only to urgent (priority 9)")


@pytest.mark.req("SCH-02")
@pytest.mark.parametrize(("resumes", "priority"), [(False, 9), (True, 0)])
async def test_nobody_gives_way_who_would_lose_work_or_to_what_is_no_more_urgent(
    desk: Database, person: Actor, resumes: bool, priority: int
) -> None:
    seen, until = Seen(), asyncio.Event()

    async def work(one: Assignment) -> Handed:
        seen.note("only", one)
        if one.task.id == "long":
            await until.wait()
        return Handed(done=True, summary="done")

    def grow(results: Results) -> list[TeamTask]:
        if "first" in results:
            asyncio.get_running_loop().call_later(0.2, until.set)
        return []

    async def at_once(_one: Assignment) -> Handed:
        return Handed(done=True, summary="done")

    members = [Member("only", {"work": 0.9}, work, resumes=resumes), Member("door", {"open": 0.9}, at_once)]
    tasks = (task("long"), task("first", can="open"), task("urgent", "first", priority=priority))
    report = await ran(desk, person, course(*tasks, grow=grow), members, NOW)
    assert report.state is TaskState.DONE
    assert seen.began == [("long", "only", 1), ("urgent", "only", 1)]
