"""What is known of agents is kept: it survives restarts, other processes see it, and people's word counts for all."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agents.script_agents import DONE, write_agent, write_good
from watchfiles import awatch

from bullpen.agents.actions import FLEET_LOG, begin_run, change_health, restart_agent, stop_agent
from bullpen.agents.base import AgentTask
from bullpen.agents.discovery import Source
from bullpen.agents.health import LONGEST_REST, Health, Standing
from bullpen.agents.ledger import in_time
from bullpen.agents.opening import Places, open_fleet
from bullpen.domain.actor import Actor
from bullpen.domain.errors import LimitExceeded, NotFound, Unavailable
from bullpen.domain.events import Event
from bullpen.domain.ids import TaskId
from bullpen.kernel.bus.log import replay
from bullpen.kernel.clock import now
from bullpen.kernel.storage.database import Database
from bullpen.sandbox.base import Sandbox
from bullpen.tools.base import ToolContext

TASK = AgentTask(TaskId("task-1"), "Count the files.", seconds=60)
COUNTER = ("", "counter")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder the sandbox's user may reach."""
    with tempfile.TemporaryDirectory(prefix="fleet-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def there(context: ToolContext, sandbox: Sandbox) -> ToolContext:
    return replace(context, sandbox=sandbox)


def places(folder: Path) -> Places:
    return Places((Source(folder),), plugins=False)


async def appeared(file: Path) -> None:
    async for _ in awatch(file.parent, yield_on_timeout=True, rust_timeout=50):
        if file.exists():  # noqa: ASYNC240 - one look
            return


async def told(database: Database, person: Actor) -> list[Event]:
    async with database.view(person) as uow:
        return [one.event for one in await replay(uow, FLEET_LOG)]


def names(events: list[Event]) -> list[str]:
    return [type(one).__name__ for one in events]


@pytest.mark.req("AGT-06")
async def test_how_an_agent_fared_is_known_to_the_next_process(
    database: Database, person: Actor, folder: Path, there: ToolContext
) -> None:
    write_good(folder, "counter")
    async with open_fleet(database, person, places(folder)) as found:
        assert (await found.fleet.process(COUNTER, TASK, there, "count")).done
    async with open_fleet(database, person, places(folder)) as again:
        health = again.fleet.health(COUNTER)
        assert (health.tasks.tried, health.tasks.well, health.running) == (1, 1, 0)
        assert health.skill("count").tried == 1
        assert health.last_sign is not None
    assert names(await told(database, person)) == ["AgentRegistered"]


@pytest.mark.req("AGT-06", "SCH-03")
async def test_one_that_breaks_rests_for_every_process(
    database: Database, person: Actor, folder: Path, there: ToolContext
) -> None:
    write_agent(folder, "counter", "echo broken >&2; exit 1")
    async with (
        open_fleet(database, person, places(folder)) as here,
        open_fleet(database, person, places(folder)) as elsewhere,
    ):
        for number in range(3):
            await here.fleet.process(COUNTER, replace(TASK, attempt=number + 1), there)
        with pytest.raises(Unavailable, match=r"counter rests for .* s more: It ended with status 1"):
            await elsewhere.fleet.process(COUNTER, replace(TASK, attempt=9), there)
        await elsewhere.fleet.refresh()
        assert elsewhere.fleet.standing(COUNTER) is Standing.DRAINED
    assert names(await told(database, person)) == ["AgentRegistered", "AgentDrained"]


@pytest.mark.req("AGT-06")
async def test_a_persons_stop_holds_everywhere_and_for_what_becomes_of_the_program(
    database: Database, person: Actor, folder: Path, there: ToolContext
) -> None:
    write_good(folder, "counter")
    async with open_fleet(database, person, places(folder)) as found:
        async with database.transaction(person) as uow:
            await stop_agent(uow, COUNTER, "too loud")
        with pytest.raises(Unavailable, match="counter is stopped: too loud"):
            await found.fleet.process(COUNTER, TASK, there)
        write_agent(folder, "counter", DONE)
        assert await found.look() == {COUNTER}
        assert found.fleet.agents[COUNTER].generation == 2
        assert found.fleet.standing(COUNTER) is Standing.STOPPED
        async with database.transaction(person) as uow:
            await restart_agent(uow, COUNTER)
        assert (await found.fleet.process(COUNTER, TASK, there)).done
    expected = ["AgentRegistered", "AgentHalted", "AgentRegistered", "AgentRestarted"]
    assert names(await told(database, person)) == expected


@pytest.mark.req("AGT-06")
async def test_who_is_not_there_cannot_be_stopped(database: Database, person: Actor) -> None:
    with pytest.raises(NotFound, match="no agent 'nobody'"):
        async with database.transaction(person) as uow:
            await stop_agent(uow, ("", "nobody"), "")


@pytest.mark.req("AGT-07", "SCH-03")
async def test_the_limit_on_tasks_at_once_holds_over_all_processes(
    database: Database, person: Actor, folder: Path, there: ToolContext
) -> None:
    write_agent(folder, "counter", f"touch /work/began; while [ ! -e /work/go ]; do sleep 0.05; done; {DONE}")
    async with (
        open_fleet(database, person, places(folder)) as here,
        open_fleet(database, person, places(folder)) as elsewhere,
    ):
        running = asyncio.create_task(here.fleet.process(COUNTER, TASK, there))
        await appeared(there.workspace / "began")
        with pytest.raises(LimitExceeded, match="counter works on 1 tasks already"):
            await elsewhere.fleet.process(COUNTER, replace(TASK, attempt=2), there)
        await elsewhere.fleet.refresh()
        assert elsewhere.fleet.health(COUNTER).running == 1
        assert elsewhere.fleet.candidates("count") == []
        (there.workspace / "go").touch()
        assert (await running).done
        await elsewhere.fleet.refresh()
        assert elsewhere.fleet.health(COUNTER).running == 0


@pytest.mark.req("AGT-06", "OPS-03")
async def test_a_task_of_a_killed_process_does_not_count_for_ever(
    database: Database, person: Actor, folder: Path
) -> None:
    write_good(folder, "counter")
    async with open_fleet(database, person, places(folder)) as found:
        revision = found.fleet.agents[COUNTER].revision
        async with database.transaction(person) as uow:
            await begin_run(uow, COUNTER, revision, "run-of-the-dead", -1.0, lambda _health: None)
        await found.fleet.refresh()
        assert found.fleet.health(COUNTER).running == 0


@pytest.mark.req("AGT-06", "OPS-03")
async def test_a_task_of_a_killed_process_that_is_begun_again_counts_once(
    database: Database, person: Actor, folder: Path
) -> None:
    write_good(folder, "counter")

    def admit(health: Health) -> None:
        if health.running:
            raise LimitExceeded("It works already.")

    async with open_fleet(database, person, places(folder)) as found:
        revision = found.fleet.agents[COUNTER].revision
        for _process in ("killed", "after it"):
            async with database.transaction(person) as uow:
                health = await begin_run(uow, COUNTER, revision, "run-1", 600.0, admit)
            assert health.running == 1
        with pytest.raises(LimitExceeded):
            async with database.transaction(person) as uow:
                await begin_run(uow, COUNTER, revision, "run-2", 600.0, admit)


@pytest.mark.req("OPS-03", "AGT-06")
async def test_a_clock_that_is_set_back_keeps_nobody_resting_for_long(
    database: Database, person: Actor, folder: Path
) -> None:
    write_good(folder, "counter")
    in_a_year = now() + 365 * 86_400
    async with open_fleet(database, person, places(folder)) as found:
        revision = found.fleet.agents[COUNTER].revision
        async with database.transaction(person) as uow:
            await change_health(uow, COUNTER, revision, lambda one: replace(one, rest_until=in_a_year))
        await found.fleet.refresh()
        health = found.fleet.health(COUNTER)
    assert health.rest_until is not None
    assert health.rest_until <= now() + LONGEST_REST
    assert in_time(health) == health


@pytest.mark.req("AGT-05", "AGT-06")
async def test_ten_thousand_agents_are_kept_and_found_again(
    database: Database, person: Actor, folder: Path
) -> None:
    text = (
        "name: {}\nversion: 1.0.0\npurpose: Answers somewhere else.\nkind: remote\nurl: http://127.0.0.1/\n"
    )
    for number in range(10_000):
        (folder / f"agent-{number}.yaml").write_text(text.format(f"agent-{number}"))
    async with open_fleet(database, person, places(folder)) as found:
        assert len(found.fleet.agents) == 10_000
        assert await found.look() == frozenset()
