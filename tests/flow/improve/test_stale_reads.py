"""What an agent read is remembered in the database, and an edit made from an old reading is refused."""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bullpen.analysis.cache import ObservationCache
from bullpen.domain.actor import Actor
from bullpen.domain.events.session import FileRead
from bullpen.domain.ids import SessionId, TaskId
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.records import DatabaseJournal, DatabaseScratchpad
from bullpen.flow.improve.timed_sandbox import TimedSandbox
from bullpen.kernel.bus.log import replay
from bullpen.kernel.settings import Settings
from bullpen.kernel.storage.database import Database
from bullpen.models.base import ToolCall
from bullpen.recipes.base import Catalogue
from bullpen.sandbox.backends.scripted import Scripted
from bullpen.sessions.actions import create_session
from bullpen.tools.base import CallKey, ToolContext
from bullpen.tools.memory import MemoryWorktree
from bullpen.tools.toolbox import Toolbox, every_tool

SESSION, TASK = SessionId("ses-1"), TaskId("task-1")
BEFORE, AFTER = "one\ntwo\n", "one\nbehind your back\ntwo\n"
PATCH = "--- a/app.py\n+++ b/app.py\n@@ -{line} +{line} @@\n-two\n+three\n"


@pytest.fixture
async def context(database: Database, person: Actor, tmp_path: Path) -> ToolContext:
    async with database.transaction(person) as uow:
        await create_session(uow, SESSION, kind="improve", goal="mend", project="/p", options="{}")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "app.py").write_text(BEFORE)
    means = Means(
        Settings(home=tmp_path),
        database,
        person,
        TimedSandbox(Scripted({})),
        asyncio.Semaphore(1),
        Catalogue(()),
        ObservationCache(tmp_path),
    )
    return ToolContext(
        CallKey(TASK, 1, 1, "c1"),
        "developer",
        workspace,
        DatabaseJournal(means, SESSION),
        scratchpad=DatabaseScratchpad(means, SESSION, TASK, "developer"),
        worktree=MemoryWorktree(workspace),
    )


async def use(context: ToolContext, tool: str, **arguments: object) -> dict[str, Any]:
    result = await Toolbox(every_tool()).run(ToolCall("c1", tool, json.dumps(arguments)), context)
    return json.loads(result.content)


def put(context: ToolContext, path: str, text: str) -> None:
    (context.workspace / path).write_text(text)


def text_of(context: ToolContext, path: str = "app.py") -> str:
    return (context.workspace / path).read_text()


EDITS = [
    ("apply_patch", {"patch": PATCH.format(line=2)}),
    ("edit_file", {"path": "app.py", "old": "two", "new": "three"}),
    ("write_file", {"path": "app.py", "text": "three\n"}),
]


@pytest.mark.req("SES-10", "TOL-03")
@pytest.mark.parametrize(("tool", "arguments"), EDITS)
async def test_an_edit_after_a_change_behind_ones_back_is_refused(
    context: ToolContext, tool: str, arguments: dict[str, str]
) -> None:
    read = await use(context, "read_file", path="app.py")
    put(context, "app.py", AFTER)
    hashed = {"file_hash": read["hash"]} if tool != "apply_patch" else {}
    said = await use(context, tool, **arguments, **hashed)
    assert said["error"] == "'app.py' has changed since it was read. Read it again, then edit."
    assert text_of(context) == AFTER


@pytest.mark.req("SES-10")
async def test_read_again_it_may_be_edited(context: ToolContext) -> None:
    await use(context, "read_file", path="app.py")
    put(context, "app.py", AFTER)
    assert "error" in await use(context, "apply_patch", patch=PATCH.format(line=3))
    await use(context, "read_file", path="app.py", first=1, count=1)
    assert "error" not in await use(context, "apply_patch", patch=PATCH.format(line=3))
    assert text_of(context) == AFTER.replace("two", "three")


@pytest.mark.req("SES-10")
async def test_ones_own_changes_are_known(context: ToolContext) -> None:
    await use(context, "read_file", path="app.py")
    assert "error" not in await use(context, "apply_patch", patch=PATCH.format(line=2))
    again = PATCH.format(line=2).replace("-two", "-three").replace("+three", "+four")
    assert "error" not in await use(context, "apply_patch", patch=again)
    gone = "--- a/app.py\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-one\n-four\n"
    assert "error" not in await use(context, "apply_patch", patch=gone)
    assert "error" not in await use(context, "write_file", path="app.py", text="new\n")
    put(context, "app.py", AFTER)
    assert "Read it again" in (await use(context, "apply_patch", patch=PATCH.format(line=3)))["error"]


@pytest.mark.req("SES-10")
async def test_a_file_that_went_and_came_behind_ones_back_is_seen(context: ToolContext) -> None:
    await use(context, "read_file", path="app.py")
    (context.workspace / "app.py").unlink()
    said = await use(context, "write_file", path="app.py", text="mine")
    assert "Read it again" in said["error"]
    assert not (context.workspace / "app.py").exists()


async def test_a_change_computed_from_the_file_as_it_is_needs_no_reading(context: ToolContext) -> None:
    """A rename looks for itself; but what changed behind the agent's back stays unread."""
    put(context, "app.py", "def old(): ...\n")
    await use(context, "read_file", path="app.py")
    put(context, "app.py", "X = 1\ndef old(): ...\n")
    assert "error" not in await use(context, "rename_symbol", path="app.py", old="old", new="fresh")
    assert text_of(context) == "X = 1\ndef fresh(): ...\n"
    patch = "--- a/app.py\n+++ b/app.py\n@@ -1 +1 @@\n-X = 1\n+X = 2\n"
    assert "Read it again" in (await use(context, "apply_patch", patch=patch))["error"]


async def test_files_never_read_and_other_tasks_are_free(context: ToolContext) -> None:
    await use(context, "read_file", path="app.py")
    put(context, "app.py", AFTER)
    other = replace(context, scratchpad=replace(context.scratchpad, task_id=TaskId("task-2")))
    assert "error" not in await use(other, "apply_patch", patch=PATCH.format(line=3))


@pytest.mark.req("SES-10")
async def test_who_read_what_is_recorded(context: ToolContext, database: Database, person: Actor) -> None:
    odd = os.fsdecode(b"odd-\xff.py")
    put(context, odd, "x = 1\n")
    await use(context, "read_file", path=odd)
    async with database.view(person) as uow:
        reads = [one.event for one in await replay(uow, SESSION) if isinstance(one.event, FileRead)]
    assert [(one.path, one.by) for one in reads] == [("odd-\\udcff.py", "developer")]
    put(context, odd, "x = 2\n")
    patch = f"--- a/{odd}\n+++ b/{odd}\n@@ -1 +1 @@\n-x = 2\n+x = 3\n"
    assert "Read it again" in (await use(context, "apply_patch", patch=patch))["error"]
