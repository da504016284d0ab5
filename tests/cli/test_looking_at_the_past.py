"""The past of a session on the command line: parts of it told again, and what was known at one of its events."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bullpen.app import open_records
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.session import Stage
from bullpen.domain.task import TaskNode, TaskState
from bullpen.kernel.bus.log import replay
from bullpen.kernel.settings import read_settings
from bullpen.sessions.actions import create_session, pause_session, reach_stage
from bullpen.work.actions.tasks import add_tasks, move_task

Run = Callable[..., Any]
NAME, TASK = SessionId("past"), TaskId("t-1")


async def made(home: Path) -> list[int]:
    """A session with a short past; the positions of its events."""
    async with open_records(read_settings(home=home)) as records:
        async with records.database.transaction(records.actor) as uow:
            await create_session(uow, NAME, kind="improve", goal="g", project="/p", options="{}")
            await create_session(
                uow, SessionId("other"), kind="improve", goal="g", project="/p", options="{}"
            )
            await reach_stage(uow, NAME, Stage.PLANNING)
            await add_tasks(uow, NAME, [TaskNode(TASK, None, "mend it", "item", "lead")])
            await move_task(uow, NAME, TASK, TaskState.RUNNING)
            await pause_session(uow, NAME)
        async with records.database.view(records.actor) as uow:
            return [one.position for one in await replay(uow, NAME)]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    home = tmp_path_factory.mktemp("home")
    return home, asyncio.run(made(home))


@pytest.mark.req("SES-03")
def test_what_was_known_at_an_event(bullpen_in: Run, past: tuple[Path, list[int]]) -> None:
    home, positions = past
    told = bullpen_in(home, "sessions", "at", "past", positions[2], "--json").value
    assert (told["stage"], told["paused"], told["tasks_by_state"]) == ("planning", False, {"waiting": 1})
    told = bullpen_in(home, "sessions", "at", "past", positions[-1], "--json").value
    assert (told["paused"], told["tasks_by_state"], told["position"]) == (True, {"running": 1}, positions[-1])
    words = bullpen_in(home, "sessions", "at", "past", positions[-1]).out
    assert "planning, paused" in words
    assert "works on: mend it" in words


@pytest.mark.req("SES-03")
def test_a_part_is_told_again(bullpen_in: Run, past: tuple[Path, list[int]]) -> None:
    home, positions = past
    part = ("--from", positions[1], "--to", positions[3], "--all")
    lines = bullpen_in(home, "sessions", "replay", "past", *part).out.splitlines()
    assert [int(line.split()[0]) for line in lines] == positions[1:4]


@pytest.mark.req("SES-03")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay", "past", "--from", 5, "--to", 2), "--from 5 comes after --to 2"),
        (("replay", "past", "--from", 999), "no event there; its positions go from 1 to"),
        (("replay", "past", "--speed", "-1"), "not in the range"),
        (("at", "past", 999), "no event 999"),
        (("at", "past", "x"), "not a valid integer"),
        (("at", "nowhere", 1), "no session nowhere"),
    ],
)
def test_what_is_not_there_is_said(
    bullpen_in: Run, past: tuple[Path, list[int]], arguments: tuple[object, ...], said: str
) -> None:
    ended = bullpen_in(past[0], "sessions", *arguments)
    assert said in ended.err
    assert (ended.status, ended.out) == (2, "")
