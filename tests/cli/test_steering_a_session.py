"""People change what a session does: they cancel and move its tasks, add to them, and approve rules on the way."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bullpen.app import open_records
from bullpen.domain.ids import SessionId
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.start import new_improve_session
from bullpen.kernel.settings import read_settings
from bullpen.sessions.actions import pause_session

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
Run = Callable[..., Any]
FILES = {
    "one.py": "import os\n\n\ndef one():\n    return 1\n",
    "two.py": "import sys\n\n\ndef two():\n    return 2\n",
    "three.py": "import json\n\n\ndef three(a):\n    return a == None\n",
    "tests/test_all.py": (
        "from one import one\nfrom three import three\nfrom two import two\n\n\n"
        "def test_all():\n    assert (one(), two(), three(None)) == (1, 2, True)\n"
    ),
    "conftest.py": "",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "steered"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


async def paused_before_it_begins(home: Path, repository: Path) -> None:
    async with open_records(read_settings(home=home)) as records:
        async with records.database.transaction(records.actor) as uow:
            await new_improve_session(uow, ImproveOptions(str(repository), only=("F401", "E711")), "steered")
        async with records.database.transaction(records.actor) as uow:
            await pause_session(uow, SessionId("steered"))


@pytest.mark.req("TRE-04", "SES-01")
def test_work_follows_the_tasks_as_people_leave_them(
    bullpen_in: Run, tmp_path: Path, repository: Path
) -> None:
    home = tmp_path / "home"
    asyncio.run(paused_before_it_begins(home, repository))

    def bullpen(*arguments: object) -> Any:
        return bullpen_in(home, *arguments)

    resumed = ("improve", repository, "--resume", "--session", "steered", "--json")
    assert bullpen(*resumed).value["paused"]
    items = {one["draft"]["path"]: one["draft"]["id"] for one in bullpen("items", "list", "--json").value}
    tasks = {
        one["task"]["item"]: one["task"]["id"]
        for one in bullpen("tasks", "tree", "--json").value
        if one["task"]["kind"] == "item"
    }
    approvable = next(
        one["draft"]
        for one in bullpen("items", "list", "--json").value
        if one["draft"]["rule"] == "ruff:E711"
    )
    last = max(tasks, key=list(tasks).index)
    dropped = next(one for one in items.values() if one in tasks and one != last)
    assert bullpen("tasks", "reorder", tasks[last], 0).status == 0
    assert bullpen("tasks", "cancel", tasks[dropped], "--reason", "it is wanted").status == 0

    outcome = bullpen(*resumed, "--approve", "E711").value
    assert outcome["stage"] == "done"
    ended = {one["draft"]["id"]: one for one in bullpen("items", "list", "--json").value}
    assert (ended[dropped]["state"], ended[dropped]["reason"]) == ("rejected", "it is wanted")
    assert {one["state"] for name, one in ended.items() if name != dropped} == {"done"}
    assert ended[approvable["id"]]["change"]
    assert outcome["skipped"]["ways"] == {"cancelled or rejected by a person": 1}
    told = [json.loads(line) for line in bullpen("sessions", "replay", "steered", "--json").out.splitlines()]
    waves = [one["event"]["items"] for one in told if one["type"] == "WaveStarted"]
    assert waves[0] == [last]
    assert approvable["id"] not in tasks


@pytest.mark.req("TRE-04")
def test_an_item_that_was_left_is_added_to_the_tasks(
    bullpen_in: Run, tmp_path: Path, repository: Path
) -> None:
    home = tmp_path / "home"
    first = bullpen_in(home, "improve", repository, "--only", "F401", "--max", 1, "--session", "s", "--json")
    assert first.value["done"]["count"] == 1
    left = [
        one["draft"]["id"]
        for one in bullpen_in(home, "items", "list", "--json").value
        if one["state"] == "proposed"
    ]
    assert len(left) == 2
    assert bullpen_in(home, "tasks", "add", left[1]).status == 0
    again = bullpen_in(home, "improve", repository, "--resume", "--session", "s", "--json").value
    assert again["done"]["count"] == 2
    states = {one["draft"]["id"]: one["state"] for one in bullpen_in(home, "items", "list", "--json").value}
    assert (states[left[0]], states[left[1]]) == ("proposed", "done")
    assert bullpen_in(home, "tasks", "add", left[1]).status == 4


@pytest.mark.req("IMP-05", "CLI-01")
def test_a_session_is_taken_up_with_other_limits_and_no_other_options(
    bullpen_in: Run, tmp_path: Path, repository: Path
) -> None:
    home = tmp_path / "home"
    begun = ("improve", repository, "--only", "F401", "--max", 1, "--session", "s", "--json")
    assert bullpen_in(home, *begun).value["done"]["count"] == 1
    resumed = ("improve", repository, "--resume", "--session", "s", "--json")
    refused = bullpen_in(home, *resumed, "--only", "E711", "--dry-run", "--max", 9)
    assert refused.status == 2
    assert "--only, --dry-run cannot be changed" in refused.err + refused.out
    assert bullpen_in(home, *resumed, "--only", "F401", "--max", 2).value["done"]["count"] == 2
    assert bullpen_in(home, *resumed, "--max", 3).value["done"]["count"] == 3
