"""Durable functions that are really killed: what was finished is not done again, and nothing is lost."""

import base64
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from bullpen.kernel.storage.postgres import driver_url
from bullpen.kernel.storage.sqlite import add_missing_functions, tuned_engine

pytestmark = [pytest.mark.slow, pytest.mark.req("WFL-03")]

PROGRAM = '''
"""An executor: python program.py URL EXECUTOR FOLDER DO [RUN]. Each body leaves a line in FOLDER/done."""
import asyncio, json, os, sys
from pathlib import Path
from bullpen.domain.errors import BullpenError, Conflict, LimitExceeded, Unavailable, UnusableRepository
from bullpen.kernel.durable import DurableEngine, start_child, step

url, executor, folder, do, *rest = sys.argv[1:]
folder = Path(folder)

def tell(line):
    with (folder / "done").open("a") as file:
        file.write(f"{executor} {line}\\n")

async def wait_for(name):
    while not (folder / name).exists():
        await asyncio.sleep(0.02)

async def body(name):
    tell(name)
    return name

async def gated(name):
    tell(name + "-begun")
    await wait_for("go")
    tell(name)
    return name

async def parent(argument):
    first = await step("first", str, lambda: body("first"))
    children = [await start_child("child", f"{argument}-child-{n}", str(n)) for n in range(3)]
    results = [await child.result() for child in children]
    last = await step("last", str, lambda: body("last"))
    return [first, *results, last]

async def child(argument):
    await step("quick", str, lambda: body(f"quick-{argument}"))
    return await step("gated", str, lambda: gated(f"gated-{argument}"))

async def refuse():
    tell("refuse")
    raise UnusableRepository("No commit here.", remedy="Make one.", code="empty", data={"path": "x"})

async def odd():
    return "odd \\udcff name"

async def failing(argument):
    try:
        await step("refuse", str, refuse)
    except UnusableRepository as error:
        return [error.sentence, error.remedy, error.code, error.data["path"], await step("odd", str, odd)]

async def flaky():
    tell("try")
    if (folder / "done").read_text().count("try") < 3:
        raise Unavailable("Not yet.")
    return "at last"

async def retried(argument):
    return await step("flaky", str, flaky, retries=4, pause=0.01)

async def slow():
    await asyncio.sleep(60)

async def bounded(argument):
    try:
        await step("slow", str, slow, seconds=0.05)
    except BullpenError as error:
        return [type(error).__name__, error.code]

async def gate_first(argument):
    await step("gated", str, lambda: gated("held"))
    return await step("after", str, lambda: body("after"))

async def fit():
    tell("fit")
    if not (folder / "space").exists():
        raise LimitExceeded("The disk is full.")
    return "fits"

async def unclosed(argument):
    try:
        return await step("fit", str, fit, keeps_failure=False)
    except LimitExceeded:
        await gated("closing")
        raise

async def main():
    engine = DurableEngine(url, executor, {
        "parent": parent, "child": child, "failing": failing, "retried": retried, "bounded": bounded,
        "gate_first": gate_first, "unclosed": unclosed,
    })
    await engine.launch()
    tell("launched")
    if do == "start":
        workflow, run_id = rest
        run = await engine.start(workflow, run_id, run_id)
        print(json.dumps(await run.result()))
    elif do == "resume":
        print(json.dumps(await (await engine.resume(rest[0])).result()))
    elif do == "cancel":
        workflow, run_id = rest
        run = await engine.start(workflow, run_id, run_id)
        await wait_for("begun")
        await engine.cancel(run_id)
        (folder / "go").touch()
        try:
            await run.result()
        except Conflict as error:
            print(json.dumps(error.code))
    elif do == "look":
        print(json.dumps([await engine.is_known(name) for name in rest]))
    elif do == "idle":
        await wait_for("stop")
    await engine.close()

asyncio.run(main())
'''


class Executors:
    """Starts the program, and knows what it did."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        (folder / "program.py").write_text(PROGRAM)

    def start(self, executor: str, *do: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "program.py", self.url, executor, str(self.folder), *do]
        return subprocess.Popen(
            argv, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, executor: str, *do: str) -> str:
        process = self.start(executor, *do)
        said, complained = process.communicate(timeout=120)
        assert process.returncode == 0, complained
        return said.strip()

    def done(self) -> list[str]:
        file = self.folder / "done"
        return file.read_text().splitlines() if file.exists() else []

    def until(self, *lines: str) -> None:
        """Wait until these were told."""
        deadline = time.monotonic() + 120
        while not set(lines) <= set(self.done()):
            assert time.monotonic() < deadline, self.done()
            time.sleep(0.02)

    def allow(self, name: str = "go") -> None:
        (self.folder / name).touch()


@pytest.fixture
def executors(database_url: str, tmp_path: Path) -> Executors:
    folder = tmp_path / "executors"
    folder.mkdir()
    return Executors(database_url, folder)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_after_kills_finished_steps_are_not_repeated_and_children_not_lost(executors: Executors) -> None:
    process = executors.start("e1", "start", "parent", "run-1")
    executors.until("e1 first", "e1 gated-0-begun", "e1 gated-1-begun", "e1 gated-2-begun")
    kill(process)
    process = executors.start("e1", "resume", "run-1")
    while executors.done().count("e1 gated-0-begun") < 2:  # it was taken up: the unfinished step runs again
        time.sleep(0.02)
    kill(process)
    executors.allow()
    assert executors.run("e1", "resume", "run-1") == '["first", "gated-0", "gated-1", "gated-2", "last"]'
    done = [line.removeprefix("e1 ") for line in executors.done()]
    once = ["first", "quick-0", "quick-1", "quick-2", "gated-0", "gated-1", "gated-2", "last"]
    assert {name: done.count(name) for name in once} == dict.fromkeys(once, 1)


def test_an_ended_run_is_answered_from_the_record(executors: Executors) -> None:
    executors.allow()
    first = executors.run("e1", "start", "parent", "run-1")
    before = [line for line in executors.done() if "launched" not in line]
    assert executors.run("e1", "start", "parent", "run-1") == first
    assert [line for line in executors.done() if "launched" not in line] == before
    assert executors.run("e1", "look", "run-1", "run-1-child-0", "run-2") == "[true, true, false]"


def test_another_executor_leaves_what_is_not_its_own(executors: Executors) -> None:
    kill_me = executors.start("e1", "start", "gate_first", "run-1")
    executors.until("e1 held-begun")
    kill(kill_me)
    other = executors.start("e2", "idle")
    executors.until("e2 launched")
    assert executors.run("e3", "look", "run-1") == "[true]"
    executors.allow("stop")
    other.communicate(timeout=60)
    assert [line for line in executors.done() if line.startswith("e2")] == ["e2 launched"]
    executors.allow()
    assert executors.run("e1", "resume", "run-1") == '"after"'


def test_a_cancelled_run_stops_before_its_next_step(executors: Executors) -> None:
    process = executors.start("e1", "cancel", "gate_first", "run-1")
    executors.until("e1 held-begun")
    executors.allow("begun")
    said, complained = process.communicate(timeout=60)
    assert said.strip() == '"stopped"', complained
    assert "e1 after" not in executors.done()


def test_an_error_of_ours_is_itself_after_a_restart(executors: Executors) -> None:
    first = executors.run("e1", "start", "failing", "run-1")
    assert first == '["No commit here.", "Make one.", "empty", "x", "odd \\udcff name"]'
    engine = sa.create_engine(
        executors.url if executors.url.startswith("sqlite") else driver_url(executors.url)
    )
    if executors.url.startswith("sqlite"):
        engine = tuned_engine(executors.url)
    prefix = "" if executors.url.startswith("sqlite") else "dbos."
    with engine.begin() as connection:  # as if it had been killed just before its end
        connection.execute(sa.text(f"update {prefix}workflow_status set status = 'PENDING'"))  # noqa: S608
        connection.execute(sa.text(f"delete from {prefix}workflow_output"))  # noqa: S608
    engine.dispose()
    assert executors.run("e1", "resume", "run-1") == first
    assert executors.done().count("e1 refuse") == 1


@pytest.mark.req("WFL-03")
def test_a_failure_that_is_not_kept_is_tried_again_after_a_restart(executors: Executors) -> None:
    first = executors.start("e1", "start", "unclosed", "run-1")
    executors.until("e1 closing-begun")
    kill(first)
    executors.allow("space")
    assert executors.run("e1", "resume", "run-1") == '"fits"'
    assert executors.done().count("e1 fit") == 2


def test_what_is_unavailable_is_tried_again(executors: Executors) -> None:
    assert executors.run("e1", "start", "retried", "run-1") == '"at last"'
    assert executors.done().count("e1 try") == 3


def test_a_step_that_takes_too_long_is_ended(executors: Executors) -> None:
    assert executors.run("e1", "start", "bounded", "run-1") == '["LimitExceeded", "timeout"]'


class Hostile:
    """Unpickling it runs a command."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self._trace}",)


@pytest.mark.parametrize("column", ["inputs", "output"])
def test_a_hostile_row_cannot_run_code(executors: Executors, tmp_path: Path, column: str) -> None:
    trace = tmp_path / "it-ran"
    executors.allow()
    executors.run("e1", "start", "gate_first", "run-1")
    payload = base64.b64encode(pickle.dumps(Hostile(trace))).decode()
    sqlite = executors.url.startswith("sqlite")
    engine = tuned_engine(executors.url) if sqlite else sa.create_engine(driver_url(executors.url))
    status = "PENDING" if column == "inputs" else "SUCCESS"
    schema, kept_in = "" if sqlite else "dbos.", f"workflow_{column.removesuffix('s')}"
    with engine.begin() as connection:
        changed = connection.execute(
            sa.text(f"update {schema}{kept_in} set {column} = :payload"),  # noqa: S608
            {"payload": payload},
        )
        assert changed.rowcount == 1
        connection.execute(
            sa.text(f"update {schema}workflow_status set serialization = 'py_pickle', status = :status"),  # noqa: S608
            {"status": status},
        )
    engine.dispose()
    process = executors.start("e1", "resume", "run-1")
    try:
        process.communicate(timeout=8)
    except subprocess.TimeoutExpired:  # what cannot be read is left alone
        kill(process)
    assert not trace.exists()


def test_payloads_are_json(executors: Executors) -> None:
    executors.allow()
    executors.run("e1", "start", "parent", "run-1")
    sqlite = executors.url.startswith("sqlite")
    engine = tuned_engine(executors.url) if sqlite else sa.create_engine(driver_url(executors.url))
    with engine.connect() as connection:
        kinds = connection.execute(
            sa.text(f"select distinct serialization from {'' if sqlite else 'dbos.'}workflow_status")  # noqa: S608
        )
        assert {row[0] for row in kinds} == {"bullpen_json"}
    engine.dispose()


def test_an_old_sqlite_is_given_sub_second_times() -> None:
    connection = sqlite3.connect(":memory:")
    add_missing_functions(connection)
    before = time.time()
    (unix,) = connection.execute("select unixepoch('subsec')").fetchone()
    (text,) = connection.execute("select strftime('%s', 'now')").fetchone()
    assert before <= unix <= float(text) <= time.time()
    assert unix != int(unix)


def test_asking_for_help_does_not_load_the_engine() -> None:
    script = (
        "import sys, bullpen.kernel.durable, bullpen.flow.workflows.improve; print('dbos' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
