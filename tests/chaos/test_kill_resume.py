"""Sessions that are killed, interrupted, or run side by side come to the same end as one nobody disturbs."""

import json
import os
import signal
from pathlib import Path

import pytest
from bench import kill_resume
from bench.kill_resume import Stand
from tests.e2e.bad_input.ground import Ground, snapshot

pytestmark = pytest.mark.slow


@pytest.mark.req("IMP-05")
@pytest.mark.timeout(1500)
def test_killed_sessions_come_to_the_same_commit(capsys: pytest.CaptureFixture[str]) -> None:
    status = kill_resume.main(["--kills", "4"])
    said = capsys.readouterr().out
    assert status == 0, said


@pytest.mark.req("IMP-05")
@pytest.mark.timeout(600)
def test_an_interrupt_says_how_to_go_on_and_that_completes(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.make()
    process = stand.start()
    while process.poll() is None and not stand.events("WaveStarted"):
        os.sched_yield()
    assert process.poll() is None, stand.said()
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    assert "Nothing is lost" in stand.said()
    assert f"--resume --session {kill_resume.SESSION}" in stand.said()
    assert "Traceback" not in stand.said()
    assert stand.start("--resume").wait(kill_resume.SECONDS) == 0
    assert stand.branch()
    assert kill_resume.leftovers(stand.home) == []


@pytest.mark.req("IMP-05")
@pytest.mark.timeout(600)
def test_sessions_side_by_side_in_one_home(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    one, other = ground.repository("one"), ground.repository("other")
    before = [snapshot(one), snapshot(other)]
    running = [ground.start("improve", path, "--json", "--quiet") for path in (one, other, one)]
    for process in running:
        out, err = process.communicate(timeout=500)
        assert process.returncode == 0, err.decode()
        assert json.loads(out)["done"]["count"] == 1
    assert [snapshot(one), snapshot(other)] == before
    assert len(ground.branches(one)) == 2
    assert len(ground.branches(other)) == 1
    assert kill_resume.leftovers(ground.home) == []
