"""Figures of sessions on the command line: words, JSON, CSV."""

import asyncio
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bullpen.app import open_records
from bullpen.domain.events.agent import ModelReplied
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.session import Stage
from bullpen.kernel.settings import read_settings
from bullpen.sessions.actions import create_session, reach_stage

Run = Callable[..., Any]


async def make(home: Path) -> None:
    async with open_records(read_settings(home=home)) as records:
        for name, project, steps in (("one", "/p", 2), ("two", "=cmd", 6)):
            async with records.database.transaction(records.actor) as uow:
                session = SessionId(name)
                await create_session(uow, session, kind="improve", goal="g", project=project, options="{}")
                await reach_stage(uow, session, Stage.PLANNING)
                for step in range(steps):
                    uow.record(session, ModelReplied(TaskId("t"), 1, step, "", (), 100, 10, 5_000))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    asyncio.run(make(home))
    return home


@pytest.mark.req("SES-06")
def test_json_and_csv_say_the_same(bullpen_in: Run, made: Path) -> None:
    value = bullpen_in(made, "sessions", "stats", "--json").value
    rows = list(csv.DictReader(bullpen_in(made, "sessions", "stats", "--csv").out.splitlines()))
    assert {one["session"]: one["steps"] for one in value["sessions"]} == {"one": 2, "two": 6}
    assert {row["session"]: row["cost_usd"] for row in rows} == {"one": "0.01", "two": "0.03"}
    assert {row["project"] for row in rows} == {"/p", "'=cmd"}  # no formula for a spreadsheet
    assert [set(row) for row in rows] == [set(rows[0])] * 2


@pytest.mark.req("SES-06")
def test_two_are_compared_and_periods_are_summed(bullpen_in: Run, made: Path) -> None:
    compared = bullpen_in(made, "sessions", "stats", "one", "two", "--json").value["compared"]
    assert {one["measure"]: one["ratio"] for one in compared}["steps"] == 3
    assert "3.00" in bullpen_in(made, "sessions", "stats", "one", "two").out
    (period,) = bullpen_in(made, "sessions", "stats", "--by", "month", "--json").value["periods"]
    assert (period["sessions"], period["steps"], period["cost_usd"]) == (2, 8, 0.04)
    (row,) = csv.DictReader(bullpen_in(made, "sessions", "stats", "--by", "week", "--csv").out.splitlines())
    assert row["tokens"] == "880"


@pytest.mark.req("SES-06")
def test_one_session_in_words(bullpen_in: Run, made: Path) -> None:
    told = bullpen_in(made, "sessions", "stats", "two").out
    assert "$0.03" in told
    assert "planning" in told


@pytest.mark.req("SES-06")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("three",), "no session three"),
        (("--by", "year"), "'year' is not one of"),
        (("--csv", "--json"), "exclude each other"),
    ],
)
def test_bad_input(bullpen_in: Run, made: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = bullpen_in(made, "sessions", "stats", *arguments)
    assert said in ended.err + ended.out
    assert ended.status == 2


@pytest.mark.req("SES-06")
def test_without_a_session_there_is_nothing_to_say(bullpen_in: Run, tmp_path: Path) -> None:
    assert bullpen_in(tmp_path, "sessions", "stats", "--json").value == {
        "sessions": [], "periods": [], "compared": [],
    }  # fmt: skip
    assert bullpen_in(tmp_path, "sessions", "stats", "--csv").out == ""
