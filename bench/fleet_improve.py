"""Improve a repository with workers in homes of their own, kill them at random, and compare with an undisturbed session.

Run with ``python -m bench.fleet_improve --kills 6``. The undisturbed session is one process on SQLite. The other has a
PostgreSQL, an exchange and two workers; workers, and now and then the session itself, are killed and started again. It
must come to the same commit, and leave nothing on the exchange.
"""

import argparse
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench.kill_resume import SESSION, Stand, run_undisturbed
from bench.own_postgres import OwnPostgres

MODULES = 4  # more of the sample's faults, so that there is something to share
SECONDS = 400.0
_BULLPEN = [sys.executable, "-c", "from bullpen.cli.main import main; main()"]
_MODULE = '''\
"""Part {number} of a shelf."""

import os


def is_part_{number}(value):
    if value == None:
        return False
    return value == {number}
'''
_TEST = """\
from shelf.part{number} import is_part_{number}


def test_part_{number}():
    assert is_part_{number}({number})
    assert not is_part_{number}(None)
"""


@dataclass
class FleetStand:
    """The sample, a database, an exchange, and workers by name."""

    stand: Stand
    database: OwnPostgres
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    session: subprocess.Popen[bytes] | None = None

    @property
    def exchange(self) -> Path:
        """A bare repository on a disk they all see."""
        return self.stand.folder / "exchange.git"

    def environment(self, home: str) -> dict[str, str]:
        """What a process with a home of its own is told."""
        return os.environ | {
            "PYTHONPATH": str(Path(__file__).parents[1] / "src"),
            "BULLPEN_HOME": str(self.stand.folder / home),
            "BULLPEN_DATABASE_URL": self.database.url,
            "BULLPEN_EXCHANGE": f"file://{self.exchange}",
            "BULLPEN_PARALLEL": "1",
            "SOURCE_DATE_EPOCH": "1795212027",
        }

    def start(self, home: str, *words: str) -> subprocess.Popen[bytes]:
        """Start ``bullpen`` there."""
        with (self.stand.folder / f"{home}.log").open("ab") as log:
            return subprocess.Popen([*_BULLPEN, *words], env=self.environment(home), stdout=log, stderr=log)

    def keep_workers(self) -> None:
        """Start those that do not run."""
        for name in ("worker-1", "worker-2"):
            process = self.workers.get(name)
            if process is None or process.poll() is not None:
                self.workers[name] = self.start(name, "worker", "--json")

    def improve(self, *options: str) -> None:
        """Start the session, or go on with it."""
        words = ("improve", str(self.stand.repository), "--session", SESSION, "--quiet", *options)
        self.session = self.start("first", *words)

    def ask(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Rows; none while the tables are not there."""
        try:
            with psycopg.connect(self.database.url) as connection:
                return connection.execute(query, values or None).fetchall()  # type: ignore[arg-type]
        except psycopg.errors.UndefinedTable:
            return []

    def is_busy(self, name: str) -> bool:
        """Whether the worker has an item in hand."""
        return bool(
            self.ask(
                "select 1 from executor e join dbos.workflow_status w on w.executor_id = e.id"
                " where e.pid = %s and w.status = 'PENDING' and e.lost_at is null",
                self.workers[name].pid,
            )
        )

    def done_by(self) -> Counter[str]:
        """How many items each kind of process ended; an executor's id is HOME.LABEL.NUMBER."""
        rows = self.ask("select executor_id from dbos.workflow_status where queue_name like 'items@%'")
        return Counter(str(row[0]).split(".")[1].split("-")[0] for row in rows if row[0])

    def left_on_exchange(self) -> str:
        """Refs that are still there."""
        argv = ["git", "-C", str(self.exchange), "for-each-ref"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def said(self) -> str:
        """The last words of everybody."""
        return "\n".join(f"{log.name}: {log.read_text()[-1500:]}" for log in self.stand.folder.glob("*.log"))


@contextmanager
def open_fleet(folder: Path) -> Iterator[FleetStand]:
    """The sample with more modules, a database and an exchange; all that was started ends with it."""
    stand = Stand(folder)
    stand.make()
    for number in range(MODULES):
        (stand.repository / "shelf" / f"part{number}.py").write_text(_MODULE.format(number=number))
        (stand.repository / "tests" / f"test_part{number}.py").write_text(_TEST.format(number=number))
    stand.git("add", "--all")
    stand.git("commit", "--quiet", "--message=more")
    with OwnPostgres() as database:
        fleet = FleetStand(stand, database)
        subprocess.run(["git", "init", "--quiet", "--bare", str(fleet.exchange)], check=True)
        try:
            yield fleet
        finally:
            for process in [*fleet.workers.values(), *([fleet.session] if fleet.session else [])]:
                process.kill()
                process.wait()


def run_with_kills(fleet: FleetStand, kills: int, dice: random.Random) -> list[str]:
    """To the end of the session; who was killed."""
    killed: list[str] = []
    fleet.keep_workers()
    fleet.improve()
    end, pause = time.monotonic() + SECONDS, 0.0
    while time.monotonic() < end and fleet.session is not None:
        fleet.keep_workers()
        status = fleet.session.poll()
        if status == 0:
            return killed
        if status is not None and status != -9:
            raise SystemExit(f"The session ended with {status}:\n{fleet.said()}")
        if status == -9:
            fleet.improve("--resume")
        busy = [name for name in fleet.workers if fleet.is_busy(name)]
        if len(killed) < kills and time.monotonic() > pause and busy:
            time.sleep(dice.uniform(0, 1.0))
            name = dice.choice([*busy, *busy, "session"])
            (fleet.session if name == "session" else fleet.workers[name]).kill()
            (fleet.session if name == "session" else fleet.workers[name]).wait()
            killed.append(name)
            pause = time.monotonic() + dice.uniform(1, 4)
        time.sleep(0.1)
    raise SystemExit(f"The session did not end in {SECONDS:g} s:\n{fleet.said()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; 0 if the commit is the same and nothing is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    with tempfile.TemporaryDirectory(prefix="fleet-improve-") as name, open_fleet(Path(name)) as fleet:
        undisturbed = run_undisturbed(fleet.stand)
        print(
            f"seed {seed}: one process {undisturbed.commit[:12]} in {undisturbed.seconds:.1f} s", flush=True
        )
        fleet.stand.renew()
        began = time.monotonic()
        killed = run_with_kills(fleet, given.kills, random.Random(seed))
        seconds, commit, left = time.monotonic() - began, fleet.stand.branch(), fleet.left_on_exchange()
        done = dict(fleet.done_by())
        taken = fleet.ask("select count(*) from event where type = 'WorkReclaimed'")[0][0]
    print(
        f"fleet {commit[:12]} in {seconds:.1f} s; items done by {done}; killed {killed}, taken over {taken}"
    )
    same = commit == undisturbed.commit and not left and done.get("worker", 0) > 0
    print("same" if same else f"MISS {left}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
