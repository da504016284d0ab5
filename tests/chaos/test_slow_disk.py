"""A disk whose ``fsync`` takes seconds, or that stands still for a while, costs nobody their lease."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from bench.fleet_chaos import start
from bench.fleet_improve import open_fleet
from bench.kill_resume import SESSION, run_undisturbed
from bench.own_postgres import OwnPostgres
from bench.slow_disk import SlowDisk, is_possible

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.req("OPS-03", "SCH-03"),
    pytest.mark.needs("root", "postgresql"),
    pytest.mark.skipif(not is_possible(), reason="needs loop devices and the blkio controller"),
]
ALL_HELD = "select min(lease_until) > %s and bool_and(lost_at is null) from executor"
Fleet = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def disk() -> Iterator[SlowDisk]:
    """At a place the database's account can reach, too."""
    with tempfile.TemporaryDirectory(prefix="slow-disk-") as name:
        Path(name).chmod(0o755)
        with SlowDisk(Path(name)) as made:
            yield made


@pytest.fixture
def database(disk: SlowDisk) -> Iterator[OwnPostgres]:
    """A server that waits for its disk, as a real one does."""
    folder = disk.place / "postgres"
    folder.mkdir()
    with OwnPostgres(folder=folder, fsync=True) as made:
        yield made
        disk.slow(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where processes leave what they did; on a disk that is not slow."""
    made = tmp_path / "told"
    made.mkdir()
    return made


@pytest.fixture
def begin(database: OwnPostgres, folder: Path) -> Iterator[Fleet]:
    processes: list[subprocess.Popen[str]] = []

    def one(label: str, *do: str) -> subprocess.Popen[str]:
        processes.append(start(database.url, label, folder, *do))
        return processes[-1]

    yield one
    for process in processes:
        process.kill()
        process.communicate()


def until(there: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_leases_outlive_commits_that_take_seconds(
    disk: SlowDisk, database: OwnPostgres, begin: Fleet, folder: Path
) -> None:
    for name in ("w1", "w2"):
        begin(name, "serve")
    until(lambda: len(lines(folder / "launched")) == 2)
    disk.slow(2)  # a commit takes from one to several seconds
    first = begin("server", "start", "parent", "run", "run 3 2 0.1 -")
    said, _ = first.communicate(timeout=400)
    assert json.loads(said) == [["begun"], *([f"run:{number}-0", f"run:{number}-1"] for number in range(3))]
    assert lines(folder / "lost") == []
    assert lines(folder / "taken") == []


def test_a_disk_that_stands_still_for_longer_than_a_lease_only_holds_work_up(
    disk: SlowDisk, database: OwnPostgres, begin: Fleet, folder: Path
) -> None:
    server = begin("server", "start", "parent", "run", "run 6 2 0.1 wait")
    begin("w1", "serve")
    until(lambda: "w1" in " ".join(lines(folder / "effects")))
    with psycopg.connect(database.url, autocommit=True) as connection:
        (before,) = connection.execute("select max(lease_until) from executor").fetchall()[0]
        disk.stop()
        try:
            until(lambda: connection.execute(ALL_HELD, [before + 20]).fetchall() == [(True,)])
        finally:
            disk.go()
    (folder / "go").touch()
    said, _ = server.communicate(timeout=120)
    assert json.loads(said) == [["begun"], *([f"run:{number}-0", f"run:{number}-1"] for number in range(6))]
    assert lines(folder / "lost") == []
    assert lines(folder / "taken") == []
    effects = [" ".join(line.split()[:2]) for line in lines(folder / "effects")]
    assert len(effects) == len(set(effects)), "nothing is done twice"


def test_a_worker_with_a_slow_home_keeps_its_items(disk: SlowDisk, tmp_path: Path) -> None:
    with open_fleet(tmp_path / "fleet") as fleet:
        undisturbed = run_undisturbed(fleet.stand)
        fleet.stand.renew()
        home = disk.place / "home"
        fleet.workers["slow"] = fleet.start(str(home), "worker", "--json")
        log = Path(f"{home}.log")
        until(lambda: "ready" in log.read_text())
        disk.slow(10)
        fleet.session = fleet.start(
            "first", "improve", str(fleet.stand.repository), "--session", SESSION, "--quiet"
        )
        assert fleet.session.wait(300) == 0, fleet.said() + log.read_text()
        disk.slow(0)
        assert fleet.stand.branch() == undisturbed.commit
        assert fleet.done_by()["worker"] > 0
        assert fleet.ask("select count(*) from event where type = 'WorkReclaimed'") == [(0,)]
        assert fleet.workers["slow"].poll() is None
        fleet.workers["slow"].terminate()
        assert fleet.workers["slow"].wait(60) == 0
        shutil.rmtree(home)
