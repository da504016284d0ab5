"""Processes that share a PostgreSQL: what a dead one had begun is done by another, and one that was cut off ends."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from bench.fleet_chaos import start

from bullpen.kernel.executors import LEASE_SECONDS, home_identity, home_of, this_process

pytestmark = [pytest.mark.slow, pytest.mark.needs("postgresql"), pytest.mark.req("SCH-03")]


class Ground:
    """A database, a folder, and the processes on it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.started: list[subprocess.Popen[str]] = []

    def start(self, label: str, *do: str, **settings: str) -> subprocess.Popen[str]:
        """A process that has announced itself."""
        process = start(self.url, label, self.folder, *do, settings=settings)
        self.started.append(process)
        self.until(lambda: any(line.startswith(f"{label} ") for line in self.lines("launched")))
        return process

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def effects(self, run: str) -> list[str]:
        return [line for line in self.lines("effects") if line.split()[0] == run]

    def until(self, there: Callable[[], object]) -> None:
        end = time.monotonic() + 90
        while not there():
            assert time.monotonic() < end, {file.name: file.read_text() for file in self.folder.iterdir()}
            time.sleep(0.02)

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def allow(self, name: str = "go") -> None:
        (self.folder / name).touch()


@pytest.fixture
def ground(postgres_url: str, tmp_path: Path) -> Iterator[Ground]:
    folder = tmp_path / "fleet"
    folder.mkdir()
    made = Ground(postgres_url, folder)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()


def result(process: subprocess.Popen[str]) -> object:
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 0
    return json.loads(said)


def test_shared_runs_are_done_by_whoever_has_a_lane_free(ground: Ground) -> None:
    ground.start("other", "serve", LANES="2")
    asking = ground.start("main", "start", "parent", "run", "run 6 1 0 wait", LANES="2")
    ground.until(lambda: sum(len(ground.effects(f"run:{number}")) for number in range(6)) == 4)
    begun = [line.split()[2] for number in range(6) for line in ground.effects(f"run:{number}")]
    assert sorted(begun) == ["main", "main", "other", "other"], "each takes as many as it has lanes"
    ground.allow()
    assert result(asking) == [["begun"], *([f"run:{number}-0"] for number in range(6))]
    assert all(len(ground.effects(f"run:{number}")) == 1 for number in range(6))


def test_what_a_dead_process_had_begun_is_done_by_another(ground: Ground) -> None:
    dying = ground.start("dying", "serve", LANES="6")
    asking = ground.start("main", "start", "parent", "run", "run 3 2 0.05 wait", LANES="1")
    ground.until(lambda: any("dying" in line for line in ground.lines("effects")))
    dying.kill()
    ground.until(lambda: ground.lines("taken"))
    ground.allow()
    assert result(asking) == [
        ["begun"],
        *([f"run:{number}-{step}" for step in (0, 1)] for number in range(3)),
    ]
    taken = {line.split()[0] for line in ground.lines("taken")}
    attempts = dict(ground.ask("select workflow_uuid, recovery_attempts from dbos.workflow_status"))
    for run in (f"run:{number}" for number in range(3)):
        assert len(ground.effects(run)) == (3 if run in taken else 2), "only the step it was at is done again"
        assert attempts[run] == (2 if run in taken else 1), "and the record says so"


def test_a_run_goes_on_with_a_worker_when_the_process_that_asked_for_it_is_killed(ground: Ground) -> None:
    asking = ground.start("main", "start", "parent", "run", "run 2 1 0 wait")
    ground.until(lambda: len(ground.lines("effects")) == 3)
    ground.start("other", "serve")
    asking.kill()
    ground.until(lambda: any(line.startswith("run ") for line in ground.lines("taken")))
    ground.allow()
    ground.until(
        lambda: ground.ask(
            "select 1 from dbos.workflow_status where workflow_uuid = 'run' and status = 'SUCCESS'"
        )
    )
    assert len(ground.effects("run")) == 1, "its finished step is not done again"
    again = ground.start("again", "start", "parent", "run", "run 2 1 0 wait")
    assert result(again) == [["begun"], ["run:0-0"], ["run:1-0"]], (
        "who asks for it again is told what it came to"
    )


def test_a_process_that_was_stopped_too_long_ends_and_records_nothing(ground: Ground) -> None:
    stopped = ground.start("stopped", "serve", FAR="1")
    asking = ground.start("main", "start", "parent", "run", "run 2 1 0 wait", LANES="1")
    ground.until(lambda: any("stopped" in line for line in ground.lines("effects")))
    os.kill(stopped.pid, signal.SIGSTOP)
    ground.until(lambda: ground.lines("taken"))
    ground.allow()
    os.kill(stopped.pid, signal.SIGCONT)
    assert stopped.wait(30) == 7
    assert len(ground.lines("lost")) == 1
    assert result(asking) == [["begun"], ["run:0-0"], ["run:1-0"]]
    lost = ground.ask(
        "select lease_until <= lost_at, lost_at - started_at from executor where id like '%stopped%'"
    )
    assert lost[0][0], "nobody was taken for dead before the lease ran out"
    assert isinstance(lost[0][1], float)
    assert lost[0][1] >= LEASE_SECONDS


def test_one_that_ends_in_order_leaves_its_work_to_others_at_once(ground: Ground) -> None:
    leaving = ground.start("leaving", "serve", LANES="2")
    ground.start("queue", "queue", "one 1 0 wait", LANES="1")
    ground.start("third", "queue", "two 1 0 wait", LANES="1")
    ground.until(lambda: len(ground.lines("effects")) == 2)
    ground.allow("stop")
    assert leaving.wait(60) == 0
    ground.allow()
    done = "select count(*) from dbos.workflow_status where status = 'SUCCESS'"
    ground.until(lambda: ground.ask(done) == [(2,)])
    assert not [row for row in ground.ask("select id from executor") if "leaving" in str(row[0])]


def test_names_of_processes_say_whose_home_they_work_in(tmp_path: Path) -> None:
    one, same = home_identity(tmp_path / "one"), home_identity(tmp_path / "one")
    assert one == same != home_identity(tmp_path / "other")
    me, again = this_process("worker", one, 2, "1"), this_process("worker", one, 2, "1")
    assert home_of(me.id) == one
    assert me.id != again.id
    assert (me.pid, me.place, me.begun) == (again.pid, again.place, again.begun)
    assert home_of("improve-ses-1") == ""
