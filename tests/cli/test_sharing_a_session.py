"""A session is shared on the command line, read with the link's token, and closed again."""

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


@pytest.mark.req("SES-01")
def test_share_read_revoke(bullpen_in: Run, tmp_path: Path) -> None:
    asyncio.run(make(tmp_path))
    made = bullpen_in(tmp_path, "sessions", "share", "one", "--days", 1, "--json").value
    assert bullpen_in(tmp_path, "sessions", "shared", made["token"], "--json").value["session"] == "one"
    assert "yes" in bullpen_in(tmp_path, "sessions", "shares").out
    assert bullpen_in(tmp_path, "sessions", "unshare", made["share"]["id"]).status == 0
    closed = bullpen_in(tmp_path, "sessions", "shared", "--json", BULLPEN_SHARE_TOKEN=made["token"])
    assert (closed.status, closed.value["error"]) == (3, "permission-refused")
    assert "revoked" in bullpen_in(tmp_path, "sessions", "shares", "one").out
    for bad in (("share", "one", "--days", 0), ("share", "three"), ("unshare", "shr-x"), ("shares", "three")):
        ended = bullpen_in(tmp_path, "sessions", *bad)
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("bullpen: ")
