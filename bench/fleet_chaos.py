"""Kill -9 the server, workers and the database of a fleet at random moments, and count what was lost or done twice.

Run with ``python -m bench.fleet_chaos --kills 100``. A server starts runs whose children are shared by three workers;
each step leaves a line in a file. After every kill the process is started again, as a supervisor would, and the time is
taken until all it had begun is at work again or done. At the end every run must have ended once, with the result of
every step, and a step may have left more lines than one only where the record counts as many beginnings of its run.
"""

import argparse
import json
import os
import random
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench.own_postgres import OwnPostgres

PROGRAM = Path(__file__).with_name("fleet_program.py")
WORKERS = ("w1", "w2", "w3")
CHILDREN, STEPS, STEP_SECONDS = 12, 3, 0.15
MOST_SECONDS = 90.0  # for one recovery; longer is a miss
TARGET_SECONDS = 30.0
_HERE = {"PYTHONPATH": os.pathsep.join([str(PROGRAM.parents[1] / "src"), str(PROGRAM.parents[1])])}


@dataclass
class Stage:
    """The processes, and what they have left. ``round`` numbers the server's runs."""

    database: OwnPostgres
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    round: int = 0
    restarts: Counter[str] = field(default_factory=Counter)

    def keep_up(self) -> None:
        """Start what is not running; a server that has finished its run gets the next one."""
        for name in WORKERS:
            self._keep(name, "serve")
        server = self.processes.get("server")
        if server is not None and server.poll() == 0:
            self._check(server)
            self.round += 1
            del self.processes["server"]
        argument = f"run-{self.round} {CHILDREN} {STEPS} {STEP_SECONDS} -"
        self._keep("server", "start", "parent", f"run-{self.round}", argument)

    def _keep(self, name: str, *do: str) -> None:
        process = self.processes.get(name)
        if process is not None and process.poll() is None:
            return
        if process is not None:
            self.restarts[f"{name} {process.returncode}"] += 1
        self.processes[name] = start(self.database.url, name, self.folder, *do, settings=self.settings)

    def _check(self, server: subprocess.Popen[str]) -> None:
        said = json.loads((server.stdout.read() if server.stdout else "").strip() or "null")
        names = [f"run-{self.round}:{number}" for number in range(CHILDREN)]
        wanted = [["begun"], *([f"{name}-{step}" for step in range(STEPS)] for name in names)]
        assert said == wanted, f"run-{self.round} came to {said}"

    def id_of(self, name: str) -> str:
        """The newest executor id that a process announced; empty if it never came so far."""
        lines = _lines(self.folder / "launched")
        return next((line.split()[1] for line in reversed(lines) if line.split()[0] == name), "")

    def begun_by(self, executor: str) -> list[str]:
        """Runs it has begun and not ended."""
        query = "select workflow_uuid from dbos.workflow_status where status = 'PENDING' and executor_id = %s"
        with psycopg.connect(self.database.url) as connection:
            return [row[0] for row in connection.execute(query, (executor,))]

    def is_recovered(self, executor: str, runs: Sequence[str]) -> bool:
        """Whether all these runs are at work elsewhere, or done."""
        query = (
            "select count(*) from dbos.workflow_status where workflow_uuid = any(%s)"
            " and (status = 'ENQUEUED' or status = 'PENDING' and executor_id = %s)"
        )
        with psycopg.connect(self.database.url) as connection:
            row = connection.execute(query, (list(runs), executor)).fetchone()
        return row is not None and row[0] == 0

    def wait_for_work(self, name: str, seconds: float = 15.0) -> None:
        """Until a process has begun something: killing an idle one shows nothing."""
        end = time.monotonic() + seconds
        while not self.begun_by(self.id_of(name)) and time.monotonic() < end:
            self.keep_up()
            time.sleep(0.05)

    def kill(self, name: str) -> float:
        """Kill one and start it again; the seconds until its work goes on."""
        executor = self.id_of(name)
        runs = self.begun_by(executor) if executor else []
        began = time.monotonic()
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()
        while not self.is_recovered(executor, runs) and time.monotonic() - began < MOST_SECONDS:
            self.keep_up()
            time.sleep(0.05)
        return time.monotonic() - began

    def kill_database(self) -> float:
        """Kill it and start it again; the seconds until a step is done that was not before."""
        before = len(_lines(self.folder / "effects"))
        began = time.monotonic()
        self.database.kill()
        self.database.restart()
        seen = len(_lines(self.folder / "effects"))  # what ran while it was away does not count
        while (
            len(_lines(self.folder / "effects")) <= max(before, seen)
            and time.monotonic() - began < MOST_SECONDS
        ):
            self.keep_up()
            time.sleep(0.05)
        return time.monotonic() - began

    def finish(self) -> None:
        """Let the run that is going come to its end, then end everything."""
        last = self.round
        end = time.monotonic() + 2 * MOST_SECONDS
        while self.round == last and time.monotonic() < end:
            self.keep_up()
            time.sleep(0.1)
        for process in self.processes.values():
            process.kill()
            process.communicate()
        assert self.round > last, f"run-{last} did not end"

    def lost_and_doubled(self) -> tuple[list[str], list[str], int]:
        """Runs without their end, effects that are repeated more often than the record says, and marked repeats."""
        names = [f"run-{number}" for number in range(self.round)]
        names += [f"{name}:{child}" for name in list(names) for child in range(CHILDREN)]
        query = "select workflow_uuid, status, recovery_attempts from dbos.workflow_status"
        with psycopg.connect(self.database.url) as connection:
            known = {run: (status, attempts or 0) for run, status, attempts in connection.execute(query)}
        effects = Counter(tuple(line.split()[:2]) for line in _lines(self.folder / "effects"))
        lost = [name for name in names if known.get(name, ("",))[0] != "SUCCESS"]
        steps = [(name, str(step)) for name in names if ":" in name for step in range(STEPS)]
        lost += [f"{name} {step}" for name, step in steps if not effects[name, step]]
        doubled = [
            f"{name} {step}: {times} times, begun {known.get(name, ('', 0))[1]} times"
            for (name, step), times in effects.items()
            if times > known.get(name, ("", 0))[1] and name in set(names)
        ]
        return lost, doubled, sum(times - 1 for times in effects.values())


def start(
    url: str, label: str, folder: Path, *do: str, settings: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """A process of the fleet; see ``fleet_program.py``."""
    with (folder / f"{label}.err").open("a") as complaints:
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), url, "home", label, str(folder), *do],
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={**os.environ, **_HERE, **(settings or {})},
        )


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill as often as asked; 0 if nothing was lost, nothing doubled unmarked, and recovery was quick enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--complaints", action="store_true", help="also print what the processes complained of"
    )
    parser.add_argument(
        "--far", action="store_true", help="each as on a machine of its own: leases must run out"
    )
    given = parser.parse_args(arguments)
    far = {"FAR": "1"} if given.far else {}
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    dice = random.Random(seed)
    times: dict[str, list[float]] = {"server": [], "worker": [], "database": []}
    with OwnPostgres() as database, tempfile.TemporaryDirectory(prefix="fleet-chaos-") as name:
        stage = Stage(database, Path(name), far)
        stage.keep_up()
        while not _lines(stage.folder / "effects"):
            time.sleep(0.1)
        for number in range(given.kills):
            until = time.monotonic() + dice.uniform(0.2, 2.0)
            while time.monotonic() < until:
                stage.keep_up()
                time.sleep(0.05)
            who = dice.choice(["server", *WORKERS, "database"])
            if who != "database":
                stage.wait_for_work(who)
            seconds = stage.kill_database() if who == "database" else stage.kill(who)
            times["worker" if who in WORKERS else who].append(seconds)
            print(f"{number:3} {who:9} work goes on after {seconds:.1f} s", flush=True)
        stage.finish()
        lost, doubled, marked = stage.lost_and_doubled()
        complaints = "".join(path.read_text() for path in stage.folder.glob("*.err"))
    everything = sorted(one for some in times.values() for one in some)
    p95 = everything[min(len(everything) - 1, int(0.95 * len(everything)))]
    print(
        f"seed {seed}, {stage.round} runs of {CHILDREN} shared runs of {STEPS} steps; restarts {dict(stage.restarts)}"
    )
    for who, some in times.items():
        if some:
            print(
                f"{who:9} {len(some):4} kills, median {statistics.median(some):.1f} s, worst {max(some):.1f} s"
            )
    print(
        f"lost {len(lost)}, unmarked duplicates {len(doubled)}, repeats that are marked {marked}, p95 {p95:.1f} s"
    )
    print(*lost, *doubled, sep="\n")
    if given.complaints:
        print(complaints)
    return 0 if not lost and not doubled and p95 <= TARGET_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
