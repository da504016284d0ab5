"""What is carried between sessions, on the command line."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bullpen.app import open_records
from bullpen.domain.ids import SessionId
from bullpen.kernel.settings import read_settings
from bullpen.sessions.actions import create_session

Run = Callable[..., Any]


async def make(home: Path) -> None:
    async with (
        open_records(read_settings(home=home)) as records,
        records.database.transaction(records.actor) as uow,
    ):
        for name in ("one", "two"):
            await create_session(uow, SessionId(name), kind="improve", goal="g", project="/p", options="{}")


@pytest.mark.req("SES-05")
def test_carry_see_forget(bullpen_in: Run, tmp_path: Path) -> None:
    asyncio.run(make(tmp_path))
    assert "is carried" in bullpen_in(tmp_path, "sessions", "carry", "one", "quotes", "double").out
    assert "is changed" in bullpen_in(tmp_path, "sessions", "carry", "two", "quotes", "single").out
    (held,) = bullpen_in(tmp_path, "sessions", "facts", "one", "--json").value
    assert (held["text"], held["session"], held["kind"]) == ("single", "two", "decision")
    assert "'double' of session one" in held["note"]
    assert bullpen_in(tmp_path, "sessions", "forget", "one", "quotes").status == 0
    for bad in (
        ("forget", "one", "quotes"),
        ("carry", "one", "", "x"),
        ("carry", "none", "k", "x"),
        ("carry", "one", "k", "x", "--kind", "y"),
    ):
        ended = bullpen_in(tmp_path, "sessions", *bad)
        assert (ended.status, ended.out) == (2, "")
