"""Shared runs by 1, 2 and 4 workers, as a share of what the bare durable engine does with them in the same round.

Each run has one step that does nothing. The bare engine is the library itself: a queue with the same lanes and pause,
no lease, no sweep, no typed steps. Rounds alternate, so that both see the same machine; prints ratios.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from bench.own_postgres import OwnPostgres

RUNS, LANES, GATE = 600, 16, 0.80
_ROOT = Path(__file__).parents[1]
_COMMON = """
import asyncio, json, logging, sys, time
url, role, label, folder, count = sys.argv[1:]
LANES = int({lanes})
"""
BARE = (
    _COMMON
    + """
from dbos import DBOS, SetWorkflowID
logging.getLogger("dbos").setLevel(logging.CRITICAL)

async def main():
    DBOS(config=dict(name="bare", system_database_url=url, executor_id=label, application_version="1",
                     log_level="CRITICAL", console_log_level="CRITICAL"))
    @DBOS.step()
    async def nothing():
        return "x"
    @DBOS.workflow(name="work")
    async def work(argument):
        return await nothing()
    if role == "ask":
        DBOS.listen_queues([])
    DBOS.launch()
    await DBOS.register_queue_async("items", worker_concurrency=LANES, polling_interval_sec=0.02)
    if role == "ask":
        for number in range(int(count)):
            with SetWorkflowID(f"{label}-{number}"):
                await DBOS.enqueue_workflow_async("items", work, "x")
        DBOS.destroy()
    else:
        print("ready", flush=True)
        await asyncio.sleep(3600)
asyncio.run(main())
"""
)
OURS = (
    _COMMON
    + """
from bullpen.kernel import durable
from bullpen.kernel.durable import DurableEngine, Fleet, items_queue, step
from bullpen.kernel.executors import this_process
durable.QUEUE_SECONDS = 0.02

async def nothing():
    return "x"

async def work(argument):
    return await step("nothing", str, nothing)

async def main():
    me = this_process(label, "home", 0 if role == "ask" else LANES, "1")
    engine = DurableEngine(url, label, {"work": work}, Fleet(me, items_queue("x"), print, print))
    await engine.launch()
    if role == "ask":
        for number in range(int(count)):
            await engine.start("work", f"{label}-{number}", "x", shared=True)
        await engine.close()
    else:
        print("ready", flush=True)
        await asyncio.sleep(3600)
asyncio.run(main())
"""
)


def rate(program: str, workers: int, runs: int) -> float:
    """Runs a second: all are queued first, then the workers start; counted from the first end to the last."""
    text = program.replace("{lanes}", str(LANES))
    with OwnPostgres() as database, tempfile.TemporaryDirectory() as folder:
        if program is OURS:
            _make_tables(database.url)
        started = []
        argv = [sys.executable, "-c", text, database.url]
        env = os.environ | {"PYTHONPATH": str(_ROOT / "src")}
        subprocess.run([*argv, "ask", "ask", folder, str(runs)], env=env, check=True)
        try:
            for number in range(workers):
                words = [*argv, "work", f"w{number}", folder, "0"]
                started.append(subprocess.Popen(words, env=env, stdout=subprocess.PIPE))
            return _measured(database.url, runs)
        finally:
            for process in started:
                process.kill()
                process.communicate()


def _measured(url: str, runs: int) -> float:
    """From when a tenth is done (all workers are up by then) to when all are."""
    query = "select count(*), min(completed_at), max(completed_at) from dbos.workflow_status where status = 'SUCCESS'"
    end = time.monotonic() + 300
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < end:
            row = connection.execute(query).fetchone()
            if row and row[0] == runs:
                break
            time.sleep(0.05)
        else:
            raise SystemExit("not all runs ended")
        skipped = runs // 4
        times = connection.execute("select completed_at from dbos.workflow_status order by 1").fetchall()
    return (runs - skipped) / max(0.001, (times[-1][0] - times[skipped][0]) / 1000)


def _make_tables(url: str) -> None:
    script = (
        "import asyncio, sys; from bullpen.kernel.storage.database import open_store\n"
        "async def make(): await (await open_store(sys.argv[1])).close()\nasyncio.run(make())"
    )
    env = os.environ | {"PYTHONPATH": str(_ROOT / "src")}
    subprocess.run([sys.executable, "-c", script, url], env=env, check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if the median share is at least the gate for every number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=RUNS)
    given = parser.parse_args(arguments)
    missed = 0
    for workers in (1, 2, 4):
        pairs = [
            (rate(BARE, workers, given.runs), rate(OURS, workers, given.runs)) for _ in range(given.rounds)
        ]
        shares = sorted(ours / bare for bare, ours in pairs)
        share = statistics.median(shares)
        bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        verdict = "ok" if share >= GATE else "MISS"
        print(
            f"{workers} workers: bare {bare:.0f}/s, ours {ours:.0f}/s, share {share:.2f}"
            f" [{shares[0]:.2f}-{shares[-1]:.2f}] {verdict}",
            flush=True,
        )
        missed += share < GATE
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
