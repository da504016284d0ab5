"""No more attempts run at the same time than a team's policy says; urgent tasks still come first."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.flow.teams.doubles import Seen, course, opened, ran, task, works

from bullpen.domain.actor import Actor
from bullpen.domain.errors import InvalidInput
from bullpen.domain.task import TaskState
from bullpen.flow.teams.base import Assignment, Handed, Member, TeamPolicy
from bullpen.flow.teams.folder import read_team
from bullpen.kernel.storage.database import Database

pytestmark = pytest.mark.req("COL-06")


class Crowd:
    """Members who count how many of them are at work."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def work(self, _one: Assignment) -> Handed:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(5):
            await asyncio.sleep(0)
        self.now -= 1
        return Handed(done=True, summary="done")

    def members(self, count: int) -> list[Member]:
        return [Member(f"m{number}", {"work": 0.8}, self.work, capacity=3) for number in range(count)]


@pytest.mark.parametrize("at_once", [1, 3])
async def test_no_more_run_than_may(database: Database, person: Actor, at_once: int) -> None:
    await opened(database, person)
    crowd = Crowd()
    tasks = [task(f"t{number}") for number in range(12)]
    policy = TeamPolicy(pause=0.0, lease=2.0, at_once=at_once, second_run_after=0.0)
    report = await ran(database, person, course(*tasks), crowd.members(6), policy)
    assert report.state is TaskState.DONE
    assert len(report.done) == 12
    assert crowd.most == at_once


async def test_without_a_bound_all_who_can_are_at_work(database: Database, person: Actor) -> None:
    await opened(database, person)
    crowd = Crowd()
    await ran(database, person, course(*[task(f"t{number}") for number in range(12)]), crowd.members(6))
    assert crowd.most == 12


async def test_urgent_tasks_take_a_place_though_their_agent_is_another(
    database: Database, person: Actor
) -> None:
    """Two become urgent when one place is free: the second one takes that of the long task."""
    await opened(database, person)
    seen, began = Seen(), asyncio.Event()

    async def work(one: Assignment) -> Handed:
        seen.note("slow", one)
        began.set()
        if seen.tasks["long"] == 1:
            await asyncio.Event().wait()
        return Handed(done=True, summary="done")

    async def opens(_one: Assignment) -> Handed:
        await began.wait()
        return Handed(done=True, summary="done")

    members = [
        Member("slow", {"work": 0.8}, work, resumes=True),
        Member("door", {"open": 0.8}, opens),
        works(seen, "able", "other", capacity=2),
    ]
    urgent = [task(name, "first", can="other", priority=9) for name in ("urgent-1", "urgent-2")]
    policy = TeamPolicy(pause=0.0, lease=2.0, at_once=2, attempts=1, second_run_after=None)
    tasks = course(task("long"), task("first", can="open"), *urgent)
    report = await ran(database, person, tasks, members, policy)
    assert report.state is TaskState.DONE
    names = [name for name, _, _ in seen.began]
    assert (names[0], names[-1]) == ("long", "long")
    assert set(names[1:-1]) == {"urgent-1", "urgent-2"}


def folder(tmp_path: Path, policy: str) -> Path:
    (tmp_path / "team.yaml").write_text(f"goal: Do it\npattern: debate\npolicy:\n  attempts: 2\n  {policy}\n")
    return tmp_path


def test_a_file_says_how_many_or_the_cores_do(tmp_path: Path) -> None:
    assert read_team(folder(tmp_path, "at_once: 3")).policy.at_once == 3
    assert read_team(folder(tmp_path, "pause: 1")).policy.at_once == 4 * (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("at_once: 0", "line 5, column 3: policy.at_once: input should be greater than or equal to 1."),
        ("at_once: many", "line 5, column 3: policy.at_once: input should be a valid integer"),
        ("at_onec: 3", "line 5, column 3: 'at_onec' is not known here."),
    ],
)
def test_a_fault_is_shown_where_it_stands(tmp_path: Path, policy: str, said: str) -> None:
    with pytest.raises(InvalidInput) as told:
        read_team(folder(tmp_path, policy))
    assert said in told.value.sentence
    assert "team.yaml" in told.value.sentence
