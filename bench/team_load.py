"""A hundred agents and a thousand tasks, with agents and the team's own process killed at random: nothing is lost.

    python -m bench.team_load [agents] [tasks] [kills]

Most agents are functions that now and then break; one in ten is a process of its own that reads tasks from a pipe, and
a reaper kills those with SIGKILL all the time. The process that runs the team is killed with SIGKILL, too, ``kills`` times, and begun
again. Every piece of work is written down by whoever does it, in a file, when it begins and when it ends.

Then it is checked that every task is done; that no piece of work was done twice under one number; that whatever was begun
is an attempt in the records, with its agent; that every attempt has the sentence of its choice as an event; and that a
task that was begun more than once has its former attempts marked. The end is 1 if any of it does not hold.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from bullpen.domain.actor import local_person
from bullpen.domain.errors import Unavailable
from bullpen.domain.events.team import AttemptEnded, TaskAssigned
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.task import TaskNode, TaskState
from bullpen.flow.teams.base import (
    Assignment,
    Conclusion,
    Course,
    Handed,
    Member,
    Results,
    TeamPolicy,
    TeamTask,
)
from bullpen.flow.teams.queries import Attempt, AttemptState, list_attempts
from bullpen.flow.teams.run import run_team
from bullpen.flow.teams.state import TeamMeans
from bullpen.flow.trees.plan import PlannedTask
from bullpen.kernel.bus.log import EventLog, replay
from bullpen.kernel.storage.database import Database, open_store
from bullpen.sessions.actions import create_session
from bullpen.sessions.queries import find_session
from bullpen.work.queries import list_tasks

SESSION = SessionId("ses-load")
SKILLS = ("python", "review", "docs", "tests")
BREAKS = 0.05  # of what agents that are functions are given
REAP_SECONDS = 0.15
LEASE = 1.0
WORKER = """
import sys
for line in sys.stdin:
    task, attempt, me, book = line.rstrip("\\n").split("\\t")
    for word in ("begin", "end"):
        with open(book, "a") as file:
            file.write(f"{word}\\t{task}\\t{attempt}\\t{me}\\n")
    print(task, attempt, flush=True)
"""


@dataclass
class Process:
    """An agent with a process of its own; the next task finds it started anew where it was killed."""

    name: str
    book: Path
    running: asyncio.subprocess.Process | None = None
    killed: int = 0

    async def work(self, one: Assignment) -> Handed:
        """Give it a line, and wait for its answer."""
        if self.running is None or self.running.returncode is not None:
            pipe = asyncio.subprocess.PIPE
            self.running = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-c", WORKER, stdin=pipe, stdout=pipe
            )
        process = self.running
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{one.task.id}\t{one.attempt}\t{self.name}\t{self.book}\n".encode())
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Unavailable(f"{self.name} is dead.") from error
        answer = await process.stdout.readline()
        if answer.decode().split() != [one.task.id, str(one.attempt)]:
            await process.wait()
            raise Unavailable(f"{self.name} was killed while it worked.")
        return Handed(done=True, summary="done", data={"by": self.name})

    def kill(self) -> None:
        """SIGKILL, if there is something to be killed."""
        if self.running is not None and self.running.returncode is None:
            self.running.send_signal(signal.SIGKILL)
            self.killed += 1


def function(name: str, book: Path, chance: random.Random) -> Callable[[Assignment], Awaitable[Handed]]:
    """An agent that is a function: it breaks before or after its work, or does it."""

    async def work(one: Assignment) -> Handed:
        write(book, "begin", one, name)
        luck = chance.random()
        await asyncio.sleep(chance.random() * 0.02)
        if luck < BREAKS / 2:
            raise Unavailable(f"{name} broke.")
        write(book, "end", one, name)
        if luck < BREAKS:
            raise Unavailable(f"{name} broke before it could say so.")
        return Handed(done=True, summary="done", data={"by": name})

    return work


def write(book: Path, word: str, one: Assignment, name: str) -> None:
    """One line, in one write."""
    with book.open("a") as file:
        file.write(f"{word}\t{one.task.id}\t{one.attempt}\t{name}\n")


def course(count: int) -> Course:
    """Tasks of four skills; every tenth waits for the one nine before it."""
    tasks = []
    for number in range(count):
        after = (TaskId(f"task-{number - 9}"),) if number % 10 == 9 else ()
        skill = SKILLS[number % len(SKILLS)]
        node = TaskNode(
            TaskId(f"task-{number}"),
            None,
            f"Task {number}",
            "work",
            "member",
            depends_on=after,
            capabilities=(skill,),
        )
        tasks.append(TeamTask(PlannedTask(node)))

    def conclude(results: Results) -> Conclusion:
        done = sum(one.done for one in results.values())
        return Conclusion(f"{done} of {count} are done", reached=done == count)

    return Course("load", "a load", tuple(tasks), conclude)


async def run(folder: Path, agents: int, tasks: int, seed: int) -> None:
    """Run the team in this process, with a reaper beside it."""
    chance, book = random.Random(seed), folder / "book"
    processes = [Process(f"process-{number}", book) for number in range(max(1, agents // 10))]
    members = [Member(one.name, dict.fromkeys(SKILLS, 0.8), one.work) for one in processes]
    for number in range(agents - len(processes)):
        skills = dict.fromkeys(chance.sample(SKILLS, 2), chance.uniform(0.6, 0.95))
        members.append(Member(f"agent-{number}", skills, function(f"agent-{number}", book, chance), 2))
    store = await open_store(f"sqlite:///{folder / 'team.db'}")
    database, person = Database(store, EventLog()), local_person()
    async with database.transaction(person) as uow:
        if await find_session(uow, SESSION) is None:
            await create_session(uow, SESSION, kind="team", goal="load", project="", options="{}")

    async def reap() -> None:
        while True:
            await asyncio.sleep(REAP_SECONDS)
            chance.choice(processes).kill()

    reaper = asyncio.create_task(reap())
    policy = TeamPolicy(attempts=12, pause=0.01, lease=LEASE)
    try:
        await run_team(TeamMeans(database, person), SESSION, course(tasks), members, policy)
    finally:
        reaper.cancel()
        (folder / f"killed-{seed}").write_text(str(sum(one.killed for one in processes)))
        for one in processes:
            if one.running is not None and one.running.returncode is None:
                one.running.kill()
                await one.running.wait()
        await store.close()


@dataclass
class Findings:
    """What was seen, and what does not hold."""

    done: int = 0
    begun: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def hold(self, name: str, wrong: object) -> None:
        """``wrong`` are those for which it does not hold."""
        if wrong:
            self.wrong.append(f"{name}: {wrong!r:.300}")


async def check(folder: Path, tasks: int) -> Findings:
    """Hold the records against the book."""
    store = await open_store(f"sqlite:///{folder / 'team.db'}")
    database, found = Database(store, EventLog()), Findings()
    assigned: dict[tuple[str, int], TaskAssigned] = {}
    ended: dict[tuple[str, int], AttemptEnded] = {}
    async with database.view(local_person()) as uow:
        nodes = await list_tasks(uow, SESSION)
        attempts = {(one.task, one.number): one for one in await list_attempts(uow, SESSION)}
        after = 0
        while some := await replay(uow, SESSION, after):
            after = some[-1].position
            for recorded in some:
                event = recorded.event
                if isinstance(event, TaskAssigned):
                    assigned[event.task_id, event.attempt] = event
                elif isinstance(event, AttemptEnded):
                    ended[event.task_id, event.attempt] = event
    await store.close()
    lines = [line.split("\t") for line in (folder / "book").read_text().splitlines()]
    begun = Counter((task, int(number)) for word, task, number, _ in lines if word == "begin")
    who = {(task, int(number)): name for word, task, number, name in lines if word == "begin"}
    found.begun = sum(begun.values())
    found.done = sum(node.state is TaskState.DONE for node in nodes)
    found.attempts.update(one.state.value for one in attempts.values())
    found.hold("tasks that are not done", [node.id for node in nodes if node.state is not TaskState.DONE])
    found.hold("tasks that are missing", tasks - len(nodes))
    found.hold("done twice under one number", [key for key, count in begun.items() if count > 1])
    found.hold("begun, and not in the records", [key for key in begun if key not in attempts])
    found.hold("done by another one", [key for key in begun if attempts[key].agent != who[key]])
    found.hold(
        "without a sentence", [key for key, one in attempts.items() if not said(one, assigned.get(key))]
    )
    found.hold("without an end", [key for key in attempts if key not in ended])
    _check_marks(found, attempts, begun)
    return found


def said(attempt: Attempt, event: TaskAssigned | None) -> bool:
    """Whether the choice is recorded with its numbers."""
    return event is not None and event.reason == attempt.reason and "capability" in event.reason


def _check_marks(
    found: Findings, attempts: dict[tuple[TaskId, int], Attempt], begun: Counter[tuple[str, int]]
) -> None:
    """One attempt of each task is done, the last one; all before it are marked as what they were."""
    by_task: dict[str, list[Attempt]] = {}
    for one in attempts.values():
        by_task.setdefault(one.task, []).append(one)
    marks = (AttemptState.FAILED, AttemptState.LOST)
    unmarked = [
        task
        for task, some in by_task.items()
        if some[-1].state is not AttemptState.DONE or any(one.state not in marks for one in some[:-1])
    ]
    found.hold("done again without a mark", unmarked)
    never = [task for task, some in by_task.items() if (task, some[-1].number) not in begun]
    found.hold("said to be done, and never begun", never)


def drive(folder: Path, agents: int, tasks: int, kills: int) -> int:
    """Run it in a process of its own, and kill that at random until it has had its kills. How often it was."""
    chance, killed, seed = random.Random(7), 0, 0
    while True:
        seed += 1
        argv = [
            sys.executable,
            "-m",
            "bench.team_load",
            "--run",
            str(folder),
            str(agents),
            str(tasks),
            str(seed),
        ]
        with subprocess.Popen(argv, env=os.environ) as process:
            if killed < kills:
                wait_for_lines(folder / "book", process, chance.randint(tasks // 8, tasks // 3))
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
                    killed += 1
                    process.wait()
                    continue
            if process.wait():
                raise SystemExit(f"the team ended with {process.returncode}")
            return killed


def wait_for_lines(book: Path, process: "subprocess.Popen[bytes]", more: int) -> None:
    """Until so many lines more are in the book, or the process has ended."""
    lines = count_lines(book)
    while process.poll() is None and count_lines(book) < lines + more:
        time.sleep(0.02)


def count_lines(book: Path) -> int:
    """None where there is no book."""
    return book.read_bytes().count(b"\n") if book.exists() else 0


def main() -> int:
    """Run, check, print."""
    if sys.argv[1:2] == ["--run"]:
        folder, agents, tasks, seed = sys.argv[2:6]
        asyncio.run(run(Path(folder), int(agents), int(tasks), int(seed)))
        return 0
    given = [int(one) for one in sys.argv[1:]]
    agents, tasks, kills = (*given, *(100, 1000, 3)[len(given) :])
    with tempfile.TemporaryDirectory(prefix="bullpen-team-") as name:
        folder, began = Path(name), time.monotonic()
        killed = drive(folder, agents, tasks, kills)
        seconds = time.monotonic() - began
        reaped = sum(int(one.read_text()) for one in folder.glob("killed-*"))
        found = asyncio.run(check(folder, tasks))
    print(
        json.dumps(
            {
                "agents": agents,
                "tasks": tasks,
                "done": found.done,
                "seconds": round(seconds, 1),
                "the team killed": killed,
                "agents killed in its last life": reaped,
                "pieces of work begun": found.begun,
                "attempts": dict(found.attempts),
            }
        )
    )
    for one in found.wrong:
        print(f"WRONG {one}")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
