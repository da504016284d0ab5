"""Summaries are written by themselves and posted where it is configured."""

import asyncio
import json
from pathlib import Path

import pytest

from bullpen.domain.actor import Actor
from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.domain.events import Event
from bullpen.domain.events.agent import ModelReplied
from bullpen.domain.events.improve import EnvironmentPrepared, RoastFinished
from bullpen.domain.events.session import SessionCreated, StageReached, SummaryPosted, SummaryRefused
from bullpen.domain.events.work import ApprovalAsked, ItemMoved, ItemProposed
from bullpen.domain.ids import SessionId, TaskId
from bullpen.flow.summaries.channels.base import Summary
from bullpen.flow.summaries.post import (
    CHANNELS,
    conclude_records,
    configured_channels,
    post_summary,
    summarise,
)
from bullpen.kernel.bus.log import Recorded, replay
from bullpen.kernel.storage.database import Database
from bullpen.sessions.actions import create_session
from bullpen.sessions.queries import list_carried

NAME = SessionId("ses-1")
SUMMARY = Summary(NAME, "Session ses-1", "It is over.", 5.0)


def recorded(*events: Event) -> list[Recorded]:
    return [Recorded(n, NAME, float(n), "person", one) for n, one in enumerate(events, 1)]


@pytest.mark.req("SES-08")
def test_what_a_summary_tells() -> None:
    summary = summarise(
        recorded(
            SessionCreated("improve", "mend it", "https://user:secret@host/r", "{}"),
            RoastFinished("before", 9, (0, 0, 9, 0, 0), 1.0),
            RoastFinished("measured", 11, (0, 0, 11, 0, 0), 1.0),
            RoastFinished("after", 10, (0, 0, 10, 0, 0), 1.0),
            ItemProposed("a", "Close `holes` <b>", "r", "p", 1, 1.0, 1.0, state="ready"),
            ItemMoved("a", "in-progress", "agent:developer"),
            ModelReplied(TaskId("t"), 1, 1, "", (), 100, 10, 20_000),
            ItemMoved("a", "blocked", "agent:developer", "the tests\nfail"),
            ApprovalAsked("x", "rule S602", "high", "r", 9.0),
            StageReached("done"),
        )
    )
    assert "**done**" in summary.text
    assert "0 of 1 items done (0% of those tried)" in summary.text
    assert "9 s of work, 1 steps, 110 tokens, $0.02" in summary.text
    assert "- Close \\`holes\\` \\<b\\>: the tests fail" in summary.text
    assert "Findings: 11 before, 10 after." in summary.text
    assert "Waits for approval: rule S602" in summary.text
    assert "secret" not in summary.text
    assert (summary.session, summary.at) == (NAME, 10.0)


@pytest.mark.req("SES-08")
@pytest.mark.parametrize("name", CHANNELS.names())
def test_posting_twice_is_posting_once(name: str, tmp_path: Path) -> None:
    channel = CHANNELS.load(name)
    where = Path(asyncio.run(channel.post(SUMMARY, tmp_path)))
    once = where.read_bytes()
    assert asyncio.run(channel.post(SUMMARY, tmp_path)) == str(where)
    assert where.read_bytes() == once
    assert b"It is over." in once
    assert where.is_relative_to(tmp_path)


@pytest.mark.req("SES-08", "SES-05")
async def test_a_session_that_ends_leaves_its_summary_and_what_it_learned(
    database: Database, person: Actor, tmp_path: Path
) -> None:
    (tmp_path / "automation.yaml").write_text("summaries: [file, log]\n")
    async with database.transaction(person) as uow:
        await create_session(uow, NAME, kind="improve", goal="g", project="/p", options="{}")
        uow.record(NAME, EnvironmentPrepared("uv.lock", (), 1.0))
    await conclude_records(database, person, tmp_path, NAME)
    async with database.view(person) as uow:
        told = [one.event for one in await replay(uow, NAME)]
        assert [one.text for one in await list_carried(uow, "/p")] == ["uv.lock"]
    assert [one.channel for one in told if isinstance(one, SummaryPosted)] == ["file", "log"]
    line = (tmp_path / "logs" / "summaries.jsonl").read_text()
    assert json.loads(line)["session"] == NAME


@pytest.mark.req("SES-08")
async def test_what_cannot_be_posted_is_told_and_ends_nothing(
    database: Database, person: Actor, tmp_path: Path
) -> None:
    (tmp_path / "logs").write_text("in the way")
    told = await post_summary(database, person, tmp_path, SUMMARY, "log")
    assert isinstance(told, SummaryRefused)
    assert "cannot be written" in told.reason
    with pytest.raises(NotFound, match="there are: file, log"):
        await post_summary(database, person, tmp_path, SUMMARY, "pigeon")


@pytest.mark.req("SES-08")
@pytest.mark.parametrize(
    "text", ["summaries: [pigeon]", "summaries: file", "- a", "summaries: [", "summaries: [[]]"]
)
async def test_a_wrong_configuration_is_said(
    database: Database, person: Actor, tmp_path: Path, text: str
) -> None:
    assert configured_channels(tmp_path) == ("file",)
    (tmp_path / "automation.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=r"automation\.yaml"):
        configured_channels(tmp_path)
    async with database.transaction(person) as uow:
        await create_session(uow, NAME, kind="improve", goal="g", project="/p", options="{}")
    await conclude_records(database, person, tmp_path, NAME)
    async with database.view(person) as uow:
        assert any(isinstance(one.event, SummaryRefused) for one in await replay(uow, NAME))
