"""A worker whose disk is full hands on what it had; nothing is lost, and it works again when there is space."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from bench.fleet_improve import FleetStand, open_fleet
from bench.kill_resume import SESSION, run_undisturbed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.req("OPS-03"),
    pytest.mark.needs("root", "postgresql"),
]
SIZE = 96 << 20  # of the worker's disk, in bytes
WORKER = "worker-1"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetStand]:
    with open_fleet(tmp_path) as made:
        home = tmp_path / WORKER
        home.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(home)], check=True)
        try:
            yield made
        finally:
            subprocess.run(["umount", "--lazy", str(home)], check=True)


def until(fleet: FleetStand, there: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, fleet.said()
        time.sleep(0.02)


def fill(home: Path) -> Path:
    """A file that takes all that is left."""
    ballast = home / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while os.statvfs(home).f_bavail:
            file.write(bytes(1 << 16))
    return ballast


def started_on(fleet: FleetStand, session: str) -> list[str]:
    """Items of a session that were ended by the worker."""
    rows = fleet.ask(
        "select workflow_uuid from dbos.workflow_status where executor_id like %s"
        " and status = 'SUCCESS' and workflow_uuid like %s",
        "%.worker.%",
        f"{session}:%",
    )
    return [str(row[0]) for row in rows]


def improve(fleet: FleetStand, session: str) -> subprocess.Popen[bytes]:
    words = ("improve", str(fleet.stand.repository), "--session", session, "--quiet")
    return fleet.start("first", *words)


def lines(fleet: FleetStand, word: str) -> list[str]:
    log = fleet.stand.folder / f"{WORKER}.log"
    return [line for line in log.read_text().splitlines() if word in line]


def test_what_a_worker_with_a_full_disk_had_is_done_by_others(fleet: FleetStand) -> None:
    undisturbed = run_undisturbed(fleet.stand)
    fleet.stand.renew()
    fleet.workers[WORKER] = fleet.start(WORKER, "worker", "--json")
    until(fleet, lambda: lines(fleet, "ready"))
    fleet.session = improve(fleet, SESSION)
    until(fleet, lambda: fleet.is_busy(WORKER))
    ballast = fill(fleet.stand.folder / WORKER)
    until(fleet, lambda: lines(fleet, "full"), 30)
    assert "space" in lines(fleet, "full")[0]
    assert fleet.session.wait(300) == 0, fleet.said()
    assert fleet.stand.branch() == undisturbed.commit, fleet.said()
    assert fleet.left_on_exchange() == ""
    assert fleet.workers[WORKER].poll() is None, fleet.said()
    assert not fleet.is_busy(WORKER)

    ballast.unlink()
    until(fleet, lambda: len(lines(fleet, '"ready"')) > 1, 30)
    fleet.session = improve(fleet, "ses-again")
    assert fleet.session.wait(300) == 0, fleet.said()
    assert started_on(fleet, "ses-again")
    assert "Traceback" not in fleet.said()


def test_a_worker_with_a_disk_that_is_too_small_keeps_nobody_from_working(fleet: FleetStand) -> None:
    undisturbed = run_undisturbed(fleet.stand)
    fleet.stand.renew()
    home = fleet.stand.folder / WORKER
    subprocess.run(["mount", "-o", "remount,size=600k", str(home)], check=True)
    fleet.workers[WORKER] = fleet.start(WORKER, "worker", "--json")
    until(fleet, lambda: lines(fleet, "ready") or lines(fleet, "full"))
    fleet.session = improve(fleet, SESSION)
    assert fleet.session.wait(300) == 0, fleet.said()
    assert fleet.stand.branch() == undisturbed.commit, fleet.said()
    assert fleet.workers[WORKER].poll() is None, fleet.said()
    assert len(lines(fleet, "full")) in (1, 2), "it does not take the same again and again"
    assert "Traceback" not in fleet.said()
