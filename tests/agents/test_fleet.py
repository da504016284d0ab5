"""Two hundred and fifty script agents, good and bad: who gets a task, who rests, who comes back."""

import asyncio
import tempfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.agents.script_agents import DONE, write_agent, write_good

from bullpen.agents.base import AgentResult, AgentTask, Ending
from bullpen.agents.discovery import Discovery, Registration, Source, discover
from bullpen.agents.fleet import Fleet
from bullpen.agents.health import FIRST_REST, LONGEST_REST, Health, Standing, Tally, ended, rest_seconds
from bullpen.agents.manifest import DEFAULT_LIMITS, Manifest
from bullpen.domain.errors import LimitExceeded, NotFound, Unavailable
from bullpen.domain.ids import TaskId
from bullpen.sandbox.base import Sandbox
from bullpen.tools.base import ToolContext

TASK = AgentTask(TaskId("task-1"), "Count the files.", seconds=60)
DIES = "echo broken >&2; exit 1"


@dataclass
class Clock:
    """Time that passes when it is told to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder the sandbox's user may reach."""
    with tempfile.TemporaryDirectory(prefix="fleet-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def there(context: ToolContext, sandbox: Sandbox) -> ToolContext:
    return replace(context, sandbox=sandbox)


def fleet_of(folder: Path, clock: Clock | None = None) -> Fleet:
    fleet = Fleet(clock=clock or Clock())
    fleet.register(discover([Source(folder)]))
    return fleet


def result(*, done: bool = True, fault: bool = False) -> AgentResult:
    if fault:
        return AgentResult(Ending.FAILED, "broke", seen="broke")
    return AgentResult(Ending.FINISHED if done else Ending.FAILED, "", "done" if done else "failed")


@pytest.mark.slow
@pytest.mark.req("AGT-06", "AGT-05")
async def test_two_hundred_and_fifty_scripts(there: ToolContext, sandbox: Sandbox, folder: Path) -> None:
    for number in range(238):
        write_good(folder, f"good-{number:03}")
    for number in range(4):
        write_agent(folder, f"dies-{number}", DIES)
        write_agent(folder, f"garbage-{number}", "yes garbage")
        (folder / f"faulty-{number}.yaml").write_text("name: [")
    fleet = fleet_of(folder)
    assert (len(fleet.agents), len(fleet.quarantined)) == (246, 4)
    checkups = await fleet.examine(list(fleet.agents)[:40], sandbox)
    assert all(checkup.alive for checkup in checkups.values())

    async def one(number: int) -> tuple[tuple[str, str], AgentResult]:
        task = replace(TASK, id=TaskId(f"task-{number}"))
        return await fleet.process_anywhere(task, replace(there, worktree=None), "count")

    answers: list[tuple[tuple[str, str], AgentResult]] = []
    for start in range(0, 48, 8):
        answers += await asyncio.gather(*(one(number) for number in range(start, start + 8)))
    assert all(answer.done for _, answer in answers)
    assert {key[1].partition("-")[0] for key, _ in answers} == {"good"}


@pytest.mark.req("AGT-06")
async def test_the_task_of_one_that_breaks_goes_to_another_on_clean_files(
    there: ToolContext, folder: Path
) -> None:
    write_agent(folder, "a-breaks", "rm /work/calc.py; exit 1")
    write_agent(folder, "b-works", f"test -f /work/calc.py || exit 1; {DONE}")
    fleet = fleet_of(folder)
    key, answer = await fleet.process_anywhere(TASK, there, "count")
    assert (key, answer.done) == (("", "b-works"), True)
    assert fleet.health(("", "a-breaks")).last_error == "It ended with status 1 without an answer."


@pytest.mark.req("AGT-06")
async def test_one_that_keeps_breaking_is_drained_and_tried_again_later(
    there: ToolContext, folder: Path
) -> None:
    clock, key = Clock(), ("", "breaks")
    write_agent(folder, "breaks", f"test -f /work/mended && {{ {DONE}; exit; }}; exit 1")
    fleet = fleet_of(folder, clock)
    for number in range(3):
        assert fleet.standing(key) is Standing.READY
        await fleet.process(key, replace(TASK, attempt=number + 1), there)
    assert fleet.standing(key) is Standing.DRAINED
    with pytest.raises(Unavailable, match=r"breaks rests for 5 s more: It ended with status 1"):
        await fleet.process(key, TASK, there)
    with pytest.raises(Unavailable, match=r"No agent .* is free \(breaks: drained\)"):
        await fleet.process_anywhere(TASK, there, "count")
    clock.now += FIRST_REST
    assert fleet.standing(key) is Standing.ON_TRIAL
    await fleet.process(key, replace(TASK, attempt=4), there)
    assert fleet.standing(key) is Standing.DRAINED
    clock.now += 2 * FIRST_REST
    (there.workspace / "mended").touch()
    assert (await fleet.process(key, replace(TASK, attempt=5), there)).done
    assert (fleet.standing(key), fleet.health(key).faults) == (Standing.READY, 0)


@pytest.mark.req("AGT-06")
async def test_one_whose_health_fails_is_drained(sandbox: Sandbox, folder: Path) -> None:
    path = write_agent(folder, "ill", "exit 1")
    path.write_text(path.read_text().replace("# limits", "# needs: [no-such-program]\n# limits"))
    fleet = fleet_of(folder)
    checkups = await fleet.examine([("", "ill")], sandbox)
    assert checkups["", "ill"].lacking == ("no-such-program",)
    assert fleet.standing(("", "ill")) is Standing.DRAINED
    assert fleet.health(("", "ill")).lacking == ("no-such-program",)
    assert fleet.candidates("count") == []


@pytest.mark.req("AGT-07")
async def test_no_agent_works_on_more_tasks_than_it_may(there: ToolContext, folder: Path) -> None:
    write_agent(folder, "slow", f"cat >/dev/null & read -r x; sleep 1; {DONE}", limits="{concurrency: 2}")
    fleet = fleet_of(folder)
    tasks = [replace(TASK, id=TaskId(f"task-{number}")) for number in range(3)]
    answers = await asyncio.gather(
        *(fleet.process(("", "slow"), one, replace(there, worktree=None)) for one in tasks),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, LimitExceeded)]
    assert [error.sentence for error in refused] == ["slow works on 2 tasks already, its limit."]
    assert fleet.health(("", "slow")).running == 0


async def test_a_cancelled_task_says_nothing_about_the_agent(there: ToolContext, folder: Path) -> None:
    write_agent(folder, "slow", "sleep 600")
    fleet, key = fleet_of(folder), ("", "slow")
    running = asyncio.create_task(fleet.process(key, TASK, there))
    await asyncio.wait({running}, timeout=0.1)
    assert fleet.health(key).running == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (fleet.health(key).running, fleet.health(key).tasks) == (0, Tally())


async def test_a_person_stops_and_restarts_an_agent(there: ToolContext, folder: Path) -> None:
    write_good(folder, "counter")
    fleet, key = fleet_of(folder), ("", "counter")
    fleet.stop(key, "it is being moved")
    with pytest.raises(Unavailable, match="counter is stopped: it is being moved"):
        await fleet.process(key, TASK, there)
    fleet.restart(key)
    assert (await fleet.process(key, TASK, there)).done
    with pytest.raises(NotFound):
        fleet.stop(("", "nobody"), "")


def test_one_that_lies_about_its_skill_is_not_asked_for_it_again() -> None:
    clock = Clock()
    fleet = Fleet(clock=clock)
    fleet.register(_found("honest", "liar"))
    for _ in range(6):
        fleet._health["", "liar"] = ended(fleet.health(("", "liar")), result(done=False), "count", 1.0, 0.0)
        fleet._health["", "honest"] = ended(fleet.health(("", "honest")), result(), "count", 1.0, 0.0)
    assert fleet.health(("", "liar")).untrue("count")
    assert [one.key for one in fleet.candidates("count")] == [("", "honest")]
    assert len(fleet.candidates()) == 2


def test_the_best_comes_first_and_says_why() -> None:
    fleet = Fleet(clock=Clock())
    fleet.register(_found("bad", "busy", "good", "new"))
    for _ in range(9):
        fleet._health["", "good"] = ended(fleet.health(("", "good")), result(), "count", 1.0, 0.0)
        fleet._health["", "bad"] = ended(fleet.health(("", "bad")), result(done=False), "", 1.0, 0.0)
    fleet._health["", "busy"] = replace(fleet.health(("", "good")), running=1)
    assert [one.key[1] for one in fleet.candidates()] == ["good", "busy", "new", "bad"]
    assert fleet.candidates()[0].why == "9 of 9 came out well, load 0/2, 1.0 s a task"


@pytest.mark.req("AGT-11")
def test_the_nearest_namespace_comes_first_and_others_do_not_count() -> None:
    fleet = Fleet(clock=Clock())
    found = {("", "all"), ("api", "api"), ("api/deep", "deep"), ("web", "web")}
    fleet.register(Discovery({key: replace(_registration(key[1]), namespace=key[0]) for key in found}))
    assert [one.key[1] for one in fleet.candidates(path="api/deep/x.py")] == ["deep", "api", "all"]
    assert [one.key[1] for one in fleet.candidates(path="apix/x.py")] == ["all"]


def test_one_that_changed_begins_with_a_clean_record() -> None:
    fleet = Fleet(clock=Clock())
    fleet.register(_found("one", "two"))
    for name in ("one", "two"):
        fleet._health["", name] = ended(Health(running=2), result(fault=True), "", 1.0, 0.0)
    changed = Discovery(
        {("", "one"): replace(_registration("one"), revision="other"), ("", "two"): _registration("two")}
    )
    fleet.register(changed)
    assert (fleet.health(("", "one")).faults, fleet.health(("", "one")).running) == (0, 1)
    assert fleet.health(("", "two")).faults == 1


def test_a_rest_grows_to_its_bound() -> None:
    assert [rest_seconds(faults) for faults in (3, 4, 5, 50, 10**9)] == [
        5,
        10,
        20,
        LONGEST_REST,
        LONGEST_REST,
    ]


@pytest.mark.req("AGT-06", "AGT-12")
def test_ten_thousand_registered_agents_are_small(tmp_path: Path) -> None:
    tracemalloc.start()
    fleet = Fleet(clock=Clock())
    agents = {("", name): _registration(name, tmp_path) for name in (f"agent-{n:05}" for n in range(10_000))}
    fleet.register(Discovery(agents))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used / 10_000 < 2048
    assert len(fleet.candidates("count")) == 10_000


def _found(*names: str) -> Discovery:
    return Discovery({("", name): _registration(name) for name in names})


def _registration(name: str, folder: Path = Path("/nowhere")) -> Registration:
    limits = replace(DEFAULT_LIMITS, concurrency=2) if folder == Path("/nowhere") else DEFAULT_LIMITS
    return Registration(
        Manifest(name, "1.0.0", "Is a test.", capabilities=("count",), limits=limits), folder, name, "0"
    )
