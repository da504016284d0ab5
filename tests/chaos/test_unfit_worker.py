"""A worker on a machine where the session's tests do not pass: it says so and ends, and others do its items."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.fleet_improve import FleetStand, open_fleet
from bench.kill_resume import SESSION, run_undisturbed
from tests.e2e.bad_input.ground import START

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.req("SCH-03"),
    pytest.mark.needs("postgresql"),
]
WORKER = "worker-1"
LARGE = """\
def test_large():
    assert len(b"x" * (400 << 20)) > 1
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetStand]:
    """A project one of whose tests needs more memory than a small machine has."""
    with open_fleet(tmp_path) as made:
        (made.stand.repository / "tests" / "test_large.py").write_text(LARGE)
        made.stand.git("add", "--all")
        made.stand.git("commit", "--quiet", "--message=large")
        yield made


def until(fleet: FleetStand, there: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not there():
        assert time.monotonic() < end, fleet.said()
        time.sleep(0.02)


def small_worker(fleet: FleetStand) -> subprocess.Popen[bytes]:
    env = fleet.environment(WORKER) | {"BULLPEN_MEMORY_MIB": "256"}
    with (fleet.stand.folder / f"{WORKER}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", START, "worker", "--json"], env=env, stdout=log, stderr=log
        )


def test_a_worker_where_tests_fail_hands_on_its_item_and_says_why(fleet: FleetStand) -> None:
    undisturbed = run_undisturbed(fleet.stand)
    fleet.stand.renew()
    fleet.workers[WORKER] = small_worker(fleet)
    log = fleet.stand.folder / f"{WORKER}.log"
    until(fleet, lambda: "ready" in log.read_text())
    fleet.improve()
    until(fleet, lambda: fleet.is_busy(WORKER))
    assert fleet.workers[WORKER].wait(200) == 6, fleet.said()
    (problem,) = [json.loads(line) for line in log.read_text().splitlines() if '"error"' in line]
    assert problem["sentence"].startswith("This machine cannot do the work. ")
    assert fleet.session is not None
    assert fleet.session.wait(300) == 0, fleet.said()
    assert fleet.stand.branch() == undisturbed.commit, fleet.said()
    told = fleet.ask("select body from event where type = 'WorkerDisqualified' and session_id = %s", SESSION)
    assert [json.loads(str(body))["reason"] for (body,) in told] == [
        problem["sentence"].removeprefix("This machine cannot do the work. ")
    ]
    assert "worker" not in fleet.done_by()
    assert fleet.left_on_exchange() == ""
