"""A team whose agents are a folder of 250 scripts, faulty ones among them; others appear while it works."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.agents.script_agents import write_agent, write_program

from bullpen.agents.actions import stop_agent
from bullpen.agents.discovery import Source
from bullpen.agents.opening import Places, open_fleet
from bullpen.domain.actor import Actor
from bullpen.domain.ids import SessionId
from bullpen.domain.task import TaskState
from bullpen.flow.team_folder import TeamPlace, run_folder
from bullpen.flow.teams.base import Progress, TeamReport
from bullpen.flow.teams.folder import read_team
from bullpen.flow.teams.queries import AttemptState, list_attempts
from bullpen.kernel.storage.database import Database
from bullpen.models.registry import Models
from bullpen.sandbox.base import Sandbox

SESSION = SessionId("ses-scripts")
ANSWERS = 'read -r task\necho \'{"type":"result","outcome":"done","summary":"counted","data":{"words":"1"}}\''
CHIEF = """#!/usr/bin/env python3
# ---
# name: chief
# version: 1.0.0
# purpose: Splits the goal, and puts the answers together.
# capabilities: [lead]
# ---
import json
import sys

told = json.loads(json.loads(sys.stdin.readline())["text"].split("\\n", 1)[1])
data = {{"parts": {parts!r}}} if told["task"].startswith("Split") else {{"answer": "all"}}
print(json.dumps({{"type": "result", "outcome": "done", "summary": "led", "data": data}}))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A team's folder that the sandbox's user may reach."""
    with tempfile.TemporaryDirectory(prefix="team-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        (Path(name) / "work").mkdir()
        yield Path(name)


def write_team(folder: Path, parts: list[dict[str, str]], policy: str = "{}") -> None:
    (folder / "team.yaml").write_text(
        f"goal: Count.\npattern: lead_worker\noptions: {{lead: lead, work: count}}\npolicy: {policy}\n"
    )
    write_program(folder / "agents", "chief", CHIEF.format(parts=json.dumps(parts)))


async def run(
    folder: Path, database: Database, person: Actor, sandbox: Sandbox, on_line: Callable[[str], None]
) -> TeamReport:
    def tell(progress: Progress) -> None:
        on_line(progress.line)

    place = TeamPlace(database, person, sandbox, Models({}), folder / "home", tell)
    return await run_folder(place, read_team(folder), SESSION)


@pytest.mark.slow
@pytest.mark.req("AGT-05", "AGT-06", "COL-02", "SCH-02")
async def test_a_folder_of_250_scripts_is_a_team(
    database: Database, person: Actor, sandbox: Sandbox, folder: Path
) -> None:
    parts = [{"title": f"Part {number}"} for number in range(40)]
    write_team(folder, parts, "{pause: 0, at_once: 64}")
    agents = folder / "agents"
    for number in range(245):
        write_agent(agents, f"count-{number:03}", ANSWERS)
    write_agent(agents, "dies", "exit 7")
    write_agent(agents, "floods", "while :; do echo nonsense; done")
    write_agent(agents, "silent", "exit 0")
    write_program(agents, "faulty", "#!/bin/sh\nexit 0\n")
    lines: list[str] = []
    report = await run(folder, database, person, sandbox, lines.append)
    assert report.state is TaskState.DONE, report.reason
    assert len(report.done) == 42
    (aside,) = [line for line in lines if line.startswith("set aside: ")]
    assert aside.startswith(f"set aside: {agents / 'faulty'}: faulty: an executable without a manifest.")
    async with database.view(person) as uow:
        attempts = await list_attempts(uow, SESSION)
    done = Counter(one.agent for one in attempts if one.state is AttemptState.DONE)
    assert len(done) > 20  # the work is spread
    async with open_fleet(database, person, Places((Source(agents, trusted=False),), plugins=False)) as found:
        tried = sum(found.fleet.health(key).tasks.tried for key in found.fleet.agents)
        assert tried >= 42
        assert all(found.fleet.health(key).running == 0 for key in found.fleet.agents)


@pytest.mark.req("AGT-05")
async def test_a_script_that_appears_while_the_team_works_gets_work(
    database: Database, person: Actor, sandbox: Sandbox, folder: Path
) -> None:
    write_team(folder, [{"title": "Part 1"}, {"title": "New", "capability": "later"}])
    write_agent(folder / "agents", "count", ANSWERS)
    lines: list[str] = []

    def then(line: str) -> None:
        lines.append(line)
        if line.startswith("Split: Count.: done"):
            write_program(folder / "agents", "broken", "#!/bin/sh\n")
            write_agent(folder / "agents", "newcomer", ANSWERS, capability="later")

    report = await run(folder, database, person, sandbox, then)
    assert report.state is TaskState.DONE, report.reason
    assert "newcomer: 1 done" in report.lines
    assert any("newcomer" in line and "may take part from now on" in line for line in lines)
    assert any(line.startswith(f"set aside: {folder}/agents/broken") for line in lines)


@pytest.mark.req("AGT-06")
async def test_one_that_a_person_stopped_gets_no_work_of_the_team(
    database: Database, person: Actor, sandbox: Sandbox, folder: Path
) -> None:
    write_team(folder, [{"title": f"Part {number}"} for number in range(4)])
    write_agent(folder / "agents", "stopped", ANSWERS)
    write_agent(folder / "agents", "works", ANSWERS)
    places = Places((Source(folder / "agents", trusted=False),), plugins=False)
    async with open_fleet(database, person, places), database.transaction(person) as uow:
        await stop_agent(uow, ("", "stopped"), "not today")
    report = await run(folder, database, person, sandbox, lambda _line: None)
    assert report.state is TaskState.DONE, report.reason
    assert "works: 4 done" in report.lines
    assert not any(line.startswith("stopped:") for line in report.lines)
