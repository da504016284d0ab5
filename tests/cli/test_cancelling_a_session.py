"""A session is cancelled while it runs elsewhere, after its process was killed, and before it ever ran."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import make_repository
from tests.e2e.bad_input.ground import snapshot

from bullpen.app import open_records
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.start import new_improve_session
from bullpen.kernel.settings import read_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.req("WFL-01", "SES-01", "IMP-05")]
Run = Callable[..., Any]
SLOW = {
    "calc.py": "import os\n\n\ndef one():\n    return 1\n\n\ndef same(a):\n    return a == None\n",
    "tests/test_calc.py": "import time\nfrom calc import one\n\n\ndef test_one():\n    time.sleep(1)\n    assert one() == 1\n",
    "conftest.py": "",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "slow", SLOW)


def events(home: Path, kind: str) -> list[Any]:
    if not (home / "bullpen.db").exists():
        return []
    database = sqlite3.connect(f"file:{home / 'bullpen.db'}?mode=ro", uri=True)
    try:
        rows = database.execute("select body from event where type = ? order by position", (kind,)).fetchall()
    except sqlite3.OperationalError:  # its tables are being made
        return []
    finally:
        database.close()
    return [json.loads(body) for (body,) in rows]


def until_work_began(home: Path, process: "subprocess.Popen[str]") -> None:
    while process.poll() is None and not events(home, "WaveStarted"):
        os.sched_yield()
    assert process.poll() is None


@pytest.fixture
def begun(
    argv: Callable[..., list[str]],
    environment_of: Callable[[Path], dict[str, str]],
    tmp_path: Path,
    repository: Path,
) -> Any:
    home = tmp_path / "home"
    command = argv("improve", repository, "--only", "F401", "--session", "s", "--json", "--quiet")
    process = subprocess.Popen(
        command, env=environment_of(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until_work_began(home, process)
    yield home, process
    process.kill()
    process.communicate()


def is_over(bullpen_in: Run, home: Path, repository: Path) -> None:
    """Nothing of the session goes on, what is known is reported, and nothing of the person's was touched."""
    shown = bullpen_in(home, "sessions", "show", "s", "--json").value
    assert (shown["stage"], shown["outcome"]["problem"]) == ("cancelled", "No longer wanted.")
    report = json.loads((home / "sessions" / "s" / "reports" / "report.json").read_text())
    assert report["session"]["stage"] == "cancelled"
    folders = [path for path in (home / "sessions" / "s" / "worktrees").rglob("wt-*") if path.is_dir()]
    assert folders == []
    states = {
        one["task"]["state"] for one in bullpen_in(home, "tasks", "tree", "--session", "s", "--json").value
    }
    assert not states & {"running", "waiting"}
    branches = subprocess.run(
        ["git", "branch", "--format=%(refname:short)"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert branches.stdout.split() == ["main"]
    refused = bullpen_in(home, "improve", repository, "--resume", "--session", "s")
    assert (refused.status, "was cancelled" in refused.err) == (4, True)
    assert bullpen_in(home, "improve", repository, "--resume").status == 2
    assert bullpen_in(home, "sessions", "cancel", "s").status == 0
    assert len(events(home, "StageReached")) == len({one["stage"] for one in events(home, "StageReached")})


def test_a_session_that_runs_elsewhere_stops(bullpen_in: Run, begun: Any, repository: Path) -> None:
    home, process = begun
    before = snapshot(repository)
    started = time.monotonic()
    said = bullpen_in(home, "sessions", "cancel", "s", "--reason", "no longer wanted")
    assert said.status == 0, said.err
    assert "s is cancelled." in said.out
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 60
    assert process.returncode == 1, err
    outcome = json.loads(out)
    assert (outcome["stage"], outcome["branch"]) == ("cancelled", "")
    assert outcome["problem"] == "Session s was cancelled. No longer wanted."
    assert snapshot(repository) == before
    is_over(bullpen_in, home, repository)


def test_a_session_whose_process_was_killed_is_cancelled(
    bullpen_in: Run, begun: Any, repository: Path
) -> None:
    home, process = begun
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    said = bullpen_in(home, "sessions", "cancel", "s", "--reason", "no longer wanted")
    assert said.status == 0, said.err
    assert str(home / "sessions" / "s" / "reports") in said.out
    is_over(bullpen_in, home, repository)


def test_a_session_that_never_ran_is_cancelled(bullpen_in: Run, tmp_path: Path, repository: Path) -> None:
    home = tmp_path / "home"

    async def begin() -> None:
        async with (
            open_records(read_settings(home=home)) as records,
            records.database.transaction(records.actor) as uow,
        ):
            await new_improve_session(uow, ImproveOptions(str(repository)), "s")

    asyncio.run(begin())
    assert bullpen_in(home, "sessions", "cancel", "s", "--reason", "no longer wanted").status == 0
    is_over(bullpen_in, home, repository)


def test_a_session_that_is_done_is_not_cancelled(bullpen: Run, improved: Any) -> None:
    refused = bullpen("sessions", "cancel", improved.value["session"])
    assert (refused.status, "is done already" in refused.err) == (4, True)
